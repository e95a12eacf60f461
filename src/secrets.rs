//! Secrets in files: read for production, made by the demo at its first start and kept in its data directory.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use deeptravel_domain::code::{CodeKey, CodeKeys};
use deeptravel_domain::sealing::DocumentKeys;
use deeptravel_domain::time::Timestamp;
use deeptravel_wechat::keys::{MerchantKeys, generate_merchant};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::data_dir::DataDir;

/// The demo's file in its data directory.
pub const DEMO_SECRETS: &str = "demo-secrets.toml";

/// Length of every symmetric key, in bytes.
const KEY_LEN: usize = 32;

/// Keys of the configuration that name the files of keys.
const DOCUMENT_KEYS: &str = "secrets.document_keys_file";
const CODE_KEYS: &str = "secrets.code_keys_file";

/// Section `secrets` of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretFiles {
    document_keys_file: PathBuf,
    /// Empty in a demo that has its own.
    pub code_keys_file: PathBuf,
}

impl SecretFiles {
    pub fn document_keys(&self) -> anyhow::Result<DocumentKeys> {
        Ok(DocumentKeys::new(read_keys(&self.document_keys_file, DOCUMENT_KEYS)?)?)
    }

    /// Files with secrets, by the keys that name them.
    pub fn files(&self) -> Vec<(&'static str, &Path)> {
        named([(DOCUMENT_KEYS, &*self.document_keys_file), (CODE_KEYS, &*self.code_keys_file)])
    }

    /// Every key that can be read, to be compared with others. Not to be shown.
    pub fn keys(&self) -> Vec<(&'static str, Vec<u8>)> {
        let documents = read_keys(&self.document_keys_file, DOCUMENT_KEYS).unwrap_or_default();
        let codes = read_code_keys(&self.code_keys_file).unwrap_or_default();
        let documents = documents.into_iter().map(|(_, secret)| (DOCUMENT_KEYS, secret.to_vec()));
        documents.chain(codes.into_iter().map(|key| (CODE_KEYS, key.secret.to_vec()))).collect()
    }

    /// The keys of codes, checked as of now.
    pub fn code_keys(&self) -> anyhow::Result<Vec<CodeKey>> {
        let keys = read_code_keys(&self.code_keys_file)?;
        let now = Timestamp::from_jiff(jiff::Timestamp::now());
        let usable = CodeKeys::new(keys.clone(), now);
        usable.with_context(|| format!("{CODE_KEYS} = {}", self.code_keys_file.display()))?;
        Ok(keys)
    }
}

/// Those that are set.
pub fn named<'a, const COUNT: usize>(files: [(&'static str, &'a Path); COUNT]) -> Vec<(&'static str, &'a Path)> {
    files.into_iter().filter(|(_, path)| !path.as_os_str().is_empty()).collect()
}

/// A secret that may stand in a file of its own.
pub fn read_secret(secret: &mut SecretString, file: &Path, key: &str) -> anyhow::Result<()> {
    if !file.as_os_str().is_empty() {
        let text = read_text(file, key)?;
        if text.trim_end().is_empty() {
            bail!("{key}: there is nothing in {}", file.display());
        }
        *secret = text.trim_end().to_owned().into();
    }
    Ok(())
}

/// A key file: one line per key, `<version> <64 hex digits>`; empty lines and lines that begin with # are skipped.
fn read_keys(path: &Path, key: &str) -> anyhow::Result<Vec<(u32, [u8; KEY_LEN])>> {
    read_lines(path, key, "<version> <64 hex digits>", parse_key)
}

/// The key file of codes: as `read_keys`, with times after the key, in any order:
/// `seals_from=2026-12-01T00:00:00+08:00` and `opens_until=…`.
pub fn read_code_keys(path: &Path) -> anyhow::Result<Vec<CodeKey>> {
    let form = "<version> <64 hex digits> [seals_from=<time>] [opens_until=<time>]";
    read_lines(path, CODE_KEYS, form, parse_code_key)
}

/// `form` is how a line should look.
fn read_lines<K>(path: &Path, key: &str, form: &str, parse: fn(&str) -> anyhow::Result<K>) -> anyhow::Result<Vec<K>> {
    let text = read_text(path, key)?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let mut keys = Vec::new();
    for (index, line) in lines {
        keys.push(parse(line).with_context(|| format!("{}:{}: {form}", path.display(), index + 1))?);
    }
    if keys.is_empty() {
        bail!("{key}: {} has no key", path.display());
    }
    Ok(keys)
}

fn parse_code_key(line: &str) -> anyhow::Result<CodeKey> {
    let mut words = line.split_whitespace();
    let (version, digits) = words.next().zip(words.next()).context("no key")?;
    let (version, secret) = parse_key(&format!("{version} {digits}"))?;
    let mut key = CodeKey::new(version, secret);
    for word in words {
        // What cannot be read is not repeated: it may be a piece of a key.
        let (name, time) = word.split_once('=').context("after the key stands a word without =")?;
        let slot = match name {
            "seals_from" => &mut key.seals_from,
            "opens_until" => &mut key.opens_until,
            _ => bail!("after the key stands something else than seals_from and opens_until"),
        };
        let time: jiff::Timestamp = time.parse().with_context(|| format!("{name} is no RFC 3339 time"))?;
        if slot.replace(Timestamp::from_jiff(time)).is_some() {
            bail!("{name} stands there twice");
        }
    }
    Ok(key)
}

/// A file that a key of the configuration names.
pub fn read_text(path: &Path, key: &str) -> anyhow::Result<String> {
    if path.as_os_str().is_empty() {
        bail!("{key} is not set");
    }
    std::fs::read_to_string(path).with_context(|| format!("{key} = {}", path.display()))
}

fn parse_key(line: &str) -> anyhow::Result<(u32, [u8; KEY_LEN])> {
    let (version, digits) = line.trim().split_once(' ').context("no space")?;
    let mut key = [0; KEY_LEN];
    hex::decode_to_slice(digits.trim(), &mut key).context("not hex")?;
    Ok((version.parse().context("not a version")?, key))
}

/// The demo's own secrets; they survive restarts, so that codes and documents stay readable.
#[derive(Debug, Serialize, Deserialize)]
pub struct DemoSecrets {
    pub merchant_private_key_pem: String,
    pub merchant_public_key_pem: String,
    pub merchant_serial: String,
    pub api_v3_key: String,
    pub app_secret: String,
    pub code_key: String,
    pub document_key: String,
}

impl DemoSecrets {
    /// Reads them, or makes them at the first start. Never in a directory that somebody else has begun: the demo's
    /// accounts and its timetable must not come among real sales.
    pub fn load_or_make(dir: &DataDir, journal_dir: &Path) -> anyhow::Result<DemoSecrets> {
        let path = dir.path.join(DEMO_SECRETS);
        let context = || path.display().to_string();
        if !path.try_exists().with_context(context)? {
            if journal_dir.exists() {
                bail!("data_dir: {} was not begun by a demo; give the demo a directory of its own", dir.path.display());
            }
            DemoSecrets::make()?.write(&path).with_context(context)?;
        }
        toml::from_str(&std::fs::read_to_string(&path).with_context(context)?).with_context(context)
    }

    fn make() -> anyhow::Result<DemoSecrets> {
        let MerchantKeys { private_key_pem, public_key_pem, serial } = generate_merchant()?;
        Ok(DemoSecrets {
            merchant_private_key_pem: private_key_pem,
            merchant_public_key_pem: public_key_pem,
            merchant_serial: serial,
            api_v3_key: random_hex(KEY_LEN / 2)?,
            app_secret: random_hex(KEY_LEN / 2)?,
            code_key: random_hex(KEY_LEN)?,
            document_key: random_hex(KEY_LEN)?,
        })
    }

    /// Complete or not at all: the start may be cut off anywhere. Never in the place of others.
    fn write(&self, path: &Path) -> std::io::Result<()> {
        let text = toml::to_string(self).map_err(std::io::Error::other)?;
        let unfinished = path.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::hard_link(&unfinished, path)?;
        std::fs::remove_file(&unfinished)?;
        path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
    }
}

/// One key of version 1 from hex digits.
pub fn demo_key(digits: &str) -> anyhow::Result<Vec<(u32, [u8; KEY_LEN])>> {
    Ok(vec![parse_key(&format!("1 {digits}")).context(DEMO_SECRETS)?])
}

fn random_hex(bytes: usize) -> anyhow::Result<String> {
    let mut buffer = vec![0; bytes];
    SystemRandom::new().fill(&mut buffer).map_err(|_| anyhow::anyhow!("no random numbers"))?;
    Ok(hex::encode(buffer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_keeps_its_secrets_over_a_restart() -> anyhow::Result<()> {
        let place = tempfile::tempdir()?;
        let (dir, journal) = (DataDir::hold(place.path())?, place.path().join("journal"));
        let made = DemoSecrets::load_or_make(&dir, &journal)?;
        std::fs::create_dir(&journal)?;
        let read = DemoSecrets::load_or_make(&dir, &journal)?;
        assert_eq!(made.code_key, read.code_key);
        assert_eq!(made.api_v3_key.len(), 32, "WeChat's key is 32 characters");
        assert_eq!(demo_key(&made.document_key)?.len(), 1);
        Ok(())
    }

    #[test]
    fn fault_8_secrets_are_written_once() -> anyhow::Result<()> {
        let place = tempfile::tempdir()?;
        let path = place.path().join(DEMO_SECRETS);
        DemoSecrets::make()?.write(&path)?;
        let first = std::fs::read(&path)?;
        let again = DemoSecrets::make()?.write(&path).unwrap_err();
        assert_eq!(again.kind(), std::io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path)?, first);
        Ok(())
    }

    #[test]
    fn the_demo_does_not_begin_where_sales_were_begun() -> anyhow::Result<()> {
        let place = tempfile::tempdir()?;
        let (dir, journal) = (DataDir::hold(place.path())?, place.path().join("journal"));
        std::fs::create_dir(&journal)?;
        let refused = DemoSecrets::load_or_make(&dir, &journal).map(drop).unwrap_err();
        assert!(refused.to_string().contains("not begun by a demo"), "{refused}");
        assert!(!dir.path.join(DEMO_SECRETS).exists(), "it would keep `serve` from starting");
        Ok(())
    }

    #[test]
    fn fault_12_a_file_of_a_secret_with_nothing_in_it_is_not_as_if_it_were_not_named() -> anyhow::Result<()> {
        let mut file = tempfile::NamedTempFile::new()?;
        writeln!(file)?;
        let mut secret = SecretString::default();
        let error = read_secret(&mut secret, file.path(), "database.url_file").unwrap_err().to_string();
        assert!(error.starts_with("database.url_file: there is nothing in "), "{error}");
        Ok(())
    }

    #[test]
    fn a_key_that_is_not_set_is_named() {
        let error = read_keys(Path::new(""), "secrets.code_keys_file").unwrap_err();
        assert_eq!(error.to_string(), "secrets.code_keys_file is not set");
    }

    #[test]
    fn a_key_file_names_the_bad_line() -> anyhow::Result<()> {
        let mut file = tempfile::NamedTempFile::new()?;
        writeln!(file, "# keys\n1 {}\n2 zz", "ab".repeat(32))?;
        let error = read_keys(file.path(), "secrets.code_keys_file").unwrap_err();
        assert!(format!("{error:#}").contains(":3:"), "{error:#}");
        Ok(())
    }

    fn code_keys(text: &str) -> anyhow::Result<Vec<CodeKey>> {
        let mut file = tempfile::NamedTempFile::new()?;
        file.write_all(text.as_bytes())?;
        read_code_keys(file.path())
    }

    #[test]
    fn r_ticket_04_a_code_key_may_say_when_it_seals_and_opens() -> anyhow::Result<()> {
        let digits = "ab".repeat(32);
        let keys = code_keys(&format!(
            "# codes\n1 {digits}\n2  {digits}  opens_until=2027-06-01T00:00:00Z seals_from=2026-12-01T08:00:00+08:00\n"
        ))?;
        let seconds = |at: Option<Timestamp>| at.map(Timestamp::as_seconds);
        assert_eq!((keys[0].version, seconds(keys[0].seals_from), seconds(keys[0].opens_until)), (1, None, None));
        let times = (seconds(keys[1].seals_from), seconds(keys[1].opens_until));
        assert_eq!((keys[1].version, times), (2, (Some(1_796_083_200), Some(1_811_808_000))));
        assert_eq!(keys[1].secret, [0xab; KEY_LEN]);
        Ok(())
    }

    #[test]
    fn a_word_after_a_code_key_that_says_nothing_is_an_error() {
        let digits = "ab".repeat(32);
        for (word, complaint) in [
            ("seals_from", "without ="),
            ("seals_from=tomorrow", "seals_from is no RFC 3339 time"),
            ("seals_form=2026-12-01T00:00:00Z", "else than seals_from and opens_until"),
            ("opens_until=2026-12-01T00:00:00Z opens_until=2026-12-02T00:00:00Z", "twice"),
        ] {
            let error = code_keys(&format!("1 {digits} {word}")).unwrap_err();
            assert!(format!("{error:#}").contains(complaint), "{error:#}");
        }
    }

    #[test]
    fn fault_4_what_is_wrong_with_a_line_of_keys_is_said_without_what_may_be_a_key() {
        let digits = "1234abcd".repeat(8);
        for rest in [" cafe5678", " cafe5678=", " opens_until=cafe5678", "cafe5678", "-cafe5678"] {
            let error = format!("{:#}", code_keys(&format!("1 {digits}{rest}")).unwrap_err());
            assert!(error.contains(":1:") && !error.contains("cafe") && !error.contains("abcd"), "{error}");
        }
    }
}

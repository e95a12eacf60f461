//! Whether a configuration is good for production: everything that is missing at once, and what is doubtful.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use actix_web::http::Uri;
use anyhow::{Context as _, bail};
use deeptravel_domain::code::CodeKey;
use deeptravel_domain::sealing::DocumentKeys;
use deeptravel_wechat::Client;
use jiff::Timestamp;

use crate::api::ServerSettings;
use crate::config::Config;
use crate::here::is_here;
use crate::postgres;
use crate::secrets::DEMO_SECRETS;

/// Permissions that a file with a secret gives nobody: anything to others, and writing to a group.
const OF_OTHERS: u32 = 0o027;

/// What is said of a proxy that is not believed.
const ALL_ARE_ONE: &str = "server.trusted_proxies is empty although server.behind_tls_proxy: all clients have the proxy's \
    address, and whoever guesses passwords locks everybody out of the names that he guesses at; name the proxy";

/// What seals codes and documents.
pub struct Keys {
    /// They are prepared when the engine runs: its time says which of them seals.
    pub codes: Vec<CodeKey>,
    pub documents: Arc<DocumentKeys>,
}

/// What production needs of the configuration. The error names everything that is missing, a line each.
pub fn check(config: &Config) -> anyhow::Result<(Client, Keys)> {
    let mut problems = config.wrong.clone();
    if config.data_dir.join(DEMO_SECRETS).exists() {
        let dir = config.data_dir.display();
        problems.push(format!("data_dir: {dir} belongs to a demo; its secrets must not be sold with"));
    }
    let mut note = |error: anyhow::Error| problems.push(format!("{error:#}"));
    let _ = config.database.access().map_err(&mut note);
    let _ = config.server.tls().map_or(Ok(()), |files| files.check()).map_err(&mut note);
    let _ = check_listener(&config.server).map_err(&mut note);
    let codes = config.secrets.code_keys().map_err(&mut note).ok();
    let documents = config.secrets.document_keys().map_err(&mut note).ok().map(Arc::new);
    let missing = config.wechat.missing().map(|key| format!("{key} is not set"));
    let missing: Vec<String> = missing.chain(config.wechat.unread().map(|error| format!("{error:#}"))).collect();
    // It names the first thing that it cannot use: only what is complete and could be read is worth its look.
    let is_complete = missing.is_empty() && config.wrong.is_empty();
    let client = is_complete.then(|| config.wechat.client(&config.server.own_url()).map_err(&mut note).ok()).flatten();
    problems.extend(missing);

    match (client, codes, documents) {
        (Some(client), Some(codes), Some(documents)) if problems.is_empty() => Ok((client, Keys { codes, documents })),
        _ => bail!("{}", problems.join("\n")),
    }
}

/// Whoever is reached by others speaks TLS, or has somebody in front who does.
fn check_listener(server: &ServerSettings) -> anyhow::Result<()> {
    if server.is_reached_by_others() && server.tls().is_none() && !server.behind_tls_proxy {
        bail!(
            "server.listen = {}: other machines reach it, and without TLS everybody on the way reads passwords and tokens: \
             set server.tls_certificate and server.tls_key, or server.behind_tls_proxy = true if a proxy in front ends TLS",
            server.listen
        );
    }
    Ok(())
}

/// All that `config check` has to say: what is missing, whether the database answers, and what is doubtful.
pub async fn complaints(config: &Config) -> Vec<String> {
    let missing = check(config).err().map(|error| error.to_string());
    let unanswered = try_database(config).await.err().map(|error| format!("{error:#}"));
    [missing, unanswered].into_iter().flatten().chain(questionable(config)).collect()
}

/// A database that is not the private one has to answer; what cannot be a database is among what is missing.
async fn try_database(config: &Config) -> anyhow::Result<()> {
    match config.database.access() {
        Ok(Some(access)) => postgres::try_out(&access).await.context("database.url"),
        Ok(None) | Err(_) => Ok(()),
    }
}

/// What production starts with, and should not: secrets that others can read, a certificate that ends, a proxy that is not
/// believed, keys with two purposes, open connections.
pub fn questionable(config: &Config) -> Vec<String> {
    let files =
        [config.server.files(), config.database.files(), config.wechat.files(), config.secrets.files()].concat();
    let certificate = config.server.tls().and_then(|files| files.doubt(Timestamp::now()));
    let literals = config.literals.iter().map(|literal| (literal.key.as_str(), literal.file.as_path()));
    let open_files = files.into_iter().chain(literals).filter_map(|(key, path)| open_to_others(key, path));
    let urls = config.wechat.urls().into_iter().filter(|(_, url)| is_open(url));
    let urls = urls.map(|(key, url)| format!("{key} = {url}: everybody on the way reads and changes it; use https:"));
    let keys = [config.secrets.keys(), config.wechat.keys()].concat();
    let proxies = config.server.believes_no_proxy().then(|| ALL_ARE_ONE.to_owned());
    open_files.chain(certificate).chain(proxies).chain(urls).chain(used_twice(&keys)).collect()
}

fn open_to_others(key: &str, path: &Path) -> Option<String> {
    // Whoever reads it says if it is not there.
    let mode = path.metadata().ok()?.permissions().mode() & 0o777;
    let path = path.display();
    (mode & OF_OTHERS != 0)
        .then(|| format!("{key}: {path} has mode {mode:03o}; only this service should read it: chmod 600"))
}

/// Whether a URL leaves this machine without TLS.
fn is_open(url: &str) -> bool {
    let Ok(url) = url.parse::<Uri>() else { return false };
    let host = url.host().unwrap_or_default();
    url.scheme_str() == Some("http") && !is_here(host.trim_start_matches('[').trim_end_matches(']'))
}

/// Pairs of purposes that have the same key.
fn used_twice(keys: &[(&'static str, Vec<u8>)]) -> Vec<String> {
    let mut said = Vec::new();
    for (index, (key, secret)) in keys.iter().enumerate() {
        for (other, same) in &keys[index + 1..] {
            let text = format!("{key} and {other} have a key in common: who learns one has both");
            if other != key && same == secret && !said.contains(&text) {
                said.push(text);
            }
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::path::PathBuf;

    use deeptravel_wechat::keys::generate_merchant;
    use tempfile::TempDir;

    use super::*;
    use crate::api::tests::tls::Authority;
    use crate::config::ConfigArgs;

    fn load(dir: &TempDir, toml: &str) -> Config {
        let path = write(dir, "production.toml", toml);
        let data_dir = Some(dir.path().join("data"));
        let args = ConfigArgs { files: vec![path], data_dir, ..ConfigArgs::default() };
        Config::read_with(&args, false, []).unwrap()
    }

    fn write(dir: &TempDir, name: &str, text: &str) -> PathBuf {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// A configuration that is good, with these keys for codes, this address for notices.
    fn complete(dir: &TempDir, code_key: &str, notify: &str) -> Config {
        let merchant = generate_merchant().unwrap();
        let private = write(dir, "merchant.pem", &merchant.private_key_pem);
        let codes = write(dir, "codes", &format!("1 {code_key}\n"));
        let documents = write(dir, "documents", &format!("1 {}\n", "cd".repeat(32)));
        let v3 = write(dir, "v3", "0123456789abcdef0123456789abcdef\n");
        load(
            dir,
            &format!(
                r#"
                [wechat]
                base_url = "https://api.mch.weixin.qq.com"
                api_base_url = "https://api.weixin.qq.com"
                appid = "wx0123456789abcdef"
                app_secret = "secret"
                mchid = "1900000001"
                merchant_serial = "{}"
                merchant_private_key_file = "{}"
                api_v3_key_file = "{}"
                notify_base_url = "{notify}"
                [secrets]
                code_keys_file = "{}"
                document_keys_file = "{}"
                "#,
                merchant.serial,
                private.display(),
                v3.display(),
                codes.display(),
                documents.display(),
            ),
        )
    }

    #[test]
    fn fault_15_everything_that_is_missing_is_named_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let error = check(&load(&dir, "")).map(drop).unwrap_err().to_string();
        for key in [
            "secrets.code_keys_file",
            "secrets.document_keys_file",
            "wechat.base_url",
            "wechat.api_base_url",
            "wechat.appid",
            "wechat.app_secret",
            "wechat.mchid",
            "wechat.merchant_serial",
            "wechat.merchant_private_key_file",
            "wechat.api_v3_key",
            "wechat.notify_base_url",
        ] {
            assert!(error.lines().any(|line| line == format!("{key} is not set")), "{key}: {error}");
        }
        let complete = complete(&dir, &"ab".repeat(32), "https://shop.example");
        check(&complete).unwrap();
        assert_eq!(questionable(&complete), Vec::<String>::new());
    }

    #[test]
    fn fault_15_what_cannot_be_read_hides_nothing_that_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let toml = r#"
            database.url_file = "/nowhere/url"
            wechat.app_secret_file = "/nowhere/secret"
            wechat.api_v3_key_file = "/nowhere/key"
            wechat.merchant_private_key_file = "/nowhere/merchant"
            wechat.public_key_file = "/nowhere/public"
            session.staff_hours = 0"#;
        let error = check(&load(&dir, toml)).map(drop).unwrap_err().to_string();
        for said in [
            "database.url_file = /nowhere/url: ",
            "wechat.app_secret_file = /nowhere/secret: ",
            "wechat.api_v3_key_file = /nowhere/key: ",
            "wechat.merchant_private_key_file = /nowhere/merchant: ",
            "wechat.public_key_file = /nowhere/public: ",
            "session.staff_hours",
            "wechat.appid is not set",
            "secrets.code_keys_file is not set",
        ] {
            assert_eq!(error.lines().filter(|line| line.starts_with(said)).count(), 1, "{said}: {error}");
        }
        assert!(!error.contains("wechat.app_secret is not set") && !error.contains("wechat.api_v3_key is"), "{error}");
    }

    #[test]
    fn fault_15_secrets_that_others_can_read_are_doubted() {
        let dir = tempfile::tempdir().unwrap();
        let config = complete(&dir, &"ab".repeat(32), "https://shop.example");
        for (file, key) in [
            ("merchant.pem", "wechat.merchant_private_key_file"),
            ("v3", "wechat.api_v3_key_file"),
            ("codes", "secrets.code_keys_file"),
            ("documents", "secrets.document_keys_file"),
        ] {
            let path = dir.path().join(file);
            let set = |mode| std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            for mode in [0o644, 0o604, 0o660] {
                set(mode);
                let said = questionable(&config);
                assert!(said.len() == 1 && said[0].starts_with(key), "{file} {mode:o}: {said:?}");
            }
            set(0o640);
            assert_eq!(questionable(&config), Vec::<String>::new(), "a group of its own may read");
        }
    }

    #[test]
    fn fault_15_a_file_of_the_configuration_that_has_a_secret_itself_is_as_one_of_a_secret() {
        let dir = tempfile::tempdir().unwrap();
        let doubted = |toml: &str, mode| {
            let config = load(&dir, toml);
            std::fs::set_permissions(dir.path().join("production.toml"), Permissions::from_mode(mode)).unwrap();
            questionable(&config)
        };
        for (key, toml) in [
            ("wechat.app_secret", "[wechat]\napp_secret = \"hush\""),
            ("wechat.api_v3_key", "[wechat]\napi_v3_key = \"0123456789abcdef0123456789abcdef\""),
            ("database.url", "[database]\nurl = \"postgres://us:hush@db.example/deeptravel\""),
            ("database.url", "[database]\nurl = \"us:hush@db.example\""),
        ] {
            let said = doubted(toml, 0o644);
            assert!(said.len() == 1 && said[0].starts_with(key) && !said[0].contains("hush"), "{key}: {said:?}");
            assert!(said[0].contains("production.toml has mode 644"), "{said:?}");
            assert_eq!(doubted(toml, 0o640), Vec::<String>::new(), "a group of its own may read");
        }
        for nothing in ["[wechat]\napp_secret = \"\"\nmchid = \"1\"", "[database]\nurl = \"postgres:///deeptravel\""] {
            assert_eq!(doubted(nothing, 0o644), Vec::<String>::new(), "{nothing}");
        }
    }

    #[test]
    fn fault_11_whoever_is_reached_by_others_has_tls_or_a_proxy_that_has() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = complete(&dir, &"ab".repeat(32), "https://shop.example");
        for listen in ["0.0.0.0:443", "192.0.2.1:443", "[::]:443", "[2001:db8::1]:443"] {
            config.server.listen = listen.parse().unwrap();
            config.server.behind_tls_proxy = false;
            let said = check(&config).map(drop).unwrap_err().to_string();
            for key in ["server.listen", "server.tls_certificate", "server.tls_key", "server.behind_tls_proxy"] {
                assert!(said.contains(key), "{listen}: {key}: {said}");
            }
            config.server.behind_tls_proxy = true;
            check(&config).unwrap();
        }
        config.server.behind_tls_proxy = false;
        for listen in ["127.0.0.1:80", "127.0.0.2:80", "[::1]:80", "[::ffff:127.0.0.1]:80"] {
            config.server.listen = listen.parse().unwrap();
            check(&config).unwrap();
        }
    }

    #[test]
    fn fault_5_a_proxy_that_is_not_believed_is_doubted() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = complete(&dir, &"ab".repeat(32), "https://shop.example");
        config.server.behind_tls_proxy = true;
        let said = questionable(&config);
        assert!(said.len() == 1 && said[0].starts_with("server.trusted_proxies is empty"), "{said:?}");
        config.server.trusted_proxies = vec!["10.0.0.2".to_owned().try_into().unwrap()];
        assert_eq!(questionable(&config), Vec::<String>::new());
    }

    #[test]
    fn fault_11_a_certificate_is_read_before_the_start_and_its_key_is_nobody_elses() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = complete(&dir, &"ab".repeat(32), "https://shop.example");
        let certified = Authority::fresh().sign("shop.example");
        config.server.listen = "0.0.0.0:443".parse().unwrap();
        config.server.tls_certificate = write(&dir, "tls.pem", &certified.certificate);
        config.server.tls_key = write(&dir, "tls-key.pem", &certified.key);
        check(&config).unwrap();
        assert_eq!(questionable(&config), Vec::<String>::new());

        std::fs::set_permissions(&config.server.tls_key, Permissions::from_mode(0o644)).unwrap();
        let said = questionable(&config);
        assert!(said.len() == 1 && said[0].starts_with("server.tls_key"), "{said:?}");

        write(&dir, "tls-key.pem", &Authority::fresh().sign("shop.example").key);
        let said = check(&config).map(drop).unwrap_err().to_string();
        assert!(said.contains("server.tls_key is not the key of server.tls_certificate"), "{said}");

        let certified = Authority::fresh().sign_for("shop.example", (2020, 1, 1), (2021, 1, 1));
        write(&dir, "tls.pem", &certified.certificate);
        write(&dir, "tls-key.pem", &certified.key);
        check(&config).unwrap();
        let said = questionable(&config);
        assert!(said.len() == 1 && said[0].contains("has ended on 2021-01-01"), "{said:?}");
    }

    #[test]
    fn fault_15_a_key_with_two_purposes_and_an_address_without_tls_are_doubted() {
        let dir = tempfile::tempdir().unwrap();
        let said = questionable(&complete(&dir, &"cd".repeat(32), "http://shop.example"));
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].contains("wechat.notify_base_url") && said[0].contains("https:"), "{said:?}");
        assert!(said[1].contains("secrets.document_keys_file and secrets.code_keys_file"), "{said:?}");
        // The API v3 key is 32 characters; the same bytes in hexadecimal are the same key.
        let v3 = hex::encode("0123456789abcdef0123456789abcdef");
        let said = questionable(&complete(&dir, &v3, "http://127.0.0.1:8080"));
        assert!(said.len() == 1 && said[0].contains("wechat.api_v3_key"), "{said:?}");
    }
}

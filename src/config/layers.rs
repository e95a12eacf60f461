//! Where the value of a key comes from. One rule for every key: a later layer wins over an earlier one. The layers are
//! `base.toml`, what a demo adds, the files of `--config` in their order, the environment, the command line.
//!
//! A secret has two keys: itself, and a file that holds it. The last layer that has one of them decides. Within a layer they
//! must not contradict each other, nor `DATABASE_URL` the keys of the database in the environment.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use config::{Map, Value, ValueKind};
use toml::Table;

use super::ConfigArgs;

/// What the names of keys in the environment begin with: `DEEPTRAVEL__SECTION__KEY`.
const PREFIX: &str = "deeptravel__";
/// Between the parts of a name in the environment.
const SEPARATOR: &str = "__";
/// What others call `database.url`.
const DATABASE_URL: &str = "DATABASE_URL";
/// What the key of a secret's file ends with.
const FILE: &str = "_file";

/// A secret that stands in a file of `--config` itself, whether or not a later layer has another one.
#[derive(Debug, Clone)]
pub struct Literal {
    pub key: String,
    pub file: PathBuf,
}

/// Everything that is configured, as text, number, truth or list, and the secrets among it that stand in files as they are.
/// Errors name the key and where it stands.
pub fn merge(
    base: &str,
    demo: Option<&str>,
    args: &ConfigArgs,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> anyhow::Result<(Table, Vec<Literal>)> {
    let mut merged: Table = base.parse().context("base.toml")?;
    let (known, mut literals) = (merged.clone(), Vec::new());
    if let Some(demo) = demo {
        lay(&mut merged, demo.parse().context("demo.toml")?, "demo.toml")?;
    }
    for path in &args.files {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).with_context(|| name.clone())?;
        let layer = text.parse().with_context(|| name.clone())?;
        literals.extend(secrets_in(&known, &layer).map(|key| Literal { key, file: path.clone() }));
        lay(&mut merged, layer, &name)?;
    }
    lay(&mut merged, of_environment(&known, environment)?, "the environment")?;
    lay(&mut merged, of_command_line(args)?, "the command line")?;
    Ok((merged, literals))
}

/// The keys of a layer that have a secret as their value: those that could have had a file for it.
fn secrets_in(known: &Table, layer: &Table) -> impl Iterator<Item = String> {
    let of_section = |(name, section): (&String, &toml::Value)| {
        let keys = section.as_table().into_iter().flatten();
        let secrets = keys.filter(|(key, value)| {
            let has_file = known.get(name).and_then(|section| section.get(format!("{key}{FILE}"))).is_some();
            has_file && value.as_str().is_some_and(|text| is_secret(name, text))
        });
        secrets.map(|(key, _)| format!("{name}.{key}")).collect::<Vec<_>>()
    };
    layer.iter().flat_map(of_section).collect::<Vec<_>>().into_iter()
}

/// Not what is empty, nor the URL of a database that asks for no password.
fn is_secret(section: &str, text: &str) -> bool {
    let url = || text.parse::<tokio_postgres::Config>();
    !text.is_empty() && (section != "database" || url().map_or(true, |url| url.get_password().is_some()))
}

/// Puts a layer over those before it.
fn lay(merged: &mut Table, layer: Table, name: &str) -> anyhow::Result<()> {
    for (key, value) in layer {
        match (merged.get_mut(&key), value) {
            (Some(toml::Value::Table(section)), toml::Value::Table(layer)) => {
                lay_section(section, layer, &key).with_context(|| name.to_owned())?;
            }
            (Some(toml::Value::Table(_)), _) => bail!("{name}: {key} is a section, not a value"),
            (Some(slot), value) => *slot = value,
            (None, _) => bail!("{name}: there is no key {key}"),
        }
    }
    Ok(())
}

fn lay_section(section: &mut Table, layer: Table, name: &str) -> anyhow::Result<()> {
    for key in layer.keys() {
        if !section.contains_key(key) {
            bail!("there is no key {name}.{key}");
        }
        let Some(twin) = twin(section, key) else { continue };
        match layer.get(&twin) {
            Some(other) if !is_empty(other) && !is_empty(&layer[key]) => {
                bail!("{name}.{key} and {name}.{twin}: only one of them can be");
            }
            Some(_) => {}
            None => {
                section.insert(twin, String::new().into());
            }
        }
    }
    section.extend(layer);
    Ok(())
}

/// The other key of the same secret.
fn twin(section: &Table, key: &str) -> Option<String> {
    let twin = key.strip_suffix(FILE).map_or_else(|| format!("{key}{FILE}"), str::to_owned);
    section.contains_key(&twin).then_some(twin)
}

fn is_empty(value: &toml::Value) -> bool {
    value.as_str() == Some("")
}

/// The keys in the environment. Their values stay texts, and are read as what the key is; a list is divided by commas.
fn of_environment(known: &Table, environment: impl IntoIterator<Item = (OsString, OsString)>) -> anyhow::Result<Table> {
    let mut layer = Table::new();
    for (variable, value) in environment {
        let Some(variable) = variable.to_str() else { continue };
        let name = variable.to_lowercase();
        let path = match name.strip_prefix(PREFIX) {
            Some(path) => path,
            // Scripts that pass on what they may not have been given leave it empty.
            None if variable == DATABASE_URL && !value.is_empty() => "database__url",
            None => continue,
        };
        let text = value.into_string().map_err(|_| anyhow::anyhow!("{variable} is no text"))?;
        let (section, key) = path.split_once(SEPARATOR).map_or((None, path), |(section, key)| (Some(section), key));
        let (known, place) = match section {
            None => (Some(known), &mut layer),
            Some(section) => {
                let place = layer.entry(section).or_insert_with(|| Table::new().into());
                let place = place.as_table_mut().with_context(|| format!("{variable}: {section} is no section"))?;
                (known.get(section).and_then(toml::Value::as_table), place)
            }
        };
        let value = match known.and_then(|known| known.get(key)) {
            Some(toml::Value::Array(_)) => words(&text).into(),
            Some(toml::Value::Table(_)) | None => bail!("{variable}: there is no key {}", path.replace(SEPARATOR, ".")),
            Some(_) => text.into(),
        };
        if place.insert(key.to_owned(), value).is_some() {
            bail!("{variable}: the environment has {} twice", path.replace(SEPARATOR, "."));
        }
    }
    Ok(layer)
}

fn words(text: &str) -> Vec<toml::Value> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(Into::into).collect()
}

fn of_command_line(args: &ConfigArgs) -> anyhow::Result<Table> {
    let mut layer = Table::new();
    if let Some(dir) = &args.data_dir {
        layer.insert("data_dir".to_owned(), text_of(dir, "--data-dir")?.into());
    }
    if let Some(listen) = args.listen {
        let server: Table = [("listen".to_owned(), listen.to_string().into())].into_iter().collect();
        layer.insert("server".to_owned(), server.into());
    }
    Ok(layer)
}

fn text_of<'a>(path: &'a Path, option: &str) -> anyhow::Result<&'a str> {
    path.to_str().with_context(|| format!("{option}: {} is no text", path.display()))
}

/// As the crate reads it, which takes a text for a number or a truth where that is wanted.
pub fn value_of(toml: toml::Value) -> Value {
    let kind = match toml {
        toml::Value::String(text) => ValueKind::String(text),
        toml::Value::Integer(number) => ValueKind::I64(number),
        toml::Value::Float(number) => ValueKind::Float(number),
        toml::Value::Boolean(truth) => ValueKind::Boolean(truth),
        toml::Value::Datetime(time) => ValueKind::String(time.to_string()),
        toml::Value::Array(values) => ValueKind::Array(values.into_iter().map(value_of).collect()),
        toml::Value::Table(table) => {
            let entries = table.into_iter().map(|(key, value)| (key, value_of(value)));
            ValueKind::Table(entries.collect::<Map<String, Value>>())
        }
    };
    Value::new(None, kind)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use tempfile::NamedTempFile;

    use super::super::{BASE, Config};
    use super::*;

    fn file(toml: &str) -> NamedTempFile {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(toml.as_bytes()).unwrap();
        file
    }

    fn merged(files: &[&str], environment: &[(&str, &str)]) -> anyhow::Result<Table> {
        let files: Vec<NamedTempFile> = files.iter().map(|toml| file(toml)).collect();
        let args =
            ConfigArgs { files: files.iter().map(|file| file.path().to_owned()).collect(), ..ConfigArgs::default() };
        let environment = environment.iter().map(|(name, value)| (name.into(), value.into()));
        Ok(merge(BASE, None, &args, environment)?.0)
    }

    fn refused(files: &[&str], environment: &[(&str, &str)]) -> String {
        format!("{:#}", merged(files, environment).unwrap_err())
    }

    /// Every key with its section, if it is in one, and the kind of its value.
    fn keys() -> Vec<(Option<String>, String, toml::Value)> {
        let base: Table = BASE.parse().unwrap();
        let of = |(name, value): (String, toml::Value)| match value {
            toml::Value::Table(section) => {
                section.into_iter().map(|(key, value)| (Some(name.clone()), key, value)).collect()
            }
            value => vec![(None, name, value)],
        };
        base.into_iter().flat_map(of).collect()
    }

    /// Two values that are not the default, as they stand in a file, and as they come from the environment.
    fn samples(default: &toml::Value) -> [(String, String, toml::Value); 2] {
        let text = |text: &str| (format!("{text:?}"), text.to_owned(), text.into());
        let number = |number: i64| (number.to_string(), number.to_string(), toml::Value::Integer(number));
        let list = |word: &str| (format!("[{word:?}]"), word.to_owned(), vec![toml::Value::from(word)].into());
        match default {
            toml::Value::String(_) => [text("one"), text("two")],
            toml::Value::Integer(default) => [number(default + 1), number(default + 2)],
            toml::Value::Boolean(_) => [true, false].map(|truth| (truth.to_string(), truth.to_string(), truth.into())),
            toml::Value::Array(_) => [list("192.0.2.1"), list("192.0.2.2")],
            other => panic!("{other}"),
        }
    }

    #[test]
    fn fault_12_for_every_key_a_later_layer_wins() {
        for (section, key, default) in keys() {
            let path = section.iter().cloned().chain([key.clone()]).collect::<Vec<_>>();
            let line = |value: &str| match &section {
                Some(section) => format!("[{section}]\n{key} = {value}"),
                None => format!("{key} = {value}"),
            };
            let variable = format!("DEEPTRAVEL__{}", path.join("__").to_uppercase());
            let found = |files: &[&str], environment: &[(&str, &str)]| {
                let merged = merged(files, environment).unwrap();
                let found =
                    section.as_ref().map_or(&merged, |section| merged[section].as_table().unwrap())[&key].clone();
                // From the environment it is a text, which is read as what the key is.
                match found {
                    toml::Value::String(text) if !default.is_str() => text.parse().unwrap(),
                    found => found,
                }
            };
            assert_eq!(found(&[], &[]), default, "{path:?}");
            let [one, two] = samples(&default);
            for (lower, higher) in [(&one, &two), (&two, &one)] {
                let (lower_line, higher_line) = (line(&lower.0), line(&higher.0));
                let in_both = [lower_line.as_str(), higher_line.as_str()];
                assert_eq!(found(&[&lower_line], &[]), lower.2, "{path:?}: file over default");
                assert_eq!(found(&in_both, &[]), higher.2, "{path:?}: later file over file");
                assert_eq!(found(&in_both, &[(&variable, &lower.1)]), lower.2, "{path:?}: environment over files");
            }
        }
    }

    #[test]
    fn fault_12_the_command_line_wins_over_all() {
        let file = file("data_dir = \"file\"\n[server]\nlisten = \"127.0.0.1:1\"");
        let args = ConfigArgs {
            files: vec![file.path().to_owned()],
            data_dir: Some("line".into()),
            listen: Some("127.0.0.1:3".parse().unwrap()),
        };
        let environment = [("DEEPTRAVEL__DATA_DIR", "environment"), ("DEEPTRAVEL__SERVER__LISTEN", "127.0.0.1:2")];
        let environment = environment.map(|(name, value)| (name.into(), value.into()));
        let (merged, _) = merge(BASE, None, &args, environment).unwrap();
        assert_eq!(
            (merged["data_dir"].as_str(), merged["server"]["listen"].as_str()),
            (Some("line"), Some("127.0.0.1:3"))
        );
    }

    #[test]
    fn fault_12_a_secret_is_what_the_last_layer_says_that_has_it_or_its_file() {
        let secrets =
            keys().into_iter().filter_map(|(section, key, _)| Some((section?, key.strip_suffix(FILE)?.to_owned())));
        let base: Table = BASE.parse().unwrap();
        let secrets: Vec<_> = secrets.filter(|(section, key)| base[section].get(key).is_some()).collect();
        assert_eq!(secrets.len(), 3, "the database's URL, the app's secret, the API v3 key: {secrets:?}");
        for (section, key) in secrets {
            let line = |key: &str| format!("[{section}]\n{key} = \"{key}\"");
            let variable = |key: &str| format!("DEEPTRAVEL__{section}__{key}").to_uppercase();
            let file = format!("{key}{FILE}");
            let found = |files: &[&str], environment: &[(&str, &str)]| {
                let merged = merged(files, environment).unwrap();
                [&key, &file].map(|key| merged[&section][key].as_str().unwrap().to_owned())
            };
            let (own, other) = (line(&key), line(&file));
            assert_eq!(found(&[&own, &other], &[]), ["", &file], "{section}.{key}");
            assert_eq!(found(&[&other, &own], &[]), [&key, ""], "{section}.{key}");
            assert_eq!(found(&[&other], &[(&variable(&key), "hush")]), ["hush", ""], "{section}.{key}");
            assert_eq!(found(&[&own], &[(&variable(&file), "path")]), ["", "path"], "{section}.{key}");
            let both = format!("{own}\n{file} = \"path\"");
            assert!(refused(&[&both], &[]).contains(&format!("{section}.{file}")), "{section}.{key}");
        }
    }

    #[test]
    fn fault_12_database_url_stands_in_the_environment_and_is_never_ignored() {
        let url = |files: &[&str], environment: &[(&str, &str)]| {
            merged(files, environment).unwrap()["database"]["url"].as_str().unwrap().to_owned()
        };
        let given = [(DATABASE_URL, "postgres://given")];
        assert_eq!(url(&[], &given), "postgres://given");
        assert_eq!(url(&["[database]\nurl = \"postgres://file\""], &given), "postgres://given");
        assert_eq!(url(&["[database]\nurl_file = \"/etc/url\""], &given), "postgres://given");
        assert_eq!(url(&["[database]\nurl = \"postgres://file\""], &[(DATABASE_URL, "")]), "postgres://file");
        for other in ["DEEPTRAVEL__DATABASE__URL", "DEEPTRAVEL__DATABASE__URL_FILE"] {
            for order in [[given[0], (other, "else")], [(other, "else"), given[0]]] {
                assert!(refused(&[], &order).contains("database.url"), "{other}");
            }
        }
    }

    #[test]
    fn fault_12_a_key_that_is_none_is_named_with_its_place() {
        assert!(refused(&["[order]\nlock_secs = 7"], &[]).ends_with("there is no key order.lock_secs"));
        assert!(refused(&["[ordre]\nlock_seconds = 7"], &[]).ends_with("there is no key ordre"));
        for variable in ["DEEPTRAVEL__ORDER__LOCK_SECS", "DEEPTRAVEL__ORDRE__LOCK_SECONDS", "DEEPTRAVEL__ORDER"] {
            assert!(refused(&[], &[(variable, "7")]).contains(variable), "{variable}");
        }
    }

    #[test]
    fn fault_13_values_of_the_environment_keep_their_text() {
        for text in ["01234567890123456789012345678901", "1e5", "0x10", "true", " padded ", "a,b", "007", "[1]"] {
            let merged = merged(&[], &[("DEEPTRAVEL__WECHAT__API_V3_KEY", text)]).unwrap();
            assert_eq!(merged["wechat"]["api_v3_key"].as_str(), Some(text));
        }
        let environment = [
            ("DEEPTRAVEL__WECHAT__API_V3_KEY", "01234567890123456789012345678901"),
            ("DEEPTRAVEL__ORDER__LOCK_SECONDS", "7"),
            ("DEEPTRAVEL__PROJECTOR__PAUSED", "true"),
            ("DEEPTRAVEL__SERVER__OPS_ALLOW", "192.0.2.1, 192.0.2.2"),
            ("DEEPTRAVEL__SERVER__TRUSTED_PROXIES", "192.0.2.1,10.0.0.0/8"),
        ];
        let environment = environment.map(|(name, value)| (name.into(), value.into()));
        let config = Config::read_with(&ConfigArgs::default(), false, environment).unwrap();
        assert_eq!((config.order.lock_seconds, config.projector.paused), (Some(7), true));
        assert_eq!((config.server.ops_allow.len(), config.server.trusted_proxies.len()), (2, 2));
    }
}

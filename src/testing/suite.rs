//! One place for what the servers of a run of the tests write, and for everything that the tests told them that no log may
//! show. `./test` names the place; when all tests have run, `tests/logs.rs` searches the one for the other.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::embedded::{Cluster, EmbeddedError, Options};
use crate::secrets::{DEMO_SECRETS, DemoSecrets};
use crate::telemetry::{LogSettings, dispatch};

/// Names the directory. Without it nothing is kept: whoever runs a few tests reads logs as they come.
pub const PLACE: &str = "DEEPTRAVEL_TEST_LOGS";

/// Within the place: a file for each process, with a line of JSON for each [`Used`].
pub const USED: &str = "used";

/// What ends the names of logs, of our servers and of Postgres. They begin with the suite and a dot.
pub const OF_SERVER: &str = ".server.log";
pub const OF_POSTGRES: &str = ".postgres.log";

/// What a ticket's code begins with; it is much longer.
const TICKET_CODE: &str = "DT1";
const TICKET_CODE_LEN_MIN: usize = 20;

/// What the login code of a simulated traveller begins with; the rest is the openid.
const LOGIN_CODE: &str = "demo-";

/// What is shown in no log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Name,
    Phone,
    Email,
    Document,
    Openid,
    /// Of a login.
    Token,
    Password,
    /// Of a device, of the merchant at WeChat, or a key.
    Secret,
    /// What lets its holder board.
    Code,
}

impl Kind {
    pub const ALL: [Kind; 9] = [
        Kind::Name,
        Kind::Phone,
        Kind::Email,
        Kind::Document,
        Kind::Openid,
        Kind::Token,
        Kind::Password,
        Kind::Secret,
        Kind::Code,
    ];
}

/// Something that a test has told a server, or was told by one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Used {
    pub kind: Kind,
    pub value: String,
}

/// The directory, made if it is missing.
fn place() -> Option<&'static Path> {
    static MADE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let place = PathBuf::from(std::env::var_os(PLACE)?);
        std::fs::create_dir_all(place.join(USED)).unwrap_or_else(|error| panic!("{}: {error}", place.display()));
        Some(place)
    });
    made.as_deref()
}

fn append(path: &Path) -> File {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A new log for a server of this suite, to be appended to. `None`: nobody collects them.
pub fn server_log(suite: &str) -> Option<PathBuf> {
    static STARTED: AtomicU32 = AtomicU32::new(0);
    let number = STARTED.fetch_add(1, Ordering::Relaxed);
    Some(place()?.join(format!("{suite}.{}-{number}{OF_SERVER}", std::process::id())))
}

/// The same, opened.
pub fn open_server_log(suite: &str) -> Option<File> {
    server_log(suite).as_deref().map(append)
}

/// What this process logs stands in a log of the suite, too, with everything that a server logs.
pub fn log_of_this_process(suite: &str) {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let Some(file) = open_server_log(suite) else { return };
        let log = dispatch(&LogSettings::text("debug"), Mutex::new(file));
        let installed = log.and_then(|log| Ok(log.try_init()?));
        installed.unwrap_or_else(|error| panic!("{error:#}"));
    });
}

/// Starts a private Postgres of this suite, whose log is kept.
pub fn cluster(suite: &str, options: &Options) -> Result<Cluster, EmbeddedError> {
    let cluster = Cluster::start(options)?;
    keep_postgres_log(suite, &options.data_dir);
    Ok(cluster)
}

/// Keeps the log of a private Postgres that runs in `data_dir`, also when the directory is removed: it gets a second name.
/// On another file system than the place's it is copied as it is now.
pub fn keep_postgres_log(suite: &str, data_dir: &Path) {
    let Some(place) = place() else { return };
    let log = data_dir.join("postgres.log");
    let found = log.metadata().unwrap_or_else(|error| panic!("{}: {error}", log.display()));
    let kept = place.join(format!("{suite}.{}-{}{OF_POSTGRES}", found.dev(), found.ino()));
    let outcome = match std::fs::hard_link(&log, &kept).map_err(|error| error.kind()) {
        Ok(()) | Err(ErrorKind::AlreadyExists) => Ok(()),
        Err(_) => std::fs::copy(&log, &kept).map(drop),
    };
    outcome.unwrap_or_else(|error| panic!("{} as {}: {error}", log.display(), kept.display()));
}

/// Notes something that no log may show.
pub fn used(kind: Kind, value: &str) {
    /// By this process.
    struct Noted {
        known: HashSet<Used>,
        file: File,
    }
    static NOTED: OnceLock<Option<Mutex<Noted>>> = OnceLock::new();
    let noted = NOTED.get_or_init(|| {
        let file = append(&place()?.join(USED).join(std::process::id().to_string()));
        Some(Mutex::new(Noted { known: HashSet::new(), file }))
    });
    let Some(noted) = noted else { return };
    let Noted { known, file } = &mut *noted.lock().unwrap_or_else(PoisonError::into_inner);
    let new = Used { kind, value: value.to_owned() };
    if value.is_empty() || known.contains(&new) {
        return;
    }
    let line = serde_json::to_string(&new).unwrap_or_else(|error| panic!("{error}"));
    file.write_all(format!("{line}\n").as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    known.insert(new);
}

/// Notes what a body tells that no log may show, by the names of its fields.
pub fn used_in(body: &Value) {
    if place().is_some() {
        each_in(body, "", &mut used);
    }
}

/// `within`: the field that this is the value of, or a part of.
fn each_in(body: &Value, within: &str, found: &mut impl FnMut(Kind, &str)) {
    match body {
        Value::Array(parts) => parts.iter().for_each(|part| each_in(part, within, found)),
        Value::Object(fields) => {
            for (field, value) in fields {
                match value.as_str() {
                    Some(text) => {
                        if let Some((kind, text)) = kind_of(within, field, text) {
                            found(kind, text);
                        }
                    }
                    None => each_in(value, field, found),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn kind_of<'a>(within: &str, field: &str, text: &'a str) -> Option<(Kind, &'a str)> {
    let kind = match (within, field) {
        ("passengers" | "passenger" | "contact", "name") => Kind::Name,
        (_, "phone") => Kind::Phone,
        (_, "email") => Kind::Email,
        // A mask is made to be shown.
        ("document", "number") if !text.contains('*') => Kind::Document,
        (_, "openid") => Kind::Openid,
        (_, "token" | "operatorToken") => Kind::Token,
        (_, "password" | "oldPassword" | "newPassword") => Kind::Password,
        (_, "deviceSecret") => Kind::Secret,
        (_, "code") if text.starts_with(TICKET_CODE) && text.len() >= TICKET_CODE_LEN_MIN => Kind::Code,
        (_, "code") => return Some((Kind::Openid, text.strip_prefix(LOGIN_CODE)?)),
        _ => return None,
    };
    Some((kind, text))
}

/// Notes what a request tells: its body, and the headers that let somebody in.
pub fn used_in_request(request: &reqwest::Request) {
    if place().is_none() {
        return;
    }
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    if let Some(token) = header("authorization").and_then(|value| value.strip_prefix("Bearer ")) {
        used(Kind::Token, token);
    }
    if let Some(secret) = header("x-device-secret") {
        used(Kind::Secret, secret);
    }
    // What the demo prints is no secret.
    if let Some(key) = header("x-api-key").filter(|key| key.starts_with("dt_") && !key.starts_with("dt_demo_")) {
        used(Kind::Secret, key);
    }
    let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
    if let Ok(body) = serde_json::from_slice(body) {
        used_in(&body);
    }
}

/// Notes the secrets of a demo in this directory, if it is one.
pub fn used_by_demo(data_dir: &Path) {
    let Ok(secrets) = std::fs::read_to_string(data_dir.join(DEMO_SECRETS)) else { return };
    let secrets: DemoSecrets = toml::from_str(&secrets).unwrap_or_else(|error| panic!("{error}"));
    let DemoSecrets {
        merchant_private_key_pem,
        merchant_public_key_pem: _,
        merchant_serial: _,
        api_v3_key,
        app_secret,
        code_key,
        document_key,
    } = secrets;
    for secret in [merchant_private_key_pem, api_v3_key, app_secret, code_key, document_key] {
        used_secret(&secret);
    }
}

/// Notes a secret. Of a private key in PEM that is each of its lines, but not the frame around them.
pub fn used_secret(secret: &str) {
    secret.lines().filter(|line| !line.starts_with('-')).for_each(|line| used(Kind::Secret, line));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found_in(body: &Value) -> Vec<(Kind, String)> {
        let mut found = Vec::new();
        each_in(body, "", &mut |kind, text| found.push((kind, text.to_owned())));
        found.sort();
        found
    }

    #[test]
    fn fault_4_everything_personal_in_a_body_is_noted_and_nothing_else() {
        let order = json!({
            "items": [{ "kind": "journey", "name": "Ferry", "seatClass": { "code": "standard" } }],
            "passengers": [{ "name": "Mei", "type": "adult", "document": { "type": "passport", "number": "K1" } }],
            "contact": { "name": "Lok", "phone": "+852", "email": "a@b" },
        });
        let personal = [(Kind::Name, "Lok"), (Kind::Name, "Mei"), (Kind::Phone, "+852"), (Kind::Email, "a@b")];
        let personal = personal.into_iter().chain([(Kind::Document, "K1")]);
        assert_eq!(found_in(&order), personal.map(|(kind, text)| (kind, text.to_owned())).collect::<Vec<_>>());

        let code = "DT1:ABCDEFGHIJKLMNOPQRST";
        for (body, kind, text) in [
            (json!({ "code": "demo-mei" }), Kind::Openid, "mei"),
            (json!({ "payer": { "openid": "mei" } }), Kind::Openid, "mei"),
            (json!({ "code": code }), Kind::Code, code),
            (json!({ "username": "gate", "password": "p" }), Kind::Password, "p"),
            (json!({ "newPassword": "p" }), Kind::Password, "p"),
            (json!({ "operatorToken": "t" }), Kind::Token, "t"),
            (json!({ "sessionId": "1", "deviceSecret": "s" }), Kind::Secret, "s"),
        ] {
            assert_eq!(found_in(&body), [(kind, text.to_owned())]);
        }
        for nothing in [json!({ "code": "NOT_FOUND" }), json!({ "document": { "number": "*****67" } }), json!("mei")] {
            assert_eq!(found_in(&nothing), []);
        }
    }
}

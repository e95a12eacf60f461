//! Configuration: `config/base.toml` with every key, then files, the environment and the command line; which of them wins is
//! said in `layers`.

mod layers;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, bail};
use deeptravel_actors::clock::ClockOptions;
use deeptravel_actors::journal::JournalOptions;
use deeptravel_actors::projector::ProjectorOptions;
use deeptravel_actors::services::SalesPolicy;
use serde::Deserialize;

use crate::api::{OtaSettings, ServerSettings, SessionSettings};
use crate::data_dir::JOURNAL;
use crate::gateway::WechatSettings;
use crate::postgres::DatabaseSettings;
use crate::secrets::SecretFiles;
use crate::telemetry::LogSettings;
use crate::webhooks::WebhookSettings;

pub use layers::Literal;

const BASE: &str = include_str!("../config/base.toml");
const DEMO: &str = include_str!("../config/demo.toml");

/// Everything that can be configured; `config/base.toml` explains each key. A section is the type that uses it, reads and
/// checks it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub data_dir: PathBuf,
    pub server: ServerSettings,
    pub database: DatabaseSettings,
    pub order: SalesPolicy,
    pub session: SessionSettings,
    pub ota: OtaSettings,
    pub clock: ClockOptions,
    pub journal: JournalOptions,
    pub projector: ProjectorOptions,
    pub wechat: WechatSettings,
    pub secrets: SecretFiles,
    pub webhooks: WebhookSettings,
    pub log: LogSettings,
    #[serde(skip)]
    pub literals: Vec<Literal>,
    /// What no process can start with, a line each: values that are refused, files of secrets that cannot be read.
    #[serde(skip)]
    pub wrong: Vec<String>,
}

/// What the command line says about configuration.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ConfigArgs {
    /// A TOML file with keys of base.toml; may be given several times, later ones win.
    #[arg(long = "config", global = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Where everything durable lives.
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Address and port; port 0 takes a free one and prints it.
    #[arg(long, global = true, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
}

impl Config {
    /// Errors name the key; what is [`Config::wrong`] is an error only of [`Config::usable`].
    pub fn read(args: &ConfigArgs, demo: bool) -> anyhow::Result<Config> {
        Config::read_with(args, demo, std::env::vars_os())
    }

    /// The same in another environment.
    pub fn read_with(
        args: &ConfigArgs,
        demo: bool,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> anyhow::Result<Config> {
        let (merged, literals) = layers::merge(BASE, demo.then_some(DEMO), args, environment)?;
        let config = Config::deserialize(layers::value_of(merged.into())).context("configuration")?;
        let mut config = Config { literals, ..config };
        if config.data_dir.as_os_str().is_empty() {
            config.data_dir = crate::embedded::default_state_dir()?;
        }
        // Whoever fills a configuration in wants to know all of it.
        let read = [config.database.read_files()].into_iter().chain(config.wechat.read_files());
        let unread = read.filter_map(Result::err).map(|error| format!("{error:#}"));
        config.wrong = unread.chain(config.problems()).collect();
        Ok(config)
    }

    /// Names everything that is wrong.
    pub fn usable(self) -> anyhow::Result<Config> {
        if !self.wrong.is_empty() {
            bail!("{}", self.wrong.join("\n"));
        }
        Ok(self)
    }

    fn problems(&self) -> Vec<String> {
        let checks = [
            self.server.check(),
            self.order.check(),
            self.session.check(),
            self.ota.check(),
            self.clock.check(),
            self.journal.check(),
        ];
        checks.into_iter().filter_map(Result::err).collect()
    }

    pub fn journal_dir(&self) -> PathBuf {
        self.data_dir.join(JOURNAL)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn load(toml: &str) -> anyhow::Result<Config> {
        let mut file = tempfile::NamedTempFile::new()?;
        file.write_all(toml.as_bytes())?;
        let args = ConfigArgs { files: vec![file.path().to_owned()], ..ConfigArgs::default() };
        Config::read(&args, false)?.usable()
    }

    #[test]
    fn the_defaults_are_complete_and_files_override_them() -> anyhow::Result<()> {
        let config = load("[order]\nlock_seconds = 7")?;
        assert_eq!(config.order.lock_seconds, Some(7));
        assert_eq!(config.order.live_holds_max, 5);
        assert!(config.database.access()?.is_none());
        Ok(())
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_it() {
        let error = load("[order]\nlock_secs = 7").map(drop).unwrap_err();
        assert!(format!("{error:#}").contains("lock_secs"), "{error:#}");
    }

    #[test]
    fn fault_15_everything_that_is_wrong_is_named_at_once() {
        let error =
            load("[order]\ncap_extra_seconds = 10\n[session]\nstaff_hours = 0\n[database]\nurl_file = \"/nowhere\"");
        let error = error.map(drop).unwrap_err().to_string();
        for key in ["order.cap_extra_seconds", "session.staff_hours", "database.url_file"] {
            assert!(error.contains(key), "{key}: {error}");
        }
    }

    #[test]
    fn fault_1_a_server_without_connections_is_refused() -> anyhow::Result<()> {
        let error = load("[server]\nmax_connections = 0").map(drop).unwrap_err();
        assert!(error.to_string().contains("server.max_connections"), "{error}");
        assert!(!load("")?.server.behind_tls_proxy, "nobody is sent to TLS that is not there");
        Ok(())
    }

    #[test]
    fn fault_11_a_certificate_without_its_key_is_refused() {
        for key in ["tls_certificate", "tls_key"] {
            let error = load(&format!("[server]\n{key} = \"/etc/deeptravel/tls.pem\"")).map(drop).unwrap_err();
            assert!(error.to_string().contains("server.tls_certificate and server.tls_key"), "{error}");
        }
    }

    #[test]
    fn a_cap_without_room_for_a_payment_is_refused() {
        let error = load("[order]\ncap_extra_seconds = 10").map(drop).unwrap_err();
        assert!(error.to_string().contains("order.cap_extra_seconds"), "{error}");
    }

    #[test]
    fn a_retention_that_would_stop_sales_for_good_is_refused() {
        let error = load("[journal]\nretain_bytes = 28000000000").map(drop).unwrap_err();
        assert!(error.to_string().contains("journal.retain_bytes"), "{error}");
    }

    #[test]
    fn a_session_without_an_end_in_sight_is_refused() {
        let error = load("[session]\nstaff_hours = 4000000000").map(drop).unwrap_err();
        assert!(error.to_string().contains("session.staff_hours"), "{error}");
    }

    #[test]
    fn a_clock_that_is_never_doubted_is_refused() {
        for hours in [0, 4_000_000] {
            let error = load(&format!("[clock]\nstandstill_hours_max = {hours}")).map(drop).unwrap_err();
            assert!(error.to_string().contains("clock.standstill_hours_max"), "{error}");
        }
    }

    #[test]
    fn secrets_never_show() -> anyhow::Result<()> {
        let config = load("[wechat]\napp_secret = \"hush\"")?;
        assert!(!format!("{config:?}").contains("hush"));
        Ok(())
    }
}

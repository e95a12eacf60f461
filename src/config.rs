//! Configuration: `config/base.toml` with every key, then files, the environment and the command line.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use config::{Environment, File, FileFormat};
use deeptravel_actors::journal::{JournalOptions, RATIONED_PERCENT};
use deeptravel_actors::services::SalesPolicy;
use deeptravel_domain::order::PaymentPolicy;
use deeptravel_wechat::Certificates;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

const BASE: &str = include_str!("../config/base.toml");
const DEMO: &str = include_str!("../config/demo.toml");

/// A seat lock lasts an hour at most (R-HOLD-01).
const LOCK_SECONDS_MAX: u32 = 60 * 60;
/// A year; far below what overflows in seconds.
const SESSION_HOURS_MAX: u32 = 366 * 24;

/// Everything that can be configured; `config/base.toml` explains each key.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub data_dir: PathBuf,
    pub server: Server,
    pub database: Database,
    pub order: Order,
    pub session: Session,
    pub journal: Journal,
    pub projector: Projector,
    pub wechat: Wechat,
    pub secrets: Secrets,
    pub log: Log,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    pub listen: SocketAddr,
    pub workers: usize,
    pub arbiters: usize,
    pub max_in_flight: usize,
    pub ops_allow: Vec<IpAddr>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    pub url: SecretString,
    pub url_file: PathBuf,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    pub lock_seconds: u32,
    pub max_live_holds_per_traveller: u32,
    pub payment_grace_seconds: u32,
    pub cap_extra_seconds: u32,
    pub payment_min_seconds: u32,
    pub warm_load_bytes_max: u64,
    pub warm_bytes_max: usize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    pub traveller_hours: u32,
    pub staff_hours: u32,
    pub validator_hours: u32,
    pub code_seconds: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Journal {
    pub retain_hours: u32,
    pub retain_bytes: u64,
    pub max_bytes: u64,
    pub segment_bytes: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Projector {
    pub paused: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wechat {
    pub base_url: String,
    pub failover_base_url: String,
    pub api_base_url: String,
    pub appid: String,
    pub app_secret: SecretString,
    pub app_secret_file: PathBuf,
    pub mchid: String,
    pub merchant_serial: String,
    pub merchant_private_key_file: PathBuf,
    pub api_v3_key: SecretString,
    pub api_v3_key_file: PathBuf,
    pub public_key_id: String,
    pub public_key_file: PathBuf,
    pub certificates: Certificates,
    pub notify_base_url: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    pub document_keys_file: PathBuf,
    pub code_keys_file: PathBuf,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    pub filter: String,
    pub format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
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
    /// Errors name the key.
    pub fn load(args: &ConfigArgs, demo: bool) -> anyhow::Result<Config> {
        let mut builder = config::Config::builder().add_source(File::from_str(BASE, FileFormat::Toml));
        if demo {
            builder = builder.add_source(File::from_str(DEMO, FileFormat::Toml));
        }
        for path in &args.files {
            builder = builder.add_source(File::from(path.as_path()).format(FileFormat::Toml));
        }
        let environment = Environment::with_prefix("DEEPTRAVEL")
            .prefix_separator("__")
            .separator("__")
            .try_parsing(true)
            .list_separator(",")
            .with_list_parse_key("server.ops_allow");
        builder = builder.add_source(environment);
        if let Ok(url) = std::env::var("DATABASE_URL") {
            builder = builder.set_override("database.url", url)?;
        }
        if let Some(dir) = &args.data_dir {
            builder = builder.set_override("data_dir", dir.to_string_lossy().into_owned())?;
        }
        if let Some(listen) = &args.listen {
            builder = builder.set_override("server.listen", listen.to_string())?;
        }
        let mut config: Config = builder.build()?.try_deserialize().context("configuration")?;
        config.read_secret_files()?;
        config.check()?;
        Ok(config)
    }

    fn read_secret_files(&mut self) -> anyhow::Result<()> {
        read_secret(&mut self.database.url, &self.database.url_file, "database.url_file")?;
        read_secret(&mut self.wechat.app_secret, &self.wechat.app_secret_file, "wechat.app_secret_file")?;
        read_secret(&mut self.wechat.api_v3_key, &self.wechat.api_v3_key_file, "wechat.api_v3_key_file")
    }

    fn check(&mut self) -> anyhow::Result<()> {
        if self.data_dir.as_os_str().is_empty() {
            self.data_dir = crate::embedded::default_state_dir()?;
        }
        let positive = [
            ("server.max_in_flight", self.server.max_in_flight as u64),
            ("order.max_live_holds_per_traveller", u64::from(self.order.max_live_holds_per_traveller)),
            ("order.payment_min_seconds", u64::from(self.order.payment_min_seconds)),
            ("session.traveller_hours", u64::from(self.session.traveller_hours)),
            ("session.staff_hours", u64::from(self.session.staff_hours)),
            ("session.validator_hours", u64::from(self.session.validator_hours)),
            ("session.code_seconds", u64::from(self.session.code_seconds)),
        ];
        for (key, value) in positive {
            if value == 0 {
                bail!("{key} must be above 0");
            }
        }
        let payment = self.order.payment_min_seconds.saturating_add(self.order.payment_grace_seconds);
        if self.order.cap_extra_seconds < payment {
            bail!(
                "order.cap_extra_seconds must leave room for order.payment_min_seconds and order.payment_grace_seconds"
            );
        }
        self.check_ceilings()?;
        self.check_retention()
    }

    fn check_ceilings(&self) -> anyhow::Result<()> {
        let ceilings = [
            ("order.lock_seconds", self.order.lock_seconds, LOCK_SECONDS_MAX),
            ("session.traveller_hours", self.session.traveller_hours, SESSION_HOURS_MAX),
            ("session.staff_hours", self.session.staff_hours, SESSION_HOURS_MAX),
            ("session.validator_hours", self.session.validator_hours, SESSION_HOURS_MAX),
        ];
        for (key, value, ceiling) in ceilings {
            if value > ceiling {
                bail!("{key} must be at most {ceiling}");
            }
        }
        Ok(())
    }

    /// What retention keeps must not use up the space that sales need.
    fn check_retention(&self) -> anyhow::Result<()> {
        let for_sales = self.journal.max_bytes / 100 * RATIONED_PERCENT;
        let kept = self.journal.retain_bytes.saturating_add(self.journal.segment_bytes.saturating_mul(2));
        if kept >= for_sales {
            bail!(
                "journal.retain_bytes and two segments of journal.segment_bytes must fit into {RATIONED_PERCENT} % of \
                 journal.max_bytes, where new sales stop"
            );
        }
        Ok(())
    }

    /// The URL of the database, if it is not the private one.
    pub fn database_url(&self) -> Option<&str> {
        Some(self.database.url.expose_secret()).filter(|url| !url.is_empty())
    }

    pub fn journal_dir(&self) -> PathBuf {
        self.data_dir.join("journal")
    }

    pub fn journal_options(&self) -> JournalOptions {
        JournalOptions {
            max_bytes: self.journal.max_bytes,
            segment_bytes: self.journal.segment_bytes,
            ..JournalOptions::default()
        }
    }

    pub fn sales_policy(&self) -> SalesPolicy {
        SalesPolicy {
            lock_seconds: Some(self.order.lock_seconds).filter(|seconds| *seconds > 0),
            live_holds_max: self.order.max_live_holds_per_traveller,
            payment: PaymentPolicy {
                min_seconds: self.order.payment_min_seconds,
                grace_seconds: self.order.payment_grace_seconds,
                cap_extra_seconds: self.order.cap_extra_seconds,
            },
            warm_load_bytes_max: self.order.warm_load_bytes_max,
            warm_bytes_max: self.order.warm_bytes_max,
        }
    }

    /// Arbiters for the owners.
    pub fn arbiters(&self) -> usize {
        match self.server.arbiters {
            0 => (cores() / 2).max(1),
            set => set,
        }
    }

    /// HTTP worker threads.
    pub fn workers(&self) -> usize {
        match self.server.workers {
            0 => cores(),
            set => set,
        }
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn read_secret(secret: &mut SecretString, file: &Path, key: &str) -> anyhow::Result<()> {
    if file.as_os_str().is_empty() {
        return Ok(());
    }
    let text = std::fs::read_to_string(file).with_context(|| format!("{key} = {}", file.display()))?;
    *secret = text.trim_end().to_owned().into();
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn load(toml: &str) -> anyhow::Result<Config> {
        let mut file = tempfile::NamedTempFile::new()?;
        file.write_all(toml.as_bytes())?;
        let args = ConfigArgs { files: vec![file.path().to_owned()], ..ConfigArgs::default() };
        Config::load(&args, false)
    }

    #[test]
    fn the_defaults_are_complete_and_files_override_them() -> anyhow::Result<()> {
        let config = load("[order]\nlock_seconds = 7")?;
        assert_eq!(config.sales_policy().lock_seconds, Some(7));
        assert_eq!(config.order.max_live_holds_per_traveller, 5);
        assert_eq!(config.database_url(), None);
        Ok(())
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_it() {
        let error = load("[order]\nlock_secs = 7").map(drop).unwrap_err();
        assert!(format!("{error:#}").contains("lock_secs"), "{error:#}");
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
    fn secrets_never_show() -> anyhow::Result<()> {
        let config = load("[wechat]\napp_secret = \"hush\"")?;
        assert!(!format!("{config:?}").contains("hush"));
        Ok(())
    }
}

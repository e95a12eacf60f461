//! The process with listeners: HTTP in front of a core, until a signal or a fatal fault.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use actix_rt::task::JoinHandle;
use actix_web::dev::ServerHandle;
use anyhow::{Context, bail};
use arc_swap::ArcSwap;
use deeptravel_actors::engine::Engine;
use deeptravel_domain::code::{CodeKey, CodeKeys};
use deeptravel_domain::sealing::DocumentKeys;
use deeptravel_domain::time::Timestamp;
use deeptravel_wechat::{Client, Config as WechatConfig, official_failover};
use metrics_exporter_prometheus::PrometheusHandle;
use secrecy::ExposeSecret;
use tokio::signal::unix::{SignalKind, signal};

use super::Core;
use super::secrets::{DEMO_SECRETS, read_code_keys, read_keys, read_text};
use crate::api::{self, ApiParts, ApiSettings, Slot};
use crate::config::Config;
use crate::gateway::WechatGateway;
use crate::postgres::Lists;
use crate::telemetry;

/// What seals codes and documents.
pub struct Keys {
    /// They are prepared when the engine runs: its time says which of them seals.
    pub codes: Vec<CodeKey>,
    pub documents: DocumentKeys,
}

/// Production: everything from configuration.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    let (wechat, keys) = check(&config)?;
    let listening = Listening::start(&config)?;
    let core = Core::start(&config, Arc::new(WechatGateway::new(wechat.clone()))).await?;
    listening.serve(core, &config, wechat, keys, "").await
}

/// Whether everything that production needs is configured; errors name the key.
pub fn check(config: &Config) -> anyhow::Result<(Client, Keys)> {
    if config.data_dir.join(DEMO_SECRETS).exists() {
        bail!("data_dir: {} belongs to a demo; its secrets must not be sold with", config.data_dir.display());
    }
    let keys = Keys {
        codes: code_keys(config)?,
        documents: DocumentKeys::new(read_keys(&config.secrets.document_keys_file, "secrets.document_keys_file")?)?,
    };
    if config.wechat.notify_base_url.is_empty() {
        bail!("wechat.notify_base_url is not set: WeChat does not reach {}", config.server.listen);
    }
    Ok((wechat_client(config)?, keys))
}

/// The configured keys of codes, checked as of now.
pub fn code_keys(config: &Config) -> anyhow::Result<Vec<CodeKey>> {
    let path = &config.secrets.code_keys_file;
    let keys = read_code_keys(path)?;
    let now = Timestamp::from_jiff(jiff::Timestamp::now());
    CodeKeys::new(keys.clone(), now).with_context(|| format!("secrets.code_keys_file = {}", path.display()))?;
    Ok(keys)
}

/// The client from configuration; errors name the key.
pub fn wechat_client(config: &Config) -> anyhow::Result<Client> {
    let wechat = &config.wechat;
    let notify_base = notify_base(config);
    let failover_base_url = match wechat.failover_base_url.as_str() {
        "" => official_failover(&wechat.base_url).map(str::to_owned),
        "off" => None,
        set => Some(set.to_owned()),
    };
    Client::new(WechatConfig {
        base_url: wechat.base_url.clone(),
        failover_base_url,
        api_base_url: wechat.api_base_url.clone(),
        appid: wechat.appid.clone(),
        app_secret: wechat.app_secret.expose_secret().to_owned(),
        mchid: wechat.mchid.clone(),
        merchant_serial: wechat.merchant_serial.clone(),
        merchant_private_key_pem: read_text(&wechat.merchant_private_key_file, "wechat.merchant_private_key_file")?,
        api_v3_key: wechat.api_v3_key.expose_secret().to_owned(),
        public_key_id: wechat.public_key_id.clone(),
        public_key_pem: match wechat.public_key_file.as_os_str() {
            unset if unset.is_empty() => String::new(),
            _ => read_text(&wechat.public_key_file, "wechat.public_key_file")?,
        },
        certificates: wechat.certificates,
        notify_url: format!("{notify_base}/payments/wechat/notify"),
        refund_notify_url: format!("{notify_base}/payments/wechat/refund-notify"),
    })
    .map_err(|error| anyhow::anyhow!("wechat.{}: {}", key_of(error.field), error.problem))
}

/// Where the provider calls back: as configured, otherwise this server's own address, for a provider on this machine. Who
/// listens on every address is reached on loopback.
pub fn notify_base(config: &Config) -> String {
    let set = config.wechat.notify_base_url.trim_end_matches('/');
    if !set.is_empty() {
        return set.to_owned();
    }
    let mut listen = config.server.listen;
    if listen.ip().is_unspecified() {
        listen.set_ip(if listen.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
    }
    format!("http://{listen}")
}

/// The key of the configuration behind a field of the client's.
fn key_of(field: &'static str) -> &'static str {
    match field {
        "merchant_private_key_pem" => "merchant_private_key_file",
        "public_key_pem" => "public_key_file",
        "notify_url" | "refund_notify_url" => "notify_base_url",
        same => same,
    }
}

/// A server that listens, live but not ready, until it is given a core.
pub struct Listening {
    server: JoinHandle<std::io::Result<()>>,
    handle: ServerHandle,
    slot: Slot,
    metrics: PrometheusHandle,
    pub address: SocketAddr,
}

impl Listening {
    /// Before anything else, so that a taken port costs nothing, port 0 is known early, and whatever the start counts is
    /// counted.
    pub fn start(config: &Config) -> anyhow::Result<Listening> {
        let metrics = telemetry::metrics()?;
        let slot = Slot::default();
        let listen = config.server.listen;
        let (server, address) =
            api::serve(listen, &slot, config.workers()).with_context(|| format!("server.listen = {listen}"))?;
        let handle = server.handle();
        Ok(Listening { server: actix_rt::spawn(server), handle, slot, metrics, address })
    }

    /// Serves until told to stop. `greeting` is printed once the server answers.
    pub async fn serve(
        self,
        mut core: Core,
        config: &Config,
        wechat: Client,
        keys: Keys,
        greeting: &str,
    ) -> anyhow::Result<()> {
        let fatal = core.fatal();
        core.io().spawn(wechat.clone().look_after_certificates());
        let engine = core.engine.clone();
        let code_keys = Arc::new(ArcSwap::from_pointee(prepare(keys.codes, &engine)?));
        let metrics = self.metrics.clone();
        self.slot.fill(parts(&core, config, wechat, &code_keys, keys.documents, metrics));
        println!("listening on http://{}", self.address);
        println!("{}", core.describe_database());
        if !greeting.is_empty() {
            println!("{greeting}");
        }

        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let outcome = tokio::select! {
            error = fatal => Err(error),
            _ = terminate.recv() => Ok(()),
            _ = interrupt.recv() => Ok(()),
            error = reload_on_hangup(config, &engine, &code_keys) => Err(error),
        };
        // After a fatal fault nothing more can be answered: do not wait for requests that wait for the journal.
        self.handle.stop(outcome.is_ok()).await;
        self.server.await.context("the HTTP server")??;
        let stopped = core.stop().await;
        outcome.and(stopped)
    }
}

fn prepare(keys: Vec<CodeKey>, engine: &Engine) -> anyhow::Result<CodeKeys> {
    let now = engine.now();
    let keys = CodeKeys::new(keys, now).context("secrets.code_keys_file")?;
    let version = keys.sealing_version(now);
    tracing::info!(code_key.version = version, "Codes are sealed with the key of version {version}");
    for version in keys.undated() {
        tracing::warn!(
            code_key.version = version,
            "The code key of version {version} has no seals_from: until it has, whoever holds an older key can forge codes \
             that say to be issued before this start"
        );
    }
    Ok(keys)
}

/// Reads the keys of codes again at every SIGHUP. A file that cannot be used changes nothing. Without a file, as in the
/// demo, the signal does what it always does: a closed terminal ends the server.
async fn reload_on_hangup(config: &Config, engine: &Engine, code_keys: &ArcSwap<CodeKeys>) -> anyhow::Error {
    let path = &config.secrets.code_keys_file;
    if path.as_os_str().is_empty() {
        return std::future::pending().await;
    }
    let mut hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => hangup,
        Err(error) => return anyhow::Error::new(error).context("SIGHUP"),
    };
    while hangup.recv().await.is_some() {
        match read_code_keys(path).and_then(|keys| prepare(keys, engine)) {
            Ok(keys) => code_keys.store(Arc::new(keys)),
            Err(error) => tracing::error!("The code keys stay as they are: {error:#}"),
        }
    }
    anyhow::anyhow!("SIGHUP: no more signals come")
}

fn parts(
    core: &Core,
    config: &Config,
    wechat: Client,
    code_keys: &Arc<ArcSwap<CodeKeys>>,
    document_keys: DocumentKeys,
    metrics: PrometheusHandle,
) -> ApiParts {
    ApiParts {
        engine: core.engine.clone(),
        lists: Arc::new(Lists::new(core.database.clone())),
        wechat,
        code_keys: Arc::clone(code_keys),
        document_keys: Arc::new(document_keys),
        io: core.io(),
        metrics,
        settings: ApiSettings {
            max_in_flight: config.server.max_in_flight,
            ops_allow: config.server.ops_allow.clone(),
            traveller_session_seconds: 3600 * config.session.traveller_hours,
            staff_session_seconds: 3600 * config.session.staff_hours,
            validator_session_seconds: 3600 * config.session.validator_hours,
            code_seconds: config.session.code_seconds,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use deeptravel_wechat::keys::generate_merchant;

    use super::*;
    use crate::config::ConfigArgs;

    /// The client of a merchant whose `[wechat]` has these lines, too.
    fn client(lines: &str) -> anyhow::Result<Client> {
        let merchant = generate_merchant()?;
        let mut key = tempfile::NamedTempFile::new()?;
        key.write_all(merchant.private_key_pem.as_bytes())?;
        let mut file = tempfile::NamedTempFile::new()?;
        write!(
            file,
            r#"
            [wechat]
            base_url = "https://api.mch.weixin.qq.com"
            api_base_url = "https://api.weixin.qq.com"
            appid = "wx0123456789abcdef"
            app_secret = "secret"
            mchid = "1900000001"
            merchant_serial = "{}"
            merchant_private_key_file = "{}"
            api_v3_key = "0123456789abcdef0123456789abcdef"
            notify_base_url = "https://shop.example"
            {lines}
            "#,
            merchant.serial,
            key.path().display(),
        )?;
        let args = ConfigArgs { files: vec![file.path().to_owned()], ..ConfigArgs::default() };
        wechat_client(&Config::load(&args, false)?)
    }

    #[test]
    fn a_merchant_has_a_public_key_or_certificates_or_both() -> anyhow::Result<()> {
        client("")?;
        let error = client("certificates = \"off\"").map(drop).unwrap_err();
        assert!(error.to_string().contains("wechat.public_key_id"), "{error}");
        let error = client("public_key_id = \"PUB_KEY_ID_1\"").map(drop).unwrap_err();
        assert!(error.to_string().contains("wechat.public_key_file"), "{error}");
        let error = client("certificates = \"sometimes\"").map(drop).unwrap_err();
        assert!(format!("{error:#}").contains("certificates"), "{error:#}");
        Ok(())
    }

    #[test]
    fn a_provider_on_this_machine_calls_back_to_an_address_that_it_can_reach() -> anyhow::Result<()> {
        let mut config = Config::load(&ConfigArgs::default(), true)?;
        for (listen, base) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("0.0.0.0:8080", "http://127.0.0.1:8080"),
            ("[::]:8080", "http://[::1]:8080"),
            ("192.0.2.1:8080", "http://192.0.2.1:8080"),
        ] {
            config.server.listen = listen.parse()?;
            assert_eq!(notify_base(&config), base);
        }
        config.wechat.notify_base_url = "https://shop.example/".to_owned();
        assert_eq!(notify_base(&config), "https://shop.example");
        Ok(())
    }

    #[test]
    fn wechats_own_host_gets_its_second_one_unless_that_is_off() -> anyhow::Result<()> {
        for (lines, expected) in [
            ("", true),
            ("failover_base_url = \"off\"", false),
            ("failover_base_url = \"https://api2.mch.weixin.qq.com\"", true),
        ] {
            let shown = format!("{:?}", client(lines)?);
            assert_eq!(shown.contains("api2.mch.weixin.qq.com"), expected, "{lines}");
        }
        Ok(())
    }
}

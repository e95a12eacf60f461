//! The process with listeners: HTTP in front of a core, until a signal or a fatal fault.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use actix_rt::task::JoinHandle;
use actix_web::dev::ServerHandle;
use anyhow::{Context, bail};
use arc_swap::ArcSwap;
use deeptravel_actors::engine::Engine;
use deeptravel_domain::code::{CodeKey, CodeKeys};
use deeptravel_wechat::Client;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::check::{Keys, check, questionable};
use super::{Core, Doubts, Outside, descriptors};
use crate::api::{self, ApiParts, Certificate, Listen, Slot};
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::output::greet;
use crate::secrets::read_code_keys;
use crate::telemetry;

/// Production: everything from configuration.
pub async fn serve(config: Config, doubts: Doubts) -> anyhow::Result<()> {
    let (wechat, keys) = check(&config)?;
    for doubt in questionable(&config) {
        tracing::warn!("{doubt}");
    }
    let listening = Listening::start(&config)?;
    let dir = DataDir::hold(&config.data_dir)?;
    let outside = Outside { wechat: wechat.clone(), documents: Arc::clone(&keys.documents) };
    let core = Core::start(&config, dir, Some(outside), doubts).await?;
    listening.serve(core, wechat, keys, "").await
}

/// A server that listens, live but not ready, until it is given a core.
pub struct Listening<'a> {
    config: &'a Config,
    server: JoinHandle<std::io::Result<()>>,
    handle: ServerHandle,
    slot: Slot,
    metrics: PrometheusHandle,
    certificate: Option<Arc<Certificate>>,
    hangup: Option<Signal>,
    pub address: SocketAddr,
}

impl<'a> Listening<'a> {
    /// Before anything else, so that a taken port costs nothing, port 0 is known early, and whatever the start counts is
    /// counted.
    pub fn start(config: &'a Config) -> anyhow::Result<Listening<'a>> {
        let metrics = telemetry::metrics()?;
        let slot = Slot::default();
        let certificate = config.server.tls().map(Certificate::of).transpose()?;
        // From now on: a start that waits for its database for hours must not end when a certificate is renewed.
        let hangup = hangup(config, certificate.as_deref())?;
        let address = config.server.listen;
        let listen = Listen {
            address,
            workers: config.server.workers(),
            connections_max: descriptors::connections(config.server.max_connections)?,
            behind_tls_proxy: config.server.behind_tls_proxy,
            certificate: certificate.clone(),
        };
        let (server, address) = api::serve(listen, &slot).with_context(|| format!("server.listen = {address}"))?;
        let handle = server.handle();
        Ok(Listening { config, server: actix_rt::spawn(server), handle, slot, metrics, certificate, hangup, address })
    }

    /// Serves until told to stop. `greeting` is printed once the server answers.
    pub async fn serve(self, mut core: Core, wechat: Client, keys: Keys, greeting: &str) -> anyhow::Result<()> {
        // Before anybody can see that the server is ready: a signal that nobody waits for would end it at once.
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let fatal = core.fatal();
        let (engine, io) = (core.engine.clone(), core.engine.services().io.clone());
        io.spawn(wechat.clone().look_after_certificates());
        let code_keys = Arc::new(ArcSwap::from_pointee(prepare(keys.codes, &engine)?));
        self.slot.fill(ApiParts {
            engine: engine.clone(),
            lists: Arc::new(core.database.clone()),
            wechat,
            code_keys: Arc::clone(&code_keys),
            document_keys: keys.documents,
            io,
            metrics: self.metrics.clone(),
            server: self.config.server.clone(),
            sessions: self.config.session.clone(),
            ota: self.config.ota.clone(),
            webhooks: self.config.webhooks,
        });
        greet(format_args!("listening on {}", self.config.server.url(self.address)));
        greet(core.describe_database());
        if !greeting.is_empty() {
            greet(greeting);
        }

        let outcome = tokio::select! {
            error = fatal => Err(error),
            _ = terminate.recv() => Ok(()),
            _ = interrupt.recv() => Ok(()),
            ended = reload_on_hangup(self.hangup, self.config, &engine, &code_keys, self.certificate.as_deref()) => ended,
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

/// Without files that could change, as in the demo, SIGHUP does what it always does: a closed terminal ends the server.
fn hangup(config: &Config, certificate: Option<&Certificate>) -> anyhow::Result<Option<Signal>> {
    let has_files = code_keys_file(config).is_some() || certificate.is_some();
    has_files.then(|| signal(SignalKind::hangup()).context("SIGHUP")).transpose()
}

fn code_keys_file(config: &Config) -> Option<&PathBuf> {
    Some(&config.secrets.code_keys_file).filter(|path| !path.as_os_str().is_empty())
}

/// Reads the keys of codes and the certificate again at every SIGHUP, also at one that came during the start. A file that
/// cannot be used changes nothing.
async fn reload_on_hangup(
    hangup: Option<Signal>,
    config: &Config,
    engine: &Engine,
    code_keys: &ArcSwap<CodeKeys>,
    certificate: Option<&Certificate>,
) -> anyhow::Result<()> {
    let Some(mut hangup) = hangup else { return std::future::pending().await };
    let path = code_keys_file(config);
    while hangup.recv().await.is_some() {
        match path.map(|path| read_code_keys(path).and_then(|keys| prepare(keys, engine))) {
            Some(Ok(keys)) => code_keys.store(Arc::new(keys)),
            Some(Err(error)) => tracing::error!("The code keys stay as they are: {error:#}"),
            None => {}
        }
        if let Some(Err(error)) = certificate.map(Certificate::read_again) {
            tracing::error!("The certificate stays as it is: {error:#}");
        }
    }
    bail!("SIGHUP: no more signals come")
}

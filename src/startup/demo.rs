//! Everything on one machine: the private Postgres, the demo's timetable and accounts, the WeChat simulator.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use deeptravel_actors::engine::Engine;
use deeptravel_domain::code::CodeKey;
use deeptravel_domain::identity::{Duties, KeyChange, KeyWrite, Role};
use deeptravel_domain::redeems::Redeems;
use deeptravel_domain::sealing::DocumentKeys;
use deeptravel_wechat::simulator::{self, MIN_TIME_EXPIRE_SECONDS, Merchant, Running, SimulatorConfig};
use deeptravel_wechat::{Client, Config as WechatConfig};

use super::check::Keys;
use super::serve::Listening;
use super::{Core, Doubts, Outside, make_account};
use crate::api;
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::import::timetable;
use crate::secrets::{DemoSecrets, demo_key};

/// The demo's timetable, when no other is named.
const TIMETABLE: &str = "config/demo";

const APPID: &str = "wx0000000000demo00";
const MCHID: &str = "1900000001";
/// Repetitions of a callback come a hundred times faster than WeChat's.
const TIME_FACTOR: f64 = 0.01;

/// Attempts to find two free ports side by side; nearly every one succeeds.
const PAIR_TRIES: usize = 50;

/// Names of accounts are those of their roles. The password is the name after `demo-`.
const DESKS: [Role; 4] = [Role::Admin, Role::Ops, Role::Finance, Role::Auditor];
/// Operators, and the only merchant for which each redeems.
const OPERATORS: [(&str, Option<&str>); 3] = [("gate", None), ("museum", Some("museum")), ("pets", Some("pets"))];
/// Partners, the ids of their keys, and the keys: everybody knows them, as the passwords.
const KEYS: [(&str, &str, &str); 2] =
    [("partner-a", "demo-a", "dt_demo_partner_a"), ("partner-b", "demo-b", "dt_demo_partner_b")];
/// As whom the audit knows us.
const AUTHOR: &str = "demo";

/// What is said when others than this machine reach the demo.
const PUBLIC: &str = "WARNING: this demo is reached from other machines, and everybody knows its passwords: whoever finds it \
    is its administrator. Nothing in it may be worth anything";

/// Runs the demo until it is told to stop.
pub async fn demo(mut config: Config, timetable: Option<PathBuf>) -> anyhow::Result<()> {
    if config.server.is_reached_by_others() {
        tracing::warn!("{PUBLIC}");
    }
    let timetable = timetable.map_or_else(find_timetable, Ok)?;
    let dir = DataDir::hold(&config.data_dir)?;
    let secrets = DemoSecrets::load_or_make(&dir, &config.journal_dir())?;
    if config.server.listen.port() == 0 {
        config.server.listen.set_port(free_pair(config.server.listen.ip())?);
    }
    let listening = Listening::start(&config)?;
    let (wechat, simulator) = demo_wechat(&config, &secrets)?;

    let keys = Keys {
        codes: demo_code_keys(&config, &secrets)?,
        documents: Arc::new(DocumentKeys::new(demo_key(&secrets.document_key)?)?),
    };
    let outside = Outside { wechat: wechat.clone(), documents: Arc::clone(&keys.documents) };
    let core = Core::start(&config, dir, Some(outside), Doubts::Said).await?;
    load_timetable(&core.engine, &timetable).await?;
    make_accounts(&core.engine).await?;
    make_keys(&core.engine).await?;
    let greeting = greeting(&config, simulator.as_ref());
    listening.serve(core, wechat, keys, &greeting).await
    // The simulator stops when it is dropped, after the server.
}

/// The configured ones, or its own.
fn demo_code_keys(config: &Config, secrets: &DemoSecrets) -> anyhow::Result<Vec<CodeKey>> {
    if !config.secrets.code_keys_file.as_os_str().is_empty() {
        return config.secrets.code_keys();
    }
    Ok(demo_key(&secrets.code_key)?.into_iter().map(|(version, secret)| CodeKey::new(version, secret)).collect())
}

/// A free port whose successor is free for the simulator.
fn free_pair(ip: IpAddr) -> anyhow::Result<u16> {
    for _ in 0..PAIR_TRIES {
        let server = TcpListener::bind((ip, 0))?;
        let port = server.local_addr()?.port();
        if port.checked_add(1).is_some_and(|next| TcpListener::bind((Ipv4Addr::LOCALHOST, next)).is_ok()) {
            return Ok(port);
        }
    }
    bail!("server.listen: no two free ports side by side");
}

fn find_timetable() -> anyhow::Result<PathBuf> {
    let beside = PathBuf::from(TIMETABLE);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(TIMETABLE);
    [beside, source].into_iter().find(|dir| dir.is_dir()).context("no demo timetable: name one with --timetable DIR")
}

/// The configured provider, or a simulator of our own on the port after the server's.
fn demo_wechat(config: &Config, secrets: &DemoSecrets) -> anyhow::Result<(Client, Option<Running>)> {
    if !config.wechat.base_url.is_empty() {
        return Ok((config.wechat.client(&config.server.own_url())?, None));
    }
    let own_url = config.server.own_url();
    let notify_base = config.wechat.notify_base(&own_url);
    let port =
        config.server.listen.port().checked_add(1).context("server.listen: the simulator needs the port after it")?;
    let simulator = simulator::start(SimulatorConfig {
        listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port),
        merchant: Merchant {
            mchid: MCHID.to_owned(),
            appid: APPID.to_owned(),
            app_secret: secrets.app_secret.clone(),
            serial: secrets.merchant_serial.clone(),
            public_key_pem: secrets.merchant_public_key_pem.clone(),
        },
        api_v3_key: secrets.api_v3_key.clone(),
        time_factor: TIME_FACTOR,
        min_time_expire_seconds: MIN_TIME_EXPIRE_SECONDS.min(i64::from(config.order.payment_min_seconds)),
    })
    .with_context(|| format!("the WeChat simulator on port {port}"))?;
    let client = Client::new(WechatConfig {
        base_url: simulator.base_url(),
        failover_base_url: None,
        api_base_url: simulator.base_url(),
        appid: APPID.to_owned(),
        app_secret: secrets.app_secret.clone(),
        mchid: MCHID.to_owned(),
        merchant_serial: secrets.merchant_serial.clone(),
        merchant_private_key_pem: secrets.merchant_private_key_pem.clone(),
        api_v3_key: secrets.api_v3_key.clone(),
        public_key_id: simulator.public_key_id.clone(),
        public_key_pem: simulator.public_key_pem.clone(),
        certificates: config.wechat.certificates,
        notify_url: format!("{notify_base}/payments/wechat/notify"),
        refund_notify_url: format!("{notify_base}/payments/wechat/refund-notify"),
    })
    .map_err(|error| anyhow::anyhow!("demo WeChat: {}: {}", error.field, error.problem))?;
    Ok((client, Some(simulator)))
}

/// Puts what the timetable names and is not there yet. What is there may be an administrator's, and stays as it is.
async fn load_timetable(engine: &Engine, dir: &Path) -> anyhow::Result<()> {
    let timetable = timetable::read(dir)?;
    let (skipped, mut added) = (timetable.skipped.len(), 0);
    for command in timetable.commands {
        if !engine.services().catalogue.load().registers().knows(&command.change.key()) {
            engine.configure(command).await?.outcome?;
            added += 1;
        }
    }
    tracing::info!(added, skipped, "Imported the timetable: {added} things added, {skipped} lines skipped");
    Ok(())
}

async fn make_accounts(engine: &Engine) -> anyhow::Result<()> {
    let mut accounts: Vec<(&str, Duties)> = Vec::new();
    for role in DESKS {
        accounts.push((role.code(), Duties::Desk([role].into())));
    }
    for (name, merchant) in OPERATORS {
        let merchant = merchant.map(str::parse).transpose()?;
        accounts.push((name, Duties::Operator(Arc::new(Redeems { merchant, ..Redeems::default() }))));
    }
    for (name, duties) in accounts {
        if engine.services().directory.account(name).is_none() {
            make_account(engine, AUTHOR, name, format!("demo-{name}"), duties).await?;
        }
    }
    Ok(())
}

/// Of the partners that the timetable has. One that was revoked stays so.
async fn make_keys(engine: &Engine) -> anyhow::Result<()> {
    for (partner, id, key) in KEYS {
        if engine.services().catalogue.load().partner(partner).is_none() {
            continue;
        }
        let change = KeyChange::Make { secret_hash: api::sha256(key.as_bytes()) };
        let write = KeyWrite { partner: partner.parse()?, id: id.parse()?, change, by: AUTHOR.into() };
        engine.write_key(write).await?.outcome?;
    }
    Ok(())
}

fn greeting(config: &Config, simulator: Option<&Running>) -> String {
    let base = config.server.url(config.server.listen);
    let warning = if config.server.is_reached_by_others() { format!("\n{PUBLIC}") } else { String::new() };
    let simulator = simulator.map_or_else(|| config.wechat.base_url.clone(), Running::base_url);
    format!(
        "api documentation: {base}/docs/\n\
         wechat simulator: {simulator}/_sim/\n\
         accounts: admin/demo-admin, ops/demo-ops, finance/demo-finance, auditor/demo-auditor, gate/demo-gate, \
         museum/demo-museum, pets/demo-pets; traveller login code demo-NAME\n\
         partners' keys (X-API-Key): dt_demo_partner_a, dt_demo_partner_b\n\
         data: {}{warning}",
        config.data_dir.display()
    )
}

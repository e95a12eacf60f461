//! The WeChat simulator as a program of its own, for development. Loopback only.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Parser;
use deeptravel_wechat::keys;
use deeptravel_wechat::simulator::{self, MIN_TIME_EXPIRE_SECONDS, Merchant, SimulatorConfig};

/// Speaks WeChat Pay's protocol (v3, JSAPI) and the mini-program login on loopback, with keys of its own made at start.
///
/// The merchant's public key and serial come from --merchant-public-key-file and --merchant-serial, or are made new in
/// --keys-dir. The simulator's public key and certificate are written there too and answered by GET /_sim/key.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    #[arg(long, default_value = "1900000001")]
    mchid: String,
    #[arg(long, default_value = "wx00000000000000de")]
    appid: String,
    /// The mini program's AppSecret.
    #[arg(long, env = "WECHAT_SIM_APP_SECRET", hide_env_values = true, default_value = "simulated-app-secret")]
    app_secret: String,
    /// Exactly 32 ASCII characters.
    #[arg(
        long,
        env = "WECHAT_SIM_API_V3_KEY",
        hide_env_values = true,
        default_value = "simulated-api-v3-key-32-letters!"
    )]
    api_v3_key: String,
    /// Serial of the merchant's API certificate, hexadecimal.
    #[arg(long, requires = "merchant_public_key_file")]
    merchant_serial: Option<String>,
    /// The merchant's public key, SubjectPublicKeyInfo PEM.
    #[arg(long, requires = "merchant_serial")]
    merchant_public_key_file: Option<PathBuf>,
    /// Where keys made here are written, the merchant's private key readable by the owner only.
    #[arg(long, required_unless_present = "merchant_public_key_file")]
    keys_dir: Option<PathBuf>,
    /// Gaps between repeats of a notification are multiplied by this; 1.0 is WeChat's pace.
    #[arg(long, default_value_t = 1.0)]
    time_factor: f64,
    /// A time_expire nearer than this is silently raised.
    #[arg(long, default_value_t = MIN_TIME_EXPIRE_SECONDS)]
    min_time_expire_seconds: i64,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let (serial, public_key_pem) = merchant_key(&arguments)?;
    let running = simulator::start(SimulatorConfig {
        listen: arguments.listen,
        merchant: Merchant {
            mchid: arguments.mchid,
            appid: arguments.appid,
            app_secret: arguments.app_secret,
            serial: serial.clone(),
            public_key_pem,
        },
        api_v3_key: arguments.api_v3_key,
        time_factor: arguments.time_factor,
        min_time_expire_seconds: arguments.min_time_expire_seconds,
    })
    .with_context(|| format!("cannot start the simulator on {}", arguments.listen))?;
    if let Some(directory) = &arguments.keys_dir {
        write(&directory.join("wechat-public-key.pem"), &running.public_key_pem)?;
        write(&directory.join("wechat-certificate.pem"), &running.certificate_pem)?;
    }
    println!("listening on http://{}", running.addr);
    println!("public key id: {}", running.public_key_id);
    println!("certificate serial: {}", running.certificate_serial);
    println!("merchant serial: {serial}");

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start tokio")?;
    runtime.block_on(tokio::signal::ctrl_c()).context("cannot wait for the interrupt signal")?;
    running.stop();
    Ok(())
}

/// Serial and public key of the merchant: as given, or made new.
fn merchant_key(arguments: &Arguments) -> anyhow::Result<(String, String)> {
    if let (Some(serial), Some(file)) = (&arguments.merchant_serial, &arguments.merchant_public_key_file) {
        let pem = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        return Ok((serial.clone(), pem));
    }
    let directory = arguments.keys_dir.as_deref().context("--keys-dir is needed to make a merchant's keys")?;
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let merchant = keys::generate_merchant().context("cannot make the merchant's keys")?;
    write_private(&directory.join("merchant-private-key.pem"), &merchant.private_key_pem)?;
    write(&directory.join("merchant-public-key.pem"), &merchant.public_key_pem)?;
    Ok((merchant.serial, merchant.public_key_pem))
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Never follows or widens what is there: the file is made new, for the owner only.
fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;

    if path.exists() {
        fs::remove_file(path).with_context(|| format!("cannot replace {}", path.display()))?;
    }
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}

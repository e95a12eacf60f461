//! The WeChat simulator as a process of its own, beside the server: where the memory of the server is measured, the
//! simulator's must not be counted.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};
use tempfile::TempDir;

use crate::http::Target;

const PROGRAM: &str = "deeptravel-wechat-simulator";
const APPID: &str = "wx00000000000load0";
const MCHID: &str = "1900000009";
const APP_SECRET: &str = "load-test-app-secret";
/// 32 characters.
const API_V3_KEY: &str = "load-test-api-v3-key-32-letters!";

/// Dropping it ends the process and removes its keys.
#[derive(Debug)]
pub struct Simulator {
    child: Child,
    keys: TempDir,
    pub target: Target,
    public_key_id: String,
    merchant_serial: String,
}

impl Simulator {
    /// The one beside `server`, that program.
    pub fn start(server: &Path, scratch: &Path) -> anyhow::Result<Simulator> {
        let program = server.with_file_name(PROGRAM);
        if !program.is_file() {
            bail!("{} is not there: build the package deeptravel-wechat too", program.display());
        }
        let keys = tempfile::Builder::new().prefix("deeptravel-simulator-").tempdir_in(scratch)?;
        let mut child = Command::new(&program)
            .args(["--listen", "127.0.0.1:0", "--mchid", MCHID, "--appid", APPID, "--time-factor", "0.01"])
            .args(["--app-secret", APP_SECRET, "--api-v3-key", API_V3_KEY])
            .arg("--keys-dir")
            .arg(keys.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let stdout = child.stdout.take().context("the simulator has no standard output")?;
        let target = Target::parse("http://127.0.0.1:1")?;
        let (public_key_id, merchant_serial) = (String::new(), String::new());
        let mut simulator = Simulator { child, keys, target, public_key_id, merchant_serial };
        for line in BufReader::new(stdout).lines() {
            let line = line.context("reading what the simulator says")?;
            if let Some(url) = line.strip_prefix("listening on ") {
                simulator.target = Target::parse(url)?;
            } else if let Some(id) = line.strip_prefix("public key id: ") {
                id.clone_into(&mut simulator.public_key_id);
            } else if let Some(serial) = line.strip_prefix("merchant serial: ") {
                // The last of its lines.
                serial.clone_into(&mut simulator.merchant_serial);
                return Ok(simulator);
            }
        }
        bail!("the simulator ended before it listened")
    }

    /// The keys of the server's configuration that make it use this one.
    pub fn settings(&self) -> Vec<(String, String)> {
        let file = |name: &str| -> PathBuf { self.keys.path().join(name) };
        let url = self.target.url();
        let settings = [
            ("BASE_URL", url.clone()),
            ("API_BASE_URL", url),
            ("APPID", APPID.to_owned()),
            ("APP_SECRET", APP_SECRET.to_owned()),
            ("MCHID", MCHID.to_owned()),
            ("MERCHANT_SERIAL", self.merchant_serial.clone()),
            ("MERCHANT_PRIVATE_KEY_FILE", file("merchant-private-key.pem").display().to_string()),
            ("API_V3_KEY", API_V3_KEY.to_owned()),
            ("PUBLIC_KEY_ID", self.public_key_id.clone()),
            ("PUBLIC_KEY_FILE", file("wechat-public-key.pem").display().to_string()),
        ];
        settings.map(|(key, value)| (format!("DEEPTRAVEL__WECHAT__{key}"), value)).into()
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

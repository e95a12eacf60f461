//! One server process and the world around it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use deeptravel::testing::suite;
use deeptravel_wechat::keys::{MerchantKeys, generate_merchant};
use deeptravel_wechat::simulator::{self, Merchant, Running, SimulatorConfig};
use tempfile::TempDir;

const APPID: &str = "wx0000000000crash0";
const MCHID: &str = "1900000009";
const API_V3_KEY: &str = "0123456789abcdef0123456789abcdef";
const APP_SECRET: &str = "crash-app-secret";
/// Of the key that seals codes and documents where there is no demo.
const KEY_DIGITS: &str = "5a17c3e98b04d62f5a17c3e98b04d62f5a17c3e98b04d62f5a17c3e98b04d62f";
/// The name of these tests, where logs are kept.
pub const SUITE: &str = "crash";

/// Names another build of the server to run, for figures: a release.
const BINARY: &str = "DEEPTRAVEL_BINARY";

/// Longer than anything here takes, also where a sync waits for gigabytes of others: 54 s were seen.
pub const PATIENCE: Duration = Duration::from_mins(3);

/// Everything that survives the server: its data, its configuration, the provider.
pub struct World {
    dir: TempDir,
    config: PathBuf,
    pub simulator: Running,
    /// Fixed after the first start: the provider calls back there.
    listen: SocketAddr,
    database_url: Option<String>,
}

impl World {
    /// `database_url`: another Postgres than the server's own.
    pub fn new(database_url: Option<String>) -> anyhow::Result<World> {
        World::with_settings(database_url, "")
    }

    /// `settings`: more of the configuration, as TOML.
    pub fn with_settings(database_url: Option<String>, settings: &str) -> anyhow::Result<World> {
        let dir = tempfile::Builder::new().prefix("deeptravel-crash-").tempdir_in("/tmp")?;
        let MerchantKeys { private_key_pem, public_key_pem, serial } = generate_merchant()?;
        let simulator = simulator::start(SimulatorConfig {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            merchant: Merchant {
                mchid: MCHID.to_owned(),
                appid: APPID.to_owned(),
                app_secret: APP_SECRET.to_owned(),
                serial: serial.clone(),
                public_key_pem,
            },
            api_v3_key: API_V3_KEY.to_owned(),
            time_factor: 0.01,
            min_time_expire_seconds: 1,
        })?;
        let listen = free_address()?;
        for secret in [&private_key_pem, API_V3_KEY, APP_SECRET, KEY_DIGITS] {
            suite::used_secret(secret);
        }
        let (merchant_key, public_key) = (dir.path().join("merchant.pem"), dir.path().join("wechat.pem"));
        std::fs::write(&merchant_key, private_key_pem)?;
        std::fs::write(&public_key, &simulator.public_key_pem)?;
        let config = dir.path().join("crash.toml");
        let base = simulator.base_url();
        write!(
            File::create(&config)?,
            r#"
            [order]
            max_live_holds_per_traveller = 1000000
            [wechat]
            base_url = "{base}"
            api_base_url = "{base}"
            appid = "{APPID}"
            app_secret = "{APP_SECRET}"
            mchid = "{MCHID}"
            merchant_serial = "{serial}"
            merchant_private_key_file = "{merchant_key}"
            api_v3_key = "{API_V3_KEY}"
            public_key_id = "{public_key_id}"
            public_key_file = "{public_key}"
            notify_base_url = "http://{listen}"
            {settings}
            "#,
            merchant_key = merchant_key.display(),
            public_key = public_key.display(),
            public_key_id = simulator.public_key_id,
        )?;
        Ok(World { dir, config, simulator, listen, database_url })
    }

    pub fn base_url(&self) -> String {
        format!("http://{}", self.listen)
    }

    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// How the server is started; to be changed before it is.
    pub fn launch(&self) -> Launch {
        Launch {
            config: self.config.clone(),
            data_dir: self.data_dir(),
            listen: self.listen,
            words: vec!["demo"],
            database_url: self.database_url.clone(),
            timetable: demo_timetable(),
            environment: Vec::new(),
        }
    }

    /// As in production, with keys in files and no timetable.
    pub fn serve(&self) -> anyhow::Result<Launch> {
        let keys = self.dir.path().join("keys");
        std::fs::write(&keys, format!("1 {KEY_DIGITS}\n"))?;
        let launch = Launch { words: vec!["serve"], ..self.launch() };
        Ok(launch
            .with("DEEPTRAVEL__SECRETS__DOCUMENT_KEYS_FILE", &keys)
            .with("DEEPTRAVEL__SECRETS__CODE_KEYS_FILE", &keys))
    }

    /// Starts the server and waits until it is ready.
    pub async fn start(&self) -> anyhow::Result<Server> {
        self.launch().start().await
    }
}

/// A server that is about to be started.
#[derive(Clone)]
pub struct Launch {
    pub config: PathBuf,
    pub data_dir: PathBuf,
    pub listen: SocketAddr,
    /// The command.
    pub words: Vec<&'static str>,
    pub database_url: Option<String>,
    /// Of a demo.
    pub timetable: PathBuf,
    pub environment: Vec<(OsString, OsString)>,
}

impl Launch {
    pub fn with(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Launch {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Any command of the binary, on the same data.
    fn command(&self, words: &[&str]) -> Command {
        let binary = std::env::var_os(BINARY).unwrap_or_else(|| env!("CARGO_BIN_EXE_deeptravel").into());
        let mut command = Command::new(binary);
        command
            .args(words)
            .args(["--config".as_ref(), self.config.as_os_str()])
            .args(["--data-dir".as_ref(), self.data_dir.as_os_str()])
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        match &self.database_url {
            Some(url) => command.env("DATABASE_URL", url),
            None => command.env_remove("DATABASE_URL"),
        };
        command
    }

    /// Runs a command to its end; whoever it asks answers so.
    pub async fn run(&self, words: &[&str], answer: &str) -> anyhow::Result<Answer> {
        let mut command = self.command(words);
        let answer = answer.to_owned();
        let run = move || -> std::io::Result<Output> {
            let mut child = command.stdin(Stdio::piped()).spawn()?;
            if let Some(mut input) = child.stdin.take() {
                // It may have ended without asking.
                let _ = input.write_all(answer.as_bytes());
            }
            child.wait_with_output()
        };
        let Output { status, stdout, stderr } = tokio::task::spawn_blocking(run).await??;
        let said = String::from_utf8_lossy(&stderr).into_owned();
        let text = String::from_utf8_lossy(&stdout).into_owned() + &said;
        eprintln!("{words:?}: {text}");
        if let Some(mut log) = suite::open_server_log(SUITE) {
            log.write_all(said.as_bytes())?;
        }
        Ok(Answer { succeeded: status.success(), text })
    }

    /// Starts the process and waits until it is ready.
    pub async fn start(&self) -> anyhow::Result<Server> {
        let mut server = self.spawn()?;
        server.until_ready().await?;
        Ok(server)
    }

    /// Starts the process.
    pub fn spawn(&self) -> anyhow::Result<Server> {
        self.spawn_saying_to(Stdio::piped())
    }

    /// The same with another standard output than our log.
    pub fn spawn_saying_to(&self, output: impl Into<Stdio>) -> anyhow::Result<Server> {
        let mut command = self.command(&self.words);
        command.args(["--listen", &self.listen.to_string()]);
        if self.words.contains(&"demo") {
            command.arg("--timetable").arg(&self.timetable);
        }
        let started = Instant::now();
        let mut child = command.stdout(output).spawn()?;
        let log = Log::default();
        if let Some(output) = child.stdout.take() {
            log.follow(output, None);
        }
        log.follow(child.stderr.take().context("standard error")?, suite::open_server_log(SUITE));
        let (base_url, data_dir) = (format!("http://{}", self.listen), self.data_dir.clone());
        Ok(Server { child, started, base_url, data_dir, log, ready_after: Duration::ZERO })
    }
}

/// What a command answered.
#[derive(Debug)]
pub struct Answer {
    pub succeeded: bool,
    /// Both of its outputs.
    pub text: String,
}

/// What a server has written.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<String>>);

impl Log {
    /// Read to the end, so that the server never waits for us; shown when the test fails. `kept`: where the suite's logs are.
    fn follow(&self, output: impl Read + Send + 'static, mut kept: Option<File>) {
        let Log(text) = self.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                eprintln!("{line}");
                if let Some(kept) = &mut kept {
                    kept.write_all(format!("{line}\n").as_bytes()).unwrap();
                }
                let mut text = text.lock().unwrap();
                text.push_str(&line);
                text.push('\n');
            }
        });
    }

    /// The lines come a little later than the process ends.
    pub async fn says(&self, sentence: &str) -> anyhow::Result<()> {
        let since = Instant::now();
        while !self.text().contains(sentence) {
            if since.elapsed() > Duration::from_secs(5) {
                bail!("the log does not say \"{sentence}\"");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    pub fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

/// The timetable of the demo.
pub fn demo_timetable() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/demo")
}

/// A port that nobody has now, below those that the system gives to outgoing connections: a client must not get it
/// while the server is down.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    for _ in 0..1000 {
        let offset = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(std::process::id() as u16) % 10_000;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 20_000 + offset));
        if std::net::TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("no free port");
}

/// A running server. Dropping it kills it.
pub struct Server {
    child: Child,
    started: Instant,
    base_url: String,
    data_dir: PathBuf,
    pub log: Log,
    pub ready_after: Duration,
}

impl Server {
    /// What is there only since the start: the log of its own Postgres and the secrets of a demo.
    fn keep(&self) {
        let postgres = self.data_dir.join("postgres");
        if postgres.exists() {
            suite::keep_postgres_log(SUITE, &postgres);
        }
        suite::used_by_demo(&self.data_dir);
    }

    /// Waits until the server is ready.
    pub async fn until_ready(&mut self) -> anyhow::Result<()> {
        let client = reqwest::Client::new();
        let ready = format!("{}/health/ready", self.base_url);
        while self.started.elapsed() < PATIENCE {
            if let Ok(response) = client.get(&ready).send().await
                && response.status().is_success()
            {
                self.ready_after = self.started.elapsed();
                self.keep();
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the server has ended: {status}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("the server is not ready after {PATIENCE:?}");
    }

    /// How the server ended by itself; `None` if it has not within the deadline.
    pub async fn ended(&mut self, deadline: Duration) -> anyhow::Result<Option<ExitStatus>> {
        let since = Instant::now();
        while since.elapsed() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(None)
    }

    /// What the process has in memory now, in bytes.
    pub fn resident_bytes(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib * 1024)
    }

    /// Lets it read its files again.
    pub fn hang_up(&self) -> anyhow::Result<()> {
        self.signal(rustix::process::Signal::HUP)
    }

    fn signal(&self, signal: rustix::process::Signal) -> anyhow::Result<()> {
        Ok(rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal)?)
    }

    /// As an administrator stops it.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.signal(rustix::process::Signal::TERM)?;
        let status = self.ended(PATIENCE).await?.context("the server does not stop")?;
        if !status.success() {
            bail!("the server was stopped and says {status}");
        }
        Ok(())
    }

    /// The server ends by itself, with a failure that its log explains.
    pub async fn refuses(&mut self, within: Duration, why: &str) -> anyhow::Result<()> {
        let status = self.ended(within).await?.with_context(|| format!("it goes on, though: {why}"))?;
        if status.success() {
            bail!("it ended as if all were well, though: {why}");
        }
        self.log.says(why).await
    }

    /// `kill -9`.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already killed, or about to be.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How long a run puts load on the server.
pub fn run_seconds(default: u64) -> u64 {
    std::env::var("DEEPTRAVEL_CRASH_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

//! The demo server that all tests of this process share, and others for tests that need another configuration or faults
//! of the provider.

use std::fs::File;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use deeptravel::testing::suite::{self, Kind};

/// Starts that may fail because somebody else has the port after ours, which is the simulator's.
const STARTS_MAX: u32 = 5;

/// The name of these tests, where logs are kept.
const SUITE: &str = "api";

/// Of a server's timetable, beside its data.
const TIMETABLE: &str = "timetable";

/// The day on which the coach from Hong Kong to Guangzhou is not sold, counted from today.
pub const BLACKOUT_IN_DAYS: i64 = 9;

/// Runs the server until standard input ends, which is when the tests' process has ended, however it ended. Then it
/// stops the server, waits, and removes the directory, unless it was told to keep it. The shell says who the server is
/// and gives standard output away, so that the server's end can be seen.
const KEEPER: &str = r#"
trap "" INT
[ -z "$DESCRIPTORS" ] || ulimit -n "$DESCRIPTORS"
directory="$1"; shift
"$@" & server=$!
echo "server process: $server"
exec >&-
read -r word
kill "$server"
wait "$server"
[ "$word" = keep ] || rm -rf "$directory"
"#;

/// A running demo.
pub struct Server {
    /// `http://127.0.0.1:…`
    pub base: String,
    /// `http://127.0.0.1:…/_sim`
    pub simulator: String,
    pub data_dir: PathBuf,
    /// Its process.
    pub pid: u32,
    keeper: Mutex<Child>,
    /// When it closes, the server is stopped.
    input: ChildStdin,
}

impl Server {
    /// Stops it and starts it again on its data, at another address, with these keys in its environment. The provider has
    /// forgotten everything.
    pub fn restart(&self, environment: &[(&str, &str)]) -> &'static Server {
        self.restart_after(environment, |_| ())
    }

    /// The same, and meanwhile something is done to its data directory.
    pub fn restart_after(&self, environment: &[(&str, &str)], work: impl FnOnce(&Path)) -> &'static Server {
        (&self.input).write_all(b"keep\n").unwrap();
        self.keeper.lock().unwrap().wait().unwrap();
        work(&self.data_dir);
        let dir = self.data_dir.parent().unwrap();
        let started = (0..STARTS_MAX).find_map(|_| launch(dir, Log::Ours, environment, true));
        Box::leak(Box::new(started.expect("the demo starts; its complaint stands above")))
    }
}

static SERVER: OnceLock<Server> = OnceLock::new();

/// The tests are its proxy, so that each can be somewhere else.
const BEHIND_US: (&str, &str) = ("DEEPTRAVEL__SERVER__TRUSTED_PROXIES", "192.0.2.1,127.0.0.1");

/// The server; the first call starts it.
pub fn server() -> &'static Server {
    SERVER.get_or_init(|| {
        let started = (0..STARTS_MAX).find_map(|_| start(Log::Ours, &[BEHIND_US]));
        started.expect("the demo starts; its complaint stands above")
    })
}

/// A server of one's own whose proxy the test is.
pub fn another_behind_us() -> &'static Server {
    another(&[BEHIND_US])
}

/// A server of one's own, with these keys in its environment; `DESCRIPTORS` limits the files that it may open.
pub fn another(environment: &[(&str, &str)]) -> &'static Server {
    another_logging_to(Log::Ours, environment)
}

/// Who reads a server's log.
#[derive(Clone, Copy)]
pub enum Log {
    /// Whoever reads ours.
    Ours,
    Nobody,
    /// Somebody who does not.
    Sleeper,
}

/// As [`another`].
pub fn another_logging_to(log: Log, environment: &[(&str, &str)]) -> &'static Server {
    let started = (0..STARTS_MAX).find_map(|_| start(log, environment));
    // It ends with the process, as the shared one does.
    Box::leak(Box::new(started.expect("the demo starts; its complaint stands above")))
}

/// Runs a command of the program on a data directory with this on standard input; whether it succeeded, and what it said.
pub fn command(data_dir: &Path, arguments: &[&str], input: &str) -> (bool, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_deeptravel"))
        .args(arguments)
        .arg("--data-dir")
        .arg(data_dir)
        .env_remove("DATABASE_URL")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A password, if anything.
    suite::used(Kind::Password, input.trim_end());
    // It may have ended without reading.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    if let Some(mut log) = suite::open_server_log(SUITE) {
        log.write_all(&output.stderr).unwrap();
    }
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

/// Days from today, where the departures are.
pub fn day(days: i64) -> jiff::civil::Date {
    let zone = jiff::tz::TimeZone::get("Asia/Hong_Kong").unwrap();
    jiff::Timestamp::now().to_zoned(zone).date().checked_add(jiff::Span::new().days(days)).unwrap()
}

/// The demo's timetable with a blackout date that is always within the sales window.
fn timetable(dir: &Path) {
    let copy = dir.join(TIMETABLE);
    std::fs::create_dir(&copy).unwrap();
    for file in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/demo")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), copy.join(file.file_name())).unwrap();
    }
    let blackout = format!("route,date,source\ndtc-hk-gz,{},test\n", day(BLACKOUT_IN_DAYS));
    std::fs::write(copy.join("blackout.csv"), blackout).unwrap();
}

fn start(log: Log, environment: &[(&str, &str)]) -> Option<Server> {
    // Not below TMPDIR: the path of a socket is short.
    let dir = tempfile::Builder::new().prefix("deeptravel-api-").tempdir_in("/tmp").unwrap().keep();
    timetable(&dir);
    launch(&dir, log, environment, false)
}

/// `keep`: also when it does not start.
fn launch(dir: &Path, log: Log, environment: &[(&str, &str)], keep: bool) -> Option<Server> {
    let data_dir = dir.join("data");
    let kept = suite::server_log(SUITE);
    let mut keeper = Command::new("sh")
        .args(["-c", KEEPER, "keeper"])
        .arg(dir)
        .arg(env!("CARGO_BIN_EXE_deeptravel"))
        .args(["demo", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(&data_dir)
        .arg("--timetable")
        .arg(dir.join(TIMETABLE))
        .env_remove("DATABASE_URL")
        // Nobody is there who would have to read what is kept.
        .env("DEEPTRAVEL__LOG__FILTER", if kept.is_some() { "debug" } else { "warn" })
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(match log {
            Log::Ours => kept.as_ref().map_or_else(Stdio::inherit, |log| File::create(log).unwrap().into()),
            Log::Nobody | Log::Sleeper => Stdio::piped(),
        })
        .spawn()
        .unwrap();
    match log {
        Log::Ours => {}
        Log::Nobody => drop(keeper.stderr.take()),
        // Never dropped.
        Log::Sleeper => std::mem::forget(keeper.stderr.take()),
    }
    let mut input = keeper.stdin.take().unwrap();
    let Some(Greeting { pid, base, simulator }) = greeting(keeper.stdout.take().unwrap()) else {
        if keep {
            input.write_all(b"keep\n").unwrap();
        }
        drop(input);
        keeper.wait().unwrap();
        if let Some(log) = kept {
            eprintln!("{}", std::fs::read_to_string(log).unwrap_or_default());
        }
        return None;
    };
    suite::keep_postgres_log(SUITE, &data_dir.join("postgres"));
    suite::used_by_demo(&data_dir);
    Some(Server { base, simulator, data_dir, pid, keeper: Mutex::new(keeper), input })
}

struct Greeting {
    pid: u32,
    base: String,
    simulator: String,
}

/// What the server says once it answers; `None` if it ended before.
fn greeting(output: ChildStdout) -> Option<Greeting> {
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    let after = |line: &str, words: &str| line.strip_prefix(words).map(|rest| rest.trim_end_matches('/').to_owned());
    let pid = lines.find_map(|line| line.strip_prefix("server process: ")?.parse().ok())?;
    let base = lines.find_map(|line| after(&line, "listening on "))?;
    let simulator = lines.find_map(|line| after(&line, "wechat simulator: "))?;
    // Read to the end, so that the server never waits for us.
    std::thread::spawn(move || lines.for_each(drop));
    Some(Greeting { pid, base, simulator })
}

//! The server under test: started as `deeptravel demo` on a fresh data directory and a timetable of ours, watched
//! through the lines it prints for scripts, stopped by SIGTERM.

use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::api::{Api, Call};
use crate::http::Target;
use crate::timetable;

/// From the start until the addresses are printed and the server is ready: a new cluster and a timetable of thousands
/// of departures on a busy machine.
const READY_TIME_MAX: Duration = Duration::from_secs(90);
/// The same when it starts on the data of a run: it projects what Postgres does not have, and loads the departures.
const READY_AGAIN_TIME_MAX: Duration = Duration::from_mins(10);
/// From SIGTERM until the process has ended; then it is killed.
const STOP_TIME_MAX: Duration = Duration::from_secs(30);
/// Unpaid orders of one traveller: more than any run makes.
const HOLDS_PER_TRAVELLER: &str = "1000000";
/// Lines of the server's log that a failed start shows.
const LOG_LINES_SHOWN: usize = 20;

/// What the server prints for scripts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Announcement {
    /// `listening on http://…`
    Listening(String),
    /// `postgres: …`: how to connect to the database.
    Postgres(String),
}

impl Announcement {
    /// Reads a line of standard output; every other line is for people.
    pub fn read(line: &str) -> Option<Announcement> {
        let line = line.trim();
        if let Some(rest) = line.strip_prefix("listening on ") {
            let url = rest.split_whitespace().next().filter(|url| url.starts_with("http://"))?;
            return Some(Announcement::Listening(url.to_owned()));
        }
        let connection = line.strip_prefix("postgres:")?.trim();
        (!connection.is_empty()).then(|| Announcement::Postgres(connection.to_owned()))
    }
}

/// How to start it.
#[derive(Clone, Debug)]
pub struct Launch {
    pub binary: PathBuf,
    /// Where the fresh directory is made; it should be a disk.
    pub scratch: PathBuf,
    /// Leaves the directory behind.
    pub keep: bool,
    /// Keys of its configuration, as variables of its environment.
    pub settings: Vec<(String, String)>,
    /// Departures of a day in its timetable.
    pub departures_per_day: usize,
}

/// A running server. Dropping it stops it and removes its directory.
#[derive(Debug)]
pub struct Server {
    child: Child,
    directory: TempDir,
    launch: Launch,
    lines: Option<Receiver<String>>,
    pub target: Target,
    /// As the server printed it.
    pub postgres: Option<String>,
}

/// The `deeptravel` that was built together with this program.
pub fn binary_beside_us() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("finding the own executable")?;
    let binary = own.with_file_name("deeptravel");
    if !binary.is_file() {
        bail!("{} is not there: build the release binary, or name one with --binary", binary.display());
    }
    Ok(binary)
}

impl Server {
    /// Returns when `/health/ready` answers 200.
    pub async fn start(launch: &Launch) -> anyhow::Result<Server> {
        // The embedded Postgres runs under another account when we are root, and must reach its directory.
        let directory = tempfile::Builder::new()
            .prefix("deeptravel-loadtest-")
            .permissions(Permissions::from_mode(0o755))
            .disable_cleanup(launch.keep)
            .tempdir_in(&launch.scratch)
            .with_context(|| format!("making a directory in {}", launch.scratch.display()))?;
        let tables = directory.path().join("timetable");
        fs::create_dir(&tables).context("making the timetable's directory")?;
        timetable::write(&tables, timetable::today(), launch.departures_per_day).context("writing the timetable")?;

        let mut child = spawn(launch, directory.path())?;
        let lines = child.stdout.take().map(read_lines);
        let target = Target::parse("http://127.0.0.1:1")?;
        let mut server = Server { child, directory, launch: launch.clone(), lines, target, postgres: None };
        server.ready(Instant::now() + READY_TIME_MAX).await?;
        Ok(server)
    }

    /// Stops it and starts it on the same data with other settings; [`Server::ready_again`] waits for it. Its address
    /// changes, that of its database does not.
    pub fn restart(&mut self, settings: Vec<(String, String)>) -> anyhow::Result<()> {
        match self.terminate() {
            Some(status) if status.success() => {}
            ended => bail!("the server did not stop as it should ({ended:?}); its log ends:\n{}", self.log_end()),
        }
        self.launch.settings = settings;
        self.child = spawn(&self.launch, self.directory.path())?;
        self.lines = self.child.stdout.take().map(read_lines);
        Ok(())
    }

    /// Returns when a restarted server is ready.
    pub async fn ready_again(&mut self) -> anyhow::Result<()> {
        self.ready(Instant::now() + READY_AGAIN_TIME_MAX).await
    }

    async fn ready(&mut self, deadline: Instant) -> anyhow::Result<()> {
        let Some(lines) = self.lines.take() else { bail!("the server has no standard output") };
        let started = self.wait_until_ready(&lines, deadline).await;
        // From now on the lines are read and forgotten.
        drop(lines);
        started.with_context(|| format!("the server did not start; its log ends:\n{}", self.log_end()))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where the server has its data and its log.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// The last lines of what it logged.
    pub fn log_end(&self) -> String {
        let log = fs::read_to_string(self.directory.path().join("server.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines.get(lines.len().saturating_sub(LOG_LINES_SHOWN)..).unwrap_or_default().join("\n")
    }

    /// Stops it; the error says what was wrong with its end.
    pub fn stop(mut self) -> anyhow::Result<()> {
        if let Some(status) = self.ended() {
            bail!("the server had ended by itself ({status}); its log ends:\n{}", self.log_end());
        }
        match self.terminate() {
            Some(status) if status.success() => Ok(()),
            Some(status) => bail!("the server ended with {status}; its log ends:\n{}", self.log_end()),
            None => bail!("the server did not stop within {STOP_TIME_MAX:?} and was killed"),
        }
    }

    async fn wait_until_ready(&mut self, lines: &Receiver<String>, deadline: Instant) -> anyhow::Result<()> {
        let mut listening = None;
        let mut is_ready = false;
        let mut is_named = false;
        // Nothing fixes the order of the lines, nor that they come before it is ready.
        while !(is_ready && is_named) {
            if Instant::now() >= deadline {
                bail!("it was not ready in time, or did not print its addresses");
            }
            if let Some(status) = self.ended() {
                bail!("it ended with {status}");
            }
            match lines.recv_timeout(Duration::from_millis(20)) {
                Ok(line) => match Announcement::read(&line) {
                    Some(Announcement::Listening(url)) => {
                        self.target = Target::parse(&url)?;
                        listening = Some(Api::new(self.target.clone()));
                    }
                    Some(Announcement::Postgres(connection)) => {
                        self.postgres = Some(connection);
                        is_named = true;
                    }
                    None => {}
                },
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
            if let Some(api) = &mut listening
                && !is_ready
            {
                // Not yet listening, or an answer that says not ready: both will pass or meet the deadline.
                is_ready = matches!(api.call(Call::get("/health/ready"), None).await, Ok((200, _)));
            }
        }
        Ok(())
    }

    /// `None`: it had to be killed.
    fn terminate(&mut self) -> Option<ExitStatus> {
        if let Some(status) = self.ended() {
            return Some(status);
        }
        // It may end this very moment; then there is nobody to tell.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let deadline = Instant::now() + STOP_TIME_MAX;
        while Instant::now() < deadline {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        None
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.terminate();
    }
}

fn spawn(launch: &Launch, directory: &Path) -> anyhow::Result<Child> {
    let log = File::options().create(true).append(true).open(directory.join("server.log"));
    let log = log.context("making the server's log")?;
    Command::new(&launch.binary)
        .arg("demo")
        .arg("--timetable")
        .arg(directory.join("timetable"))
        .arg("--data-dir")
        .arg(directory.join("data"))
        .args(["--listen", "127.0.0.1:0"])
        .env("DEEPTRAVEL__ORDER__MAX_LIVE_HOLDS_PER_TRAVELLER", HOLDS_PER_TRAVELLER)
        .envs(launch.settings.iter().map(|(key, value)| (key, value)))
        // A fresh directory needs a fresh database: the embedded one.
        .env_remove("DATABASE_URL")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .with_context(|| format!("starting {}", launch.binary.display()))
}

fn read_lines(stdout: ChildStdout) -> Receiver<String> {
    let (lines, received) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines() {
            let Ok(line) = line else { break };
            // When nobody listens any more the pipe must still be emptied.
            let _ = lines.send(line);
        }
    });
    received
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_for_scripts_are_told_from_those_for_people() {
        let listening = |url: &str| Some(Announcement::Listening(url.to_owned()));
        let postgres = |text: &str| Some(Announcement::Postgres(text.to_owned()));
        for (line, expected) in [
            ("listening on http://127.0.0.1:8080", listening("http://127.0.0.1:8080")),
            ("  listening on http://127.0.0.1:41234 (ctrl-c stops it)", listening("http://127.0.0.1:41234")),
            ("simulator listening on http://127.0.0.1:8081", None),
            ("listening on unix:/run/x", None),
            (
                "postgres: psql -h /var/lib/x/socket -p 5432 -U deeptravel -d deeptravel\n",
                postgres("psql -h /var/lib/x/socket -p 5432 -U deeptravel -d deeptravel"),
            ),
            ("postgres:", None),
            ("", None),
        ] {
            assert_eq!(Announcement::read(line), expected, "{line:?}");
        }
    }
}

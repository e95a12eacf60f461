//! The server process: started on a thread that outlives it, ready when its pid file says so, stopped by signals.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::account::Account;
use super::binaries::Programs;
use super::error::{Result, one_line};
use super::{EmbeddedError, directory};

/// Long enough to replay two gigabytes of log after a crash of the machine.
const READY_WITHIN: Duration = Duration::from_mins(1);

/// A fast shutdown writes at most the shared buffers; after this an immediate one follows, and the next start recovers.
const FAST_SHUTDOWN_WITHIN: Duration = Duration::from_secs(20);

/// An immediate shutdown writes nothing; after this the process is killed.
const IMMEDIATE_SHUTDOWN_WITHIN: Duration = Duration::from_secs(5);

/// The server tells nobody that it is ready or gone, so we look. Small against the tenths of a second it takes.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How much of the log an error carries.
const LOG_TAIL_BYTES: usize = 2_000;

/// A log beyond this is set aside at the next start, replacing the one set aside before.
const LOG_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Everything needed to start the server, again and again.
#[derive(Debug)]
pub(super) struct Launch {
    pub(super) programs: Programs,
    pub(super) account: Account,
    pub(super) cluster_dir: PathBuf,
    pub(super) socket_dir: PathBuf,
    pub(super) log: PathBuf,
    pub(super) arguments: Vec<String>,
}

impl Launch {
    /// Starts the server and waits until it accepts connections.
    pub(super) fn start(&self) -> Result<Server> {
        let (log, log_start) = self.open_log()?;
        let also_log = log.try_clone().map_err(EmbeddedError::io("share", &self.log))?;
        let postgres = self.programs.program("postgres");
        let mut command = self.account.command(&postgres)?;
        command.arg("-D").arg(&self.cluster_dir).args(&self.arguments);
        command.stdout(Stdio::from(also_log)).stderr(Stdio::from(log));

        let mut server = Server::spawn(command).map_err(EmbeddedError::io("run", postgres))?;
        match self.wait_until_ready(&mut server, log_start) {
            Ok(()) => Ok(server),
            Err(error) => {
                // The first error is the one worth reading.
                let _ = server.stop(&self.cluster_dir);
                Err(error)
            }
        }
    }

    fn wait_until_ready(&self, server: &mut Server, log_start: u64) -> Result<()> {
        let started = Instant::now();
        loop {
            let Some(pid) = server.running_pid() else {
                return Err(EmbeddedError::EndedWhileStarting { log: self.log_tail(log_start) });
            };
            if directory::is_ready(&self.cluster_dir, pid) {
                return Ok(());
            }
            if started.elapsed() > READY_WITHIN {
                let log = self.log_tail(log_start);
                return Err(EmbeddedError::NotReady { waited_s: READY_WITHIN.as_secs(), log });
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// The log to append to, and how long it is already.
    fn open_log(&self) -> Result<(File, u64)> {
        let length = |path: &Path| path.metadata().map_or(0, |found| found.len());
        if length(&self.log) > LOG_BYTES_MAX {
            let old = self.log.with_extension("log.old");
            fs::rename(&self.log, &old).map_err(EmbeddedError::io("set aside", &self.log))?;
        }
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        Ok((log.map_err(EmbeddedError::io("open", &self.log))?, length(&self.log)))
    }

    /// The last lines the server wrote since `log_start`, on one line.
    fn log_tail(&self, log_start: u64) -> String {
        match fs::read(&self.log) {
            Ok(log) => {
                let start = log.len().saturating_sub(LOG_TAIL_BYTES).max(log_start as usize);
                one_line(log.get(start..).unwrap_or_default())
            }
            Err(error) => format!("({} cannot be read: {error})", self.log.display()),
        }
    }
}

/// A server that was started and not yet stopped.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    /// Ends the thread that forked the server, and with it the server: kept until the server has gone.
    _keeper: mpsc::Sender<()>,
}

impl Server {
    /// Forks on a thread that then does nothing but live, because the kernel interrupts the server when the thread that
    /// forked it ends. The thread ends with the process, or after this `Server` was dropped.
    fn spawn(mut command: Command) -> std::io::Result<Self> {
        let (hand_over, spawned) = mpsc::channel();
        let (keeper, until_dropped) = mpsc::channel::<()>();
        thread::Builder::new().name("postgres-keeper".to_owned()).spawn(move || {
            if hand_over.send(command.spawn()).is_ok() {
                // Nothing is ever sent: this returns when the other end is dropped.
                let _ = until_dropped.recv();
            }
        })?;
        let child = spawned.recv().map_err(std::io::Error::other)??;
        Ok(Self { child, _keeper: keeper })
    }

    /// The process id, unless the server has ended.
    pub(super) fn running_pid(&mut self) -> Option<u32> {
        matches!(self.child.try_wait(), Ok(None)).then(|| self.child.id())
    }

    /// Fast shutdown, then an immediate one, then a kill; returns when the process has gone, and those of the cluster that
    /// somebody has frozen with it: they hear nothing, and would stay for ever.
    pub(super) fn stop(mut self, cluster_dir: &Path) -> Result<()> {
        for (signal, within) in [(Signal::INT, FAST_SHUTDOWN_WITHIN), (Signal::QUIT, IMMEDIATE_SHUTDOWN_WITHIN)] {
            self.signal(signal)?;
            directory::signal_all(cluster_dir, Signal::CONT);
            if self.ends_within(within) {
                return Ok(());
            }
        }
        self.signal(Signal::KILL)?;
        let ended = self.child.wait().map(drop);
        directory::signal_all(cluster_dir, Signal::KILL);
        ended.map_err(EmbeddedError::io("wait for process", self.child.id().to_string()))
    }

    /// Signals the server if it still runs: an ended child keeps its pid until it is waited for, so this cannot hit a
    /// stranger.
    fn signal(&mut self, signal: Signal) -> Result<()> {
        let Some(pid) = self.running_pid() else { return Ok(()) };
        kill_process(Pid::from_child(&self.child), signal)
            .map_err(|errno| EmbeddedError::io("signal process", pid.to_string())(errno.into()))
    }

    fn ends_within(&mut self, limit: Duration) -> bool {
        let started = Instant::now();
        while self.running_pid().is_some() {
            if started.elapsed() > limit {
                return false;
            }
            thread::sleep(LOOK_EVERY);
        }
        true
    }
}

//! The directory of the private cluster: made reachable, locked, initialised, and freed from servers that an earlier,
//! killed process left behind.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::account::Account;
use super::binaries::{MadeBy, Programs};
use super::error::{Result, one_line};
use super::{DATABASE, EmbeddedError, SUPERUSER, settings};

pub(super) const CLUSTER: &str = "cluster";
pub(super) const LOG: &str = "postgres.log";
const NEW_CLUSTER: &str = "cluster.new";
const LOCK: &str = "lock";
const SOCKET: &str = "socket";
const SOCKET_ELSEWHERE: &str = "socket.path";

/// A socket's address holds 108 bytes, the last one zero.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Where the socket goes when our own path is too long, and how those directories are called.
const SHORT_SOCKET_PREFIX: &str = "/tmp/deeptravel-socket-";

/// An orphan has been told to shut down by the kernel; this bounds how long we wait for it.
const ORPHAN_GONE_WITHIN: Duration = Duration::from_secs(10);

/// After this an orphan is told to stop at once and leave the rest to recovery, so that a restart stays quick.
const ORPHAN_HURRIED_AFTER: Duration = Duration::from_secs(3);

/// The permission bits of all but the owner.
const OTHERS: u32 = 0o077;

const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Makes `data_dir` and what is missing above it, gives it to the account of the server, and returns its real path.
pub(super) fn prepare(data_dir: &Path, account: &Account) -> Result<PathBuf> {
    let absolute = std::path::absolute(data_dir).map_err(EmbeddedError::io("resolve", data_dir))?;
    if let Some(parent) = absolute.parent() {
        make_reachable(parent, account)?;
    }
    create_dir(&absolute, 0o700)?;
    check_ours(&absolute, account)?;
    account.give(&absolute)?;
    set_mode(&absolute, 0o700)?;
    absolute.canonicalize().map_err(EmbeddedError::io("resolve", &absolute))
}

/// Takes over a directory only if it is empty or already a directory of ours: it is about to change its owner.
fn check_ours(data_dir: &Path, account: &Account) -> Result<()> {
    // Emptiness first: another process of ours that is making it right now changes the owner before it adds a file.
    let mut entries = fs::read_dir(data_dir).map_err(EmbeddedError::io("read", data_dir))?;
    if entries.next().is_none() {
        return Ok(());
    }
    let owner = data_dir.metadata().map_err(EmbeddedError::io("look at", data_dir))?.uid();
    if owner == account.uid && data_dir.join(LOCK).exists() {
        return Ok(());
    }
    Err(EmbeddedError::NotOurs { directory: data_dir.to_path_buf() })
}

/// Makes `directory` if it is missing and sees to it that the server's account can pass through it and all above it.
fn make_reachable(directory: &Path, account: &Account) -> Result<()> {
    let mut path = PathBuf::new();
    for component in directory.components() {
        path.push(component);
        match path.metadata() {
            Ok(found) if account.can_search(&found) || !account.lent => {}
            Ok(found) if path == directory && found.uid() == 0 && found.mode() & OTHERS == 0 => {
                let_pass(&path, account, found.mode())?;
            }
            Ok(_) => return Err(EmbeddedError::Unreachable { directory: path, account: account.name.clone() }),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let mode = if account.lent { 0o711 } else { 0o700 };
                create_dir(&path, mode)?;
                // Once more, because the umask of the process may have taken some away.
                set_mode(&path, mode)?;
            }
            Err(error) => return Err(EmbeddedError::io("look at", &path)(error)),
        }
    }
    Ok(())
}

/// A state directory that root alone may enter (`mktemp -d`) lets the group of the server's account pass through, and
/// nobody else: it had no rights for its group before, so none are taken away or widened.
fn let_pass(directory: &Path, account: &Account, mode: u32) -> Result<()> {
    std::os::unix::fs::chown(directory, None, Some(account.gid))
        .map_err(EmbeddedError::io("change the group of", directory))?;
    set_mode(directory, (mode & 0o7777) | 0o010)
}

/// Takes the directory for this process. The kernel frees it when the process ends, however it ends.
pub(super) fn lock(data_dir: &Path) -> Result<File> {
    let path = data_dir.join(LOCK);
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(EmbeddedError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(EmbeddedError::InUse { directory: data_dir.to_path_buf() }),
        Err(TryLockError::Error(error)) => Err(EmbeddedError::io("lock", &path)(error)),
    }
}

/// The major version that made the cluster, `None` when there is no cluster yet.
pub(super) fn made_by(cluster_dir: &Path) -> Result<Option<MadeBy>> {
    let path = cluster_dir.join("PG_VERSION");
    match fs::read_to_string(&path) {
        Ok(text) => {
            let major = text.trim().parse().map_err(std::io::Error::other).map_err(EmbeddedError::io("read", &path))?;
            Ok(Some(MadeBy { directory: cluster_dir.to_path_buf(), major }))
        }
        Err(error) if error.kind() == ErrorKind::NotFound && !cluster_dir.exists() => Ok(None),
        Err(error) => Err(EmbeddedError::io("read", &path)(error)),
    }
}

/// Makes a new cluster beside the place and moves it there when it is whole, so that a crash leaves no half cluster.
pub(super) fn initialise(cluster_dir: &Path, programs: &Programs, account: &Account, fsync: bool) -> Result<()> {
    let new = cluster_dir.with_file_name(NEW_CLUSTER);
    if new.exists() {
        fs::remove_dir_all(&new).map_err(EmbeddedError::io("remove", &new))?;
    }

    // Collation C: the same order on every machine and after every upgrade of its C library.
    let mut initdb = account.command(&programs.program("initdb"))?;
    initdb.arg("-D").arg(&new).arg(format!("--username={SUPERUSER}"));
    initdb.args(["--auth-local=peer", "--auth-host=reject", "--data-checksums", "--encoding=UTF8", "--locale=C"]);
    if !fsync {
        initdb.arg("--no-sync");
    }
    let output = initdb.output().map_err(EmbeddedError::io("run", programs.program("initdb")))?;
    if !output.status.success() {
        let output = one_line(&[output.stdout, output.stderr].concat());
        return Err(EmbeddedError::Initialise { program: "initdb", output });
    }

    create_database(&new, programs, account, fsync)?;
    fs::rename(&new, cluster_dir).map_err(EmbeddedError::io("move the new cluster to", cluster_dir))?;
    let data_dir = cluster_dir.parent().unwrap_or(cluster_dir);
    File::open(data_dir).and_then(|dir| dir.sync_all()).map_err(EmbeddedError::io("sync", data_dir))
}

/// Makes our database in single-user mode, so that a cluster that is in place always has it.
fn create_database(cluster_dir: &Path, programs: &Programs, account: &Account, fsync: bool) -> Result<()> {
    let postgres = programs.program("postgres");
    let mut command = account.command(&postgres)?;
    command.arg("--single").arg("-D").arg(cluster_dir);
    command.args(["-c", if fsync { "fsync=on" } else { "fsync=off" }, "-c", "exit_on_error=on", "postgres"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());

    let mut child = command.spawn().map_err(EmbeddedError::io("run", &postgres))?;
    if let Some(mut input) = child.stdin.take() {
        let statement = format!("CREATE DATABASE {DATABASE}\n");
        // A server that has ended already says so in its output.
        let _ = input.write_all(statement.as_bytes());
    }
    let output = child.wait_with_output().map_err(EmbeddedError::io("wait for", &postgres))?;
    if output.status.success() {
        return Ok(());
    }
    let output = one_line(&[output.stdout, output.stderr].concat());
    Err(EmbeddedError::Initialise { program: "postgres --single", output })
}

/// Who may log in: this process's user and the server's, both by peer, both as [`SUPERUSER`]. Written at every start,
/// because the user who starts us may be another one than last time.
pub(super) fn write_access_rules(cluster_dir: &Path, account: &Account) -> Result<()> {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let map = |name: &str| format!("{SUPERUSER} {} {SUPERUSER}\n", quoted(name));
    let mut users = map(&account.own_name);
    if account.name != account.own_name {
        users.push_str(&map(&account.name));
    }
    let access = format!("local all all peer map={SUPERUSER}\n");
    for (name, text) in [("pg_ident.conf", users), ("pg_hba.conf", access)] {
        let path = cluster_dir.join(name);
        fs::write(&path, text).map_err(EmbeddedError::io("write", &path))?;
        account.give(&path)?;
    }
    Ok(())
}

/// A directory for the socket: ours, or a fresh one under `/tmp` when our path is too long for a socket's address.
pub(super) fn socket_dir(data_dir: &Path, account: &Account) -> Result<PathBuf> {
    let noted = data_dir.join(SOCKET_ELSEWHERE);
    if let Ok(earlier) = fs::read_to_string(&noted) {
        remove_socket_dir(Path::new(earlier.trim()));
    }

    let own = data_dir.join(SOCKET);
    let directory = if fits_a_socket(&own) {
        own
    } else {
        let short = PathBuf::from(format!("{SHORT_SOCKET_PREFIX}{}", uuid::Uuid::new_v4().simple()));
        fs::write(&noted, short.to_string_lossy().as_bytes()).map_err(EmbeddedError::io("write", &noted))?;
        short
    };
    create_dir(&directory, 0o700)?;
    account.give(&directory)?;
    Ok(directory)
}

/// Removes a socket directory under `/tmp`; the one inside the data directory stays.
pub(super) fn remove_socket_dir(directory: &Path) {
    if directory.to_string_lossy().starts_with(SHORT_SOCKET_PREFIX) && directory.components().count() == 3 {
        // It may be gone already; an empty directory under /tmp does no harm.
        let _ = fs::remove_dir_all(directory);
    }
}

fn fits_a_socket(directory: &Path) -> bool {
    let name = format!("/.s.PGSQL.{}", settings::PORT);
    directory.as_os_str().len() + name.len() <= SOCKET_PATH_BYTES_MAX
}

/// Whether the server `pid` has written into its pid file that it accepts connections.
pub(super) fn is_ready(cluster_dir: &Path, pid: u32) -> bool {
    let Ok(text) = fs::read_to_string(cluster_dir.join("postmaster.pid")) else { return false };
    let mut lines = text.lines();
    let written_by = lines.next().and_then(|line| line.trim().parse().ok());
    let state = lines.nth(6).map(str::trim);
    written_by == Some(pid) && state == Some("ready")
}

/// Waits until no Postgres works in the directory any more, and removes a pid file that then still names one.
///
/// We hold the directory's lock, so a server in it has lost its owner: the kernel told it to shut down when the owner
/// died. It is told again, in case it started too late to hear. A pid file whose pid now belongs to a stranger would make
/// Postgres refuse to start; with no process left in the directory it can only be stale.
pub(super) fn evict_orphans(cluster_dir: &Path) -> Result<()> {
    let pid_file = cluster_dir.join("postmaster.pid");
    if !pid_file.exists() {
        return Ok(());
    }
    let started = Instant::now();
    let mut told = None;
    loop {
        let pids = postgres_processes_in(cluster_dir);
        if pids.is_empty() {
            break;
        }
        let signal = if started.elapsed() < ORPHAN_HURRIED_AFTER { Signal::INT } else { Signal::QUIT };
        if told != Some(signal) {
            if let Some(owner) = owner_of(&pid_file).filter(|pid| pids.contains(pid)).and_then(Pid::from_raw) {
                // It may end between our look and the signal; the loop looks again.
                let _ = kill_process(owner, signal);
            }
            // One that somebody has frozen hears it then.
            signal_all(cluster_dir, Signal::CONT);
            told = Some(signal);
        }
        if started.elapsed() > ORPHAN_GONE_WITHIN {
            let waited_s = ORPHAN_GONE_WITHIN.as_secs();
            return Err(EmbeddedError::StillHeld { directory: cluster_dir.to_path_buf(), pids, waited_s });
        }
        thread::sleep(LOOK_EVERY);
    }
    match fs::remove_file(&pid_file) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(EmbeddedError::io("remove the stale", &pid_file)(error))
        }
        _ => Ok(()),
    }
}

/// Signals every process of the cluster. One may end between our look and the signal.
pub(super) fn signal_all(cluster_dir: &Path, signal: Signal) {
    for pid in postgres_processes_in(cluster_dir).into_iter().filter_map(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// The processes called `postgres` whose working directory is the cluster: the server itself and its children.
fn postgres_processes_in(cluster_dir: &Path) -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let works_here = fs::read_link(entry.path().join("cwd")).ok()? == cluster_dir;
        let is_postgres = fs::read_to_string(entry.path().join("comm")).ok()?.trim() == "postgres";
        (works_here && is_postgres).then_some(pid)
    });
    pids.collect()
}

fn owner_of(pid_file: &Path) -> Option<i32> {
    fs::read_to_string(pid_file).ok()?.lines().next()?.trim().parse().ok()
}

/// Makes a directory, and those above it if they are gone; one that is there already is fine.
fn create_dir(path: &Path, mode: u32) -> Result<()> {
    fs::DirBuilder::new().recursive(true).mode(mode).create(path).map_err(EmbeddedError::io("make", path))
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(EmbeddedError::io("change the mode of", path))
}

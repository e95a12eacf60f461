//! The life of the private Postgres: made from nothing, stopped, killed, found again, as root and as an ordinary user.

#![allow(clippy::unwrap_used, reason = "helpers of tests end at the first surprise, as tests do")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use deeptravel::embedded::{Cluster, DATABASE, EmbeddedError, Options};
use deeptravel::testing::{socket_dir, suite, url};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Generous for a loaded machine; on a quiet one it takes a tenth of this.
const SOON: Duration = Duration::from_secs(10);

fn options(directory: &Path) -> Options {
    Options { fsync: false, ..Options::new(directory.join("postgres")) }
}

/// Its log is kept with the suite's.
fn start(options: &Options) -> Cluster {
    suite::cluster("embedded", options).unwrap()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs statements and answers the first column of the last row as text.
fn sql(cluster: &Cluster, statements: &str) -> Option<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, connection) = cluster.connection(DATABASE).connect(tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let answers = client.simple_query(statements).await.unwrap();
        answers.iter().rev().find_map(|answer| match answer {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
    })
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

/// Whether a process runs; one that ended but was not waited for by its parent does not.
fn runs(pid: u32) -> bool {
    let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { return false };
    !status.lines().any(|line| line.starts_with("State:") && line.contains('Z'))
}

fn wait_until(what: &str, mut happened: impl FnMut() -> bool) {
    let started = Instant::now();
    while !happened() {
        assert!(started.elapsed() < SOON, "{what} did not happen within {SOON:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn from_nothing_it_is_ready_at_once_and_the_printed_line_connects() {
    let directory = tempfile::tempdir().unwrap();
    let cluster = start(&Options::new(directory.path().join("postgres")));
    assert_eq!(sql(&cluster, "SHOW fsync").as_deref(), Some("on"));
    assert_eq!(sql(&cluster, "SHOW listen_addresses").as_deref(), Some(""));

    let line = cluster.describe();
    let command = line.strip_prefix("postgres: ").unwrap();
    let shell = format!("{command} -At -c 'SELECT current_user, current_database()'");
    let output = Command::new("sh").args(["-c", &shell]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "deeptravel|deeptravel", "{output:?}");

    let config: tokio_postgres::Config = url(&cluster, DATABASE).parse().unwrap();
    assert_eq!(config.get_hosts(), cluster.connection(DATABASE).get_hosts());
}

#[test]
fn what_was_committed_is_there_after_a_stop_and_a_start() {
    let directory = tempfile::tempdir().unwrap();
    let first = start(&options(directory.path()));
    sql(&first, "CREATE TABLE kept AS SELECT 7 AS n");
    let pid = first.pid().unwrap();
    first.stop().unwrap();
    assert_eq!(first.pid(), None);
    assert!(!runs(pid));
    first.stop().unwrap();
    drop(first);

    let second = start(&options(directory.path()));
    assert_eq!(sql(&second, "SELECT n FROM kept").as_deref(), Some("7"));
    let pid = second.pid().unwrap();
    drop(second);
    assert!(!runs(pid), "dropping stops");
}

#[test]
fn a_server_that_was_killed_is_noticed_and_starts_again_on_the_same_socket() {
    let directory = tempfile::tempdir().unwrap();
    let cluster = start(&options(directory.path()));
    sql(&cluster, "CREATE TABLE kept AS SELECT 7 AS n");
    let socket = socket_dir(&cluster);

    signal(cluster.pid().unwrap(), Signal::KILL);
    wait_until("the end of the killed server", || cluster.pid().is_none());

    cluster.start_again().unwrap();
    assert_eq!(socket_dir(&cluster), socket);
    assert_eq!(sql(&cluster, "SELECT n FROM kept").as_deref(), Some("7"));
}

/// Not a test of its own: what the tests below start as a process of its own, as the user they choose.
#[test]
#[ignore = "other tests run this in a process of its own"]
fn helper_that_owns_a_cluster_until_it_is_killed() {
    let Some(directory) = std::env::var_os("DEEPTRAVEL_TEST_DIRECTORY").map(PathBuf::from) else { return };
    // Not with the suite's: the user may be another one.
    let cluster = Cluster::start(&options(&directory)).unwrap();
    sql(&cluster, "CREATE TABLE IF NOT EXISTS kept (n int); INSERT INTO kept VALUES (7)");
    println!("\nready {} {}", cluster.pid().unwrap(), sql(&cluster, "SELECT count(*) FROM kept").unwrap());
    // Ends with the test that started us, should that one fail.
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

/// The helper above in a process of its own: that process, the server's pid, and how many rows are in its table.
fn start_helper(mut command: Command, directory: &Path) -> (Child, u32, u32) {
    command.args(["--exact", "helper_that_owns_a_cluster_until_it_is_killed", "--ignored", "--nocapture"]);
    command.env("DEEPTRAVEL_TEST_DIRECTORY", directory).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut helper = command.spawn().unwrap();
    let lines = BufReader::new(helper.stdout.take().unwrap()).lines();
    let ready = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("ready ").map(str::to_owned));
    let ready = ready.expect("the helper started a cluster");
    let (pid, rows) = ready.split_once(' ').unwrap();
    (helper, pid.parse().unwrap(), rows.parse().unwrap())
}

/// The processes of a cluster: the server and its children.
fn processes(directory: &Path) -> Vec<u32> {
    let cluster_dir = directory.join("postgres/cluster").canonicalize().unwrap();
    let pids = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let works_here = |pid: &u32| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == cluster_dir);
    pids.filter(|pid| works_here(pid) && runs(*pid)).collect()
}

/// As a debugger does, or whoever pauses a machine.
fn freeze(directory: &Path) {
    let is_frozen = |pid: &u32| {
        fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|status| status.contains("T (stopped)"))
    };
    wait_until("that all are frozen", || {
        let all = processes(directory);
        for pid in all.iter().filter_map(|pid| Pid::from_raw(i32::try_from(*pid).ok()?)) {
            // One that is about to end does.
            let _ = kill_process(pid, Signal::STOP);
        }
        all.len() > 3 && all.iter().all(is_frozen)
    });
}

#[test]
fn fault_23_a_stop_while_it_is_frozen_leaves_no_frozen_process_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let cluster = start(&options(directory.path()));
    sql(&cluster, "CREATE TABLE kept AS SELECT 7 AS n");
    freeze(directory.path());
    cluster.stop().unwrap();
    assert_eq!(processes(directory.path()), [0; 0]);
    let log = fs::read_to_string(directory.path().join("postgres/postgres.log")).unwrap();
    assert!(log.contains("fast shutdown") && !log.contains("immediate shutdown"), "{log}");

    cluster.start_again().unwrap();
    assert_eq!(sql(&cluster, "SELECT n FROM kept").as_deref(), Some("7"));
}

#[test]
fn fault_23_one_that_was_left_behind_frozen_goes_when_the_next_one_starts() {
    let directory = tempfile::tempdir().unwrap();
    let (mut owner, server, _) = start_helper(Command::new(std::env::current_exe().unwrap()), directory.path());
    freeze(directory.path());
    owner.kill().unwrap();
    owner.wait().unwrap();
    assert!(runs(server), "it hears nothing");

    let cluster = start(&options(directory.path()));
    assert!(!runs(server));
    assert_eq!(sql(&cluster, "SELECT n FROM kept").as_deref(), Some("7"));
}

#[test]
fn kill_9_of_the_owner_shuts_the_server_down_and_a_restart_finds_everything() {
    let directory = tempfile::tempdir().unwrap();
    let (mut owner, server, _) = start_helper(Command::new(std::env::current_exe().unwrap()), directory.path());

    owner.kill().unwrap();
    owner.wait().unwrap();

    // At once, while the old server may still be shutting down.
    let started = Instant::now();
    let cluster = start(&options(directory.path()));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert!(!runs(server), "the server of the killed owner has gone");
    assert_eq!(sql(&cluster, "SELECT n FROM kept").as_deref(), Some("7"));
    let log = fs::read_to_string(directory.path().join("postgres/postgres.log")).unwrap();
    assert!(log.contains("fast shutdown") && !log.contains("not properly shut down"), "{log}");
}

#[test]
fn kill_9_of_the_owner_alone_is_enough() {
    let directory = tempfile::tempdir().unwrap();
    let (mut owner, server, _) = start_helper(Command::new(std::env::current_exe().unwrap()), directory.path());
    assert!(runs(server));
    owner.kill().unwrap();
    owner.wait().unwrap();
    wait_until("the end of the server", || !runs(server));
}

#[test]
fn an_ordinary_user_runs_it_directly() {
    if !is_root() {
        return; // Then every other test here shows it.
    }
    // The user nobody has to reach the program and own the directory.
    let directory = TempDir::new_in("/tmp").unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = directory.path().join("tests");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let home = directory.path().join("home");
    fs::create_dir(&home).unwrap();
    std::os::unix::fs::chown(&home, Some(NOBODY), Some(NOBODY)).unwrap();
    let as_nobody = || {
        let mut command = Command::new("setpriv");
        command.args([format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")]);
        command.arg("--clear-groups").arg(&program).env("HOME", &home).current_dir("/");
        command
    };

    let (mut owner, server, rows) = start_helper(as_nobody(), &home);
    let status = fs::read_to_string(format!("/proc/{server}/status")).unwrap();
    assert!(status.contains(&format!("Uid:\t{NOBODY}\t{NOBODY}")), "{status}");
    assert_eq!(rows, 1);
    owner.kill().unwrap();
    owner.wait().unwrap();

    let (mut owner, server, rows) = start_helper(as_nobody(), &home);
    assert_eq!(rows, 2, "the row of the first run and that of the second");
    owner.kill().unwrap();
    owner.wait().unwrap();
    wait_until("the end of the server", || !runs(server));
}

const NOBODY: u32 = 65_534;

#[test]
fn a_path_too_long_for_a_socket_gets_one_elsewhere_and_leaves_nothing_there() {
    let directory = tempfile::tempdir().unwrap();
    // Two levels above the data directory nothing is opened up, whatever umask the tests run with.
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let deep = directory.path().join("d".repeat(90));
    let cluster = start(&options(&deep));
    assert_eq!(sql(&cluster, "SELECT 1").as_deref(), Some("1"));
    let socket = socket_dir(&cluster);
    assert!(socket.starts_with("/tmp"), "{}", socket.display());
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o700);
    drop(cluster);
    assert!(!socket.exists());
}

#[test]
fn a_directory_in_use_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let cluster = start(&options(directory.path()));
    let second = Cluster::start(&options(directory.path()));
    assert!(matches!(second, Err(EmbeddedError::InUse { .. })), "{second:?}");
    assert_eq!(sql(&cluster, "SELECT 1").as_deref(), Some("1"), "the first goes on");
}

#[test]
fn a_directory_with_other_files_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let other = directory.path().join("postgres");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("thesis.txt"), "years of work").unwrap();
    let refused = Cluster::start(&options(directory.path()));
    assert!(matches!(refused, Err(EmbeddedError::NotOurs { .. })), "{refused:?}");
    assert_eq!(fs::read_dir(&other).unwrap().count(), 1);
}

#[test]
fn a_pid_file_that_names_a_stranger_is_stale() {
    let directory = tempfile::tempdir().unwrap();
    drop(start(&options(directory.path())));
    let cluster_dir = directory.path().join("postgres/cluster");
    // As after a crash of the machine, when the number belongs to somebody else: here to another server of the same user,
    // before which Postgres itself would give up.
    let elsewhere = tempfile::tempdir().unwrap();
    let stranger = start(&options(elsewhere.path()));
    let pid = stranger.pid().unwrap();
    let pid_file = format!("{pid}\n{}\n0\n5432\n\n\n0 0\nready\n", cluster_dir.display());
    fs::write(cluster_dir.join("postmaster.pid"), pid_file).unwrap();

    let cluster = start(&options(directory.path()));
    assert_eq!(sql(&cluster, "SELECT 1").as_deref(), Some("1"));
    assert_eq!(stranger.pid(), Some(pid), "the stranger was left alone");
}

#[test]
fn an_initialisation_that_was_interrupted_starts_from_nothing() {
    let directory = tempfile::tempdir().unwrap();
    drop(start(&options(directory.path())));
    let data_dir = directory.path().join("postgres");
    fs::rename(data_dir.join("cluster"), data_dir.join("cluster.new")).unwrap();
    fs::remove_file(data_dir.join("cluster.new/global/pg_control")).unwrap();

    let cluster = start(&options(directory.path()));
    assert_eq!(sql(&cluster, "SELECT 1").as_deref(), Some("1"));
    assert!(!data_dir.join("cluster.new").exists());
}

#[test]
fn a_server_that_does_not_start_says_why() {
    let directory = tempfile::tempdir().unwrap();
    drop(start(&options(directory.path())));
    fs::write(directory.path().join("postgres/cluster/postgresql.conf"), "no_such_setting = 1\n").unwrap();

    let error = Cluster::start(&options(directory.path())).unwrap_err();
    assert!(matches!(error, EmbeddedError::EndedWhileStarting { .. }), "{error:?}");
    let sentence = error.to_string();
    assert!(sentence.contains("no_such_setting") && !sentence.contains('\n'), "{sentence}");
}

#[test]
fn root_is_told_which_directory_the_account_of_the_server_cannot_pass() {
    if !is_root() {
        return; // An ordinary user lends no account.
    }
    let closed = tempfile::tempdir().unwrap();
    fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let refused = Cluster::start(&options(&closed.path().join("state")));
    match refused {
        Err(EmbeddedError::Unreachable { directory, account }) => {
            assert_eq!(directory, closed.path().canonicalize().unwrap());
            assert_ne!(account, "root");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(fs::read_dir(closed.path()).unwrap().count(), 0, "nothing was made");
}

#[test]
fn a_state_directory_for_root_alone_lets_only_the_servers_group_pass() {
    if !is_root() {
        return; // An ordinary user lends no account.
    }
    let state = tempfile::tempdir().unwrap();
    fs::set_permissions(state.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let cluster = start(&options(state.path()));
    assert_eq!(sql(&cluster, "SELECT 1").as_deref(), Some("1"));
    assert_eq!(fs::metadata(state.path()).unwrap().permissions().mode() & 0o777, 0o710);
}

#[test]
fn another_user_of_the_machine_does_not_get_in() {
    if !is_root() {
        return; // Only root can be somebody else.
    }
    let directory = tempfile::tempdir().unwrap();
    let cluster = start(&options(directory.path()));
    let command = cluster.describe().strip_prefix("postgres: ").unwrap().to_owned();
    // Even somebody who can open the socket is known by his account.
    for path in [directory.path().to_path_buf(), directory.path().join("postgres"), socket_dir(&cluster)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let socket = socket_dir(&cluster).join(".s.PGSQL.5432");
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o777)).unwrap();
    let daemon =
        Command::new("setpriv").args(["--reuid=1", "--regid=1", "--clear-groups", "sh", "-c"]).arg(command).output();
    let output = daemon.unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("Peer authentication failed"), "{output:?}");
}

#[test]
fn without_the_programs_one_sentence_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let options = Options { program_dir: Some(empty), ..options(directory.path()) };
    let error = Cluster::start(&options).unwrap_err();
    assert!(matches!(error, EmbeddedError::NotPrograms { .. }), "{error:?}");
}

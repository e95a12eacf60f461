//! A server on loopback, with TLS or without, and every mode against it.

use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use deeptravel::embedded::{Cluster, DATABASE, Options, SUPERUSER};
use deeptravel::postgres::{Access, Database, Lane, migrate, try_out};
use tempfile::TempDir;
use tokio_postgres::NoTls;

use super::certificates::Authority;
use super::{io_runtime, select_1};

/// Somebody else may have taken the port that was free.
const STARTS_MAX: u32 = 5;
/// On a machine that does other things, too.
const READY_WITHIN: Duration = Duration::from_mins(1);

const PASSWORD: &str = "not-to-be-shown";

/// A Postgres that one logs in to by password, at `localhost`.
struct Server {
    process: Child,
    port: u16,
    /// What has signed its certificate.
    authority: PathBuf,
    dir: TempDir,
}

impl Server {
    fn start(tls: bool) -> Server {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { fsync: false, ..Options::new(dir.path().join("postgres")) };
        let programs = prepare(&options);
        let cluster = options.data_dir.join("cluster");

        let authority = Authority::fresh();
        let certified = authority.sign("localhost");
        give(&cluster, "server.crt", &certified.certificate);
        give(&cluster, "server.key", &certified.key);
        give(&cluster, "pg_hba.conf", "host all all 127.0.0.1/32 scram-sha-256\n");
        let authority_file = dir.path().join("authority.pem");
        std::fs::write(&authority_file, authority.pem()).unwrap();

        let started = (0..STARTS_MAX).find_map(|_| spawn(&programs, &cluster, tls));
        let (process, port) = started.expect("Postgres starts; its complaint stands above");
        Server { process, port, authority: authority_file, dir }
    }

    fn url(&self, host: &str, parameters: &str) -> String {
        format!("postgres://{SUPERUSER}:{PASSWORD}@{host}:{}/{DATABASE}?{parameters}", self.port)
    }

    /// Whether the connection has TLS, or why there is none.
    fn connect(&self, host: &str, parameters: &str) -> Result<bool, String> {
        let access = Access::of_url(&self.url(host, parameters), false).unwrap();
        io_runtime().block_on(async {
            let (client, connection) =
                access.connect().await.map_err(|error| format!("{:#}", anyhow::Error::from(error)))?;
            tokio::spawn(connection);
            let asked = client.query_one("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", &[]).await;
            Ok(asked.unwrap().get(0))
        })
    }
}

/// The parameters for a server that this authority vouches for.
fn verified(authority: &Path) -> String {
    format!("sslmode=verify-full&sslrootcert={}", authority.display())
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.process);
        // At once; nobody misses the data.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::QUIT);
        let _ = self.process.wait();
    }
}

/// Makes a cluster with a password, and says where its programs are.
fn prepare(options: &Options) -> PathBuf {
    let cluster = Cluster::start(options).unwrap();
    io_runtime().block_on(async {
        let (client, connection) = cluster.connection(DATABASE).connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(&format!("ALTER ROLE {SUPERUSER} PASSWORD '{PASSWORD}'")).await.unwrap();
        let found = client.query_one("SELECT setting FROM pg_config WHERE name = 'BINDIR'", &[]).await.unwrap();
        PathBuf::from(found.get::<_, &str>(0))
    })
}

/// A file of the account that the server runs as, for nobody else.
fn give(cluster: &Path, name: &str, text: &str) {
    let (path, owner) = (cluster.join(name), cluster.metadata().unwrap());
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
}

/// `None`: it has ended, perhaps because the port was taken. It ends with the thread that started it.
fn spawn(programs: &Path, cluster: &Path, tls: bool) -> Option<(Child, u16)> {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = Command::new("setpriv");
    if rustix::process::geteuid().is_root() {
        let owner = cluster.metadata().unwrap();
        command.args([format!("--reuid={}", owner.uid()), format!("--regid={}", owner.gid())]).arg("--clear-groups");
    }
    command.args(["--pdeathsig", "INT", "--"]).arg(programs.join("postgres")).arg("-D").arg(cluster);
    let ssl = if tls { "on" } else { "off" };
    for setting in [
        "listen_addresses=127.0.0.1",
        &format!("port={port}"),
        "unix_socket_directories=",
        "fsync=off",
        &format!("ssl={ssl}"),
    ] {
        command.args(["-c", setting]);
    }
    let mut process = command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let since = Instant::now();
    // Its last line says so.
    while !std::fs::read_to_string(cluster.join("postmaster.pid")).is_ok_and(|text| text.contains("ready")) {
        if process.try_wait().unwrap().is_some() {
            return None;
        }
        assert!(since.elapsed() < READY_WITHIN, "Postgres is not ready");
        std::thread::sleep(Duration::from_millis(5));
    }
    Some((process, port))
}

/// Runs the program with this URL; whether it succeeded, and what it said.
fn command(dir: &TempDir, arguments: &[&str], url: &str) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_deeptravel"))
        .args(arguments)
        .arg("--data-dir")
        .arg(dir.path().join("data"))
        .env("DATABASE_URL", url)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(!said.contains(PASSWORD), "{arguments:?}: {said}");
    (output.status.success(), said)
}

#[test]
fn fault_11_a_server_with_tls_is_reached_as_each_mode_says() {
    let server = Server::start(true);
    assert_eq!(server.connect("localhost", "sslmode=disable"), Ok(false));
    assert_eq!(server.connect("localhost", ""), Ok(true), "libpq's default prefers TLS");
    assert_eq!(server.connect("localhost", "sslmode=prefer"), Ok(true));
    assert_eq!(server.connect("127.0.0.1", "sslmode=require"), Ok(true), "whatever its name");
    let ours = verified(&server.authority);
    assert_eq!(server.connect("localhost", &ours), Ok(true));
    let bound = format!("{ours}&channel_binding=require");
    assert_eq!(server.connect("localhost", &bound), Ok(true), "the login is bound to the certificate");

    let said = server.connect("127.0.0.1", &ours).unwrap_err();
    assert!(said.contains("not valid for name"), "it is another's certificate: {said}");
    let stranger = server.dir.path().join("stranger.pem");
    std::fs::write(&stranger, Authority::fresh().pem()).unwrap();
    let said = server.connect("localhost", &verified(&stranger)).unwrap_err();
    assert!(said.contains("certificate"), "another authority has not signed it: {said}");
}

#[test]
fn fault_11_migrations_and_pools_go_by_tls_and_config_check_tries_it() {
    let server = Server::start(true);
    let url = server.url("localhost", &verified(&server.authority));
    let (access, runtime) = (Access::of_url(&url, false).unwrap(), io_runtime());
    runtime.block_on(migrate(&access)).unwrap();
    let database = Database::new(runtime.handle().clone(), &access);
    for lane in [Lane::Lists, Lane::Wakes, Lane::Projection] {
        runtime.block_on(select_1(&database, lane)).unwrap();
    }
    runtime.block_on(try_out(&access)).unwrap();

    let (succeeded, said) = command(&server.dir, &["migrate"], &url);
    assert!(succeeded && said.contains("0 migrations applied"), "{said}");
    // Nothing else of a production's configuration is there; what it says of the database counts.
    let (_, said) = command(&server.dir, &["config", "check"], &url);
    assert!(said.contains("wechat.appid") && !said.contains("database"), "{said}");
    let (_, said) = command(&server.dir, &["config", "check"], &server.url("127.0.0.1", &verified(&server.authority)));
    assert!(said.contains("database.url") && said.contains("not valid for name"), "{said}");
    let wrong = server.url("localhost", "").replace(PASSWORD, "another");
    let (_, said) = command(&server.dir, &["config", "check"], &wrong);
    assert!(said.contains("database.url") && said.contains("password authentication failed"), "{said}");
    assert!(!said.contains("another"), "{said}");
}

#[test]
fn fault_11_a_server_without_tls_is_reached_only_where_the_mode_allows_it() {
    let server = Server::start(false);
    assert_eq!(server.connect("localhost", "sslmode=disable"), Ok(false));
    assert_eq!(server.connect("localhost", "sslmode=prefer"), Ok(false), "on this machine it goes on without");
    for parameters in ["sslmode=require", &verified(&server.authority)] {
        let said = server.connect("localhost", parameters).unwrap_err();
        assert!(said.contains("does not support TLS"), "{parameters}: {said}");
    }
    let (_, said) = command(&server.dir, &["config", "check"], &server.url("localhost", "sslmode=require"));
    assert!(said.contains("database.url") && said.contains("does not support TLS"), "{said}");
}

#[test]
fn fault_11_no_command_goes_to_another_machine_without_tls() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("postgres://{SUPERUSER}:{PASSWORD}@192.0.2.1/{DATABASE}?sslmode=disable");
    let commands = [
        &["serve"][..],
        &["migrate"],
        &["config", "check"],
        &["admin", "create", "mei"],
        &["journal", "adopt"],
        &["import", "timetable", "config/demo"],
    ];
    for arguments in commands {
        let (succeeded, said) = command(&dir, arguments, &url);
        assert!(!succeeded && said.contains("192.0.2.1 is another machine"), "{arguments:?}: {said}");
        assert!(said.contains("database.plaintext"), "{arguments:?}: {said}");
    }
}

//! The projector's side of Postgres gives way to those who answer requests, where both share a machine.
//!
//! Requests wait for the engine, nobody waits for the projector. Yet Linux gives each Postgres process a session of its
//! own, and with automatic groups a session gets as much of the processors as all of the engine together. So the group's
//! weight is lowered, and the process's own for where there are no such groups. It never starves: at its own maximum the
//! engine leaves it a quarter of a processor or more, and it needs less.

use std::fs;
use std::io;
use std::time::Duration;

use rustix::process::{Pid, setpriority_process};
use tokio_postgres::Client;

/// A third of the usual weight.
const NICE: i32 = 5;

/// A server that takes longer than this to name a process is met by the next job's own limit.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// What the kernel calls the processes of a Postgres server.
const PROCESS_NAME: &str = "postgres";

/// Lowers the priority of the process that serves this connection, which runs on this machine, if we may.
pub(super) async fn lower(client: &Client) {
    // What is wrong with the connection is found by its first job.
    let asked = tokio::time::timeout(ANSWER_WITHIN, client.query_one("SELECT pg_backend_pid()", &[])).await;
    let Ok(Ok(row)) = asked else { return };
    let Ok(pid) = row.try_get::<_, i32>(0) else { return };
    if let Err(error) = lower_process(pid) {
        tracing::debug!(%error, pid, "The projector's Postgres process keeps its priority: {error}");
    }
}

fn lower_process(pid: i32) -> io::Result<()> {
    // A socket may lead into a container that numbers its processes in another way.
    if fs::read_to_string(format!("/proc/{pid}/comm"))?.trim_end() != PROCESS_NAME {
        return Err(io::Error::new(io::ErrorKind::NotFound, "its process is not seen from here"));
    }
    let Some(target) = Pid::from_raw(pid) else { return Err(io::ErrorKind::InvalidInput.into()) };
    setpriority_process(Some(target), NICE)?;
    match fs::write(format!("/proc/{pid}/autogroup"), NICE.to_string()) {
        // A kernel without groups.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

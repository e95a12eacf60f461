//! The account the server runs as, and the command line that gets it there.
//!
//! An ordinary user runs Postgres itself. Root lends an unprivileged account through `setpriv`, which also asks the kernel
//! to interrupt the server when the thread that forked it ends.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::EmbeddedError;
use super::error::Result;

/// Tried in this order when we are root: our own, that of the distribution's package, the one that always exists.
const CANDIDATES: [&str; 3] = ["deeptravel", "postgres", "nobody"];

/// Who the server runs as.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// The name of the user who runs this process, who logs in to the server.
    pub(super) own_name: String,
    /// Whether this process is root and changes to `uid` for the server.
    pub(super) lent: bool,
}

impl Account {
    /// The current user; for root the owner of an existing `cluster_dir`, else the first candidate that exists.
    pub(super) fn choose(cluster_dir: &Path) -> Result<Self> {
        let uid = rustix::process::geteuid();
        let own_name = id(&["-un"]).ok_or(EmbeddedError::NamelessUser { uid: uid.as_raw() })?;
        if !uid.is_root() {
            let gid = rustix::process::getegid().as_raw();
            return Ok(Self { name: own_name.clone(), uid: uid.as_raw(), gid, own_name, lent: false });
        }

        let owner = cluster_dir.metadata().ok().map(|found| found.uid()).filter(|uid| *uid != 0);
        let names = owner.map(|uid| uid.to_string()).into_iter().chain(CANDIDATES.map(str::to_owned));
        names.into_iter().find_map(|name| Self::lend(&name, &own_name)).ok_or(EmbeddedError::NoAccount)
    }

    /// Looks up `user` (a name or a number); root itself is never lent.
    fn lend(user: &str, own_name: &str) -> Option<Self> {
        let uid = id(&["-u", user])?.parse().ok().filter(|uid| *uid != 0)?;
        let gid = id(&["-g", user])?.parse().ok()?;
        let name = id(&["-un", user])?;
        Some(Self { name, uid, gid, own_name: own_name.to_owned(), lent: true })
    }

    /// Whether this account may pass through a directory, by its permission bits.
    pub(super) fn can_search(&self, directory: &Metadata) -> bool {
        let mode = directory.mode();
        if directory.uid() == self.uid {
            return mode & 0o100 != 0;
        }
        if directory.gid() == self.gid {
            return mode & 0o010 != 0;
        }
        mode & 0o001 != 0
    }

    /// Gives `path` to the account of the server. Nothing to do for an ordinary user.
    pub(super) fn give(&self, path: &Path) -> Result<()> {
        if !self.lent {
            return Ok(());
        }
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
            .map_err(EmbeddedError::io("change the owner of", path))
    }

    /// `program` as this account, interrupted by the kernel when the forking thread ends, in a process group of its own
    /// so that Ctrl-C in a terminal reaches only us and we stop the server when we are done with it.
    pub(super) fn command(&self, program: &Path) -> Result<Command> {
        let setpriv = find_setpriv().ok_or(EmbeddedError::SetprivMissing)?;
        let mut command = Command::new(setpriv);
        if self.lent {
            command.arg(format!("--reuid={}", self.uid)).arg(format!("--regid={}", self.gid)).arg("--clear-groups");
        }
        command.args(["--pdeathsig", "INT", "--"]).arg(program);
        // A clean environment: PGPORT, PGOPTIONS and their like would change the server behind our back.
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LC_ALL", "C").env("TZ", "UTC");
        command.current_dir("/").stdin(Stdio::null()).process_group(0);
        Ok(command)
    }
}

fn find_setpriv() -> Option<&'static Path> {
    ["/usr/bin/setpriv", "/bin/setpriv", "/usr/local/bin/setpriv", "/run/current-system/sw/bin/setpriv"]
        .map(Path::new)
        .into_iter()
        .find(|path| path.exists())
}

/// The answer of `id`, which also knows accounts that are not in `/etc/passwd`.
fn id(arguments: &[&str]) -> Option<String> {
    let output = Command::new("id").args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let answer = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !answer.is_empty()).then_some(answer)
}

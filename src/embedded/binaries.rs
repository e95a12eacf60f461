//! Finding `initdb` and `postgres`. Distributions keep them outside `PATH`, one directory for each major version.

use std::iter;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::EmbeddedError;
use super::error::Result;

/// The oldest major version whose SQL we stay within.
pub(super) const OLDEST_MAJOR: u32 = 15;

/// Where packages put one directory per major version: what stands before and after the version.
const VERSIONED_PLACES: [(&str, &str, &str); 5] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/usr/libexec", "postgresql", ""),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
];

const PLAIN_PLACES: [&str; 2] = ["/usr/local/pgsql/bin", "/usr/lib/postgresql/bin"];

/// A usable installation.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    pub(super) directory: PathBuf,
    pub(super) major: u32,
}

impl Programs {
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// The installation to use: `given` and no other, else the newest in the usual places, then that of `pg_config`, then that
/// of `PATH`. A cluster that exists needs the major version that made it.
pub(super) fn find(given: Option<&Path>, made_by: Option<&MadeBy>) -> Result<Programs> {
    let Some(directory) = given else {
        return pick(usual_places().iter().filter_map(|directory| inspect(directory)), made_by);
    };
    let missing = || EmbeddedError::NotPrograms { directory: directory.to_path_buf(), oldest: OLDEST_MAJOR };
    pick([inspect(directory).ok_or_else(missing)?], made_by)
}

/// An existing cluster and the major version that made it.
#[derive(Debug, Clone)]
pub(super) struct MadeBy {
    pub(super) directory: PathBuf,
    pub(super) major: u32,
}

fn pick(found: impl IntoIterator<Item = Programs>, made_by: Option<&MadeBy>) -> Result<Programs> {
    let mut found = found.into_iter();
    let first = found.next().ok_or(EmbeddedError::ProgramsMissing { oldest: OLDEST_MAJOR })?;
    let Some(MadeBy { directory, major }) = made_by else { return Ok(first) };
    let missing = || EmbeddedError::MajorMissing { directory: directory.clone(), made_by: *major };
    iter::once(first).chain(found).find(|programs| programs.major == *major).ok_or_else(missing)
}

/// The installation in `directory`, if it is complete and new enough.
fn inspect(directory: &Path) -> Option<Programs> {
    if !directory.join("initdb").is_file() {
        return None;
    }
    let output = Command::new(directory.join("postgres")).arg("--version").stdin(Stdio::null()).output().ok()?;
    let major = parse_major(&String::from_utf8(output.stdout).ok()?)?;
    (major >= OLDEST_MAJOR).then(|| Programs { directory: directory.to_path_buf(), major })
}

/// The 15 of `postgres (PostgreSQL) 15.8 (Debian 15.8-0+deb12u1)`, of `… 17rc1` and the like.
fn parse_major(version: &str) -> Option<u32> {
    let number = version.split_once("(PostgreSQL)")?.1.trim_start();
    let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    number.get(..end)?.parse().ok()
}

fn usual_places() -> Vec<PathBuf> {
    let mut places: Vec<(u32, PathBuf)> =
        VERSIONED_PLACES.iter().flat_map(|(parent, prefix, suffix)| versioned(parent, prefix, suffix)).collect();
    places.sort_by_key(|(major, _)| std::cmp::Reverse(*major));

    let path = std::env::var_os("PATH");
    let others = PLAIN_PLACES.map(PathBuf::from).into_iter().chain(pg_config_place());
    let others = others.chain(path.iter().flat_map(std::env::split_paths));
    places.into_iter().map(|(_, place)| place).chain(others).collect()
}

/// `parent/prefix<major>/suffix` for every major version that is there.
fn versioned(parent: &str, prefix: &str, suffix: &str) -> impl Iterator<Item = (u32, PathBuf)> {
    std::fs::read_dir(parent).into_iter().flatten().flatten().filter_map(move |entry| {
        let major = entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok()?;
        Some((major, entry.path().join(suffix)))
    })
}

fn pg_config_place() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let answer = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| PathBuf::from(answer.trim()))
}

#[cfg(test)]
mod tests {
    use super::{MadeBy, Programs, find, parse_major, pick};
    use crate::embedded::EmbeddedError;

    #[test]
    fn the_major_version_is_read_from_what_every_distribution_prints() {
        assert_eq!(parse_major("postgres (PostgreSQL) 15.8 (Debian 15.8-0+deb12u1)\n"), Some(15));
        assert_eq!(parse_major("postgres (PostgreSQL) 17rc1"), Some(17));
        assert_eq!(parse_major("postgres (PostgreSQL) 18"), Some(18));
        assert_eq!(parse_major("something else"), None);
    }

    #[test]
    fn without_programs_one_sentence_says_what_to_install() {
        let error = pick([], None).unwrap_err().to_string();
        assert!(error.contains("apt-get install postgresql") && error.contains("DATABASE_URL"), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }

    #[test]
    fn a_directory_that_was_named_but_holds_no_programs_is_named_in_the_error() {
        let empty = tempfile::tempdir().unwrap();
        let error = find(Some(empty.path()), None).unwrap_err();
        assert!(matches!(&error, EmbeddedError::NotPrograms { directory, .. } if directory == empty.path()), "{error}");
    }

    #[test]
    fn an_existing_cluster_gets_the_version_that_made_it_also_when_a_newer_one_is_installed() {
        let installed = || [17, 15].map(|major| Programs { directory: format!("/pg/{major}").into(), major });
        let made_by = |major| MadeBy { directory: "/data/cluster".into(), major };

        assert_eq!(pick(installed(), None).unwrap().major, 17);
        assert_eq!(pick(installed(), Some(&made_by(15))).unwrap().major, 15);
        assert!(matches!(pick(installed(), Some(&made_by(16))), Err(EmbeddedError::MajorMissing { made_by: 16, .. })));
    }
}

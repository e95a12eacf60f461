//! Where Postgres is.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::access::Access;
use crate::secrets::{named, read_secret};

/// Section `database` of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseSettings {
    url: SecretString,
    url_file: PathBuf,
    /// Whether the way to a database on another machine may be one without TLS.
    plaintext: bool,
}

impl DatabaseSettings {
    pub fn read_files(&mut self) -> anyhow::Result<()> {
        read_secret(&mut self.url, &self.url_file, "database.url_file")
    }

    /// Files with secrets, by the keys that name them.
    pub fn files(&self) -> Vec<(&'static str, &Path)> {
        named([("database.url_file", &*self.url_file)])
    }

    /// How the database is reached, if it is not the private one.
    pub fn access(&self) -> anyhow::Result<Option<Access>> {
        let url = Some(self.url.expose_secret()).filter(|url| !url.is_empty());
        url.map(|url| Access::of_url(url, self.plaintext)).transpose()
    }
}

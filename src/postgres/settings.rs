//! Where Postgres is.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use crate::secrets::{named, read_secret};

/// Section `database` of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseSettings {
    pub url: SecretString,
    url_file: PathBuf,
}

impl DatabaseSettings {
    pub fn read_files(&mut self) -> anyhow::Result<()> {
        read_secret(&mut self.url, &self.url_file, "database.url_file")
    }

    /// Files with secrets, by the keys that name them.
    pub fn files(&self) -> Vec<(&'static str, &Path)> {
        named([("database.url_file", &*self.url_file)])
    }

    /// The URL of the database, if it is not the private one.
    pub fn url(&self) -> Option<&str> {
        Some(self.url.expose_secret()).filter(|url| !url.is_empty())
    }
}

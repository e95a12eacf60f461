//! The database that the server names, for the audit: read-only, and only tables that are part of the server's
//! documented schema.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, NoTls, Row};

/// A connection.
pub struct Database {
    client: Client,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}

impl Database {
    /// Connects as the server's `postgres:` line says: a `psql` command line or a connection string.
    pub async fn connect(how: &str) -> anyhow::Result<Database> {
        let config = parse(how)?;
        let (client, connection) = config.connect(NoTls).await.with_context(|| format!("connecting to {how}"))?;
        // When the connection breaks, the next query says so.
        tokio::spawn(connection);
        Ok(Database { client })
    }

    pub async fn query(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> anyhow::Result<Vec<Row>> {
        self.client.query(sql, parameters).await.context("a query of the audit")
    }

    /// How far the projection is, to see whether it still moves.
    pub async fn position(&self) -> anyhow::Result<i64> {
        let rows = self.query("SELECT position FROM journal_position", &[]).await?;
        Ok(rows.first().map_or(0, |row| row.get(0)))
    }

    /// The age of the newest order in the database, in seconds: while orders are made, how far it lags behind.
    pub async fn lag_seconds(&mut self) -> Option<f64> {
        let newest = "SELECT extract(epoch FROM created_at)::float8 FROM order_rows ORDER BY order_id DESC LIMIT 1";
        let rows = self.client.query(newest, &[]).await.ok()?;
        let created_at: f64 = rows.first()?.try_get(0).ok()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs_f64();
        Some((now - created_at).max(0.0))
    }
}

/// `psql -h DIR -p 5432 -U NAME -d NAME`, `psql URL`, or a connection string.
pub fn parse(how: &str) -> anyhow::Result<Config> {
    let words = words(how);
    if words.first().is_none_or(|word| word != "psql") {
        return how.trim().parse().with_context(|| format!("{how:?} is no way to connect"));
    }
    let mut config = Config::new();
    let mut words = words.into_iter().skip(1);
    while let Some(word) = words.next() {
        if word.starts_with("postgres://") || word.starts_with("postgresql://") || word.contains('=') {
            return word.parse().with_context(|| format!("{word:?} is no way to connect"));
        }
        let value = words.next().with_context(|| format!("{word} has no value in {how:?}"))?;
        match word.as_str() {
            // A path is the directory of a socket.
            "-h" => config.host(&value),
            "-p" => config.port(value.parse().with_context(|| format!("{value:?} is no port"))?),
            "-U" => config.user(&value),
            "-d" => config.dbname(&value),
            _ => bail!("{word} is not known in {how:?}"),
        };
    }
    Ok(config)
}

/// The words of a command line; quotes hold blanks together.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for character in line.chars() {
        match quote {
            Some(mark) if mark == character => quote = None,
            None if character == '\'' || character == '"' => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            None if character.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use tokio_postgres::config::Host;

    use super::*;

    #[test]
    fn a_psql_line_names_the_socket() {
        let config = parse("psql -h '/tmp/a b/socket' -p 5433 -U deeptravel -d deeptravel").unwrap();
        assert_eq!(config.get_hosts(), [Host::Unix("/tmp/a b/socket".into())]);
        assert_eq!(config.get_ports(), [5433]);
        assert_eq!((config.get_user(), config.get_dbname()), (Some("deeptravel"), Some("deeptravel")));
    }

    #[test]
    fn a_connection_string_is_taken_as_it_is() {
        for how in ["postgres://me@127.0.0.1:5433/x", "psql 'postgres://me@127.0.0.1:5433/x'", "host=127.0.0.1 user=me"]
        {
            let config = parse(how).unwrap();
            assert_eq!((config.get_user(), config.get_hosts()), (Some("me"), &[Host::Tcp("127.0.0.1".into())][..]));
        }
        for bad in ["psql -h", "psql -x 1", "psql -p many", "nonsense"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}

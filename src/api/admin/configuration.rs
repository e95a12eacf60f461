//! What is the same for every kind of configuration: a write, its answer, the history, and the way back (R-ADMIN-06). A
//! kind's own file says its paths, its body, and how it is shown.

use std::sync::Arc;

use deeptravel_actors::lists::AuditEntry;
use deeptravel_domain::catalogue::{Change, Command, Key};
use deeptravel_domain::register::{Action, Author, Entity, Standing};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::api::frame::{Answered, OptionalKey, Page, Problem, Staff, ok};
use crate::api::views::{self, Zoned};

/// Which revision is brought back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Restore {
    /// One of the history. Without it, the one before the one that stands.
    #[schema(minimum = 1)]
    version: Option<u32>,
}

/// A write that made a revision.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Revision {
    version: u32,
    since: Zoned,
    /// User name of the account; or `import`.
    account: String,
    #[schema(pattern = "^(put|restore|withdraw)$")]
    action: &'static str,
    /// What it held from then on. Absent when it was withdrawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    content: Option<Box<RawValue>>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// The newest first.
    revisions: Vec<Revision>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Puts it. Everybody sees it from the answer on.
pub async fn put(by: &Staff, key: OptionalKey, content: impl Into<Change>) -> Result<Standing, Problem> {
    by.shown(by.api.engine.configure(Command::new(content, author(by, key))).await)
}

/// Makes what an earlier revision held a new one.
pub async fn restore(by: &Staff, key: OptionalKey, what: Key, wanted: &Restore) -> Result<Standing, Problem> {
    by.shown(by.api.engine.restore(what, wanted.version, author(by, key)).await)
}

fn author(by: &Staff, key: OptionalKey) -> Author {
    Author { account: Arc::from(&*by.who.username), key: key.key.map(|key| key.0.into()) }
}

/// The revisions of an entity, also of one that was withdrawn.
pub async fn history<E: Entity>(by: &Staff, id: &E::Id, page: &Page<u64>) -> Answered {
    let id = id.to_string();
    let mut revisions =
        page.read(by, |lists, before, count| async move { lists.history(E::NAME, &id, before, count).await }).await?;
    let next_cursor = page.cut(&mut revisions, |entry| entry.number);
    let revisions = revisions.into_iter().map(revision).collect::<Result<_, _>>()?;
    Ok(ok(&History { revisions, next_cursor }))
}

fn revision(entry: AuditEntry) -> Result<Revision, Problem> {
    let content = entry.after.filter(|_| entry.action != Action::Withdraw).map(RawValue::from_string).transpose();
    Ok(Revision {
        version: entry.revision.unwrap_or_default(),
        since: views::time(entry.at),
        account: entry.account,
        action: entry.action.code(),
        content: content.map_err(|error| Problem::fault("What the audit holds is no JSON", &error))?,
    })
}

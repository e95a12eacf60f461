//! What is the same for every kind of configuration: a write, its answer, the history, and the way back (R-ADMIN-06). A
//! kind's own file says its paths, its body, and how it is shown.

use deeptravel_actors::lists::AuditEntry;
use deeptravel_actors::outage::Answer;
use deeptravel_domain::catalogue::{Change, Command, Key};
use deeptravel_domain::register::{Action, Author, Entity, Standing};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::api::frame::{Answered, Api, List, Listed, Page, Problem, Shape, Staff};
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
#[schema(as = Revision)]
pub struct RevisionView {
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

impl Listed for RevisionView {
    const SHAPE: Shape = Shape { schema: "History", field: "revisions", order: "The newest first.", is_own: false };
}

pub type History = List<RevisionView>;

/// Puts it. Everybody sees it from the answer on.
pub async fn put(api: &Api, by: &Staff, content: impl Into<Change>) -> Result<Standing, Problem> {
    let command = Command::new(content, &*by.account.username);
    written(api, by, api.engine.configure(command).await)
}

/// Makes what an earlier revision held a new one.
pub async fn restore(api: &Api, by: &Staff, key: Key, wanted: &Restore) -> Result<Standing, Problem> {
    written(api, by, api.engine.restore(key, wanted.version, Author::from(&*by.account.username)).await)
}

fn written(api: &Api, by: &Staff, answer: Answer<Standing>) -> Result<Standing, Problem> {
    api.shown(by.token(), answer)
}

/// The revisions of an entity, also of one that was withdrawn.
pub async fn history<E: Entity>(api: &Api, by: &Staff, id: &E::Id, page: &Page<u64>) -> Answered {
    let id = id.to_string();
    let mut revisions = page
        .read(api, by.token(), |lists, before, count| async move { lists.history(E::NAME, &id, before, count).await })
        .await?;
    let next_cursor = page.cut(&mut revisions, |entry| entry.number);
    Ok(History::of(revisions.into_iter().map(revision).collect::<Result<Vec<_>, _>>()?, next_cursor).answer())
}

fn revision(entry: AuditEntry) -> Result<RevisionView, Problem> {
    let content = entry.after.filter(|_| entry.action != Action::Withdraw).map(RawValue::from_string).transpose();
    Ok(RevisionView {
        version: entry.revision.unwrap_or_default(),
        since: views::time(entry.at),
        account: entry.account,
        action: entry.action.code(),
        content: content.map_err(|error| Problem::fault("What the audit holds is no JSON", &error))?,
    })
}

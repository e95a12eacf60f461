//! What is the same for every kind of configuration (R-ADMIN-06): the list, one of them, its history, a write and its
//! answer, the way back. A kind has a file of its own, which says its paths and its body: `impl Kind`, and one line,
//! `configuration::mount::<Port>(routes)`.

mod document;
mod item;

use std::sync::Arc;

use deeptravel_actors::engine::Owners;
use deeptravel_actors::lists::AuditEntry;
use deeptravel_domain::catalogue::{Catalogue, Command, Registered};
use deeptravel_domain::register::{self, Action, Author, Entry, Standing};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::api::frame::{
    Allowed, Answered, Api, BODY_BYTES_MAX, Body, Configure, OptionalKey, Page, Permit, Problem, Routes,
    SeeConfiguration, Staff, ok, parse_json, parse_listed,
};
use crate::api::views::{self, Zoned};
use document::Document;
use item::{Item, Sent};

pub use item::{check_code, same_id};

/// A kind of configuration, as those see it who put and read it. On the wire an entity has the fields of its serde, and
/// its revision.
pub trait Kind: Registered<Id: Serialize> {
    /// What it is put with.
    type Body: DeserializeOwned + ToSchema;
    /// For the document alone: what is shown of one, and what lists have of it, besides the revision.
    type Shown: ToSchema;
    type Listed: ToSchema;

    /// Of one of them. The last parameter in it is the id, under its name in answers.
    const ITEM: &'static str;
    /// What a list calls them. `None`: there is no list.
    const LIST: Option<&'static str>;
    /// In a sentence: `a port`.
    const ONE: &'static str;
    /// What else is to be said of a put.
    const PUT: &'static str = "";
    /// The list in its body that may come without the body around it.
    const ALONE: Option<&'static str> = None;
    /// Whether it can be withdrawn.
    const ENDS: bool = true;
    const BYTES_MAX: usize = BODY_BYTES_MAX;
    /// What its revision is called, and since when that is in force.
    const REVISION: &'static str = "version";
    const SINCE: &'static str = "since";
    /// Counts the revisions.
    const METRIC: Option<&'static str> = None;

    /// What is to be put under this id.
    fn change(id: Self::Id, body: Self::Body) -> Result<register::Change<Self>, Problem>;

    /// Says in a body what the path names above its id, for a kind below another.
    fn place_below(_: &mut Self::Body, _above: &str) -> Result<(), Problem> {
        Ok(())
    }

    /// Whether there is what the path names above its id, or was.
    fn knows_above(_: &Catalogue, _above: &str) -> bool {
        true
    }

    /// Whether it is below what the path names above its id.
    fn is_below(&self, _above: &str) -> bool {
        true
    }

    /// Adds what is shown of it besides what it holds.
    fn complete(&self, _: &Catalogue, _: &mut Map<String, Value>) {}

    /// Adds what is shown of how it is used now.
    fn live(&self, _: &Owners, _: &mut Map<String, Value>) {}

    /// Takes away what a list leaves out.
    fn shorten(_: &mut Map<String, Value>) {}
}

/// A name in the two languages every name has.
#[derive(ToSchema)]
#[schema(as = Names)]
#[allow(dead_code)] // the document alone reads it: on the wire it is the domain's `Names`
pub struct NamesView {
    #[schema(example = "港澳碼頭")]
    zh: String,
    #[schema(example = "Sheung Wan")]
    en: String,
}

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

/// Mounts all operations that a kind has.
pub fn mount<K: Kind>(routes: &mut Routes<'_, '_>) {
    mount_for::<K, SeeConfiguration>(routes);
}

/// As [`mount`], of a kind that those with the permission may look at.
pub fn mount_for<K: Kind, See: Permit<Caller = Staff>>(routes: &mut Routes<'_, '_>) {
    if let Some(name) = K::LIST {
        routes.mount_described(Document::list::<K>(name), list::<K, See>);
    }
    routes
        .mount_described(Document::put::<K>(), put::<K>)
        .mount_described(Document::show::<K>(), show::<K, See>)
        .mount_described(Document::history::<K>(), history::<K, See>)
        .mount_described(Document::restore::<K>(), restore::<K>);
    if K::ENDS {
        routes.mount_described(Document::withdraw::<K>(), withdraw::<K>);
    }
}

async fn list<K: Kind, See: Permit>(_: Allowed<See>, api: Api, page: Page<K::Id>, item: Item<K>) -> Answered {
    let catalogue = api.engine.services().catalogue.load();
    item.check_above(&catalogue)?;
    let entries = K::of(catalogue.registers()).entries();
    let (entries, next_cursor) =
        page.of_memory(entries.filter(|entry| item.has(entry)), |entry| entry.content.id().clone());
    let listed = entries.into_iter().map(|entry| {
        let mut shown = shown::<K>(entry, &catalogue, api.engine.services());
        K::shorten(&mut shown);
        shown
    });
    let mut answer = Map::new();
    answer.insert(K::LIST.unwrap_or_default().to_owned(), listed.collect());
    if let Some(cursor) = next_cursor {
        answer.insert("nextCursor".to_owned(), cursor.into());
    }
    Ok(ok(&answer))
}

async fn show<K: Kind, See: Permit>(_: Allowed<See>, api: Api, item: Item<K>) -> Answered {
    let catalogue = api.engine.services().catalogue.load();
    let id = item.known(&catalogue)?;
    let entry = K::of(catalogue.registers()).entry(&id).filter(|entry| !entry.withdrawn);
    Ok(ok(&shown::<K>(entry.ok_or_else(|| item.unknown())?, &catalogue, api.engine.services())))
}

fn shown<K: Kind>(entry: &Entry<K>, catalogue: &Catalogue, owners: &Owners) -> Map<String, Value> {
    let Ok(Value::Object(mut shown)) = serde_json::to_value(&*entry.content) else {
        unreachable!("an entity is an object of texts and numbers")
    };
    shown.insert(K::REVISION.to_owned(), entry.revision.into());
    shown.insert(K::SINCE.to_owned(), json!(views::time(entry.since)));
    entry.content.complete(catalogue, &mut shown);
    entry.content.live(owners, &mut shown);
    shown
}

async fn put<K: Kind>(Allowed(by): Allowed<Configure>, item: Item<K>, key: OptionalKey, body: Sent<K>) -> Answered {
    let mut body = K::ALONE.map_or_else(|| parse_json(body.bytes()), |name| parse_listed(name, body.bytes()))?;
    if let Some(above) = item.above() {
        K::place_below(&mut body, above)?;
    }
    let id = item.to_put(&by.api.engine.services().catalogue.load())?;
    write::<K>(&by, key, K::change(id, body)?).await
}

async fn withdraw<K: Kind>(Allowed(by): Allowed<Configure>, item: Item<K>, key: OptionalKey) -> Answered {
    let id = item.known(&by.api.engine.services().catalogue.load())?;
    write::<K>(&by, key, register::Change::Withdraw(id)).await
}

/// Everybody sees it from the answer on.
pub async fn tell<K: Kind>(by: &Staff, key: OptionalKey, change: register::Change<K>) -> Result<Standing, Problem> {
    let command = Command::new(K::told(change), author(by, key));
    let standing = by.shown(by.api.engine.configure(command).await)?;
    count::<K>(standing);
    Ok(standing)
}

async fn write<K: Kind>(by: &Staff, key: OptionalKey, change: register::Change<K>) -> Answered {
    let id = change.id().clone();
    Ok(written::<K>(&id, tell(by, key, change).await?))
}

fn count<K: Kind>(standing: Standing) {
    if let Some(metric) = K::METRIC {
        metrics::counter!(metric).increment(u64::from(standing.changed));
    }
}

async fn restore<K: Kind>(Allowed(by): Allowed<Configure>, item: Item<K>, key: OptionalKey, body: Body) -> Answered {
    let wanted: Restore = body.json()?;
    let id = item.known(&by.api.engine.services().catalogue.load())?;
    let restored = by.api.engine.restore(K::key(id.clone()), wanted.version, author(&by, key)).await;
    let standing = by.shown(restored)?;
    count::<K>(standing);
    Ok(written::<K>(&id, standing))
}

/// Who writes, and how he calls the write.
pub fn author(by: &Staff, key: OptionalKey) -> Author {
    Author { account: Arc::from(&*by.who.username), key: key.key.map(|key| key.0.into()) }
}

fn written<K: Kind>(id: &impl Serialize, standing: Standing) -> actix_web::HttpResponse {
    let Standing { revision, since, changed } = standing;
    let (revision, since) = ((K::REVISION, json!(revision)), (K::SINCE, json!(views::time(since))));
    let fields = [(item::name::<K>(), json!(id)), revision, since, ("idempotent", json!(!changed))];
    ok(&fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}

/// Also of one that was withdrawn.
async fn history<K: Kind, See: Permit<Caller = Staff>>(
    Allowed(by): Allowed<See>,
    item: Item<K>,
    page: Page<u64>,
) -> Answered {
    let id = item.known(&by.api.engine.services().catalogue.load())?.to_string();
    history_of(&by, K::NAME, id, &page).await
}

/// What the audit has of the writes that made a revision.
pub async fn history_of(by: &Staff, entity: &'static str, id: String, page: &Page<u64>) -> Answered {
    let mut revisions =
        page.read(by, |lists, before, count| async move { lists.history(entity, &id, before, count).await }).await?;
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

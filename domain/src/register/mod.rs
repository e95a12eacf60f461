//! Configuration: what administrators put as a whole, and what is the same for every kind of it. A kind is an [`Entity`]; a
//! [`Register`] keeps what there is of one kind; an owner keeps several, see `registers!`. Every write is checked, is
//! idempotent, counts a revision of its own, and leaves an audit entry in the record that made it true; so does a write that is
//! refused. What an entity held earlier is read from its audit entries.

mod audit;
mod list;

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt::{Debug, Display};
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::rejection::Rejection;
use crate::row::{Damage, Row as _, Rows, Table};
use crate::time::Timestamp;

pub use audit::{Action, Audit, AuditRow, RevisionRow, Revisions};
pub(crate) use list::registers;

/// A kind of configuration. Its serde is what the API and the audit say of it.
pub trait Entity: Clone + PartialEq + Debug + Serialize + DeserializeOwned + Send + Sync + 'static {
    type Id: Ord + Clone + Debug + Display + FromStr + Send + Sync;
    /// The machine that owns it, with all that it may refer to.
    type World;

    /// As the audit and its history call it.
    const NAME: &'static str;
    /// Where its rows are.
    const TABLE: &'static Table;

    fn id(&self) -> &Self::Id;

    /// The revision that this put has made already, where puts have names of their own. Errors: the name stands for another.
    fn made_before(&self, _: &Self::World) -> Result<Option<Standing>, Rejection> {
        Ok(None)
    }

    /// What it must be like. A refusal names the field as it is called on the wire.
    fn check(&self, world: &Self::World) -> Result<(), Rejection>;

    /// Who still refers to it or needs it, so that it cannot be withdrawn.
    fn used_by(id: &Self::Id, world: &Self::World) -> Option<String>;

    /// Its rows that a write has changed, as they are in `world` now.
    fn put_rows(written: &Written<Self>, world: &Self::World, version: u64, rows: &mut Rows);

    /// All of them, each with what its own rows say of its revision. `ids`: of those that have one, also if no row is left of
    /// what they hold.
    fn read_rows(rows: &Rows, ids: &[Self::Id]) -> Result<Vec<Entry<Self>>, Damage>;
}

/// What is in force under one id. It reads as what it holds.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry<E> {
    pub content: Arc<E>,
    /// Counts the writes of this id, from 1. 0: it was written before they were counted.
    pub revision: u32,
    /// When that revision came into force; before they were counted, the epoch.
    pub since: Timestamp,
    /// It is not there any more, but for its id.
    pub withdrawn: bool,
    /// What the client calls the write that made it, if it does.
    pub asked: Option<Asked>,
}

/// What a client calls a write of its account: told again, it is the same write.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    pub action: Action,
    pub account: Arc<str>,
    pub key: Arc<str>,
    /// Which revision a restoration named.
    pub wanted: Option<u32>,
}

impl<E> Entry<E> {
    /// As it was written before revisions were counted.
    pub fn uncounted(content: E) -> Entry<E> {
        Entry { content: Arc::new(content), revision: 0, since: Timestamp::from_ms(0), withdrawn: false, asked: None }
    }
}

impl<E> Deref for Entry<E> {
    type Target = E;

    fn deref(&self) -> &E {
        &self.content
    }
}

/// What is to become of what is in force, if anything is. Told twice, it changes nothing more.
#[derive(Clone)]
pub struct Edit<E>(Arc<Editing<E>>);

type Editing<E> = dyn Fn(Option<&E>) -> Result<E, Rejection> + Send + Sync;

impl<E> Edit<E> {
    pub fn new(edit: impl Fn(Option<&E>) -> Result<E, Rejection> + Send + Sync + 'static) -> Edit<E> {
        Edit(Arc::new(edit))
    }
}

/// The very same one.
impl<E> PartialEq for Edit<E> {
    fn eq(&self, other: &Edit<E>) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<E> Debug for Edit<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Edit")
    }
}

/// A write to one entity.
#[derive(Clone, PartialEq, Debug)]
pub enum Change<E: Entity> {
    Put(Arc<E>),
    /// What an earlier revision held becomes a new one. `None`: there is no such revision.
    Restore {
        id: E::Id,
        /// As it was named; `None`: the one before what stands.
        revision: Option<u32>,
        content: Option<Arc<E>>,
    },
    Withdraw(E::Id),
    /// A part of it, whatever else it holds by then.
    Edit(E::Id, Edit<E>),
}

impl<E: Entity> From<E> for Change<E> {
    fn from(content: E) -> Change<E> {
        Change::Put(Arc::new(content))
    }
}

impl<E: Entity> Change<E> {
    pub fn id(&self) -> &E::Id {
        match self {
            Change::Put(content) => content.id(),
            Change::Restore { id, .. } | Change::Withdraw(id) | Change::Edit(id, _) => id,
        }
    }

    fn action(&self) -> Action {
        match self {
            Change::Put(_) | Change::Edit(..) => Action::Put,
            Change::Restore { .. } => Action::Restore,
            Change::Withdraw(_) => Action::Withdraw,
        }
    }

    fn put(&self) -> Option<&Arc<E>> {
        match self {
            Change::Put(content) => Some(content),
            Change::Edit(..) | Change::Restore { .. } | Change::Withdraw(_) => None,
        }
    }
}

impl Asked {
    fn of<E: Entity>(change: &Change<E>, by: &Author, key: &Arc<str>) -> Asked {
        let wanted = match change {
            Change::Restore { revision, .. } => *revision,
            Change::Put(_) | Change::Withdraw(_) | Change::Edit(..) => None,
        };
        Asked { action: change.action(), account: Arc::clone(&by.account), key: Arc::clone(key), wanted }
    }

    fn is_named_as(&self, told: &Asked) -> bool {
        (self.action, &self.account, &self.key) == (told.action, &told.account, &told.key)
    }

    /// The write that made what stands says something else when it is told again. What a restoration would bring back now is
    /// no sign of that.
    fn repeats<E: Entity>(
        &self,
        told: &Asked,
        change: &Change<E>,
        wanted: Option<&Arc<E>>,
        entry: &Entry<E>,
    ) -> Result<(), Rejection> {
        let is_other = match change {
            Change::Put(_) | Change::Edit(..) => wanted != Some(&entry.content),
            Change::Restore { .. } | Change::Withdraw(_) => self.wanted != told.wanted,
        };
        if is_other { Err(Rejection::IdempotencyMismatch) } else { Ok(()) }
    }
}

/// Who writes.
#[derive(Clone, PartialEq, Debug)]
pub struct Author {
    /// An account, or a part of us with a name of its own.
    pub account: Arc<str>,
    /// See [`Asked`].
    pub key: Option<Arc<str>>,
}

impl From<&str> for Author {
    fn from(account: &str) -> Author {
        Author { account: account.into(), key: None }
    }
}

/// A command to an owner of registers.
#[derive(Clone, PartialEq, Debug)]
pub struct Command<C> {
    pub change: C,
    pub by: Author,
    /// By an owner that had to be asked first: then it leaves its audit entry, and changes nothing.
    pub refused: Option<Rejection>,
}

impl<C> Command<C> {
    pub fn new(change: impl Into<C>, by: impl Into<Author>) -> Command<C> {
        Command { change: change.into(), by: by.into(), refused: None }
    }

    /// The same, told by whom it concerns that it cannot be.
    #[must_use]
    pub fn refused(self, why: Rejection) -> Command<C> {
        Command { refused: Some(why), ..self }
    }
}

/// What a write did to one entry.
#[derive(Clone, PartialEq, Debug)]
pub struct Written<E> {
    pub before: Option<Arc<Entry<E>>>,
    pub after: Arc<Entry<E>>,
}

impl<E> Written<E> {
    /// What was in force before.
    pub fn earlier(&self) -> Option<&Arc<E>> {
        self.before.as_ref().filter(|entry| !entry.withdrawn).map(|entry| &entry.content)
    }

    /// What is in force now.
    pub fn now(&self) -> Option<&Arc<E>> {
        Some(&self.after).filter(|entry| !entry.withdrawn).map(|entry| &entry.content)
    }
}

/// What became of a command that was not already so.
#[derive(Clone, PartialEq, Debug)]
pub struct Event<W> {
    pub outcome: Result<W, Rejection>,
    pub audit: Audit,
}

impl<W> Event<W> {
    pub(crate) fn map<T>(self, of: impl FnOnce(W) -> T) -> Event<T> {
        Event { outcome: self.outcome.map(of), audit: self.audit }
    }
}

/// What whoever wrote learns: the revision that stands now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    pub revision: u32,
    pub since: Timestamp,
    /// Whether this write made it; else it was already so.
    pub changed: bool,
}

/// What there is of one kind. `Clone` costs a reference count.
#[derive(Clone, PartialEq, Debug)]
pub struct Register<E: Entity>(Arc<BTreeMap<E::Id, Arc<Entry<E>>>>);

impl<E: Entity> Default for Register<E> {
    fn default() -> Register<E> {
        Register(Arc::default())
    }
}

impl<E: Entity> Register<E> {
    /// Also one that was withdrawn.
    pub fn entry<Q: Ord + ?Sized>(&self, id: &Q) -> Option<&Arc<Entry<E>>>
    where
        E::Id: Borrow<Q>,
    {
        self.0.get(id)
    }

    pub fn get<Q: Ord + ?Sized>(&self, id: &Q) -> Option<&Arc<E>>
    where
        E::Id: Borrow<Q>,
    {
        self.entry(id).filter(|entry| !entry.withdrawn).map(|entry| &entry.content)
    }

    pub fn has<Q: Ord + ?Sized>(&self, id: &Q) -> bool
    where
        E::Id: Borrow<Q>,
    {
        self.get(id).is_some()
    }

    /// Whether nothing was ever written.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is in force, by id.
    pub fn entries(&self) -> impl Iterator<Item = &Arc<Entry<E>>> {
        self.0.values().filter(|entry| !entry.withdrawn)
    }

    /// What is in force, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<E>> {
        self.entries().map(|entry| &entry.content)
    }

    /// `None`: it is already so.
    pub(crate) fn decide(
        &self,
        change: &Change<E>,
        (by, refused): (&Author, Option<&Rejection>),
        world: &E::World,
        now: Timestamp,
    ) -> Option<Event<Written<E>>> {
        let before = self.0.get(change.id());
        let wanted = self.wanted(change);
        let asked = by.key.as_ref().map(|key| Asked::of(change, by, key));
        let told = asked.as_ref().zip(before.and_then(|entry| entry.asked.as_ref().map(|told| (entry, told))));
        let outcome = match (refused, wanted.clone(), told) {
            (Some(refused), _, _) => Err(refused.clone()),
            (None, Err(refused), _) => Err(refused),
            (None, Ok(wanted), Some((asked, (entry, told)))) if asked.is_named_as(told) => {
                asked.repeats(told, change, wanted.as_ref(), entry).map(|()| None)
            }
            (None, Ok(wanted), Some(_) | None) => self.write(change, wanted, world),
        };
        let written = |(content, withdrawn)| written(before, content, now, withdrawn, asked);
        let outcome = outcome.and_then(|write| write.map(written).transpose()).transpose()?;
        let text = |content: &E| Arc::from(json(content));
        let audit = Audit {
            at: now,
            account: Arc::clone(&by.account),
            entity: E::NAME,
            id: change.id().to_string(),
            revision: outcome.as_ref().ok().map(|written| written.after.revision),
            action: change.action(),
            before: before.map(|entry| text(&entry.content)),
            after: wanted.ok().flatten().map(|content| text(&content)),
        };
        Some(Event { outcome, audit })
    }

    /// What it is to hold.
    fn wanted(&self, change: &Change<E>) -> Result<Option<Arc<E>>, Rejection> {
        match change {
            Change::Put(content) => Ok(Some(Arc::clone(content))),
            Change::Edit(id, Edit(edit)) => edit(self.get(id).map(Arc::as_ref)).map(|content| Some(Arc::new(content))),
            Change::Restore { content, .. } => Ok(content.clone()),
            Change::Withdraw(_) => Ok(None),
        }
    }

    /// What it is to hold, and whether it is withdrawn. `None`: it is already so.
    fn write(
        &self,
        change: &Change<E>,
        wanted: Option<Arc<E>>,
        world: &E::World,
    ) -> Result<Option<(Arc<E>, bool)>, Rejection> {
        let id = change.id();
        let before = self.0.get(id);
        match (change, before) {
            (Change::Put(content), _) if content.made_before(world)?.is_some() => Ok(None),
            (Change::Put(_) | Change::Edit(..) | Change::Restore { .. }, before) => {
                let content = match (wanted, before) {
                    (Some(content), _) => content,
                    (None, Some(_)) => return Err(Rejection::NoEarlierRevision),
                    (None, None) => return Err(not_configured::<E>(id)),
                };
                content.check(world)?;
                let is_so = before.is_some_and(|entry| !entry.withdrawn && entry.content == content);
                Ok((!is_so).then_some((content, false)))
            }
            (Change::Withdraw(_), None) => Err(not_configured::<E>(id)),
            (Change::Withdraw(_), Some(before)) if before.withdrawn => Ok(None),
            (Change::Withdraw(_), Some(before)) => match E::used_by(id, world) {
                Some(by) => Err(Rejection::InUse { entity: E::NAME, id: id.to_string(), by }),
                None => Ok(Some((Arc::clone(&before.content), true))),
            },
        }
    }

    pub(crate) fn evolve(&mut self, written: &Written<E>) {
        Arc::make_mut(&mut self.0).insert(written.after.id().clone(), Arc::clone(&written.after));
    }

    /// The revision that stands, as whoever asked for this change is told it.
    pub(crate) fn standing(&self, change: &Change<E>, world: &E::World, changed: bool) -> Standing {
        let made_before = |content: &Arc<E>| content.made_before(world).ok().flatten();
        if let Some(made_before) = change.put().filter(|_| !changed).and_then(made_before) {
            return made_before;
        }
        let (revision, since) =
            self.0.get(change.id()).map_or((0, Timestamp::from_ms(0)), |entry| (entry.revision, entry.since));
        Standing { revision, since, changed }
    }

    pub(crate) fn put_all(&self, owner: &str, world: &E::World, version: u64, rows: &mut Rows) {
        for entry in self.0.values() {
            Written { before: None, after: Arc::clone(entry) }.put_rows(owner, world, version, rows);
        }
    }

    pub(crate) fn read(rows: &Rows, revisions: &Revisions<'_>) -> Result<Register<E>, Damage> {
        let counted = revisions.of::<E>()?;
        let ids: Vec<E::Id> = counted.keys().cloned().collect();
        let mut entries = BTreeMap::new();
        for mut entry in E::read_rows(rows, &ids)? {
            if let Some(row) = counted.get(entry.id()) {
                (entry.revision, entry.since, entry.withdrawn) = (row.revision, row.since, row.withdrawn);
                entry.asked = row.asked();
            }
            entries.insert(entry.id().clone(), Arc::new(entry));
        }
        if let Some(lost) = counted.iter().find_map(|(id, row)| (!entries.contains_key(id)).then_some(row)) {
            return Err(lost.damage("has no content"));
        }
        Ok(Register(Arc::new(entries)))
    }
}

impl<E: Entity> Written<E> {
    pub(crate) fn put_rows(&self, owner: &str, world: &E::World, version: u64, rows: &mut Rows) {
        E::put_rows(self, world, version, rows);
        let Entry { content, revision, since, withdrawn, asked } = &*self.after;
        rows.put(&RevisionRow {
            entity: E::NAME,
            entity_id: &content.id().to_string(),
            version,
            owner,
            revision: *revision,
            since: *since,
            withdrawn: *withdrawn,
            asked_action: asked.as_ref().map(|asked| asked.action),
            asked_account: asked.as_ref().map(|asked| &*asked.account),
            asked_key: asked.as_ref().map(|asked| &*asked.key),
            asked_revision: asked.as_ref().and_then(|asked| asked.wanted),
        });
    }
}

fn written<E: Entity>(
    before: Option<&Arc<Entry<E>>>,
    content: Arc<E>,
    since: Timestamp,
    withdrawn: bool,
    asked: Option<Asked>,
) -> Result<Written<E>, Rejection> {
    let revision = before.map_or(0, |entry| entry.revision).checked_add(1);
    let revision = revision.ok_or_else(|| Rejection::field(E::NAME, "there are no revisions left"))?;
    let after = Arc::new(Entry { content, revision, since, withdrawn, asked });
    Ok(Written { before: before.cloned(), after })
}

fn not_configured<E: Entity>(id: &E::Id) -> Rejection {
    Rejection::NotConfigured { entity: E::NAME, id: id.to_string() }
}

fn json(content: &impl Serialize) -> String {
    serde_json::to_string(content).unwrap_or_else(|error| unreachable!("an entity has texts and numbers only: {error}"))
}

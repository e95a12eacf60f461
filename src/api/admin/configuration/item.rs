//! What a request is about: the id in its path, and what its body holds.

use std::future::{Ready, ready};
use std::marker::PhantomData;

use actix_web::dev::Payload;
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpRequest};
use deeptravel_domain::catalogue::Catalogue;
use deeptravel_domain::register::Entry;
use deeptravel_domain::rejection::Rejection;
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

use super::Kind;
use crate::api::frame::{Problem, read_json_body};

/// Longest id that is put anew (`api.md`); imports may have made longer ones.
const ID_LEN_MAX: usize = 32;

/// The name of a kind's id: the last parameter of its path.
pub fn name<K: Kind>() -> &'static str {
    let parameter = K::ITEM.rsplit_once('{').and_then(|(_, rest)| rest.split_once('}'));
    parameter.map_or_else(|| unreachable!("{} has no parameter", K::ITEM), |(name, _)| name)
}

/// The names of all ids in a kind's path, its own last.
pub fn names<K: Kind>() -> impl Iterator<Item = &'static str> {
    K::ITEM.split('{').skip(1).filter_map(|rest| rest.split('}').next())
}

/// The ids in the path, as they were sent: its own, which lists lack, and the one above it.
pub struct Item<K>(String, Option<String>, PhantomData<K>);

impl<K: Kind> FromRequest for Item<K> {
    type Error = Problem;
    type Future = Ready<Result<Item<K>, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let sent = |name| request.match_info().query(name).to_owned();
        let above = names::<K>().next().filter(|above| *above != name::<K>());
        ready(Ok(Item(sent(name::<K>()), above.map(sent), PhantomData)))
    }
}

impl<K: Kind> Item<K> {
    /// An id has one text.
    fn id(&self) -> Option<K::Id> {
        self.0.parse().ok().filter(|id: &K::Id| id.to_string() == self.0)
    }

    pub fn above(&self) -> Option<&str> {
        self.1.as_deref()
    }

    /// What the path names above the id is there.
    pub fn check_above(&self, catalogue: &Catalogue) -> Result<(), Problem> {
        let unknown = self.above().filter(|above| !K::knows_above(catalogue, above));
        let (Some(above), Some(name)) = (unknown, names::<K>().next()) else { return Ok(()) };
        let unknown = Rejection::NotConfigured { entity: name, id: above.to_owned() };
        Err(Problem::from(unknown).naming(name, "is not configured"))
    }

    /// Whether it is where the path looks for it.
    pub fn has(&self, entry: &Entry<K>) -> bool {
        self.above().is_none_or(|above| entry.content.is_below(above))
    }

    /// That is configured, or was.
    pub fn known(&self, catalogue: &Catalogue) -> Result<K::Id, Problem> {
        self.check_above(catalogue)?;
        let known = self.id().filter(|id| K::of(catalogue.registers()).entry(id).is_some_and(|entry| self.has(entry)));
        known.ok_or_else(|| self.unknown())
    }

    /// That may be configured.
    pub fn to_put(&self, catalogue: &Catalogue) -> Result<K::Id, Problem> {
        let id = self.id().ok_or_else(|| Problem::field(name::<K>(), "is no code"))?;
        let fits = self.0.len() <= ID_LEN_MAX || K::of(catalogue.registers()).entry(&id).is_some();
        Problem::unless(fits, name::<K>(), "is longer than 32 characters").map(|()| id)
    }

    pub fn unknown(&self) -> Problem {
        let unknown = Rejection::NotConfigured { entity: K::NAME, id: self.0.clone() };
        Problem::from(unknown).naming(name::<K>(), "is not configured")
    }
}

/// A code in a body that is made there.
pub fn check_code(field: impl FnOnce() -> String, code: &str) -> Result<(), Problem> {
    if code.len() <= ID_LEN_MAX { Ok(()) } else { Err(Problem::field(field(), "is longer than 32 characters")) }
}

/// The body of a put, not yet understood.
pub struct Sent<K>(Bytes, PhantomData<K>);

impl<K> Sent<K> {
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl<K: Kind> FromRequest for Sent<K> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Sent<K>, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        async move { Ok(Sent(read_json_body(&request, &mut payload, K::BYTES_MAX).await?, PhantomData)) }.boxed_local()
    }
}

/// The id in a body, which may be left out, is the one in the path.
pub fn same_id<T: PartialEq>(name: &'static str, path: &T, body: Option<&T>) -> Result<(), Problem> {
    Problem::unless(body.is_none_or(|body| body == path), name, "is another one than in the path")
}

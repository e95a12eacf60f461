//! What a request is about: the id in its path, and what its body holds.

use std::future::{Ready, ready};
use std::marker::PhantomData;

use actix_web::dev::Payload;
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpRequest};
use deeptravel_domain::catalogue::Catalogue;
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

/// The id in the path, as it was sent.
pub struct Item<K>(String, PhantomData<K>);

impl<K: Kind> FromRequest for Item<K> {
    type Error = Problem;
    type Future = Ready<Result<Item<K>, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Item(request.match_info().query(name::<K>()).to_owned(), PhantomData)))
    }
}

impl<K: Kind> Item<K> {
    /// An id has one text.
    fn id(&self) -> Option<K::Id> {
        self.0.parse().ok().filter(|id: &K::Id| id.to_string() == self.0)
    }

    /// That is configured, or was.
    pub fn known(&self, catalogue: &Catalogue) -> Result<K::Id, Problem> {
        let known = self.id().filter(|id| K::of(catalogue.registers()).entry(id).is_some());
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

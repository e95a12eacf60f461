//! Lists that people page through. A list's file says which statement reads it, where an entry stands and how it is shown;
//! here is what all have in common: `limit` and `cursor`, one entry more than is shown, the next page's cursor, and the
//! waiting for what the session was shown (rule 13).

use std::fmt::Display;
use std::future::{Ready, ready};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use deeptravel_actors::directory::Shown;
use deeptravel_actors::ports::{Lists, StoreError};
use deeptravel_domain::order::Order;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use super::auth::{LoggedIn, Traveller};
use super::problem::Problem;
use super::query::{STRAY, first, parse_query};
use super::refusals;
use super::state::Api;

/// Most entries of a page (`api.md`).
const LIMIT_MAX: u32 = 100;
/// Entries of a page when nothing is said (`api.md`).
const LIMIT_DEFAULT: u32 = 20;
/// A list waits this long for the projector (rule 13).
const LIST_WAIT: Duration = Duration::from_secs(2);
/// Layout of cursors, so that another can follow.
const CURSOR_PREFIX: &str = "1:";

/// The parameters of every list, for the document.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// Of lists that have no other parameters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoFilter {}

/// Whoever reads lists.
pub trait Reader {
    fn api(&self) -> &Api;

    /// What it was shown: its lists contain that.
    fn seen(&self) -> &Shown;
}

impl<W> Reader for LoggedIn<W> {
    fn api(&self) -> &Api {
        &self.api
    }

    fn seen(&self) -> &Shown {
        &self.session.shown
    }
}

/// The page that is asked for. A cursor stands for a place `P` in the list; `F` are the list's own parameters.
#[derive(Debug)]
pub struct Page<P, F = NoFilter> {
    pub limit: usize,
    /// The place after which the page begins; `None`: the first page.
    after: Option<P>,
    pub filter: F,
}

impl<P: FromStr, F: DeserializeOwned> FromRequest for Page<P, F> {
    type Error = Problem;
    type Future = Ready<Result<Page<P, F>, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Page::of(request.query_string()))
    }
}

impl<P: FromStr, F: DeserializeOwned> Page<P, F> {
    /// Errors name the parameter.
    fn of(query: &str) -> Result<Page<P, F>, Problem> {
        let Paging { limit, cursor } = parse_query(query)?;
        let filter = own_parameters(query, &["limit", "cursor"])?;
        Ok(Page { limit: page_limit(limit)? as usize, after: cursor.as_deref().map(read_cursor).transpose()?, filter })
    }
}

impl<P: Clone + Display, F> Page<P, F> {
    /// Reads with one entry more than the page shows, which tells whether another page follows; what is read contains
    /// everything that whoever reads was shown. While the database is away: 503 at once.
    pub async fn read<T, R>(
        &self,
        by: &impl Reader,
        read: impl FnOnce(Arc<dyn Lists>, Option<P>, u32) -> R,
    ) -> Result<T, Problem>
    where
        T: Send + 'static,
        R: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        read_fresh(by, |lists| read(lists, self.after.clone(), self.limit as u32 + 1)).await
    }

    /// As [`Page::read`]; of the first page what is in memory, while the database is away and not only behind (rule 13).
    pub async fn read_own<T, R>(
        &self,
        by: &Traveller,
        read: impl FnOnce(Arc<dyn Lists>, Option<P>, u32) -> R,
    ) -> Result<Own<T>, Problem>
    where
        T: Send + 'static,
        R: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let read = self.read(by, read).await;
        let is_away =
            |problem: &Problem| problem.code() == refusals::STORAGE_UNAVAILABLE.code && !by.api.lists.is_available();
        if self.after.is_none() && read.as_ref().is_err_and(is_away) {
            let mut orders = by.api.engine.orders_in_memory(by.who, LIMIT_MAX as usize).await?.outcome?;
            orders.retain(|order| order.is_placed());
            return Ok(Own::InMemory(orders));
        }
        read.map(Own::Stored)
    }

    /// Cuts what was read to the page. The cursor of the next one, if there is one; `place` says where an entry stands.
    pub fn cut<T>(&self, entries: &mut Vec<T>, place: impl Fn(&T) -> P) -> Option<String> {
        let more = entries.len() > self.limit;
        entries.truncate(self.limit);
        entries.last().filter(|_| more).map(|last| write_cursor(place(last)))
    }
}

impl<P: Ord + Clone + Display, F> Page<P, F> {
    /// The page of what is in memory, sorted by its place, and the cursor of the next one.
    pub fn of_memory<T>(
        &self,
        entries: impl IntoIterator<Item = T>,
        place: impl Fn(&T) -> P,
    ) -> (Vec<T>, Option<String>) {
        let is_after = |entry: &T| self.after.as_ref().is_none_or(|after| place(entry) > *after);
        let mut entries: Vec<T> = entries.into_iter().filter(is_after).take(self.limit + 1).collect();
        let next_cursor = self.cut(&mut entries, place);
        (entries, next_cursor)
    }
}

/// Reads when the lists contain everything that whoever reads was shown (rule 13). While the database is away: 503 at once.
pub async fn read_fresh<T, R>(by: &impl Reader, read: impl FnOnce(Arc<dyn Lists>) -> R) -> Result<T, Problem>
where
    T: Send + 'static,
    R: Future<Output = Result<T, StoreError>> + Send + 'static,
{
    let api = by.api();
    if !api.lists.is_available() {
        return Err(refusals::STORAGE_UNAVAILABLE.into());
    }
    let wanted = by.seen().newest();
    if api.projected() < wanted {
        let mut projected = api.engine.services().projected.clone();
        let follows = projected.wait_for(|position| *position >= wanted);
        let Ok(Ok(_)) = tokio::time::timeout(LIST_WAIT, follows).await else {
            return Err(refusals::STORAGE_UNAVAILABLE.into());
        };
    }
    let reading = read(Arc::clone(&api.lists));
    api.on_io(reading).await.and_then(|read| read.map_err(Problem::from))
}

/// What there is of a traveller's list.
#[derive(Debug)]
pub enum Own<T> {
    Stored(T),
    /// The newest orders, from which the first page can be made.
    InMemory(Vec<Arc<Order>>),
}

/// A list's own parameters, of a query that also has those of its paging. Errors name the parameter.
pub(super) fn own_parameters<F: DeserializeOwned>(query: &str, paging: &[&str]) -> Result<F, Problem> {
    let is_own = |part: &&str| first(part).is_none_or(|name| !paging.contains(&&*name));
    let own = query.split('&').filter(is_own).collect::<Vec<_>>().join("&");
    parse_query(&own).map_err(|problem| match problem.errors() {
        // The reader of the filter does not know that every list has two parameters more.
        [unknown] if unknown.message.starts_with("unknown field") => Problem::field(unknown.field.clone(), STRAY),
        _ => problem,
    })
}

/// How many entries a page has: `limit`, 1 to 100.
fn page_limit(limit: Option<u32>) -> Result<u32, Problem> {
    let limit = Some(limit.unwrap_or(LIMIT_DEFAULT)).filter(|limit| (1..=LIMIT_MAX).contains(limit));
    limit.ok_or_else(|| Problem::field("limit", format!("is not between 1 and {LIMIT_MAX}")))
}

/// The place in a list that a cursor stands for. Clients must not look into it.
fn read_cursor<P: FromStr>(cursor: &str) -> Result<P, Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let place = text.and_then(|text| text.strip_prefix(CURSOR_PREFIX)?.parse().ok());
    place.ok_or_else(|| Problem::field("cursor", "is not one that a page has given"))
}

fn write_cursor(last: impl Display) -> String {
    URL_SAFE_NO_PAD.encode(format!("{CURSOR_PREFIX}{last}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize, Debug, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        status: Option<String>,
    }

    fn refused(query: &str) -> String {
        Page::<u32, Wanted>::of(query).unwrap_err().errors()[0].field.to_string()
    }

    #[test]
    fn a_page_has_1_to_100_entries_and_a_cursor_comes_back_as_it_was() {
        assert_eq!(page_limit(None), Ok(20));
        assert_eq!(page_limit(Some(100)), Ok(100));
        assert!(page_limit(Some(0)).is_err() && page_limit(Some(101)).is_err());
        assert_eq!(read_cursor::<u32>(&write_cursor(7)), Ok(7));
        for cursor in ["", "7", "MTp4", "ÿ"] {
            assert!(read_cursor::<u32>(cursor).is_err(), "{cursor}");
        }
    }

    #[test]
    fn a_list_has_its_own_parameters_beside_those_of_all() {
        let query = format!("%6Cimit=2&status=a%26limit=9&cursor={}", write_cursor(7));
        let page: Page<u32, Wanted> = Page::of(&query).unwrap();
        assert_eq!((page.limit, page.after), (2, Some(7)));
        assert_eq!(page.filter.status.as_deref(), Some("a&limit=9"));
        assert_eq!(Page::<u32>::of("").unwrap().limit, 20);
    }

    #[test]
    fn a_wrong_or_unknown_parameter_is_named() {
        for (query, field) in
            [("limit=0", "limit"), ("limit=x", "limit"), ("cursor=x", "cursor"), ("statue=a&limit=1", "statue")]
        {
            assert_eq!(refused(query), field, "{query}");
        }
        for query in ["limit=1&limit=2", "status=a&status=b"] {
            assert!(Page::<u32, Wanted>::of(query).is_err(), "{query}");
        }
        let stray = Page::<u32>::of("limit=1&status=a").unwrap_err();
        assert_eq!((&*stray.errors()[0].field, &*stray.errors()[0].message), ("status", STRAY));
    }

    #[test]
    fn an_entry_more_than_the_page_shows_tells_that_another_page_follows() {
        let page: Page<u32> = Page::of("limit=2").unwrap();
        let (mut all, mut more) = (vec![9, 8], vec![9, 8, 7]);
        assert_eq!(page.cut(&mut all, |entry| *entry), None);
        assert_eq!(page.cut(&mut more, |entry| *entry), Some(write_cursor(8)));
        assert_eq!(more, [9, 8]);
    }
}

//! Lists of partners: pages that have numbers, `page` and `limit`, and say how many entries there are on all (R-OTA-08).

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use deeptravel_actors::lists::NumberedPage;
use deeptravel_actors::ports::{Lists, StoreError};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use super::list::{NoFilter, Reader, own_parameters, read_fresh};
use super::problem::Problem;
use super::query::parse_query;
use super::refusals;

/// Most entries of a page (`api.md`).
const LIMIT_MAX: u32 = 1_000;
/// Entries of a page when nothing is said.
const LIMIT_DEFAULT: u32 = 100;
/// Highest number of a page: beyond it nobody has entries.
const PAGE_MAX: u32 = 1_000_000;

/// The parameters of every such list, for the document.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct NumberedPaging {
    /// From 1.
    #[param(minimum = 1, maximum = 1_000_000, default = 1)]
    page: Option<u32>,
    #[param(minimum = 1, maximum = 1_000, default = 100)]
    limit: Option<u32>,
}

/// The page that is asked for; `F` are the list's own parameters.
#[derive(Debug)]
pub struct Numbered<F = NoFilter> {
    pub page: NumberedPage,
    pub filter: F,
}

impl<F: DeserializeOwned> FromRequest for Numbered<F> {
    type Error = Problem;
    type Future = Ready<Result<Numbered<F>, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Numbered::of(request.query_string()))
    }
}

impl<F: DeserializeOwned> Numbered<F> {
    /// Errors name the parameter.
    fn of(query: &str) -> Result<Numbered<F>, Problem> {
        let NumberedPaging { page, limit } = parse_query(query)?;
        let filter = own_parameters(query, &["page", "limit"])?;
        let number = between("page", page.unwrap_or(1), PAGE_MAX)?;
        let limit = between("limit", limit.unwrap_or(LIMIT_DEFAULT), LIMIT_MAX)?;
        Ok(Numbered { page: NumberedPage { number, limit }, filter })
    }
}

impl<F> Numbered<F> {
    /// Reads what contains everything that whoever reads was shown. While the database is away: 503 at once.
    pub async fn read<T, R>(
        &self,
        by: &impl Reader,
        read: impl FnOnce(Arc<dyn Lists>, NumberedPage) -> R,
    ) -> Result<T, Problem>
    where
        T: Send + 'static,
        R: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        read_fresh(by, |lists| read(lists, self.page)).await
    }
}

fn between(field: &'static str, number: u32, most: u32) -> Result<u32, Problem> {
    let refused = || Problem::from(refusals::INVALID_PARAMETER).naming(field, format!("is not between 1 and {most}"));
    Some(number).filter(|number| (1..=most).contains(number)).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        status: Option<String>,
    }

    #[test]
    fn r_ota_08_a_page_has_a_number_and_1_to_1000_entries() {
        let page = |query: &str| Numbered::<Wanted>::of(query).map(|wanted| (wanted.page.number, wanted.page.limit));
        assert_eq!(page("status=a"), Ok((1, 100)));
        assert_eq!(page("page=7&limit=1000"), Ok((7, 1_000)));
        for (query, field) in
            [("page=0", "page"), ("page=1000001", "page"), ("limit=0", "limit"), ("limit=1001", "limit")]
        {
            let refused = page(query).unwrap_err();
            assert_eq!((refused.code(), &*refused.errors()[0].field), ("INVALID_PARAMETER", field), "{query}");
        }
        assert_eq!(&*page("cursor=a").unwrap_err().errors()[0].field, "cursor");
        assert_eq!(Numbered::<Wanted>::of("page=2&status=b").unwrap().filter.status.as_deref(), Some("b"));
        assert!(Numbered::<NoFilter>::of("page=2&status=b").is_err());
    }
}

//! `search`: what can be bought between two places on a day, in turn for every date on sale and for parties of different
//! sizes.

use jiff::ToSpan;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::unexpected;
use crate::drive::Load;
use crate::http::{Head, RequestBuffer, Target};
use crate::tally::Outcome;
use crate::timetable::{DAYS, today};

/// Adults, children, seniors; up to ten may travel together.
const PARTIES: [(u16, u16, u16); 7] = [(1, 0, 0), (2, 0, 0), (2, 1, 0), (1, 0, 1), (2, 2, 1), (4, 0, 0), (6, 2, 1)];
/// One answer in so many is read as a whole: the generator has to be cheap. Of the others the beginning is looked at.
const READ_EVERY: u64 = 1024;
/// An answer with something to buy begins so.
const AVAILABLE: &[u8] = br#"{"availability":"available""#;

/// See the module's documentation.
#[derive(Debug)]
pub struct Search {
    /// Path and query.
    paths: Vec<String>,
}

impl Search {
    /// Over the dates on sale from tomorrow on.
    pub fn between(origin: &str, destination: &str) -> Search {
        let dates = (1..DAYS - 1).filter_map(|ahead| today().checked_add(ahead.days()).ok());
        let of_party = |date, (adults, children, seniors)| {
            format!(
                "/travel/search?origin={origin}&destination={destination}&travelDate={date}&adults={adults}\
                 &children={children}&seniors={seniors}"
            )
        };
        let paths = dates.flat_map(|date| PARTIES.into_iter().map(move |party| of_party(date, party)));
        Search { paths: paths.collect() }
    }

    /// The n-th search.
    pub fn path(&self, n: u64) -> &str {
        self.paths.get((n % self.paths.len().max(1) as u64) as usize).map_or("/", String::as_str)
    }
}

/// What an answer means; `n` decides whether it is read as a whole.
pub fn judge(n: u64, status: u16, body: &[u8]) -> Outcome {
    #[derive(Deserialize)]
    struct Answer {
        routes: Vec<IgnoredAny>,
    }
    if status != 200 {
        return unexpected(status, body);
    }
    if !body.starts_with(AVAILABLE) {
        return Outcome::Failed("200 with nothing to buy".into());
    }
    if n.is_multiple_of(READ_EVERY) {
        match serde_json::from_slice::<Answer>(body) {
            Ok(answer) if !answer.routes.is_empty() => {}
            _ => return Outcome::Failed("200 that cannot be read".into()),
        }
    }
    Outcome::Accepted
}

impl Load for Search {
    type Ack = ();

    fn request(&self, n: u64, target: &Target, request: &mut RequestBuffer) -> bool {
        request.body.clear();
        request.finish(target, &Head { method: "GET", path: self.path(n), token: None, headers: &[] });
        true
    }

    fn judge(&self, n: u64, status: u16, body: &[u8], _acks: &mut Vec<()>) -> Outcome {
        judge(n, status, body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_take_turns_over_dates_and_parties() {
        let search = Search::between("A", "B");
        let all: std::collections::BTreeSet<&str> = search.paths.iter().map(String::as_str).collect();
        assert_eq!(all.len(), (DAYS as usize - 2) * PARTIES.len());
        assert_eq!(search.path(0), search.path(all.len() as u64));
        assert!(PARTIES.iter().all(|(adults, children, seniors)| (1..=10).contains(&(adults + children + seniors))));
    }

    #[test]
    fn an_empty_list_is_no_answer_to_be_proud_of() {
        let full = br#"{"availability":"available","routes":[{"a":1}],"packages":[]}"#;
        assert_eq!(judge(0, 200, full), Outcome::Accepted);
        assert!(matches!(judge(0, 200, br#"{"availability":"available","routes":[]}"#), Outcome::Failed(_)));
        assert!(matches!(judge(1, 200, br#"{"availability":"sold_out","routes":[]}"#), Outcome::Failed(_)));
        assert!(matches!(judge(1, 422, b"{}"), Outcome::Refused(_)));
    }
}

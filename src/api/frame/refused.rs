//! Who was not let in, in the log and in the metrics: failed logins, lock-outs, tokens, keys and permissions that are missing
//! (R-ADMIN-07). One line for a request at most, and few in a second, however many requests there are: the metrics count
//! them all. No line has a token, a key, a password, or a name that is no account's: people type passwords into the wrong field.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::{HttpMessage as _, HttpRequest};
use metrics::Counter;

use super::problem::Problem;

/// Lines of one code, of one worker, within [`STRETCH`], of logins and of all else apart: who guesses passwords cannot hide
/// behind bad tokens. Of those beyond, the next line says how many there were.
const LINES_MAX: u32 = 5;
const STRETCH: Duration = Duration::from_secs(1);

/// Kept with a request of staff: whose account it is about, for the line that a refusal may become.
struct Account(Box<str>);
/// Kept with a request of a partner.
struct OfPartner(Box<str>);
/// Kept with a request that is a login.
struct IsLogin;

/// Notes that a request is a login, and for which account, if there is such a one.
pub(super) fn note_login(request: &HttpRequest, account: Option<&str>) {
    request.extensions_mut().insert(IsLogin);
    if let Some(name) = account {
        note_account(request, name);
    }
}

/// Notes whose account asks.
pub(super) fn note_account(request: &HttpRequest, name: &str) {
    request.extensions_mut().insert(Account(name.into()));
}

/// Notes which partner asks.
pub(super) fn note_partner(request: &HttpRequest, id: &str) {
    request.extensions_mut().insert(OfPartner(id.into()));
}

/// Of one worker.
#[derive(Default)]
pub(super) struct Refused(RefCell<HashMap<(&'static str, bool), Kind>>);

/// Refusals of one code, of logins or of all else.
struct Kind {
    total: Counter,
    since: Instant,
    lines: u32,
    left_out: u64,
}

impl Refused {
    /// Counts an answer that lets nobody in, and logs it if there is room. `client` is asked for an address only then.
    pub(super) fn note<B>(&self, response: &ServiceResponse<B>, route: &str, client: impl FnOnce() -> Option<IpAddr>) {
        let status = response.status();
        if !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS) {
            return;
        }
        let extensions = response.response().extensions();
        let problem = extensions.get::<Problem>();
        let code = problem.map_or("OTHER", Problem::code);
        let request = response.request().extensions();
        let is_login = request.get::<IsLogin>().is_some();
        let Some(left_out) = self.line(code, is_login, Instant::now()) else { return };

        let why = problem.map_or("", Problem::detail);
        let address = client().map(tracing::field::display);
        let account = request.get::<Account>().map(|Account(name)| &**name);
        let partner = request.get::<OfPartner>().map(|OfPartner(id)| &**id);
        let (status, left_out) = (status.as_u16(), (left_out > 0).then_some(left_out));
        macro_rules! line {
            ($level:ident, $what:literal) => {
                tracing::$level!(
                    http.route = route,
                    http.status = status,
                    code,
                    client.address = address,
                    account.name = account,
                    partner.id = partner,
                    left_out,
                    "{}: {why}",
                    $what
                )
            };
        }
        // Tokens end every day. Passwords that are wrong are somebody's work.
        if is_login {
            line!(warn, "A login was refused");
        } else {
            line!(info, "A request was refused");
        }
    }

    /// Counts one; how many were left out before it, if it has a line.
    fn line(&self, code: &'static str, is_login: bool, now: Instant) -> Option<u64> {
        let mut kinds = self.0.borrow_mut();
        let kind = kinds.entry((code, is_login)).or_insert_with(|| Kind::new(code, now));
        kind.total.increment(1);
        if now.duration_since(kind.since) >= STRETCH {
            (kind.since, kind.lines) = (now, 0);
        }
        if kind.lines == LINES_MAX {
            kind.left_out += 1;
            return None;
        }
        kind.lines += 1;
        Some(std::mem::take(&mut kind.left_out))
    }
}

impl Kind {
    fn new(code: &'static str, now: Instant) -> Kind {
        Kind { total: metrics::counter!("access_refused_total", "code" => code), since: now, lines: 0, left_out: 0 }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::ResponseError as _;
    use actix_web::test::TestRequest;

    use super::super::refusals;
    use super::*;
    use crate::telemetry::testing::lines_of;

    fn refuse(refused: &Refused, problem: &Problem, note: impl FnOnce(&HttpRequest)) {
        let request = TestRequest::get().insert_header(("Authorization", "Bearer hush")).to_http_request();
        note(&request);
        let response = ServiceResponse::new(request, problem.error_response());
        refused.note(&response, "/operators/login", || Some(IpAddr::from([192, 0, 2, 1])));
    }

    #[test]
    fn fault_6_a_refused_login_is_one_line_that_says_why_and_where_from() {
        let wrong = refusals::UNAUTHENTICATED.saying("the user name or the password is wrong");
        let lines = lines_of(|| refuse(&Refused::default(), &wrong, |request| note_login(request, Some("gate"))));
        let [line] = &lines[..] else { panic!("{lines:?}") };
        for part in ["WARN A login was refused: the user name or", "UNAUTHENTICATED", "192.0.2.1", "\"gate\"", "401"] {
            assert!(line.contains(part), "{part}: {line}");
        }
        assert!(!line.contains("hush") && !line.contains("left_out"), "{line}");

        let lines = lines_of(|| refuse(&Refused::default(), &wrong, |request| note_login(request, None)));
        assert!(!lines[0].contains("account"), "what is typed into a field of names may be a password: {lines:?}");
    }

    #[test]
    fn fault_6_missing_permissions_and_lock_outs_are_lines_other_errors_are_none() {
        let lines = lines_of(|| {
            let refused = Refused::default();
            for refusal in [refusals::FORBIDDEN, refusals::RATE_LIMITED, refusals::NOT_FOUND, refusals::OVERLOADED] {
                refuse(&refused, &refusal.into(), |request| note_account(request, "ops"));
            }
        });
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].contains("INFO A request was refused") && lines[0].contains("FORBIDDEN"), "{lines:?}");
        assert!(lines[1].contains("RATE_LIMITED"), "{lines:?}");
    }

    #[test]
    fn fault_6_of_a_flood_few_lines_are_written_and_each_kind_has_its_own() {
        let (refused, begun) = (Refused::default(), Instant::now());
        let written = (0..1000).filter_map(|_| refused.line("UNAUTHENTICATED", false, begun)).count();
        assert_eq!(written, LINES_MAX as usize);
        assert_eq!(refused.line("RATE_LIMITED", false, begun), Some(0));
        assert_eq!(refused.line("UNAUTHENTICATED", true, begun), Some(0), "bad tokens do not hide a failed login");
        let later = begun + STRETCH;
        assert_eq!(refused.line("UNAUTHENTICATED", false, later), Some(1000 - u64::from(LINES_MAX)));
        assert_eq!(refused.line("UNAUTHENTICATED", false, later), Some(0), "said once");
    }
}

//! Who asks: bearer tokens of travellers and staff. Only a token's SHA-256 is looked up, in memory, so an attempt
//! costs the same whether the token exists or not, and a revoked one is refused at once.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::header::AUTHORIZATION;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use base64::Engine as _;
use deeptravel_actors::directory::OpenSession;
use deeptravel_domain::identity::{Account, Command, Principal, SecretHash, Session};
use deeptravel_domain::ids::TravellerId;
use deeptravel_domain::time::Timestamp;

use super::problem::Problem;
use super::refusals;
use super::settings::hours_after;
use super::state::{Api, of_request};

/// Bytes of chance in a token.
const TOKEN_BYTES: usize = 32;
/// Longest token that is hashed; ours have 43 characters.
const TOKEN_LEN_MAX: usize = 128;

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes).as_ref().try_into().expect("it has 32 bytes")
}

/// Fresh bytes that nobody can guess.
pub fn secret_bytes<const LEN: usize>() -> [u8; LEN] {
    let mut bytes = [0; LEN];
    rand::fill(&mut bytes).expect("the operating system's random source works since the process started");
    bytes
}

/// A fresh token or device secret, to be shown once, and the hash that is kept.
pub fn new_secret() -> (String, SecretHash) {
    let token = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(secret_bytes::<TOKEN_BYTES>());
    let hash = sha256(token.as_bytes());
    (token, hash)
}

/// Whoever has the open session of the request's token.
pub(super) fn logged_in(request: &HttpRequest) -> Result<LoggedIn<()>, Problem> {
    let api = of_request(request)?.clone();
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = header
        .and_then(bearer_token)
        .ok_or_else(|| refusals::UNAUTHENTICATED.saying("an Authorization header with a bearer token is required"))?;
    let found = api.engine.services().directory.session(&sha256(token.as_bytes()), api.engine.now());
    let session =
        found.ok_or_else(|| refusals::UNAUTHENTICATED.saying("the token is unknown, revoked or has expired"))?;
    Ok(LoggedIn { who: (), api, session })
}

fn bearer_token(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim_start();
    (scheme.eq_ignore_ascii_case("Bearer") && (1..=TOKEN_LEN_MAX).contains(&token.len())).then_some(token)
}

/// Who is logged in, and the parts that he asks.
#[derive(Clone, Debug)]
pub struct LoggedIn<W> {
    pub who: W,
    pub api: Api,
    pub(super) session: Arc<OpenSession>,
}

/// A traveller.
pub type Traveller = LoggedIn<TravellerId>;
/// A member of staff whose account may be used.
pub type Staff = LoggedIn<Arc<Account>>;

impl Api {
    /// Opens a session: its token, to be shown once, and its end.
    pub async fn open_session(&self, principal: Principal, hours: u32) -> Result<(String, Timestamp), Problem> {
        let (token, token_hash) = new_secret();
        let opened_at = self.engine.now();
        let expires_at = hours_after(opened_at, hours);
        let session = Session { token_hash, principal, opened_at, expires_at };
        self.engine.identify(Command::OpenSession(session)).await?.outcome?;
        Ok((token, expires_at))
    }
}

impl<W> LoggedIn<W> {
    /// SHA-256 of the token.
    pub fn token(&self) -> &SecretHash {
        &self.session.token_hash
    }
}

impl Traveller {
    /// The traveller at WeChat. Not to be logged.
    pub fn openid(&self) -> &str {
        match &self.session.principal {
            Principal::Traveller { openid, .. } => openid,
            Principal::Staff { .. } => unreachable!("made from a traveller's session only"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_256_bits_and_is_kept_as_its_hash() {
        let (token, hash) = new_secret();
        assert_eq!(token.len(), 43);
        assert_eq!(hash, sha256(token.as_bytes()));
        assert_ne!(new_secret().0, token);
    }

    #[test]
    fn only_a_bearer_token_of_sane_length_is_looked_at() {
        assert_eq!(bearer_token("Bearer abc"), Some("abc"));
        assert_eq!(bearer_token("bearer abc"), Some("abc"));
        for header in ["", "Bearer", "Bearer ", "Basic abc", "abc", &format!("Bearer {}", "a".repeat(129))] {
            assert_eq!(bearer_token(header), None, "{header}");
        }
    }
}

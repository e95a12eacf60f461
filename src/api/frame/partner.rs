//! Partners, who ask with a key in `X-API-Key` (R-OTA-01). Only the key's SHA-256 is looked up, in memory: an attempt costs the
//! same whether the key exists or not, and what is answered to a wrong one says nothing of any partner.

use std::fmt;
use std::sync::Arc;

use actix_web::http::header::HeaderName;
use actix_web::{HttpMessage as _, HttpRequest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use deeptravel_actors::directory::{KnownKey, Shown};
use deeptravel_actors::outage::{Answer, Reply};
use deeptravel_domain::catalogue;
use deeptravel_domain::departure::Channel;
use deeptravel_domain::identity::SecretHash;
use deeptravel_domain::ids::{PartnerCode, PartnerKeyId};
use deeptravel_domain::rejection::Rejection;

use super::auth::{secret_bytes, sha256};
use super::list::Reader;
use super::problem::Problem;
use super::refusals;
use super::refused::note_partner;
use super::state::{Api, of_request};

/// Where a partner's key stands.
pub(super) const API_KEY_HEADER: HeaderName = HeaderName::from_static("x-api-key");
/// With which every key of ours begins, so that whoever finds one in a text knows what it is.
const PREFIX: &str = "dt";
const SECRET_BYTES: usize = 32;
/// Longest key that is hashed; ours have 63 characters.
const KEY_LEN_MAX: usize = 128;

/// A fresh key, to be shown once.
pub struct NewKey {
    pub id: PartnerKeyId,
    /// `dt_<id>_<secret>`.
    pub text: String,
    pub secret_hash: SecretHash,
}

/// Without what is secret.
impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl NewKey {
    pub fn make() -> NewKey {
        let digits = format!("{:016x}", u64::from_be_bytes(secret_bytes()));
        let text = format!("{PREFIX}_{digits}_{}", URL_SAFE_NO_PAD.encode(secret_bytes::<SECRET_BYTES>()));
        let id = digits.parse().expect("digits are an id");
        NewKey { id, secret_hash: sha256(text.as_bytes()), text }
    }
}

/// A partner that may call, by one of its keys.
#[derive(Clone, Debug)]
pub struct Partner {
    pub who: Arc<catalogue::Partner>,
    pub api: Api,
    key: Arc<KnownKey>,
}

impl Partner {
    pub fn id(&self) -> &PartnerCode {
        &self.who.id
    }

    /// On which it sells.
    pub fn channel(&self) -> Channel {
        Channel::from(&self.who.id)
    }

    /// An owner's answer, which the next list that this key asks for will contain; refusals too.
    pub fn shown<T>(&self, answer: Answer<T>) -> Result<T, Problem> {
        Ok(self.noted(answer)??)
    }

    /// As [`Partner::shown`], for whoever makes something of a refusal.
    pub fn noted<T>(&self, answer: Answer<T>) -> Result<Result<T, Rejection>, Problem> {
        let Reply { outcome, position } = answer?;
        self.key.shown.note(position);
        Ok(outcome)
    }
}

impl Reader for Partner {
    fn api(&self) -> &Api {
        &self.api
    }

    fn seen(&self) -> &Shown {
        &self.key.shown
    }
}

impl Partner {
    /// Whoever is told 401 has not called: nothing counts against a partner but what it sent.
    pub(super) fn who_asks(request: &HttpRequest) -> Result<Partner, Problem> {
        let api = of_request(request)?.clone();
        let header = request.headers().get(API_KEY_HEADER).ok_or(refusals::API_KEY_REQUIRED)?;
        let bytes = header.as_bytes();
        let hash = (1..=KEY_LEN_MAX).contains(&bytes.len()).then(|| sha256(bytes));
        let services = api.engine.services();
        let known = hash.and_then(|hash| services.directory.partner_key(&hash)).and_then(|known| {
            let key = known.key();
            let partner = services.catalogue.load().partner(key.partner.as_str()).filter(|one| !one.disabled).cloned();
            partner.map(|partner| (known, key, partner))
        });
        let (known, key, who) = known.ok_or(refusals::INVALID_API_KEY)?;

        let limit = api.ota.rate_limit_per_minute;
        let admitted = api.calls.admit(&who.id, limit);
        let quota = admitted.unwrap_or_else(|full| full);
        request.extensions_mut().insert(quota);
        if admitted.is_err() {
            note_partner(request, who.id.as_str());
            let why = format!("{limit} calls were made within a minute");
            return Err(refusals::RATE_LIMITED.saying(why).retry_after(quota.reset_seconds));
        }
        let now = api.engine.now();
        if known.note_use(now) {
            api.engine.note_key_use(key.id.clone(), now);
        }
        Ok(Partner { who, api, key: known })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_ota_01_a_key_names_itself_has_256_bits_and_is_kept_as_its_hash() {
        let NewKey { id, text, secret_hash } = NewKey::make();
        let secret = text.strip_prefix(&format!("dt_{id}_")).unwrap();
        assert_eq!(URL_SAFE_NO_PAD.decode(secret).unwrap().len(), 32);
        assert_eq!(secret_hash, sha256(text.as_bytes()));
        assert!(text.len() == 63 && text.len() <= KEY_LEN_MAX);
        let other = NewKey::make();
        assert!(!format!("{other:?}").contains(&other.text));
        assert!(other.id != id && other.text != text);
    }
}

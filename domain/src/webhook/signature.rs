//! Signatures as Standard Webhooks has them, both ways (R-OTA-09): whoever sends signs id, instant and body with a secret
//! that both sides have; whoever receives does the same and compares.
//!
//! Only the symmetric signature, `v1`. Who sends to us is told by an API key besides, and who receives from us has the
//! secret from us: asymmetric keys would have no other use.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Names of the three headers.
pub const ID: &str = "webhook-id";
pub const TIMESTAMP: &str = "webhook-timestamp";
pub const SIGNATURE: &str = "webhook-signature";

/// What was signed longer ago, or will be so much later, is refused: it may be a repetition by somebody who listened.
pub const TOLERANCE_SECONDS: i64 = 5 * 60;
/// Bytes of a secret that we make: as many as the hash has.
pub const SECRET_LEN: usize = 32;
/// Bytes of any secret, as Standard Webhooks has it.
const SECRET_LENS: std::ops::RangeInclusive<usize> = 24..=64;
/// Longest id that is read, in bytes: those that we know of are below 64.
const ID_LEN_MAX: usize = 256;
/// Signatures that are looked at. Whoever rotates has two or three.
const SIGNATURES_MAX: usize = 16;

const SECRET_PREFIX: &str = "whsec_";
const VERSION_PREFIX: &str = "v1,";

/// A secret that a sender and a receiver share. Shown to nobody but them.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<[u8]>);

/// The text is no secret: `whsec_` and 24 to 64 bytes in Base64.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("it is no secret: whsec_ and 24 to 64 bytes in Base64")]
pub struct InvalidSecret;

impl Secret {
    /// From fresh random bytes.
    pub fn from_chance(bytes: [u8; SECRET_LEN]) -> Secret {
        Secret(bytes.into())
    }

    pub fn from_bytes(bytes: Vec<u8>) -> Result<Secret, InvalidSecret> {
        if SECRET_LENS.contains(&bytes.len()) { Ok(Secret(bytes.into())) } else { Err(InvalidSecret) }
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As it is given to whoever shares it.
    pub fn text(&self) -> String {
        format!("{SECRET_PREFIX}{}", STANDARD.encode(&self.0))
    }

    fn tag(&self, signed: Signed<'_>) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.0));
        context.update(signed.id.as_bytes());
        context.update(format!(".{}.", signed.timestamp).as_bytes());
        context.update(signed.body);
        context.sign()
    }
}

impl FromStr for Secret {
    type Err = InvalidSecret;

    fn from_str(text: &str) -> Result<Secret, InvalidSecret> {
        let bytes = STANDARD.decode(text.strip_prefix(SECRET_PREFIX).ok_or(InvalidSecret)?);
        Secret::from_bytes(bytes.map_err(|_| InvalidSecret)?)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// What is signed.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// Of the message: the same however often it is sent.
    pub id: &'a str,
    /// Of this attempt, in seconds since the Unix epoch, by the wall clock.
    pub timestamp: i64,
    pub body: &'a [u8],
}

/// The value of [`SIGNATURE`]: one signature for each secret, in their order. The receiver needs to know one of them.
pub fn sign<'a>(secrets: impl IntoIterator<Item = &'a Secret>, signed: Signed<'_>) -> String {
    let one = |secret: &Secret| format!("{VERSION_PREFIX}{}", STANDARD.encode(secret.tag(signed)));
    secrets.into_iter().map(one).collect::<Vec<_>>().join(" ")
}

/// The headers of a message, as they came.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers<'a> {
    pub id: Option<&'a str>,
    pub timestamp: Option<&'a str>,
    pub signature: Option<&'a str>,
}

/// Why a message is not believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SignatureError {
    #[error("the header {0} is missing, or cannot be read")]
    Header(&'static str),
    #[error("webhook-timestamp is more than {TOLERANCE_SECONDS} seconds ago")]
    TooOld,
    #[error("webhook-timestamp is more than {TOLERANCE_SECONDS} seconds ahead")]
    TooNew,
    #[error("webhook-signature has no signature by this secret")]
    NoneFits,
}

/// Whether one of the secrets has signed the message lately; `now` in seconds since the Unix epoch, by the wall clock. Every
/// signature is compared with every secret, in a time that does not depend on their bytes.
pub fn verify<'a>(
    secrets: impl IntoIterator<Item = &'a Secret>,
    headers: Headers<'_>,
    body: &[u8],
    now: i64,
) -> Result<(), SignatureError> {
    let id = headers.id.filter(|id| (1..=ID_LEN_MAX).contains(&id.len())).ok_or(SignatureError::Header(ID))?;
    let timestamp = headers.timestamp.and_then(seconds).ok_or(SignatureError::Header(TIMESTAMP))?;
    let signatures = headers.signature.ok_or(SignatureError::Header(SIGNATURE))?;
    if timestamp < now.saturating_sub(TOLERANCE_SECONDS) {
        return Err(SignatureError::TooOld);
    }
    if timestamp > now.saturating_add(TOLERANCE_SECONDS) {
        return Err(SignatureError::TooNew);
    }

    let signed = Signed { id, timestamp, body };
    let known = signatures.split(' ').take(SIGNATURES_MAX).filter_map(|one| one.strip_prefix(VERSION_PREFIX));
    let given: Vec<Vec<u8>> = known.filter_map(|one| STANDARD.decode(one).ok()).collect();
    let mut fits = false;
    for secret in secrets {
        let tag = secret.tag(signed);
        for one in &given {
            fits |= verify_slices_are_equal(tag.as_ref(), one).is_ok();
        }
    }
    if fits { Ok(()) } else { Err(SignatureError::NoneFits) }
}

/// Digits only, so that one instant has one text: it is signed as a text.
fn seconds(text: &str) -> Option<i64> {
    let seconds: i64 = text.parse().ok()?;
    (seconds >= 0 && seconds.to_string() == text).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    // The example of the specification, and of its reference libraries.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const MESSAGE_ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const AT: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE_OF_IT: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn secret() -> Secret {
        SECRET.parse().unwrap()
    }

    fn headers<'a>(timestamp: &'a str, signature: &'a str) -> Headers<'a> {
        Headers { id: Some(MESSAGE_ID), timestamp: Some(timestamp), signature: Some(signature) }
    }

    fn checked(timestamp: &str, signature: &str, now: i64) -> Result<(), SignatureError> {
        verify([&secret()], headers(timestamp, signature), BODY, now)
    }

    #[test]
    fn r_ota_09_the_example_of_the_specification_is_signed_and_verified() {
        let signed = Signed { id: MESSAGE_ID, timestamp: AT, body: BODY };
        assert_eq!(sign([&secret()], signed), SIGNATURE_OF_IT);
        assert_eq!(checked("1614265330", SIGNATURE_OF_IT, AT), Ok(()));
        assert_eq!(secret().text(), SECRET);
    }

    #[test]
    fn r_ota_09_a_message_is_believed_for_five_minutes_either_way() {
        let at = AT.to_string();
        for (now, expected) in [
            (AT + 300, Ok(())),
            (AT + 301, Err(SignatureError::TooOld)),
            (AT - 300, Ok(())),
            (AT - 301, Err(SignatureError::TooNew)),
            (i64::MAX, Err(SignatureError::TooOld)),
            (i64::MIN, Err(SignatureError::TooNew)),
        ] {
            assert_eq!(checked(&at, SIGNATURE_OF_IT, now), expected, "{}", now - AT);
        }
    }

    #[test]
    fn r_ota_09_one_of_several_signatures_and_one_of_several_secrets_are_enough_while_a_secret_rotates() {
        let (old, new) = (secret(), Secret::from_chance([7; SECRET_LEN]));
        let signed = Signed { id: MESSAGE_ID, timestamp: AT, body: BODY };
        let both = sign([&new, &old], signed);
        assert!(both.ends_with(SIGNATURE_OF_IT) && both.split(' ').count() == 2);
        for known in [&old, &new] {
            assert_eq!(verify([known], headers("1614265330", &both), BODY, AT), Ok(()));
            let by_one = sign([known], signed);
            assert_eq!(verify([&new, &old], headers("1614265330", &by_one), BODY, AT), Ok(()));
        }
        let other_versions = format!("v1a,AAAA {SIGNATURE_OF_IT} v2,AAAA");
        assert_eq!(checked("1614265330", &other_versions, AT), Ok(()));
    }

    #[test]
    fn r_ota_09_what_was_altered_or_is_missing_is_refused() {
        let at = "1614265330";
        let none = verify([&secret()], Headers::default(), BODY, AT);
        assert_eq!(none, Err(SignatureError::Header(ID)));
        for timestamp in ["", "+1614265330", "01614265330", "1614265330.0", "-1", "99999999999999999999", "now"] {
            assert_eq!(checked(timestamp, SIGNATURE_OF_IT, AT), Err(SignatureError::Header(TIMESTAMP)), "{timestamp}");
        }
        let unsigned = Headers { signature: None, ..headers(at, "") };
        assert_eq!(verify([&secret()], unsigned, BODY, AT), Err(SignatureError::Header(SIGNATURE)));

        for signature in ["", "v1,", "v1,AAAA", "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", &SIGNATURE_OF_IT[..40]]
        {
            assert_eq!(checked(at, signature, AT), Err(SignatureError::NoneFits), "{signature}");
        }
        assert_eq!(checked("1614265331", SIGNATURE_OF_IT, AT), Err(SignatureError::NoneFits));
        let other_body = verify([&secret()], headers(at, SIGNATURE_OF_IT), b"{}", AT);
        assert_eq!(other_body, Err(SignatureError::NoneFits));
        let other_id = Headers { id: Some("msg_other"), ..headers(at, SIGNATURE_OF_IT) };
        assert_eq!(verify([&secret()], other_id, BODY, AT), Err(SignatureError::NoneFits));
        assert_eq!(verify([], headers(at, SIGNATURE_OF_IT), BODY, AT), Err(SignatureError::NoneFits));
    }

    #[test]
    fn r_ota_09_a_secret_has_one_text_and_is_never_shown_by_chance() {
        for text in
            ["", "whsec_", "whsec_AAAA", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS!"]
        {
            assert_eq!(text.parse::<Secret>(), Err(InvalidSecret), "{text}");
        }
        assert_eq!(format!("{:?}", secret()), "Secret");
    }
}

//! Validator sessions: an operator at work on a device, at a place, perhaps for one departure (R-SCAN-04).

use std::sync::Arc;

use actix_web::http::header::{HeaderMap, HeaderName};
use actix_web::web;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use deeptravel_actors::services::chance;
use deeptravel_domain::identity::{Command, Validator};
use deeptravel_domain::ids::{DepartureId, LocationCode, SessionId, Shard};
use deeptravel_domain::rejection::Rejection;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::frame::refusals::Refusal;
use crate::api::frame::{
    Allowed, Answered, Body, Problem, Redeem, Routes, Staff, hours_after, never_cached, new_secret, no_content,
    parse_word, refusals, sha256,
};
use crate::api::views::{self, Zoned};

/// Carries the device secret of a session.
const DEVICE_SECRET: HeaderName = HeaderName::from_static("x-device-secret");
/// Longest device secret that is hashed; ours have 43 characters.
const DEVICE_SECRET_LEN_MAX: usize = 128;

/// Validator sessions have one owner, so they are all in one shard.
const SHARD: Shard = Shard::of(0);

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes
        .mount(__path_open_validator_session, open_validator_session)
        .mount(__path_end_validator_session, end_validator_session);
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(clippy::struct_field_names)] // the contract names them so
struct OpenSession {
    /// The device's own name for itself among those of the operator's merchant; its earlier session ends.
    #[schema(example = "gate-07", min_length = 1, max_length = 64)]
    device_id: Box<str>,
    /// Where the device stands: a location of the operator's merchant, or a port. Without it, where the device is configured
    /// to be; if it is not, it redeems anywhere.
    #[schema(example = "HKSW")]
    location_id: Option<Box<str>>,
    /// The departure that boards there; without it, any.
    departure_id: Option<Box<str>>,
}

/// A validator session.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SessionOpened {
    #[schema(value_type = String)]
    session_id: SessionId,
    /// For `X-Device-Secret`; it is shown only now.
    device_secret: String,
    expires_at: Zoned,
}

/// Starts to work on a device.
#[utoipa::path(
    post, path = "/validators/sessions", request_body = OpenSession,
    responses(
        (status = 200, body = SessionOpened),
        (status = 403, description = "Not an operator"),
        (
            status = 422,
            description = "An unknown location or departure, or not the operator's; a device that is disabled or \
                           another merchant's"
        ),
    )
)]
async fn open_validator_session(Allowed(by): Allowed<Redeem>, body: Body) -> Answered {
    let request: OpenSession = body.json()?;
    let catalogue = by.api.engine.services().catalogue.load_full();
    let redeems = &by.who.redeems;
    let device = catalogue.device(&request.device_id);
    let serves = device.is_none_or(|device| device.serves(redeems.merchant.as_ref()));
    Problem::unless(serves, "deviceId", "is disabled, or another merchant's")?;
    let asked: Option<LocationCode> = parse_word("locationId", request.location_id.as_deref(), "is no location")?;
    let location = asked.or_else(|| device.and_then(|device| device.location.clone()));
    if let Some(location) = &location {
        Problem::unless(catalogue.has_location(location), "locationId", "is no location")?;
        let is_own = catalogue.merchant_of(location).is_none_or(|merchant| redeems.of_merchant(merchant));
        Problem::unless(is_own, "locationId", "is another merchant's")?;
    }
    Problem::unless(redeems.at(location.as_ref()), "locationId", "is not one of the operator's")?;
    let departure: Option<DepartureId> = parse_word("departureId", request.departure_id.as_deref(), "is no departure")?;
    // One that is no longer offered has tickets all the same.
    let board = &by.api.engine.services().board;
    let is_known = departure.iter().all(|id| catalogue.may_have_sold(id) || board.get(id).is_some());
    Problem::unless(is_known, "departureId", "is no departure")?;

    let (device_secret, secret_hash) = new_secret();
    let opened_at = by.api.engine.now();
    let expires_at = hours_after(opened_at, by.api.sessions.validator_hours);
    let id = SessionId::compose(opened_at, SHARD, chance());
    let validator = Validator {
        id,
        username: by.who.username.clone(),
        device: request.device_id,
        location,
        departure,
        secret_hash,
        opened_at,
        expires_at,
    };
    by.api.engine.identify(Command::OpenValidator(validator)).await?.outcome?;
    Ok(never_cached(&SessionOpened { session_id: id, device_secret, expires_at: views::time(expires_at) }))
}

/// Ends an own session.
#[utoipa::path(
    delete, path = "/validators/sessions/{sessionId}",
    responses(
        (status = 204),
        (status = 403, description = "Not an operator"),
        (status = 404, description = "`SESSION_NOT_FOUND`: not open, or not yours"),
    )
)]
async fn end_validator_session(Allowed(by): Allowed<Redeem>, id: web::Path<String>) -> Answered {
    let own = id.parse().ok().and_then(|id| own_session(&by, id));
    let no_such = || Problem::from(refusals::SESSION_NOT_FOUND).naming("sessionId", "is no open session of yours");
    let own = own.ok_or_else(no_such)?;
    let command = Command::EndValidator { id: own.id, username: own.username.clone() };
    by.api.engine.identify(command).await?.outcome?;
    Ok(no_content())
}

fn own_session(by: &Staff, id: SessionId) -> Option<Arc<Validator>> {
    let found = by.api.engine.services().directory.validator(id, by.api.engine.now());
    found.filter(|validator| validator.username == by.who.username)
}

/// The operator's open session, presented by its device: 401 `SESSION_ENDED`, 401 `DEVICE_MISMATCH`.
pub(super) fn presented(by: &Staff, id: SessionId, headers: &HeaderMap) -> Result<Arc<Validator>, Problem> {
    let validator = own_session(by, id).ok_or_else(|| {
        Refusal::from(Rejection::SessionEnded.refusal()).saying("the validator session is not open, or not yours")
    })?;
    let secret = headers.get(DEVICE_SECRET).map_or(&[][..], |secret| secret.as_bytes());
    if !is_secret_of(&validator, secret) {
        return Err(refusals::DEVICE_MISMATCH.into());
    }
    // As it is configured now: a device may have been disabled, or be another merchant's; a merchant and a location may have
    // gone.
    let catalogue = by.api.engine.services().catalogue.load();
    let ended = |why| Err(Refusal::from(Rejection::SessionEnded.refusal()).saying(why));
    let device = catalogue.device(&validator.device);
    let merchant = by.who.redeems.merchant.as_ref();
    if device.is_some_and(|device| !device.serves(merchant)) {
        return ended("the device is disabled, or another merchant's");
    }
    if merchant.is_some_and(|merchant| catalogue.has_gone(merchant)) {
        return ended("the merchant is none any more");
    }
    if validator.location.as_ref().is_some_and(|location| catalogue.is_closed(location)) {
        return ended("the location is none any more");
    }
    Ok(validator)
}

fn is_secret_of(validator: &Validator, secret: &[u8]) -> bool {
    secret.len() <= DEVICE_SECRET_LEN_MAX && verify_slices_are_equal(&sha256(secret), &validator.secret_hash).is_ok()
}

#[cfg(test)]
mod tests {
    use deeptravel_domain::time::Timestamp;

    use super::*;

    #[test]
    fn r_scan_04_only_the_secret_that_was_shown_is_the_devices() {
        let (secret, secret_hash) = new_secret();
        let now = Timestamp::from_seconds(1_764_000_000);
        let validator = Validator {
            id: SessionId::compose(now, SHARD, 1),
            username: "gate".into(),
            device: "gate-07".into(),
            location: None,
            departure: None,
            secret_hash,
            opened_at: now,
            expires_at: now.plus_seconds(60),
        };
        assert!(is_secret_of(&validator, secret.as_bytes()));
        for other in [new_secret().0.as_bytes(), b"", &secret.as_bytes()[1..], secret.repeat(3).as_bytes()] {
            assert!(!is_secret_of(&validator, other));
        }
    }
}

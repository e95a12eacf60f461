//! Rows of accounts, sessions and keys of partners.

use std::sync::Arc;

use super::{Account, Attempt, Event, Identities, OWNER, PartnerKey, Principal, Role, SecretHash, Session, Validator};
use crate::ids::{
    DepartureId, EntitlementCode, LocationCode, MerchantCode, PartnerCode, PartnerKeyId, SessionId, TravellerId,
};
use crate::order::rows::AttemptRow;
use crate::redeems::Redeems;
use crate::row;
use crate::row::{Damage, First, List, Row as _, Rows, Uuid};
use crate::time::Timestamp;

row! {
    pub struct AccountRow<'a>: 12 "accounts", First::Unknown;
    1 username [Key]: &'a str,
    2 version: u64,
    3 password_hash [Hidden]: &'a str,
    4 roles: List<'a, Role>,
    5 merchant_code: Option<MerchantCode>,
    6 disabled: bool,
    /// The only ones that an operator redeems at, and of; empty: any.
    7 locations: List<'a, LocationCode>,
    8 entitlements: List<'a, EntitlementCode>,
    /// Counts what was put. Absent: it was put before that was counted.
    9 revision: Option<u32>,
}

row! {
    pub struct SessionRow<'a>: 13 "sessions", First::Marked(9);
    /// SHA-256 of the token.
    1 token_hash [Key, Hidden]: SecretHash,
    2 version: u64,
    3 traveller_id: Option<TravellerId>,
    4 openid [Hidden]: Option<&'a str>,
    5 username: Option<&'a str>,
    6 opened_at: Timestamp,
    7 expires_at: Timestamp,
    8 ended_at: Option<Timestamp>,
}

row! {
    /// A traveller, born with the first login in the record of that (rule 4). Later logins write it again: it says the same
    /// for ever, because the id follows from the openid, and the first image is kept.
    pub struct TravellerRow<'a>: 32 "travellers", First::Unknown;
    1 traveller_id [Key]: TravellerId,
    2 version: u64,
    3 openid [Hidden]: &'a str,
}

/// The version of a row in another key's record: below that of any of its own (rule 4).
const BORN: u64 = 0;

row! {
    pub struct ValidatorSessionRow<'a>: 14 "validator_sessions", First::Marked(11);
    1 session_id [Key]: SessionId,
    2 version: u64,
    3 username: &'a str,
    4 device_id: &'a str,
    5 location_code: Option<LocationCode>,
    6 departure_id: Option<DepartureId>,
    /// SHA-256 of the device secret.
    7 secret_hash [Hidden]: SecretHash,
    8 opened_at: Timestamp,
    9 expires_at: Timestamp,
    10 ended_at: Option<Timestamp>,
}

row! {
    pub struct PartnerKeyRow: 72 "partner_keys", First::Unknown;
    1 key_id [Key]: PartnerKeyId,
    2 version: u64,
    3 partner_code: PartnerCode,
    /// SHA-256 of the whole key.
    4 secret_hash [Hidden]: SecretHash,
    5 created_at: Timestamp,
    6 last_used_at: Option<Timestamp>,
    7 revoked_at: Option<Timestamp>,
}

/// Images of the rows that `events` have changed.
pub(super) fn changed(events: &[Event], version: u64) -> Rows {
    let mut rows = Rows::default();
    for event in events {
        match event {
            Event::AccountPut(account) => put_account(account, version, &mut rows),
            Event::Audited { audit, refusal } => audit.put_row(OWNER, refusal.as_ref(), version, &mut rows),
            Event::SessionOpened(session) => {
                rows.put_first(&session_row(session, version, None));
                if let Principal::Traveller { id, openid } = &session.principal {
                    rows.put(&TravellerRow { traveller_id: *id, version: BORN, openid });
                }
            }
            Event::SessionEnded { session, at } => rows.put(&session_row(session, version, Some(*at))),
            Event::ValidatorOpened(validator) => rows.put_first(&validator_row(validator, version, None)),
            Event::ValidatorEnded { validator, at } => rows.put(&validator_row(validator, version, Some(*at))),
            Event::Attempted { validator, attempt } => {
                rows.put(&attempt.row(version));
                // The session's own row comes along: attempts are not read back, and the key's newest version has to be.
                rows.put(&validator_row(validator, version, None));
            }
            Event::PartnerKeyPut(key) => rows.put(&key_row(key, version)),
            Event::PartnerKeyForgotten(_) | Event::Forgotten { .. } => {}
        }
    }
    rows
}

impl Identities {
    /// Everything that is open at `now`. What was opened after it was opened with a clock that was wrong, and would stay
    /// open for as long as that was ahead.
    pub fn from_rows(rows: &Rows, now: Timestamp) -> Result<Identities, Damage> {
        let mut identities = Identities::default();
        for row in rows.of() {
            identities.evolve(&Event::AccountPut(Arc::new(account_of(row?))));
        }
        for row in rows.of() {
            let row: SessionRow<'_> = row?;
            let session = session_of(&row)?;
            if row.ended_at.is_none() && row.opened_at <= now && session.is_open(now) {
                identities.evolve(&Event::SessionOpened(Arc::new(session)));
            }
        }
        let mut validators: Vec<ValidatorSessionRow<'_>> = rows.all()?;
        validators.retain(|row| row.ended_at.is_none() && row.opened_at <= now && now < row.expires_at);
        validators.sort_by_key(|row| row.opened_at);
        for row in validators {
            identities.evolve(&Event::ValidatorOpened(Arc::new(validator_of(row))));
        }
        identities.keep_keys(rows.of().map(|row| row.map(key_of)).collect::<Result<_, _>>()?);
        Ok(identities)
    }
}

impl Attempt {
    fn row(&self, version: u64) -> AttemptRow<'_> {
        AttemptRow {
            session_id: Uuid(self.session),
            request_id: &self.request_id,
            attempted_at: self.at,
            version,
            operator_username: &self.username,
            device_id: &self.device,
            location_code: self.location.as_ref().map(LocationCode::as_str),
            entitlement_code: self.entitlement.as_ref().map(EntitlementCode::as_str),
            reason: self.reason.code(),
        }
    }
}

fn put_account(account: &Account, version: u64, rows: &mut Rows) {
    let roles: Vec<Role> = account.roles.iter().copied().collect();
    let Redeems { merchant, locations, entitlements } = &*account.redeems;
    let locations: Vec<LocationCode> = locations.iter().cloned().collect();
    let entitlements: Vec<EntitlementCode> = entitlements.iter().cloned().collect();
    rows.put(&AccountRow {
        username: &account.username,
        version,
        password_hash: &account.password_hash,
        roles: List::Of(&roles),
        merchant_code: merchant.clone(),
        disabled: account.disabled,
        locations: List::Of(&locations),
        entitlements: List::Of(&entitlements),
        revision: Some(account.revision),
    });
}

fn session_row(session: &Session, version: u64, ended_at: Option<Timestamp>) -> SessionRow<'_> {
    let (traveller_id, openid, username) = match &session.principal {
        Principal::Traveller { id, openid } => (Some(*id), Some(&**openid), None),
        Principal::Staff { username } => (None, None, Some(&**username)),
    };
    SessionRow {
        token_hash: session.token_hash,
        version,
        traveller_id,
        openid,
        username,
        opened_at: session.opened_at,
        expires_at: session.expires_at,
        ended_at,
    }
}

fn validator_row(validator: &Validator, version: u64, ended_at: Option<Timestamp>) -> ValidatorSessionRow<'_> {
    ValidatorSessionRow {
        session_id: validator.id,
        version,
        username: &validator.username,
        device_id: &validator.device,
        location_code: validator.location.clone(),
        departure_id: validator.departure.clone(),
        secret_hash: validator.secret_hash,
        opened_at: validator.opened_at,
        expires_at: validator.expires_at,
        ended_at,
    }
}

fn key_row(key: &PartnerKey, version: u64) -> PartnerKeyRow {
    PartnerKeyRow {
        key_id: key.id.clone(),
        version,
        partner_code: key.partner.clone(),
        secret_hash: key.secret_hash,
        created_at: key.created_at,
        last_used_at: key.last_used_at,
        revoked_at: key.revoked_at,
    }
}

fn key_of(row: PartnerKeyRow) -> PartnerKey {
    PartnerKey {
        id: row.key_id,
        partner: row.partner_code,
        secret_hash: row.secret_hash,
        created_at: row.created_at,
        last_used_at: row.last_used_at,
        revoked_at: row.revoked_at,
    }
}

fn account_of(row: AccountRow<'_>) -> Account {
    Account {
        username: row.username.into(),
        password_hash: row.password_hash.into(),
        roles: row.roles.to_vec().into_iter().collect(),
        redeems: Arc::new(Redeems {
            merchant: row.merchant_code,
            locations: row.locations.to_vec().into_iter().collect(),
            entitlements: row.entitlements.to_vec().into_iter().collect(),
        }),
        disabled: row.disabled,
        revision: row.revision.unwrap_or(0),
    }
}

fn session_of(row: &SessionRow<'_>) -> Result<Session, Damage> {
    let principal = match (row.traveller_id, row.openid, row.username) {
        (Some(id), Some(openid), None) => Principal::Traveller { id, openid: openid.into() },
        (None, None, Some(username)) => Principal::Staff { username: username.into() },
        _ => return Err(row.damage("it is nobody's or of two")),
    };
    Ok(Session { token_hash: row.token_hash, principal, opened_at: row.opened_at, expires_at: row.expires_at })
}

fn validator_of(row: ValidatorSessionRow<'_>) -> Validator {
    Validator {
        id: row.session_id,
        username: row.username.into(),
        device: row.device_id.into(),
        location: row.location_code,
        departure: row.departure_id,
        secret_hash: row.secret_hash,
        opened_at: row.opened_at,
        expires_at: row.expires_at,
    }
}

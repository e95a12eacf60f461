//! Keys of partners (R-OTA-01). One follows another without a gap: make the second, have it used, revoke the first.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::web::Path;
use deeptravel_actors::directory::KnownKey;
use deeptravel_domain::identity::{KEY_ENTITY, KeyChange, KeyWrite};
use deeptravel_domain::ids::{PartnerCode, PartnerKeyId};
use deeptravel_domain::rejection::Rejection;
use serde::Serialize;
use utoipa::ToSchema;

use super::partners::known;
use crate::api::frame::{
    Allowed, Answered, Api, Configure, NewKey, OptionalKey, Page, Paging, Problem, Routes, SeePartners, json,
    no_content, ok,
};
use crate::api::views::{self, Zoned};

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes
        .mount(__path_list_partner_keys, list_partner_keys)
        .mount(__path_make_partner_key, make_partner_key)
        .mount(__path_revoke_partner_key, revoke_partner_key);
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PartnerKeyView {
    /// Stands in the key, between its first two underscores.
    #[schema(value_type = String)]
    key_id: PartnerKeyId,
    created_at: Zoned,
    /// Of the last call that it came with; after a restart of the server, of one in the hour before.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<Zoned>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<Zoned>,
}

impl From<&KnownKey> for PartnerKeyView {
    fn from(known: &KnownKey) -> PartnerKeyView {
        let key = known.key();
        PartnerKeyView {
            key_id: key.id.clone(),
            created_at: views::time(key.created_at),
            last_used_at: known.last_used_at().map(views::time),
            revoked_at: key.revoked_at.map(views::time),
        }
    }
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PartnerKeyList {
    /// By id.
    keys: Vec<PartnerKeyView>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PartnerKeyMade {
    #[schema(value_type = String)]
    key_id: PartnerKeyId,
    /// For the `X-API-Key` header. It is shown this once.
    key: String,
}

/// The keys of a partner, and of those that were revoked the newest.
#[utoipa::path(
    get, path = "/admin/ota/partners/{partnerId}/keys", params(("partnerId" = String, Path), Paging),
    responses((status = 200, body = PartnerKeyList), (status = 404, description = "`NOT_CONFIGURED`"))
)]
async fn list_partner_keys(_: Allowed<SeePartners>, api: Api, path: Path<String>, page: Page<String>) -> Answered {
    let partner = known(&api.engine.services().catalogue.load(), &path)?;
    let mut keys = api.engine.services().directory.keys_of(&partner.id);
    keys.sort_unstable_by_key(|known| known.key().id.clone());
    let (keys, next_cursor) = page.of_memory(keys, |known| known.key().id.to_string());
    Ok(ok(&PartnerKeyList { keys: keys.iter().map(|known| PartnerKeyView::from(&**known)).collect(), next_cursor }))
}

/// Makes a key, good from the answer on. Told again it makes another one: what was lost is revoked.
#[utoipa::path(
    post, path = "/admin/ota/partners/{partnerId}/keys", params(("partnerId" = String, Path), OptionalKey),
    responses(
        (status = 201, body = PartnerKeyMade),
        (status = 404, description = "`NOT_CONFIGURED`"),
        (status = 409, description = "`KEY_LIMIT`"),
    )
)]
async fn make_partner_key(Allowed(by): Allowed<Configure>, path: Path<String>, _: OptionalKey) -> Answered {
    let partner = known(&by.api.engine.services().catalogue.load(), &path)?;
    let NewKey { id, text, secret_hash } = NewKey::make();
    let write = write(&by.who.username, partner.id.clone(), id.clone(), KeyChange::Make { secret_hash });
    by.shown(by.api.engine.write_key(write).await)?;
    let mut response = json(StatusCode::CREATED, &PartnerKeyMade { key_id: id, key: text });
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Revokes a key at once: calls that were admitted end, the next one is refused.
#[utoipa::path(
    delete, path = "/admin/ota/partners/{partnerId}/keys/{keyId}",
    params(("partnerId" = String, Path), ("keyId" = String, Path), OptionalKey),
    responses((status = 204), (status = 404, description = "`NOT_CONFIGURED`"))
)]
async fn revoke_partner_key(Allowed(by): Allowed<Configure>, path: Path<(String, String)>, _: OptionalKey) -> Answered {
    let (partner, id) = path.into_inner();
    let partner = known(&by.api.engine.services().catalogue.load(), &partner)?;
    let unknown = || Problem::from(Rejection::NotConfigured { entity: KEY_ENTITY, id: id.clone() });
    let key = id.parse().map_err(|_| unknown().naming("keyId", "is no key of the partner"))?;
    let answer = by.api.engine.write_key(write(&by.who.username, partner.id.clone(), key, KeyChange::Revoke)).await;
    by.noted(answer)?.map_err(|refused| match refused {
        Rejection::NotConfigured { .. } => unknown().naming("keyId", "is no key of the partner"),
        other => other.into(),
    })?;
    Ok(no_content())
}

fn write(by: &str, partner: PartnerCode, id: PartnerKeyId, change: KeyChange) -> KeyWrite {
    KeyWrite { partner, id, change, by: Arc::from(by) }
}

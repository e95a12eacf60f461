//! Webhooks of partners: where they are told, with which secret, what they were told, and telling them again (R-OTA-09).

use std::sync::Arc;

use actix_web::web::Path;
use deeptravel_domain::ids::PartnerCode;
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::sealing::{SealedSecret, seal_secret};
use deeptravel_domain::time::Timestamp;
use deeptravel_domain::webhook::rows::WebhookDeliveryRow;
use deeptravel_domain::webhook::signature::Secret;
use deeptravel_domain::webhook::{CallError, ENTITY, Endpoint, Hook, Standing, WebhookChange, Write};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::partners::known;
use crate::api::frame::{
    Allowed, Answered, Api, Body, Configure, OptionalKey, Page, Paging, Problem, Routes, SeePartners, Staff,
    never_cached, ok, secret_bytes,
};
use crate::api::views::{self, Zoned};
use crate::webhooks::targets::Target;

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes
        .mount(__path_show_webhook, show_webhook)
        .mount(__path_put_webhook, put_webhook)
        .mount(__path_renew_webhook_secret, renew_webhook_secret)
        .mount(__path_list_webhook_deliveries, list_webhook_deliveries)
        .mount(__path_replay_webhook, replay_webhook);
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WebhookBody {
    /// https, on the internet.
    #[schema(example = "https://partner.example/deeptravel", max_length = 2000)]
    url: String,
    /// A webhook that disabled itself goes on where it stopped once it is enabled again.
    enabled: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ReplayBody {
    /// The first event that is delivered, again or at last; `lastSequence + 1` passes over all that wait.
    #[schema(minimum = 1)]
    from_sequence: u64,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct WebhookView {
    partner_id: String,
    url: String,
    enabled: bool,
    /// `disabled`: by an administrator; `gone`: it answered 410; `exhausted`: it took none of an event's attempts.
    #[schema(value_type = String, example = "enabled")]
    standing: &'static str,
    /// Number of the newest event; 0: there is none.
    last_sequence: u64,
    /// Number of the event that is delivered next; one more than `lastSequence` when none waits.
    next_sequence: u64,
    /// Attempts of that event that have failed.
    failed_attempts: u32,
    /// When it is delivered, if one waits and the webhook is enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<Zoned>,
    /// Until then messages are signed with the secret before the newest one, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_secret_until: Option<Zoned>,
    /// Shown this once: what signs from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    secret: Option<String>,
}

impl WebhookView {
    fn of(partner: &PartnerCode, hook: &Hook, endpoint: &Endpoint, now: Timestamp) -> WebhookView {
        let previous = endpoint.previous.as_ref().filter(|previous| now < previous.until);
        WebhookView {
            partner_id: partner.to_string(),
            url: endpoint.url.to_string(),
            enabled: endpoint.standing == Standing::Enabled,
            standing: endpoint.standing.code(),
            last_sequence: hook.last(),
            next_sequence: hook.next(),
            failed_attempts: hook.failures(),
            next_attempt_at: hook.due().map(|due| views::time(due.at)),
            previous_secret_until: previous.map(|previous| views::time(previous.until)),
            secret: None,
        }
    }
}

/// One call of a webhook, as it ended.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct WebhookDelivery {
    /// Of the partner's calls, from 1.
    number: u64,
    /// The event's.
    sequence: u64,
    at: Zoned,
    /// That the receiver answered with; 2xx is heard.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// Without an answer: `timeout`, `address` (the host has none that may be called), `connection`, `broken`, or
    /// `unsendable`, which is ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    error: Option<&'static str>,
    took_ms: u32,
}

impl From<&WebhookDeliveryRow> for WebhookDelivery {
    fn from(row: &WebhookDeliveryRow) -> WebhookDelivery {
        WebhookDelivery {
            number: row.number,
            sequence: row.sequence,
            at: views::time(row.at),
            status: row.status,
            error: row.error.map(CallError::code),
            took_ms: row.took_ms,
        }
    }
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct WebhookDeliveries {
    /// The newest first.
    deliveries: Vec<WebhookDelivery>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// A partner's webhook, and how far it is.
#[utoipa::path(
    get, path = "/admin/ota/partners/{partnerId}/webhooks",
    responses((status = 200, body = WebhookView), (status = 404, description = "`NOT_CONFIGURED`"))
)]
async fn show_webhook(_: Allowed<SeePartners>, api: Api, path: Path<String>) -> Answered {
    let partner = partner_of(&api, &path)?;
    let hook = api.engine.services().webhooks.borrow().hook(&partner).cloned();
    Ok(ok(&view(&partner, hook.as_deref(), api.engine.now())?))
}

/// Says where a partner is told, or that it is not for now. The first time it gets a secret, which is shown this once, and is
/// told what happens from then on.
#[utoipa::path(
    put, path = "/admin/ota/partners/{partnerId}/webhooks", params(("partnerId" = String, Path), OptionalKey),
    request_body = WebhookBody,
    responses(
        (status = 200, body = WebhookView),
        (status = 404, description = "`NOT_CONFIGURED`"),
        (status = 422, description = "`VALIDATION_ERROR`; nothing changed"),
    )
)]
async fn put_webhook(Allowed(by): Allowed<Configure>, path: Path<String>, _: OptionalKey, body: Body) -> Answered {
    let WebhookBody { url, enabled } = body.json()?;
    let partner = partner_of(&by.api, &path)?;
    Target::read(&url, by.api.webhooks.private_targets).map_err(|wrong| Problem::field("url", wrong))?;
    let (secret, fresh) = new_secret(&by.api, &partner);
    write(&by, partner, WebhookChange::Put { url: url.into(), enabled, fresh }, Some(&secret)).await
}

/// Gives a partner's webhook another secret, which is shown this once. For a day messages are signed with both.
#[utoipa::path(
    post, path = "/admin/ota/partners/{partnerId}/webhooks/secret", params(("partnerId" = String, Path), OptionalKey),
    responses((status = 200, body = WebhookView), (status = 404, description = "`NOT_CONFIGURED`"))
)]
async fn renew_webhook_secret(Allowed(by): Allowed<Configure>, path: Path<String>, _: OptionalKey) -> Answered {
    let partner = partner_of(&by.api, &path)?;
    let (secret, fresh) = new_secret(&by.api, &partner);
    write(&by, partner, WebhookChange::NewSecret { fresh }, Some(&secret)).await
}

/// Every call of a partner's webhook.
#[utoipa::path(
    get, path = "/admin/ota/partners/{partnerId}/webhooks/deliveries",
    params(("partnerId" = String, Path), Paging),
    responses(
        (status = 200, body = WebhookDeliveries),
        (status = 404, description = "`NOT_CONFIGURED`"),
        (status = 503, description = "`STORAGE_UNAVAILABLE`"),
    )
)]
async fn list_webhook_deliveries(Allowed(by): Allowed<SeePartners>, path: Path<String>, page: Page<u64>) -> Answered {
    let partner = partner_of(&by.api, &path)?;
    let read = |lists: Arc<dyn deeptravel_actors::ports::Lists>, before, count| async move {
        lists.webhook_deliveries(&partner, before, count).await
    };
    let mut deliveries = page.read(&by, read).await?;
    let next_cursor = page.cut(&mut deliveries, |row| row.number);
    let deliveries = deliveries.iter().map(WebhookDelivery::from).collect();
    Ok(ok(&WebhookDeliveries { deliveries, next_cursor }))
}

/// Tells a partner everything from a number on, again or at last, one event after the other. What has a lower number and
/// waits is passed over.
#[utoipa::path(
    post, path = "/admin/ota/partners/{partnerId}/webhooks/replay", params(("partnerId" = String, Path), OptionalKey),
    request_body = ReplayBody,
    responses(
        (status = 200, body = WebhookView),
        (status = 404, description = "`NOT_CONFIGURED`"),
        (status = 422, description = "`VALIDATION_ERROR`: there is no event of that number"),
    )
)]
async fn replay_webhook(Allowed(by): Allowed<Configure>, path: Path<String>, _: OptionalKey, body: Body) -> Answered {
    let ReplayBody { from_sequence: from } = body.json()?;
    let partner = partner_of(&by.api, &path)?;
    write(&by, partner, WebhookChange::Replay { from }, None).await
}

/// Writes, and shows what has come of it; with the secret that came with the write, if it is in force now.
async fn write(by: &Staff, partner: PartnerCode, change: WebhookChange, secret: Option<&Secret>) -> Answered {
    let account = Arc::from(&*by.who.username);
    let write = Write { partner: partner.clone(), change, by: account };
    let told = by.shown(by.api.engine.write_webhook(write).await)?;
    let view = view(&partner, told.hook.as_deref(), by.api.engine.now())?;
    let secret = secret.filter(|_| told.is_fresh).map(Secret::text);
    Ok(never_cached(&WebhookView { secret, ..view }))
}

fn view(partner: &PartnerCode, hook: Option<&Hook>, now: Timestamp) -> Result<WebhookView, Problem> {
    let of = |hook| Some(WebhookView::of(partner, hook, hook.endpoint()?, now));
    hook.and_then(of).ok_or_else(|| Rejection::NotConfigured { entity: ENTITY, id: partner.to_string() }.into())
}

fn new_secret(api: &Api, partner: &PartnerCode) -> (Secret, SealedSecret) {
    let secret = Secret::from_chance(secret_bytes());
    let sealed = seal_secret(&api.document_keys, partner.as_str(), secret.as_bytes(), secret_bytes());
    (secret, sealed)
}

/// The partner of a path.
fn partner_of(api: &Api, id: &str) -> Result<PartnerCode, Problem> {
    Ok(known(&api.engine.services().catalogue.load(), id)?.id.clone())
}

//! Tickets that a partner generates in advance, all of a batch or none, and how its batches stand (R-OTA-04, R-OTA-08). In paths
//! and answers a batch is called as its partner calls it.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::web;
use deeptravel_actors::lists::BatchFilter;
use deeptravel_domain::batch::{Batch, BatchId, BatchState, BatchWish, OwnId, Plan, Reseller, TicketState};
use deeptravel_domain::ids::OrderId;
use deeptravel_domain::partner::PartnerReservationId;
use deeptravel_domain::rejection::Rejection;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::pricing::PricingSnapshot;
use super::tickets::{GeneratedTicket, GeneratedTickets};
use crate::api::frame::{
    Allowed, Answered, Body, Language, Numbered, NumberedPaging, Partner, Problem, Resell, Routes, Text, canonical,
    hash_of, of_json, ok, refusals, written_large,
};
use crate::api::views::{self, End, Zoned, instant, instant_or_day};

/// Of an answer, for each ticket: its code, what is printed for it, and some entitlements.
const TICKET_BYTES: usize = 700;

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes
        .mount(__path_generate, generate)
        .mount(__path_list_batches, list_batches)
        .mount(__path_show_batch, show_batch)
        .mount(__path_analyse_batch, analyse_batch);
}

/// Tickets to be generated.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"productId": 106, "quantity": 100, "batchId": "MAY-1", "distributionMode": "direct_sale"}))]
struct NewBatch<'a> {
    #[schema(example = 106)]
    product_id: u32,
    #[schema(minimum = 1, maximum = 5_000)]
    quantity: u32,
    /// As the partner calls it: 1 to 64 visible ASCII characters. Repeated with the same request it is the same batch.
    #[schema(value_type = String, min_length = 1, max_length = 64, pattern = "^[!-~]+$")]
    #[serde(borrow)]
    batch_id: Text<'a>,
    /// `direct_sale`, by the partner itself; or `reseller_batch`, by whom `resellerMetadata` names.
    #[schema(value_type = String, pattern = "^(direct_sale|reseller_batch)$")]
    distribution_mode: Text<'a>,
    reseller_metadata: Option<NewReseller<'a>>,
    /// Of a reservation of the partner's, from which the units are drawn. Without it they are taken of what is set aside.
    #[schema(value_type = Option<String>)]
    reservation_id: Option<Text<'a>>,
    /// From then on nothing of it is activated. The product may end sooner.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Text<'a>>,
}

canonical!(NewBatch {
    product_id,
    quantity,
    batch_id,
    distribution_mode,
    reseller_metadata,
    reservation_id,
    expires_at
});

/// By whom a batch is sold on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewReseller<'a> {
    #[schema(value_type = String, min_length = 1, max_length = 100)]
    #[serde(borrow)]
    intended_reseller: Text<'a>,
    #[schema(value_type = Option<String>, min_length = 1, max_length = 500)]
    batch_purpose: Option<Text<'a>>,
    #[schema(value_type = Option<String>, min_length = 1, max_length = 500)]
    distribution_notes: Option<Text<'a>>,
}

canonical!(NewReseller { intended_reseller, batch_purpose, distribution_notes });

impl NewBatch<'_> {
    /// Errors name the field.
    fn into_wish(self, by: &Partner) -> Result<BatchWish, Problem> {
        let own_id = self.batch_id.parse();
        let own_id = own_id.map_err(|_| Problem::field("batchId", "is not 1 to 64 visible ASCII characters"))?;
        let distribution = self.distribution_mode.parse();
        let wrong = |_| Problem::field("distributionMode", "is neither direct_sale nor reseller_batch");
        let reseller = self.reseller_metadata.as_ref().map(|said| Reseller {
            name: (&*said.intended_reseller).into(),
            purpose: said.batch_purpose.as_deref().map(Into::into),
            note: said.distribution_notes.as_deref().map(Into::into),
        });
        let reservation = self.reservation_id.as_deref().map(str::parse::<PartnerReservationId>).transpose();
        let reservation = reservation.map_err(|_| named(Rejection::ReservationNotFound))?;
        Ok(BatchWish {
            partner: by.id().clone(),
            own_id,
            body_hash: hash_of(&self),
            product: self.product_id,
            quantity: self.quantity,
            distribution: distribution.map_err(wrong)?,
            reseller,
            reservation: reservation.map(PartnerReservationId::number),
            expires_at: self.expires_at.as_deref().map(|at| instant("expiresAt", at)).transpose()?,
        })
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ResellerView<'a> {
    intended_reseller: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_purpose: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    distribution_notes: Option<&'a str>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Batch)]
struct BatchView<'a> {
    /// As the partner calls it.
    batch_id: &'a str,
    /// `active`, or `expired`: nothing of it is activated any more.
    #[schema(example = "active")]
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    product_id: Option<u32>,
    total_generated: u16,
    distribution_mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reseller_metadata: Option<ResellerView<'a>>,
    /// From which its units were drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    reservation_id: Option<OrderId>,
    pricing_snapshot: PricingSnapshot<'a>,
    created_at: Zoned,
    /// From then on nothing of it is activated. Absent: it has no end.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Zoned>,
}

impl<'a> BatchView<'a> {
    fn of(language: Language, plan: &'a Plan, state: BatchState) -> BatchView<'a> {
        let reseller = |reseller: &'a Reseller| ResellerView {
            intended_reseller: &reseller.name,
            batch_purpose: reseller.purpose.as_deref(),
            distribution_notes: reseller.note.as_deref(),
        };
        let offer = &plan.offer;
        BatchView {
            batch_id: plan.own_id.as_str(),
            status: state.code(),
            product_id: offer.terms.product,
            total_generated: plan.quantity,
            distribution_mode: plan.distribution.code(),
            reseller_metadata: plan.reseller.as_ref().map(reseller),
            reservation_id: plan.reservation,
            pricing_snapshot: PricingSnapshot::of(language, &offer.terms, &offer.tiers, plan.created_at),
            created_at: views::time(plan.created_at),
            expires_at: plan.ends_at.map(views::time),
        }
    }
}

/// A batch with its tickets.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct GeneratedBatch<'a> {
    #[serde(flatten)]
    batch: BatchView<'a>,
    /// By their numbers, as they are now.
    #[schema(value_type = Vec<GeneratedTicket>)]
    tickets: GeneratedTickets<'a>,
}

/// How many tickets of a batch there are.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct BatchFigures<'a> {
    batch_id: &'a str,
    #[schema(example = "active")]
    status: &'static str,
    /// In all.
    generated: u16,
    /// Nobody has activated or cancelled them, and they can still be.
    pre_generated: u16,
    /// Ever, whatever has become of them.
    activated: u16,
    /// Of these: nothing of them is left to be used.
    redeemed: u16,
    /// Of these: cancelled unused.
    refunded: u16,
    /// Cancelled before they were activated.
    cancelled: u16,
    /// Never activated, and the batch has ended.
    expired: u16,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct BatchQuery {
    /// `active` or `expired`.
    #[param(pattern = "^(active|expired)$")]
    status: Option<String>,
    /// Since this instant (RFC 3339), or since the beginning of this day.
    #[param(example = "2026-12-24T08:00:00+08:00")]
    created_after: Option<String>,
    /// Before this instant, or until the end of this day.
    created_before: Option<String>,
}

impl BatchQuery {
    fn filter(&self) -> Result<BatchFilter, Problem> {
        let status = match self.status.as_deref() {
            None => None,
            Some("active") => Some(BatchState::Active),
            Some("expired") => Some(BatchState::Ended),
            Some(_) => {
                let wrong = "is neither active nor expired";
                return Err(Problem::from(refusals::INVALID_PARAMETER).naming("status", wrong));
            }
        };
        Ok(BatchFilter {
            status,
            created_from: instant_or_day("createdAfter", self.created_after.as_deref(), End::First)?,
            created_until: instant_or_day("createdBefore", self.created_before.as_deref(), End::Last)?,
        })
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct BatchPage<'a> {
    /// The oldest first.
    batches: Vec<BatchView<'a>>,
    /// On all pages.
    total_count: u64,
    page: u32,
    page_size: u32,
}

/// What a refusal of a new batch is about.
pub(super) fn named(refused: Rejection) -> Problem {
    let (is_product, is_reservation) =
        (refused == Rejection::TemplateNotFound, refused == Rejection::ReservationNotFound);
    let problem = Problem::from(refused);
    if is_product {
        problem.naming("productId", "is not on sale")
    } else if is_reservation {
        problem.naming("reservationId", "is no reservation of yours")
    } else {
        problem
    }
}

impl Partner {
    /// Of which batch a list is wanted. `None`: the partner calls none so. Errors name the parameter.
    pub(super) fn batch_to_list(&self, own_id: &str) -> Result<Option<BatchId>, Problem> {
        let invalid = |_| Problem::from(refusals::INVALID_PARAMETER).naming("batchId", "is no id of a batch");
        let own_id: OwnId = own_id.parse().map_err(invalid)?;
        let named = self.api.engine.services().batch_board.named(self.id(), &own_id);
        Ok(named.map(|shown| shown.plan().id))
    }

    /// The partner's batch that it calls so. Another's is not there.
    pub(super) async fn own_batch(&self, own_id: &str) -> Result<Arc<Batch>, Problem> {
        let no_such = || Problem::from(Rejection::BatchNotFound).naming("batchId", "is no batch of yours");
        let own_id: OwnId = own_id.parse().map_err(|_| no_such())?;
        let found = self.noted(self.api.engine.batch_named(self.id(), &own_id).await)?;
        found.map_err(|refused| if refused == Rejection::BatchNotFound { no_such() } else { refused.into() })
    }
}

/// Generates tickets, all or none, at the prices of this moment (R-OTA-04).
#[utoipa::path(
    post, path = "/api/ota/tickets/bulk-generate", request_body = NewBatch,
    responses(
        (status = 201, body = GeneratedBatch),
        (status = 200, description = "Made before by the same request", body = GeneratedBatch),
        (
            status = 404,
            description = "`TEMPLATE_NOT_FOUND`: the product is not on sale; `RESERVATION_NOT_FOUND`: not there, or not yours"
        ),
        (
            status = 409,
            description = "`INSUFFICIENT_ALLOTMENT`: so much is not set aside, or not left of the reservation; \
                `BATCH_EXISTS`: the id was used with another request; `RESERVATION_EXPIRED`, `RESERVATION_ACTIVATED`, \
                `RESERVATION_ENDED`"
        ),
        (
            status = 422,
            description = "`VALIDATION_ERROR`; also for a product with journeys or with stock per date, and for a \
                `reseller_batch` without `intendedReseller`"
        ),
        (status = 503, description = "To be repeated with the same `batchId`"),
    )
)]
async fn generate(Allowed(by): Allowed<Resell>, language: Language, body: Body) -> Answered {
    let wish = body.borrowed::<NewBatch<'_>>()?.into_wish(&by)?;
    drop(body);
    let generated = by.noted(by.api.engine.generate_batch(wish).await)?;
    let (batch, is_first) = generated.map_err(named)?;
    // In this order: the keys seal from the instant on in which they were loaded.
    let keys = by.api.code_keys.load_full();
    let now = by.api.engine.now();
    let written = by.api.apart(move || {
        let tickets = GeneratedTickets::of(language, &batch, &keys, now)?;
        let batch = BatchView::of(language, batch.plan(), batch.state());
        let bytes = usize::from(batch.total_generated) * TICKET_BYTES;
        Ok::<_, Problem>(written_large(&GeneratedBatch { batch, tickets }, bytes))
    });
    Ok(of_json(if is_first { StatusCode::CREATED } else { StatusCode::OK }, written.await??))
}

/// One's own batches.
#[utoipa::path(
    get, path = "/api/ota/batches", params(BatchQuery, NumberedPaging),
    responses(
        (status = 200, body = BatchPage),
        (status = 422, description = "`INVALID_PARAMETER`, `VALIDATION_ERROR`"),
        (status = 503, description = "`STORAGE_UNAVAILABLE`"),
    )
)]
async fn list_batches(Allowed(by): Allowed<Resell>, language: Language, list: Numbered<BatchQuery>) -> Answered {
    let (filter, partner) = (list.filter.filter()?, by.id().clone());
    let read = list.read(&by, |lists, page| async move { lists.batches_of_partner(&partner, &filter, page).await });
    let listed = read.await?;
    let board = &by.api.engine.services().batch_board;
    // All of them are in memory, with what they sell.
    let plans = listed.entries.iter().filter_map(|row| {
        let shown = board.of_partner(by.id(), row.batch_id.0)?;
        Some((Arc::clone(shown.plan()), row.status))
    });
    let plans: Vec<(Arc<Plan>, BatchState)> = plans.collect();
    Ok(ok(&BatchPage {
        batches: plans.iter().map(|(plan, state)| BatchView::of(language, plan, *state)).collect(),
        total_count: listed.total,
        page: list.page.number,
        page_size: list.page.limit,
    }))
}

/// A batch of one's own.
#[utoipa::path(
    get, path = "/api/ota/batches/{batchId}",
    responses((status = 200, body = BatchView), (status = 404, description = "`BATCH_NOT_FOUND`: not there, or not yours"))
)]
async fn show_batch(Allowed(by): Allowed<Resell>, language: Language, id: web::Path<String>) -> Answered {
    let batch = by.own_batch(&id).await?;
    Ok(ok(&BatchView::of(language, batch.plan(), batch.state())))
}

/// How many tickets of a batch were activated, redeemed, cancelled (R-OTA-08).
#[utoipa::path(
    get, path = "/api/ota/batches/{batchId}/analytics",
    responses((status = 200, body = BatchFigures), (status = 404, description = "`BATCH_NOT_FOUND`: not there, or not yours"))
)]
async fn analyse_batch(Allowed(by): Allowed<Resell>, id: web::Path<String>) -> Answered {
    let batch = by.own_batch(&id).await?;
    let counts = batch.counts();
    Ok(ok(&BatchFigures {
        batch_id: batch.plan().own_id.as_str(),
        status: batch.state().code(),
        generated: batch.plan().quantity,
        pre_generated: counts.of(TicketState::PreGenerated),
        activated: counts.activated(),
        redeemed: counts.of(TicketState::Used),
        refunded: counts.of(TicketState::Refunded),
        cancelled: counts.of(TicketState::Cancelled),
        expired: counts.of(TicketState::Expired),
    }))
}

//! What partners list of their reservations and orders (R-OTA-08).

use std::sync::Arc;

use deeptravel_domain::batch::{BatchId, Offer};
use deeptravel_domain::departure::Channel;
use deeptravel_domain::ids::{OrderId, PartnerCode};
use deeptravel_domain::money::{Currency, Money};
use deeptravel_domain::order::OrderStatus;
use deeptravel_domain::partner::rows::PartnerReservationRow;
use deeptravel_domain::partner::{PartnerReservationId, Reservation, ReservationStatus};
use deeptravel_domain::row;
use deeptravel_domain::row::{Damage, First, Row as _, Uuid};
use deeptravel_domain::time::Timestamp;

use super::partners::{Listed, NumberedPage, TotalRow, ids_between, of_batch, total};
use crate::ports::{Lists, Load, Parameter, Statement, StoreError};

row! {
    /// An order that a partner has sold, with what its list shows.
    pub struct PartnerOrderRow<'a>: 1_100 "partner_orders_listed", First::Unknown;
    1 order_id [Key]: Uuid<OrderId>,
    2 status: OrderStatus,
    3 created_at: Timestamp,
    4 currency: Currency,
    5 total_minor: i64,
    6 contact_name [Hidden]: &'a str,
    7 payment_reference: &'a str,
    /// Its items.
    8 units: u32,
    9 product_id: Option<u32>,
}

/// Of one statement for the page, and one for how many there are.
const RESERVATIONS: Load = Load::of(&[
    Statement::new("list/partner_reservations", PartnerReservationRow::TABLE),
    Statement::new("list/partner_reservation_total", TotalRow::TABLE),
]);
const ORDERS: Load = Load::of(&[
    Statement::new("list/orders_of_partner", PartnerOrderRow::TABLE),
    Statement::new("list/order_total_of_partner", TotalRow::TABLE),
]);

/// The only page of what is one entry.
const ONE: NumberedPage = NumberedPage { number: 1, limit: 1 };

/// Which reservations are wanted; all that are left out are.
#[derive(Debug, Clone, Default)]
pub struct ReservationFilter {
    pub status: Option<ReservationStatus>,
    pub created_from: Option<Timestamp>,
    /// Not included.
    pub created_until: Option<Timestamp>,
}

/// A reservation as its partner sees it at an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartnerReservation {
    pub id: PartnerReservationId,
    pub product: u32,
    pub quantity: u32,
    /// Units that nobody has drawn.
    pub remaining: u32,
    pub status: ReservationStatus,
    pub created_at: Timestamp,
    /// `None`: never.
    pub expires_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// What its units are sold as, while it is active.
    pub offer: Option<Arc<Offer>>,
}

impl PartnerReservation {
    /// One that its book remembers.
    pub fn of(reservation: &Reservation, now: Timestamp) -> PartnerReservation {
        let status = reservation.status(now);
        PartnerReservation {
            id: reservation.id,
            product: reservation.product,
            quantity: reservation.quantity,
            remaining: reservation.remaining(),
            status,
            created_at: reservation.created_at,
            expires_at: reservation.expires_at,
            ended_at: reservation.ended_at,
            offer: reservation.offer.clone().filter(|_| status == ReservationStatus::Active),
        }
    }

    fn of_row(row: PartnerReservationRow<'_>, now: Timestamp) -> Result<PartnerReservation, Damage> {
        let id = PartnerReservationId::of_number(row.reservation_id.0);
        let id = id.ok_or_else(|| row.damage("its id is no reservation's"))?;
        let status = row.status.at(row.expires_at, now);
        Ok(PartnerReservation {
            id,
            product: row.product_id,
            quantity: row.quantity,
            remaining: row.remaining,
            status,
            created_at: row.created_at,
            expires_at: row.expires_at,
            ended_at: row.ended_at,
            offer: row.offer.filter(|_| status == ReservationStatus::Active).map(Arc::new),
        })
    }
}

/// Which orders are wanted; all that are left out are.
#[derive(Debug, Clone, Default)]
pub struct PartnerOrderFilter {
    pub status: Option<OrderStatus>,
    /// Of its tickets.
    pub batch: Option<BatchId>,
    pub created_from: Option<Timestamp>,
    /// Not included.
    pub created_until: Option<Timestamp>,
}

/// An order as its partner lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartnerOrder {
    pub id: OrderId,
    pub status: OrderStatus,
    pub created_at: Timestamp,
    pub total: Money,
    pub customer: String,
    pub payment_reference: String,
    pub units: u32,
    pub product: Option<u32>,
}

impl From<PartnerOrderRow<'_>> for PartnerOrder {
    fn from(row: PartnerOrderRow<'_>) -> PartnerOrder {
        PartnerOrder {
            id: row.order_id.0,
            status: row.status,
            created_at: row.created_at,
            total: Money::new(row.total_minor, row.currency),
            customer: row.contact_name.to_owned(),
            payment_reference: row.payment_reference.to_owned(),
            units: row.units,
            product: row.product_id,
        }
    }
}

impl dyn Lists {
    /// A partner's reservations as they are at `now`, the oldest first.
    pub async fn reservations_of_partner(
        &self,
        partner: &PartnerCode,
        filter: &ReservationFilter,
        page: NumberedPage,
        now: Timestamp,
    ) -> Result<Listed<PartnerReservation>, StoreError> {
        let ids = ids_between(filter.created_from, filter.created_until);
        self.reservations(partner, filter.status, ids, page, now).await
    }

    /// One of a partner's reservations, however long ago it has ended.
    pub async fn reservation_of_partner(
        &self,
        partner: &PartnerCode,
        id: PartnerReservationId,
        now: Timestamp,
    ) -> Result<Option<PartnerReservation>, StoreError> {
        let number = id.hold().hold.order;
        let found = self.reservations(partner, None, [number; 2], ONE, now).await?;
        Ok(found.entries.into_iter().next())
    }

    async fn reservations(
        &self,
        partner: &PartnerCode,
        status: Option<ReservationStatus>,
        ids: [OrderId; 2],
        page: NumberedPage,
        now: Timestamp,
    ) -> Result<Listed<PartnerReservation>, StoreError> {
        let status = status.map(|status| status.code().to_owned());
        let wanted = [partner.to_string().into(), Parameter::Text(status), ids.to_vec().into(), now.into()];
        let rows = self.load(RESERVATIONS, wanted.into_iter().chain(page.parameters()).collect()).await?;
        let listed = rows.of::<PartnerReservationRow<'_>>().map(|row| Ok(PartnerReservation::of_row(row?, now)?));
        Ok(Listed { entries: listed.collect::<Result<_, StoreError>>()?, total: total(&rows)? })
    }

    /// A partner's orders, the oldest first.
    pub async fn orders_of_partner(
        &self,
        partner: &PartnerCode,
        filter: &PartnerOrderFilter,
        page: NumberedPage,
    ) -> Result<Listed<PartnerOrder>, StoreError> {
        let PartnerOrderFilter { status, batch, created_from, created_until } = filter;
        let ids = batch.map_or(ids_between(None, None), of_batch);
        let wanted = [
            Channel::from(partner).to_string().into(),
            Parameter::Text(status.map(|status| status.code().to_owned())),
            ids.to_vec().into(),
            Parameter::Instant(*created_from),
            Parameter::Instant(*created_until),
        ];
        let rows = self.load(ORDERS, wanted.into_iter().chain(page.parameters()).collect()).await?;
        let listed = rows.of::<PartnerOrderRow<'_>>().map(|row| Ok(row?.into()));
        Ok(Listed { entries: listed.collect::<Result<_, StoreError>>()?, total: total(&rows)? })
    }
}

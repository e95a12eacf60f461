//! Lists for people, in the words of those who ask for them.

mod partner_sales;
mod partners;

use std::fmt;
use std::str::FromStr;

use deeptravel_domain::ids::{
    EntitlementCode, LocationCode, MerchantCode, OrderId, PartnerCode, TicketId, TravellerId,
};
use deeptravel_domain::order::rows::{OrderRow, RefundRow, TicketRow};
use deeptravel_domain::order::{OrderStatus, Refund};
use deeptravel_domain::quarantine::Notice;
use deeptravel_domain::register::{Action, AuditRow};
use deeptravel_domain::row;
use deeptravel_domain::row::{Damage, First, Row as _, Rows, Uuid};
use deeptravel_domain::tables;
use deeptravel_domain::ticket::TicketStatus;
use deeptravel_domain::time::Timestamp;
use deeptravel_domain::webhook::rows::WebhookDeliveryRow;
use jiff::civil::Date;

pub use partner_sales::{PartnerOrder, PartnerOrderFilter, PartnerReservation, ReservationFilter};
pub use partners::{BatchFilter, Listed, NumberedPage};

use crate::ports::{InvalidCursor, ListCursor, Lists, Load, Parameter, Statement, StoreError};

/// No order has it.
const ABOVE_ALL_ORDERS: OrderId = OrderId::from_bits(u128::MAX);

row! {
    /// What a list of orders finds first.
    pub struct OrderIdRow: 1_001 "order_ids", First::Unknown;
    1 order_id [Key]: Uuid<OrderId>,
}

row! {
    /// What a list of tickets finds first.
    pub struct TicketIdRow: 1_002 "ticket_ids", First::Unknown;
    1 order_id [Key]: Uuid<OrderId>,
    2 number [Key]: u16,
}

row! {
    /// A redemption, with whose it was.
    pub struct RedemptionRow<'a>: 1_003 "redemptions_listed", First::Unknown;
    1 order_id [Key]: Uuid<OrderId>,
    2 ticket [Key]: u16,
    3 version [Key]: u64,
    4 scanned_at: Timestamp,
    5 merchant_code: Option<&'a str>,
    6 location_code: Option<&'a str>,
    7 redeemed_code: &'a str,
    8 quantity: u16,
    9 operator_username: &'a str,
    10 device_id: &'a str,
    11 passenger_name [Hidden]: Option<&'a str>,
}

row! {
    /// What was redeemed on a day.
    pub struct RedemptionTotalRow<'a>: 1_004 "redemption_totals", First::Unknown;
    1 day [Key]: Date,
    2 redeemed_code [Key]: &'a str,
    3 version: u64,
    4 redemptions: u64,
    5 uses: u64,
}

/// What a list shows of an order: itself, tickets and refunds.
const SUMMARY: &[Statement] = &[
    Statement::by("load/order_rows", OrderRow::TABLE, "order_id"),
    Statement::by("load/ticket_rows", TicketRow::TABLE, "order_id"),
    Statement::by("load/refunds", RefundRow::TABLE, "order_id"),
];

const ORDERS_OF_TRAVELLER: Load =
    Load::of_found(Statement::new("list/order_ids_of_traveller", OrderIdRow::TABLE), "order_id", SUMMARY);
const TICKETS_OF_TRAVELLER: Load =
    Load::of_found(Statement::new("list/ticket_ids_of_traveller", TicketIdRow::TABLE), "order_id", SUMMARY);
const REFUNDS_OF_TRAVELLER: Load = Load::of(&[Statement::new("list/refunds_of_traveller", RefundRow::TABLE)]);
const REFUNDS: Load = Load::of(&[Statement::new("list/refunds", RefundRow::TABLE)]);
const QUARANTINE: Load = Load::of(&[Statement::new("list/quarantine", Notice::TABLE)]);

const AUDIT_OF_ENTITY: Load = Load::of(&[Statement::new("list/audit_of_entity", AuditRow::TABLE)]);
const AUDIT_LOGS: Load = Load::of(&[Statement::new("list/audit_logs", AuditRow::TABLE)]);

const REDEMPTIONS: Load = Load::of(&[Statement::new("list/redemptions", RedemptionRow::TABLE)]);
const REDEMPTION_TOTALS: Load = Load::of(&[Statement::new("list/redemption_totals", RedemptionTotalRow::TABLE)]);
const WEBHOOK_DELIVERIES: Load = Load::of(&[Statement::new("list/webhook_deliveries", WebhookDeliveryRow::TABLE)]);

/// Which redemptions are wanted; all that are left out are.
#[derive(Debug, Clone)]
pub struct RedemptionFilter {
    pub from: Timestamp,
    /// Not included.
    pub until: Timestamp,
    pub merchant: Option<MerchantCode>,
    pub location: Option<LocationCode>,
    pub entitlement: Option<EntitlementCode>,
}

impl RedemptionFilter {
    fn parameters(&self) -> Vec<Parameter> {
        let RedemptionFilter { from, until, merchant, location, entitlement } = self;
        let merchant = merchant.as_ref().map(ToString::to_string);
        let location = location.as_ref().map(ToString::to_string);
        let entitlement = entitlement.as_ref().map(ToString::to_string);
        let instants = [*from, *until].map(|at| Parameter::Instant(Some(at)));
        instants.into_iter().chain([merchant, location, entitlement].map(Parameter::Text)).collect()
    }
}

/// One redemption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redemption {
    pub ticket: TicketId,
    /// Of its record.
    pub version: u64,
    pub at: Timestamp,
    pub merchant: Option<String>,
    pub location: Option<String>,
    pub entitlement: String,
    pub quantity: u16,
    pub operator: String,
    pub device: String,
    /// `None`: the whole party's ticket.
    pub passenger: Option<String>,
}

impl Redemption {
    /// After which [`dyn Lists::redemptions`] goes on.
    pub fn cursor(&self) -> ListCursor {
        let TicketId { order, number } = self.ticket;
        ListCursor { at_ms: self.at.as_ms(), id: format!("{order}.{number}.{}", self.version) }
    }
}

impl From<RedemptionRow<'_>> for Redemption {
    fn from(row: RedemptionRow<'_>) -> Redemption {
        let owned = |text: &str| text.to_owned();
        Redemption {
            ticket: TicketId { order: row.order_id.0, number: row.ticket },
            version: row.version,
            at: row.scanned_at,
            merchant: row.merchant_code.map(owned),
            location: row.location_code.map(owned),
            entitlement: owned(row.redeemed_code),
            quantity: row.quantity,
            operator: owned(row.operator_username),
            device: owned(row.device_id),
            passenger: row.passenger_name.map(owned),
        }
    }
}

/// What was redeemed of an entitlement on a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedemptionTotal {
    pub day: Date,
    pub entitlement: String,
    pub redemptions: u64,
    /// Quantities, added up.
    pub uses: u64,
}

/// A write to configuration, as the audit has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    pub owner: String,
    /// Of the owner's records.
    pub number: u64,
    pub at: Timestamp,
    pub account: String,
    pub entity: String,
    pub id: String,
    /// `None`: it was refused.
    pub revision: Option<u32>,
    pub action: Action,
    /// JSON: what the entity held, and what it was to hold.
    pub before: Option<String>,
    pub after: Option<String>,
    pub refusal: Option<Refusal>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: String,
    pub text: String,
}

impl AuditEntry {
    /// After which [`dyn Lists::audit_logs`] goes on.
    pub fn place(&self) -> AuditPlace {
        AuditPlace { at: self.at, owner: self.owner.clone(), number: self.number }
    }
}

/// Where an entry stands among all: behind those of its instant with a later owner or a higher number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPlace {
    at: Timestamp,
    owner: String,
    number: u64,
}

impl fmt::Display for AuditPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AuditPlace { at, owner, number } = self;
        write!(f, "{}.{number}.{owner}", at.as_ms())
    }
}

impl FromStr for AuditPlace {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<AuditPlace, InvalidCursor> {
        let (at, rest) = text.split_once('.').ok_or(InvalidCursor)?;
        let (number, owner) = rest.split_once('.').ok_or(InvalidCursor)?;
        let at_ms: i64 = at.parse().map_err(|_| InvalidCursor)?;
        let number: u64 = number.parse().map_err(|_| InvalidCursor)?;
        // What Postgres has: no instants of long before, no numbers above its own, no NUL.
        let fits = at_ms >= 0 && i64::try_from(number).is_ok() && !owner.contains('\0');
        if !fits {
            return Err(InvalidCursor);
        }
        Ok(AuditPlace { at: Timestamp::from_ms(at_ms), owner: owner.to_owned(), number })
    }
}

impl From<AuditRow<'_>> for AuditEntry {
    fn from(row: AuditRow<'_>) -> AuditEntry {
        let owned = |text: &str| text.to_owned();
        let code = row.refusal_code.map(owned);
        AuditEntry {
            owner: owned(row.owner),
            number: row.number,
            at: row.at,
            account: owned(row.account),
            entity: owned(row.entity),
            id: owned(row.entity_id),
            revision: row.revision,
            action: row.action,
            before: row.before.map(owned),
            after: row.after.map(owned),
            refusal: code.map(|code| Refusal { code, text: row.refusal.map(owned).unwrap_or_default() }),
        }
    }
}

/// Which writes are wanted; all that are left out are.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    pub from: Option<Timestamp>,
    /// Not included.
    pub until: Option<Timestamp>,
    pub account: Option<String>,
    pub entity: Option<String>,
}

/// A page of a traveller's tickets, and the rows of the orders that they belong to.
#[derive(Debug, Clone, Default)]
pub struct TicketPage {
    /// Newest first.
    pub tickets: Vec<TicketId>,
    pub orders: Vec<Rows>,
}

impl dyn Lists {
    /// A traveller's orders, newest first, of those made before `before`.
    pub async fn orders_of(
        &self,
        traveller: TravellerId,
        status: Option<OrderStatus>,
        before: Option<OrderId>,
        limit: u32,
    ) -> Result<Vec<Rows>, StoreError> {
        let before = before.unwrap_or(ABOVE_ALL_ORDERS);
        let parameters = vec![
            traveller.to_string().into(),
            Parameter::Text(status.map(|status| status.code().to_owned())),
            before.to_string().into(),
            Parameter::Number(limit.into()),
        ];
        let rows = self.load(ORDERS_OF_TRAVELLER, parameters).await?;
        let mut orders = tables::split(&rows, "order_id")?;
        // By the order's id, which begins with its time.
        orders.reverse();
        Ok(orders)
    }

    /// A traveller's tickets, newest order first and within it by their number, of those after `before` in that order.
    pub async fn tickets_of(
        &self,
        traveller: TravellerId,
        status: Option<TicketStatus>,
        before: Option<TicketId>,
        limit: u32,
    ) -> Result<TicketPage, StoreError> {
        let (order, number) = before.map_or((ABOVE_ALL_ORDERS, 0), |ticket| (ticket.order, ticket.number));
        let parameters = vec![
            traveller.to_string().into(),
            Parameter::Text(status.map(|status| status.code().to_owned())),
            order.to_string().into(),
            Parameter::Number(number.into()),
            Parameter::Number(limit.into()),
        ];
        let rows = self.load(TICKETS_OF_TRAVELLER, parameters).await?;
        let id = |row: TicketIdRow| TicketId { order: row.order_id.0, number: row.number };
        let tickets = rows.of::<TicketIdRow>().map(|row| row.map(id));
        let tickets = tickets.collect::<Result<_, Damage>>()?;
        Ok(TicketPage { tickets, orders: tables::split(&rows, "order_id")? })
    }

    /// What comes back to a traveller, the newest first, without what another refund has replaced.
    pub async fn refunds_of(
        &self,
        traveller: TravellerId,
        before: Option<ListCursor>,
        limit: u32,
    ) -> Result<Vec<Refund>, StoreError> {
        let [at, id] = ListCursor::parameters(before);
        let parameters = vec![traveller.to_string().into(), at, id, Parameter::Number(limit.into())];
        refunds(&self.load(REFUNDS_OF_TRAVELLER, parameters).await?)
    }

    /// Everybody's refunds in these states, the newest first.
    pub async fn refunds(
        &self,
        states: Option<Vec<&'static str>>,
        before: Option<ListCursor>,
        limit: u32,
    ) -> Result<Vec<Refund>, StoreError> {
        let [at, id] = ListCursor::parameters(before);
        let states = Parameter::Texts(states.map(|states| states.into_iter().map(str::to_owned).collect()));
        refunds(&self.load(REFUNDS, vec![states, at, id, Parameter::Number(limit.into())]).await?)
    }

    /// Redemptions, the newest first.
    pub async fn redemptions(
        &self,
        filter: &RedemptionFilter,
        before: Option<ListCursor>,
        limit: u32,
    ) -> Result<Vec<Redemption>, StoreError> {
        let paging = ListCursor::parameters(before).into_iter().chain([Parameter::Number(limit.into())]);
        let parameters = filter.parameters().into_iter().chain(paging).collect();
        let rows = self.load(REDEMPTIONS, parameters).await?;
        rows.of::<RedemptionRow<'_>>().map(|row| Ok(row?.into())).collect()
    }

    /// Their totals by day, in this zone, and entitlement; the newest day first.
    pub async fn redemption_totals(
        &self,
        filter: &RedemptionFilter,
        zone: &str,
    ) -> Result<Vec<RedemptionTotal>, StoreError> {
        let parameters = filter.parameters().into_iter().chain([zone.to_owned().into()]).collect();
        let rows = self.load(REDEMPTION_TOTALS, parameters).await?;
        let total = |row: RedemptionTotalRow<'_>| RedemptionTotal {
            day: row.day,
            entitlement: row.redeemed_code.to_owned(),
            redemptions: row.redemptions,
            uses: row.uses,
        };
        rows.of::<RedemptionTotalRow<'_>>().map(|row| Ok(total(row?))).collect()
    }

    /// Notices in quarantine, the newest first.
    pub async fn quarantine(
        &self,
        resolved: Option<bool>,
        before: Option<ListCursor>,
        limit: u32,
    ) -> Result<Vec<Notice>, StoreError> {
        let [at, id] = ListCursor::parameters(before);
        let rows = self.load(QUARANTINE, vec![Parameter::Flag(resolved), at, id, Parameter::Number(limit.into())]);
        Ok(rows.await?.all()?)
    }

    /// An entity's history, the newest first, of what was written before the owner's record `before`.
    pub async fn history(
        &self,
        entity: &str,
        id: &str,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let before = before.map_or(i64::MAX, |number| i64::try_from(number).unwrap_or(i64::MAX));
        let numbers = [Parameter::Number(before), Parameter::Number(limit.into())];
        let names = [entity.to_owned().into(), id.to_owned().into()];
        audit_entries(&self.load(AUDIT_OF_ENTITY, names.into_iter().chain(numbers).collect()).await?)
    }

    /// The calls of a partner's webhook, the newest first, of those with a number below `before`.
    pub async fn webhook_deliveries(
        &self,
        partner: &PartnerCode,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<WebhookDeliveryRow>, StoreError> {
        let before = before.map_or(i64::MAX, |number| i64::try_from(number).unwrap_or(i64::MAX));
        let numbers = [Parameter::Number(before), Parameter::Number(limit.into())];
        let parameters = [partner.to_string().into()].into_iter().chain(numbers).collect();
        Ok(self.load(WEBHOOK_DELIVERIES, parameters).await?.all()?)
    }

    /// Writes to configuration, also those that were refused, the newest first.
    pub async fn audit_logs(
        &self,
        filter: AuditFilter,
        before: Option<AuditPlace>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let AuditFilter { from, until, account, entity } = filter;
        let (at, owner, number) = match before {
            Some(AuditPlace { at, owner, number }) => (Some(at), Some(owner), i64::try_from(number).ok()),
            None => (None, None, None),
        };
        let parameters = vec![
            Parameter::Instant(from),
            Parameter::Instant(until),
            Parameter::Text(account),
            Parameter::Text(entity),
            Parameter::Instant(at),
            Parameter::Text(owner),
            Parameter::Number(number.unwrap_or_default()),
            Parameter::Number(limit.into()),
        ];
        audit_entries(&self.load(AUDIT_LOGS, parameters).await?)
    }
}

fn audit_entries(rows: &Rows) -> Result<Vec<AuditEntry>, StoreError> {
    rows.of::<AuditRow<'_>>().map(|row| Ok(row?.into())).collect()
}

fn refunds(rows: &Rows) -> Result<Vec<Refund>, StoreError> {
    rows.of::<RefundRow<'_>>().map(|row| Ok(Refund::from_row(&row?)?)).collect()
}

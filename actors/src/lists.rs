//! Lists for people, in the words of those who ask for them.

use deeptravel_domain::ids::{OrderId, TicketId, TravellerId};
use deeptravel_domain::order::rows::{OrderItemRow, OrderRow, PassengerRow, RefundRow, TicketRow};
use deeptravel_domain::order::{OrderStatus, Refund};
use deeptravel_domain::quarantine::{Notice, QuarantineRow};
use deeptravel_domain::row;
use deeptravel_domain::row::{Damage, First, Row as _, Rows};
use deeptravel_domain::tables;
use deeptravel_domain::ticket::TicketStatus;

use crate::ports::{ListCursor, Lists, Load, Parameter, Statement, StoreError};

/// Above every id of an order: their first character is at most a 7.
const ABOVE_ALL_ORDERS: &str = "8";

row! {
    /// What a list of orders finds first.
    pub struct OrderIdRow: 1_001 "order_ids", First::Unknown;
    1 order_id [Key]: OrderId,
}

row! {
    /// What a list of tickets finds first.
    pub struct TicketIdRow: 1_002 "ticket_ids", First::Unknown;
    1 ticket_id [Key]: TicketId,
    2 order_id: OrderId,
}

/// What a list shows of an order: itself, items, passengers, tickets and refunds.
const SUMMARY: &[Statement] = &[
    Statement::by("load/orders", OrderRow::TABLE, "order_id"),
    Statement::by("load/order_items", OrderItemRow::TABLE, "order_id"),
    Statement::by("load/order_passengers", PassengerRow::TABLE, "order_id"),
    Statement::by("load/tickets", TicketRow::TABLE, "order_id"),
    Statement::by("load/refunds", RefundRow::TABLE, "order_id"),
];

const ORDERS_OF_TRAVELLER: Load =
    Load { keys: Some((Statement::new("list/order_ids_of_traveller", OrderIdRow::TABLE), "order_id")), rows: SUMMARY };
const TICKETS_OF_TRAVELLER: Load = Load {
    keys: Some((Statement::new("list/ticket_ids_of_traveller", TicketIdRow::TABLE), "order_id")),
    rows: SUMMARY,
};
const REFUNDS_OF_TRAVELLER: Load = Load::of(&[Statement::new("list/refunds_of_traveller", RefundRow::TABLE)]);
const REFUNDS: Load = Load::of(&[Statement::new("list/refunds", RefundRow::TABLE)]);
const QUARANTINE: Load = Load::of(&[Statement::new("list/quarantine", QuarantineRow::TABLE)]);

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
        let before = before.map_or_else(|| ABOVE_ALL_ORDERS.to_owned(), |order| order.to_string());
        let parameters = vec![
            traveller.to_string().into(),
            Parameter::Text(status.map(|status| status.code().to_owned())),
            before.into(),
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
        let order = before.map_or_else(|| ABOVE_ALL_ORDERS.to_owned(), |ticket| ticket.order.to_string());
        let parameters = vec![
            traveller.to_string().into(),
            Parameter::Text(status.map(|status| status.code().to_owned())),
            order.into(),
            before.map(|ticket| ticket.to_string()).unwrap_or_default().into(),
            Parameter::Number(limit.into()),
        ];
        let rows = self.load(TICKETS_OF_TRAVELLER, parameters).await?;
        let tickets = rows.of::<TicketIdRow>().map(|row| row.map(|row| row.ticket_id));
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

    /// Notices in quarantine, the newest first.
    pub async fn quarantine(
        &self,
        resolved: Option<bool>,
        before: Option<ListCursor>,
        limit: u32,
    ) -> Result<Vec<Notice>, StoreError> {
        let [at, id] = ListCursor::parameters(before);
        let rows = self.load(QUARANTINE, vec![Parameter::Flag(resolved), at, id, Parameter::Number(limit.into())]);
        let rows = rows.await?;
        rows.of::<QuarantineRow<'_>>().map(|row| Ok(Notice::from_row(&row?))).collect()
    }
}

fn refunds(rows: &Rows) -> Result<Vec<Refund>, StoreError> {
    rows.of::<RefundRow<'_>>().map(|row| Ok(Refund::from_row(&row?)?)).collect()
}

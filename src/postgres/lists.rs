//! Lists that people page through. They wait for nobody and starve nobody: a lane of their own, the newest page
//! first, and a cursor that stays right while rows are added.

use async_trait::async_trait;
use deeptravel_actors::ports::{self, ListCursor, StoreError, TicketPage};
use deeptravel_actors::rows::QuarantineRow;
use deeptravel_domain::ids::{OrderId, TicketId, TravellerId};
use deeptravel_domain::order::OrderStatus;
use deeptravel_domain::order::rows::{OrderRows, RefundRow};
use deeptravel_domain::ticket::TicketStatus;
use deeptravel_domain::time::Timestamp;

use super::store::load::{notices, order_summaries, refunds, snapshot, texts};
use super::store::table::sql;
use super::{Database, Lane, Session};

/// Above every id of an order: their first character is at most a 7.
const ABOVE_ALL_ORDERS: &str = "8";

/// The lists, as Postgres has them: behind the journal by as much as the projection is.
#[derive(Debug, Clone)]
pub struct Lists {
    database: Database,
}

impl Lists {
    pub fn new(database: Database) -> Lists {
        Lists { database }
    }
}

#[async_trait]
impl ports::Lists for Lists {
    fn is_available(&self) -> bool {
        self.database.is_available()
    }

    /// With items, passengers, tickets and refunds; the other tables are left empty. `before` is the last order of the page before.
    async fn orders_of(
        &self,
        traveller: TravellerId,
        status: Option<OrderStatus>,
        before: Option<OrderId>,
        limit: u32,
    ) -> Result<Vec<OrderRows>, StoreError> {
        let traveller = traveller.to_string();
        let status = status.map(OrderStatus::code);
        let before = before.map_or_else(|| ABOVE_ALL_ORDERS.to_owned(), |order| order.to_string());
        let limit = i64::from(limit);
        let job = move |mut session| async move {
            let client = snapshot(&mut session).await?;
            let parameters = [&traveller as _, &status as _, &before as _, &limit as _];
            let ids = texts(&client, sql!("list/order_ids_of_traveller.sql"), &parameters).await?;
            let mut orders = order_summaries(&client, &ids).await?;
            orders.reverse();
            Ok(orders)
        };
        Ok(self.database.run(Lane::Lists, job).await?)
    }

    /// Within an order by their number. `before` is the last ticket of the page before; the orders are as those of
    /// [`ports::Lists::orders_of`], the oldest first.
    async fn tickets_of(
        &self,
        traveller: TravellerId,
        status: Option<TicketStatus>,
        before: Option<TicketId>,
        limit: u32,
    ) -> Result<TicketPage, StoreError> {
        let traveller = traveller.to_string();
        let status = status.map(TicketStatus::code);
        let order = before.map_or_else(|| ABOVE_ALL_ORDERS.to_owned(), |ticket| ticket.order.to_string());
        let ticket = before.map(|ticket| ticket.to_string()).unwrap_or_default();
        let limit = i64::from(limit);
        let job = move |mut session| async move {
            let client = snapshot(&mut session).await?;
            let parameters = [&traveller as _, &status as _, &order as _, &ticket as _, &limit as _];
            let tickets = texts(&client, sql!("list/ticket_ids_of_traveller.sql"), &parameters).await?;
            // A ticket's id begins with its order's.
            let mut orders: Vec<String> =
                tickets.iter().filter_map(|id| Some(id.split_once('-')?.0.to_owned())).collect();
            orders.dedup();
            Ok((tickets, order_summaries(&client, &orders).await?))
        };
        let (tickets, orders) = self.database.run(Lane::Lists, job).await?;
        let parsed = |id: &String| id.parse().map_err(|error| StoreError::Data(format!("{id}: {error}")));
        Ok(TicketPage { tickets: tickets.iter().map(parsed).collect::<Result<_, _>>()?, orders })
    }
    async fn refunds_of(
        &self,
        traveller: TravellerId,
        before: Option<ListCursor>,
        limit: u32,
    ) -> Result<Vec<RefundRow>, StoreError> {
        let traveller = traveller.to_string();
        let (at, id) = place(before);
        let limit = i64::from(limit);
        let job = move |session: Session| async move {
            let parameters = [&traveller as _, &at as _, &id as _, &limit as _];
            refunds(&*session, sql!("list/refunds_of_traveller.sql"), &parameters).await
        };
        Ok(self.database.run(Lane::Lists, job).await?)
    }

    async fn refunds(
        &self,
        states: Option<Vec<&'static str>>,
        before: Option<ListCursor>,
        limit: u32,
    ) -> Result<Vec<RefundRow>, StoreError> {
        let (at, id) = place(before);
        let limit = i64::from(limit);
        let job = move |session: Session| async move {
            let parameters = [&states as _, &at as _, &id as _, &limit as _];
            refunds(&*session, sql!("list/refunds.sql"), &parameters).await
        };
        Ok(self.database.run(Lane::Lists, job).await?)
    }

    async fn quarantine(
        &self,
        resolved: Option<bool>,
        before: Option<ListCursor>,
        limit: u32,
    ) -> Result<Vec<QuarantineRow>, StoreError> {
        let (at, id) = place(before);
        let limit = i64::from(limit);
        let job = move |session: Session| async move {
            let parameters = [&resolved as _, &at as _, &id as _, &limit as _];
            notices(&*session, sql!("list/quarantine.sql"), &parameters).await
        };
        Ok(self.database.run(Lane::Lists, job).await?)
    }
}

/// A cursor as parameters; nulls for the first page.
fn place(cursor: Option<ListCursor>) -> (Option<jiff::Timestamp>, Option<String>) {
    cursor.map(|cursor| (Timestamp::from_ms(cursor.at_ms).to_jiff(), cursor.id)).unzip()
}

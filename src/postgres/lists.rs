//! Lists that travellers page through. They wait for nobody and starve nobody: a lane of their own, the newest page
//! first, and a cursor that stays right while rows are added.

use deeptravel_actors::ports::StoreError;
use deeptravel_domain::ids::{OrderId, TicketId, TravellerId};
use deeptravel_domain::order::OrderStatus;
use deeptravel_domain::order::rows::{OrderRows, TicketRow};
use deeptravel_domain::ticket::TicketStatus;
use tokio_postgres::types::ToSql;

use super::store::load::{order_summaries, rows_and, snapshot};
use super::store::table::sql;
use super::{Database, Lane};

/// Above every id of an order: their first character is at most a 7.
const ABOVE_ALL_ORDERS: &str = "8";

/// A ticket and who it is for.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedTicket {
    pub ticket: TicketRow,
    pub passenger_name: String,
    /// `adult`, `child`, `senior`.
    pub passenger_type: String,
}

/// The lists, as Postgres has them: behind the journal by as much as the projection is.
#[derive(Debug, Clone)]
pub struct Lists {
    database: Database,
}

impl Lists {
    pub fn new(database: Database) -> Lists {
        Lists { database }
    }

    /// See [`Database::is_available`].
    pub fn is_available(&self) -> bool {
        self.database.is_available()
    }

    /// A traveller's orders, newest first, with their items, passengers and tickets; the other tables are left empty.
    /// `before` is the last order of the page before.
    pub async fn orders_of(
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
            let statement = client.prepare_cached(sql!("list/order_ids_of_traveller.sql")).await?;
            let ids = client.query(&statement, &[&traveller, &status, &before, &limit]).await?;
            let ids = ids.iter().map(|row| row.try_get(0)).collect::<Result<Vec<String>, _>>()?;
            let mut orders = order_summaries(&client, &ids).await?;
            orders.reverse();
            Ok(orders)
        };
        Ok(self.database.run(Lane::Lists, job).await?)
    }

    /// These orders, as [`Lists::orders_of`] has them.
    pub async fn orders(&self, ids: Vec<String>) -> Result<Vec<OrderRows>, StoreError> {
        let job = move |mut session| async move {
            let client = snapshot(&mut session).await?;
            order_summaries(&client, &ids).await
        };
        Ok(self.database.run(Lane::Lists, job).await?)
    }

    /// A traveller's tickets, those of the newest order first, within an order by their number. `after` is the last
    /// ticket of the page before.
    pub async fn tickets_of(
        &self,
        traveller: TravellerId,
        status: Option<TicketStatus>,
        after: Option<TicketId>,
        limit: u32,
    ) -> Result<Vec<ListedTicket>, StoreError> {
        let traveller = traveller.to_string();
        let status = status.map(TicketStatus::code);
        let order = after.map_or_else(|| ABOVE_ALL_ORDERS.to_owned(), |ticket| ticket.order.to_string());
        let ticket = after.map(|ticket| ticket.to_string()).unwrap_or_default();
        let limit = i64::from(limit);
        let job = move |session: super::Session| async move {
            let parameters: [&(dyn ToSql + Sync); 5] = [&traveller, &status, &order, &ticket, &limit];
            let name_and_type =
                |row: &tokio_postgres::Row| Ok((row.try_get("passenger_name")?, row.try_get("passenger_type")?));
            rows_and(&*session, sql!("list/tickets_of_traveller.sql"), &parameters, name_and_type).await
        };
        let rows = self.database.run(Lane::Lists, job).await?;
        let listed =
            |(ticket, (passenger_name, passenger_type))| ListedTicket { ticket, passenger_name, passenger_type };
        Ok(rows.into_iter().map(listed).collect())
    }
}

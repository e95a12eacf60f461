//! The lists behind the port of the HTTP layer.

use async_trait::async_trait;
use deeptravel_actors::ports::{self, StoreError, TicketPage};
use deeptravel_domain::ids::{OrderId, TicketId, TravellerId};
use deeptravel_domain::order::OrderStatus;
use deeptravel_domain::order::rows::OrderRows;
use deeptravel_domain::ticket::TicketStatus;

use super::Lists;

#[async_trait]
impl ports::Lists for Lists {
    fn is_available(&self) -> bool {
        Lists::is_available(self)
    }

    async fn orders_of(
        &self,
        traveller: TravellerId,
        status: Option<OrderStatus>,
        before: Option<OrderId>,
        limit: u32,
    ) -> Result<Vec<OrderRows>, StoreError> {
        Lists::orders_of(self, traveller, status, before, limit).await
    }

    async fn tickets_of(
        &self,
        traveller: TravellerId,
        status: Option<TicketStatus>,
        before: Option<TicketId>,
        limit: u32,
    ) -> Result<TicketPage, StoreError> {
        let listed = Lists::tickets_of(self, traveller, status, before, limit).await?;
        let mut tickets = Vec::with_capacity(listed.len());
        let mut ids: Vec<String> = Vec::new();
        for ticket in listed {
            let row = ticket.ticket;
            let id = row.ticket_id.parse().map_err(|error| StoreError::Data(format!("{}: {error}", row.ticket_id)))?;
            tickets.push(id);
            if ids.last() != Some(&row.order_id) {
                ids.push(row.order_id);
            }
        }
        Ok(TicketPage { tickets, orders: self.orders(ids).await? })
    }
}

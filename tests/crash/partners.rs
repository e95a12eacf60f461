//! An auditor of what partners sell, who knows SQL. Their money never comes to us, so there are no payments: what has to be
//! right is units. Each is in exactly one place, and nobody has one of another's.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Client;

/// Where partners are not concerned.
const DIRECT: &str = "direct";

/// What a run came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sold {
    /// Units in use of each stock, by channel; those that are held for a moment, too.
    pub units: BTreeMap<(String, String), i64>,
    pub batches: usize,
    /// Tickets by status.
    pub tickets: BTreeMap<String, i64>,
    /// Of partners.
    pub orders: usize,
}

impl Sold {
    pub fn units(&self, template: &str, channel: &str) -> i64 {
        let key = (format!("package/{template}"), channel.to_owned());
        self.units.get(&key).copied().unwrap_or_default()
    }
}

/// At a moment at which nothing is under way and Postgres has everything.
pub async fn audit(database: &Client) -> anyhow::Result<Sold> {
    let mut sold = Sold { units: units(database).await?, ..Sold::default() };
    check_stocks(database, &sold.units).await?;
    check_holds(database).await?;
    check_tickets(database).await?;
    check_orders(database).await?;
    check_events(database).await?;
    sold.batches = count(database, "SELECT count(*) FROM batches WHERE status <> 'given_up'").await? as usize;
    sold.orders = count(database, "SELECT count(*) FROM orders WHERE traveller_id IS NULL").await? as usize;
    for row in database.query("SELECT status, count(*) FROM ota_tickets GROUP BY status", &[]).await? {
        sold.tickets.insert(row.get(0), row.get(1));
    }
    Ok(sold)
}

async fn count(database: &Client, sql: &str) -> anyhow::Result<i64> {
    Ok(database.query_one(sql, &[]).await?.get(0))
}

/// Nothing has this property, which is said of what the statement finds.
async fn none(database: &Client, wrong: &str, sql: &str) -> anyhow::Result<()> {
    let found = database.query(sql, &[]).await?;
    let found: Vec<String> = found.iter().map(|row| row.get(0)).collect();
    assert!(found.is_empty(), "{wrong}: {found:?}");
    Ok(())
}

/// Units in use by stock and channel.
async fn units(database: &Client) -> anyhow::Result<BTreeMap<(String, String), i64>> {
    let sql =
        "SELECT stock_id, coalesce(channel, $1), sum(CASE state WHEN 'confirmed' THEN units_left ELSE quantity END)
               FROM stock_holds
               WHERE state IN ('confirmed', 'paying') OR (state = 'held' AND expires_at > now())
               GROUP BY 1, 2";
    let rows = database.query(sql, &[&DIRECT]).await?;
    Ok(rows.iter().map(|row| ((row.get(0), row.get(1)), row.get(2))).collect())
}

/// Every partner is within its allotment, and direct sale within what is not set aside.
async fn check_stocks(database: &Client, units: &BTreeMap<(String, String), i64>) -> anyhow::Result<()> {
    let sql = "SELECT stock_id, limit_total::bigint, allotment ->> 'channel', (allotment ->> 'quantity')::bigint
               FROM stocks LEFT JOIN LATERAL jsonb_array_elements(allotments) AS allotment ON true
               WHERE limit_total IS NOT NULL";
    let mut totals: BTreeMap<String, i64> = BTreeMap::new();
    let mut allotted: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
    for row in database.query(sql, &[]).await? {
        let stock: String = row.get(0);
        totals.insert(stock.clone(), row.get(1));
        if let (Some(channel), Some(quantity)) = (row.get(2), row.get(3)) {
            allotted.entry(stock).or_default().insert(channel, quantity);
        }
    }
    for (stock, total) in totals {
        let allotted = allotted.remove(&stock).unwrap_or_default();
        let of = |channel: &str| units.get(&(stock.clone(), channel.to_owned())).copied().unwrap_or_default();
        for (channel, quantity) in &allotted {
            assert!(of(channel) <= *quantity, "{channel} has {} units of {stock}, not {quantity}", of(channel));
        }
        let shared = units.iter().filter(|((known, channel), _)| *known == stock && !allotted.contains_key(channel));
        let shared: i64 = shared.map(|(_, units)| units).sum();
        let rest = total - allotted.values().sum::<i64>();
        assert!(shared <= rest, "{shared} units of {stock} are sold directly, not {rest}");
    }
    Ok(())
}

/// A hold of a partner keeps what its batch or reservation keeps, and that is what is left of their tickets and orders.
async fn check_holds(database: &Client) -> anyhow::Result<()> {
    let keeping = "count(*) FILTER (WHERE t.status IN ('PRE_GENERATED', 'ACTIVE', 'USED'))";
    none(
        database,
        "a batch keeps other units than its tickets",
        &format!(
            "SELECT b.batch_id FROM batches AS b LEFT JOIN ota_tickets AS t USING (batch_id)
             WHERE b.status IN ('active', 'expired') GROUP BY b.batch_id, b.units_kept
             HAVING {keeping} <> b.units_kept"
        ),
    )
    .await?;
    none(
        database,
        "a partner's hold keeps other units than its batch or reservation",
        "SELECT id_text(h.order_id) FROM stock_holds AS h
         LEFT JOIN batches AS b ON b.batch_id = id_text(h.order_id) AND b.status <> 'given_up'
         LEFT JOIN partner_reservations AS r ON r.reservation_id = id_text(h.order_id)
         WHERE h.channel LIKE 'ota:%' AND h.state = 'confirmed'
           AND h.units_left IS DISTINCT FROM coalesce(b.units_kept, r.units_told)",
    )
    .await?;
    none(
        database,
        "a reservation keeps other units than are left and drawn of it",
        "SELECT r.reservation_id FROM partner_reservations AS r
         LEFT JOIN (SELECT reservation_id, sum(units_left) AS units, sum(quantity) AS drawn
                    FROM partner_draws GROUP BY reservation_id) AS d USING (reservation_id)
         WHERE r.units_told IS NOT NULL
           AND (r.units_kept <> coalesce(d.units, 0) + CASE r.status WHEN 'active' THEN r.remaining ELSE 0 END
                OR r.quantity <> r.remaining + coalesce(d.drawn, 0) OR r.units_told <> r.units_kept)",
    )
    .await?;
    none(
        database,
        "what was drawn of a reservation keeps other units than its order or batch",
        "SELECT d.drawn_by FROM partner_draws AS d
         LEFT JOIN (SELECT order_id, count(DISTINCT coalesce(item, 0)) FILTER (WHERE status <> 'refunded') AS kept
                    FROM tickets WHERE traveller_id IS NULL GROUP BY order_id) AS o ON o.order_id = d.drawn_by
         LEFT JOIN batches AS b ON b.batch_id = d.drawn_by
         WHERE d.units_left IS DISTINCT FROM CASE d.drawn_for WHEN 'order' THEN o.kept ELSE b.units_kept END",
    )
    .await
}

/// A batch has all of its tickets or none, each is one of its numbers, and exactly those that were activated are orders.
async fn check_tickets(database: &Client) -> anyhow::Result<()> {
    none(
        database,
        "a batch has not all of its tickets",
        "SELECT b.batch_id FROM batches AS b LEFT JOIN ota_tickets AS t USING (batch_id)
         GROUP BY b.batch_id, b.quantity, b.status
         HAVING count(*) FILTER (WHERE t.number BETWEEN 1 AND b.quantity)
                <> CASE WHEN b.status IN ('active', 'expired') THEN b.quantity ELSE 0 END
             OR count(t.number) <> count(DISTINCT t.number)",
    )
    .await?;
    none(
        database,
        "a batch is twice under one name",
        "SELECT partner_id || ' ' || partner_batch_id FROM batches WHERE status <> 'given_up'
         GROUP BY partner_id, partner_batch_id HAVING count(*) > 1",
    )
    .await?;
    none(
        database,
        "a ticket that was activated has no order, or an order no ticket that was",
        "SELECT t.ticket_code FROM ota_tickets AS t LEFT JOIN orders AS o ON o.order_id = t.ticket_code
         WHERE (t.status IN ('ACTIVE', 'USED', 'REFUNDED')) <> (o.order_id IS NOT NULL)",
    )
    .await
}

/// An order of a partner is paid, with no money of ours, and is of a ticket or was drawn of a reservation.
async fn check_orders(database: &Client) -> anyhow::Result<()> {
    let sql = "SELECT order_id FROM orders WHERE traveller_id IS NULL";
    let orders: BTreeSet<String> = database.query(sql, &[]).await?.iter().map(|row| row.get(0)).collect();
    let sql = "SELECT ticket_code FROM ota_tickets WHERE status IN ('ACTIVE', 'USED', 'REFUNDED')
               UNION ALL SELECT drawn_by FROM partner_draws WHERE drawn_for = 'order'";
    let sources: Vec<String> = database.query(sql, &[]).await?.iter().map(|row| row.get(0)).collect();
    assert_eq!(sources.len(), orders.len(), "an order is of one ticket or one draw");
    assert!(sources.iter().all(|source| orders.contains(source)), "an order is of one ticket or one draw");
    none(
        database,
        "a partner's order is not paid for once by the partner, or goes back for more than it cost",
        "SELECT o.order_id FROM orders AS o
         LEFT JOIN (SELECT order_id, count(*) FILTER (WHERE kind = 'partner_paid') AS payments,
                           sum(amount_minor) FILTER (WHERE kind = 'partner_paid') AS paid,
                           coalesce(sum(amount_minor) FILTER (WHERE kind = 'partner_refunded'), 0) AS refunded,
                           count(*) FILTER (WHERE out_trade_no IS NOT NULL) AS ours
                    FROM ledger_entries GROUP BY order_id) AS l USING (order_id)
         WHERE o.traveller_id IS NULL
           AND (o.status NOT IN ('paid', 'completed') OR l.payments IS DISTINCT FROM 1 OR l.paid <> o.total_minor
                OR l.refunded > l.paid OR l.ours <> 0)",
    )
    .await?;
    none(
        database,
        "money of ours on a partner's order",
        "SELECT order_id FROM payments JOIN orders USING (order_id) WHERE traveller_id IS NULL
         UNION ALL SELECT order_id FROM refunds JOIN orders USING (order_id) WHERE traveller_id IS NULL",
    )
    .await?;
    none(
        database,
        "a partner's order has no tickets",
        "SELECT order_id FROM orders AS o
         WHERE traveller_id IS NULL AND NOT EXISTS (SELECT FROM tickets AS t WHERE t.order_id = o.order_id)",
    )
    .await
}

/// A partner's events are numbered without gaps, and each thing is told of once.
async fn check_events(database: &Client) -> anyhow::Result<()> {
    none(
        database,
        "a partner's events have gaps",
        "SELECT w.partner_id FROM partner_webhooks AS w LEFT JOIN webhook_events AS e USING (partner_id)
         GROUP BY w.partner_id, w.last_sequence
         HAVING count(e.sequence) <> w.last_sequence OR coalesce(max(e.sequence), 0) <> w.last_sequence",
    )
    .await?;
    none(
        database,
        "a partner is told twice of the same",
        "SELECT kind || ' ' || subject FROM webhook_events WHERE kind <> 'ticket.redeemed'
         GROUP BY partner_id, kind, subject HAVING count(*) > 1",
    )
    .await
}

//! Whether Postgres has exactly what was answered, or what it had before.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::{Client, Row};

use crate::history::Purchase;

/// Columns in which two projections of the same records may differ: who projects, and the order in which audit rows of
/// one batch came.
const NOT_COMPARED: [(&str, &str); 2] = [("journal_position", "epoch"), ("ticket_status_audit", "id")];

/// Of every table how many rows it has, and a digest of all of them.
pub type Tables = BTreeMap<String, (i64, String)>;

pub async fn tables(client: &Client) -> anyhow::Result<Tables> {
    let sql = "SELECT tablename::text FROM pg_tables
               WHERE schemaname = 'public' AND tablename <> 'refinery_schema_history'";
    let mut tables = Tables::new();
    for name in client.query(sql, &[]).await? {
        let name: String = name.get(0);
        let without = NOT_COMPARED.iter().find(|(table, _)| *table == name).map_or("", |(_, column)| column);
        let sql = format!(
            "SELECT count(*), coalesce(md5(string_agg(line, E'\\n' ORDER BY line)), '')
             FROM (SELECT (to_jsonb(t) - $1)::text AS line FROM {name} AS t) AS lines"
        );
        let row = client.query_one(&sql, &[&without]).await?;
        tables.insert(name, (row.get(0), row.get(1)));
    }
    Ok(tables)
}

/// Compares every row of every purchase. What was not answered may be there or not, but nothing else may. What partners have
/// sold is no purchase.
pub async fn assert_exact(client: &Client, purchases: &[Purchase]) -> anyhow::Result<()> {
    let orders = orders(client).await?;
    let by_key: BTreeMap<&str, &Purchase> =
        purchases.iter().map(|purchase| (purchase.key.as_str(), purchase)).collect();
    for (key, order) in &orders {
        let purchase = by_key.get(key.as_str()).unwrap_or_else(|| panic!("nobody asked for {key}: {order:?}"));
        assert!(!purchase.sold_out, "{key} was refused: {order:?}");
        check(purchase, order);
    }
    for purchase in purchases {
        assert!(purchase.order.is_none() || orders.contains_key(&purchase.key), "missing: {purchase:?}");
    }
    check_sums(client, purchases).await
}

#[derive(Debug, Default)]
struct Order {
    id: String,
    status: String,
    seats: Vec<String>,
    tickets: BTreeMap<String, String>,
    payments: BTreeMap<String, String>,
    redemptions: BTreeSet<(String, String)>,
}

fn check(purchase: &Purchase, order: &Order) {
    let Some(id) = &purchase.order else { return };
    assert_eq!((id, &purchase.seats), (&order.id, &order.seats), "{purchase:?}");
    if purchase.seen_paid {
        let tickets: Vec<&String> = order.tickets.keys().collect();
        assert_eq!(tickets, purchase.tickets.iter().collect::<Vec<_>>(), "{purchase:?}");
        let number = purchase.number.as_ref().map_or("", String::as_str);
        assert_eq!(order.payments.get(number).map(String::as_str), Some("paid"), "{purchase:?} {order:?}");
    }
    if let Some(request) = &purchase.scanned {
        assert_eq!(order.status, "completed", "{purchase:?}");
        assert_eq!(order.tickets.get(&purchase.tickets[0]).map(String::as_str), Some("used"), "{purchase:?}");
        assert_eq!(order.redemptions, BTreeSet::from([(purchase.tickets[0].clone(), request.clone())]), "{purchase:?}");
    } else if purchase.unanswered.is_none() {
        assert!(order.redemptions.is_empty(), "{purchase:?} {order:?}");
    }
}

async fn orders(client: &Client) -> anyhow::Result<BTreeMap<String, Order>> {
    let mut orders = BTreeMap::new();
    let mut keys = BTreeMap::new();
    let sql = "SELECT order_id, idempotency_key, status FROM orders WHERE traveller_id IS NOT NULL";
    for row in client.query(sql, &[]).await? {
        let (id, key): (String, String) = (row.get(0), row.get(1));
        keys.insert(id.clone(), key.clone());
        let twice = orders.insert(key, Order { id, status: row.get(2), ..Order::default() });
        assert!(twice.is_none(), "a key made two orders: {twice:?}");
    }
    for row in client.query("SELECT order_id, seat_numbers::text FROM order_items ORDER BY order_id, item", &[]).await?
    {
        let seats: Vec<String> = serde_json::from_str(row.get(1))?;
        of(&mut orders, &keys, &row).seats.extend(seats);
    }
    let sql = "SELECT order_id, ticket_id, status FROM tickets WHERE traveller_id IS NOT NULL";
    for row in client.query(sql, &[]).await? {
        of(&mut orders, &keys, &row).tickets.insert(row.get(1), row.get(2));
    }
    for row in client.query("SELECT order_id, out_trade_no, state FROM payments", &[]).await? {
        of(&mut orders, &keys, &row).payments.insert(row.get(1), row.get(2));
    }
    let sql = "SELECT order_id, ticket_id, request_id FROM redemptions
               WHERE order_id IN (SELECT order_id FROM orders WHERE traveller_id IS NOT NULL)";
    for row in client.query(sql, &[]).await? {
        let anew = of(&mut orders, &keys, &row).redemptions.insert((row.get(1), row.get(2)));
        assert!(anew, "a redemption twice");
    }
    Ok(orders)
}

/// The order that a row belongs to.
fn of<'a>(orders: &'a mut BTreeMap<String, Order>, keys: &BTreeMap<String, String>, row: &Row) -> &'a mut Order {
    let order: &str = row.get(0);
    keys.get(order).and_then(|key| orders.get_mut(key)).unwrap_or_else(|| panic!("a row without an order: {order}"))
}

/// Captured money is that of the paid orders, and each hold of a paid order is confirmed once.
async fn check_sums(client: &Client, purchases: &[Purchase]) -> anyhow::Result<()> {
    let row = client
        .query_one(
            "SELECT (SELECT coalesce(sum(amount_minor), 0)::bigint FROM ledger_entries WHERE kind = 'captured'),
                    (SELECT coalesce(sum(total_minor), 0)::bigint FROM orders
                     WHERE status IN ('paid', 'completed') AND traveller_id IS NOT NULL),
                    (SELECT count(*) FROM holds WHERE state = 'confirmed'),
                    (SELECT count(*) FROM orders WHERE status IN ('paid', 'completed') AND traveller_id IS NOT NULL),
                    (SELECT count(*) FROM ledger_entries
                     WHERE kind NOT IN ('captured', 'partner_paid', 'partner_refunded'))",
            &[],
        )
        .await?;
    let (captured, owed): (i64, i64) = (row.get(0), row.get(1));
    let (confirmed, paid, other): (i64, i64, i64) = (row.get(2), row.get(3), row.get(4));
    assert_eq!((captured, confirmed, other), (owed, paid, 0), "captured, confirmed holds, other entries");
    let answered = purchases.iter().filter(|purchase| purchase.seen_paid).count() as i64;
    let taken = purchases.iter().filter(|purchase| purchase.number.is_some()).count() as i64;
    assert!((answered..=taken).contains(&paid), "{paid} orders are paid; {answered} were answered so, {taken} begun");
    Ok(())
}

//! Whether Postgres has exactly what was answered.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::{Client, Row};

use crate::history::Purchase;

/// Compares every row of every purchase. What was not answered may be there or not, but nothing else may.
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
    for row in client.query("SELECT order_id, idempotency_key, status FROM orders", &[]).await? {
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
    for row in client.query("SELECT order_id, ticket_id, status FROM tickets", &[]).await? {
        of(&mut orders, &keys, &row).tickets.insert(row.get(1), row.get(2));
    }
    for row in client.query("SELECT order_id, out_trade_no, state FROM payments", &[]).await? {
        of(&mut orders, &keys, &row).payments.insert(row.get(1), row.get(2));
    }
    for row in client.query("SELECT order_id, ticket_id, request_id FROM redemptions", &[]).await? {
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
                    (SELECT coalesce(sum(total_minor), 0)::bigint FROM orders WHERE status IN ('paid', 'completed')),
                    (SELECT count(*) FROM holds WHERE state = 'confirmed'),
                    (SELECT count(*) FROM orders WHERE status IN ('paid', 'completed')),
                    (SELECT count(*) FROM ledger_entries WHERE kind <> 'captured')",
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

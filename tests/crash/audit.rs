//! An auditor who knows HTTP, SQL and what the provider says happened to money. Whatever went wrong on the way: per order
//! and in total, to the fen, what was captured is what is kept, what has gone back and what is due to go back.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use serde_json::Value;
use tokio_postgres::Client;

use crate::provider::{self, Money};
use crate::shop::Shop;

/// What a run came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Findings {
    pub orders: usize,
    pub paid_orders: usize,
    /// Their payment's creation may still arrive.
    pub waiting_orders: usize,
    /// Fen.
    pub captured: i64,
    pub kept: i64,
    pub refunded: i64,
    pub due: i64,
    /// Cancelled orders that late money brought back.
    pub revived: usize,
    pub late_refunds: usize,
    pub duplicates: usize,
    /// Refunds that the provider closed without paying.
    pub closed_refunds: usize,
    /// Seats that more than one order has had.
    pub resold_seats: usize,
    pub quarantined: usize,
}

/// An order in SQL with all that hangs on it.
#[derive(Debug, Default)]
struct Order {
    status: String,
    total: i64,
    passengers: usize,
    items: usize,
    payments: BTreeMap<String, String>,
    refunds: Vec<Refund>,
    /// Sums of the ledger by kind.
    ledger: BTreeMap<String, i64>,
    /// Departure and seat, of each ticket and of each confirmed hold.
    tickets: BTreeMap<String, (String, String)>,
    confirmed: BTreeSet<(String, String)>,
    revived: bool,
}

impl Order {
    /// Pending, because nobody knows yet whether its payment will exist.
    fn waits(&self) -> bool {
        self.status == "pending" && self.payments.values().any(|state| state == "begun")
    }
}

#[derive(Debug)]
struct Refund {
    number: String,
    payment: String,
    state: String,
    amount: i64,
    reason: String,
}

impl Refund {
    /// Money that is to go back or has gone: not what the provider closed without paying.
    fn counts(&self) -> bool {
        self.state != "closed"
    }

    fn agrees(&self, theirs: &provider::Refund) -> bool {
        match theirs.status.as_str() {
            "SUCCESS" => self.state == "succeeded",
            "CLOSED" => self.state == "closed",
            "ABNORMAL" => self.state == "abnormal",
            _ => self.state == "processing",
        }
    }
}

type Orders = BTreeMap<String, Order>;

/// Compares the three. `answered` are the orders that were answered, each with the token of its traveller.
pub async fn audit(
    database: &Client,
    money: &Money,
    shop: &Shop,
    answered: &[(String, String)],
) -> anyhow::Result<Findings> {
    let orders = read(database).await?;
    for order in orders.values() {
        check_order(order);
    }
    check_money(&orders, money);
    check_seats(&orders, database).await?;
    check_answers(&orders, shop, answered).await;
    findings(&orders, money, database).await
}

/// What is still under way, as sentences. `finally`: also what takes a minute by the rules. That is a payment whose
/// creation may still arrive at the provider, and a refund after one that the provider has closed.
pub async fn under_way(database: &Client, money: &Money, finally: bool) -> anyhow::Result<Vec<String>> {
    let mut under_way = Vec::new();
    let orders = read(database).await?;
    for (id, order) in &orders {
        let alive = |state: &str| state == "created" || (finally && state == "begun");
        if order.payments.values().any(|state| alive(state)) || (order.status == "pending" && !order.waits()) {
            under_way.push(format!("{id} is {}: {:?}", order.status, order.payments));
        }
        for (number, _) in order.payments.iter().filter(|(_, state)| *state == "paid_late") {
            if !order.refunds.iter().any(|refund| refund.payment == *number) {
                under_way.push(format!("{number} seeks seats"));
            }
        }
        let open = |refund: &&Refund| matches!(refund.state.as_str(), "due" | "begun" | "refused");
        for refund in order.refunds.iter().filter(open).filter(|_| finally) {
            under_way.push(format!("{} is {}", refund.number, refund.state));
        }
    }
    under_way.extend(unknown(&orders, money).map(|number| format!("{number} was paid, and nobody knows")));
    for refund in money.transactions.iter().flat_map(|transaction| &transaction.refunds) {
        let ours = orders.values().flat_map(|order| &order.refunds).find(|ours| ours.number == refund.out_refund_no);
        if !ours.is_some_and(|ours| ours.agrees(refund)) {
            under_way.push(format!("{refund:?} is {ours:?}"));
        }
    }
    Ok(under_way)
}

/// The numbers of the payments that were made, and that the server has not heard of.
pub async fn unknown_money(database: &Client, money: &Money) -> anyhow::Result<BTreeSet<String>> {
    Ok(unknown(&read(database).await?, money).map(str::to_owned).collect())
}

fn unknown<'a>(orders: &'a Orders, money: &'a Money) -> impl Iterator<Item = &'a str> {
    let known: BTreeSet<&str> = orders
        .values()
        .flat_map(|order| &order.payments)
        .filter(|(_, state)| matches!(state.as_str(), "paid" | "paid_late"))
        .map(|(number, _)| number.as_str())
        .collect();
    let numbers = money.transactions.iter().map(|transaction| transaction.out_trade_no.as_str());
    numbers.filter(move |number| !known.contains(number))
}

/// The orders of travellers. Those of partners have no money of ours, and an audit of their own.
async fn read(database: &Client) -> anyhow::Result<Orders> {
    let mut orders = Orders::new();
    let sql = "SELECT order_id, status, total_minor, coalesce(seat_epoch, 1) > 1 AND status IN ('paid', 'completed'),
                      coalesce(p.passengers, 0), coalesce(i.items, 0)
               FROM orders AS o
               LEFT JOIN (SELECT order_id, count(*) AS passengers FROM order_passengers GROUP BY order_id) AS p
                   USING (order_id)
               LEFT JOIN (SELECT order_id, count(*) AS items FROM order_items GROUP BY order_id) AS i USING (order_id)
               WHERE traveller_id IS NOT NULL";
    for row in database.query(sql, &[]).await? {
        let (passengers, items): (i64, i64) = (row.get(4), row.get(5));
        let order = Order {
            status: row.get(1),
            total: row.get(2),
            revived: row.get(3),
            passengers: passengers as usize,
            items: items as usize,
            ..Order::default()
        };
        orders.insert(row.get(0), order);
    }
    let of = |orders: &mut Orders, id: &str, put: &dyn Fn(&mut Order)| {
        put(orders.get_mut(id).unwrap_or_else(|| panic!("a row without an order: {id}")));
    };
    for row in database.query("SELECT order_id, out_trade_no, state FROM payments", &[]).await? {
        of(&mut orders, row.get(0), &|order| order.payments.extend([(row.get(1), row.get(2))]));
    }
    let sql = "SELECT order_id, out_refund_no, out_trade_no, state, amount_minor, reason FROM refunds";
    for row in database.query(sql, &[]).await? {
        let refund = || Refund {
            number: row.get(1),
            payment: row.get(2),
            state: row.get(3),
            amount: row.get(4),
            reason: row.get(5),
        };
        of(&mut orders, row.get(0), &|order| order.refunds.push(refund()));
    }
    let sql = "SELECT order_id, kind, sum(amount_minor)::bigint FROM ledger_entries
               WHERE kind NOT IN ('partner_paid', 'partner_refunded') GROUP BY order_id, kind";
    for row in database.query(sql, &[]).await? {
        of(&mut orders, row.get(0), &|order| order.ledger.extend([(row.get(1), row.get(2))]));
    }
    let sql = "SELECT order_id, ticket_id, departure_id, seat_number FROM tickets WHERE traveller_id IS NOT NULL";
    for row in database.query(sql, &[]).await? {
        of(&mut orders, row.get(0), &|order| order.tickets.extend([(row.get(1), (row.get(2), row.get(3)))]));
    }
    // Seats that were freed are not the hold's any more.
    let sql = "SELECT split_part(hold_id, '.', 1), departure_id, label
               FROM holds, jsonb_array_elements_text(seats) WITH ORDINALITY AS s (seat, n)
                    JOIN LATERAL (SELECT seat_numbers ->> (n - 1)::integer AS label) AS l ON true
               WHERE state = 'confirmed' AND NOT coalesce(freed_seats, '[]') @> to_jsonb(seat::integer)";
    for row in database.query(sql, &[]).await? {
        of(&mut orders, row.get(0), &|order| order.confirmed.extend([(row.get(1), row.get(2))]));
    }
    Ok(orders)
}

/// What holds of every order by itself.
fn check_order(order: &Order) {
    let sum = |kind: &str| order.ledger.get(kind).copied().unwrap_or(0);
    let is_paid = matches!(order.status.as_str(), "paid" | "completed");
    assert!(is_paid || order.status == "cancelled" || order.waits(), "everything is settled: {order:?}");
    let kept = if is_paid { order.total } else { 0 };
    let (captured, refunded, due) = (sum("captured"), sum("refunded"), sum("refund_due"));
    assert_eq!(captured, kept + refunded + due, "captured = paid + refunded + due: {order:?}");

    let used = order.payments.values().filter(|state| *state == "paid").count();
    assert_eq!(used, usize::from(is_paid), "a paid order keeps the money of one payment: {order:?}");
    let tickets = if is_paid { order.passengers * order.items } else { 0 };
    assert_eq!(order.tickets.len(), tickets, "tickets for money, and only for money: {order:?}");
    let seats: BTreeSet<_> = order.tickets.values().cloned().collect();
    assert_eq!(seats, order.confirmed, "a ticket for every seat that is kept: {order:?}");
    let refunds = |wanted: &dyn Fn(&Refund) -> bool| -> i64 {
        order.refunds.iter().filter(|refund| wanted(refund)).map(|refund| refund.amount).sum()
    };
    assert_eq!(refunds(&|refund| refund.state == "succeeded"), refunded, "{order:?}");
    assert_eq!(refunds(&|refund| refund.counts() && refund.state != "succeeded"), due, "{order:?}");
}

/// Every transaction that was really paid is used once or goes back once, and nothing else is taken for money.
fn check_money(orders: &Orders, money: &Money) {
    let mut paid = BTreeSet::new();
    for transaction in &money.transactions {
        let number = transaction.out_trade_no.as_str();
        let (id, order) = of_payment(orders, number);
        paid.insert(number);
        assert_eq!(transaction.paid, order.total, "{id}");
        let refunds: Vec<&Refund> =
            order.refunds.iter().filter(|refund| refund.payment == number && refund.counts()).collect();
        match order.payments.get(number).map(String::as_str) {
            Some("paid") => {
                assert!(refunds.is_empty(), "used and given back: {transaction:?} {order:?}");
                assert!(transaction.refunds.is_empty(), "used and given back: {transaction:?} {order:?}");
            }
            Some("paid_late") => {
                assert_eq!(refunds.len(), 1, "money that is not used goes back once: {transaction:?} {order:?}");
                assert_eq!(refunds[0].amount, transaction.paid, "all of it: {transaction:?} {order:?}");
            }
            other => panic!("{number} was paid and is {other:?}: {transaction:?} {order:?}"),
        }
        for refund in &transaction.refunds {
            let ours = order.refunds.iter().find(|ours| ours.number == refund.out_refund_no);
            let ours = ours.unwrap_or_else(|| panic!("nobody asked for {refund:?}: {order:?}"));
            assert!(ours.agrees(refund) && ours.amount == refund.amount, "{refund:?} {ours:?}");
        }
        let known: i64 = transaction.refunds.iter().filter(|refund| refund.status != "CLOSED").map(|r| r.amount).sum();
        assert!(known <= transaction.paid, "more goes back than came: {transaction:?}");
    }
    for (number, state) in orders.values().flat_map(|order| &order.payments) {
        let said = matches!(state.as_str(), "paid" | "paid_late");
        assert_eq!(said, paid.contains(number.as_str()), "{number} is {state}");
        assert!(said || matches!(state.as_str(), "closed" | "refused" | "begun"), "{number} is {state}");
    }
    for order in orders.values() {
        let captured = order.ledger.get("captured").copied().unwrap_or(0);
        let of_order = |number: &&String| paid.contains(number.as_str());
        let came = order.payments.keys().filter(of_order).count() as i64 * order.total;
        assert_eq!(captured, came, "to the fen: {order:?}");
    }
}

fn of_payment<'a>(orders: &'a Orders, number: &'a str) -> (&'a str, &'a Order) {
    let id = number.rsplit_once('P').map_or(number, |(id, _)| id);
    (id, orders.get(id).unwrap_or_else(|| panic!("money without an order: {number}")))
}

/// No seat of a departure has two owners, and nobody holds one for nothing.
async fn check_seats(orders: &Orders, database: &Client) -> anyhow::Result<()> {
    let mut owners: BTreeMap<&(String, String), &str> = BTreeMap::new();
    for (id, order) in orders {
        for seat in &order.confirmed {
            let earlier = owners.insert(seat, id);
            assert!(earlier.is_none(), "{seat:?} is sold to {id} and {earlier:?}");
        }
        for seat in order.tickets.values() {
            assert_eq!(owners.get(seat), Some(&id.as_str()), "the ticket's seat is the order's: {seat:?}");
        }
    }
    let held = "SELECT DISTINCT split_part(hold_id, '.', 1) FROM holds
                WHERE state = 'paying' OR (state = 'held' AND expires_at > now())";
    for row in database.query(held, &[]).await? {
        let id: &str = row.get(0);
        assert!(orders.get(id).is_some_and(Order::waits), "{id} keeps seats for nothing");
    }
    Ok(())
}

/// What was answered is there, and HTTP shows what SQL says.
async fn check_answers(orders: &Orders, shop: &Shop, answered: &[(String, String)]) {
    for (id, token) in answered {
        let order = orders.get(id).unwrap_or_else(|| panic!("{id} was answered and is not there"));
        let (status, shown) = crate::history::patiently(|| shop.order_of(token, id)).await;
        assert!(status.is_success(), "{id}: {status} {shown}");
        assert_eq!(shown["status"].as_str(), Some(order.status.as_str()), "{shown}");
        let tickets: BTreeSet<&str> = shown["tickets"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|ticket| ticket["ticketId"].as_str())
            .collect();
        assert_eq!(tickets, order.tickets.keys().map(String::as_str).collect(), "{shown}");
        // Not every build shows them.
        if let Some(refunds) = shown["refunds"].as_array() {
            let sum: i64 = refunds.iter().filter_map(|refund: &Value| refund["amount"]["amount"].as_i64()).sum();
            let ours: i64 = order.refunds.iter().filter(|refund| refund.counts()).map(|refund| refund.amount).sum();
            assert_eq!(sum, ours, "{shown}");
        }
    }
}

async fn count(database: &Client, sql: &str) -> anyhow::Result<i64> {
    Ok(database.query_one(sql, &[]).await.with_context(|| sql.to_owned())?.get(0))
}

/// Sums everything up, and compares the sums with the provider's.
async fn findings(orders: &Orders, money: &Money, database: &Client) -> anyhow::Result<Findings> {
    let sum = |kind: &str| orders.values().filter_map(|order| order.ledger.get(kind)).sum::<i64>();
    let refunds = |wanted: &dyn Fn(&Refund) -> bool| {
        orders.values().flat_map(|order| &order.refunds).filter(|refund| wanted(refund)).count()
    };
    let is_paid = |order: &&Order| matches!(order.status.as_str(), "paid" | "completed");
    let resold = "SELECT count(*) FROM (
                      SELECT FROM order_items, jsonb_array_elements_text(seat_numbers) AS seat
                      GROUP BY departure_id, seat HAVING count(DISTINCT order_id) > 1) AS s";
    let findings = Findings {
        orders: orders.len(),
        paid_orders: orders.values().filter(is_paid).count(),
        waiting_orders: orders.values().filter(|order| order.waits()).count(),
        captured: sum("captured"),
        kept: orders.values().filter(is_paid).map(|order| order.total).sum(),
        refunded: sum("refunded"),
        due: sum("refund_due"),
        revived: orders.values().filter(|order| order.revived).count(),
        late_refunds: refunds(&|refund| refund.counts() && refund.reason == "late"),
        duplicates: refunds(&|refund| refund.counts() && refund.reason == "duplicate"),
        closed_refunds: refunds(&|refund| !refund.counts()),
        resold_seats: count(database, resold).await? as usize,
        quarantined: count(database, "SELECT count(*) FROM quarantine").await? as usize,
    };
    assert_eq!(findings.captured, money.paid, "captured is what was really paid");
    assert_eq!(findings.refunded, money.refunded, "refunded is what has really gone back");
    assert_eq!(findings.captured, findings.kept + findings.refunded + findings.due);
    assert!(money.refunding <= findings.due, "what is on its way is due");
    Ok(findings)
}

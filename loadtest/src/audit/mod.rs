//! After a run: is everything there that was acknowledged, and nothing twice? Asked of our own answers, of the API by
//! sample, and of the database in full, once it has what the answers promised.

mod cancels;
mod packages;

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::{Api, Call, metric, spread};
use crate::database::Database;
use crate::http::Target;
use crate::scenario::orders::AckedOrder;
use crate::scenario::scans::{AckedScan, Showing, request_id};
use crate::scenario::setup::{PaidTicket, WIDTH};

pub use cancels::cancels;
pub use packages::packages;

/// Orders or tickets that are read through the API, evenly over the run.
const API_SAMPLE: usize = 500;
/// Rows asked for at a time.
const CHUNK: usize = 20_000;
/// Between two looks at a database that is behind.
const POLL: Duration = Duration::from_millis(20);
/// A projection that has not moved for so long will not bring what is missing.
const STILL_TIME_MAX: Duration = Duration::from_secs(20);
/// Violations that are written out; all are counted.
const SHOWN_MAX: usize = 20;

/// What an audit found.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Findings {
    /// Nothing is wrong.
    pub ok: bool,
    /// Acknowledged orders or redemptions that were looked for.
    pub acknowledged: u64,
    /// Of them through the API.
    pub through_api: u64,
    /// Of them in the database; without a database none.
    pub in_database: u64,
    /// From the end of the load until the database had everything, in seconds.
    pub drain_seconds: Option<f64>,
    pub violations: u64,
    /// The first of them.
    pub shown: Vec<String>,
}

impl Findings {
    fn violation(&mut self, text: String) {
        self.violations += 1;
        if self.shown.len() < SHOWN_MAX {
            self.shown.push(text);
        }
    }

    fn finish(mut self) -> Findings {
        self.ok = self.violations == 0;
        self
    }
}

/// Seats that only one order may have, in SQL: of every two live holds of a seat the later-boarding one boards no
/// earlier than the other has left.
const SOLD_TWICE: &str = "
    WITH taken AS (
        SELECT h.departure_id, h.hold_id, s.seat, h.board_stop, h.alight_stop
        FROM holds h CROSS JOIN LATERAL jsonb_array_elements(h.seats) AS s(seat)
        WHERE h.state IN ('held', 'paying', 'confirmed') AND NOT coalesce(h.freed_seats, '[]') @> s.seat
    ), in_order AS (
        SELECT *, max(alight_stop) OVER (
            PARTITION BY departure_id, seat ORDER BY board_stop, hold_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS left_at
        FROM taken
    )
    SELECT departure_id, hold_id, seat::text FROM in_order WHERE left_at > board_stop LIMIT 1000";

/// Acknowledged orders with their seats; hold and item as the order's first item names them. Of a hold that was placed again
/// the last row says how it stands. From the tables, whose indexes the views hide behind texts.
const ORDERS: &str = "
    SELECT DISTINCT ON (o.order_id)
        wanted.order_id, o.status, o.items -> 0 ->> 'departure_id', o.items -> 0 -> 'seat_numbers', h.state,
        h.departure_id, h.seat_numbers
    FROM unnest($1::text[]) AS wanted(order_id)
    JOIN order_rows o ON o.order_id = id_of_text(wanted.order_id)
    JOIN hold_rows h ON h.order_id = o.order_id AND h.item = 0
    ORDER BY o.order_id, h.epoch DESC";

/// Redemptions of acknowledged tickets.
const REDEEMED: &str = "
    SELECT t.ticket_id, t.status, t.remaining_uses, r.request_id, r.times
    FROM unnest($1::text[]) AS wanted(ticket_id)
    JOIN tickets t ON t.ticket_id = wanted.ticket_id
    JOIN (
        SELECT ticket_id, min(request_id) FILTER (WHERE number = 1) AS request_id, count(*) AS times
        FROM redemptions GROUP BY ticket_id
    ) r ON r.ticket_id = wanted.ticket_id AND r.request_id IS NOT NULL";

/// Tickets used more often than they allow, whoever used them.
const OVERUSED: &str = "
    SELECT t.ticket_id FROM tickets t
    JOIN (SELECT ticket_id, sum(quantity) AS used FROM redemptions GROUP BY ticket_id) r ON r.ticket_id = t.ticket_id
    WHERE r.used > t.total_uses LIMIT 1000";

/// Looks for every acknowledged order with its seats. `tokens` are the travellers'.
pub async fn orders(
    target: &Target,
    database: Option<&Database>,
    tokens: &[String],
    acks: &[AckedOrder],
) -> anyhow::Result<Findings> {
    let drain_seconds = drained(target, database).await?;
    let mut findings = Findings { acknowledged: acks.len() as u64, drain_seconds, ..Findings::default() };
    seats_acknowledged_twice(acks, &mut findings);

    let sample: Vec<&AckedOrder> = acks.iter().step_by(acks.len().div_ceil(API_SAMPLE).max(1)).collect();
    let answers = spread(target, &sample, WIDTH, async |api: &mut Api, ack: &&AckedOrder| {
        let path = format!("/orders/{}", ack.order);
        let token = tokens.get(ack.traveller as usize).context("a traveller without a token")?;
        api.call(Call::get(&path).token(token), None).await
    })
    .await?;
    findings.through_api = sample.len() as u64;
    for (ack, (status, answer)) in sample.iter().zip(&answers) {
        let item = answer.get("items").and_then(|items| items.get(0));
        let departure = item.and_then(|item| item.get("departureId")).and_then(Value::as_str);
        let seats = item.and_then(|item| item.get("seatNumbers"));
        if *status != 200 || departure != Some(&ack.departure) || seats.is_none_or(|seats| !same(seats, &ack.seats)) {
            findings.violation(format!("order {} through the API: {status} {answer}", ack.order));
        }
    }

    if let Some(database) = database {
        orders_in_database(database, acks, &mut findings).await?;
        seats_sold_twice(database, &mut findings).await?;
    }
    Ok(findings.finish())
}

/// Every order of `orders` is for the whole way, so a seat has at most one.
fn seats_acknowledged_twice(acks: &[AckedOrder], findings: &mut Findings) {
    let mut seen: HashMap<(&str, &str), &str> = HashMap::with_capacity(acks.len());
    let mut ids: HashSet<&str> = HashSet::with_capacity(acks.len());
    for ack in acks {
        if !ids.insert(&ack.order) {
            findings.violation(format!("order {} was acknowledged to two requests", ack.order));
        }
        for seat in &ack.seats {
            if let Some(other) = seen.insert((&ack.departure, seat), &ack.order) {
                let text = format!("seat {seat} of {} was given to orders {other} and {}", ack.departure, ack.order);
                findings.violation(text);
            }
        }
    }
}

/// What a query answers about each of these orders, by its id, once the database has all of them or does not go on.
async fn rows_of(
    database: &Database,
    query: &str,
    ids: &[&str],
    patience: &mut Patience,
) -> anyhow::Result<HashMap<String, tokio_postgres::Row>> {
    loop {
        let rows = database.query(query, &[&ids]).await?;
        if rows.len() >= ids.len() || !patience.wait(database).await? {
            return Ok(rows.into_iter().map(|row| (row.get(0), row)).collect());
        }
    }
}

async fn orders_in_database(database: &Database, acks: &[AckedOrder], findings: &mut Findings) -> anyhow::Result<()> {
    let mut patience = Patience::new();
    for chunk in acks.chunks(CHUNK) {
        let ids: Vec<&str> = chunk.iter().map(|ack| &*ack.order).collect();
        let by_id = rows_of(database, ORDERS, &ids, &mut patience).await?;
        findings.in_database += by_id.len() as u64;
        for ack in chunk {
            let Some(row) = by_id.get(&*ack.order) else {
                findings.violation(format!("order {} is not in the database, or its item or hold is not", ack.order));
                continue;
            };
            let (status, departure, seats): (String, String, Value) = (row.get(1), row.get(2), row.get(3));
            let (hold, of, held): (String, String, Value) = (row.get(4), row.get(5), row.get(6));
            let is_live = ["held", "paying", "confirmed"].contains(&hold.as_str()) && status != "cancelled";
            let is_ours = *departure == *ack.departure && *of == *ack.departure;
            if !(is_live && is_ours && same(&seats, &ack.seats) && same(&held, &ack.seats)) {
                let told = format!("{:?} of {}", ack.seats, ack.departure);
                let text = format!(
                    "order {} was told {told}; in the database it is {status} with {seats} of {departure}, its hold \
                     {hold} with {held} of {of}",
                    ack.order
                );
                findings.violation(text);
            }
        }
    }
    Ok(())
}

async fn seats_sold_twice(database: &Database, findings: &mut Findings) -> anyhow::Result<()> {
    for row in database.query(SOLD_TWICE, &[]).await? {
        let (departure, hold, seat): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        findings.violation(format!("seat {seat} of {departure} is taken by hold {hold} and by an earlier one"));
    }
    Ok(())
}

/// Looks for every acknowledged redemption. `tokens` are the travellers'; without any the tickets are nobody's who may look.
pub async fn scans(
    target: &Target,
    database: Option<&Database>,
    tokens: &[String],
    tickets: &[PaidTicket],
    acks: &[AckedScan],
) -> anyhow::Result<Findings> {
    let drain_seconds = drained(target, database).await?;
    let mut findings = Findings { drain_seconds, ..Findings::default() };
    let redeemed = redeemed_once(tickets, acks, &mut findings);
    findings.acknowledged = redeemed.len() as u64;

    let mut sample: Vec<&Redeemed<'_>> = redeemed.iter().step_by(redeemed.len().div_ceil(API_SAMPLE).max(1)).collect();
    sample.retain(|_| !tokens.is_empty());
    let answers = spread(target, &sample, WIDTH, async |api: &mut Api, redeemed: &&Redeemed<'_>| {
        let path = format!("/tickets/{}", redeemed.ticket.ticket);
        let token = tokens.get(redeemed.ticket.traveller).context("a traveller without a token")?;
        api.call(Call::get(&path).token(token), None).await
    })
    .await?;
    findings.through_api = sample.len() as u64;
    for (redeemed, (status, answer)) in sample.iter().zip(&answers) {
        if *status != 200 || answer.get("status").and_then(Value::as_str) != Some("used") {
            findings.violation(format!("ticket {} through the API: {status} {answer}", redeemed.ticket.ticket));
        }
    }

    if let Some(database) = database {
        redemptions_in_database(database, &redeemed, &mut findings).await?;
        for row in database.query(OVERUSED, &[]).await? {
            findings.violation(format!("ticket {} was used more often than it allows", row.get::<_, String>(0)));
        }
        seats_sold_twice(database, &mut findings).await?;
    }
    Ok(findings.finish())
}

/// A ticket with the request that was told success.
struct Redeemed<'a> {
    ticket: &'a PaidTicket,
    request: String,
}

/// R-SCAN-03 by our own answers: of a ticket's requests at most one was told success, and as often as it asked it was
/// told the same.
fn redeemed_once<'a>(tickets: &'a [PaidTicket], acks: &[AckedScan], findings: &mut Findings) -> Vec<Redeemed<'a>> {
    let mut first: HashMap<u32, &AckedScan> = HashMap::with_capacity(acks.len());
    for ack in acks.iter().filter(|ack| ack.redeemed_at.is_some()) {
        let Some(earlier) = first.insert(ack.shot.ticket, ack) else { continue };
        let is_second = |ack: &AckedScan| ack.shot.showing == Showing::Second;
        if is_second(earlier) != is_second(ack) {
            findings.violation(format!("ticket {} was redeemed by two requests", ack.shot.ticket));
        } else if earlier.redeemed_at != ack.redeemed_at {
            let (one, other) = (&earlier.redeemed_at, &ack.redeemed_at);
            findings.violation(format!("ticket {}: one request was told {one:?} and {other:?}", ack.shot.ticket));
        }
    }
    for ack in acks.iter().filter(|ack| ack.redeemed_at.is_none()) {
        let expected = ack.shot.showing == Showing::Second || first.contains_key(&ack.shot.ticket);
        if !expected || ack.reason.as_deref() != Some("ALREADY_REDEEMED") {
            let text = format!("ticket {} ({:?}) was refused: {:?}", ack.shot.ticket, ack.shot.showing, ack.reason);
            findings.violation(text);
        }
    }
    let mut redeemed: Vec<(u32, Redeemed<'a>)> = Vec::with_capacity(first.len());
    for (number, ack) in first {
        let Some(ticket) = tickets.get(number as usize) else { continue };
        redeemed.push((number, Redeemed { ticket, request: request_id(number, ack.shot.showing) }));
    }
    redeemed.sort_unstable_by_key(|(number, _)| *number);
    redeemed.into_iter().map(|(_, redeemed)| redeemed).collect()
}

async fn redemptions_in_database(
    database: &Database,
    redeemed: &[Redeemed<'_>],
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let mut patience = Patience::new();
    for chunk in redeemed.chunks(CHUNK) {
        let ids: Vec<&str> = chunk.iter().map(|redeemed| redeemed.ticket.ticket.as_str()).collect();
        let rows = loop {
            let rows = database.query(REDEEMED, &[&ids]).await?;
            if rows.len() >= chunk.len() || !patience.wait(database).await? {
                break rows;
            }
        };
        findings.in_database += rows.len() as u64;
        let by_id: HashMap<String, &tokio_postgres::Row> = rows.iter().map(|row| (row.get(0), row)).collect();
        for redeemed in chunk {
            let id = &redeemed.ticket.ticket;
            let Some(row) = by_id.get(id) else {
                findings.violation(format!("the redemption of ticket {id} is not in the database"));
                continue;
            };
            let (status, remaining, request, times): (String, i32, String, i64) =
                (row.get(1), row.get(2), row.get(3), row.get(4));
            if status != "used" || remaining != 0 || request != redeemed.request || times != 1 {
                let text = format!(
                    "ticket {id}, redeemed by {}, is {status} with {remaining} uses left and {times} redemptions, the \
                     first by {request}",
                    redeemed.request
                );
                findings.violation(text);
            }
        }
    }
    Ok(())
}

/// A list of seat numbers, whatever its order.
fn same(seats: &Value, expected: &[Box<str>]) -> bool {
    let Some(seats) = seats.as_array() else { return false };
    let mut seats: Vec<&str> = seats.iter().filter_map(Value::as_str).collect();
    let mut expected: Vec<&str> = expected.iter().map(|seat| &**seat).collect();
    seats.sort_unstable();
    expected.sort_unstable();
    seats == expected
}

/// How long it takes until the database has what was durable at the end of the load, in seconds. `None` without a database, or
/// if its projection stands still.
async fn drained(target: &Target, database: Option<&Database>) -> anyhow::Result<Option<f64>> {
    let Some(database) = database else { return Ok(None) };
    let began = Instant::now();
    let last = metric(&mut Api::new(target.clone()), "journal_durable_position").await?;
    let last = last.context("the server does not show journal_durable_position")? as i64;
    let mut patience = Patience::new();
    while database.position().await? < last {
        if !patience.wait(database).await? {
            return Ok(None);
        }
    }
    Ok(Some(began.elapsed().as_secs_f64()))
}

/// Waits as long as the projection moves.
struct Patience {
    position: i64,
    moved_at: Instant,
}

impl Patience {
    fn new() -> Patience {
        Patience { position: -1, moved_at: Instant::now() }
    }

    /// Whether it is worth looking again, after a pause.
    async fn wait(&mut self, database: &Database) -> anyhow::Result<bool> {
        let position = database.position().await?;
        if position != self.position {
            *self = Patience { position, moved_at: Instant::now() };
        }
        tokio::time::sleep(POLL).await;
        Ok(self.moved_at.elapsed() < STILL_TIME_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::scans::Shot;

    fn order(id: &str, seat: &str) -> AckedOrder {
        AckedOrder { order: id.into(), departure: "d".into(), seats: [seat.into()].into(), traveller: 0 }
    }

    #[test]
    fn r_hold_04_a_seat_acknowledged_twice_is_found_without_any_database() {
        let mut findings = Findings::default();
        seats_acknowledged_twice(&[order("a", "01A"), order("b", "01B")], &mut findings);
        assert_eq!(findings.violations, 0);
        seats_acknowledged_twice(&[order("a", "01A"), order("b", "01A")], &mut findings);
        assert_eq!(findings.violations, 1);
        assert!(findings.shown[0].contains("01A"), "{:?}", findings.shown);
        assert!(!findings.finish().ok);
    }

    #[test]
    fn seats_are_compared_as_a_set() {
        let expected: [Box<str>; 2] = ["02".into(), "01".into()];
        assert!(same(&serde_json::json!(["01", "02"]), &expected));
        assert!(!same(&serde_json::json!(["01"]), &expected));
        assert!(!same(&serde_json::json!(["01", 2]), &expected));
        assert!(!same(&Value::Null, &expected));
    }

    fn scan(ticket: u32, showing: Showing, answer: Result<&str, &str>) -> AckedScan {
        AckedScan {
            shot: Shot { ticket, showing },
            redeemed_at: answer.ok().map(Into::into),
            reason: answer.err().map(Into::into),
        }
    }

    fn violations(acks: &[AckedScan]) -> (usize, u64) {
        let ticket = |n: usize| PaidTicket { ticket: format!("o-{n}"), traveller: 0, code: String::new() };
        let tickets: Vec<PaidTicket> = (0..3).map(ticket).collect();
        let mut findings = Findings::default();
        let redeemed = redeemed_once(&tickets, acks, &mut findings);
        (redeemed.len(), findings.violations)
    }

    #[test]
    fn r_scan_03_a_ticket_is_redeemed_by_one_request_with_one_answer() {
        use Showing::{First, Repeated, Second};
        let again = Err("ALREADY_REDEEMED");
        let fine = [
            scan(0, First, Ok("t1")),
            scan(1, First, Ok("t2")),
            scan(0, Repeated, Ok("t1")),
            scan(1, Second, again),
            scan(2, Second, Ok("t3")),
            scan(2, First, again),
        ];
        assert_eq!(violations(&fine), (3, 0));
        assert_eq!(violations(&[scan(0, First, Ok("t1")), scan(0, Second, Ok("t2"))]).1, 1);
        assert_eq!(violations(&[scan(0, First, Ok("t1")), scan(0, Repeated, Ok("t2"))]).1, 1);
        assert_eq!(violations(&[scan(0, First, Err("INVALID_CODE"))]).1, 1);
        assert_eq!(violations(&[scan(0, First, again)]).1, 1);
    }
}

//! What a code costs: `cargo run --release -p deeptravel-domain --example code_cost`. One thread, means of many.

// An example measures; the rules have no clock.
#![allow(clippy::disallowed_methods)]

use std::hint::black_box;
use std::time::Instant;

use deeptravel_domain::code::{Code, CodeKey, CodeKeys, Scope, Subject, open, seal, verify};
use deeptravel_domain::ids::{OrderId, Shard, TicketId};
use deeptravel_domain::time::Timestamp;

const TIMES: u64 = 50_000;

fn main() {
    let now = Timestamp::from_seconds(1_764_000_000);
    // As after two rotations.
    let key = |version: u8| CodeKey::new(u32::from(version), [version; 32]);
    let Ok(keys) = CodeKeys::new([key(1), key(2), key(3)], now) else { return };
    let public = keys.public();
    let order = OrderId::compose(now, Shard::of(7), 42);
    let Ok(entitlement) = "BOARDING".parse() else { return };
    let ticket = Subject::Ticket { id: TicketId { order, number: 2 }, scope: Scope::of(&entitlement, None) };
    let code_of = |subject| Code::one_time(subject, now, 60);
    let text = |subject| seal(&keys, &code_of(subject), [1; 12]).text;
    let (of_ticket, of_order) = (text(ticket), text(Subject::Order(order)));
    let altered = of_ticket.replacen(of_ticket.chars().nth(120).unwrap_or('0'), "1", 1);

    measure("issue a ticket's code (signs)", || seal(&keys, &code_of(ticket), [1; 12]).text.len());
    measure("issue an order's code", || seal(&keys, &code_of(Subject::Order(order)), [1; 12]).text.len());
    measure("open a ticket's code at the gate's scan", || open(&keys, &of_ticket, now).is_ok());
    measure("open an order's code", || open(&keys, &of_order, now).is_ok());
    measure("refuse an altered code", || open(&keys, &altered, now).is_ok());
    measure("verify a pass without the network", || verify(&public, &of_ticket, now).is_ok());
}

fn measure<T>(what: &str, mut work: impl FnMut() -> T) {
    let since = Instant::now();
    for _ in 0..TIMES {
        black_box(work());
    }
    let each = since.elapsed().as_nanos() as u64 / TIMES;
    println!("{what}: {}.{:02} µs", each / 1000, each % 1000 / 10);
}

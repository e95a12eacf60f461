//! Reservations of partners through Postgres and back, and what partners list of them and of their orders (R-OTA-03, R-OTA-08).

use std::sync::Arc;
use std::time::Instant;

use deeptravel_actors::lists::{Listed, NumberedPage, PartnerOrderFilter, ReservationFilter};
use deeptravel_actors::loads;
use deeptravel_actors::ports::Haste;
use deeptravel_domain::batch::BatchId;
use deeptravel_domain::ids::{OrderId, PartnerCode, Shard};
use deeptravel_domain::machine::Machine as _;
use deeptravel_domain::order::{Command as OrderCommand, Order, OrderStatus, PartnerSale, partner};
use deeptravel_domain::partner::{
    Command, Draw, DrawnFor, PartnerBook, PartnerReservationId, ReservationStatus, Reserve,
};
use deeptravel_domain::time::Timestamp;

use crate::partner_orders::sale;
use crate::support::*;

const EVERYTHING: NumberedPage = NumberedPage { number: 1, limit: 1_000 };

fn a() -> PartnerCode {
    code("trip")
}

fn later(seconds: i64) -> Timestamp {
    NOW.plus_seconds(seconds)
}

/// A book whose rows are projected.
struct Stored<'a> {
    stand: &'a Stand,
    book: PartnerBook,
    version: u64,
}

impl Stored<'_> {
    fn of(stand: &Stand, partner: PartnerCode) -> Stored<'_> {
        Stored { stand, book: PartnerBook::new(partner), version: 0 }
    }

    fn tell(&mut self, command: &Command, now: Timestamp) {
        let events = self.book.decide(command, now).unwrap();
        self.version += 1;
        self.stand.project(&self.book.apply(&events, self.version)).unwrap();
    }

    fn reserve(
        &mut self,
        number: u64,
        quantity: u32,
        at: Timestamp,
        expires_at: Option<Timestamp>,
    ) -> PartnerReservationId {
        let id = PartnerReservationId::compose(at, number << 8);
        self.tell(&Command::Reserve(reserve(id, quantity, expires_at)), at);
        self.tell(&Command::Confirmed(id), at);
        id
    }

    fn listed(&self, filter: &ReservationFilter, now: Timestamp) -> (Vec<PartnerReservationId>, u64) {
        let listed = self.stand.lists.reservations_of_partner(self.book.partner(), filter, EVERYTHING, now);
        let Listed { entries, total } = self.stand.runtime.block_on(listed).unwrap();
        (entries.into_iter().map(|entry| entry.id).collect(), total)
    }
}

fn reserve(id: PartnerReservationId, quantity: u32, expires_at: Option<Timestamp>) -> Reserve {
    Reserve {
        id,
        idempotency_key: id.to_string().into(),
        body_hash: [7; 32],
        product: 106,
        offer: Arc::new(offer()),
        quantity,
        expires_at,
    }
}

fn offer() -> deeptravel_domain::batch::Offer {
    let terms = sale(order_id(1)).items.remove(0);
    deeptravel_domain::batch::Offer { terms, tiers: vec![], holidays: vec![], blackout: vec![] }
}

#[test]
fn r_ota_03_a_book_comes_back_from_postgres_as_it_was_with_what_is_frozen_of_its_products() {
    let stand = Stand::new();
    let mut stored = Stored::of(&stand, a());
    let active = stored.reserve(1, 40, NOW, Some(later(60)));
    let ended = stored.reserve(2, 10, NOW, None);
    let draw = |reservation, number, quantity| {
        let by = OrderId::compose(NOW, Shard::of(number), number << 8);
        Command::Draw(Draw { reservation, by, drawn_for: DrawnFor::Order, quantity })
    };
    stored.tell(&draw(active, 7, Some(3)), later(1));
    stored.tell(&draw(ended, 8, None), later(1));

    let rows = stand.load(loads::PARTNER, vec![a().to_string().into()], Haste::Start).unwrap();
    let book = PartnerBook::from_rows(a(), &rows, later(2)).unwrap();
    for id in [active, ended] {
        assert_eq!(book.reservation(id), stored.book.reservation(id));
    }
    let frozen = |id| book.reservation(id).unwrap().offer.as_deref().cloned();
    assert_eq!((frozen(active), frozen(ended)), (Some(offer()), None));
}

#[test]
fn r_ota_08_a_partner_lists_its_reservations_by_status_and_time_as_they_are_now() {
    let stand = Stand::new();
    let mut stored = Stored::of(&stand, a());
    let short = stored.reserve(1, 40, NOW, Some(later(60)));
    let long = stored.reserve(2, 10, later(10), None);
    let cancelled = stored.reserve(3, 5, later(20), None);
    stored.tell(&Command::Cancel(cancelled), later(30));
    let unconfirmed = PartnerReservationId::compose(later(40), 4 << 8);
    stored.tell(&Command::Reserve(reserve(unconfirmed, 1, None)), later(40));
    let mut other = Stored::of(&stand, code("fly"));
    let foreign = other.reserve(5, 9, later(50), None);

    let all = ReservationFilter::default();
    assert_eq!(stored.listed(&all, later(50)), (vec![short, long, cancelled], 3));
    assert_eq!(other.listed(&all, later(50)), (vec![foreign], 1));
    let of = |status| ReservationFilter { status: Some(status), ..ReservationFilter::default() };
    assert_eq!(stored.listed(&of(ReservationStatus::Active), later(59)), (vec![short, long], 2));
    assert_eq!(stored.listed(&of(ReservationStatus::Active), later(60)), (vec![long], 1));
    assert_eq!(stored.listed(&of(ReservationStatus::Expired), later(60)), (vec![short], 1), "swept or not");
    let since = ReservationFilter { created_from: Some(later(10)), created_until: Some(later(20)), ..all };
    assert_eq!(stored.listed(&since, later(50)), (vec![long], 1));

    let one = |of: &Stored<'_>, id| {
        let asked = stand.lists.reservation_of_partner(of.book.partner(), id, later(60));
        stand.runtime.block_on(asked).unwrap().map(|entry| (entry.status, entry.quantity, entry.offer.is_some()))
    };
    assert_eq!(one(&stored, short), Some((ReservationStatus::Expired, 40, false)));
    assert_eq!(one(&stored, long), Some((ReservationStatus::Active, 10, true)));
    assert_eq!([one(&other, short), one(&stored, unconfirmed)], [None, None]);
}

#[test]
fn r_ota_08_a_partner_lists_its_orders_by_status_batch_and_time_and_nobody_elses() {
    let stand = Stand::new();
    let born = |partner: PartnerCode, id: OrderId, at: Timestamp| {
        let (order, rows) = Order::born_paid(PartnerSale { partner, ..sale(id) }, at);
        stand.project(&rows).unwrap();
        order
    };
    let batch = BatchId::compose(NOW, &a(), 9 << 20);
    // The ticket is older than what was sold before it.
    let mut first = born(a(), order_id(1), later(10));
    let second = born(a(), batch.ticket(3), later(20));
    born(code("fly"), order_id(2), later(30));
    let (_, rows) = Buyer::place(draft(order_id(3), traveller(1), "HKMO-0800.20261127"), NOW);
    stand.project(&rows).unwrap();
    for (item, version) in [(0, 1), (1, 2)] {
        let cancel = OrderCommand::from(partner::Command::Cancel { partner: a(), item });
        let events = first.decide(&cancel, later(60)).unwrap();
        stand.project(&first.apply(&events, version)).unwrap();
    }

    let listed = |partner: &PartnerCode, filter: &PartnerOrderFilter| {
        let listed = stand.lists.orders_of_partner(partner, filter, EVERYTHING);
        stand.runtime.block_on(listed).unwrap()
    };
    let all = listed(&a(), &PartnerOrderFilter::default());
    let ids = |listed: &Listed<_>| {
        listed.entries.iter().map(|entry: &deeptravel_actors::lists::PartnerOrder| entry.id).collect::<Vec<_>>()
    };
    assert_eq!((ids(&all), all.total), (vec![first.id(), second.id()], 2), "by when they were made");
    let shown = &all.entries[1];
    assert_eq!((shown.units, shown.product, shown.total.minor), (2, Some(106), second.total().minor));
    assert_eq!((&*shown.customer, &*shown.payment_reference), ("Reseller", "TRIP-2026-77"));
    assert_eq!((shown.status, all.entries[0].status), (OrderStatus::Paid, OrderStatus::Completed));

    let paid = PartnerOrderFilter { status: Some(OrderStatus::Paid), ..PartnerOrderFilter::default() };
    let of_batch = PartnerOrderFilter { batch: Some(batch), ..PartnerOrderFilter::default() };
    let early = PartnerOrderFilter { created_until: Some(later(20)), ..PartnerOrderFilter::default() };
    for (filter, found) in [(&paid, second.id()), (&of_batch, second.id()), (&early, first.id())] {
        assert_eq!((ids(&listed(&a(), filter)), listed(&a(), filter).total), (vec![found], 1), "{filter:?}");
        assert!(!ids(&listed(&code("fly"), filter)).contains(&found));
    }
    assert_eq!(listed(&code("fly"), &of_batch).total, 0);
}

/// Of 20,000 orders: with these figures the 100,000 of the issue are known.
#[test]
#[ignore = "measures: takes a minute, and says something on an idle machine only"]
fn r_ota_08_pages_of_many_orders() {
    let stand = Stand::new();
    for number in 0..20_000 {
        let id = OrderId::compose(NOW, Shard::of(1), number << 8);
        let (_, rows) = Order::born_paid(sale(id), later(number.cast_signed()));
        stand.project(&rows).unwrap();
    }
    for (number, status) in [(1, None), (200, None), (1, Some(OrderStatus::Paid)), (200, Some(OrderStatus::Paid))] {
        let filter = PartnerOrderFilter { status, ..PartnerOrderFilter::default() };
        let since = Instant::now();
        let of = a();
        let listed = stand.lists.orders_of_partner(&of, &filter, NumberedPage { number, limit: 100 });
        let listed = stand.runtime.block_on(listed).unwrap();
        println!("page {number} of {status:?}: {} ms, {} in all", since.elapsed().as_millis(), listed.total);
    }
}

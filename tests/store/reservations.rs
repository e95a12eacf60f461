//! Reservations (R-HOLD-07): whose they are, and how their holds stand.

use deeptravel_actors::loads::DeskReservationRow;
use deeptravel_domain::departure::Stretch;
use deeptravel_domain::ids::Shard;
use deeptravel_domain::inventory::{self, Inventory};
use deeptravel_domain::reservation::{self, Reservation, ReservationId};
use deeptravel_domain::row::Rows;
use deeptravel_domain::time::Timestamp;

use crate::support::*;

#[test]
fn r_hold_07_a_desk_reads_whose_reservations_are_and_how_their_holds_stand() {
    let stand = Stand::new();
    let mut coach = Coach::new("HKMO-0800.20261127", 4);
    let reserve = |number: u64, made: Timestamp| {
        let departure = "HKMO-0800.20261127".parse().unwrap();
        let id = ReservationId::compose(made, Shard::of(7), number << 2, traveller(7), departure);
        Reservation {
            id,
            traveller: traveller(7),
            idempotency_key: format!("key-{number}").into(),
            body_hash: [number as u8; 32],
            class: code("standard"),
            stretch: Stretch { board: 0, alight: 2 },
            wanted: inventory::Wanted::Auto(1),
            expires_at: made.plus_seconds(600),
        }
    };
    let long_ago = reserve(1, NOW.plus_seconds(-7_200));
    let (held, released) = (reserve(2, NOW), reserve(3, NOW));
    let mut rows = Rows::default();
    for reservation in [&long_ago, &held, &released] {
        let made = reservation.expires_at.plus_seconds(-600);
        rows.extend(&coach.tell(&inventory::Command::PlaceHold(reservation.place()), made));
        rows.put_first(&reservation.row());
    }
    rows.extend(&coach.tell(&inventory::Command::ReleaseHold(reservation::release(&released.id)), NOW));
    stand.project(&rows).unwrap();

    let rows = stand.desk_reservations(NOW.plus_seconds(-3_600)).unwrap();
    let mut found: Vec<DeskReservationRow<'_>> = rows.all().unwrap();
    found.sort_unstable_by_key(|row| row.idempotency_key);
    let known: Vec<_> = found.iter().map(|row| (row.idempotency_key, row.state, row.body_hash)).collect();
    assert_eq!(known, [("key-2", "held", [2; 32]), ("key-3", "released", [3; 32])], "made since then");
    let row = &found[0];
    assert_eq!((row.reservation_id.0, row.traveller_id.0), (held.id.hold().order, traveller(7)));
    assert_eq!(
        (row.departure_id, row.class_code, row.seat_numbers.to_vec().len()),
        ("HKMO-0800.20261127", "standard", 1)
    );
    assert_eq!((row.board_stop, row.alight_stop, row.expires_at), (0, 2, held.expires_at));
    let shown = "SELECT string_agg(reservation_id || ' ' || state, ', ' ORDER BY idempotency_key) FROM reservations";
    assert_eq!(
        stand.ask::<String>(shown),
        format!("{} expired, {} held, {} released", long_ago.id, held.id, released.id)
    );
    // With their departure's other holds they are what it wakes from.
    let woken = Inventory::from_rows(&stand.departure("HKMO-0800.20261127").unwrap().unwrap(), NOW).unwrap();
    assert_eq!(woken.holds().collect::<Vec<_>>(), coach.machine.holds().collect::<Vec<_>>());
}

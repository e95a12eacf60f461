//! What the stories order.

use super::*;
use crate::departure::{Channel, Stretch};

/// A journey of which no seats are held yet.
pub(in crate::order) fn leg(index: usize) -> Leg {
    let departs = DEPARTS + 3_600 * index as i64;
    Leg {
        departure: format!("SK-{index}.20251124").parse().unwrap(),
        route: "SK-HKG".parse().unwrap(),
        operator: "CKS".parse().unwrap(),
        class: "STD".parse().unwrap(),
        stretch: Stretch::new(0, 1).unwrap(),
        board_port: format!("PORT-{index}").parse().unwrap(),
        alight_port: "HKG".parse().unwrap(),
        departs_at: at(departs),
        arrives_at: at(departs + 1_800),
        boards_from: None,
        wish: SeatWish::Any,
        seats: Vec::new(),
    }
}

pub(in crate::order) fn item(leg: Leg) -> Item {
    Item::journey(leg)
}

pub(in crate::order) fn draft(items: usize, passengers: usize, total_minor: i64) -> Draft {
    let passenger = |index| Passenger {
        name: format!("Passenger {index}").into(),
        kind: if index == 0 { PassengerType::Adult } else { PassengerType::Child },
        document: (index == 0).then(|| SealedDocument {
            kind: "passport".into(),
            key_version: 2,
            ciphertext: [1, 2, 3].into(),
            mask: "*****5678".into(),
        }),
    };
    Draft {
        id: order_id(),
        buyer: Buyer::Traveller {
            id: TravellerId::compose(START, Shard::of(3), 7),
            idempotency_key: "key-1".into(),
            body_hash: [5; 32],
        },
        channel: Channel::Direct,
        locale: "zh-HK".into(),
        contact: Contact { name: "Wong".into(), phone: "+85291234567".into(), email: None },
        passengers: (0..passengers).map(passenger).collect(),
        items: (0..items).map(leg).map(item).collect(),
        asked: Vec::new(),
        price: Price {
            total: cny(total_minor),
            lines: vec![PriceLine {
                item: 0,
                kind: LineKind::Journey { passenger: PassengerType::Adult, class: "STD".parse().unwrap() },
                count: passengers as u16,
                unit_minor: total_minor,
                discount_minor: 0,
                total_minor,
                explanation: "adult, weekday".into(),
            }],
        },
        promotions: vec![],
        lock_seconds: LOCK_SECONDS,
    }
}

pub(in crate::order) fn seats(item: usize, passengers: usize) -> Vec<Box<str>> {
    (0..passengers).map(|seat| format!("{item}{}", char::from(b'A' + seat as u8)).into()).collect()
}

/// It has a use of each of so many promotions, which have lowered its price already.
pub(in crate::order) fn with_uses(draft: Draft, uses: usize) -> Draft {
    let promoted = |number| Promoted {
        code: format!("PROMO-{number}").parse().unwrap(),
        revision: 2,
        discount_minor: 100,
        is_limited: true,
    };
    Draft { promotions: (0..uses).map(promoted).collect(), ..draft }
}

//! A ticket that a partner has sold, on the wire: a unit of a package with all that it gives (R-OTA-06 to R-OTA-08).

use deeptravel_domain::ids::OrderId;
use deeptravel_domain::money::Money;
use deeptravel_domain::order::{ItemKind, Order, UnitId};
use deeptravel_domain::ticket::Ticket;
use deeptravel_domain::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::MoneyView;
use super::ticket::{EntitlementView, entitlement};
use crate::api::frame::Language;
use crate::api::views::{self, Zoned};

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PartnerTicket)]
pub struct PartnerTicketView<'a> {
    #[schema(value_type = String)]
    pub ticket_code: UnitId,
    #[schema(value_type = String)]
    pub order_id: OrderId,
    /// Always `package`.
    #[schema(example = "package")]
    pub kind: &'static str,
    /// `ACTIVE`, `USED`, `REFUNDED`, `EXPIRED`.
    #[schema(example = "ACTIVE")]
    pub status: &'static str,
    /// To be printed as a QR symbol: it redeems this ticket alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qr_code: Option<String>,
    /// The product, if its package has such a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product_id: Option<u32>,
    pub customer_name: &'a str,
    pub ticket_price: MoneyView,
    pub activated_at: Zoned,
    pub entitlements: Vec<EntitlementView<'a>>,
    /// The first of what it gives.
    pub valid_from: Zoned,
    /// The last of it. Exclusive.
    pub valid_until: Zoned,
}

/// Every unit of an order that a partner has sold, as they are now; of any other order none.
pub fn all(language: Language, order: &Order, now: Timestamp) -> Vec<PartnerTicketView<'_>> {
    (0..order.items().len()).filter_map(|item| view(language, order, item as u16, now)).collect()
}

/// A unit as it is now. `None`: there is no such unit, or a traveller has bought the order.
pub fn view(language: Language, order: &Order, item: u16, now: Timestamp) -> Option<PartnerTicketView<'_>> {
    order.partner()?;
    let terms = match &order.items().get(usize::from(item))?.kind {
        ItemKind::Package(terms) => terms,
        ItemKind::Journey(_) => return None,
    };
    let tickets = || order.tickets_of(item);
    let price = tickets().map(|ticket| ticket.price_minor).sum();
    let valid = |of: fn(&Ticket) -> Timestamp| tickets().map(of);
    Some(PartnerTicketView {
        ticket_code: UnitId { order: order.id(), item },
        order_id: order.id(),
        kind: "package",
        status: order.unit_status(item, now).code(),
        qr_code: None,
        product_id: terms.product,
        customer_name: &order.details().contact.name,
        ticket_price: Money::new(price, order.total().currency).into(),
        activated_at: views::time(order.created_at()),
        entitlements: tickets().map(|ticket| entitlement(language, order, ticket)).collect(),
        valid_from: views::time(valid(|ticket| ticket.entitlement().valid_from).min()?),
        valid_until: views::time(valid(|ticket| ticket.entitlement().valid_until).max()?),
    })
}

#[cfg(test)]
mod tests {
    use deeptravel_domain::catalogue::{Names, Zone};
    use deeptravel_domain::ids::Shard;
    use deeptravel_domain::machine::Machine as _;
    use deeptravel_domain::money::Currency;
    use deeptravel_domain::order::{Command, Contact, LineKind, PartnerSale, Passenger, Price, PriceLine, partner};
    use deeptravel_domain::package::{Bound, EntitlementTerms, PackageTerms, RedemptionChannel, StartsAt, Validity};
    use deeptravel_domain::party::PassengerType;
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_764_000_000_000);

    fn order(units: u16) -> Order {
        let entitlement = |code: &str, quantity, shared, validity| EntitlementTerms {
            code: code.parse().unwrap(),
            names: Names::new("权益", code),
            quantity,
            merchant: None,
            locations: vec![],
            channel: RedemptionChannel::Any,
            requires_identity: false,
            shared,
            weight: 0,
            validity,
        };
        let paid = Validity::Relative { days: 1, starts: StartsAt::Payment, until: None };
        let later = Validity::Absolute {
            from: Bound::At(NOW.plus_seconds(3_600)),
            until: Bound::At(NOW.plus_seconds(30 * 86_400)),
        };
        let unit = PackageTerms {
            template: "pkg-premium".parse().unwrap(),
            version: 1,
            product: Some(106),
            names: Names::new("尊享", "Premium"),
            zone: "Asia/Hong_Kong".parse::<Zone>().unwrap(),
            service_date: None,
            quantity: 1,
            entitlements: vec![entitlement("MUSEUM", 1, false, paid), entitlement("LOCKER", 2, true, later)],
        };
        let line = |item| PriceLine {
            item,
            kind: LineKind::Package { passenger: PassengerType::Adult },
            count: 1,
            unit_minor: 29_901,
            discount_minor: 0,
            total_minor: 29_901,
            explanation: "adult".into(),
        };
        let sale = PartnerSale {
            id: OrderId::compose(NOW, Shard::of(1), 7),
            partner: "trip".parse().unwrap(),
            locale: "en".into(),
            contact: Contact { name: "Mei".into(), phone: "+852 5555 0123".into(), email: None },
            passenger: Passenger { name: "Mei".into(), kind: PassengerType::Adult, document: None },
            items: vec![unit; usize::from(units)],
            price: Price {
                total: Money::new(29_901 * i64::from(units), Currency::Cny),
                lines: (0..units).map(line).collect(),
            },
            payment_reference: "TRIP-1".into(),
            message: None,
            paid_at: NOW,
        };
        Order::born_paid(sale, NOW).0
    }

    #[test]
    fn r_ota_06_a_partner_sees_a_unit_as_one_ticket_with_all_that_it_gives() {
        let order = order(1);
        let shown = serde_json::to_value(view(Language::English, &order, 0, NOW)).unwrap();
        let expected = json!({
            "ticketCode": order.id().to_string(),
            "orderId": order.id().to_string(),
            "kind": "package",
            "status": "ACTIVE",
            "productId": 106,
            "customerName": "Mei",
            "ticketPrice": { "amount": 29_901, "currency": "CNY" },
            "activatedAt": "2025-11-25T00:00:00+08:00",
            "entitlements": [
                {
                    "code": "MUSEUM", "name": "MUSEUM", "remaining": 1, "total": 1,
                    "validFrom": "2025-11-25T00:00:00+08:00", "validUntil": "2025-11-27T00:00:00+08:00",
                },
                {
                    "code": "LOCKER", "name": "LOCKER", "remaining": 2, "total": 2,
                    "validFrom": "2025-11-25T01:00:00+08:00", "validUntil": "2025-12-25T00:00:00+08:00",
                },
            ],
            "validFrom": "2025-11-25T00:00:00+08:00",
            "validUntil": "2025-12-25T00:00:00+08:00",
        });
        assert_eq!(shown, expected);
        assert!(view(Language::English, &order, 1, NOW).is_none());
    }

    #[test]
    fn r_ota_07_units_of_one_order_are_shown_by_themselves_as_they_are_by_then() {
        let mut order = order(3);
        let cancel = Command::from(partner::Command::Cancel { partner: "trip".parse().unwrap(), item: 1 });
        let events = order.decide(&cancel, NOW).unwrap();
        order.apply(&events, 1);
        let shown = |now| {
            let units = all(Language::Chinese, &order, now);
            units.iter().map(|unit| (unit.ticket_code.to_string(), unit.status)).collect::<Vec<_>>()
        };
        let id = order.id().to_string();
        let codes = [id.clone(), format!("{id}.2"), format!("{id}.3")];
        let with = |statuses: [&'static str; 3]| codes.iter().cloned().zip(statuses).collect::<Vec<_>>();
        assert_eq!(shown(NOW), with(["ACTIVE", "REFUNDED", "ACTIVE"]));
        assert_eq!(shown(NOW.plus_seconds(30 * 86_400)), with(["EXPIRED", "REFUNDED", "EXPIRED"]));
    }
}

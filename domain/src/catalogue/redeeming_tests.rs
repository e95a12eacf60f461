//! Merchants, locations, devices and the rules of sale, as stories.

use super::tests::{NOON, apply, catalogue, coach, code, decide, put};
use super::*;
use crate::departure::Channel;
use crate::ids::{DepartureId, LocationCode};
use crate::refund_rule::{AfterFirstUse, Anchor, RefundWindow, Terms, Until};
use crate::register::Action;
use crate::testing::Images;

/// So much comes back until two hours before the departure.
pub(super) fn rule(id: &str, percent: u8) -> RefundRule {
    RefundRule {
        id: code(id),
        names: Names::new("規則", "Rule"),
        terms: Terms::Windows(vec![RefundWindow { until: Until::Before(120), percent, fee: None }]),
        anchor: Anchor::Departure,
        per_order: false,
        after_departure: false,
        after_first_use: AfterFirstUse::None,
        after_change: true,
        pairs_together: false,
        change: None,
    }
}

fn merchant(id: &str) -> Merchant {
    Merchant { id: code(id), names: Names::new("館", "Museum"), contact: None }
}

fn hall() -> Location {
    Location { id: code("hall"), merchant: code("museum"), names: Names::new("廳", "Hall"), port: Some(code("A")) }
}

fn reader() -> Device {
    Device { id: code("reader-1"), merchant: code("museum"), location: Some(code("hall")), disabled: false }
}

/// A merchant with a location at port A and a device there, and a rule.
pub(super) fn redeemers() -> Vec<Command> {
    vec![put(merchant("museum")), put(hall()), put(reader()), put(rule("standard", 70))]
}

fn with_redeemers() -> Catalogue {
    let mut catalogue = catalogue();
    for command in redeemers() {
        apply(&mut catalogue, command);
    }
    catalogue
}

fn refusal(catalogue: &Catalogue, command: &Command) -> (&'static str, String) {
    let refused = decide(catalogue, command).unwrap_err();
    (refused.code(), refused.to_string())
}

fn wrong(catalogue: &Catalogue, content: impl Into<Change>) -> String {
    let (code, text) = refusal(catalogue, &put(content));
    assert_eq!(code, "VALIDATION_ERROR");
    text
}

#[test]
fn r_admin_05_what_names_something_unknown_is_refused_by_the_field() {
    let catalogue = with_redeemers();
    assert_eq!(
        wrong(&catalogue, Merchant { contact: Some("a\nb".into()), ..merchant("x") }),
        "contact: has control characters"
    );
    assert_eq!(wrong(&catalogue, Location { merchant: code("no"), ..hall() }), "merchantId: no is not known");
    assert_eq!(wrong(&catalogue, Location { port: Some(code("no")), ..hall() }), "portCode: no is not known");
    assert_eq!(wrong(&catalogue, Device { merchant: code("no"), ..reader() }), "merchantId: no is not known");
    assert_eq!(wrong(&catalogue, Device { location: Some(code("no")), ..reader() }), "locationId: no is not known");
    let sold_under = |rules| Route { refund_rules: rules, ..coach() };
    let unknown = Some(code("no"));
    let direct = sold_under(RulesByChannel { direct: unknown.clone(), ota: Some(code("standard")) });
    assert_eq!(wrong(&catalogue, direct), "refundRules.direct: no is not known");
    let ota = sold_under(RulesByChannel { direct: None, ota: unknown });
    assert_eq!(wrong(&catalogue, ota), "refundRules.ota: no is not known");
}

#[test]
fn r_admin_05_a_locations_id_is_its_own_over_all_merchants_for_ever() {
    let mut catalogue = with_redeemers();
    apply(&mut catalogue, put(merchant("ferry")));
    let ferrys = Location { merchant: code("ferry"), ..hall() };
    assert!(wrong(&catalogue, ferrys.clone()).starts_with("locationId: is another merchant's"));
    assert_eq!(wrong(&catalogue, Device { merchant: code("ferry"), ..reader() }), "locationId: is another merchant's");
    apply(&mut catalogue, Command::new(Change::withdraw(Key::Device(code("reader-1"))), "admin"));
    apply(&mut catalogue, Command::new(Change::withdraw(Key::Location(code("hall"))), "admin"));
    assert!(wrong(&catalogue, ferrys).starts_with("locationId: is another merchant's"), "tickets go on naming it");

    // Sessions name ports as their location, too: one word never means two places.
    assert!(wrong(&catalogue, Location { id: code("A"), port: None, ..hall() }).starts_with("locationId: is a port"));
    apply(&mut catalogue, put(Location { id: code("A"), ..hall() }));
    apply(&mut catalogue, put(Location { id: code("Z"), ..hall() }));
    let port = Port { code: code("Z"), names: Names::new("口岸", "Port") };
    assert_eq!(wrong(&catalogue, port), "code: is a location's id");
}

#[test]
fn r_admin_05_what_is_still_referred_to_is_not_withdrawn() {
    let mut catalogue = with_redeemers();
    let sold_under = RulesByChannel { direct: Some(code("standard")), ota: None };
    apply(&mut catalogue, put(Route { refund_rules: sold_under, ..coach() }));
    let withdraw = |key| Command::new(Change::withdraw(key), "admin");
    for (key, by) in [
        (Key::Merchant(code("museum")), "merchant museum is still used by location hall"),
        (Key::Location(code("hall")), "location hall is still used by device reader-1"),
        (Key::RefundRule(code("standard")), "refund rule standard is still used by route coach"),
    ] {
        assert_eq!(refusal(&catalogue, &withdraw(key)), ("IN_USE", by.to_owned()));
    }
    apply(&mut catalogue, put(coach()));
    for key in [
        Key::RefundRule(code("standard")),
        Key::Device(code("reader-1")),
        Key::Location(code("hall")),
        Key::Merchant(code("museum")),
    ] {
        apply(&mut catalogue, withdraw(key));
    }
    assert_eq!(Catalogue::from_rows(Currency::Cny, &catalogue.all_rows(9)).unwrap(), catalogue);
}

#[test]
fn r_after_05_a_rule_that_leads_to_a_route_keeps_it() {
    let mut catalogue = with_redeemers();
    let to_coach = |route: &str| {
        serde_json::from_value::<RefundRule>(serde_json::json!({
            "ruleId": "wide", "name": { "zh": "規則", "en": "Rule" }, "windows": [],
            "change": { "allowed": true, "untilMinutesBefore": 0, "scope": [route] },
        }))
        .unwrap()
    };
    assert_eq!(wrong(&catalogue, to_coach("no")), "change.scope: no is not known");
    apply(&mut catalogue, put(to_coach("coach")));
    apply(&mut catalogue, put(Timetable::new(code("coach"), [])));
    let route = Command::new(Change::withdraw(Key::Route(code("coach"))), "admin");
    assert_eq!(refusal(&catalogue, &route).1, "route coach is still used by refund rule wide");
}

#[test]
fn r_after_05_every_revision_of_a_rule_has_its_row_for_ever() {
    let (mut catalogue, mut stored) = (catalogue(), Images::default());
    for (percent, version) in [(70, 20), (60, 21), (50, 22)] {
        let command = put(rule("standard", percent));
        let events = catalogue.decide(&command, NOON).unwrap();
        assert_eq!(events[0].audit.action, Action::Put);
        stored.keep(&catalogue.apply(&events, version)).unwrap();
    }
    let rows = stored.all();
    let percents =
        rows.of::<RefundRuleRow<'_>>().map(|row| row.map(|row| (row.revision, row.windows.to_vec()[0].percent)));
    assert_eq!(percents.collect::<Result<Vec<_>, _>>().unwrap(), [(1, 70), (2, 60), (3, 50)]);
    let (direct, ota) = (Some(code("standard")), None);
    apply(&mut catalogue, put(Route { refund_rules: RulesByChannel { direct, ota }, ..coach() }));
    let route = catalogue.route("coach").unwrap();
    let in_force = catalogue.refund_rule(&route.refund_rules, &Channel::Direct).map(|entry| entry.named().revision);
    assert_eq!(in_force, Some(3));
    assert_eq!(
        catalogue.refund_rule(&route.refund_rules, &Channel::Ota("partner".into())),
        None,
        "another channel, another rule"
    );
}

#[test]
fn r_scan_04_a_location_stands_for_the_port_that_is_configured_now() {
    let mut catalogue = with_redeemers();
    let port_at = |catalogue: &Catalogue, location: &str| catalogue.port_at(&code::<LocationCode>(location));
    assert_eq!(port_at(&catalogue, "hall"), Some(code("A")));
    assert_eq!(port_at(&catalogue, "B"), Some(code("B")), "a port is a location of its own");
    apply(&mut catalogue, put(Location { port: None, ..hall() }));
    assert_eq!(port_at(&catalogue, "hall"), None);
    assert!(catalogue.has_location(&code("hall")) && catalogue.has_location(&code("B")));
    assert!(!catalogue.has_location(&code("nowhere")));
}

#[test]
fn r_scan_04_a_location_that_was_withdrawn_is_closed_unless_it_is_a_port_too() {
    let mut catalogue = with_redeemers();
    let is_closed = |catalogue: &Catalogue, location: &str| catalogue.is_closed(&code::<LocationCode>(location));
    apply(&mut catalogue, put(Location { id: code("A"), ..hall() }));
    assert!(["hall", "A", "B", "nowhere"].iter().all(|location| !is_closed(&catalogue, location)));
    apply(&mut catalogue, Command::new(Change::withdraw(Key::Device(code("reader-1"))), "admin"));
    for location in ["hall", "A"] {
        apply(&mut catalogue, Command::new(Change::withdraw(Key::Location(code(location))), "admin"));
    }
    assert!(is_closed(&catalogue, "hall"));
    assert!(!is_closed(&catalogue, "A"), "sessions go on naming the port");
}

#[test]
fn r_scan_04_a_merchant_that_was_withdrawn_has_gone_unless_it_is_a_carrier() {
    let mut catalogue = with_redeemers();
    let carrier = coach().operator;
    for id in ["gone", carrier.as_str()] {
        apply(&mut catalogue, put(merchant(id)));
        assert!(!catalogue.has_gone(&code(id)));
        apply(&mut catalogue, Command::new(Change::withdraw(Key::Merchant(code(id))), "admin"));
    }
    assert!(catalogue.has_gone(&code("gone")));
    assert!(!catalogue.has_gone(&code(carrier.as_str())) && !catalogue.has_gone(&code("never")));
}

#[test]
fn r_scan_04_a_device_serves_its_merchants_operators_while_it_is_not_disabled() {
    let reader = reader();
    let of = |merchant: &str| reader.serves(Some(&code(merchant)));
    assert!(of("museum") && reader.serves(None));
    assert!(!of("ferry"));
    assert!(!Device { disabled: true, ..reader.clone() }.serves(None));
}

#[test]
fn r_scan_04_a_departure_whose_schedule_was_withdrawn_may_have_tickets() {
    let mut catalogue = catalogue();
    let id = |text: &str| code::<DepartureId>(text);
    assert!(catalogue.may_have_sold(&id("coach-0800.20261120")));
    apply(&mut catalogue, put(Timetable::new(code("coach"), [])));
    assert_eq!(catalogue.departure(&id("coach-0800.20261120")), None);
    assert!(catalogue.may_have_sold(&id("coach-0800.20261120")));
    for nothing in ["coach-0800.20261320", "coach-0800", "no-0800.20261120"] {
        assert!(!catalogue.may_have_sold(&id(nothing)), "{nothing}");
    }
}

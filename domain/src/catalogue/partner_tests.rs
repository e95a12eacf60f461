//! Partners and what is set aside for them, as stories.

use serde_json::json;

use super::redeeming_tests::redeemers;
use super::template::tests::premium;
use super::tests::{NOON, apply, catalogue, code, decide, put};
use super::*;
use crate::departure::Channel;
use crate::stock::StockId;

pub(super) fn klook() -> Partner {
    Partner { id: code("klook"), names: Names::new("客路", "Klook"), contact: "Mei".to_owned(), disabled: false }
}

/// So much of each product for it.
pub(super) fn set_aside(allotments: &[(u32, u32)]) -> PartnerAllotments {
    let one = |(product, quantity): &(u32, u32)| ProductAllotment { product: *product, quantity: *quantity };
    PartnerAllotments { partner: code("klook"), allotments: allotments.iter().map(one).collect() }
}

/// A partner, and a package that partners know as 106.
fn with_partner() -> Catalogue {
    let mut catalogue = catalogue();
    let package: Template = serde_json::from_value(premium()).unwrap();
    for command in redeemers().into_iter().chain([put(klook()), put(package)]) {
        apply(&mut catalogue, command);
    }
    catalogue
}

fn wrong(catalogue: &Catalogue, content: impl Into<Change>) -> String {
    let refused = decide(catalogue, &put(content)).unwrap_err();
    assert_eq!(refused.code(), "VALIDATION_ERROR");
    refused.to_string()
}

#[test]
fn r_ota_01_a_partner_is_named_for_ever_and_disabled_instead_of_withdrawn() {
    let mut catalogue = with_partner();
    assert_eq!(wrong(&catalogue, Partner { contact: " ".to_owned(), ..klook() }), "contact: is empty");
    let gone = Command::new(Change::withdraw(Key::Partner(code("klook"))), "admin");
    assert_eq!(decide(&catalogue, &gone).unwrap_err().code(), "IN_USE");
    apply(&mut catalogue, put(Partner { disabled: true, ..klook() }));
    assert!(catalogue.partner("klook").unwrap().disabled);
    assert_eq!(Catalogue::from_rows(Currency::Cny, &catalogue.all_rows(9)).unwrap(), catalogue);
}

#[test]
fn r_ota_02_an_allotment_names_a_partner_and_a_product_that_are_there() {
    let mut catalogue = with_partner();
    let foreign = PartnerAllotments { partner: code("ctrip"), ..set_aside(&[(106, 5)]) };
    assert_eq!(wrong(&catalogue, foreign), "partnerId: ctrip is not known");
    let unknown = set_aside(&[(106, 5), (999, 1)]);
    assert_eq!(wrong(&catalogue, unknown), "allotments[1].productId: 999 is not known");
    let twice = set_aside(&[(106, 5), (106, 1)]);
    assert_eq!(wrong(&catalogue, twice), "allotments[1].productId: is there twice");
    let many = set_aside(&[(106, u32::MAX)]);
    assert!(wrong(&catalogue, many).starts_with("allotments[0].quantity: is more than"));

    apply(&mut catalogue, put(set_aside(&[(106, 5)])));
    assert_eq!(Catalogue::from_rows(Currency::Cny, &catalogue.all_rows(9)).unwrap(), catalogue);
    let mut other = premium();
    other["productId"] = json!(9);
    let other: Template = serde_json::from_value(other).unwrap();
    assert!(wrong(&catalogue, other.clone()).starts_with("productId: is another one"), "the allotment would hang");
    apply(&mut catalogue, put(set_aside(&[])));
    apply(&mut catalogue, put(other));
}

#[test]
fn r_ota_02_before_allotments_are_written_the_stocks_are_asked_for_what_changes() {
    let mut catalogue = with_partner();
    let asked = |catalogue: &Catalogue, wanted: PartnerAllotments| {
        let command = put(wanted);
        assert!(command.change.asks_stocks());
        let of = |one: SetAside| {
            assert_eq!(one.stock, StockId::Package(catalogue.product(106).unwrap().id.clone()));
            assert_eq!(one.channel, Channel::Ota("klook".into()));
            (one.product, one.before, one.after)
        };
        catalogue.set_aside_by(&command, NOON).into_iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(asked(&catalogue, set_aside(&[(106, 5)])), [(106, 0, 5)]);
    assert_eq!(asked(&catalogue, set_aside(&[(106, 5), (999, 1)])), [], "it is refused");
    apply(&mut catalogue, put(set_aside(&[(106, 5)])));
    assert_eq!(asked(&catalogue, set_aside(&[(106, 5)])), [], "it is already so");
    assert_eq!(asked(&catalogue, set_aside(&[(106, 9)])), [(106, 5, 9)]);
    assert_eq!(asked(&catalogue, set_aside(&[])), [(106, 5, 0)], "what is not named is nobody's");
    assert!(!put(klook()).change.asks_stocks());

    let [one] = &catalogue.set_aside_by(&put(set_aside(&[(106, 9)])), NOON)[..] else { panic!("one") };
    assert_eq!(one.refusal(Rejection::field("allotments", "x")).to_string(), "allotments[0].quantity: x");
    let below = one.refusal(Rejection::BelowUse { uses: "1 are held and 2 are sold".to_owned() });
    assert!(below.to_string().ends_with("of product 106 1 are held and 2 are sold"), "{below}");
}

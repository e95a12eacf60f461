//! Templates as stories, on the network of the catalogue's own.

mod ordered;
mod promoted;
mod sale;

use serde_json::{Value, json};

use super::*;
use crate::catalogue::redeeming_tests::redeemers;
use crate::catalogue::tests::{NOON, apply, catalogue, code, decide, put};
use crate::catalogue::{Command, Key};
use crate::fare::PRICE_MINOR_MAX;
use crate::machine::Machine as _;
use crate::money::Currency;
use crate::package::{Bound, StartsAt, Validity};
use crate::register::AuditRow;
use crate::row::Table;
use crate::testing::Images;

/// A package of a museum, a shared meal and the coach to Shenzhen.
pub(in crate::catalogue) fn premium() -> Value {
    json!({
        "name": { "zh": "尊享套票", "en": "Premium" },
        "status": "active",
        "productId": 106,
        "places": ["SZ"],
        "journeys": [{ "routeCode": "coach", "seatClass": "standard", "dayOffset": 0 }],
        "entitlements": [
            {
                "code": "MUSEUM", "name": { "zh": "博物馆", "en": "Museum" }, "quantity": 1,
                "redemptionChannel": "gate", "requiresIdentity": true, "shared": false, "shareWeight": 70,
                "validity": { "kind": "relative", "days": 90, "startsAt": "payment" },
            },
            {
                "code": "MEAL", "name": { "zh": "套餐", "en": "Meal" }, "quantity": 4,
                "redemptionChannel": "counter", "requiresIdentity": false, "shared": true, "shareWeight": 30,
                "validity": { "kind": "absolute", "from": "2026-12-01", "until": "2027-02-28" },
            },
        ],
        "tiers": [
            { "passengerType": "adult", "minParty": 1, "price": { "amount": 20_000, "currency": "CNY" } },
            { "passengerType": "child", "minParty": 1, "price": { "amount": 10_000, "currency": "CNY" } },
        ],
        "stock": { "perDate": 500 },
        "blackoutDates": ["2026-12-25"],
        "timeZone": "Asia/Shanghai",
    })
}

fn with(mut template: Value, field: &str, value: impl Into<Value>) -> Value {
    template[field] = value.into();
    template
}

fn template(said: &Value) -> Template {
    serde_json::from_value(said.clone()).unwrap()
}

fn draft(said: &Value) -> Command {
    put(template(said))
}

/// What whoever puts it learns.
fn told(catalogue: &mut Catalogue, said: &Value) -> Result<Standing, Rejection> {
    let command = draft(said);
    let events = catalogue.decide(&command, NOON).unwrap();
    catalogue.apply(&events, 1);
    catalogue.answer(&command, &events)
}

fn made(catalogue: &mut Catalogue, said: &Value) -> (u32, bool) {
    let Standing { revision, changed, .. } = told(catalogue, said).unwrap();
    (revision, changed)
}

fn shop() -> Catalogue {
    let mut catalogue = catalogue();
    assert_eq!(made(&mut catalogue, &premium()), (1, true));
    catalogue
}

fn sold(catalogue: &Catalogue) -> &Entry<Template> {
    catalogue.package(Template::id_of(&Names::new("尊享套票", "Premium")).as_str()).unwrap()
}

/// The field that is named when it is put.
fn field_at_fault(said: &Value) -> String {
    let refused = match serde_json::from_value::<SpokenTemplate>(said.clone()) {
        Ok(spoken) => Template::try_from(spoken).and_then(|template| {
            let mut shop = shop();
            for command in redeemers() {
                apply(&mut shop, command);
            }
            decide(&shop, &put(template)).map(drop)
        }),
        Err(unread) => panic!("{unread}"),
    };
    match refused {
        Err(Rejection::Field { field, .. }) => field.into_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn r_admin_01_the_name_tells_which_template_it_is() {
    let id = |zh: &str, en: &str| Template::id_of(&Names::new(zh, en));
    assert_eq!(id("尊享套票", "Premium"), id("尊享套票", "Premium"));
    assert_eq!(
        template(&with(premium(), "name", json!({ "zh": " 尊享套票", "en": "Premium " }))).id,
        template(&premium()).id
    );
    assert_ne!(id("尊享套票", "Premium"), id("尊享套票", "Premium 2"));
    assert_ne!(id("尊享套票", "Premium"), id("尊享", "套票Premium"));
    assert!(id("尊享套票", "Premium").as_str().len() <= 32);
}

#[test]
fn r_admin_01_the_same_name_with_another_version_token_is_a_new_version_and_the_old_one_stays() {
    let mut catalogue = shop();
    let (first, second) = (with(premium(), "versionToken", "2026"), with(premium(), "versionToken", "2027"));
    assert_eq!(made(&mut catalogue, &first), (2, true), "it holds what the newest holds, under a name");
    assert_eq!(made(&mut catalogue, &second), (3, true));
    let id = template(&premium()).id;
    let versions = catalogue.versions_of(&id);
    assert_eq!(versions.iter().map(|version| version.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(versions[1..].iter().map(Version::token).collect::<Vec<_>>(), ["2026", "2027"]);
    assert_eq!(sold(&catalogue).revision, 3);
}

#[test]
fn r_admin_01_a_version_token_stands_for_one_content() {
    let mut catalogue = shop();
    let (first, second) = (with(premium(), "versionToken", "a"), with(premium(), "versionToken", "b"));
    let (first, second) = (with(first, "productId", 201), with(second, "productId", 202));
    assert_eq!(made(&mut catalogue, &first), (2, true));
    assert_eq!(made(&mut catalogue, &second), (3, true));
    assert_eq!(made(&mut catalogue, &first), (2, false), "told again it is the version that it made");
    let other = with(first.clone(), "status", "draft");
    assert_eq!(told(&mut catalogue, &other), Err(Rejection::VersionConflict));
    let digits = catalogue.versions_of(&template(&premium()).id)[0].token();
    assert_eq!(made(&mut catalogue, &with(premium(), "versionToken", digits.clone())), (1, false), "its own name");
    let other = with(with(premium(), "versionToken", digits), "productId", 9);
    assert_eq!(told(&mut catalogue, &other), Err(Rejection::VersionConflict));
}

#[test]
fn r_admin_01_without_a_token_what_the_newest_version_holds_is_already_so_and_anything_else_is_new() {
    let mut catalogue = shop();
    assert_eq!(made(&mut catalogue, &premium()), (1, false));
    assert_eq!(made(&mut catalogue, &with(premium(), "status", "withdrawn")), (2, true));
    assert_eq!(catalogue.package(template(&premium()).id.as_str()), Err(Rejection::TemplateNotFound));
    assert_eq!(made(&mut catalogue, &premium()), (3, true), "on sale again, and not only said to be");
    assert_eq!(sold(&catalogue).revision, 3);
}

#[test]
fn r_admin_01_a_clients_token_names_one_write_whatever_its_template() {
    let mut catalogue = shop();
    let write = with(with(premium(), "clientToken", "c1"), "productId", 108);
    assert_eq!(made(&mut catalogue, &write), (2, true));
    assert_eq!(made(&mut catalogue, &with(premium(), "status", "draft")), (3, true));
    assert_eq!(made(&mut catalogue, &write), (2, false), "its answer had been lost");
    for other in [
        with(write.clone(), "productId", 109),
        with(write.clone(), "versionToken", "new"),
        with(write.clone(), "name", json!({ "zh": "另一", "en": "Another" })),
    ] {
        assert_eq!(told(&mut catalogue, &other), Err(Rejection::VersionConflict), "{other}");
    }
}

#[test]
fn r_admin_01_a_repeated_write_is_known_even_if_it_would_be_refused_by_now() {
    let mut catalogue = shop();
    let named = with(with(premium(), "versionToken", "v"), "productId", 300);
    assert_eq!(made(&mut catalogue, &named), (2, true));
    assert_eq!(made(&mut catalogue, &with(premium(), "status", "withdrawn")), (3, true));
    let other = with(with(premium(), "name", json!({ "zh": "另一", "en": "Another" })), "productId", 300);
    assert_eq!(made(&mut catalogue, &other), (1, true));
    assert_eq!(made(&mut catalogue, &named), (2, false), "its product id is somebody else's now");
}

#[test]
fn r_admin_01_versions_and_tokens_are_known_after_a_restart() {
    let (mut catalogue, mut stored) = (catalogue(), Images::default());
    stored.keep(&catalogue.all_rows(1)).unwrap();
    let writes = [
        premium(),
        with(with(premium(), "versionToken", "v2"), "clientToken", "c2"),
        with(premium(), "status", "draft"),
        with(with(premium(), "productId", Value::Null), "status", "withdrawn"),
    ];
    let writes = [&writes[0], &with(writes[1].clone(), "productId", 5), &writes[2], &writes[3]].map(Value::clone);
    for (said, version) in writes.iter().zip(2..) {
        let events = catalogue.decide(&draft(said), NOON).unwrap();
        stored.keep(&catalogue.apply(&events, version)).unwrap();
    }
    let mut read = Catalogue::from_rows(Currency::Cny, &stored.all()).unwrap();
    assert_eq!(read, catalogue);
    assert_eq!(made(&mut read, &writes[1]), (2, false));
    assert_eq!(told(&mut read, &with(writes[1].clone(), "places", json!([]))), Err(Rejection::VersionConflict));
    assert_eq!(made(&mut read, &writes[3]), (4, false));
}

#[test]
fn r_admin_02_a_version_is_one_record_of_rows_in_three_tables_with_its_audit() {
    let mut catalogue = shop();
    let events = catalogue.decide(&draft(&with(premium(), "productId", 9)), NOON).unwrap();
    let rows = catalogue.apply(&events, 20);
    let count = |table: &Table| rows.images_of(table).count();
    let counts =
        [TemplateRow::TABLE, TemplateEntitlementRow::TABLE, TemplateTierRow::TABLE, AuditRow::TABLE].map(count);
    assert_eq!(counts, [1, 2, 2, 1]);
    let audit: AuditRow<'_> = rows.only().unwrap();
    assert_eq!((audit.entity, audit.revision), ("template", Some(2)));
    let after: Value = serde_json::from_str(audit.after.unwrap()).unwrap();
    assert_eq!((&after["productId"], &after["entitlements"][0]["code"]), (&json!(9), &json!("MUSEUM")));
}

#[test]
fn r_admin_01_a_conflict_leaves_its_reason_in_the_audit() {
    let mut catalogue = shop();
    made(&mut catalogue, &with(with(premium(), "versionToken", "v"), "productId", 9));
    let command = draft(&with(premium(), "versionToken", "v"));
    let events = catalogue.decide(&command, NOON).unwrap();
    let rows = catalogue.apply(&events, 20);
    let audit: AuditRow<'_> = rows.only().unwrap();
    assert_eq!((audit.refusal_code, audit.revision), (Some("VERSION_CONFLICT"), None));
    assert_eq!(rows.images_of(TemplateRow::TABLE).count(), 0);
}

#[test]
fn r_admin_02_refusals_name_the_field() {
    let entitlement = |field: &str, value: Value| {
        let mut said = premium();
        said["entitlements"][1][field] = value;
        said
    };
    let tier = |field: &str, value: Value| {
        let mut said = premium();
        said["tiers"][1][field] = value;
        said
    };
    let journey = |field: &str, value: Value| {
        let mut said = premium();
        said["journeys"][0][field] = value;
        said
    };
    let validity = |value: Value| entitlement("validity", value);
    let price = |amount: i64, currency: &str| tier("price", json!({ "amount": amount, "currency": currency }));
    let nothing = with(with(premium(), "entitlements", json!([])), "journeys", json!([]));
    let new =
        |field: &str, value: Value| with(with(premium(), "name", json!({ "zh": "新", "en": "New" })), field, value);
    let twice = |list: &str| {
        let mut said = premium();
        let first = said[list][0].clone();
        said[list].as_array_mut().unwrap().push(first);
        said
    };
    let mut foreign = entitlement("merchantId", "op".into());
    foreign["entitlements"][1]["locationIds"] = json!(["hall"]);
    for (said, field) in [
        (with(premium(), "name", json!({ "zh": " ", "en": "Premium" })), "name.zh"),
        (with(premium(), "versionToken", ""), "versionToken"),
        (with(premium(), "versionToken", "v".repeat(65)), "versionToken"),
        (with(premium(), "clientToken", "a\u{202e}"), "clientToken"),
        (with(premium(), "description", json!({ "zh": "\u{200b}", "en": "x" })), "description.zh"),
        (with(premium(), "description", json!({ "zh": "x", "en": "a\0" })), "description.en"),
        (with(premium(), "productId", 0), "productId"),
        (new("status", "active".into()), "productId"),
        (with(premium(), "places", json!(["SZ", "ZZ"])), "places[1]"),
        (twice("places"), "places[1]"),
        (journey("routeCode", "nowhere".into()), "journeys[0].routeCode"),
        (journey("seatClass", "throne".into()), "journeys[0].seatClass"),
        (journey("toStop", 3.into()), "journeys[0].toStop"),
        (journey("dayOffset", 32.into()), "journeys[0].dayOffset"),
        (nothing, "entitlements"),
        (twice("entitlements"), "entitlements[2].code"),
        (entitlement("quantity", 0.into()), "entitlements[1].quantity"),
        (entitlement("code", "C".repeat(33).into()), "entitlements[1].code"),
        (entitlement("name", json!({ "zh": "", "en": "x" })), "entitlements[1].name.zh"),
        (entitlement("shareWeight", 1_000_001.into()), "entitlements[1].shareWeight"),
        (entitlement("merchantId", "nobody".into()), "entitlements[1].merchantId"),
        (entitlement("locationIds", json!(["A", "A"])), "entitlements[1].locationIds[1]"),
        (entitlement("locationIds", json!(["somewhere"])), "entitlements[1].locationIds[0]"),
        (foreign, "entitlements[1].locationIds[0]"),
        (with(premium(), "refundRules", json!({ "direct": "none" })), "refundRules.direct"),
        (validity(json!({ "kind": "absolute", "from": "2026-12-01" })), "entitlements[1].validity.until"),
        (validity(json!({ "kind": "absolute", "until": "2026-12-01" })), "entitlements[1].validity.from"),
        (
            validity(json!({ "kind": "absolute", "from": "2026-12-02", "until": "2026-12-01" })),
            "entitlements[1].validity.until",
        ),
        (
            validity(json!({ "kind": "absolute", "from": "2026-12-01T00:00:00Z", "until": "2026-12-01T00:00:00Z" })),
            "entitlements[1].validity.until",
        ),
        (
            validity(json!({ "kind": "absolute", "from": "2026-12-01", "until": "2026-12-02", "days": 1 })),
            "entitlements[1].validity.days",
        ),
        (validity(json!({ "kind": "relative" })), "entitlements[1].validity.days"),
        (validity(json!({ "kind": "relative", "days": 0 })), "entitlements[1].validity.days"),
        (validity(json!({ "kind": "relative", "days": 1_096 })), "entitlements[1].validity.days"),
        (validity(json!({ "kind": "relative", "days": 1, "from": "2026-12-01" })), "entitlements[1].validity.from"),
        (tier("minParty", 0.into()), "tiers[1].minParty"),
        (tier("minParty", 11.into()), "tiers[1].minParty"),
        (twice("tiers"), "tiers[2].minParty"),
        (price(-1, "CNY"), "tiers[1].price.amount"),
        (price(PRICE_MINOR_MAX + 1, "CNY"), "tiers[1].price.amount"),
        (price(1, "HKD"), "tiers[1].price.currency"),
        (with(premium(), "tiers", json!([])), "tiers"),
        (with(premium(), "tiers", json!([premium()["tiers"][1]])), "tiers"),
        (with(premium(), "stock", json!({ "total": 10_000_001 })), "stock.total"),
        (twice("blackoutDates"), "blackoutDates"),
        (with(premium(), "timeZone", "Asia/Nowhere"), "timeZone"),
    ] {
        assert_eq!(field_at_fault(&said), field, "{said}");
    }
}

#[test]
fn r_admin_02_a_template_is_spoken_of_in_the_words_of_the_api() {
    let said = premium();
    let spoken = serde_json::to_value(template(&said)).unwrap();
    for (name, value) in said.as_object().unwrap() {
        if name == "tiers" {
            assert_eq!(spoken["tiers"][0]["dayType"], "any", "what was left out has its default");
        } else {
            assert_eq!(spoken[name], *value, "{name}");
        }
    }
    let short = json!({
        "name": { "zh": "船票套票", "en": "Ferry and more" }, "status": "draft", "description": { "zh": "船", "en": "A ferry\nand more" },
        "journeys": [{ "routeCode": "coach", "seatClass": "deluxe", "fromStop": 1, "toStop": 3, "dayOffset": 2 }],
        "tiers": [{ "passengerType": "adult", "minParty": 1, "price": { "amount": 0, "currency": "CNY" } }],
    });
    let read = template(&short);
    assert_eq!(read.description, Some(Names::new("船", "A ferry\nand more")));
    assert_eq!((read.journeys[0].stretch, read.journeys[0].day_offset), (Stretch::new(1, 3), 2));
    assert_eq!((read.zone().name(), read.stock), ("Asia/Hong_Kong", StockLimits::default()));
    assert_eq!(template(&serde_json::to_value(&read).unwrap()), read);
    let instants =
        json!({ "kind": "relative", "days": 3, "startsAt": "first_use", "until": "2027-06-30T12:00:00+08:00" });
    let mut said = premium();
    said["entitlements"][0]["validity"] = instants;
    let Validity::Relative { days: 3, starts: StartsAt::FirstUse, until: Some(Bound::At(at)) } =
        template(&said).entitlements[0].validity
    else {
        panic!("{said}");
    };
    assert_eq!(at.to_string(), "2027-06-30T04:00:00Z");
}

#[test]
fn what_a_template_names_cannot_be_withdrawn() {
    let mut catalogue = shop();
    apply(&mut catalogue, put(crate::catalogue::Timetable::new(code("coach"), [])));
    for command in redeemers() {
        apply(&mut catalogue, command);
    }
    let mut said = with(premium(), "refundRules", json!({ "ota": "standard" }));
    said["entitlements"][0]["merchantId"] = "museum".into();
    said["entitlements"][1]["locationIds"] = json!(["hall"]);
    made(&mut catalogue, &said);
    apply(&mut catalogue, Command::new(crate::catalogue::Change::withdraw(Key::Device(code("reader-1"))), "admin"));
    let id = template(&premium()).id;
    let refused = |key: Key| decide(&catalogue, &Command::new(crate::catalogue::Change::withdraw(key), "admin"));
    let by_it = |entity, id: &str| Rejection::InUse {
        entity,
        id: id.to_owned(),
        by: format!("template {}", template(&premium()).id),
    };
    assert_eq!(refused(Key::Place(code("SZ"))), Err(by_it("place", "SZ")));
    assert_eq!(refused(Key::Route(code("coach"))), Err(by_it("route", "coach")));
    assert_eq!(refused(Key::RefundRule(code("standard"))), Err(by_it("refund rule", "standard")));
    assert_eq!(refused(Key::Location(code("hall"))), Err(by_it("location", "hall")));
    assert_eq!(refused(Key::Merchant(code("museum"))).unwrap_err().code(), "IN_USE");
    assert_eq!(refused(Key::Template(id)).unwrap_err().code(), "IN_USE");
    assert!(refused(Key::Place(code("XX"))).is_ok());
}

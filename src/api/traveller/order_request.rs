//! The body of `POST /orders`, and the wish that it becomes. Nothing behind this point can be refused by the journal or by
//! Postgres (rule 8).

use std::str::FromStr;

use deeptravel_domain::departure::Channel;
use deeptravel_domain::ids::{PromotionCode, TravellerId};
use deeptravel_domain::order::{
    ITEMS_MAX, IncludedWish, ItemWish, JourneyWish, PackageWish, Passenger, SealedDocument, SeatWish, Wish,
};
use deeptravel_domain::party::PARTY_MAX;
use deeptravel_domain::sealing::{DOCUMENT_NUMBER_LEN_MAX, DocumentKeys, seal_document};
use deeptravel_domain::text;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::api::frame::{
    Canonical, IdempotencyKey, NewContact, Problem, Text, canonical, hash_of, is_visible_ascii, parse_date,
    person_name, secret_bytes,
};

/// Longest kind of document and label of a seat, in bytes.
const CODE_LEN_MAX: usize = 32;
/// Languages that messages can have; the first is the default.
const LOCALES: [&str; 3] = ["zh-CN", "zh-HK", "en"];

/// A new order.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewOrder<'a> {
    /// Every item seats every passenger.
    #[schema(min_items = 1, max_items = 4)]
    #[serde(borrow)]
    items: Vec<NewItem<'a>>,
    #[schema(min_items = 1, max_items = 10)]
    passengers: Vec<NewPassenger<'a>>,
    contact: NewContact<'a>,
    /// Of a promotion that does not apply by itself.
    #[schema(value_type = Option<String>, example = "SPRING", min_length = 1, max_length = 64)]
    promotion_code: Option<Text<'a>>,
    /// Language of messages: `zh-CN` (default), `zh-HK` or `en`.
    #[schema(value_type = Option<String>, example = "zh-HK", pattern = "^(zh-CN|zh-HK|en)$")]
    locale: Option<Text<'a>>,
}

/// A journey, of a departure or as it is reserved; or a package.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"kind": "journey", "departureId": "GZ-HKA-0830.20261224", "seatClass": "standard"}))]
struct NewItem<'a> {
    /// `journey` or `package`.
    #[schema(value_type = String, pattern = "^(journey|package)$")]
    #[serde(borrow)]
    kind: Text<'a>,
    #[schema(value_type = Option<String>)]
    departure_id: Option<Text<'a>>,
    #[schema(value_type = Option<String>)]
    seat_class: Option<Text<'a>>,
    /// The first stop without it.
    board_stop: Option<u8>,
    /// The last stop without it.
    alight_stop: Option<u8>,
    /// One for every passenger; without it any seats, together where possible.
    #[schema(value_type = Option<Vec<String>>)]
    seat_numbers: Option<Vec<Text<'a>>>,
    /// Instead of all other fields: the journey that it holds, for as many passengers as seats.
    #[schema(value_type = Option<String>)]
    reservation_id: Option<Text<'a>>,
    /// Of a package, as all that follows.
    #[schema(value_type = Option<String>)]
    template_id: Option<Text<'a>>,
    /// The day of the visit, where the package needs one.
    #[schema(value_type = Option<String>, format = Date)]
    service_date: Option<Text<'a>>,
    /// Times that every passenger buys it; 1 without it.
    #[schema(minimum = 1, maximum = 10)]
    quantity: Option<u16>,
    /// One for each journey that the package includes, in its order.
    journeys: Option<Vec<NewIncluded<'a>>>,
}

/// On which departure an included journey is made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewIncluded<'a> {
    #[serde(borrow)]
    #[schema(value_type = String)]
    departure_id: Text<'a>,
    /// The package says which.
    #[schema(value_type = Option<String>)]
    seat_class: Option<Text<'a>>,
    #[schema(value_type = Option<Vec<String>>)]
    seat_numbers: Option<Vec<Text<'a>>>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "陈大文", "type": "adult"}))]
struct NewPassenger<'a> {
    #[schema(value_type = String, min_length = 1, max_length = 64)]
    #[serde(borrow)]
    name: Text<'a>,
    /// `adult`, `child` or `senior`.
    #[serde(rename = "type")]
    #[schema(value_type = String, pattern = "^(adult|child|senior)$")]
    kind: Text<'a>,
    document: Option<NewDocument<'a>>,
}

/// A travel document. Its number is encrypted at once; answers show a mask.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewDocument<'a> {
    #[serde(rename = "type", borrow)]
    #[schema(value_type = String, example = "passport", min_length = 1, max_length = 32)]
    kind: Text<'a>,
    #[schema(value_type = String, min_length = 1, max_length = 128)]
    number: Text<'a>,
}

impl NewOrder<'_> {
    /// The request with its fields understood and its documents sealed. Errors name the field.
    pub fn into_wish(self, traveller: TravellerId, key: IdempotencyKey, keys: &DocumentKeys) -> Result<Wish, Problem> {
        if self.items.is_empty() || self.items.len() > ITEMS_MAX {
            return Err(Problem::field("items", format!("1 to {ITEMS_MAX} items")));
        }
        if self.passengers.is_empty() || self.passengers.len() > usize::from(PARTY_MAX) {
            return Err(Problem::field("passengers", format!("1 to {PARTY_MAX} passengers")));
        }
        let locale = self.locale.as_deref().unwrap_or(LOCALES[0]);
        if !LOCALES.contains(&locale) {
            return Err(Problem::field("locale", format!("is none of {}", LOCALES.join(", "))));
        }
        let items = self.items.iter().enumerate();
        let passengers = self.passengers.iter().enumerate();
        Ok(Wish {
            traveller,
            channel: Channel::Direct,
            idempotency_key: key.0,
            body_hash: hash_of(&self),
            locale: locale.into(),
            items: items.map(|(index, item)| wanted(index, item)).collect::<Result<_, _>>()?,
            passengers: passengers.map(|(index, given)| passenger(index, given, keys)).collect::<Result<_, _>>()?,
            contact: self.contact.contact("contact")?,
            promotion_code: self.promotion_code.as_deref().map(promotion).transpose()?,
        })
    }
}

/// What came later than the others is written only where it is there, so that requests of before keep their form. No length
/// begins with this byte.
const JOURNEYS: u8 = 0xFF;

impl Canonical for NewItem<'_> {
    fn write(&self, into: &mut Vec<u8>) {
        let NewItem { kind, departure_id, seat_class, board_stop, alight_stop, seat_numbers, .. } = self;
        let NewItem { reservation_id, template_id, service_date, quantity, journeys, .. } = self;
        kind.write(into);
        departure_id.write(into);
        seat_class.write(into);
        board_stop.write(into);
        alight_stop.write(into);
        seat_numbers.write(into);
        reservation_id.write(into);
        template_id.write(into);
        service_date.write(into);
        quantity.write(into);
        if let Some(journeys) = journeys {
            into.push(JOURNEYS);
            journeys.write(into);
        }
    }
}

canonical!(NewOrder { items, passengers, contact, promotion_code, locale });
canonical!(NewIncluded { departure_id, seat_class, seat_numbers });
canonical!(NewPassenger { name, kind, document });
canonical!(NewDocument { kind, number });

/// The fields of an item, each with how it is called and whether it was given: some belong to one kind only.
fn wanted(index: usize, item: &NewItem<'_>) -> Result<ItemWish, Problem> {
    let field = |name: &str| format!("items[{index}].{name}");
    let of_journeys = [
        ("departureId", item.departure_id.is_some()),
        ("seatClass", item.seat_class.is_some()),
        ("boardStop", item.board_stop.is_some()),
        ("alightStop", item.alight_stop.is_some()),
        ("seatNumbers", item.seat_numbers.is_some()),
    ];
    let of_packages = [
        ("templateId", item.template_id.is_some()),
        ("serviceDate", item.service_date.is_some()),
        ("quantity", item.quantity.is_some()),
        ("journeys", item.journeys.is_some()),
    ];
    let none_of = |fields: &[(&str, bool)], why: &'static str| match fields.iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(Problem::field(field(name), why)),
        None => Ok(()),
    };
    match &*item.kind {
        "journey" => {
            none_of(&of_packages, "belongs to packages")?;
            match &item.reservation_id {
                Some(id) => {
                    let id = code(&field, "reservationId", "reservation id", Some(id))?;
                    none_of(&of_journeys, "is the reservation's")?;
                    Ok(ItemWish::Reservation(id))
                }
                None => journey(&field, item).map(ItemWish::Journey),
            }
        }
        "package" => {
            none_of(&of_journeys, "belongs to journeys")?;
            none_of(&[("reservationId", item.reservation_id.is_some())], "belongs to journeys")?;
            package(&field, item).map(ItemWish::Package)
        }
        _ => Err(Problem::field(field("kind"), "is neither journey nor package")),
    }
}

fn journey(field: &impl Fn(&str) -> String, item: &NewItem<'_>) -> Result<JourneyWish, Problem> {
    let departure = code(field, "departureId", "departure id", item.departure_id.as_deref())?;
    let class = code(field, "seatClass", "seat class", item.seat_class.as_deref())?;
    let seats = seat_wish(field, item.seat_numbers.as_deref())?;
    Ok(JourneyWish { departure, class, board: item.board_stop, alight: item.alight_stop, seats })
}

fn package(field: &impl Fn(&str) -> String, item: &NewItem<'_>) -> Result<PackageWish, Problem> {
    let date = |text: &str| parse_date(field("serviceDate"), text);
    let journeys = item.journeys.as_deref().unwrap_or_default();
    let included = |(number, journey): (usize, &NewIncluded<'_>)| {
        let field = |name: &str| field(&format!("journeys[{number}].{name}"));
        Ok(IncludedWish {
            departure: code(&field, "departureId", "departure id", Some(&journey.departure_id))?,
            class: match journey.seat_class.as_deref() {
                Some(class) => Some(code(&field, "seatClass", "seat class", Some(class))?),
                None => None,
            },
            seats: seat_wish(&field, journey.seat_numbers.as_deref())?,
        })
    };
    Ok(PackageWish {
        template: code(field, "templateId", "template id", item.template_id.as_deref())?,
        service_date: item.service_date.as_deref().map(date).transpose()?,
        quantity: item.quantity.unwrap_or(1),
        journeys: journeys.iter().enumerate().map(included).collect::<Result<_, Problem>>()?,
    })
}

/// A code, or what is wrong with it.
fn code<T: FromStr>(
    field: &impl Fn(&str) -> String,
    name: &str,
    what: &str,
    given: Option<&str>,
) -> Result<T, Problem> {
    let given = given.ok_or_else(|| Problem::field(field(name), "is missing"))?;
    given.parse().map_err(|_| Problem::field(field(name), format!("is no {what}")))
}

fn promotion(given: &str) -> Result<PromotionCode, Problem> {
    given.parse().map_err(|_| Problem::field("promotionCode", "is no promotion code"))
}

fn seat_wish(field: &impl Fn(&str) -> String, given: Option<&[Text<'_>]>) -> Result<SeatWish, Problem> {
    match given {
        None => Ok(SeatWish::Any),
        Some(labels) => Ok(SeatWish::Chosen(seat_labels(&|| field("seatNumbers"), labels)?)),
    }
}

pub(super) fn seat_labels(field: &impl Fn() -> String, labels: &[Text<'_>]) -> Result<Vec<Box<str>>, Problem> {
    if labels.len() > usize::from(PARTY_MAX) {
        return Err(Problem::field(field(), "one seat for every passenger"));
    }
    let label = |(index, label): (usize, &Text<'_>)| {
        let fits = is_visible_ascii(label, CODE_LEN_MAX);
        if fits { Ok(Box::from(&**label)) } else { Err(Problem::field(format!("{}[{index}]", field()), "is no seat")) }
    };
    labels.iter().enumerate().map(label).collect()
}

fn passenger(index: usize, given: &NewPassenger<'_>, keys: &DocumentKeys) -> Result<Passenger, Problem> {
    let field = |name: &str| format!("passengers[{index}].{name}");
    let kind = given.kind.parse().map_err(|_| Problem::field(field("type"), "is none of adult, child, senior"))?;
    let name = person_name(|| field("name").into(), &given.name)?;
    let document = given.document.as_ref().map(|document| sealed(&field, document, keys)).transpose()?;
    Ok(Passenger { name, kind, document })
}

fn sealed(
    field: &impl Fn(&str) -> String,
    document: &NewDocument<'_>,
    keys: &DocumentKeys,
) -> Result<SealedDocument, Problem> {
    let code = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !(1..=CODE_LEN_MAX).contains(&document.kind.len()) || !document.kind.bytes().all(code) {
        return Err(Problem::field(field("document.type"), "is no kind of document, such as passport"));
    }
    let number = document.number.trim();
    if text::is_blank(number) || number.len() > DOCUMENT_NUMBER_LEN_MAX || text::has_controls(number) {
        let message = format!("is not 1 to {DOCUMENT_NUMBER_LEN_MAX} bytes without control characters");
        return Err(Problem::field(field("document.number"), message));
    }
    Ok(seal_document(keys, &document.kind, number, secret_bytes()))
}

#[cfg(test)]
mod tests {
    use deeptravel_domain::ids::Shard;
    use deeptravel_domain::reservation::ReservationId;
    use deeptravel_domain::time::Timestamp;
    use serde_json::{Value, json};

    use super::*;
    use crate::api::frame::parse_json;

    fn request() -> Value {
        json!({
            "items": [{"kind": "journey", "departureId": "R1-0800.20261224", "seatClass": "standard"}],
            "passengers": [{"name": " 陈大文 ", "type": "adult", "document": {"type": "passport", "number": "E1234567"}}],
            "contact": {"name": "陈大文", "phone": "+852 5555 0123"}
        })
    }

    fn wish(request: &Value) -> Result<Wish, Problem> {
        wish_of(&request.to_string())
    }

    fn wish_of(text: &str) -> Result<Wish, Problem> {
        let keys = DocumentKeys::new([(1, [7; 32])]).unwrap();
        let key = IdempotencyKey("k".into());
        parse_json::<NewOrder<'_>>(text.as_bytes())?.into_wish(TravellerId::from_bits(1), key, &keys)
    }

    #[test]
    fn a_wish_has_trimmed_names_and_no_document_number_in_clear() {
        let wish = wish(&request()).unwrap();
        let passenger = &wish.passengers[0];
        assert_eq!(&*passenger.name, "陈大文");
        assert_eq!(&*passenger.document.as_ref().unwrap().mask, "****4567");
        assert!(!format!("{wish:?}").contains("E1234567"));
        assert_eq!(&*wish.locale, "zh-CN");
    }

    #[test]
    fn fault_17_a_pasted_telephone_number_is_kept_as_it_is_dialled() {
        let mut request = request();
        request["contact"]["phone"] = json!("\u{202a}＋８５２\u{a0}5555\u{2011}0123\u{202c}");
        assert_eq!(&*wish(&request).unwrap().contact.phone, "+852 5555-0123");
    }

    #[test]
    fn r_hold_05_the_same_request_has_the_same_hash_however_it_is_written() {
        let first = wish(&request()).unwrap().body_hash;
        assert_eq!(wish(&request()).unwrap().body_hash, first, "although it is sealed anew");
        let pretty = serde_json::to_string_pretty(&request()).unwrap();
        assert_eq!(wish_of(&pretty).unwrap().body_hash, first);
        let escaped = request().to_string().replace('陈', "\\u9648").replace("passport", "p\\u0061ssport");
        assert_eq!(wish_of(&escaped).unwrap().body_hash, first);
        let mut null = request();
        null["items"][0]["boardStop"] = json!(null);
        null["locale"] = json!(null);
        assert_eq!(wish(&null).unwrap().body_hash, first);
        let backwards = r#"{"contact": {"phone": "+852 5555 0123", "name": "陈大文"}, "passengers":
            [{"document": {"number": "E1234567", "type": "passport"}, "type": "adult", "name": " 陈大文 "}],
            "items": [{"seatClass": "standard", "departureId": "R1-0800.20261224", "kind": "journey"}]}"#;
        assert_eq!(wish_of(backwards).unwrap().body_hash, first);
    }

    #[test]
    fn r_hold_05_another_request_has_another_hash_whatever_differs() {
        let item = |class: &str| json!({"kind": "journey", "departureId": "R1-0800.20261224", "seatClass": class});
        let cases = [
            ("/items/0/departureId", json!("R1-0800.20261225")),
            ("/items/0/seatClass", json!("deluxe")),
            ("/items/0/boardStop", json!(1)),
            ("/items/0/alightStop", json!(1)),
            ("/items/0/seatNumbers", json!([])),
            ("/items/0/seatNumbers", json!(["1A", "2B"])),
            ("/items/0/seatNumbers", json!(["1A2", "B"])),
            ("/items", json!([item("standard"), item("standard")])),
            ("/items", json!([item("standard"), item("deluxe")])),
            ("/items", json!([item("deluxe"), item("standard")])),
            ("/passengers/0/name", json!("陈大文")),
            ("/passengers/0/type", json!("senior")),
            ("/passengers/0/document", json!(null)),
            ("/passengers/0/document/type", json!("passpor")),
            ("/passengers/0/document/number", json!("tE1234567")),
            ("/passengers/0/document/number", json!("E1234568")),
            ("/contact/name", json!("陈大")),
            ("/contact/phone", json!("+852 5555 0124")),
            ("/contact/email", json!("tai@example.com")),
            ("/promotionCode", json!("SPRING")),
            ("/promotionCode", json!("spring")),
            ("/locale", json!("zh-CN")),
            ("/locale", json!("en")),
        ];
        let mut hashes = vec![wish(&request()).unwrap().body_hash];
        for (pointer, value) in cases {
            let mut request = request();
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            request.pointer_mut(parent).unwrap()[name] = value.clone();
            let hash = wish(&request).unwrap().body_hash;
            assert!(!hashes.contains(&hash), "{pointer} {value}");
            hashes.push(hash);
        }
    }

    #[test]
    fn fault_17_a_service_date_is_a_day_and_no_instant() {
        let package = |date: &str| json!([{ "kind": "package", "templateId": "p", "serviceDate": date }]);
        let mut request = request();
        for date in ["2026-12-24T10:00:00Z", "2026-12-24T10:00", "20261224", "+002026-12-24"] {
            request["items"] = package(date);
            assert_eq!(wish(&request).unwrap_err().errors()[0].field, "items[0].serviceDate", "{date}");
        }
        request["items"] = package("2026-12-24");
        assert!(wish(&request).is_ok());
    }

    #[test]
    fn fault_17_what_is_wrong_is_named_with_its_path() {
        let departure = "R1-0800.20261224".parse().unwrap();
        let (at, shard) = (Timestamp::from_ms(1_795_147_200_000), Shard::of(1));
        let reservation = ReservationId::compose(at, shard, 1, TravellerId::from_bits(1), departure).to_string();
        let cases: [(&str, Value, &str); 32] = [
            ("/items", json!([]), "items"),
            ("/items/0/kind", json!("package"), "items[0].departureId"),
            ("/items", json!([{"kind": "package"}]), "items[0].templateId"),
            ("/items", json!([{"kind": "package", "templateId": "p", "serviceDate": "soon"}]), "items[0].serviceDate"),
            ("/items", json!([{"kind": "package", "templateId": "p", "boardStop": 1}]), "items[0].boardStop"),
            (
                "/items",
                json!([{"kind": "package", "templateId": "p", "journeys": [{"departureId": "a b"}]}]),
                "items[0].journeys[0].departureId",
            ),
            ("/items/0/kind", json!("rocket"), "items[0].kind"),
            ("/items/0/reservationId", json!("r"), "items[0].reservationId"),
            ("/items/0/reservationId", json!(reservation), "items[0].departureId"),
            ("/items/0/quantity", json!(1), "items[0].quantity"),
            ("/items/0/departureId", json!("a b"), "items[0].departureId"),
            ("/items/0/departureId", json!(null), "items[0].departureId"),
            ("/items/0/boardStop", json!(300), "items[0].boardStop"),
            ("/items/0/seatNumbers", json!(["1A", "\u{0}"]), "items[0].seatNumbers[1]"),
            ("/passengers", json!([]), "passengers"),
            ("/passengers/0/type", json!("infant"), "passengers[0].type"),
            ("/passengers/0/name", json!("a\u{0}b"), "passengers[0].name"),
            ("/passengers/0/name", json!("   "), "passengers[0].name"),
            ("/passengers/0/name", json!("\u{200b}\u{3164}"), "passengers[0].name"),
            ("/passengers/0/name", json!("Mei \u{202e}nahC"), "passengers[0].name"),
            ("/passengers/0/document/number", json!("\u{2060}"), "passengers[0].document.number"),
            ("/passengers/0/document/number", json!("E12\u{202e}34"), "passengers[0].document.number"),
            ("/contact/name", json!("\u{feff}"), "contact.name"),
            ("/contact/phone", json!("+852\t55550123"), "contact.phone"),
            ("/contact/email", json!("mei\u{202e}@example.org"), "contact.email"),
            ("/passengers/0/document/number", json!(""), "passengers[0].document.number"),
            ("/passengers/0/document/type", json!("护照"), "passengers[0].document.type"),
            ("/contact/phone", json!("call me"), "contact.phone"),
            ("/contact/email", json!("nobody"), "contact.email"),
            ("/contact/fax", json!("1"), "contact.fax"),
            ("/promotionCode", json!("10 %"), "promotionCode"),
            ("/locale", json!("fr"), "locale"),
        ];
        for (pointer, value, field) in cases {
            let mut request = request();
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            let parent = request.pointer_mut(parent).unwrap();
            parent[name.parse::<usize>().map_or(name, |_| name)] = value;
            let problem = wish(&request).unwrap_err();
            assert_eq!(problem.errors()[0].field, field, "{pointer}");
            assert_eq!(problem.status().as_u16(), 422);
        }
    }
}

//! The body of `POST /orders`, and the wish that it becomes. Texts are checked for length and for characters that no
//! name has, so that nothing behind this point can be refused by the journal or by Postgres (rule 8).

use deeptravel_domain::ids::{DepartureId, TravellerId};
use deeptravel_domain::order::{Contact, ITEMS_MAX, JourneyWish, Passenger, SealedDocument, SeatWish, Wish};
use deeptravel_domain::party::{PARTY_MAX, PassengerType};
use deeptravel_domain::sealing::{DOCUMENT_NUMBER_LEN_MAX, DocumentKeys, seal_document};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Problem;
use super::auth::{secret_bytes, sha256};

/// Longest name of a person, in characters: the longest field of a travel document has fewer.
const NAME_CHARS_MAX: usize = 64;
/// Longest telephone number, in characters: 15 digits (E.164) with separators.
const PHONE_CHARS_MAX: usize = 32;
/// Longest mail address, in bytes (RFC 5321).
const EMAIL_LEN_MAX: usize = 254;
/// Longest kind of document and label of a seat, in bytes.
const CODE_LEN_MAX: usize = 32;
/// Languages that messages can have; the first is the default.
const LOCALES: [&str; 3] = ["zh-CN", "zh-HK", "en"];

/// A new order.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewOrder {
    /// Every item seats every passenger.
    #[schema(min_items = 1, max_items = 4)]
    items: Vec<NewItem>,
    #[schema(min_items = 1, max_items = 10)]
    passengers: Vec<NewPassenger>,
    contact: NewContact,
    /// There are none yet.
    promotion_code: Option<String>,
    /// Language of messages: `zh-CN` (default), `zh-HK` or `en`.
    #[schema(example = "zh-HK", pattern = "^(zh-CN|zh-HK|en)$")]
    locale: Option<String>,
}

/// A journey. Packages and earlier reservations are not sold yet.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"kind": "journey", "departureId": "GZ-HKA-0830.20261224", "seatClass": "standard"}))]
struct NewItem {
    /// `journey`.
    #[schema(pattern = "^journey$")]
    kind: String,
    departure_id: Option<String>,
    seat_class: Option<String>,
    /// The first stop without it.
    board_stop: Option<u8>,
    /// The last stop without it.
    alight_stop: Option<u8>,
    /// One for every passenger; without it any seats, together where possible.
    seat_numbers: Option<Vec<String>>,
    /// Not yet.
    reservation_id: Option<String>,
    /// Not yet.
    template_id: Option<String>,
    /// Not yet.
    service_date: Option<String>,
    /// Not yet.
    quantity: Option<u16>,
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "陈大文", "type": "adult"}))]
struct NewPassenger {
    #[schema(min_length = 1, max_length = 64)]
    name: String,
    /// `adult`, `child` or `senior`.
    #[serde(rename = "type")]
    #[schema(pattern = "^(adult|child|senior)$")]
    kind: String,
    document: Option<NewDocument>,
}

/// A travel document. Its number is encrypted at once; answers show a mask.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewDocument {
    #[serde(rename = "type")]
    #[schema(example = "passport", min_length = 1, max_length = 32)]
    kind: String,
    #[schema(min_length = 1, max_length = 128)]
    number: String,
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewContact {
    #[schema(min_length = 1, max_length = 64)]
    name: String,
    #[schema(example = "+852 5555 0123", max_length = 32, pattern = "^[-+() 0-9]+$")]
    phone: String,
    #[schema(max_length = 254, pattern = "^[^@ ]+@[^@ ]+[.][^@ ]+$")]
    email: Option<String>,
}

/// Who asks, and with which key.
#[derive(Debug)]
pub struct Asker {
    pub traveller: TravellerId,
    pub idempotency_key: Box<str>,
}

impl NewOrder {
    /// The request with its fields understood and its documents sealed. Errors name the field.
    pub fn into_wish(self, asker: Asker, keys: &DocumentKeys) -> Result<Wish, Problem> {
        if self.promotion_code.is_some() {
            return Err(Problem::field("promotionCode", "there is no such promotion"));
        }
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
        let body_hash = self.hash();
        let journeys =
            self.items.iter().enumerate().map(|(index, item)| journey(index, item)).collect::<Result<_, _>>()?;
        let passengers = self.passengers.iter().enumerate();
        let passengers = passengers.map(|(index, given)| passenger(index, given, keys)).collect::<Result<_, _>>()?;
        Ok(Wish {
            traveller: asker.traveller,
            idempotency_key: asker.idempotency_key,
            body_hash,
            locale: locale.into(),
            contact: contact(&self.contact)?,
            passengers,
            journeys,
        })
    }

    /// SHA-256 of the request as understood: spaces and the order of fields make no other request.
    fn hash(&self) -> [u8; 32] {
        sha256(&serde_json::to_vec(self).expect("strings and integers always serialise"))
    }
}

fn journey(index: usize, item: &NewItem) -> Result<JourneyWish, Problem> {
    let field = |name: &str| format!("items[{index}].{name}");
    match item.kind.as_str() {
        "journey" => {}
        "package" => return Err(Problem::field(field("kind"), "packages are not sold yet")),
        _ => return Err(Problem::field(field("kind"), "is neither journey nor package")),
    }
    if item.reservation_id.is_some() {
        return Err(Problem::field(field("reservationId"), "journeys from reservations are not sold yet"));
    }
    let package_only = [
        ("templateId", item.template_id.is_some()),
        ("serviceDate", item.service_date.is_some()),
        ("quantity", item.quantity.is_some()),
    ];
    if let Some((name, _)) = package_only.into_iter().find(|(_, given)| *given) {
        return Err(Problem::field(field(name), "belongs to packages"));
    }
    let text = |name: &'static str, value: &Option<String>| {
        value.clone().ok_or_else(|| Problem::field(field(name), "is missing"))
    };
    let departure: DepartureId = text("departureId", &item.departure_id)?
        .parse()
        .map_err(|_| Problem::field(field("departureId"), "is no departure id"))?;
    let class = text("seatClass", &item.seat_class)?
        .parse()
        .map_err(|_| Problem::field(field("seatClass"), "is no seat class"))?;
    let seats = match &item.seat_numbers {
        None => SeatWish::Any,
        Some(labels) => SeatWish::Chosen(seat_labels(&field("seatNumbers"), labels)?),
    };
    Ok(JourneyWish { departure, class, board: item.board_stop, alight: item.alight_stop, seats })
}

fn seat_labels(field: &str, labels: &[String]) -> Result<Vec<Box<str>>, Problem> {
    if labels.len() > usize::from(PARTY_MAX) {
        return Err(Problem::field(field.to_owned(), "one seat for every passenger"));
    }
    let label = |(index, label): (usize, &String)| {
        let fits = (1..=CODE_LEN_MAX).contains(&label.len()) && label.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(label.as_str().into()) } else { Err(Problem::field(format!("{field}[{index}]"), "is no seat")) }
    };
    labels.iter().enumerate().map(label).collect()
}

fn passenger(index: usize, given: &NewPassenger, keys: &DocumentKeys) -> Result<Passenger, Problem> {
    let field = |name: &str| format!("passengers[{index}].{name}");
    let kind: PassengerType =
        given.kind.parse().map_err(|_| Problem::field(field("type"), "is none of adult, child, senior"))?;
    let name = person_name(field("name"), &given.name)?;
    let document = given.document.as_ref().map(|document| sealed(&field, document, keys)).transpose()?;
    Ok(Passenger { name, kind, document })
}

fn sealed(
    field: &impl Fn(&str) -> String,
    document: &NewDocument,
    keys: &DocumentKeys,
) -> Result<SealedDocument, Problem> {
    let code = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !(1..=CODE_LEN_MAX).contains(&document.kind.len()) || !document.kind.bytes().all(code) {
        return Err(Problem::field(field("document.type"), "is no kind of document, such as passport"));
    }
    let number = document.number.trim();
    if !(1..=DOCUMENT_NUMBER_LEN_MAX).contains(&number.len()) || number.chars().any(char::is_control) {
        let message = format!("is not 1 to {DOCUMENT_NUMBER_LEN_MAX} bytes without control characters");
        return Err(Problem::field(field("document.number"), message));
    }
    Ok(seal_document(keys, &document.kind, number, secret_bytes()))
}

fn contact(given: &NewContact) -> Result<Contact, Problem> {
    let name = person_name("contact.name".to_owned(), &given.name)?;
    let phone = given.phone.trim();
    let of_a_number = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | ' ' | '(' | ')');
    let digits = phone.chars().filter(char::is_ascii_digit).count();
    if phone.len() > PHONE_CHARS_MAX || digits < 3 || !phone.chars().all(of_a_number) {
        return Err(Problem::field("contact.phone", "is no telephone number"));
    }
    let email = given.email.as_deref().map(mail_address).transpose()?;
    Ok(Contact { name, phone: phone.into(), email })
}

fn person_name(field: String, given: &str) -> Result<Box<str>, Problem> {
    let name = given.trim();
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        let message = format!("is not 1 to {NAME_CHARS_MAX} characters without control characters");
        return Err(Problem::field(field, message));
    }
    Ok(name.into())
}

/// Only what cannot be an address is refused; whether it is one, mail will show.
fn mail_address(given: &str) -> Result<Box<str>, Problem> {
    let parts = given.split_once('@');
    let plausible = parts.is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.'));
    let clean = given.chars().all(|c| !c.is_control() && !c.is_whitespace());
    if plausible && clean && given.len() <= EMAIL_LEN_MAX {
        return Ok(given.into());
    }
    Err(Problem::field("contact.email", "is no mail address"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::extract::parse_json;

    fn request() -> Value {
        json!({
            "items": [{"kind": "journey", "departureId": "R1-0800.20261224", "seatClass": "standard"}],
            "passengers": [{"name": " 陈大文 ", "type": "adult", "document": {"type": "passport", "number": "E1234567"}}],
            "contact": {"name": "陈大文", "phone": "+852 5555 0123"}
        })
    }

    fn wish(request: &Value) -> Result<Wish, Problem> {
        let keys = DocumentKeys::new([(1, [7; 32])]).unwrap();
        let asker = Asker { traveller: TravellerId::from_bits(1), idempotency_key: "k".into() };
        let order: NewOrder = parse_json(request.to_string().as_bytes())?;
        order.into_wish(asker, &keys)
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
    fn r_hold_05_the_same_request_has_the_same_hash_and_another_one_another() {
        let first = wish(&request()).unwrap();
        assert_eq!(wish(&request()).unwrap().body_hash, first.body_hash, "although it is sealed anew");
        let mut other = request();
        other["passengers"][0]["document"]["number"] = json!("E1234568");
        assert_ne!(wish(&other).unwrap().body_hash, first.body_hash);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_path() {
        let cases: [(&str, Value, &str); 20] = [
            ("/items", json!([]), "items"),
            ("/items/0/kind", json!("package"), "items[0].kind"),
            ("/items/0/kind", json!("rocket"), "items[0].kind"),
            ("/items/0/reservationId", json!("r"), "items[0].reservationId"),
            ("/items/0/quantity", json!(1), "items[0].quantity"),
            ("/items/0/departureId", json!("a b"), "items[0].departureId"),
            ("/items/0/departureId", json!(null), "items[0].departureId"),
            ("/items/0/boardStop", json!(300), "items[0].boardStop"),
            ("/items/0/seatNumbers", json!(["1A", "\u{0}"]), "items[0].seatNumbers[1]"),
            ("/passengers", json!([]), "passengers"),
            ("/passengers/0/type", json!("infant"), "passengers[0].type"),
            ("/passengers/0/name", json!("a\u{0}b"), "passengers[0].name"),
            ("/passengers/0/name", json!("   "), "passengers[0].name"),
            ("/passengers/0/document/number", json!(""), "passengers[0].document.number"),
            ("/passengers/0/document/type", json!("护照"), "passengers[0].document.type"),
            ("/contact/phone", json!("call me"), "contact.phone"),
            ("/contact/email", json!("nobody"), "contact.email"),
            ("/contact/fax", json!("1"), "contact.fax"),
            ("/promotionCode", json!("SPRING"), "promotionCode"),
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

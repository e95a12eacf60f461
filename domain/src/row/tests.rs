//! What a row is worth: it comes back as it was, in the format that prost has written since the first release.

use prost::Message as _;

use super::{Damage, First, List, Mark, Numbers, Raw, Row as _, Rows, Table};
use crate::money::{Currency, Money};
use crate::row;
use crate::time::Timestamp;

row! {
    /// One field of every kind.
    pub struct SampleRow<'a>: 9 "samples", First::Marked(30);
    1 code [Key]: &'a str,
    2 version: u64,
    3 day: jiff::civil::Date,
    4 small: u16,
    5 signed: i64,
    6 at: Timestamp,
    7 is_open: bool,
    8 hash [Hidden]: [u8; 32],
    9 note: Option<&'a str>,
    10 count: Option<u32>,
    11 names: List<'a, String>,
    12 numbers: Numbers,
    13 price: Option<Money>,
    14 prices [Compact]: List<'a, Money>,
}

/// The same, as earlier releases wrote it.
#[derive(Clone, PartialEq, prost::Message)]
struct Earlier {
    #[prost(string, tag = "1")]
    code: String,
    #[prost(uint64, tag = "2")]
    version: u64,
    #[prost(string, tag = "3")]
    day: String,
    #[prost(uint32, tag = "4")]
    small: u32,
    #[prost(int64, tag = "5")]
    signed: i64,
    #[prost(int64, tag = "6")]
    at: i64,
    #[prost(bool, tag = "7")]
    is_open: bool,
    #[prost(bytes = "vec", tag = "8")]
    hash: Vec<u8>,
    #[prost(string, optional, tag = "9")]
    note: Option<String>,
    #[prost(uint32, optional, tag = "10")]
    count: Option<u32>,
    #[prost(string, repeated, tag = "11")]
    names: Vec<String>,
    #[prost(uint32, repeated, tag = "12")]
    numbers: Vec<u32>,
    #[prost(message, optional, tag = "13")]
    price: Option<EarlierMoney>,
    #[prost(message, repeated, tag = "14")]
    prices: Vec<EarlierMoney>,
    #[prost(bool, tag = "30")]
    first: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct EarlierMoney {
    #[prost(int64, tag = "1")]
    amount: i64,
    #[prost(string, tag = "2")]
    currency: String,
}

const PRICES: [Money; 2] = [Money::new(-5, Currency::Hkd), Money::new(0, Currency::Cny)];

fn sample<'a>(names: &'a [String], prices: &'a [Money]) -> SampleRow<'a> {
    SampleRow {
        code: "線路",
        version: 300,
        day: jiff::civil::date(2026, 12, 24),
        small: 65_535,
        signed: -1,
        at: Timestamp::from_ms(1_795_147_200_123),
        is_open: true,
        hash: [7; 32],
        note: Some(""),
        count: Some(0),
        names: List::Of(names),
        numbers: Numbers(vec![0, 300, u32::MAX]),
        price: Some(PRICES[0]),
        prices: List::Of(prices),
    }
}

fn earlier(first: bool) -> Earlier {
    let money = |price: Money| EarlierMoney { amount: price.minor, currency: price.currency.code().to_owned() };
    Earlier {
        code: "線路".to_owned(),
        version: 300,
        day: "2026-12-24".to_owned(),
        small: 65_535,
        signed: -1,
        at: 1_795_147_200_123,
        is_open: true,
        hash: vec![7; 32],
        note: Some(String::new()),
        count: Some(0),
        names: vec!["x".repeat(200), String::new()],
        numbers: vec![0, 300, u32::MAX],
        price: Some(money(PRICES[0])),
        prices: PRICES.map(money).to_vec(),
        first,
    }
}

fn image(row: &SampleRow<'_>) -> Vec<u8> {
    let mut image = Vec::new();
    row.put(&mut image);
    image
}

#[test]
fn rule_23_a_row_is_written_and_read_as_every_release_has_done() {
    let names = ["x".repeat(200), String::new()];
    let row = sample(&names, &PRICES);
    assert_eq!(image(&row), earlier(false).encode_to_vec());
    assert_eq!(SampleRow::read(&earlier(true).encode_to_vec()).unwrap(), row, "a mark is no part of the row");

    let mut rows = Rows::default();
    rows.put_first(&row);
    let first = rows.images_of(SampleRow::TABLE).next().unwrap();
    assert_eq!(first, earlier(true).encode_to_vec());
    assert_eq!(SampleRow::TABLE.is_first(first), Ok(true));
    assert_eq!(SampleRow::TABLE.unmarked(first).unwrap(), earlier(false).encode_to_vec());
}

row! {
    /// It has got a column after its marks.
    pub struct GrownRow<'a>: 10 "grown", First::Marked(3);
    1 code [Key]: &'a str,
    2 version: u64,
    4 note: Option<&'a str>,
}

#[test]
fn rule_23_a_column_that_came_after_the_mark_stands_behind_it() {
    for note in [Some("new"), None] {
        let row = GrownRow { code: "a", version: 1, note };
        let (mut marked, mut plain) = (Rows::default(), Rows::default());
        marked.put_first(&row);
        plain.put(&row);
        let image = marked.images_of(GrownRow::TABLE).next().unwrap();
        assert_eq!(GrownRow::read(image).unwrap(), row);
        assert_eq!(GrownRow::TABLE.is_first(image), Ok(true));
        let unmarked = GrownRow::TABLE.unmarked(image).unwrap();
        assert_eq!(Some(&unmarked[..]), plain.images_of(GrownRow::TABLE).next());
    }
}

#[test]
fn what_was_left_out_is_read_as_nothing() {
    let bare = Earlier { code: "a".into(), day: "2026-01-01".into(), hash: vec![0; 32], ..Earlier::default() };
    let bytes = bare.encode_to_vec();
    let row = SampleRow::read(&bytes).unwrap();
    assert_eq!((row.version, row.small, row.note, row.count, row.price), (0, 0, None, None, None));
    assert_eq!((row.names.to_vec(), row.numbers), (Vec::<String>::new(), Numbers::default()));
}

#[test]
fn fields_of_other_releases_are_passed_and_fields_that_do_not_rise_are_damage() {
    let mut bytes = earlier(false).encode_to_vec();
    super::write::number(99, 1, &mut bytes);
    assert!(SampleRow::read(&bytes).is_ok());
    super::write::number(2, 1, &mut bytes);
    assert!(SampleRow::read(&bytes).is_err(), "an earlier field would be missed");
}

#[test]
fn damage_names_table_key_and_column_but_no_value() {
    let damaged = |change: fn(&mut Earlier)| {
        let mut row = earlier(false);
        change(&mut row);
        SampleRow::read(&row.encode_to_vec()).unwrap_err().to_string()
    };
    assert_eq!(damaged(|row| row.day = "Christmas".into()), "row 線路 of samples: day cannot be read");
    assert_eq!(damaged(|row| row.small = 65_536), "row 線路 of samples: small cannot be read");
    assert_eq!(damaged(|row| row.hash.truncate(31)), "row 線路 of samples: hash cannot be read");
    assert_eq!(damaged(|row| row.prices[1].currency = "XYZ".into()), "row 線路 of samples: prices cannot be read");

    let bytes = earlier(false).encode_to_vec();
    for cut in 0..bytes.len() {
        let read: Result<SampleRow<'_>, Damage> = SampleRow::read(&bytes[..cut]);
        // Cut between two fields it may be a shorter row; within one it never is.
        assert!(read.is_err() || Earlier::decode(&bytes[..cut]).is_ok(), "{cut}");
    }
}

#[test]
fn rows_of_several_records_are_rows_and_hold_only_whole_ones() {
    let mut rows = Rows::default();
    rows.put(&sample(&[], &[]));
    let mut both = rows.clone();
    both.extend(&rows);
    assert_eq!(both.images_of(SampleRow::TABLE).count(), 2);
    let bytes = both.into_bytes();
    assert!(Rows::from_bytes(bytes[..bytes.len() - 1].to_vec()).is_err());
    assert!(Rows::from_bytes(bytes).is_ok());
}

#[test]
fn the_declaration_says_what_a_column_is() {
    let table: &Table = SampleRow::TABLE;
    let hidden: Vec<_> = table.columns.iter().filter(|column| column.is(Mark::Hidden)).map(|c| c.name).collect();
    let nullable: Vec<_> = table.columns.iter().filter(|column| column.nullable).map(|c| c.name).collect();
    assert_eq!((hidden, nullable), (vec!["hash"], vec!["note", "count", "price"]));
    assert_eq!(table.key_text(&image(&sample(&[], &[]))), "線路");
}

#[test]
fn parts_are_json_in_a_column_and_come_back_from_it() {
    let names = ["a \"quoted\" 名".to_owned()];
    let image = image(&sample(&names, &PRICES));
    let column = |name: &str| SampleRow::TABLE.column(name).unwrap();
    for (name, json) in [
        ("names", r#"["a \"quoted\" 名"]"#),
        ("numbers", "[0,300,4294967295]"),
        ("price", r#"{"amount":-5,"currency":"HKD"}"#),
        ("prices", r#"[[-5,"HKD"],[0,"CNY"]]"#),
    ] {
        let mut out = Vec::new();
        column(name).put_json(&mut super::Message::new(&image), &mut out).unwrap();
        assert_eq!(String::from_utf8(out.clone()).unwrap(), json);
        let mut field = Vec::new();
        column(name).take_json(&serde_json::from_slice(&out).unwrap(), &mut field).unwrap();
        let mut alone = super::Message::new(&image);
        let mut stored = Vec::new();
        let mut fields = super::Message::new(alone.take_all(column(name).tag).unwrap());
        while let Some((tag, raw)) = fields.next_field().unwrap() {
            raw.put(tag, &mut stored);
        }
        // A value that is the default of its kind may stand there or not.
        assert_eq!(field.len().max(stored.len()) - field.len().min(stored.len()), if name == "prices" { 2 } else { 0 });
    }
    for (name, json) in [("names", "[1]"), ("numbers", "[-1]"), ("price", r#"{"amount":1}"#), ("prices", "{}")] {
        let value = serde_json::from_str(json).unwrap();
        assert_eq!(column(name).take_json(&value, &mut Vec::new()), Err(super::Unreadable), "{name}");
    }
}

#[test]
fn r_admin_11_people_see_a_row_without_what_is_hidden() {
    let json = SampleRow::TABLE.to_json(&image(&sample(&[], &PRICES[..1]))).unwrap();
    let row: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(row.get("hash"), None);
    assert_eq!((&row["version"], &row["signed"], &row["is_open"]), (&300.into(), &(-1).into(), &true.into()));
    assert_eq!((&row["at"], &row["note"]), (&"2026-11-20T04:00:00.123Z".into(), &"".into()));
    assert_eq!(row["price"]["amount"], -5);
}

/// A stored row with another value, or none, in a column: for stories about damage.
pub fn altered(table: &Table, image: &[u8], column: &str, value: Option<Raw<'_>>) -> Vec<u8> {
    let column = table.column(column).unwrap();
    let (mut message, mut out) = (super::Message::new(image), Vec::new());
    let mut value = value.map(|value| move |out: &mut Vec<u8>| value.put(column.tag, out));
    while let Some((tag, raw)) = message.next_field().unwrap() {
        if tag >= column.tag
            && let Some(put) = value.take()
        {
            put(&mut out);
        }
        if tag != column.tag {
            raw.put(tag, &mut out);
        }
    }
    if let Some(put) = value.take() {
        put(&mut out);
    }
    out
}

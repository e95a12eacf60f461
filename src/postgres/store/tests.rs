//! Every table at once: what is written is read back, field by field, and only newer images overwrite.
//!
//! The rows are made from nothing but their types: prost messages are grown tag by tag, trying for each tag what its
//! field accepts. A field added to a row or forgotten in a statement is noticed here without further words.

use std::fmt::Debug;

use bytes::BytesMut;
use futures_util::SinkExt as _;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};

use deeptravel_actors::rows::QuarantineRow;
use deeptravel_domain::catalogue::rows::*;
use deeptravel_domain::identity::rows::*;
use deeptravel_domain::inventory::rows::*;
use deeptravel_domain::order::rows::*;

use super::load::rows;
use super::table::{Image, Table, newest};
use super::wire::{Copy, Upsert};
use crate::postgres::{Database, Lane, Session};
use crate::testing::fresh_database;

/// Tags of the largest row and some more.
const TAGS: u32 = 24;

/// A message in which every field has a value of its own, and repeated ones two. `accepts` says whether it can be read.
fn grow(accepts: &dyn Fn(&[u8]) -> bool) -> Vec<(u32, Vec<u8>)> {
    let mut fields: Vec<(u32, Vec<u8>)> = Vec::new();
    for tag in 1..=TAGS {
        let message = concat(&fields);
        let candidates = [
            (0..2).flat_map(|nth| number(tag, nth)).collect::<Vec<u8>>(),
            // A date, because some texts have to be one.
            (0..2)
                .flat_map(|nth| bytes(tag, format!("20{:02}-{:02}-{tag:02}", 26 + nth, 11 - nth).as_bytes()))
                .collect(),
        ];
        let readable = |candidate: &[u8]| accepts(&[&message, candidate].concat());
        let found = candidates.into_iter().find(|candidate| readable(candidate));
        let found = found.unwrap_or_else(|| {
            let part = concat(&grow(&|part| readable(&bytes(tag, part))));
            [bytes(tag, &part), bytes(tag, &[])].concat()
        });
        assert!(readable(&found), "no value for tag {tag}");
        fields.push((tag, found));
    }
    fields
}

fn number(tag: u32, nth: u64) -> Vec<u8> {
    let mut out = Vec::new();
    encode_key(tag, WireType::Varint, &mut out);
    encode_varint(u64::from(tag) * 100 + nth, &mut out);
    out
}

fn bytes(tag: u32, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_key(tag, WireType::LengthDelimited, &mut out);
    encode_varint(value.len() as u64, &mut out);
    out.extend_from_slice(value);
    out
}

fn concat(fields: &[(u32, Vec<u8>)]) -> Vec<u8> {
    fields.iter().flat_map(|(_, field)| field.clone()).collect()
}

/// A row with everything in it, and an older one with the same key and as little as can be stored.
fn full_and_bare<T: Table + Message + Default + Clone>() -> (T, T) {
    let mut fields = grow(&|message| T::decode(message).is_ok());
    // The mark of a first image is on its way to the table only.
    let is_mark = |field: &[u8]| T::decode(field).is_ok_and(|row| row.is_first() != T::default().is_first());
    fields.retain(|(_, field)| !is_mark(field));
    let full = T::decode(concat(&fields).as_slice()).unwrap();
    for tag in 1..=TAGS {
        let without: Vec<_> = fields.iter().filter(|(known, _)| *known != tag).cloned().collect();
        let row = T::decode(concat(&without).as_slice()).unwrap();
        if row.key() == full.key() && row.put(&mut BytesMut::new()).is_ok() {
            fields = without;
        }
    }
    let bare = T::decode(concat(&fields).as_slice()).unwrap();
    (full, bare)
}

async fn copy<T: Table>(session: &Session, rows: &[T]) {
    let Copy { sql, rows } = Copy::of(rows.iter()).unwrap();
    let sink = session.copy_in(sql).await.unwrap();
    tokio::pin!(sink);
    sink.send(rows).await.unwrap();
    sink.finish().await.unwrap();
}

async fn upsert<T: Table>(session: &Session, row: &T) {
    let Upsert { sql, rows } = Upsert::of([row].into_iter()).unwrap();
    session.execute(sql, &[&rows]).await.unwrap();
}

/// The statement's file, once checked.
async fn check<T: Table + Message + Default + PartialEq + Clone + Debug>(session: &Session) -> &'static str {
    let (path, sql) = T::UPSERT;
    let table = path.trim_start_matches("project/").trim_end_matches(".sql");
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let head = words(&format!("INSERT INTO {table} AS held ( {} ) SELECT", T::COLUMNS.join(", ")));
    assert!(words(sql).starts_with(&head), "{path} does not begin with {head}");

    let (full, bare) = full_and_bare::<T>();
    assert!(full.version() > bare.version());
    let select = format!("SELECT * FROM {table}");
    for (row, expected) in [(&bare, &bare), (&full, &full), (&bare, &full), (&full, &full)] {
        upsert(session, row).await;
        let found: Vec<T> = rows(&**session, &select, &[]).await.unwrap();
        assert_eq!(found, std::slice::from_ref(expected), "{path}");
    }
    session.execute(&format!("DELETE FROM {table}"), &[]).await.unwrap();
    copy(session, std::slice::from_ref(&full)).await;
    let found: Vec<T> = rows(&**session, &select, &[]).await.unwrap();
    assert_eq!(found, std::slice::from_ref(&full), "{path}, copied");

    let first = full.is_first();
    let both = [full.clone(), bare.clone()];
    assert_eq!(newest(&both), [Image { row: &full, first }]);
    assert_eq!(newest(&[bare, full.clone()]), [Image { row: &full, first }]);
    path
}

#[test]
fn every_row_comes_back_as_it_was_and_an_older_image_never_overwrites() {
    let test_database = fresh_database().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let database = Database::new(runtime.handle().clone(), &test_database.config);
    let job = |session: Session| async move {
        let session = &session;
        Ok([
            check::<DepartureRow>(session).await,
            check::<HoldRow>(session).await,
            check::<OrderRow>(session).await,
            check::<OrderItemRow>(session).await,
            check::<PassengerRow>(session).await,
            check::<PaymentRow>(session).await,
            check::<TicketRow>(session).await,
            check::<RedemptionRow>(session).await,
            check::<RefundRow>(session).await,
            check::<ScanAttemptRow>(session).await,
            check::<TicketAuditRow>(session).await,
            check::<LedgerRow>(session).await,
            check::<AccountRow>(session).await,
            check::<SessionRow>(session).await,
            check::<ValidatorSessionRow>(session).await,
            check::<QuarantineRow>(session).await,
            check::<OperatorRow>(session).await,
            check::<PortRow>(session).await,
            check::<PlaceRow>(session).await,
            check::<VehicleRow>(session).await,
            check::<HolidayRow>(session).await,
            check::<RouteRow>(session).await,
            check::<ScheduleRow>(session).await,
            check::<RouteFaresRow>(session).await,
        ])
    };
    let mut checked = runtime.block_on(database.run(Lane::Projection, job)).unwrap().to_vec();
    checked.sort_unstable();
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/queries/project")).unwrap();
    let mut files: Vec<_> =
        files.map(|file| format!("project/{}", file.unwrap().file_name().to_str().unwrap())).collect();
    files.sort_unstable();
    assert_eq!(checked, files);
}

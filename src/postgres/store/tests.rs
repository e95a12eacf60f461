//! Every table at once: what is written is read back, column by column, only newer images overwrite, and the files of
//! `sql/queries` say what the declarations say. A table or column that is added is noticed here without further words.
//!
//! `DEEPTRAVEL_REWRITE=1 cargo test --lib statements` writes the files anew.

use std::fs;
use std::path::PathBuf;

use deeptravel_actors::loads;
use deeptravel_domain::announcement::{AnnouncementKind, AnnouncementRow};
use deeptravel_domain::ids::OrderId;
use deeptravel_domain::row::{Column, Kind, Mark, Message, Rows, Table, VERSION, write};
use deeptravel_domain::tables;
use deeptravel_domain::time::Timestamp;
use futures_util::SinkExt as _;
use tokio_postgres::types::ToSql;

use super::batch::{Copy, Upsert, newest};
use super::columns::{postgres_micros, take, type_of};
use super::statements::{FILES, copy, text, whole};
use crate::postgres::{Database, Lane, Session};
use crate::testing::fresh_database;

/// How a statement's file spreads columns over lines.
const LINE: usize = 110;

/// Appends a value of this kind that no other column of the row has.
fn put_value(kind: Kind, tag: u32, number: u64, out: &mut Vec<u8>) {
    match kind {
        Kind::Text | Kind::Texts => write::shown(tag, &format_args!("text \"{number}\" 名"), out),
        Kind::Uuid => write::bytes(tag, &u128::from(number).to_be_bytes(), out),
        Kind::Date => write::shown(tag, &format_args!("2026-{:02}-{:02}", 1 + number % 12, 1 + number % 28), out),
        Kind::Bytes => write::bytes(tag, &number.to_be_bytes(), out),
        Kind::Flag => write::number(tag, 1, out),
        Kind::Small | Kind::Count | Kind::Signed | Kind::Instant => write::number(tag, number, out),
        Kind::Numbers => write::bytes(tag, &[number as u8 % 128, 0], out),
        Kind::Part(columns) | Kind::Parts(columns) => write::within(tag, out, |out| {
            for column in columns {
                put_values(column, number * 100, out);
            }
        }),
    }
}

/// Two of a list.
fn put_values(column: &Column, base: u64, out: &mut Vec<u8>) {
    let number = base + u64::from(column.tag);
    put_value(column.kind, column.tag, number, out);
    if matches!(column.kind, Kind::Texts | Kind::Parts(_)) {
        put_value(column.kind, column.tag, number + 50, out);
    }
}

/// A row with everything in it.
fn full(table: &Table) -> Vec<u8> {
    let mut image = Vec::new();
    for column in table.columns {
        put_values(column, 100, &mut image);
    }
    image
}

/// An older one with the same key and as little as can be stored.
fn bare(table: &Table) -> Vec<u8> {
    let mut image = Vec::new();
    for column in table.columns {
        let has_none = matches!(column.kind, Kind::Date | Kind::Uuid) && !column.nullable;
        if column.is(Mark::Key) || has_none {
            put_values(column, 100, &mut image);
        } else if column.name == VERSION {
            write::number(column.tag, 1, &mut image);
        }
    }
    image
}

/// What is stored, as rows are read: a value that was left out is there, as what its kind has instead.
async fn stored(session: &Session, table: &Table) -> Vec<Vec<u8>> {
    let answer = session.query(&format!("SELECT * FROM {}", table.name), &[]).await.unwrap();
    let image = |row: &tokio_postgres::Row| {
        let mut image = Vec::new();
        for column in table.columns {
            let place = row.columns().iter().position(|there| there.name() == column.name).expect(column.name);
            assert_eq!(*row.columns()[place].type_(), type_of(column), "{}.{}", table.name, column.name);
            let raw: Option<Raw<'_>> = row.try_get(place).unwrap();
            take(column, raw.map(|raw| raw.0), &mut image).unwrap();
        }
        image
    };
    answer.iter().map(image).collect()
}

struct Raw<'a>(&'a [u8]);

impl<'a> tokio_postgres::types::FromSql<'a> for Raw<'a> {
    fn from_sql(
        _: &tokio_postgres::types::Type,
        raw: &'a [u8],
    ) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Raw(raw))
    }

    fn accepts(_: &tokio_postgres::types::Type) -> bool {
        true
    }
}

/// An image with its defaults left out, so that equal rows are equal bytes.
fn canonical(columns: &[Column], image: &[u8]) -> Vec<u8> {
    let (mut message, mut out) = (Message::new(image), Vec::new());
    while let Some((tag, raw)) = message.next_field().unwrap() {
        let column = columns.iter().find(|column| column.tag == tag).unwrap();
        match (raw, column.kind) {
            (deeptravel_domain::row::Raw::Number(0), _) if !column.nullable => {}
            (deeptravel_domain::row::Raw::Text([]), kind) if !column.nullable && !kind.is_list() => {}
            (deeptravel_domain::row::Raw::Text(part), Kind::Part(columns) | Kind::Parts(columns)) => {
                write::bytes(tag, &canonical(columns, part), &mut out);
            }
            (raw, _) => raw.put(tag, &mut out),
        }
    }
    out
}

async fn upsert(session: &Session, table: &'static Table, image: &[u8]) {
    let Upsert { sql, rows } = Upsert::of(table, &[image], &mut Vec::new()).unwrap();
    assert!(!sql.is_empty(), "sql/queries/project/{}.sql is there", table.name);
    session.execute(sql, &[&rows as &(dyn ToSql + Sync)]).await.unwrap();
}

async fn copied(session: &Session, table: &'static Table, image: &[u8]) {
    let Copy { sql, rows } = Copy::of(table, &[image], &mut Vec::new()).unwrap();
    assert_eq!(sql, copy(table));
    let sink = session.copy_in(&sql).await.unwrap();
    tokio::pin!(sink);
    sink.send(rows).await.unwrap();
    sink.finish().await.unwrap();
}

async fn check(session: &Session, table: &'static Table) {
    let (full, bare) = (full(table), bare(table));
    assert_eq!(table.key(&full), table.key(&bare));
    // What is written once has its version in its key.
    let is_log = table.column(VERSION).unwrap().is(Mark::Key);
    assert_eq!(table.version(&full).unwrap() > table.version(&bare).unwrap(), !is_log);
    let steps = [(&bare, &bare), (&full, &full), (&bare, &full), (&full, &full)];
    for (row, expected) in steps.into_iter().skip(usize::from(is_log)) {
        upsert(session, table, row).await;
        let found: Vec<_> = stored(session, table).await.iter().map(|row| canonical(table.columns, row)).collect();
        assert_eq!(found, [canonical(table.columns, expected)], "{}", table.name);
    }
    session.execute(&format!("DELETE FROM {}", table.name), &[]).await.unwrap();
    copied(session, table, &full).await;
    let found: Vec<_> = stored(session, table).await.iter().map(|row| canonical(table.columns, row)).collect();
    assert_eq!(found, [canonical(table.columns, &full)], "{}, copied", table.name);

    let pairs = [[full.as_slice(), bare.as_slice()], [bare.as_slice(), full.as_slice()]];
    for both in pairs.into_iter().filter(|_| !is_log) {
        let kept = newest(table, &both).unwrap();
        assert_eq!(kept.iter().map(|newest| &*newest.image).collect::<Vec<_>>(), [full.as_slice()]);
    }
}

fn with_database<Fut: Future<Output = Result<(), crate::postgres::StoreError>> + Send + 'static>(
    job: impl FnOnce(Session) -> Fut + Send + 'static,
) {
    let test_database = fresh_database().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let database = Database::new(runtime.handle().clone(), &test_database.access());
    runtime.block_on(database.run(Lane::Projection, job)).unwrap();
}

#[test]
fn every_row_comes_back_as_it_was_and_an_older_image_never_overwrites() {
    with_database(|session| async move {
        for table in tables::stored() {
            check(&session, table).await;
        }
        Ok(())
    });
}

#[test]
fn every_statement_is_one_that_the_schema_understands() {
    with_database(|session| async move {
        for (name, text) in FILES {
            let prepared = session.prepare(text).await;
            assert!(prepared.is_ok(), "{name}: {:?}", prepared.err());
        }
        Ok(())
    });
}

#[test]
fn a_value_that_a_column_cannot_hold_is_an_error_that_names_it() {
    let table = tables::stored().find(|table| table.name == "refunds").unwrap();
    let mut image = full(table);
    write::number(99, 1, &mut image);
    assert!(Copy::of(table, &[&image], &mut Vec::new()).is_ok(), "what a later release has added is passed");
    let mut rows = Rows::default();
    rows.put_image(table.slot, b"\x10\xff");
    let refused = super::batch::writes(&rows, super::batch::Marks::Ignored).unwrap_err();
    assert!(refused.to_string().contains("a row for refunds"), "{refused}");
}

#[test]
fn an_instant_is_counted_from_where_postgres_begins_to_count_and_one_of_no_year_is_an_error() {
    let at = |text: &str| postgres_micros(text.parse::<jiff::Timestamp>().unwrap().as_millisecond()).unwrap();
    assert_eq!(at("2000-01-01T00:00:00Z"), 0);
    assert_eq!(at("1999-12-31T23:59:59.999Z"), -1_000);
    assert_eq!(at("2026-12-01T10:00:00.007+08:00"), 849_405_600_007_000);
    for no_year in [i64::MIN, i64::MAX] {
        postgres_micros(no_year).unwrap_err();
    }
}

#[test]
fn rule_16_what_is_announced_is_passed_over() {
    let mut rows = Rows::default();
    rows.put(&AnnouncementRow {
        partner: None,
        item: None,
        count: None,
        batch: None,
        order_id: OrderId::from_bits(7),
        version: 2,
        kind: AnnouncementKind::Paid,
        ticket: None,
        number: None,
        at: Timestamp::from_ms(0),
    });
    let writes = super::batch::writes(&rows, super::batch::Marks::Believed).unwrap();
    assert_eq!((writes.copies.len(), writes.upserts.len()), (0, 0));
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("sql/queries").join(format!("{name}.sql"))
}

/// Spreads items over lines, indented.
fn lines(items: &[String]) -> String {
    let (mut text, mut line) = (String::new(), String::from("   "));
    for (at, item) in items.iter().enumerate() {
        let comma = if at + 1 < items.len() { "," } else { "" };
        if line.len() + 1 + item.len() + comma.len() > LINE {
            text.push_str(&line);
            text.push('\n');
            line = String::from("   ");
        }
        line.push(' ');
        line.push_str(item);
        line.push_str(comma);
    }
    text + &line
}

/// The file that upserts a table's rows.
fn upsert_text(table: &Table) -> String {
    let names = |columns: Vec<&Column>| columns.iter().map(|column| column.name.to_owned()).collect::<Vec<_>>();
    let keys = names(table.key_columns().collect());
    let others: Vec<_> = table.columns.iter().filter(|column| !column.is(Mark::Key)).collect();
    let set = |column: &&Column| match (column.name, column.is(Mark::Kept)) {
        (name, false) => format!("{name} = excluded.{name}"),
        (name, true) => format!("{name} = coalesce(excluded.{name}, held.{name})"),
    };
    let sets: Vec<String> = others.iter().map(set).collect();
    let columns = lines(&names(table.columns.iter().collect()));
    let (name, keys, sets) = (table.name, keys.join(", "), lines(&sets));
    format!(
        "INSERT INTO {name} AS held (\n{columns}\n)\nSELECT\n{columns}\nFROM unnest($1::{name}[])\n\
         ON CONFLICT ({keys}) DO UPDATE SET\n{sets}\nWHERE held.version < excluded.version\n"
    )
}

/// The file that reads a table whole. It is written once; then it may say of which rows.
fn whole_text(table: &Table) -> String {
    let columns: Vec<String> = table.columns.iter().map(|column| column.name.to_owned()).collect();
    format!("SELECT\n{}\nFROM {}\n", lines(&columns), table.name)
}

/// A file that selects whole rows, with the columns that their table has now. As it is, if it selects something else: what
/// stands on the line of the SELECT, and expressions.
fn select_text(text: &str) -> String {
    rewritten(text).unwrap_or_else(|| text.to_owned())
}

fn rewritten(text: &str) -> Option<String> {
    let (head, rest) = text.split_once("SELECT\n")?;
    let (listed, from) = rest.split_once("\nFROM ")?;
    let mut items = listed.split(',').map(str::trim);
    let alias = items.clone().next()?.split_once('.').map(|(alias, _)| alias);
    let is_name = |item: &str| item.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '_' | '.'));
    let named = |name: &str| tables::stored().find(|table| table.name == name);
    let table = alias.and_then(named).or_else(|| named(from.split_whitespace().next()?))?;
    let prefix = alias.map_or(String::new(), |alias| format!("{alias}."));
    let columns: Vec<String> = table.columns.iter().map(|column| format!("{prefix}{}", column.name)).collect();
    items.all(is_name).then(|| format!("{head}SELECT\n{}\nFROM {from}", lines(&columns)))
}

#[test]
fn statements_have_the_columns_that_are_declared() {
    let upserts = tables::stored().map(|table| (format!("project/{}", table.name), upsert_text(table)));
    let selects = FILES.iter().filter(|(name, _)| !name.starts_with("project/"));
    let selects = selects.map(|(name, text)| ((*name).to_owned(), select_text(text)));
    let tables = loads::KEPT.iter().flat_map(|load| load.whole);
    let wholes = tables.filter(|table| text(&whole(table)).is_none()).map(|table| (whole(table), whole_text(table)));
    let mut wanted: Vec<(String, String)> = upserts.chain(selects).chain(wholes).collect();
    wanted.sort();
    if std::env::var_os("DEEPTRAVEL_REWRITE").is_some() {
        for (name, text) in &wanted {
            fs::write(path(name), text).unwrap();
        }
        return;
    }
    let mut files: Vec<(String, String)> =
        FILES.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    files.sort();
    for (file, wanted) in files.iter().zip(&wanted) {
        assert_eq!(file, wanted, "DEEPTRAVEL_REWRITE=1 cargo test --lib statements");
    }
    assert_eq!(files.len(), wanted.len());
}

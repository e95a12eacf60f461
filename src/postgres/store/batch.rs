//! A batch of rows on its way to Postgres: per table a stream for `COPY` of those that are new, and the one parameter of an
//! upsert of those that may be there already. Rows are turned from messages into columns as they are written; nothing else is
//! made of them.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use bytes::{BufMut, Bytes, BytesMut};
use deeptravel_domain::row::{Column, Home, Message, Rows, Table, Unreadable};
use deeptravel_domain::tables;
use tokio_postgres::types::{Field, IsNull, Kind, ToSql, Type, to_sql_checked};

use super::columns::{Failure, LENGTH, NULL, put, put_sized, type_of};
use super::statements::{copy, upsert};
use crate::postgres::StoreError;

/// New rows of one table, ready to be sent.
#[derive(Debug)]
pub(super) struct Copy {
    pub(super) sql: String,
    /// The whole stream.
    pub(super) rows: Bytes,
}

/// Rows of one table of which some may be there already, ready to be sent.
#[derive(Debug)]
pub(super) struct Upsert {
    pub(super) sql: &'static str,
    pub(super) rows: RowArray,
}

/// What one batch writes.
#[derive(Debug, Default)]
pub(super) struct Writes {
    pub(super) copies: Vec<Copy>,
    pub(super) upserts: Vec<Upsert>,
}

/// Whether rows that are marked as the first images of theirs are taken to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marks {
    Believed,
    Ignored,
}

/// An array of a table's rows. One parameter costs Postgres a third less than one array per column, which it would have to
/// put together again, row by row.
#[derive(Debug)]
pub(super) struct RowArray {
    columns: &'static [Column],
    count: i32,
    /// Each as `COPY` takes it.
    rows: Bytes,
}

/// What every binary `COPY` begins with: a signature, no flags, no extension.
const COPY_HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// Instead of a row's number of fields: the end.
const COPY_END: i16 = -1;

/// Bytes of a row's number of fields.
const FIELDS: usize = 2;
/// What an order's items take as JSON. The room grows for a longer document.
const JSON_BYTES: usize = 512;

const DIMENSIONS: i32 = 1;
const NO_NULLS: i32 = 0;
/// Arrays count from 1.
const LOWER_BOUND: i32 = 1;

/// A row takes as many bytes as its image, about, and for each column those of its length.
fn bytes_of(table: &Table, images: &[&[u8]]) -> usize {
    let values: usize = images.iter().map(|image| image.len()).sum();
    values + values / 4 + images.len() * (FIELDS + table.columns.len() * LENGTH)
}

/// At most one copy and one upsert per table that has rows in the batch and is ours.
pub(super) fn writes(rows: &Rows, marks: Marks) -> Result<Writes, StoreError> {
    let mut by_slot: BTreeMap<u32, Vec<&[u8]>> = BTreeMap::new();
    for (slot, image) in rows.images() {
        by_slot.entry(slot).or_default().push(image);
    }
    let mut writes = Writes::default();
    // One room for the documents of all rows.
    let mut json = Vec::with_capacity(JSON_BYTES);
    for (slot, images) in by_slot {
        let unfit = || StoreError::Unfit(format!("there is no table in slot {slot}"));
        let table = tables::by_slot(slot).ok_or_else(unfit)?;
        match table.home {
            Home::Database => {
                let unfit = |error| StoreError::Unfit(format!("a row for {}: {error}", table.name));
                writes.add(table, &images, marks, &mut json).map_err(unfit)?;
            }
            Home::Journal => {}
            Home::Earlier => return Err(StoreError::Unfit(format!("{} is not written any more", table.name))),
        }
    }
    Ok(writes)
}

impl Writes {
    fn add(
        &mut self,
        table: &'static Table,
        images: &[&[u8]],
        marks: Marks,
        json: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let is_first = |image: &&[u8]| marks == Marks::Believed && table.is_first(image) == Ok(true);
        if images.iter().all(is_first) {
            // The usual case under load. Were there two first images of a row, the table would refuse them.
            self.copies.push(Copy::of(table, images, json)?);
            return Ok(());
        }
        let newest = newest(table, images).map_err(|Unreadable| "its key or version cannot be read")?;
        let of = |first: bool| -> Vec<&[u8]> {
            let chosen = newest.iter().filter(|newest| (marks == Marks::Believed && newest.first) == first);
            chosen.map(|newest| &*newest.image).collect()
        };
        let (first, others) = (of(true), of(false));
        if !first.is_empty() {
            self.copies.push(Copy::of(table, &first, json)?);
        }
        if !others.is_empty() {
            self.upserts.push(Upsert::of(table, &others, json)?);
        }
        Ok(())
    }
}

/// The newest image of a row in a batch.
#[derive(Debug, PartialEq)]
pub(super) struct Newest<'a> {
    pub(super) image: Cow<'a, [u8]>,
    version: u64,
    /// Whether any of the row's images in the batch was its first.
    pub(super) first: bool,
}

/// The newest image of every row of a batch, with what it leaves as it was in the one before it. Of two with the same version
/// the later one is taken.
pub(super) fn newest<'a>(table: &Table, images: &[&'a [u8]]) -> Result<Vec<Newest<'a>>, Unreadable> {
    let mut kept: Vec<Newest<'a>> = Vec::with_capacity(images.len());
    let mut places: HashMap<Vec<u8>, usize> = HashMap::with_capacity(images.len());
    for image in images {
        let (key, version, first) = (table.key(image)?, table.version(image)?, table.is_first(image)?);
        if let Some(known) = places.get(&key).and_then(|place| kept.get_mut(*place)) {
            known.first |= first;
            if known.version <= version {
                (known.image, known.version) = (table.filled(image, &known.image)?, version);
            } else {
                known.image = Cow::Owned(table.filled(&known.image, image)?.into_owned());
            }
        } else {
            places.insert(key, kept.len());
            kept.push(Newest { image: Cow::Borrowed(image), version, first });
        }
    }
    Ok(kept)
}

/// Appends a row as `COPY` takes it.
fn put_row(table: &Table, image: &[u8], json: &mut Vec<u8>, out: &mut BytesMut) -> Result<(), Failure> {
    out.put_i16(i16::try_from(table.columns.len())?);
    let mut message = Message::new(image);
    table.columns.iter().try_for_each(|column| put(column, &mut message, json, out))
}

impl Copy {
    pub(super) fn of(table: &'static Table, images: &[&[u8]], json: &mut Vec<u8>) -> Result<Copy, Failure> {
        let mut out = BytesMut::with_capacity(bytes_of(table, images));
        out.put_slice(COPY_HEADER);
        images.iter().try_for_each(|image| put_row(table, image, json, &mut out))?;
        out.put_i16(COPY_END);
        Ok(Copy { sql: copy(table), rows: out.freeze() })
    }
}

impl Upsert {
    pub(super) fn of(table: &'static Table, images: &[&[u8]], json: &mut Vec<u8>) -> Result<Upsert, Failure> {
        let count = i32::try_from(images.len())?;
        let mut out = BytesMut::with_capacity(bytes_of(table, images));
        images.iter().try_for_each(|image| put_row(table, image, json, &mut out))?;
        Ok(Upsert { sql: upsert(table), rows: RowArray { columns: table.columns, count, rows: out.freeze() } })
    }
}

impl RowArray {
    /// For each column of the table, in its order, where it stands in our rows; not all of a table's are ours.
    fn places(&self, fields: &[Field]) -> Result<Vec<Option<usize>>, Failure> {
        let mut places = vec![None; fields.len()];
        for (ours, column) in self.columns.iter().enumerate() {
            let (name, kind) = (column.name, type_of(column));
            let theirs = fields.iter().position(|field| field.name() == name && *field.type_() == kind);
            let place = theirs.and_then(|theirs| places.get_mut(theirs));
            *place.ok_or_else(|| format!("the table has no column {name} that is {kind}"))? = Some(ours);
        }
        Ok(places)
    }
}

/// Splits so many bytes off.
fn split<'a>(rows: &mut &'a [u8], bytes: usize) -> Result<&'a [u8], Failure> {
    let (head, rest) = rows.split_at_checked(bytes).ok_or("a row ends early")?;
    *rows = rest;
    Ok(head)
}

/// The next field of a row, with its length before it.
fn next_field<'a>(rows: &mut &'a [u8]) -> Result<&'a [u8], Failure> {
    let length = rows.first_chunk().map_or(NULL, |length| i32::from_be_bytes(*length));
    split(rows, LENGTH + usize::try_from(length).unwrap_or(0))
}

impl ToSql for RowArray {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
        let Kind::Array(row) = ty.kind() else { return Err(format!("{ty} is no array").into()) };
        let Kind::Composite(fields) = row.kind() else { return Err(format!("{row} is no row").into()) };
        let places = self.places(fields)?;
        out.reserve(self.rows.len() + self.count as usize * (LENGTH + fields.len() * LENGTH));
        out.put_i32(DIMENSIONS);
        out.put_i32(NO_NULLS);
        out.put_u32(row.oid());
        out.put_i32(self.count);
        out.put_i32(LOWER_BOUND);
        let mut rows: &[u8] = &self.rows;
        let mut ours: Vec<&[u8]> = Vec::with_capacity(self.columns.len());
        for _ in 0..self.count {
            ours.clear();
            split(&mut rows, FIELDS)?;
            for _ in self.columns {
                ours.push(next_field(&mut rows)?);
            }
            put_sized(out, |out| {
                out.put_i32(i32::try_from(fields.len())?);
                for (field, place) in fields.iter().zip(&places) {
                    out.put_u32(field.type_().oid());
                    match place.and_then(|place| ours.get(place)) {
                        Some(value) => out.extend_from_slice(value),
                        None => out.put_i32(NULL),
                    }
                }
                Ok(IsNull::No)
            })?;
        }
        Ok(IsNull::No)
    }

    fn accepts(_ty: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

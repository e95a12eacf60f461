//! From Postgres to rows: whatever a statement answers becomes messages, column by column.

use std::borrow::Cow;
use std::error::Error;

use bytes::BytesMut;
use deadpool_postgres::{GenericClient, Transaction};
use deeptravel_actors::ports::{Load, Parameter};
use deeptravel_domain::ids::OrderId;
use deeptravel_domain::row::{Column, Message, Rows, Table};
use deeptravel_domain::time::Timestamp;
use futures_util::{TryStreamExt, pin_mut};
use tokio_postgres::IsolationLevel;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use uuid::Uuid;

use super::columns::{take, type_of};
use super::statements::{text, whole};
use crate::postgres::{Session, StoreError};

/// Keys whose rows are read with one statement per table: a few MiB at a time.
const KEYS_AT_ONCE: usize = 5_000;

/// A transaction in which all statements see the database as it is at one instant.
async fn snapshot(session: &mut Session) -> Result<Transaction<'_>, StoreError> {
    let transaction = session.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
    Ok(transaction.start().await?)
}

/// Everything that is to be read at once.
pub(super) async fn load(mut session: Session, load: Load, parameters: Vec<Parameter>) -> Result<Rows, StoreError> {
    let client = snapshot(&mut session).await?;
    let mut rows = Rows::default();
    let Some((statement, column)) = load.keys else {
        read_all(&client, &load, &parameters, &mut rows).await?;
        return Ok(rows);
    };
    read(&client, statement.name, statement.table, &parameters, &mut rows).await?;
    let keys = orders(statement.table, column, &rows)?;
    for keys in keys.chunks(KEYS_AT_ONCE) {
        read_all(&client, &load, &[keys.to_vec().into()], &mut rows).await?;
    }
    Ok(rows)
}

/// The values of a column that holds ids of orders, each once where equal ones follow each other.
fn orders(table: &Table, column: &str, rows: &Rows) -> Result<Vec<OrderId>, StoreError> {
    let missing = || StoreError::Unfit(format!("{} has no {column}", table.name));
    let tag = table.column(column).ok_or_else(missing)?.tag;
    let mut orders = Vec::new();
    for image in rows.images_of(table) {
        let id = Message::new(image).bytes(tag).ok().flatten().and_then(|id| id.try_into().ok());
        orders.push(OrderId::from_bits(u128::from_be_bytes(id.ok_or_else(missing)?)));
    }
    orders.dedup();
    Ok(orders)
}

/// All at once: the driver sends them one after the other and waits for none.
async fn read_all(
    client: &impl GenericClient,
    load: &Load,
    parameters: &[Parameter],
    rows: &mut Rows,
) -> Result<(), StoreError> {
    let named = load.rows.iter().map(|statement| (Cow::Borrowed(statement.name), statement.table));
    let whole = load.whole.iter().map(|table| (Cow::Owned(whole(table)), *table));
    let reading = named.chain(whole).map(async |(name, table)| {
        let mut answered = Rows::default();
        read(client, &name, table, parameters, &mut answered).await?;
        Ok::<Rows, StoreError>(answered)
    });
    for answered in futures_util::future::try_join_all(reading).await? {
        rows.extend(&answered);
    }
    Ok(())
}

/// The rows that a statement answers. It gets as many of the parameters as it takes, the first ones.
async fn read(
    client: &impl GenericClient,
    name: &str,
    table: &Table,
    parameters: &[Parameter],
    rows: &mut Rows,
) -> Result<(), StoreError> {
    let sql = text(name).ok_or_else(|| StoreError::Unfit(format!("there is no statement {name}")))?;
    let prepared = client.prepare_cached(sql).await?;
    let places = places(table, prepared.columns())
        .map_err(|column| StoreError::Unfit(format!("{name} does not answer {}", column.name)))?;
    let values: Vec<_> = parameters.iter().take(prepared.params().len()).map(value).collect();
    let answer = client.query_raw(&prepared, values).await?;
    pin_mut!(answer);
    let mut image = Vec::new();
    while let Some(row) = answer.try_next().await? {
        image.clear();
        for (column, place) in table.columns.iter().zip(&places) {
            let raw: Option<RawValue<'_>> = row.try_get(*place)?;
            take(column, raw.map(|raw| raw.0), &mut image)
                .map_err(|error| StoreError::Unfit(format!("a row of {name}: {error}")))?;
        }
        rows.put_image(table.slot, &image);
    }
    Ok(())
}

/// Where a table's columns stand in an answer. The error is one that is missing, or of another type.
fn places(table: &Table, answered: &[tokio_postgres::Column]) -> Result<Vec<usize>, &'static Column> {
    let place = |column: &'static Column| {
        let place = answered.iter().position(|there| there.name() == column.name);
        place.filter(|place| answered.get(*place).is_some_and(|there| *there.type_() == type_of(column))).ok_or(column)
    };
    table.columns.iter().map(place).collect()
}

/// A value as it came.
struct RawValue<'a>(&'a [u8]);

impl<'a> FromSql<'a> for RawValue<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(RawValue(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Ids of orders for a statement that compares bytes or texts.
#[derive(Debug)]
struct OrderIds<'a>(&'a [OrderId]);

impl ToSql for OrderIds<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        if *ty == Type::UUID_ARRAY {
            self.0.iter().map(|order| Uuid::from_u128(order.bits())).collect::<Vec<_>>().to_sql(ty, out)
        } else {
            self.0.iter().map(ToString::to_string).collect::<Vec<_>>().to_sql(ty, out)
        }
    }

    fn accepts(ty: &Type) -> bool {
        [Type::UUID_ARRAY, Type::TEXT_ARRAY].contains(ty)
    }

    to_sql_checked!();
}

/// A parameter as the driver takes it.
fn value(parameter: &Parameter) -> Box<dyn ToSql + Sync + Send + '_> {
    match parameter {
        Parameter::Text(text) => Box::new(text),
        Parameter::Texts(texts) => Box::new(texts),
        Parameter::Orders(orders) => Box::new(OrderIds(orders)),
        Parameter::Instant(at) => Box::new(at.map(Timestamp::to_jiff)),
        Parameter::Number(number) => Box::new(number),
        Parameter::Flag(flag) => Box::new(flag),
    }
}

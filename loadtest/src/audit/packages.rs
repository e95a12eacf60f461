//! Orders of packages: each has to be there with its units, and no package may be oversold.

use std::collections::HashSet;

use anyhow::Context;
use serde_json::Value;

use super::{API_SAMPLE, CHUNK, Findings, Patience, drained, rows_of};
use crate::api::{Api, Call, spread};
use crate::database::Database;
use crate::http::Target;
use crate::scenario::packages::AckedPackage;
use crate::scenario::setup::WIDTH;

/// Acknowledged orders with the units that they hold. Of a hold that was placed again the last row says how it stands.
const ORDERS: &str = "
    SELECT DISTINCT ON (o.order_id)
        wanted.order_id, o.status, o.items -> 0 -> 'package' ->> 'template_id', h.stock_id, h.state, h.units_left
    FROM unnest($1::text[]) AS wanted(order_id)
    JOIN order_rows o ON o.order_id = id_of_text(wanted.order_id)
    JOIN stock_holds h ON h.order_id = o.order_id AND h.item = 0
    ORDER BY o.order_id, h.epoch DESC";

/// Stocks of which more is held and sold than there is.
const OVERSOLD: &str = "
    SELECT s.stock_id, s.limit_total, h.units FROM stocks s
    JOIN (
        SELECT stock_id, sum(units_left) AS units FROM stock_holds
        WHERE state IN ('held', 'paying', 'confirmed') GROUP BY stock_id
    ) h ON h.stock_id = s.stock_id
    WHERE h.units > s.limit_total";

/// Looks for every acknowledged order with its one unit. `tokens` are the travellers'.
pub async fn packages(
    target: &Target,
    database: Option<&Database>,
    tokens: &[String],
    acks: &[AckedPackage],
) -> anyhow::Result<Findings> {
    let drain_seconds = drained(target, database).await?;
    let mut findings = Findings { acknowledged: acks.len() as u64, drain_seconds, ..Findings::default() };
    let mut ids: HashSet<&str> = HashSet::with_capacity(acks.len());
    for ack in acks.iter().filter(|ack| !ids.insert(&ack.order)) {
        findings.violation(format!("order {} was acknowledged to two requests", ack.order));
    }

    let sample: Vec<&AckedPackage> = acks.iter().step_by(acks.len().div_ceil(API_SAMPLE).max(1)).collect();
    let answers = spread(target, &sample, WIDTH, async |api: &mut Api, ack: &&AckedPackage| {
        let path = format!("/orders/{}", ack.order);
        let token = tokens.get(ack.traveller as usize).context("a traveller without a token")?;
        api.call(Call::get(&path).token(token), None).await
    })
    .await?;
    findings.through_api = sample.len() as u64;
    for (ack, (status, answer)) in sample.iter().zip(&answers) {
        let template = answer.pointer("/items/0/templateId").and_then(Value::as_str);
        if *status != 200 || template != Some(&ack.template) {
            findings.violation(format!("order {} through the API: {status} {answer}", ack.order));
        }
    }

    if let Some(database) = database {
        orders_in_database(database, acks, &mut findings).await?;
        for row in database.query(OVERSOLD, &[]).await? {
            let (stock, limit, units): (String, i32, i64) = (row.get(0), row.get(1), row.get(2));
            findings.violation(format!("{units} units of {stock} are held and sold; there are {limit}"));
        }
    }
    Ok(findings.finish())
}

async fn orders_in_database(database: &Database, acks: &[AckedPackage], findings: &mut Findings) -> anyhow::Result<()> {
    let mut patience = Patience::new();
    for chunk in acks.chunks(CHUNK) {
        let ids: Vec<&str> = chunk.iter().map(|ack| &*ack.order).collect();
        let by_id = rows_of(database, ORDERS, &ids, &mut patience).await?;
        findings.in_database += by_id.len() as u64;
        for ack in chunk {
            let Some(row) = by_id.get(&*ack.order) else {
                findings.violation(format!("order {} is not in the database, or its units are not", ack.order));
                continue;
            };
            let (status, template, stock): (String, Option<String>, String) = (row.get(1), row.get(2), row.get(3));
            let (hold, units): (String, i32) = (row.get(4), row.get(5));
            let is_live = ["held", "paying", "confirmed"].contains(&hold.as_str()) && status != "cancelled";
            let is_its = template.as_deref() == Some(&ack.template) && stock == format!("package/{}", ack.template);
            if !(is_live && is_its && units == 1) {
                let text = format!(
                    "order {} was told a package {}; in the database it is {status} with {template:?}, its hold {hold} with \
                     {units} units of {stock}",
                    ack.order, ack.template
                );
                findings.violation(text);
            }
        }
    }
    Ok(())
}

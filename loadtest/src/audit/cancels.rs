//! Cancelled orders: each has to stay cancelled, and its seats have to be free for others.

use std::collections::HashMap;

use super::{CHUNK, Findings, Patience};
use crate::database::Database;

/// Of acknowledged cancels: the order's state and whether its hold, as it was placed last, still keeps seats.
const CANCELLED: &str = "
    WITH stands AS (
        SELECT DISTINCT ON (o.order_id) wanted.order_id, o.status, h.state IN ('held', 'paying', 'confirmed') AS holds
        FROM unnest($1::text[]) AS wanted(order_id)
        JOIN order_rows o ON o.order_id = id_of_text(wanted.order_id)
        JOIN hold_rows h ON h.order_id = o.order_id AND h.item = 0
        ORDER BY o.order_id, h.epoch DESC
    )
    SELECT order_id, status, holds FROM stands WHERE status = 'cancelled' AND NOT holds OR $2";

/// Looks for every acknowledged cancel; the projection may still be on its way.
pub async fn cancels(database: Option<&Database>, acks: &[Box<str>]) -> anyhow::Result<Findings> {
    let mut findings = Findings { acknowledged: acks.len() as u64, ..Findings::default() };
    let Some(database) = database else { return Ok(findings.finish()) };
    let mut patience = Patience::new();
    for chunk in acks.chunks(CHUNK) {
        let ids: Vec<&str> = chunk.iter().map(|id| &**id).collect();
        while database.query(CANCELLED, &[&ids, &false]).await?.len() < chunk.len() && patience.wait(database).await? {}
        let rows = database.query(CANCELLED, &[&ids, &true]).await?;
        findings.in_database += rows.len() as u64;
        let by_id: HashMap<String, (String, bool)> =
            rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect();
        for id in ids {
            match by_id.get(id) {
                Some((status, false)) if status == "cancelled" => {}
                Some((status, holds)) => {
                    findings.violation(format!("order {id} was cancelled; it is {status} (holds seats: {holds})"));
                }
                None => findings.violation(format!("order {id}, which was cancelled, is not in the database")),
            }
        }
    }
    Ok(findings.finish())
}

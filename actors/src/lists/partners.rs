//! What partners list of their own, by pages that have numbers, with totals (R-OTA-08); batches among it. Never another
//! partner's: every statement asks for one. Tickets are listed from memory, see [`crate::batch_board`].

use std::ops::Range;

use deeptravel_domain::batch::rows::BatchRow;
use deeptravel_domain::batch::{BATCH_TICKETS_MAX, BatchId, BatchState};
use deeptravel_domain::ids::{OrderId, PartnerCode};
use deeptravel_domain::row;
use deeptravel_domain::row::{First, Row as _, Rows};
use deeptravel_domain::time::Timestamp;

use crate::ports::{Lists, Load, Parameter, Statement, StoreError};

row! {
    /// How many there are in all.
    pub struct TotalRow: 1_081 "listed_totals", First::Unknown;
    1 total: u64,
}

/// Of one statement for the page, and one for how many there are.
const BATCHES: Load = Load::of(&[
    Statement::new("list/batches_of_partner", BatchRow::TABLE),
    Statement::new("list/batch_total", TotalRow::TABLE),
]);

/// Which page is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumberedPage {
    /// From 1.
    pub number: u32,
    /// Most entries of one.
    pub limit: u32,
}

impl NumberedPage {
    /// Those of its entries among all, from 0.
    pub fn places(self) -> Range<u64> {
        let first = u64::from(self.number.saturating_sub(1)) * u64::from(self.limit);
        first..first + u64::from(self.limit)
    }

    pub(super) fn parameters(self) -> [Parameter; 2] {
        let passed = i64::from(self.number.saturating_sub(1)) * i64::from(self.limit);
        [Parameter::Number(passed), Parameter::Number(self.limit.into())]
    }
}

/// A page, and how many entries there are on all.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed<T> {
    pub entries: Vec<T>,
    pub total: u64,
}

/// Which batches are wanted; all that are left out are.
#[derive(Debug, Clone, Default)]
pub struct BatchFilter {
    pub status: Option<BatchState>,
    pub created_from: Option<Timestamp>,
    /// Not included.
    pub created_until: Option<Timestamp>,
}

/// The lowest and the highest id that something made then can have: ids begin with their time.
pub(super) fn ids_between(from: Option<Timestamp>, until: Option<Timestamp>) -> [OrderId; 2] {
    let first = |at: Timestamp| u128::from(at.as_ms().max(0).unsigned_abs()) << 80;
    let highest = until.map_or(u128::MAX, |until| first(until).saturating_sub(1));
    [from.map_or(0, first), highest].map(OrderId::from_bits)
}

/// The lowest and the highest id of a batch's tickets.
pub(super) fn of_batch(batch: BatchId) -> [OrderId; 2] {
    [batch.ticket(1), batch.ticket(BATCH_TICKETS_MAX)]
}

impl dyn Lists {
    /// A partner's batches, the oldest first.
    pub async fn batches_of_partner(
        &self,
        partner: &PartnerCode,
        filter: &BatchFilter,
        page: NumberedPage,
    ) -> Result<Listed<BatchRow>, StoreError> {
        let status = filter.status.map(BatchState::code);
        let ids = ids_between(filter.created_from, filter.created_until);
        let rows = self.load(BATCHES, parameters(partner, status, ids, page)).await?;
        Ok(Listed { entries: rows.all()?, total: total(&rows)? })
    }
}

fn parameters(
    partner: &PartnerCode,
    status: Option<&'static str>,
    ids: [OrderId; 2],
    page: NumberedPage,
) -> Vec<Parameter> {
    let wanted = [partner.to_string().into(), Parameter::Text(status.map(str::to_owned))];
    wanted.into_iter().chain([ids.to_vec().into()]).chain(page.parameters()).collect()
}

pub(super) fn total(rows: &Rows) -> Result<u64, StoreError> {
    Ok(rows.only::<TotalRow>()?.total)
}

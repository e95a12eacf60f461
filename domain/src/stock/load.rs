//! Waking a stock from its rows, and a forgotten hold from its own.

use std::collections::HashMap;

use super::rows::{StockHoldRow, StockHolderRow, StockRow, StockSoldRow};
use super::{Hold, Limits, Stock, StockId, Terms, Units};
use crate::hold::{HoldAt, HoldState, Life, Standing};
use crate::ids::HoldId;
use crate::row::{Damage, Row as _, Rows};
use crate::time::Timestamp;

impl Stock {
    /// The machine that wrote these rows: the stock's own, sums of the settled holds, and the rows of all others. Ended
    /// holds may be left out once their `expires_at` has passed, but not those of later epochs: they say that the earlier ones
    /// are over.
    pub fn from_rows(rows: &Rows, now: Timestamp) -> Result<Stock, Damage> {
        let StockRow { stock_id, limit_total, limit_per_date, limit_per_holder, allotments, .. } = rows.only()?;
        let limits = Limits { total: limit_total, per_date: limit_per_date, per_holder: limit_per_holder };
        let allotments = allotments.to_vec().into_iter().map(|one| (one.channel, one.quantity)).collect();
        let mut stock = Stock { born: true, terms: Terms { limits, allotments }, ..Stock::unborn(stock_id) };
        for row in rows.of::<StockSoldRow>() {
            let StockSoldRow { channel, service_date, units } = row?;
            stock.used.add_sum(&channel, service_date, units);
        }
        for row in rows.of::<StockHolderRow>() {
            let StockHolderRow { traveller_id, holds } = row?;
            stock.used.add_holder(traveller_id.0, holds);
        }
        let mut last: HashMap<HoldId, StockHoldRow<'_>> = HashMap::new();
        for row in rows.of::<StockHoldRow<'_>>() {
            let row = row?;
            let is_later = last.get(&row.hold()).is_none_or(|known| written(known) < written(&row));
            if is_later {
                last.insert(row.hold(), row);
            }
        }
        for row in last.values() {
            stock.add_row(row, now)?;
        }
        Ok(stock)
    }

    fn add_row(&mut self, row: &StockHoldRow<'_>, now: Timestamp) -> Result<(), Damage> {
        match standing(row, &self.id)? {
            Standing::Live(state) => {
                let hold = hold_from(row, state)?;
                self.used.add(&hold.takes);
                self.holds.insert(row.hold(), hold);
            }
            Standing::Released if row.expires_at > now => {
                self.holds.insert_ended(row.hold(), row.epoch, row.expires_at);
            }
            Standing::Released | Standing::Expired => {}
        }
        Ok(())
    }
}

/// The confirmed hold that is named, among the rows of holds of its order. `None`: there is none in this epoch.
pub fn settled_hold(rows: &Rows, id: &StockId, at: HoldAt) -> Result<Option<Hold>, Damage> {
    for row in rows.of::<StockHoldRow<'_>>() {
        let row = row?;
        if row.hold() == at.hold && row.epoch == at.epoch && row.stock_id == *id {
            let Standing::Live(HoldState::Confirmed) = standing(&row, id)? else { return Ok(None) };
            return hold_from(&row, HoldState::Confirmed).map(Some);
        }
    }
    Ok(None)
}

/// The order in which the rows of a hold were written: in one record an earlier epoch makes way for a later one.
fn written(row: &StockHoldRow<'_>) -> (u64, u32) {
    (row.version, row.epoch)
}

fn standing(row: &StockHoldRow<'_>, id: &StockId) -> Result<Standing, Damage> {
    if row.stock_id != *id {
        return Err(row.damage("stock_id does not fit"));
    }
    row.state.parse().map_err(|_| row.damage("state does not fit"))
}

fn hold_from(row: &StockHoldRow<'_>, state: HoldState) -> Result<Hold, Damage> {
    let StockHoldRow { epoch, quantity, units_left, service_date, traveller_id, placed_at, expires_at, .. } = *row;
    let some_back = units_left < quantity;
    if quantity == 0 || units_left > quantity || (some_back && state != HoldState::Confirmed) {
        return Err(row.damage("units_left does not fit"));
    }
    let (channel, holder) = (row.channel.clone(), traveller_id.map(|id| id.0));
    let takes = Units { quantity, left: units_left, date: service_date, channel, holder };
    Ok(Hold { life: Life { epoch, state, placed_at, expires_at }, takes })
}

//! A stock as rows. Rows are images of how things are, so the newest of each is enough to rebuild the machine; of holds
//! that were confirmed long ago a database answers the sums.
//!
//! The stock's own row is written when it opens and when its limits or allotments change; a hold's row whenever the hold
//! changes, also when it ends.

use std::collections::BTreeSet;

use jiff::civil::Date;

use super::command::{Allotment, Event};
use super::{Hold, Limits, Stock, StockId, Units};
use crate::departure::Channel;
use crate::hold::{Standing, Stands};
use crate::ids::{HoldId, OrderId, TravellerId};
use crate::row;
use crate::row::{First, List, Rows, Uuid};
use crate::time::Timestamp;

row! {
    /// A stock that was limited or used.
    pub struct StockRow<'a>: 50 "stocks", First::Unknown;
    /// `package/<template>` or `promotion/<code>`.
    1 stock_id [Key]: StockId,
    2 version: u64,
    /// Absent: no limit.
    3 limit_total: Option<u32>,
    /// Of each date.
    4 limit_per_date: Option<u32>,
    /// Holds of each traveller.
    5 limit_per_holder: Option<u32>,
    /// Set aside for partners, by channel.
    6 allotments: List<'a, Allotment>,
}

row! {
    /// A hold of one epoch, live or ended. Placed again it gets another row.
    pub struct StockHoldRow<'a>: 51 "stock_holds", First::Marked(14);
    1 order_id [Key]: Uuid<OrderId>,
    /// Tells the order's holds apart.
    2 item [Key]: u16,
    3 epoch [Key]: u32,
    4 version: u64,
    5 stock_id: StockId,
    /// As they were placed.
    6 quantity: u32,
    /// Those that after-sales has not put back.
    7 units_left: u32,
    /// Of the visit; absent: of any.
    8 service_date: Option<Date>,
    9 channel: Channel,
    /// Whose orders count together; absent: nobody's.
    10 traveller_id: Option<Uuid<TravellerId>>,
    /// `held`, `paying`, `confirmed`, `released` or `expired`.
    11 state: &'a str,
    12 placed_at: Timestamp,
    13 expires_at: Timestamp,
    /// When it was released or expired.
    15 ended_at: Option<Timestamp>,
}

row! {
    /// What settled holds take together. Only answered, never written.
    pub struct StockSoldRow: 1_010 "stock_sold", First::Unknown;
    1 channel: Channel,
    2 service_date: Option<Date>,
    3 units: u64,
}

row! {
    /// How many settled holds a traveller has. Only answered, never written.
    pub struct StockHolderRow: 1_011 "stock_holders", First::Unknown;
    1 traveller_id: Uuid<TravellerId>,
    2 holds: u32,
}

impl StockHoldRow<'_> {
    pub(super) fn hold(&self) -> HoldId {
        HoldId { order: self.order_id.0, item: self.item }
    }
}

impl Stock {
    /// The rows that `events` changed, one image each, as they are now that the machine has evolved by them. `version`
    /// is the new one of the stock's key.
    pub(super) fn changed_rows(&self, events: &[Event], version: u64) -> Rows {
        let mut rows = Rows::default();
        let mut imaged = BTreeSet::new();
        let mut stock_changed = false;
        // The last event of an epoch of a hold says how that now is.
        for event in events.iter().rev() {
            let (id, stands) = match event {
                Event::Opened | Event::LimitsSet(_) | Event::UnitsAllotted(_) => {
                    stock_changed = true;
                    continue;
                }
                // Its row says what is forgotten.
                Event::HoldsForgotten { .. } => continue,
                Event::HoldPlaced { id, .. }
                | Event::PayingBegun { id, .. }
                | Event::HoldConfirmed { id }
                | Event::HoldRecalled { id, .. }
                | Event::UnitsFreed { id, .. } => (id, self.holds.get(*id).map(Stands::live)),
                Event::HoldReleased { id, hold, at } => (id, Some(Stands::ended(hold, Standing::Released, *at))),
                Event::HoldLapsed { id, hold, at } => (id, Some(Stands::ended(hold, Standing::Expired, *at))),
            };
            if let Some(stands) = stands.filter(|stands| imaged.insert((*id, stands.hold.life.epoch))) {
                let is_first = matches!(event, Event::HoldPlaced { .. });
                self.put_hold(*id, &stands, is_first, version, &mut rows);
            }
        }
        if stock_changed {
            self.put_stock(version, &mut rows);
        }
        rows
    }

    fn put_stock(&self, version: u64, rows: &mut Rows) {
        let Limits { total, per_date, per_holder } = self.limits();
        let allotments: Vec<Allotment> =
            self.allotments().map(|(channel, quantity)| Allotment { channel: channel.clone(), quantity }).collect();
        rows.put(&StockRow {
            stock_id: self.id.clone(),
            version,
            limit_total: total,
            limit_per_date: per_date,
            limit_per_holder: per_holder,
            allotments: List::Of(&allotments),
        });
    }

    fn put_hold(&self, id: HoldId, stands: &Stands<'_, Units>, first: bool, version: u64, rows: &mut Rows) {
        let &Stands { hold: Hold { life, takes }, standing, ended_at } = stands;
        let row = StockHoldRow {
            order_id: Uuid(id.order),
            item: id.item,
            epoch: life.epoch,
            version,
            stock_id: self.id.clone(),
            quantity: takes.quantity,
            units_left: takes.left,
            service_date: takes.date,
            channel: takes.channel.clone(),
            traveller_id: takes.holder.map(Uuid),
            state: standing.code(),
            placed_at: life.placed_at,
            expires_at: life.expires_at,
            ended_at,
        };
        rows.put_as(first, &row);
    }
}

//! What a database answers of a stock, as the statements say (`sql/queries/load/*_of_stock.sql`).

use std::collections::BTreeMap;

use deeptravel_domain::departure::Channel;
use deeptravel_domain::ids::TravellerId;
use deeptravel_domain::row::{Row as _, Rows, Uuid};
use deeptravel_domain::stock::StockId;
use deeptravel_domain::stock::rows::{StockHoldRow, StockHolderRow, StockRow, StockSoldRow};
use deeptravel_domain::time::Timestamp;
use jiff::civil::Date;

use super::Images;

/// Of one stock; confirmed holds that expire up to an instant are in the sums.
pub struct StockAnswers<'a> {
    pub images: &'a Images,
    pub stock: &'a StockId,
    pub until: Timestamp,
}

impl StockAnswers<'_> {
    /// Everything.
    pub fn all(&self) -> Rows {
        let mut rows = self.stock();
        for others in [self.holds(), self.sold(), self.holders()] {
            rows.extend(&others);
        }
        rows
    }

    /// Its version is that of the key.
    pub fn stock(&self) -> Rows {
        let mut rows = Rows::default();
        for image in self.images.of(StockRow::TABLE) {
            let row = StockRow::read(image).unwrap();
            if row.stock_id == *self.stock {
                let newest = self.hold_rows().map(|(hold, _)| hold.version).max().unwrap_or(0);
                rows.put(&StockRow { version: row.version.max(newest), ..row });
            }
        }
        rows
    }

    pub fn holds(&self) -> Rows {
        let mut rows = Rows::default();
        for (row, image) in self.hold_rows() {
            let is_confirmed = row.state == "confirmed";
            let is_live = row.ended_at.is_none() && !is_confirmed;
            if is_live || row.expires_at > self.until || (row.epoch > 1 && !is_confirmed) {
                rows.put_image(StockHoldRow::TABLE.slot, image);
            }
        }
        rows
    }

    pub fn sold(&self) -> Rows {
        let mut sold: BTreeMap<(Channel, Option<Date>), u64> = BTreeMap::new();
        for row in self.settled() {
            *sold.entry((row.channel.clone(), row.service_date)).or_default() += u64::from(row.units_left);
        }
        let mut rows = Rows::default();
        for ((channel, service_date), units) in sold {
            rows.put(&StockSoldRow { channel, service_date, units });
        }
        rows
    }

    pub fn holders(&self) -> Rows {
        let mut holders: BTreeMap<TravellerId, u32> = BTreeMap::new();
        for row in self.settled().filter(|row| row.units_left > 0) {
            if let Some(Uuid(holder)) = row.traveller_id {
                *holders.entry(holder).or_default() += 1;
            }
        }
        let mut rows = Rows::default();
        for (holder, holds) in holders {
            rows.put(&StockHolderRow { traveller_id: Uuid(holder), holds });
        }
        rows
    }

    fn hold_rows(&self) -> impl Iterator<Item = (StockHoldRow<'_>, &[u8])> {
        let rows = self.images.of(StockHoldRow::TABLE).map(|image| (StockHoldRow::read(image).unwrap(), image));
        rows.filter(|(row, _)| row.stock_id == *self.stock)
    }

    fn settled(&self) -> impl Iterator<Item = StockHoldRow<'_>> {
        let rows = self.hold_rows().map(|(row, _)| row);
        rows.filter(|row| row.state == "confirmed" && row.expires_at <= self.until)
    }
}

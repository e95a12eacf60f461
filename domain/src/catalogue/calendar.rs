//! Public holidays, on which weekend fares apply: a calendar for each year, put as a whole.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::Catalogue;
use super::checks::{self, YEARS};
use crate::names::{Names, once_one_name};
use crate::register::{Entity, Entry, Written};
use crate::rejection::{Rejection, ensure};
use crate::row;
use crate::row::{Damage, First, Row as _, Rows, Table};

const HOLIDAYS_MAX: usize = 366;

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Holiday {
    pub date: Date,
    #[serde(rename = "name", deserialize_with = "once_one_name")]
    pub names: Names,
    /// `false`: still to be checked against the government's list.
    pub verified: bool,
}

/// The holidays of a year, in any order.
#[derive(Clone, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Calendar {
    pub year: i16,
    pub holidays: Vec<Holiday>,
}

impl Calendar {
    /// A calendar for each year in which one of the holidays is.
    pub fn of(holidays: Vec<Holiday>) -> Vec<Calendar> {
        let mut years: BTreeMap<i16, Vec<Holiday>> = BTreeMap::new();
        for holiday in holidays {
            years.entry(holiday.date.year()).or_default().push(holiday);
        }
        years.into_iter().map(|(year, holidays)| Calendar { year, holidays }).collect()
    }

    fn by_date(&self) -> BTreeMap<Date, &Holiday> {
        self.holidays.iter().map(|holiday| (holiday.date, holiday)).collect()
    }
}

impl PartialEq for Calendar {
    fn eq(&self, other: &Calendar) -> bool {
        self.year == other.year && self.holidays.len() == other.holidays.len() && self.by_date() == other.by_date()
    }
}

row! {
    pub struct HolidayRow<'a>: 20 "holidays", First::Unknown;
    1 day [Key]: Date,
    2 version: u64,
    3 name: &'a str,
    4 verified: bool,
    /// No holiday any more.
    5 removed: bool,
    /// Absent in rows that were written before holidays had two names.
    6 name_en: Option<&'a str>,
}

impl Entity for Calendar {
    type Id = i16;
    type World = Catalogue;

    const NAME: &'static str = "holidays";
    const TABLE: &'static Table = HolidayRow::TABLE;

    fn id(&self) -> &i16 {
        &self.year
    }

    fn check(&self, _: &Catalogue) -> Result<(), Rejection> {
        ensure(YEARS.contains(&self.year), "year", "is out of range")?;
        ensure(self.holidays.len() <= HOLIDAYS_MAX, "holidays", "are more than a year has days")?;
        let mut seen = BTreeSet::new();
        for (index, holiday) in self.holidays.iter().enumerate() {
            let field = |name: &str| format!("holidays[{index}].{name}");
            checks::names(&field("name"), &holiday.names)?;
            ensure(holiday.date.year() == self.year, field("date"), "is in another year")?;
            ensure(seen.insert(holiday.date), field("date"), "is there twice")?;
        }
        Ok(())
    }

    /// A year without holidays is put so.
    fn used_by(_: &i16, _: &Catalogue) -> Option<String> {
        Some("every route".to_owned())
    }

    fn put_rows(written: &Written<Calendar>, _: &Catalogue, version: u64, rows: &mut Rows) {
        let after = written.after.by_date();
        let before = written.before.as_ref().map(|entry| entry.by_date()).unwrap_or_default();
        let gone = before.values().filter(|holiday| !after.contains_key(&holiday.date)).map(|gone| (gone, true));
        let changed = after.values().filter(|holiday| before.get(&holiday.date) != Some(holiday));
        for (holiday, removed) in gone.chain(changed.map(|changed| (changed, false))) {
            let Holiday { date, names: Names { zh: name, en }, verified } = holiday;
            rows.put(&HolidayRow { day: *date, version, name, verified: *verified, removed, name_en: Some(en) });
        }
    }

    fn read_rows(rows: &Rows, ids: &[i16]) -> Result<Vec<Entry<Calendar>>, Damage> {
        let mut years: BTreeMap<i16, Vec<Holiday>> = ids.iter().map(|year| (*year, Vec::new())).collect();
        for row in rows.of() {
            let HolidayRow { day: date, name, verified, removed, name_en, .. } = row?;
            let holidays = years.entry(date.year()).or_default();
            if !removed {
                holidays.push(Holiday { date, names: Names::stored(name, name_en), verified });
            }
        }
        Ok(years.into_iter().map(|(year, holidays)| Entry::uncounted(Calendar { year, holidays })).collect())
    }
}

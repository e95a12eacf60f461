//! The fares of a route code, with lock minutes and blackout dates: one revision together (R-ADMIN-03). A code without a route
//! makes a draft: fares that wait for their route.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::checks::{dates, known};
use super::{Catalogue, Route, RouteRow};
use crate::fare::{Fare, FareTable, PartyTier, check_table};
use crate::ids::RouteCode;
use crate::register::{Entity, Entry, Written};
use crate::rejection::{Rejection, ensure};
use crate::row;
use crate::row::{Damage, First, List, Row as _, Rows, Table};
use crate::time::Timestamp;

row! {
    pub struct RouteFaresRow<'a>: 23 "route_fares", First::Unknown;
    1 route_code [Key]: RouteCode,
    2 revision [Key]: u32,
    3 version: u64,
    4 effective_from: Timestamp,
    5 fares: List<'a, Fare>,
    6 party_tiers: List<'a, PartyTier>,
    /// Absent in rows that were written before fares had them: then these and the blackout dates are the route's.
    7 seat_lock_minutes: Option<u16>,
    8 blackout_dates: List<'a, Date>,
}

impl Entity for FareTable {
    type Id = RouteCode;
    type World = Catalogue;

    const NAME: &'static str = "fares";
    const TABLE: &'static Table = RouteFaresRow::TABLE;

    fn id(&self) -> &RouteCode {
        &self.route
    }

    fn check(&self, catalogue: &Catalogue) -> Result<(), Rejection> {
        check_table(&self.fares, &self.party_tiers, catalogue.sale_currency())?;
        if let Some(route) = catalogue.route(self.route.as_str()) {
            fit_route(catalogue, route, &self.fares)?;
        }
        ensure((1..=60).contains(&self.seat_lock_minutes), "seatLockMinutes", "is not between 1 and 60")?;
        dates("blackoutDates", self.blackout.iter().copied())
    }

    /// They name it by code and revision for ever. A route is taken off sale by its status.
    fn used_by(_: &RouteCode, _: &Catalogue) -> Option<String> {
        Some("orders".to_owned())
    }

    fn put_rows(written: &Written<FareTable>, _: &Catalogue, version: u64, rows: &mut Rows) {
        let Entry { content: table, revision, since, .. } = &*written.after;
        let blackout: Vec<Date> = table.blackout.iter().copied().collect();
        rows.put(&RouteFaresRow {
            route_code: table.route.clone(),
            revision: *revision,
            version,
            effective_from: *since,
            fares: List::Of(&table.fares),
            party_tiers: List::Of(&table.party_tiers),
            seat_lock_minutes: Some(table.seat_lock_minutes),
            blackout_dates: List::Of(&blackout),
        });
    }

    fn read_rows(rows: &Rows, _: &[RouteCode]) -> Result<Vec<Entry<FareTable>>, Damage> {
        let mut newest: BTreeMap<RouteCode, RouteFaresRow<'_>> = BTreeMap::new();
        for row in rows.of() {
            let row: RouteFaresRow<'_> = row?;
            if newest.get(&row.route_code).is_none_or(|newer| newer.revision < row.revision) {
                newest.insert(row.route_code.clone(), row);
            }
        }
        let routes: Vec<RouteRow<'_>> = rows.all()?;
        let routes = routes.iter().map(|row| (&row.route_code, row)).collect();
        Ok(newest.into_values().map(|row| entry(row, &routes)).collect())
    }
}

fn entry(row: RouteFaresRow<'_>, routes: &BTreeMap<&RouteCode, &RouteRow<'_>>) -> Entry<FareTable> {
    let mut table = FareTable::new(row.route_code, row.fares.to_vec(), row.party_tiers.to_vec());
    let route = routes.get(&table.route).map(|route| (route.seat_lock_minutes, route.blackout_dates));
    if let Some((minutes, dates)) = row.seat_lock_minutes.map(|own| (own, row.blackout_dates)).or(route) {
        table.seat_lock_minutes = minutes;
        table.blackout = dates.to_vec().into_iter().collect();
    }
    Entry { revision: row.revision, since: row.effective_from, ..Entry::uncounted(table) }
}

/// Fares that name a class or stop which the route does not have would never apply: most likely a misspelling.
fn fit_route(catalogue: &Catalogue, route: &Route, fares: &[Fare]) -> Result<(), Rejection> {
    let vehicle = catalogue.vehicle(route.vehicle.as_str());
    for (index, fare) in fares.iter().enumerate() {
        if let Some(class) = &fare.seat_class {
            let found = vehicle.and_then(|vehicle| vehicle.seat_map.class(class));
            known(found, format!("fares[{index}].seatClass"), class)?;
        }
        let fits = fare.stretch.is_none_or(|stretch| route.stretch(stretch.board, stretch.alight).is_some());
        ensure(fits, format_args!("fares[{index}].toStop"), "is not a stop of the route")?;
    }
    Ok(())
}

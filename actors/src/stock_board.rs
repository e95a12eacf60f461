//! What is left of every stock, for readers on any thread: written by the stocks' actors after every change, read by
//! search, the catalogue's pages and partners without a message.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use dashmap::DashMap;
use deeptravel_domain::departure::Channel;
use deeptravel_domain::stock::{Event, Pools, Stock, StockId};
use jiff::civil::Date;

/// What is left of one stock, dates and holders aside, and what each date has in use.
#[derive(Debug)]
pub struct Shown {
    totals: ArcSwap<Totals>,
    dates: DashMap<Date, u32>,
}

#[derive(Debug)]
struct Totals {
    pools: Pools,
    per_date: Option<u32>,
    in_use: u64,
}

impl Totals {
    fn of(stock: &Stock) -> Totals {
        Totals { pools: stock.pools(), per_date: stock.limits().per_date, in_use: stock.in_use() }
    }
}

impl Shown {
    fn new(stock: &Stock) -> Shown {
        let shown = Shown { totals: ArcSwap::from_pointee(Totals::of(stock)), dates: DashMap::new() };
        stock.dates().for_each(|date| shown.show_date(stock, date));
        shown
    }

    /// What a channel can still sell of a date; `None`: as many as anybody wants.
    pub fn left(&self, date: Option<Date>, channel: &Channel) -> Option<u32> {
        let totals = self.totals.load();
        let of_channel = totals.pools.left(channel);
        let of_date = totals.per_date.zip(date).map(|(limit, date)| {
            let in_use = self.dates.get(&date).map_or(0, |in_use| *in_use);
            limit.saturating_sub(in_use)
        });
        of_channel.into_iter().chain(of_date).min()
    }

    /// Units that are held or sold, of all channels.
    pub fn in_use(&self) -> u64 {
        self.totals.load().in_use
    }

    /// Units of a date that are held or sold, of all channels, by rising date.
    pub fn in_use_by_date(&self) -> BTreeMap<Date, u32> {
        self.dates.iter().map(|date| (*date.key(), *date.value())).collect()
    }

    /// Called by the stock's actor only, after `evolve`.
    pub fn publish(&self, stock: &Stock, events: &[Event]) {
        self.totals.store(Arc::new(Totals::of(stock)));
        for event in events {
            let date = match event {
                Event::HoldPlaced { hold, .. } | Event::HoldReleased { hold, .. } | Event::HoldLapsed { hold, .. } => {
                    hold.takes.date
                }
                Event::UnitsFreed { id, .. } => stock.hold(*id).and_then(|hold| hold.takes.date),
                Event::Opened
                | Event::PayingBegun { .. }
                | Event::HoldConfirmed { .. }
                | Event::HoldRecalled { .. }
                | Event::LimitsSet(_)
                | Event::UnitsAllotted(_)
                | Event::HoldsForgotten { .. } => None,
            };
            if let Some(date) = date {
                self.show_date(stock, date);
            }
        }
    }

    fn show_date(&self, stock: &Stock, date: Date) {
        self.dates.insert(date, u32::try_from(stock.in_use_on(date)).unwrap_or(u32::MAX));
    }
}

/// All stocks that were limited or used.
#[derive(Debug, Default)]
pub struct StockBoard(DashMap<StockId, Arc<Shown>>);

impl StockBoard {
    /// `None`: nobody has limited it or taken of it, as much is left as anybody wants.
    pub fn get(&self, id: &StockId) -> Option<Arc<Shown>> {
        self.0.get(id).map(|shown| Arc::clone(&shown))
    }

    /// What a channel can still sell of a date; `None`: as many as anybody wants.
    pub fn left(&self, id: &StockId, date: Option<Date>, channel: &Channel) -> Option<u32> {
        self.get(id)?.left(date, channel)
    }

    /// The place where a stock's actor publishes, with everything as it is.
    pub fn open(&self, stock: &Stock) -> Arc<Shown> {
        let shown = Arc::new(Shown::new(stock));
        self.0.insert(stock.id().clone(), Arc::clone(&shown));
        shown
    }
}

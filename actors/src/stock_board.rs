//! What is left of every stock, for readers on any thread: written by the stocks' actors after every change, read by
//! search, the catalogue's pages and partners without a message.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use dashmap::{DashMap, DashSet};
use deeptravel_domain::departure::Channel;
use deeptravel_domain::ids::{IdHash, TravellerId};
use deeptravel_domain::promotion::Promotion;
use deeptravel_domain::rejection::Uses;
use deeptravel_domain::stock::{Event, Pools, Stock, StockId};
use jiff::civil::Date;

/// What is left of one stock, dates and holders aside, and what each date has in use.
#[derive(Debug)]
pub struct Shown {
    totals: ArcSwap<Totals>,
    dates: DashMap<Date, u32>,
    /// Who has as many as he may.
    full: DashSet<TravellerId, IdHash>,
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
        let totals = ArcSwap::from_pointee(Totals::of(stock));
        let shown = Shown { totals, dates: DashMap::new(), full: stock.full_holders().collect() };
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

    /// Whether a traveller has as many holds as he may.
    pub fn is_full(&self, traveller: TravellerId) -> bool {
        self.full.contains(&traveller)
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
            let units = match event {
                Event::HoldPlaced { hold, .. } | Event::HoldReleased { hold, .. } | Event::HoldLapsed { hold, .. } => {
                    Some(&hold.takes)
                }
                Event::UnitsFreed { id, .. } => stock.hold(*id).map(|hold| &hold.takes),
                Event::LimitsSet(_) => {
                    self.full.clear();
                    for holder in stock.full_holders() {
                        self.full.insert(holder);
                    }
                    None
                }
                Event::Opened
                | Event::PayingBegun { .. }
                | Event::HoldConfirmed { .. }
                | Event::HoldRecalled { .. }
                | Event::UnitsAllotted(_)
                | Event::HoldsForgotten { .. } => None,
            };
            if let Some(date) = units.and_then(|units| units.date) {
                self.show_date(stock, date);
            }
            if let Some(holder) = units.and_then(|units| units.holder) {
                self.show_holder(stock, holder);
            }
        }
    }

    fn show_holder(&self, stock: &Stock, holder: TravellerId) {
        if stock.is_full(holder) {
            self.full.insert(holder);
        } else {
            self.full.remove(&holder);
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

    /// Which uses of a promotion have run out, for a traveller's order.
    pub fn used_up(&self, promotion: &Promotion, traveller: TravellerId, channel: &Channel) -> Option<Uses> {
        let shown = self.uses(promotion)?;
        let is_empty = shown.left(None, channel) == Some(0);
        is_empty.then_some(Uses::All).or_else(|| shown.is_full(traveller).then_some(Uses::OfTraveller))
    }

    /// Whether nobody on a channel can have a promotion any more.
    pub fn has_run_out(&self, promotion: &Promotion, channel: &Channel) -> bool {
        self.uses(promotion).is_some_and(|shown| shown.left(None, channel) == Some(0))
    }

    /// `None`: it has no limits, or nobody has used it.
    fn uses(&self, promotion: &Promotion) -> Option<Arc<Shown>> {
        promotion.is_limited().then(|| self.get(&StockId::Promotion(promotion.code.clone())))?
    }

    /// The place where a stock's actor publishes, with everything as it is.
    pub fn open(&self, stock: &Stock) -> Arc<Shown> {
        let shown = Arc::new(Shown::new(stock));
        self.0.insert(stock.id().clone(), Arc::clone(&shown));
        shown
    }
}

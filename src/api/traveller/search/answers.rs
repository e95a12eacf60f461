//! Answers kept ready. The same question in the same words gets the bytes that it got before, if nothing that they say
//! has changed; that is looked up in memory at every request, so an answer is never older than the request
//! (R-SEARCH-03, R-SEARCH-04).
//!
//! What an answer rests on: what a search reads of the catalogue (a [`Book`] belongs to one edition), the date (it ends with the day), the
//! instants at which booking closes (a page ends with the next one), the promotions that lower prices by themselves and have
//! uses left, and the seats and units left, which are compared with those that were written.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::web::Bytes;
use arc_swap::{ArcSwap, ArcSwapOption};
use dashmap::DashMap;
use deeptravel_actors::board::{Board, SeatsLeft};
use deeptravel_actors::stock_board::StockBoard;
use deeptravel_domain::catalogue::{Catalogue, Edition};
use deeptravel_domain::departure::Channel;
use deeptravel_domain::promotion::InForce;
use deeptravel_domain::time::Timestamp;

use super::offers::Offers;
use super::wanted::{SearchQuery, understand};
use crate::api::frame::{Language, Problem, parse_query};

/// Memory for answers, in bytes: two thousand different questions with two dozen departures each. Above it all are
/// forgotten, and the next questions cost what the first ones did.
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// What is left, as of now.
#[derive(Clone, Copy, Debug)]
pub struct Live<'a> {
    pub seats: &'a Board,
    pub units: &'a StockBoard,
}

impl Live<'_> {
    /// The promotions with which prices are quoted.
    pub fn in_force(self, catalogue: &Catalogue, now: Timestamp) -> InForce {
        catalogue.in_force(|promotion| self.units.has_run_out(promotion, &Channel::Direct), now)
    }
}

/// The answers of this process.
#[derive(Debug)]
pub struct Answers {
    book: ArcSwapOption<Book>,
    bytes_max: usize,
}

impl Default for Answers {
    fn default() -> Answers {
        Answers::of_bytes(BYTES_MAX)
    }
}

impl Answers {
    pub fn of_bytes(bytes_max: usize) -> Answers {
        Answers { book: ArcSwapOption::empty(), bytes_max }
    }

    /// How much is kept, roughly.
    pub fn bytes(&self) -> usize {
        self.book.load().as_ref().map_or(0, |book| book.bytes.load(Ordering::Relaxed))
    }

    /// The answer to a query string. Errors name the parameter at fault; they are not kept.
    pub fn search(
        &self,
        catalogue: &Catalogue,
        live: Live<'_>,
        now: Timestamp,
        language: Language,
        query: &str,
    ) -> Result<Bytes, Problem> {
        let open = self.book.load();
        let book = open.as_ref().filter(|book| book.is_of(catalogue, now));
        let in_force = live.in_force(catalogue, now);
        let still_holds = |page: &Arc<Page>| page.valid.contains(&now) && page.in_force.is_as(&in_force);
        if let Some(page) = book.and_then(|book| book.page(language, query)).filter(still_holds) {
            return Ok(page.read(live));
        }
        let asked: SearchQuery = parse_query(query)?;
        let wanted = understand(catalogue, &asked)?;
        catalogue.check_travel_date(wanted.origin, wanted.destination, wanted.date, now)?;
        let offers = Offers::find(catalogue, language, &wanted, &in_force, now);
        let page = Arc::new(Page::new(offers, in_force, now, live));
        let answer = page.read(live);
        self.keep(catalogue, now, language, query, page);
        Ok(answer)
    }

    fn keep(&self, catalogue: &Catalogue, now: Timestamp, language: Language, query: &str, page: Arc<Page>) {
        let open = self
            .book
            .load_full()
            .filter(|book| book.is_of(catalogue, now) && book.bytes.load(Ordering::Relaxed) < self.bytes_max);
        let book = open.unwrap_or_else(|| {
            let fresh = Arc::new(Book::new(catalogue, now));
            self.book.store(Some(Arc::clone(&fresh)));
            fresh
        });
        book.insert(language, query, page);
    }
}

/// The answers under one edition of the catalogue on one day.
#[derive(Debug)]
struct Book {
    edition: Arc<Edition>,
    valid: Range<Timestamp>,
    /// By query string, as it came.
    chinese: DashMap<Box<str>, Arc<Page>>,
    english: DashMap<Box<str>, Arc<Page>>,
    bytes: AtomicUsize,
}

impl Book {
    fn new(catalogue: &Catalogue, now: Timestamp) -> Book {
        Book {
            edition: Arc::clone(catalogue.edition()),
            valid: now..catalogue.dates_change_at(now),
            chinese: DashMap::new(),
            english: DashMap::new(),
            bytes: AtomicUsize::new(0),
        }
    }

    fn is_of(&self, catalogue: &Catalogue, now: Timestamp) -> bool {
        Arc::ptr_eq(&self.edition, catalogue.edition()) && self.valid.contains(&now)
    }

    fn pages(&self, language: Language) -> &DashMap<Box<str>, Arc<Page>> {
        language.pick(&self.chinese, &self.english)
    }

    fn page(&self, language: Language, query: &str) -> Option<Arc<Page>> {
        self.pages(language).get(query).map(|page| Arc::clone(&page))
    }

    fn insert(&self, language: Language, query: &str, page: Arc<Page>) {
        self.bytes.fetch_add(query.len() + page.size(), Ordering::Relaxed);
        if let Some(before) = self.pages(language).insert(query.into(), page) {
            self.bytes.fetch_sub(query.len() + before.size(), Ordering::Relaxed);
        }
    }
}

/// One answer: what it is made of, and how it was last written.
#[derive(Debug)]
struct Page {
    valid: Range<Timestamp>,
    /// With which its prices were quoted.
    in_force: InForce,
    offers: Offers,
    written: ArcSwap<Written>,
}

/// An answer and what it rests on.
#[derive(Debug)]
struct Written {
    edition: u64,
    left: Arc<[SeatsLeft]>,
    shown: Box<[u16]>,
    /// Of the packages.
    units: Box<[Option<u32>]>,
    answer: Bytes,
}

impl Page {
    fn new(offers: Offers, in_force: InForce, now: Timestamp, live: Live<'_>) -> Page {
        // The edition first: a departure that is born in between is looked up again.
        let edition = live.seats.edition();
        let written = Written::new(&offers, edition, offers.look_up(live.seats), live.units);
        Page { valid: now..offers.changes_at, in_force, offers, written: ArcSwap::from_pointee(written) }
    }

    /// The answer as of now.
    fn read(&self, live: Live<'_>) -> Bytes {
        let written = self.written.load();
        let edition = live.seats.edition();
        if written.edition == edition && written.still_holds(&self.offers, live.units) {
            return written.answer.clone();
        }
        let same_departures = written.edition == edition;
        let left = if same_departures { Arc::clone(&written.left) } else { self.offers.look_up(live.seats) };
        let anew = Written::new(&self.offers, edition, left, live.units);
        let answer = anew.answer.clone();
        // Of two that write at once the older one may stay: at the next reading it no longer holds.
        self.written.store(Arc::new(anew));
        answer
    }

    fn size(&self) -> usize {
        size_of::<Page>() + size_of::<Written>() + self.offers.size()
    }
}

impl Written {
    fn new(offers: &Offers, edition: u64, left: Arc<[SeatsLeft]>, stocks: &StockBoard) -> Written {
        let shown: Box<[u16]> = left.iter().map(SeatsLeft::now).collect();
        let units: Box<[Option<u32>]> = offers.units(stocks).collect();
        let answer = offers.write(&shown, &units);
        Written { edition, left, shown, units, answer }
    }

    fn still_holds(&self, offers: &Offers, stocks: &StockBoard) -> bool {
        self.left.iter().zip(&self.shown).all(|(left, shown)| left.now() == *shown)
            && offers.units(stocks).zip(&self.units).all(|(now, shown)| now == *shown)
    }
}

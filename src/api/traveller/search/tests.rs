//! What is kept ready says, byte for byte, what would be said without.

mod month;
mod packages;
mod plain;
mod promotions;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use deeptravel_actors::board::{Board, Occupancy};
use deeptravel_actors::stock_board::StockBoard;
use deeptravel_domain::catalogue::{Catalogue, Change, Command, Names, Route, Template, TemplateStatus, Vehicle};
use deeptravel_domain::departure::{Channel, Stretch};
use deeptravel_domain::fare::FareTable;
use deeptravel_domain::ids::{DepartureId, HoldId, OrderId, SeatClassCode};
use deeptravel_domain::inventory::{self, Event, HoldAt, Inventory, PlaceHold, SEATS_PER_HOLD_MAX, Wanted};
use deeptravel_domain::machine::Machine as _;
use deeptravel_domain::money::Currency;
use deeptravel_domain::party::Party;
use deeptravel_domain::register::Entry;
use deeptravel_domain::time::Timestamp;
use jiff::civil::{Date, date};

use super::answers::{Answers, Live};
use super::wanted::{Availability, SearchQuery, party};
use crate::api::frame::{Language, Problem, parse_query};
use crate::import::timetable;

/// Friday 20 November 2026, 10:00 in Hong Kong.
const NOW: Timestamp = Timestamp::from_ms(1_795_140_000_000);
const PARTIES: [&str; 6] =
    ["", "&adults=2&children=1", "&seniors=1&children=2", "&adults=5", "&adults=10", "&adults=9&seniors=1"];

fn demo() -> Arc<Catalogue> {
    let timetable = timetable::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("config/demo")).unwrap();
    let catalogue = Catalogue::new(Currency::Cny);
    timetable.commands.into_iter().fold(Arc::new(catalogue), |catalogue, command| change(&catalogue, &command))
}

/// The snapshot after a change.
fn change(catalogue: &Catalogue, command: &Command) -> Arc<Catalogue> {
    let mut changed = catalogue.clone();
    changed.apply(&catalogue.decide(command, NOW).unwrap(), 1);
    Arc::new(changed)
}

/// The snapshot after an administrator's write.
fn put(catalogue: &Catalogue, content: impl Into<Change>) -> Arc<Catalogue> {
    change(catalogue, &Command::new(content, "admin"))
}

/// A search engine, and the plain one beside it.
struct Shop {
    catalogue: Arc<Catalogue>,
    board: Board,
    stocks: StockBoard,
    answers: Answers,
}

impl Shop {
    /// With the demo's timetable, and none of its packages on sale.
    fn open() -> Shop {
        let demo = demo();
        let withdrawn = |catalogue: Arc<Catalogue>, template: &Arc<Entry<Template>>| {
            let template = Template::clone(&template.content);
            put(&catalogue, Template { status: TemplateStatus::Withdrawn, version_token: None, ..template })
        };
        let catalogue = demo.packages().fold(Arc::clone(&demo), withdrawn);
        let (board, stocks) = (Board::default(), StockBoard::default());
        Shop { catalogue, board, stocks, answers: Answers::default() }
    }

    /// The answer, which is as it has to be.
    fn search(&self, now: Timestamp, language: Language, query: &str) -> String {
        let live = Live { seats: &self.board, units: &self.stocks };
        let kept = self.answers.search(&self.catalogue, live, now, language, query);
        let plain = plain::search(&self.catalogue, live, now, language, query);
        match (kept, plain) {
            (Ok(kept), Ok(plain)) => {
                assert_eq!(std::str::from_utf8(&kept).unwrap(), plain, "{query} at {now}");
                plain
            }
            (kept, plain) => {
                assert_eq!(kept.unwrap_err(), plain.unwrap_err(), "{query} at {now}");
                String::new()
            }
        }
    }

    /// Asks as every party, in both languages.
    fn search_all(&self, from: &str, to: &str, date: &str) {
        let query = format!("origin={from}&destination={to}&travelDate={date}");
        for party in PARTIES {
            self.search(NOW, Language::Chinese, &format!("{query}{party}"));
        }
        self.search(NOW, Language::English, &query);
        self.search(NOW, Language::English, &format!("{query}&mode=coach"));
        self.search(NOW, Language::Chinese, &format!("{query}&mode=ferry"));
    }

    /// The departures from one place to another on a day.
    fn departures(&self, from: &str, to: &str, date: &str) -> Vec<Departure> {
        let place = |name| self.catalogue.place(name).unwrap();
        let trips = self.catalogue.trips(place(from), place(to), date.parse().unwrap());
        let mut ids: Vec<DepartureId> = trips.map(|trip| trip.departure_id()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.iter().map(|id| Departure::unborn(self, id)).collect()
    }
}

/// A departure's owner.
struct Departure {
    inventory: Inventory,
    occupancy: Arc<Occupancy>,
    holds: Vec<HoldId>,
}

impl Departure {
    fn unborn(shop: &Shop, id: &DepartureId) -> Departure {
        let inventory = Inventory::unborn(shop.catalogue.departure_spec(id).unwrap()).unwrap();
        let occupancy = shop.board.open(&inventory);
        Departure { inventory, occupancy, holds: Vec::new() }
    }

    fn apply(&mut self, command: &inventory::Command) -> bool {
        let Ok(events) = self.inventory.decide(command, NOW) else { return false };
        self.inventory.apply(&events, 1);
        self.occupancy.publish(&self.inventory, events.iter().flat_map(Event::touched_seats));
        true
    }

    fn sell(&mut self, class: &SeatClassCode, stretch: Stretch, seats: u16) -> bool {
        let hold = HoldId { order: OrderId::from_bits(self.holds.len() as u128 + 1), item: 0 };
        let place = PlaceHold {
            hold,
            epoch: 1,
            channel: Channel::Direct,
            class: class.clone(),
            stretch,
            ride: None,
            wanted: Wanted::Auto(seats),
            expires_at: NOW.plus_seconds(600),
        };
        let sold = self.apply(&inventory::Command::PlaceHold(place));
        self.holds.extend(sold.then_some(hold));
        sold
    }

    /// Sells so many seats of each class, the whole way.
    fn sell_of_each(&mut self, seats: u16) {
        let whole = Stretch { board: 0, alight: self.inventory.spec().calls.len() as u8 - 1 };
        let seat_map = Arc::clone(&self.inventory.spec().seat_map);
        for (class, index) in seat_map.classes.iter().zip(0..) {
            let is_free = |seat: u16| self.inventory.occupancy(seat) & whole.mask() == 0;
            let own = |seat: u16| self.inventory.channel_of(seat) == Some(&Channel::Direct);
            let of_class = seat_map.seats.iter().zip(0..).filter(|(seat, _)| seat.class == index);
            let all = of_class.filter(|(_, seat)| own(*seat) && is_free(*seat)).count() as u16;
            let mut left = seats.min(all);
            while left > 0 {
                let party = left.min(SEATS_PER_HOLD_MAX as u16);
                assert!(self.sell(&class.code, whole, party));
                left -= party;
            }
        }
    }

    fn give_back(&mut self) {
        for hold in std::mem::take(&mut self.holds) {
            assert!(self.apply(&inventory::Command::ReleaseHold(HoldAt { hold, epoch: 1 })));
        }
    }
}

#[test]
fn r_search_01_every_answer_reads_as_if_it_was_written_anew() {
    let shop = Shop::open();
    let places: Vec<String> = shop.catalogue.places().map(|place| place.code.to_string()).collect();
    for from in &places {
        for to in &places {
            for date in ["2026-11-20", "2026-11-21", "2026-12-19", "2026-12-25", "2026-11-19", "2027-11-20"] {
                shop.search_all(from, to, date);
            }
        }
    }
}

#[test]
fn r_search_04_every_sale_is_in_the_next_answer() {
    let shop = Shop::open();
    for (from, to) in [("HK", "MO"), ("HK", "GZ"), ("HK", "ZH")] {
        let date = "2026-11-24";
        shop.search_all(from, to, date);
        let mut departures = shop.departures(from, to, date);
        assert!(!departures.is_empty(), "{from} {to}");
        shop.search_all(from, to, date);
        // Full, nearly full, half sold; every fourth stays as it is.
        for (departure, number) in departures.iter_mut().zip(0..) {
            let leave = [0, 1, 9, u16::MAX][number % 4];
            let most = departure.inventory.spec().seat_map.seats.len() as u16;
            departure.sell_of_each(most.saturating_sub(leave));
        }
        shop.search_all(from, to, date);
        for departure in departures.iter_mut().skip(1).step_by(2) {
            departure.give_back();
        }
        shop.search_all(from, to, date);
        for departure in &departures {
            shop.board.close(&departure.inventory.spec().id);
        }
        shop.search_all(from, to, date);
        departures.truncate(2);
        for departure in &mut departures {
            *departure = Departure::unborn(&shop, &departure.inventory.spec().id.clone());
            departure.sell_of_each(3);
        }
        shop.search_all(from, to, date);
    }
}

#[test]
fn r_search_04_a_day_sells_out_and_says_so() {
    let shop = Shop::open();
    let (date, query) = ("2026-11-24", "origin=HK&destination=ZH&travelDate=2026-11-24");
    let mut departures = shop.departures("HK", "ZH", date);
    for departure in &mut departures {
        assert!(shop.search(NOW, Language::English, query).starts_with("{\"availability\":\"available\""));
        departure.sell_of_each(u16::MAX);
    }
    let nothing = shop.search(NOW, Language::English, query);
    assert_eq!(nothing, "{\"availability\":\"sold_out\",\"routes\":[],\"packages\":[]}");
    departures[0].give_back();
    assert!(shop.search(NOW, Language::English, query).starts_with("{\"availability\":\"available\""));
}

#[test]
fn r_search_02_booking_closes_and_days_end_on_time_whatever_was_asked_before() {
    let shop = Shop::open();
    let blackout = |route: &Arc<Route>| shop.catalogue.fares(&route.code)?.blackout.first().copied();
    let black = shop.catalogue.routes().find_map(blackout).unwrap();
    let midnight = |date: Date| Timestamp::from_jiff(date.in_tz("Asia/Hong_Kong").unwrap().timestamp());
    // On a blackout date the reason for the empty list changes as booking closes.
    for (date, hours) in [(date(2026, 11, 21), -8..30), (black, 0..26)] {
        let mut answers = BTreeSet::new();
        for minutes in (hours.start * 60..hours.end * 60).step_by(15) {
            let now = midnight(date).plus_seconds(60 * minutes);
            for pair in ["origin=HK&destination=GZ", "origin=HK&destination=MO"] {
                let query = format!("{pair}&travelDate={date}");
                // A moment before, and at the minute.
                answers.insert(shop.search(now.plus_ms(-1), Language::Chinese, &query));
                answers.insert(shop.search(now, Language::Chinese, &query));
            }
        }
        assert!(answers.len() > 2, "the answers change through the day: {}", answers.len());
    }
}

#[test]
fn r_search_03_a_change_of_the_catalogue_is_in_the_very_next_answer() {
    let mut shop = Shop::open();
    let query = "origin=HK&destination=GZ&travelDate=2026-11-24&mode=coach";
    let before = shop.search(NOW, Language::Chinese, query);
    let codes: Vec<_> = shop.catalogue.routes().map(|route| route.code.clone()).collect();
    for route in codes {
        let Some(table) = shop.catalogue.fares(&route) else { continue };
        let blackout = ["2026-11-24".parse().unwrap()].into();
        shop.catalogue = put(&shop.catalogue, FareTable { blackout, ..FareTable::clone(table) });
        shop.search(NOW, Language::Chinese, query);
    }
    let after = shop.search(NOW, Language::Chinese, query);
    assert_ne!(before, after);
    assert_eq!(after, "{\"availability\":\"blackout\",\"routes\":[],\"packages\":[]}");
}

#[test]
fn a_write_that_no_search_reads_leaves_the_answers() {
    let mut shop = Shop::open();
    let query = "origin=HK&destination=GZ&travelDate=2026-11-24";
    shop.search(NOW, Language::Chinese, query);
    shop.search(NOW, Language::English, query);
    let both = shop.answers.bytes();

    let route = Arc::clone(shop.catalogue.routes().next().unwrap());
    let vehicle = Arc::clone(shop.catalogue.vehicle(route.vehicle.as_str()).unwrap());
    let table = FareTable::clone(shop.catalogue.fares(&route.code).unwrap());
    let (named, renamed) =
        (Vehicle { names: Names::same("Renamed"), ..Vehicle::clone(&vehicle) }, Names::new("新", "New"));
    shop.catalogue = put(&shop.catalogue, named);
    shop.catalogue = put(&shop.catalogue, Route { names: renamed, ..Route::clone(&route) });
    shop.catalogue = put(&shop.catalogue, FareTable { seat_lock_minutes: 17, ..table.clone() });
    shop.catalogue = put(&shop.catalogue, FareTable { seat_lock_minutes: 61, ..table.clone() });
    shop.search(NOW, Language::Chinese, query);
    assert_eq!(shop.answers.bytes(), both, "also a refused one");

    let black = FareTable { blackout: ["2026-11-24".parse().unwrap()].into(), ..table };
    shop.catalogue = put(&shop.catalogue, black);
    shop.search(NOW, Language::Chinese, query);
    assert!(shop.answers.bytes() < both, "the English one has gone");
}

#[test]
fn the_memory_for_answers_is_bounded() {
    let bytes_max = 100_000;
    let shop = Shop { answers: Answers::of_bytes(bytes_max), ..Shop::open() };
    let mut kept = Vec::new();
    for words in 0..40 {
        // The same question in other words.
        let query = format!("origin={}HK&destination=GZ&travelDate=2026-11-24", "+".repeat(words));
        shop.search(NOW, Language::Chinese, &query);
        kept.push(shop.answers.bytes());
    }
    assert!(kept.iter().any(|bytes| *bytes > bytes_max / 2), "answers are kept: {kept:?}");
    assert!(kept.iter().all(|bytes| *bytes < 2 * bytes_max), "never too many: {kept:?}");
    assert!(!kept.is_sorted(), "they are forgotten: {kept:?}");
}

#[test]
fn refusals_are_what_they_were() {
    let shop = Shop::open();
    for query in [
        "",
        "origin=HK",
        "origin=HK&destination=HK&travelDate=2026-11-24",
        "origin=HK&destination=Hongkong&travelDate=2026-11-24",
        "origin=Atlantis&destination=HK&travelDate=2026-11-24",
        "origin=HK&destination=MO&travelDate=2026-11-19",
        "origin=HK&destination=MO&travelDate=2036-11-19",
        "origin=HK&destination=MO&travelDate=20261124",
        "origin=HK&destination=MO&travelDate=2026-11-24&adults=11",
        "origin=HK&destination=MO&travelDate=2026-11-24&adults=two",
        "origin=HK&destination=MO&travelDate=2026-11-24&mode=plane",
        "origin=HK&destination=MO&travelDate=2026-11-24&infants=1",
        "origin=HK&destination=MO&travelDate=2026-11-24&origin=GZ",
        "origin=%E9%A6%99%E6%B8%AF&destination=macau&travelDate=2026-11-24",
    ] {
        for _ in 0..2 {
            shop.search(NOW, Language::Chinese, query);
        }
    }
}

fn parsed(query: &str) -> Result<Party, Problem> {
    parse_query::<SearchQuery>(query).and_then(|query| party(query.adults, query.children, query.seniors))
}

#[test]
fn r_search_05_a_party_has_one_to_ten_people_and_the_field_at_fault_is_named() {
    let base = "origin=a&destination=b&travelDate=2026-12-24";
    assert_eq!(parsed(base), Ok(Party::new(1, 0, 0).unwrap()), "one adult when nothing is said");
    assert_eq!(parsed(&format!("{base}&children=2")), Ok(Party::new(0, 2, 0).unwrap()));
    let field = |query: &str| parsed(&format!("{base}{query}")).unwrap_err().errors()[0].field.to_string();
    assert_eq!(field("&adults=1&children=10"), "children");
    assert_eq!(field("&adults=65535&children=1"), "adults");
    assert_eq!(field("&adults=0"), "adults", "nobody");
    assert_eq!(field("&adults=70000"), "adults");
    assert_eq!(field("&infants=1"), "infants");
}

#[test]
fn one_bookable_departure_outweighs_every_reason_for_an_empty_list() {
    use Availability::{Available, Blackout, None, SoldOut};
    assert!(None < SoldOut && SoldOut < Blackout && Blackout < Available);
    assert_eq!(serde_json::to_value(Blackout).unwrap(), "blackout");
    assert_eq!(serde_json::to_value(SoldOut).unwrap(), "sold_out");
}

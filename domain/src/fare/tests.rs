//! Prices as stories, and "the most specific fare wins" against a naive model.

use jiff::civil::date;
use proptest::prelude::*;

use super::*;
use crate::party::Party;
use crate::register::Entry;

fn class(code: &str) -> SeatClassCode {
    code.parse().unwrap()
}

fn cny(minor: i64) -> Money {
    Money::new(minor, Currency::Cny)
}

fn fare(passenger_type: PassengerType, minor: i64) -> Fare {
    Fare {
        passenger_type,
        seat_class: None,
        stretch: None,
        day_type: DayType::Any,
        dates: None,
        season: None,
        times: None,
        price: cny(minor),
        source_price: None,
        assumed: false,
    }
}

fn adult(minor: i64) -> Fare {
    fare(PassengerType::Adult, minor)
}

fn table(fares: Vec<Fare>, party_tiers: Vec<PartyTier>) -> Entry<FareTable> {
    let table = FareTable::new("coach".parse().unwrap(), fares, party_tiers);
    Entry { revision: 3, ..Entry::uncounted(table) }
}

fn stretch(board: u8, alight: u8) -> Stretch {
    Stretch::new(board, alight).unwrap()
}

/// Friday 20 November 2026, 12:00, whole way of a route of two stops.
fn friday_noon(class: &SeatClassCode) -> FareQuery<'_> {
    FareQuery { class, stretch: stretch(0, 1), date: date(2026, 11, 20), minute: 12 * 60, is_holiday: false }
}

fn season(from: &str, to: &str) -> Season {
    Season { from: from.parse().unwrap(), to: to.parse().unwrap() }
}

fn price(table: &FareTable, query: &FareQuery<'_>) -> i64 {
    table.fare(PassengerType::Adult, query).unwrap().1.price.minor
}

#[test]
fn r_price_01_weekend_and_holiday_fares_go_by_the_date_of_boarding() {
    let standard = class("standard");
    let table = table(
        vec![
            Fare { day_type: DayType::Weekday, ..adult(160) },
            Fare { day_type: DayType::WeekendOrHoliday, ..adult(175) },
        ],
        vec![],
    );
    let friday = friday_noon(&standard);
    assert_eq!(price(&table, &friday), 160);
    assert_eq!(price(&table, &FareQuery { date: date(2026, 11, 21), ..friday }), 175, "Saturday");
    assert_eq!(price(&table, &FareQuery { date: date(2026, 11, 22), ..friday }), 175, "Sunday");
    assert_eq!(price(&table, &FareQuery { is_holiday: true, ..friday }), 175, "a holiday on a Friday");
}

#[test]
fn r_price_01_a_night_band_wraps_over_midnight() {
    let standard = class("standard");
    let night = TimeBand::new(23 * 60 + 30, 6 * 60);
    let table = table(vec![adult(50), Fare { times: night, ..adult(55) }], vec![]);
    let at =
        |hour: u16, minute: u16| price(&table, &FareQuery { minute: hour * 60 + minute, ..friday_noon(&standard) });
    assert_eq!([at(23, 29), at(23, 30), at(0, 0), at(5, 59), at(6, 0)], [50, 55, 55, 55, 50]);
}

#[test]
fn r_price_01_a_season_comes_every_year_has_both_its_ends_and_goes_over_new_year() {
    let standard = class("standard");
    let on = |table: &FareTable, year: i16, month: i8, day: i8| {
        price(table, &FareQuery { date: date(year, month, day), ..friday_noon(&standard) })
    };
    let winter = table(vec![adult(50), Fare { season: Some(season("10-01", "01-31")), ..adult(60) }], vec![]);
    for year in [2026, 2031] {
        let found =
            [(9, 30), (10, 1), (12, 31), (1, 1), (1, 31), (2, 1)].map(|(month, day)| on(&winter, year, month, day));
        assert_eq!(found, [50, 60, 60, 60, 60, 50]);
    }
    let spring = table(vec![adult(50), Fare { season: Some(season("02-29", "04-05")), ..adult(60) }], vec![]);
    assert_eq!([on(&spring, 2026, 2, 28), on(&spring, 2026, 3, 1), on(&spring, 2028, 2, 29)], [50, 60, 60]);
    for text in ["02-30", "13-01", "1-1", "00-10", "+1-01", "0101", "", "2026-01-01"] {
        assert!(text.parse::<YearDay>().is_err(), "{text}");
    }
}

#[test]
fn r_price_01_a_band_of_times_moves_with_the_season_and_dates_of_one_year_go_before_it() {
    let standard = class("standard");
    let evening = |month: i8, day: i8, minute: u16, table: &FareTable| {
        price(table, &FareQuery { date: date(2026, month, day), minute, ..friday_noon(&standard) })
    };
    let summer = Fare { season: Some(season("02-01", "09-30")), times: TimeBand::new(18 * 60 + 20, 0), ..adult(70) };
    let winter = Fare { season: Some(season("10-01", "01-31")), times: TimeBand::new(17 * 60 + 10, 0), ..adult(80) };
    let fair = Fare { dates: DateRange::new(date(2026, 12, 24), date(2026, 12, 26)), ..adult(90) };
    let table = table(vec![adult(50), summer, winter, fair], vec![]);
    let half_past_five = 17 * 60 + 30;
    assert_eq!(evening(9, 30, half_past_five, &table), 50, "night has not begun yet in September");
    assert_eq!(evening(10, 1, half_past_five, &table), 80);
    assert_eq!(evening(7, 1, 19 * 60, &table), 70);
    assert_eq!(evening(12, 25, half_past_five, &table), 90, "dates are more specific than season and times together");
}

#[test]
fn r_price_01_class_beats_stretch_beats_dates_beats_season_beats_times_beats_day_type_beats_any() {
    let standard = class("standard");
    let friday = friday_noon(&standard);
    let mut fares = vec![
        Fare { seat_class: Some(standard.clone()), ..adult(6) },
        Fare { stretch: Some(stretch(0, 1)), ..adult(5) },
        Fare { dates: DateRange::new(date(2026, 11, 1), date(2026, 11, 20)), ..adult(4) },
        Fare { season: Some(season("11-20", "11-20")), ..adult(10) },
        Fare { times: TimeBand::new(11 * 60, 13 * 60), ..adult(3) },
        Fare { day_type: DayType::Weekday, ..adult(2) },
        adult(1),
    ];
    for winner in [6, 5, 4, 10, 3, 2, 1] {
        assert_eq!(price(&table(fares.clone(), vec![]), &friday), winner);
        fares.remove(0);
    }
    let twice = table(vec![adult(1), adult(2)], vec![]);
    assert_eq!(price(&twice, &friday), 2, "of equally specific fares the later in the list");
    assert_eq!(twice.fare(PassengerType::Adult, &friday).unwrap().0, 1, "and the answer says which");
}

#[test]
fn r_price_01_every_line_is_explained_and_rounded_half_up_on_its_own() {
    let standard = class("standard");
    let source_price = Some(Money::new(12_000, Currency::Hkd));
    let fares = vec![
        Fare { source_price, assumed: true, ..adult(11_111) },
        fare(PassengerType::Child, 5_555),
        fare(PassengerType::Senior, 5_550),
    ];
    let tier = PartyTier { min_party: 4, discount_percent: 5 };
    let quote = quote(&table(fares, vec![tier]), &friday_noon(&standard), Party::new(2, 1, 1).unwrap()).unwrap();

    let [adults, children, seniors] = &quote.lines[..] else { panic!("three lines") };
    assert_eq!((adults.count, adults.unit, adults.subtotal), (2, cny(11_111), cny(22_222)));
    assert_eq!((adults.discount, adults.total), (cny(1_111), cny(21_111)), "21110.9 rounds up");
    assert_eq!(children.total, cny(5_277), "5277.25 rounds down");
    assert_eq!(seniors.total, cny(5_273), "5272.5 rounds up");
    assert_eq!(quote.total, cny(21_111 + 5_277 + 5_273));
    assert_eq!(adults.tier, Some(tier));
    assert_eq!((adults.revision, adults.index), (3, 0));
    assert_eq!((adults.fare.source_price, adults.fare.assumed), (source_price, true));
}

#[test]
fn r_price_01_a_type_without_a_fare_is_refused_and_never_free() {
    let standard = class("standard");
    let table = table(vec![adult(100)], vec![]);
    let refused = quote(&table, &friday_noon(&standard), Party::new(1, 1, 0).unwrap());
    assert_eq!(refused, Err(Rejection::field("passengers", "there is no fare for child in class standard")));
}

#[test]
fn r_search_07_a_traveller_sees_what_a_bigger_party_would_pay() {
    let standard = class("standard");
    let tiers = vec![PartyTier { min_party: 3, discount_percent: 5 }, PartyTier { min_party: 6, discount_percent: 10 }];
    let table = table(vec![adult(1_010)], tiers);
    let quotes = tier_quotes(&table, &friday_noon(&standard)).unwrap();
    let seen: Vec<_> = quotes.iter().map(|tier| (tier.min_party, tier.total.minor, tier.per_adult.minor)).collect();
    assert_eq!(seen, [(1, 1_010, 1_010), (3, 2_879, 960), (6, 5_454, 909)]);
    let five = quote(&table, &friday_noon(&standard), Party::new(5, 0, 0).unwrap()).unwrap();
    assert_eq!(five.total, cny(4_798), "five are in the tier from three on: 4797.5");
}

#[test]
fn r_price_02_a_table_holds_only_sale_currency_and_sound_amounts() {
    let check = |fare: Fare| check_table(&[adult(1), fare], &[], Currency::Cny).map_err(|refused| refused.to_string());
    assert_eq!(check(adult(0)), Ok(()));
    let hkd = Fare { price: Money::new(1, Currency::Hkd), ..adult(1) };
    assert_eq!(check(hkd), Err("fares[1].price: prices are in CNY, not HKD".to_owned()));
    assert!(check(adult(-1)).unwrap_err().starts_with("fares[1].price.amount: "));
    let negative_source = Fare { source_price: Some(Money::new(-1, Currency::Hkd)), ..adult(1) };
    assert!(check(negative_source).unwrap_err().starts_with("fares[1].sourcePrice.amount: "));
    let backwards = Fare { stretch: Some(Stretch { board: 2, alight: 1 }), ..adult(1) };
    assert!(check(backwards).unwrap_err().starts_with("fares[1].toStop: "));
    let no_time = Fare { times: Some(TimeBand { from: 60, until: 60 }), ..adult(1) };
    assert!(check(no_time).unwrap_err().starts_with("fares[1].timeTo: "));

    let tiers = |sizes: &[u16]| {
        let tiers: Vec<_> = sizes.iter().map(|size| PartyTier { min_party: *size, discount_percent: 5 }).collect();
        check_table(&[], &tiers, Currency::Cny).map_err(|refused| refused.to_string())
    };
    assert_eq!(tiers(&[2, 10]), Ok(()));
    assert!(tiers(&[3, 3]).unwrap_err().starts_with("partyTiers[1].minParty: "));
    assert!(tiers(&[11]).unwrap_err().starts_with("partyTiers[0].minParty: "));
}

/// The rule as one would tell it: throw away what does not apply; then, condition by condition, heaviest first, if any
/// that is left has the condition throw away those that have not; of what remains the last.
fn naive_fare(table: &FareTable, passenger_type: PassengerType, query: &FareQuery<'_>) -> Option<usize> {
    let weekend = [Weekday::Saturday, Weekday::Sunday].contains(&query.date.weekday()) || query.is_holiday;
    let mut left: Vec<(usize, &Fare)> = Vec::new();
    for (index, fare) in table.fares.iter().enumerate() {
        let class = fare.seat_class.clone().unwrap_or(query.class.clone()) == *query.class;
        let way = fare.stretch.unwrap_or(query.stretch) == query.stretch;
        let day = match fare.dates {
            Some(DateRange { from, to }) => !(query.date < from || query.date > to),
            None => true,
        };
        // Walk the year day by day from the season's first day to its last.
        let in_season = match fare.season {
            None => true,
            Some(Season { from, to }) => (0..366)
                .map(|step| (step + day_of_leap_year(from)) % 366)
                .scan(false, |ended, day| {
                    let goes_on = !*ended;
                    *ended = day == day_of_leap_year(to);
                    goes_on.then_some(day)
                })
                .any(|day| day == day_of_leap_year(YearDay::of(query.date))),
        };
        let time = match fare.times {
            None => true,
            // Walk the clock minute by minute from the beginning of the band to its end.
            Some(band) => (0..1440)
                .map(|step| (band.from + step) % 1440)
                .take_while(|minute| *minute != band.until)
                .any(|minute| minute == query.minute),
        };
        let kind = fare.day_type == DayType::Any || (fare.day_type == DayType::WeekendOrHoliday) == weekend;
        if fare.passenger_type == passenger_type && class && way && day && in_season && time && kind {
            left.push((index, fare));
        }
    }
    let conditions: [fn(&Fare) -> bool; 6] = [
        |fare| fare.seat_class.is_some(),
        |fare| fare.stretch.is_some(),
        |fare| fare.dates.is_some(),
        |fare| fare.season.is_some(),
        |fare| fare.times.is_some(),
        |fare| fare.day_type != DayType::Any,
    ];
    for has in conditions {
        if left.iter().any(|(_, fare)| has(fare)) {
            left.retain(|(_, fare)| has(fare));
        }
    }
    left.last().map(|(index, _)| *index)
}

/// From 0.
fn day_of_leap_year(day: YearDay) -> i16 {
    let text = day.to_string();
    format!("2000-{text}").parse::<Date>().unwrap().day_of_year() - 1
}

fn any_class() -> impl Strategy<Value = SeatClassCode> {
    prop_oneof![Just(class("standard")), Just(class("deluxe"))]
}

fn any_stretch() -> impl Strategy<Value = Stretch> {
    prop_oneof![Just(stretch(0, 1)), Just(stretch(0, 2)), Just(stretch(1, 2))]
}

fn any_dates() -> impl Strategy<Value = DateRange> {
    (1..28_i8, 0..5_i8)
        .prop_map(|(from, days)| DateRange::new(date(2026, 11, from), date(2026, 11, (from + days).min(30))).unwrap())
}

/// Any, also over New Year; most begin or end near the days that are asked for.
fn any_season() -> impl Strategy<Value = Season> {
    let day = prop_oneof![3 => (11..12_i8, 1..=30_i8), 1 => (1..=12_i8, 1..=28_i8)];
    let day = day.prop_map(|(month, day)| YearDay::new(month, day).unwrap());
    (day.clone(), day).prop_map(|(from, to)| Season { from, to })
}

fn any_band() -> impl Strategy<Value = TimeBand> {
    (0..24_u16, 1..24_u16).prop_map(|(from, hours)| TimeBand::new(from * 60, (from + hours) % 24 * 60).unwrap())
}

fn any_type() -> impl Strategy<Value = PassengerType> {
    prop_oneof![Just(PassengerType::Adult), Just(PassengerType::Child), Just(PassengerType::Senior)]
}

fn any_day_type() -> impl Strategy<Value = DayType> {
    prop_oneof![Just(DayType::Any), Just(DayType::Weekday), Just(DayType::WeekendOrHoliday)]
}

prop_compose! {
    fn any_fare()(
        passenger_type in any_type(),
        seat_class in proptest::option::of(any_class()),
        stretch in proptest::option::of(any_stretch()),
        day_type in any_day_type(),
        dates in proptest::option::of(any_dates()),
        season in proptest::option::of(any_season()),
        times in proptest::option::of(any_band()),
        minor in 0..100_000_i64,
    ) -> Fare {
        Fare { passenger_type, seat_class, stretch, day_type, dates, season, times, ..adult(minor) }
    }
}

proptest! {
    #[test]
    fn r_price_01_the_most_specific_fare_wins_as_the_naive_model_says(
        fares in proptest::collection::vec(any_fare(), 0..40),
        class in any_class(),
        stretch in any_stretch(),
        day in 1..30_i8,
        minute in 0..1440_u16,
        is_holiday in any::<bool>(),
    ) {
        let table = table(fares, vec![]);
        let query = FareQuery { class: &class, stretch, date: date(2026, 11, day), minute, is_holiday };
        for passenger_type in PassengerType::ALL {
            let real = table.fare(passenger_type, &query).map(|(index, _)| index);
            prop_assert_eq!(real, naive_fare(&table, passenger_type, &query));
        }
    }

    #[test]
    fn r_price_01_lines_add_up_and_no_party_pays_less_than_nothing(
        fares in proptest::collection::vec(any_fare(), 1..20),
        percent in 0..=100_u8,
        (adults, children, seniors) in (0..4_u16, 0..4_u16, 0..3_u16),
    ) {
        let table = table(fares, vec![PartyTier { min_party: 2, discount_percent: percent }]);
        let standard = class("standard");
        let Some(party) = Party::new(adults, children, seniors) else { return Ok(()) };
        if let Ok(quote) = quote(&table, &friday_noon(&standard), party) {
            prop_assert_eq!(quote.lines.iter().map(|line| line.count).sum::<u16>(), party.size());
            prop_assert_eq!(quote.lines.iter().map(|line| line.total.minor).sum::<i64>(), quote.total.minor);
            for line in &quote.lines {
                prop_assert_eq!(line.unit.minor * i64::from(line.count), line.subtotal.minor);
                prop_assert_eq!(line.total.minor + line.discount.minor, line.subtotal.minor);
                prop_assert!(line.total.minor >= 0 && line.discount.minor >= 0);
            }
        }
    }
}

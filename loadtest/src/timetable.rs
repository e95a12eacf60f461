//! A timetable of our own making, as a directory of CSV files for `deeptravel demo --timetable`: a day has
//! [`DEPARTURES_PER_DAY`] departures of the largest vehicle there is, so that no run sells out, between two made-up
//! places. Unpaid orders keep their seats for an hour: nothing expires while we measure. A second pair of places has what
//! a busy pair has, for searches.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use jiff::civil::Date;
use jiff::{SignedDuration, ToSpan};

/// Over so many departures the orders are spread.
pub const DEPARTURES_PER_DAY: usize = 200;
/// Routes that share these evenly.
const ROUTES: usize = 10;
/// Rows of the vehicle, each with the seats of [`ROW`]: 4,000 places, of the 4,096 that a vehicle may have. Aisles
/// would count as places too, so there are none.
const ROWS: usize = 400;
const ROW: &str = "ABCDEFGHJK";
/// Seats of a departure.
pub const SEATS: usize = ROWS * 10;
/// How many days ahead is sold, and so how far a long run can go on.
pub const DAYS: i32 = 30;
/// Where the departures are: dates and times are local there.
pub const TIME_ZONE: &str = "Asia/Hong_Kong";
/// In local minutes: the first departure of a day, and from one departure of a route to its next.
const FIRST_MINUTES: usize = 2 * 60;
const HEADWAY_MINUTES: usize = 60;
/// Departures of different routes are this many minutes apart.
const ROUTE_OFFSET_MINUTES: usize = 6;

/// The second pair of places, for the search: routes, each with so many departures a day, as a busy pair has.
const SEARCH_ROUTES: usize = 4;
const SEARCH_DEPARTURES: usize = 6;
/// Departures of a day between [`SEARCH_PLACES`].
pub const SEARCH_DEPARTURES_PER_DAY: usize = SEARCH_ROUTES * SEARCH_DEPARTURES;
/// Where searches go from and to.
pub const SEARCH_PLACES: (&str, &str) = ("GAMMA", "DELTA");

const STATIC_FILES: [(&str, &str); 5] = [
    (
        "operators.csv",
        "operator,name_zh,name_en\nload,负载测试,Load Test Lines\nseek,搜索渡轮,Search Ferries\nlook,搜索巴士,Search Coaches\n",
    ),
    (
        "ports.csv",
        "port,name_zh,name_en\nLOADA,甲站,Alpha\nLOADB,乙站,Beta\nSEEKC,丙码头,Gamma Ferry Terminal\n\
         SEEKD,丁码头,Delta Ferry Terminal\nLOOKC,丙车站,Gamma Coach Station\nLOOKM,中途站,Midway\n\
         LOOKD,丁车站,Delta Coach Station\n",
    ),
    (
        "places.csv",
        "place,name_zh,name_en,aliases,ports,weight\nALPHA,甲城,Alphaville,,LOADA,100\nBETA,乙城,Betaville,,LOADB,50\n\
         GAMMA,丙城,Gammaville,,SEEKC LOOKC,40\nDELTA,丁城,Deltaville,,SEEKD LOOKD,30\n",
    ),
    ("bands.csv", "operator,band,day_type\n*,all,any\n*,weekday,weekday\n*,weekend,weekend_or_holiday\n"),
    (
        "party_tiers.csv",
        "route,min_party,discount_percent\nseek-0,4,5\nseek-0,8,10\nseek-1,4,5\nseek-1,8,10\nseek-2,4,5\n\
         seek-2,8,10\nseek-3,4,5\nseek-3,8,10\n",
    ),
];

/// Lines of the files that are made.
#[derive(Default)]
struct Lines {
    routes: String,
    stops: String,
    departures: String,
    fares: String,
}

/// Writes the files into a directory that exists; the departures begin on `today`. Between the first two places there
/// are `per_day` departures a day, over as many routes as it needs.
pub fn write(dir: &Path, today: Date, per_day: usize) -> io::Result<()> {
    let last = today.checked_add((DAYS + 2).days()).unwrap_or(Date::MAX);
    let file = |name: &str, text: &str| fs::write(dir.join(name), text);
    file("timetable.csv", &format!("first_date,last_date,time_zone,sale_currency\n{today},{last},{TIME_ZONE},CNY\n"))?;
    for (name, text) in STATIC_FILES {
        file(name, text)?;
    }
    let vehicles = format!(
        "load_liner,Load Test Liner,standard,Standard,1,{ROWS},{ROW}\n\
         seek_ship,Search Catamaran,first,First,1,11,AB_CDE_FG\nseek_ship,Search Catamaran,economy,Economy,12,28,\
         ABC_DEFGHJ_KLM\n\
         look_coach,Search Coach,comfort,Comfort,1,3,AB_C\nlook_coach,Search Coach,standard,Standard,4,10,AB_CD\n"
    );
    file("vehicles.csv", &format!("vehicle,name,class,class_name,first_row,rows,columns\n{vehicles}"))?;

    let mut lines = Lines::default();
    lines.load(per_day);
    lines.search();
    let header =
        "route,operator,mode,name_zh,name_en,vehicle,seat_lock_minutes,booking_closes_minutes,sales_window_days";
    file("routes.csv", &format!("{header}\n{}", lines.routes))?;
    file("stops.csv", &format!("route,port,arrives_minutes,departs_minutes\n{}", lines.stops))?;
    file("departures.csv", &format!("route,departs,days\n{}", lines.departures))?;
    let header = "operator,group,class,band,passenger_type,currency,amount_minor";
    file("fares.csv", &format!("{header}\n{}", lines.fares))
}

impl Lines {
    /// What is bought.
    fn load(&mut self, per_day: usize) {
        let per_route = DEPARTURES_PER_DAY / ROUTES;
        for route in 0..per_day.div_ceil(per_route) {
            let code = format!("load-{route:02}");
            let mode = if route % 2 == 0 { "ferry" } else { "coach" };
            // Writing to a String cannot fail.
            let _ =
                writeln!(self.routes, "{code},load,{mode},甲乙线{route},Alpha – Beta {route},load_liner,60,0,{DAYS}");
            let _ = writeln!(self.stops, "{code},LOADA,0,0\n{code},LOADB,60,60");
            for number in 0..per_route.min(per_day - route * per_route) {
                let offset = route * ROUTE_OFFSET_MINUTES % HEADWAY_MINUTES;
                let minutes = FIRST_MINUTES + number * HEADWAY_MINUTES + offset;
                let _ = writeln!(self.departures, "{code},{:02}:{:02},daily", minutes / 60, minutes % 60);
            }
            for (passenger_type, fen) in [("adult", 22_000), ("child", 11_000), ("senior", 11_000)] {
                let _ = writeln!(self.fares, "load,{code},standard,all,{passenger_type},CNY,{fen}");
            }
        }
    }

    /// What is searched: two ferry routes, and two coach routes with a stop between, in two classes, dearer on weekends.
    fn search(&mut self) {
        for route in 0..SEARCH_ROUTES {
            let code = format!("seek-{route}");
            let is_ferry = route < 2;
            let (operator, mode, vehicle) =
                if is_ferry { ("seek", "ferry", "seek_ship") } else { ("look", "coach", "look_coach") };
            // Writing to a String cannot fail.
            let _ = writeln!(
                self.routes,
                "{code},{operator},{mode},丙城－丁城 {route},Gammaville – Deltaville {route},{vehicle},15,10,{DAYS}"
            );
            let _ = if is_ferry {
                writeln!(self.stops, "{code},SEEKC,0,0\n{code},SEEKD,65,65")
            } else {
                writeln!(self.stops, "{code},LOOKC,0,0\n{code},LOOKM,50,55\n{code},LOOKD,120,120")
            };
            for number in 0..SEARCH_DEPARTURES {
                let minutes = 7 * 60 + number * 150 + route * 35;
                let _ = writeln!(self.departures, "{code},{:02}:{:02},daily", minutes / 60, minutes % 60);
            }
            let classes = if is_ferry { ["first", "economy"] } else { ["comfort", "standard"] };
            for (class, fen) in classes.into_iter().zip([32_000, 17_500]) {
                for (band, more) in [("weekday", 0), ("weekend", 2_000)] {
                    for (passenger_type, percent) in [("adult", 100), ("child", 50), ("senior", 60)] {
                        let fen = (fen + more) * percent / 100;
                        let _ = writeln!(self.fares, "{operator},{code},{class},{band},{passenger_type},CNY,{fen}");
                    }
                }
            }
        }
    }
}

/// Today where the departures are, all of China being eight hours ahead.
pub fn today() -> Date {
    (jiff::Timestamp::now() + SignedDuration::from_hours(8)).to_zoned(jiff::tz::TimeZone::UTC).date()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn lines(dir: &Path, file: &str) -> Vec<Vec<String>> {
        let text = fs::read_to_string(dir.join(file)).unwrap();
        let lines: Vec<Vec<String>> = text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect();
        let columns = lines[0].len();
        assert!(lines.len() > 1 && lines.iter().all(|line| line.len() == columns), "{file}: {lines:?}");
        lines[1..].to_vec()
    }

    #[test]
    fn a_day_has_two_hundred_different_departures_and_every_name_is_known() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), jiff::civil::date(2026, 11, 21), DEPARTURES_PER_DAY).unwrap();

        let of = |file: &str, prefix: &str| -> Vec<Vec<String>> {
            lines(dir.path(), file)
                .into_iter()
                .filter(|line| line.iter().any(|text| text.starts_with(prefix)))
                .collect()
        };
        let departures = of("departures.csv", "load-");
        let times: BTreeSet<&str> = departures.iter().map(|line| line[1].as_str()).collect();
        assert_eq!((departures.len(), times.len()), (DEPARTURES_PER_DAY, DEPARTURES_PER_DAY));
        assert!(times.iter().all(|time| *time >= "02:00" && *time < "23:00"));
        assert_eq!(of("departures.csv", "seek-").len(), SEARCH_DEPARTURES_PER_DAY);

        let routes: BTreeSet<String> =
            lines(dir.path(), "routes.csv").into_iter().map(|line| line[0].clone()).collect();
        assert_eq!(routes.len(), ROUTES + SEARCH_ROUTES);
        for file in ["departures.csv", "stops.csv"] {
            assert!(lines(dir.path(), file).iter().all(|line| routes.contains(&line[0])), "{file}");
        }
        assert_eq!(of("fares.csv", "load-").len(), 3 * ROUTES);
        assert!(lines(dir.path(), "fares.csv").iter().all(|line| routes.contains(&line[1])));
        for file in ["timetable.csv", "operators.csv", "ports.csv", "places.csv", "vehicles.csv", "bands.csv"] {
            lines(dir.path(), file);
        }
    }

    #[test]
    fn a_day_can_have_few_departures_or_many() {
        let dir = tempfile::tempdir().unwrap();
        for per_day in [10, 690] {
            write(dir.path(), jiff::civil::date(2026, 11, 21), per_day).unwrap();
            let departures: BTreeSet<Vec<String>> = lines(dir.path(), "departures.csv").into_iter().collect();
            assert_eq!(departures.len(), per_day + SEARCH_DEPARTURES_PER_DAY);
        }
    }

    #[test]
    fn a_vehicle_has_the_seats_that_are_counted_on() {
        assert_eq!(ROW.bytes().filter(u8::is_ascii_uppercase).count() * ROWS, SEATS);
        const { assert!(ROWS * ROW.len() <= 4096) }
    }

    #[test]
    fn the_period_covers_the_days_on_sale() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), jiff::civil::date(2026, 12, 15), DEPARTURES_PER_DAY).unwrap();
        assert_eq!(lines(dir.path(), "timetable.csv")[0][..2], ["2026-12-15", "2027-01-16"]);
    }
}

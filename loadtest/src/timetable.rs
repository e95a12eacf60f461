//! A timetable of our own making, as a directory of CSV files for `deeptravel demo --timetable`: a day has
//! [`DEPARTURES_PER_DAY`] departures of the largest vehicle there is, so that no run sells out, between two made-up
//! places. Unpaid orders keep their seats for an hour: nothing expires while we measure.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use jiff::civil::Date;
use jiff::{SignedDuration, ToSpan};

/// Over so many departures the orders are spread.
pub const DEPARTURES_PER_DAY: usize = 200;
/// Routes that share a day's departures evenly.
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

/// Writes the files into a directory that exists; the departures begin on `today`.
pub fn write(dir: &Path, today: Date) -> io::Result<()> {
    let last = today.checked_add((DAYS + 2).days()).unwrap_or(Date::MAX);
    let file = |name: &str, text: &str| fs::write(dir.join(name), text);
    file("timetable.csv", &format!("first_date,last_date,time_zone,sale_currency\n{today},{last},{TIME_ZONE},CNY\n"))?;
    file("operators.csv", "operator,name_zh,name_en\nload,负载测试,Load Test Lines\n")?;
    file("ports.csv", "port,name_zh,name_en\nLOADA,甲站,Alpha\nLOADB,乙站,Beta\n")?;
    file(
        "places.csv",
        "place,name_zh,name_en,aliases,ports,weight\nALPHA,甲城,Alphaville,,LOADA,100\nBETA,乙城,Betaville,,LOADB,50\n",
    )?;
    let vehicle = format!("load_liner,Load Test Liner,standard,Standard,1,{ROWS},{ROW}\n");
    file("vehicles.csv", &format!("vehicle,name,class,class_name,first_row,rows,columns\n{vehicle}"))?;
    file("bands.csv", "operator,band,day_type\n*,all,any\n")?;

    let mut routes = "route,operator,mode,name_zh,name_en,vehicle,seat_lock_minutes,booking_closes_minutes,\
                      sales_window_days\n"
        .to_owned();
    let mut stops = "route,port,arrives_minutes,departs_minutes\n".to_owned();
    let mut departures = "route,departs,days\n".to_owned();
    let mut fares = "operator,group,class,band,passenger_type,currency,amount_minor\n".to_owned();
    for route in 0..ROUTES {
        let code = format!("load-{route:02}");
        let mode = if route % 2 == 0 { "ferry" } else { "coach" };
        // Writing to a String cannot fail.
        let _ = writeln!(routes, "{code},load,{mode},甲乙线{route},Alpha – Beta {route},load_liner,60,0,{DAYS}");
        let _ = writeln!(stops, "{code},LOADA,0,0\n{code},LOADB,60,60");
        for number in 0..DEPARTURES_PER_DAY / ROUTES {
            let minutes = FIRST_MINUTES + number * HEADWAY_MINUTES + route * ROUTE_OFFSET_MINUTES;
            let _ = writeln!(departures, "{code},{:02}:{:02},daily", minutes / 60, minutes % 60);
        }
        for (passenger_type, fen) in [("adult", 22_000), ("child", 11_000), ("senior", 11_000)] {
            let _ = writeln!(fares, "load,{code},standard,all,{passenger_type},CNY,{fen}");
        }
    }
    file("routes.csv", &routes)?;
    file("stops.csv", &stops)?;
    file("departures.csv", &departures)?;
    file("fares.csv", &fares)
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
        write(dir.path(), jiff::civil::date(2026, 11, 21)).unwrap();

        let departures = lines(dir.path(), "departures.csv");
        let times: BTreeSet<&str> = departures.iter().map(|line| line[1].as_str()).collect();
        assert_eq!((departures.len(), times.len()), (DEPARTURES_PER_DAY, DEPARTURES_PER_DAY));
        assert!(times.iter().all(|time| *time >= "02:00" && *time < "23:00"));

        let routes: BTreeSet<String> =
            lines(dir.path(), "routes.csv").into_iter().map(|line| line[0].clone()).collect();
        assert_eq!(routes.len(), ROUTES);
        assert!(departures.iter().all(|line| routes.contains(&line[0])));
        for (file, expected) in [("stops.csv", 2 * ROUTES), ("fares.csv", 3 * ROUTES)] {
            assert_eq!(lines(dir.path(), file).len(), expected, "{file}");
        }
        assert!(lines(dir.path(), "fares.csv").iter().all(|line| routes.contains(&line[1])));
        for file in ["timetable.csv", "operators.csv", "ports.csv", "places.csv", "vehicles.csv", "bands.csv"] {
            lines(dir.path(), file);
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
        write(dir.path(), jiff::civil::date(2026, 12, 15)).unwrap();
        assert_eq!(lines(dir.path(), "timetable.csv")[0][..2], ["2026-12-15", "2027-01-16"]);
    }
}

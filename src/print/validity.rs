//! When something can be used, in the words that stand on paper.

use deeptravel_domain::package::{Bound, StartsAt, Validity};
use deeptravel_domain::time::Timestamp;
use deeptravel_domain::zone::Zone;
use jiff::civil::DateTime;

use deeptravel_domain::names::Names;

/// As far as it is known when the ticket is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Valid {
    /// Not activated yet: as the product promises.
    Promised(Validity),
    /// Activated. `until` is exclusive.
    Between { from: Timestamp, until: Timestamp },
}

impl Valid {
    pub(super) fn words(&self, zone: &Zone) -> Names {
        match *self {
            Valid::Between { from, until } => Names::same(stretch(from, until, zone)),
            Valid::Promised(Validity::Absolute { from, until }) => {
                Names::same(stretch(from.begins(zone), until.ends(zone), zone))
            }
            Valid::Promised(Validity::Relative { days, starts, until }) => {
                let (zh, en) = match starts {
                    StartsAt::Payment => ("自激活之日起", "from activation"),
                    StartsAt::FirstUse => ("自首次使用之日起", "from first use"),
                };
                let plural = if days == 1 { "" } else { "s" };
                let (zh, en) = (format!("{zh} {days} 天内"), format!("{days} day{plural} {en}"));
                match until.map(|until| last(until, zone)) {
                    Some(last) => Names::new(format!("{zh}，最迟 {last}"), format!("{en}, until {last}")),
                    None => Names::new(zh, en),
                }
            }
        }
    }
}

fn stretch(from: Timestamp, until: Timestamp, zone: &Zone) -> String {
    let (from, until) = (zone.local(from), zone.local(until));
    let from = if is_midnight(from) { from.date().to_string() } else { minute(from) };
    format!("{from} – {}", end(until))
}

fn last(until: Bound, zone: &Zone) -> String {
    end(zone.local(until.ends(zone)))
}

/// Exclusive: with a midnight ends the day before it, which is what people expect to read.
fn end(until: DateTime) -> String {
    match until.date().yesterday() {
        Ok(last_day) if is_midnight(until) => last_day.to_string(),
        Ok(_) | Err(_) => minute(until),
    }
}

fn is_midnight(at: DateTime) -> bool {
    at.time() == jiff::civil::Time::midnight()
}

fn minute(at: DateTime) -> String {
    at.strftime("%Y-%m-%d %H:%M").to_string()
}

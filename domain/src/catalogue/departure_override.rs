//! What administrators have set for single departures: how one departs from its timetable (R-ADMIN-04). The departure itself
//! owns its seats and is told first; this is what searches, prices, gates and tickets read of it.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::Catalogue;
use crate::departure::{Allotment, Call, Channel, ClassCapacity, STOPS_MAX, STOPS_MIN, in_order};
use crate::ids::{DepartureId, SeatClassCode, VehicleCode};
use crate::register::{Entity, Entry, Written};
use crate::rejection::{Rejection, ensure};
use crate::row;
use crate::row::{Damage, First, List, Row as _, Rows, Table};
use crate::time::Timestamp;

/// Most allotments of one departure: two hundred partners with two classes each. A row of it stays a small record.
pub const ALLOTMENTS_MAX: usize = 512;

/// Most classes whose capacity is named: more than a vehicle has.
const CAPACITIES_MAX: usize = 128;

/// How one departure departs from its timetable.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(into = "Spoken", try_from = "Spoken")]
pub struct DepartureOverride {
    pub departure: DepartureId,
    /// Not sold until it is resumed.
    pub stopped: bool,
    /// Does not run, and is never sold again.
    pub cancelled: bool,
    /// The times in force, one for each stop. Empty: those of the timetable.
    pub calls: Vec<Call>,
    /// `None`: it sells the seats of its route's vehicle.
    pub fitting: Option<Fitting>,
    /// What is set aside for partners.
    pub allotments: Vec<Allotment>,
}

/// Which seats it sells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fitting {
    pub vehicle: VehicleCode,
    /// The revision of the vehicle whose seats they are.
    pub revision: u32,
    /// Of these classes only so many.
    pub capacities: Vec<ClassCapacity>,
}

impl DepartureOverride {
    /// As its timetable says.
    pub fn none(departure: DepartureId) -> DepartureOverride {
        DepartureOverride {
            departure,
            stopped: false,
            cancelled: false,
            calls: Vec::new(),
            fitting: None,
            allotments: Vec::new(),
        }
    }

    /// The time in force at a stop, if it is another than the timetable's.
    pub fn call(&self, stop: u8) -> Option<Call> {
        self.calls.get(usize::from(stop)).copied()
    }

    /// What searches, prices and tickets read of it: neither allotments nor capacities, which the departure publishes.
    pub(super) fn as_read(&self) -> (bool, bool, Vec<Call>, Option<VehicleCode>) {
        let vehicle = self.fitting.as_ref().map(|fitting| fitting.vehicle.clone());
        (self.stopped, self.cancelled, self.calls.clone(), vehicle)
    }
}

/// An override as people speak of it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spoken {
    departure_id: DepartureId,
    #[serde(default)]
    stopped: bool,
    #[serde(default)]
    cancelled: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    calls: Vec<SpokenCall>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vehicle: Option<VehicleCode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vehicle_version: Option<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    classes: Vec<ClassCapacity>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    allotments: Vec<SpokenAllotment>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpokenCall {
    arrives_at: String,
    departs_at: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpokenAllotment {
    channel: String,
    seat_class: SeatClassCode,
    seats: u16,
}

impl From<DepartureOverride> for Spoken {
    fn from(of: DepartureOverride) -> Spoken {
        let call = |call: &Call| SpokenCall {
            arrives_at: call.arrives_at.to_string(),
            departs_at: call.departs_at.to_string(),
        };
        let allotment =
            |of: Allotment| SpokenAllotment { channel: of.channel.to_string(), seat_class: of.class, seats: of.seats };
        let (vehicle, vehicle_version, classes) = match of.fitting {
            Some(Fitting { vehicle, revision, capacities }) => (Some(vehicle), Some(revision), capacities),
            None => (None, None, Vec::new()),
        };
        Spoken {
            departure_id: of.departure,
            stopped: of.stopped,
            cancelled: of.cancelled,
            calls: of.calls.iter().map(call).collect(),
            vehicle,
            vehicle_version,
            classes,
            allotments: of.allotments.into_iter().map(allotment).collect(),
        }
    }
}

impl TryFrom<Spoken> for DepartureOverride {
    type Error = String;

    fn try_from(spoken: Spoken) -> Result<DepartureOverride, String> {
        let instant = |text: &str| {
            let at: jiff::Timestamp = text.parse().map_err(|_| format!("calls: {text} is no instant"))?;
            Ok::<_, String>(Timestamp::from_jiff(at))
        };
        let call = |call: &SpokenCall| {
            Ok::<_, String>(Call { arrives_at: instant(&call.arrives_at)?, departs_at: instant(&call.departs_at)? })
        };
        let allotment = |SpokenAllotment { channel, seat_class, seats }: SpokenAllotment| {
            let channel: Channel = channel.parse().map_err(|_| format!("allotments: {channel} is no channel"))?;
            Ok::<_, String>(Allotment { channel, class: seat_class, seats })
        };
        Ok(DepartureOverride {
            departure: spoken.departure_id,
            stopped: spoken.stopped,
            cancelled: spoken.cancelled,
            calls: spoken.calls.iter().map(call).collect::<Result<_, _>>()?,
            fitting: spoken.vehicle.map(|vehicle| Fitting {
                vehicle,
                revision: spoken.vehicle_version.unwrap_or(0),
                capacities: spoken.classes,
            }),
            allotments: spoken.allotments.into_iter().map(allotment).collect::<Result<_, _>>()?,
        })
    }
}

row! {
    pub struct DepartureOverrideRow<'a>: 80 "departure_overrides", First::Unknown;
    1 departure_id [Key]: DepartureId,
    2 version: u64,
    3 stopped: bool,
    4 cancelled: bool,
    /// One per stop; empty: the times of the timetable.
    5 calls: List<'a, Call>,
    6 vehicle_code: Option<VehicleCode>,
    7 vehicle_revision: Option<u32>,
    8 capacities: List<'a, ClassCapacity>,
    9 allotments: List<'a, Allotment>,
}

impl Entity for DepartureOverride {
    type Id = DepartureId;
    type World = Catalogue;

    const NAME: &'static str = "departure override";
    const TABLE: &'static Table = DepartureOverrideRow::TABLE;

    fn id(&self) -> &DepartureId {
        &self.departure
    }

    /// The departure has checked what it means; here, that it can be kept.
    fn check(&self, _: &Catalogue) -> Result<(), Rejection> {
        let stops = self.calls.len();
        ensure(stops == 0 || (STOPS_MIN..=STOPS_MAX).contains(&stops), "calls", "are not one for every stop")?;
        ensure(in_order(&self.calls), "calls", "are not one after the other")?;
        let classes = self.fitting.as_ref().map_or(0, |fitting| fitting.capacities.len());
        ensure(classes <= CAPACITIES_MAX, "classes", "are too many")?;
        ensure(self.allotments.len() <= ALLOTMENTS_MAX, "allotments", "are too many")
    }

    /// It says how things are: what is taken back is written like everything else.
    fn used_by(id: &DepartureId, _: &Catalogue) -> Option<String> {
        Some(format!("departure {id}"))
    }

    fn put_rows(written: &Written<DepartureOverride>, _: &Catalogue, version: u64, rows: &mut Rows) {
        let of = &written.after.content;
        let fitting = of.fitting.as_ref();
        rows.put(&DepartureOverrideRow {
            departure_id: of.departure.clone(),
            version,
            stopped: of.stopped,
            cancelled: of.cancelled,
            calls: List::Of(&of.calls),
            vehicle_code: fitting.map(|fitting| fitting.vehicle.clone()),
            vehicle_revision: fitting.map(|fitting| fitting.revision),
            capacities: List::Of(fitting.map_or(&[], |fitting| &fitting.capacities)),
            allotments: List::Of(&of.allotments),
        });
    }

    fn read_rows(rows: &Rows, _: &[DepartureId]) -> Result<Vec<Entry<DepartureOverride>>, Damage> {
        let of = |row: DepartureOverrideRow<'_>| DepartureOverride {
            departure: row.departure_id,
            stopped: row.stopped,
            cancelled: row.cancelled,
            calls: row.calls.to_vec(),
            fitting: row.vehicle_code.map(|vehicle| Fitting {
                vehicle,
                revision: row.vehicle_revision.unwrap_or(0),
                capacities: row.capacities.to_vec(),
            }),
            allotments: row.allotments.to_vec(),
        };
        rows.of().map(|row| Ok(Entry::uncounted(of(row?)))).collect()
    }
}

/// The schedule and service date of a departure id in its one canonical form.
pub fn split_departure_id(id: &DepartureId) -> Option<(&str, Date)> {
    let (schedule, digits) = id.as_str().rsplit_once('.')?;
    if digits.len() != 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u32 = digits.parse().ok()?;
    let year = i16::try_from(number / 10_000).ok()?;
    let date = Date::new(year, (number / 100 % 100) as i8, (number % 100) as i8).ok()?;
    Some((schedule, date))
}

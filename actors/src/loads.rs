//! What the owners load, by name: for whoever has to know whether a database can answer it. Owners use their own.

pub use crate::catalogue::LOAD as CATALOGUE;
pub use crate::departure::{LOAD as DEPARTURE, LOAD_AFTER as DEPARTURES_AFTER};
pub use crate::desk::{DeskEntry, DeskEntryRow, LOAD as DESK_ENTRIES, lowest_id};
pub use crate::identity::LOAD as IDENTITIES;
pub use crate::order::{LOAD as ORDER, LOAD_WARM as WARM_ORDERS};
pub use crate::payment::{LOAD as QUARANTINE, LOAD_ONE as QUARANTINED_NOTICE};

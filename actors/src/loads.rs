//! What the owners load, by name: for whoever has to know whether a database can answer it. Owners use their own.

use crate::batch::Told;
use crate::catalogue::Sold;
use crate::identity::Known;
use crate::keeper::Keeping as _;
use crate::payment::Doubtful;
use crate::ports::Load;
use crate::totals::Counted;
use crate::webhooks::Heralded;

pub use crate::batch::{LOAD as BATCH, LOAD_ALL as BATCHES};
pub use crate::catalogue::LOAD_AUDITED as AUDITED_REVISION;
pub use crate::departure::{LOAD as DEPARTURE, LOAD_AFTER as DEPARTURES_AFTER};
pub use crate::desk::{DeskEntryRow, DeskReservationRow, LOAD as DESK_ENTRIES, LOAD_RESERVATIONS as DESK_RESERVATIONS};
pub use crate::order::{LOAD as ORDER, LOAD_WARM as WARM_ORDERS};
pub use crate::partner::{LOAD as PARTNER, LOAD_IDS as PARTNER_IDS, PartnerIdRow};
pub use crate::payment::{
    LOAD_ONE as QUARANTINED_NOTICE, LOAD_TRANSACTIONS as TRANSACTIONS, TransactionRow, recent_transactions,
};
pub use crate::ports::lowest_id;
pub use crate::stock::{
    LOAD as STOCK, LOAD_IDS as STOCK_IDS, LOAD_SETTLED as SETTLED_UNITS, StockIdRow, parameters as of_stock,
};
pub use crate::webhooks::LOAD_EVENT as WEBHOOK_EVENT;

pub const CATALOGUE: Load = Sold::LOAD;
pub const IDENTITIES: Load = Known::LOAD;
pub const QUARANTINE: Load = Doubtful::LOAD;
pub const TOTALS: Load = Counted::LOAD;
pub const BATCHES_TOLD: Load = Told::LOAD;
pub const WEBHOOKS: Load = Heralded::LOAD;
/// Of the owners of which there is one each. The command that writes statements looks here for tables that are read whole.
pub const KEPT: &[Load] = &[CATALOGUE, IDENTITIES, QUARANTINE, TOTALS, BATCHES_TOLD, WEBHOOKS];

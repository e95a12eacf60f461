//! Postgres behind the journal: connections, the schema, and how far the projection is.
//!
//! Nothing on the way of an order waits for it. Whoever uses it gets a [`StoreError`] that separates an outage (answer 503,
//! try again) from a defect in data (stop and look).

mod access;
mod backoff;
mod clock;
mod complaint;
mod error;
mod migrations;
mod pool;
mod position;
mod priority;
mod settings;
mod store;
mod tables;

pub use access::Access;
pub use backoff::Backoff;
pub use clock::{DatabaseClock, locks_beyond, read_clock};
pub use complaint::Complaint;
pub use error::{Outage, StoreError};
pub(crate) use migrations::migrations;
pub use migrations::{SchemaError, migrate, try_out};
pub use pool::{Database, Lane, Session};
pub use position::{
    JournalPosition, PositionError, adopt_position, advance_position, claim_epoch, outages_outside, read_position,
};
pub use settings::DatabaseSettings;
pub use store::Store;
pub use tables::{TableLook, look_at_tables, tables_with_rows};

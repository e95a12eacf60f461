//! Accounts, sessions and keys of partners. Requests read the [`Directory`](crate::directory::Directory).

use deeptravel_domain::identity::rows::{AccountRow, PartnerKeyRow, SessionRow, ValidatorSessionRow};
use deeptravel_domain::identity::{AccountStanding, Command, Event, Identities, OWNER};
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::row::{Damage, Row as _, Rows};
use deeptravel_domain::time::Timestamp;

use crate::keeper::{Keeping, Shown};
use crate::ports::{KeyVersionRow, Load, Parameter, Statement};
use crate::services::Services;

/// See the module's documentation.
#[derive(Debug)]
pub enum Known {}

impl Keeping for Known {
    type Machine = Identities;
    type Answer = AccountStanding;

    const KEY: &'static str = OWNER;
    const KIND: &'static str = "identity";
    /// A session that was ended must not be good for a moment longer.
    const SHOWN: Shown = Shown::Appended;
    /// All accounts and keys, the sessions that are open, and the newest version of any row.
    const LOAD: Load = Load::of_whole(
        &[AccountRow::TABLE, PartnerKeyRow::TABLE],
        &[
            Statement::new("load/sessions_open", SessionRow::TABLE),
            Statement::new("load/validator_sessions_open", ValidatorSessionRow::TABLE),
            Statement::new("load/identity_version", KeyVersionRow::TABLE),
        ],
    );

    fn parameters(now: Timestamp) -> Vec<Parameter> {
        vec![now.into()]
    }

    fn read(rows: &Rows, now: Timestamp) -> Result<Identities, Damage> {
        Identities::from_rows(rows, now)
    }

    fn begin(services: &Services, identities: &Identities) {
        services.directory.load(identities);
    }

    fn show(services: &Services, _: &Identities, events: &[Event]) {
        for event in events {
            services.directory.apply(event);
        }
    }

    fn answer(identities: &Identities, command: &Command, events: &[Event]) -> Result<AccountStanding, Rejection> {
        identities.standing(command, events)
    }
}

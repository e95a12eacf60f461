//! `journal reset-time`: the way back when a process has written with a wall clock that was ahead. Engine time starts at
//! the wall clock again; everything that was written stays as it is.

use deeptravel_actors::clock::{Standing, wall_clock};
use deeptravel_domain::time::Timestamp;

use super::consent::consent;
use super::doubts::{Doubts, Shown, Span};
use super::takeover::patiently;
use super::{io_threads, migrate, open_journal, start_database};
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::output::say;
use crate::postgres::{self, Database, Lane, StoreError};

/// How the consent is given on the command line.
const OPTION: &str = "--agree-to-leave";

/// Lets the next start begin at the wall clock, if the newest record lies in its future and whoever asks agrees.
pub async fn reset_time(config: &Config, doubts: Doubts, agreed: Option<&str>) -> anyhow::Result<()> {
    // First, so that nothing is done beside a server that runs.
    let held = DataDir::hold(&config.data_dir)?;
    let (journal, opened) = open_journal(config, &held)?;
    let io = io_threads()?;
    let (_cluster, access) = start_database(config)?;
    let database = Database::new(io.handle(), &access);
    io.handle().spawn(migrate(access)).await??;

    let (wall, newest) = (wall_clock(), opened.last_at_ms.map(Timestamp::from_ms));
    let (Standing::Behind { ms, .. }, Some(newest)) = (config.clock.judge(wall, newest), newest) else {
        say("The journal's newest record does not lie in the future: there is nothing to reset.");
        return Ok(());
    };
    // Going back to a clock that is wrong itself would be the same mistake again.
    doubts.of_database(&database).await?;
    say(format_args!(
        "The newest record is of {}, {} in the future of the wall clock, {}.",
        Shown(newest),
        Span(ms),
        Shown(wall)
    ));
    say("What is rewritten: where engine time starts. The next start begins at the wall clock.");
    say("What stays: orders, tickets, money and their times, as they were written.");
    say("Logins that were opened in that future end; those from before go on, as long as they last.");
    let waiting = patiently(StoreError::is_outage, || {
        database.run(Lane::Wakes, move |session| async move { postgres::locks_beyond(&*session, newest).await })
    });
    let waiting = waiting.await?;
    if waiting > 0 {
        say(format_args!(
            "{waiting} unpaid orders hold their seats until a time in that future, unless they are paid or cancelled."
        ));
    }
    consent(&Shown(newest).to_string(), agreed, OPTION)?;

    journal.reset_time(wall_clock().as_ms())?;
    journal.close()?;
    say("Engine time starts at the wall clock again. Start the server.");
    Ok(())
}

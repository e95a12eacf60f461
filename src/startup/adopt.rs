//! `journal adopt`: a way on when the journal is lost or damaged. Says what is lost before anybody agrees to it.

use anyhow::bail;
use deeptravel_actors::followers::{Followed, followed};
use deeptravel_actors::journal::adopt::{Directory, Lost, Plan, Verdict};
use deeptravel_actors::journal::{LocalDisk, Position, Seen};

use super::consent::consent;
use super::takeover::{stored, take_over};
use super::{io_threads, migrate, open_journal, start_database};
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::output::say;
use crate::postgres::{Database, JournalPosition, Store};

/// How the consent is given on the command line.
const OPTION: &str = "--agree-to-lose";

/// Compares the journal with the database, and, if they do not fit and whoever asks agrees, makes a journal that does.
pub async fn adopt(config: &Config, agreed: Option<&str>) -> anyhow::Result<()> {
    // First, so that nothing is done beside a server that runs.
    let held = DataDir::hold(&config.data_dir)?;
    let dir = held.journal()?;
    let directory = Directory::lock(&dir)?;
    let io = io_threads()?;
    let (_cluster, access) = start_database(config)?;
    let database = Database::new(io.handle(), &access);
    io.handle().spawn(migrate(access)).await??;

    let found = stored(&database).await?;
    let followers = match found {
        Some(JournalPosition { journal_id, epoch, .. }) => {
            followed(&Store::new(database.clone(), journal_id, epoch)).await?
        }
        None => Vec::new(),
    };
    let seen = found.map(Seen::from);
    let position = seen.map_or(Position::NOTHING, |seen| seen.position);
    let least = followers.iter().map(|(_, followed)| *followed).min().unwrap_or(position);
    let plan = match directory.judge(&LocalDisk, &config.journal, seen, least)? {
        Verdict::Fits => {
            say(format_args!("The journal in {} and the database fit: there is nothing to adopt.", dir.display()));
            return Ok(());
        }
        Verdict::Hopeless => bail!(
            "the database is empty, and the journal in {} does not have what it would be filled from: restore a backup \
             of the database first",
            dir.display()
        ),
        Verdict::Adoptable(plan) => plan,
    };
    say(format_args!("journal: {}", dir.display()));
    say(format_args!("{}", describe(&plan, position, &followers)));
    consent(&plan.lost.to_string(), agreed, OPTION)?;

    let aside = plan.carry_out(&LocalDisk)?;
    let (journal, opened) = open_journal(config, &held)?;
    take_over(&database, &journal).await?;
    journal.close()?;
    say(format_args!(
        "The database follows journal {} now, which goes on after position {}.",
        opened.journal_id, opened.last
    ));
    say(format_args!("The old files are in {}.", aside.display()));
    say("Back the database up now: what was backed up before cannot be brought up to date any more.");
    Ok(())
}

/// What is wrong, what is lost, what is left, and who passes what.
fn describe(plan: &Plan, seen: Position, followers: &[Followed]) -> String {
    let mut lines = vec![format!("database: has everything up to position {seen} of journal {}", plan.old())];
    lines.extend(plan.faults.iter().map(|fault| format!("fault: {fault}")));
    lines.push(match plan.lost {
        Lost::Nothing => "lost: nothing; what the database lacks can be read".to_owned(),
        Lost::Stretch { from, to, and_more } => {
            let more = if and_more { ", and perhaps what came after them" } else { "" };
            format!("lost: positions {from} to {to}{more}; the database does not have them, and not all can be read")
        }
        Lost::Unknown { after } => format!("lost: unknown; whatever was answered after position {after}"),
    });
    lines.push(if plan.last > seen {
        format!("kept: positions {} to {}, which the database lacks", seen.next(), plan.last)
    } else {
        "kept: what the database has".to_owned()
    });
    for (name, followed) in followers.iter().filter(|(_, followed)| followed.next() < plan.first) {
        let (from, to) = (followed.next(), plan.first.previous());
        lines.push(format!(
            "follower {name}: passes positions {from} to {to}, and does not learn what was announced there"
        ));
    }
    lines.join("\n")
}

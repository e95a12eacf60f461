//! The command line (api.md).

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use deeptravel_actors::engine::Engine;
use deeptravel_actors::journal::inspect::Found;
use deeptravel_actors::journal::{Position, Record, inspect};
use deeptravel_actors::kind::Kind;
use deeptravel_domain::identity::{Duties, Role};
use deeptravel_domain::row::Rows;
use deeptravel_domain::tables;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use crate::config::{Config, ConfigArgs};
use crate::data_dir::DataDir;
use crate::import::timetable::{self, Timetable};
use crate::output::{ToStderr, say};
use crate::startup::{self, Core, Doubts};
use crate::{api, postgres, telemetry};

/// Reservation core for coaches, ferries and travel packages.
#[derive(Debug, Parser)]
#[command(name = "deeptravel", version)]
pub struct Cli {
    #[command(flatten)]
    config: ConfigArgs,
    /// The wall clock is right, however far it is from the newest record or from the database's clock.
    #[arg(long, global = true)]
    accept_clock: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything on one machine: private Postgres, demo timetable, accounts and WeChat simulator (the default).
    Demo {
        /// Another timetable than the demo's.
        #[arg(long, value_name = "DIR")]
        timetable: Option<PathBuf>,
    },
    /// Production, from configuration.
    Serve,
    /// Brings timetables and fares in.
    #[command(subcommand)]
    Import(Import),
    /// Accounts of staff.
    #[command(subcommand)]
    Admin(Admin),
    /// What is in the journal, and a way on without it.
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Checks the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Prints the OpenAPI document.
    Openapi,
    /// Brings the database's schema up to date.
    Migrate,
}

#[derive(Debug, Subcommand)]
enum Import {
    /// A directory of CSV files, as config/demo/README.md describes it.
    Timetable { dir: PathBuf },
}

#[derive(Debug, Subcommand)]
enum Admin {
    /// Makes an administrator with a new name; asks for the password on standard input.
    Create { name: String },
    /// Gives an account a new password and ends its sessions; asks for the password on standard input.
    Reset { name: String },
}

#[derive(Debug, Subcommand)]
enum JournalCommand {
    /// Makes a new journal in the place of one that is lost or damaged. Says first what is lost, and asks.
    Adopt {
        /// Agrees without being asked: what the command says is lost.
        #[arg(long, value_name = "WHAT")]
        agree_to_lose: Option<String>,
    },
    /// Lets engine time start at the wall clock again, when the newest records were written with one that was ahead. Says
    /// first what that changes, and asks.
    ResetTime {
        /// Agrees without being asked: the time of the newest record, as the command says it.
        #[arg(long, value_name = "TIME")]
        agree_to_leave: Option<String>,
    },
    /// Segments, positions, sizes.
    Inspect,
    /// Every record as a line of JSON.
    Dump {
        /// Only records after this position.
        #[arg(long, default_value_t = 0)]
        after: u64,
        /// Other segments than the data directory's: such as were set aside.
        #[arg(long, value_name = "DIR")]
        segments: Option<PathBuf>,
        /// Goes on behind what does not read, and says at the end what that was.
        #[arg(long)]
        past_damage: bool,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    Check,
}

/// Runs the command line.
pub async fn run() -> anyhow::Result<()> {
    let Cli { config: args, accept_clock, command } = Cli::parse();
    let doubts = if accept_clock { Doubts::Said } else { Doubts::Refused };
    let command = command.unwrap_or(Command::Demo { timetable: None });
    if matches!(command, Command::Openapi) {
        say(api::document().to_pretty_json()?);
        return Ok(());
    }
    let demo = matches!(command, Command::Demo { .. });
    let config = Config::read(&args, demo)?;
    // These two say it together with what production lacks.
    let says_it_all = matches!(command, Command::Serve | Command::Config(_));
    let config = if says_it_all { config } else { config.usable()? };
    telemetry::init_logs(&config.log)?;
    match command {
        Command::Demo { timetable } => startup::demo(config, timetable).await,
        Command::Serve => startup::serve(config, doubts).await,
        Command::Import(Import::Timetable { dir }) => import_timetable(&config, doubts, &dir).await,
        Command::Admin(Admin::Create { name }) => {
            on_engine(&config, doubts, async |engine: &Engine| create_admin(engine, &name).await).await
        }
        Command::Journal(JournalCommand::Adopt { agree_to_lose }) => {
            startup::adopt(&config, agree_to_lose.as_deref()).await
        }
        Command::Journal(JournalCommand::ResetTime { agree_to_leave }) => {
            startup::reset_time(&config, doubts, agree_to_leave.as_deref()).await
        }
        Command::Admin(Admin::Reset { name }) => {
            on_engine(&config, doubts, async |engine: &Engine| reset_password(engine, &name).await).await
        }
        Command::Journal(JournalCommand::Inspect) => {
            let summary = inspect::summary(&config.journal_dir())?;
            say(serde_json::to_string_pretty(&summary)?);
            Ok(())
        }
        Command::Journal(JournalCommand::Dump { after, segments, past_damage }) => {
            let dir = segments.unwrap_or_else(|| config.journal_dir());
            if past_damage { dump_past_damage(&dir, Position(after)) } else { dump(&dir, Position(after)) }
        }
        Command::Config(ConfigCommand::Check) => {
            let complaints = startup::complaints(&config).await;
            if !complaints.is_empty() {
                bail!("{}", complaints.join("\n"));
            }
            say("the configuration is complete");
            Ok(())
        }
        Command::Migrate => migrate(&config).await,
        Command::Openapi => Ok(()),
    }
}

async fn import_timetable(config: &Config, doubts: Doubts, dir: &Path) -> anyhow::Result<()> {
    let timetable = timetable::read(dir)?;
    for skipped in &timetable.skipped {
        say(format_args!("skipped: {skipped}"));
    }
    let changes = on_engine(config, doubts, async |engine: &Engine| {
        let changes = apply(engine, timetable).await;
        let _ = writeln!(ToStderr);
        changes
    });
    say(format_args!("{} changes", changes.await?));
    Ok(())
}

/// Applies a timetable and shows how far it is; what is the same already changes nothing. Answers the number of changes.
async fn apply(engine: &Engine, timetable: Timetable) -> anyhow::Result<u32> {
    let forgotten = timetable.forgotten_years(&engine.services().catalogue.load());
    let (count, mut changes) = (timetable.commands.len() + forgotten.len(), 0);
    for (index, command) in timetable.commands.into_iter().chain(forgotten).enumerate() {
        changes += u32::from(engine.configure(command).await?.outcome?.changed);
        let _ = write!(ToStderr, "\r{} of {count}", index + 1);
    }
    Ok(changes)
}

/// As whom the audit knows whoever sits at this machine.
const COMMAND_LINE: &str = "command line";

/// Asks for the password when the engine runs, so that nobody types one for a directory that is in use.
async fn create_admin(engine: &Engine, name: &str) -> anyhow::Result<()> {
    if engine.services().directory.account(name).is_some() {
        bail!("there is an account {name} already");
    }
    let password = ask_password(name).await?;
    let duties = Duties::Desk([Role::Admin].into());
    startup::make_account(engine, COMMAND_LINE, name, password, duties).await
}

async fn reset_password(engine: &Engine, name: &str) -> anyhow::Result<()> {
    let account = engine.services().directory.account(name).with_context(|| format!("there is no account {name}"))?;
    let password = ask_password(name).await?;
    startup::reset_password(engine, COMMAND_LINE, name, password).await?;
    say(format_args!("the password is changed; who was logged in as {name} no longer is"));
    if account.disabled {
        say("the account is disabled: nobody can log in with it");
    }
    Ok(())
}

async fn ask_password(name: &str) -> anyhow::Result<String> {
    let _ = write!(ToStderr, "password for {name}: ");
    let password = tokio::task::spawn_blocking(read_password).await??;
    startup::check_password(name, &password)?;
    Ok(password)
}

/// Works with an engine without the world, waits until Postgres has what came of it, and stops, whatever that was.
async fn on_engine<T>(
    config: &Config,
    doubts: Doubts,
    work: impl AsyncFnOnce(&Engine) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let core = Core::start(config, DataDir::hold(&config.data_dir)?, None, doubts).await?;
    let outcome = work(&core.engine).await;
    let drained = core.drained().await;
    core.stop().await?;
    let value = outcome?;
    drained?;
    Ok(value)
}

/// A line of standard input; a terminal does not show what is typed.
fn read_password() -> anyhow::Result<String> {
    let stdin = std::io::stdin();
    let shown = tcgetattr(&stdin).ok();
    if let Some(shown) = &shown {
        let mut hidden = shown.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Flush, &hidden)?;
    }
    let mut line = String::new();
    let read = stdin.read_line(&mut line);
    if let Some(shown) = &shown {
        tcsetattr(&stdin, OptionalActions::Flush, shown)?;
        let _ = writeln!(ToStderr);
    }
    read?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

async fn migrate(config: &Config) -> anyhow::Result<()> {
    let access = config.database.access()?.context("database.url: the private database migrates itself")?;
    let applied = postgres::migrate(&access).await?;
    say(format_args!("{} migrations applied", applied.len()));
    Ok(())
}

fn dump(dir: &Path, after: Position) -> anyhow::Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    for found in inspect::records(dir, after)? {
        print_record(&mut out, &found?)?;
    }
    Ok(out.flush()?)
}

fn dump_past_damage(dir: &Path, after: Position) -> anyhow::Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let faults = inspect::readable(dir, after, |found| print_record(&mut out, &found))?;
    out.flush()?;
    for fault in faults {
        let _ = writeln!(ToStderr, "{fault}");
    }
    Ok(())
}

fn print_record(out: &mut impl Write, found: &Found) -> anyhow::Result<()> {
    serde_json::to_writer(&mut *out, &found.to_json(&payload_of(&found.record)?))?;
    Ok(out.write_all(b"\n")?)
}

/// Rows as JSON, by table, without what is nobody's business.
fn payload_of(record: &Record) -> anyhow::Result<serde_json::Value> {
    if Kind::known(record.header.kind).is_none() {
        bail!("a record of kind {} is not known to this release", record.header.kind);
    }
    let unread = || anyhow::anyhow!("the record of {} cannot be read", record.header.key);
    let rows = Rows::from_bytes(record.payload.clone()).map_err(|_| unread())?;
    let mut payload: BTreeMap<&str, Vec<serde_json::Value>> = BTreeMap::new();
    for (slot, image) in rows.images() {
        let table = tables::by_slot(slot).ok_or_else(unread)?;
        let row = serde_json::from_str(&table.to_json(image).map_err(|_| unread())?)?;
        payload.entry(table.name).or_default().push(row);
    }
    Ok(serde_json::to_value(payload)?)
}

#[cfg(test)]
mod tests {
    use deeptravel_actors::journal::{KeyText, RecordHeader};
    use deeptravel_actors::kind::CODEC;
    use deeptravel_domain::announcement::AnnouncementRow;
    use deeptravel_domain::earlier;
    use deeptravel_domain::identity::rows::{AccountRow, SessionRow, TravellerRow, ValidatorSessionRow};
    use deeptravel_domain::order::rows::{OrderRow, PaymentRow, RefundRow};
    use deeptravel_domain::quarantine::Notice;
    use deeptravel_domain::row::{Row as _, Table, write};

    use super::*;

    /// Everything personal or secret holds this text.
    const HUSH: &str = "hush";

    /// A row with these texts and nothing else.
    fn put(rows: &mut Rows, table: &Table, texts: &[(&str, &str)]) {
        let mut image = Vec::new();
        for (column, text) in texts {
            write::bytes(table.column(column).unwrap().tag, text.as_bytes(), &mut image);
        }
        rows.put_image(table.slot, &image);
    }

    fn personal_rows() -> Rows {
        let mut rows = Rows::default();
        let ids = [("order_id", "an id of ours 16"), ("traveller_id", "an id of ours 16")];
        let contact = [("contact_name", HUSH), ("contact_phone", HUSH), ("contact_email", HUSH)];
        put(&mut rows, OrderRow::TABLE, &[ids.as_slice(), contact.as_slice()].concat());
        put(&mut rows, earlier::OrderRow::TABLE, &[&[("order_id", "O1")], contact.as_slice()].concat());
        put(&mut rows, earlier::PassengerRow::TABLE, &[("name", HUSH), ("document_sealed", HUSH)]);
        let mut passenger = Vec::new();
        write::bytes(1, HUSH.as_bytes(), &mut passenger);
        write::within(3, &mut passenger, |document| write::bytes(3, HUSH.as_bytes(), document));
        let passenger = String::from_utf8(passenger).unwrap();
        put(&mut rows, OrderRow::TABLE, &[ids.as_slice(), &[("passengers", &passenger)]].concat());
        put(&mut rows, PaymentRow::TABLE, &[("request_body", HUSH)]);
        put(&mut rows, RefundRow::TABLE, &[("request_body", HUSH)]);
        put(&mut rows, AccountRow::TABLE, &[("password_hash", HUSH)]);
        put(&mut rows, SessionRow::TABLE, &[("token_hash", HUSH), ("openid", HUSH)]);
        put(&mut rows, TravellerRow::TABLE, &[("openid", HUSH)]);
        put(&mut rows, ValidatorSessionRow::TABLE, &[("secret_hash", HUSH)]);
        put(&mut rows, Notice::TABLE, &[("notice", HUSH), ("note", HUSH)]);
        rows
    }

    fn dumped(kind: Kind, rows: Rows) -> String {
        let header = RecordHeader {
            kind: kind.number(),
            codec: CODEC,
            key: KeyText::new("order/O1").unwrap(),
            key_version: 1,
            at_ms: 0,
        };
        payload_of(&Record { header, payload: rows.into_bytes() }).unwrap().to_string()
    }

    #[test]
    fn rule_16_a_dumped_journal_shows_what_is_announced() {
        let mut rows = Rows::default();
        put(&mut rows, AnnouncementRow::TABLE, &[("order_id", "O1"), ("kind", "paid")]);
        let shown = dumped(Kind::Announcing, rows);
        assert!(shown.starts_with("{\"announcements\":[{") && shown.contains("\"kind\":\"paid\""), "{shown}");
    }

    #[test]
    fn r_admin_11_a_dumped_journal_names_nobody_and_tells_no_secret() {
        let shown = dumped(Kind::Rows, personal_rows());
        assert!(shown.contains("\"order_id\":\"O1\""), "{shown}");
        let as_bytes = [serde_json::to_string(HUSH.as_bytes()).unwrap(), hex::encode(HUSH)];
        assert!(!shown.contains(HUSH) && !as_bytes.iter().any(|bytes| shown.contains(bytes)), "{shown}");
    }
}

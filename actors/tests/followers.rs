//! Followers: what is announced follows exactly once, whatever ends when; none holds up another; a gap stops (rule 16).

#![allow(clippy::unwrap_used, reason = "tests")]

mod journal_support;
mod tally;

use std::process::{Command, Stdio};
use std::time::Duration;

use deeptravel_actors::follow::{Failure, Follower, Following, Holds, State};
use deeptravel_actors::journal::adopt::{Directory, Verdict};
use deeptravel_actors::journal::{Journal, JournalOptions, LocalDisk, Position, Record, Retention, Seen, inspect};
use deeptravel_actors::kind::Kind;
use deeptravel_actors::outage::Outage;
use deeptravel_domain::announcement::AnnouncementRow;
use deeptravel_domain::row::Rows;
use journal_support::{Shortcuts as _, append_frame, record, segments, small, wait};
use tally::{Counts, Script, Tally, Turn, counted};
use tempfile::{TempDir, tempdir};
use tokio::runtime::Runtime;

/// A journal with followers, and the threads they run on.
struct Office {
    journal: Journal,
    following: Following,
    io: Runtime,
}

impl Office {
    fn open(dir: &TempDir, options: &JournalOptions, scripts: &[&Script]) -> Office {
        let (journal, _) = Journal::open(dir.path(), options.clone()).unwrap();
        Office::start(journal, scripts)
    }

    fn start(journal: Journal, scripts: &[&Script]) -> Office {
        let io = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let wake = |script: &&Script| Box::new(Tally::wake(&journal, script)) as Box<dyn Follower>;
        let following = Following::start(io.handle(), &journal, scripts.iter().map(wake).collect());
        Office { journal, following, io }
    }

    /// Ends like a process that is killed: whatever a follower is doing breaks off.
    fn kill(self) {
        self.io.shutdown_background();
        self.journal.close().unwrap();
    }

    /// Appends a record that announces something of each kind named.
    fn announce(&self, key: &str, kinds: &[u8]) -> Position {
        self.append(key, Kind::Announcing, &tally::announcing(kinds))
    }

    fn append(&self, key: &str, kind: Kind, payload: &[u8]) -> Position {
        let mut record = self.next_of(key, payload);
        record.header.kind = kind.number();
        append_frame(&self.journal, &record)
    }

    fn next_of(&self, key: &str, payload: &[u8]) -> Record {
        record(key, self.journal.next_version(key), payload)
    }

    /// Waits until a follower has followed up to a position.
    fn followed(&self, place: usize, to: Position) {
        until("it has followed", || self.following.statuses()[place].seen >= to);
    }

    fn state(&self, place: usize) -> State {
        self.following.statuses()[place].state
    }
}

/// Waits for what another thread does.
fn until(what: &str, happens: impl Fn() -> bool) {
    let begun = std::time::Instant::now();
    while !happens() {
        assert!(begun.elapsed() < Duration::from_secs(20), "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn roomy() -> JournalOptions {
    JournalOptions { preallocate: false, ..JournalOptions::default() }
}

#[test]
fn what_is_announced_is_followed_in_order_and_what_is_not_is_passed_over() {
    let (dir, script) = (tempdir().unwrap(), Script::new("tally"));
    let office = Office::open(&dir, &roomy(), &[&script]);
    let mut expected = Vec::new();
    for number in 0..100_u8 {
        office.append("plain", Kind::Rows, &[number]);
        let kinds = [1 + number % 3, 7];
        expected.push((office.announce("order", &kinds), kinds.to_vec()));
    }
    let last = office.append("plain", Kind::Rows, &[1]);

    office.followed(0, last);

    assert_eq!(script.taken(), expected);
    assert_eq!(counted(&office.journal, "tally").totals, Counts::from([(1, 34), (2, 33), (3, 33), (7, 100)]));
}

#[test]
fn what_is_not_announced_asks_for_no_record_unless_a_segment_waits_for_it() {
    let (dir, script) = (tempdir().unwrap(), Script::new("tally"));
    let office = Office::open(&dir, &roomy(), &[&script]);
    let last = (0..1_000).map(|_| office.append("plain", Kind::Rows, &[1; 100])).last().unwrap();
    office.followed(0, last);
    let last = office.announce("order", &[1]);
    office.followed(0, last);
    assert_eq!(counted(&office.journal, "tally").version, 1, "the follower's only record");
    office.kill();

    let (dir, script) = (tempdir().unwrap(), Script::new("tally"));
    let office = Office::open(&dir, &small(), &[&script]);
    let last = (0..1_000).map(|_| office.append("plain", Kind::Rows, &[1; 100])).last().unwrap();
    office.followed(0, last);
    until("the segments can go", || {
        office.following.release(office.journal.durable(), Retention::NONE).unwrap();
        segments(dir.path()).len() == 1
    });
    let written = office.journal.durable().0 - 1_000;
    assert!((1..40).contains(&written), "{written} records for 30 segments");
    assert_eq!(script.taken(), []);
}

#[test]
fn everything_follows_exactly_once_wherever_a_kill_meets_the_follower() {
    for turn in [Turn::HangsBefore, Turn::HangsAppended, Turn::HangsDurable] {
        let (dir, script) = (tempdir().unwrap(), Script::new("tally"));
        let office = Office::open(&dir, &roomy(), &[&script]);
        office.followed(0, office.announce("order", &[1, 2]));
        script.plan([turn]);
        office.announce("order", &[1]);
        office.announce("order", &[2]);
        until("it hangs", || script.is_done());
        office.kill();

        let office = Office::open(&dir, &roomy(), &[&script]);
        office.followed(0, office.announce("order", &[1]));

        assert_eq!(counted(&office.journal, "tally").totals, Counts::from([(1, 3), (2, 2)]), "{turn:?}");
        office.kill();
    }
}

/// Announces something or nothing, by chance, for so many records.
fn announce_at_random(office: &Office, key: &str, records: usize, chance: &mut u64) {
    for _ in 0..records {
        *chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        match (*chance >> 33) as u8 % 4 {
            0 => office.append(key, Kind::Rows, &[9]),
            kind => office.announce(key, &[kind]),
        };
        std::thread::sleep(Duration::from_millis((*chance >> 40) % 4));
    }
}

/// Lets the tally finish, and compares what it has written with what the journal says.
fn check_totals(office: &Office, script: &Script) {
    office.followed(0, office.journal.durable());
    let mut expected = Counts::new();
    for (_, record) in journal_support::read_all(&office.journal, Position::NOTHING) {
        if record.header.kind == Kind::Announcing.number() {
            let announced: Vec<AnnouncementRow> = Rows::from_bytes(record.payload).unwrap().all().unwrap();
            for kind in tally::kinds(&announced) {
                *expected.entry(kind).or_default() += 1;
            }
        }
    }
    assert!(!expected.is_empty());
    assert_eq!(counted(&office.journal, script.name).totals, expected);
}

#[test]
fn after_ends_at_any_time_the_journal_alone_gives_the_same_totals() {
    let (dir, script, mut chance) = (tempdir().unwrap(), Script::new("tally"), 17);
    for round in 0..8 {
        let office = Office::open(&dir, &roomy(), &[&script]);
        announce_at_random(&office, &format!("order/{round}"), 60, &mut chance);
        office.kill();
    }
    check_totals(&Office::open(&dir, &roomy(), &[&script]), &script);
}

/// Where [`victim`] works.
const VICTIM: &str = "DEEPTRAVEL_TEST_VICTIM";

/// Not a test of its own: the process that [`after_sigkill_the_journal_alone_gives_the_same_totals`] kills.
#[test]
#[ignore = "run by another test in a process of its own"]
fn victim() {
    let Ok(dir) = std::env::var(VICTIM) else { return };
    let (journal, _) = Journal::open(dir.as_ref(), roomy()).unwrap();
    let mut chance = journal.durable().0;
    let office = Office::start(journal, &[&Script::new("tally")]);
    // Some seconds, in case that nobody kills it.
    announce_at_random(&office, "order", 5_000, &mut chance);
}

#[test]
fn after_sigkill_the_journal_alone_gives_the_same_totals() {
    let (dir, script) = (tempdir().unwrap(), Script::new("tally"));
    let mut last = 0;
    for round in 0..5 {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "victim", "--ignored"])
            .env(VICTIM, dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let written = || inspect::summary(dir.path()).map_or(0, |summary| summary.last.0);
        until("it writes", || written() > last + 20 + 7 * round);
        process.kill().unwrap();
        process.wait().unwrap();
        let office = Office::open(&dir, &roomy(), &[&script]);
        check_totals(&office, &script);
        last = office.journal.durable().0;
        office.kill();
    }
}

#[test]
fn an_outage_whose_outcome_nobody_knows_counts_nothing_twice() {
    let (dir, script) = (tempdir().unwrap(), Script::new("tally"));
    let office = Office::open(&dir, &roomy(), &[&script]);
    script.plan([Turn::Fails(Outage::JournalFull), Turn::LosesAnswer, Turn::Fails(Outage::Rebuilding)]);

    let last = office.announce("order", &[1, 1, 2]);
    office.followed(0, last);

    assert_eq!(counted(&office.journal, "tally").totals, Counts::from([(1, 2), (2, 1)]));
    assert_eq!(office.following.statuses()[0].set_aside, 0);
}

#[test]
fn a_record_that_fails_twice_is_set_aside_and_the_others_are_followed() {
    for turn in [Turn::Faulty, Turn::Panics, Turn::Fails(Outage::SetAside)] {
        let (dir, script) = (tempdir().unwrap(), Script::new("tally"));
        script.chokes_on(13, turn);
        let office = Office::open(&dir, &roomy(), &[&script]);
        for kinds in [[1, 1], [13, 2], [3, 3], [13, 2], [1, 3]] {
            office.announce("order", &kinds);
        }

        office.followed(0, office.journal.durable());

        assert_eq!(counted(&office.journal, "tally").totals, Counts::from([(1, 3), (3, 3)]), "{turn:?}");
        assert_eq!(office.following.statuses()[0].set_aside, 2);
        assert_eq!(office.state(0), State::Follows);
        office.kill();
        // What was set aside stays so.
        let office = Office::open(&dir, &roomy(), &[&script]);
        office.followed(0, office.announce("order", &[1]));
        assert_eq!(office.following.statuses()[0].set_aside, 0);
        assert_eq!(counted(&office.journal, "tally").totals, Counts::from([(1, 4), (3, 3)]));
    }
}

#[test]
fn a_record_that_fails_only_once_is_followed() {
    let (dir, script) = (tempdir().unwrap(), Script::new("tally"));
    let office = Office::open(&dir, &roomy(), &[&script]);
    script.plan([Turn::Faulty]);
    office.followed(0, office.announce("order", &[5]));
    assert_eq!(counted(&office.journal, "tally").totals, Counts::from([(5, 1)]));
    assert_eq!(office.following.statuses()[0].set_aside, 0);
}

#[test]
fn a_follower_that_waits_holds_up_no_other_and_follows_everything_later() {
    let (dir, slow, quick) = (tempdir().unwrap(), Script::new("slow"), Script::new("quick"));
    slow.is_out(true);
    let office = Office::open(&dir, &roomy(), &[&slow, &quick]);
    // More than is kept for those who are a little behind.
    for number in 0..30_u8 {
        let last = office.announce("order", &[number]);
        office.followed(1, last);
    }
    assert_eq!(slow.taken(), []);

    slow.is_out(false);

    office.followed(0, office.journal.durable());
    assert_eq!(slow.taken(), quick.taken());
    assert_eq!(slow.taken().len(), 30);
}

#[test]
fn a_follower_that_is_behind_keeps_its_segments_until_it_has_followed() {
    let (dir, behind, other) = (tempdir().unwrap(), Script::new("behind"), Script::new("other"));
    behind.is_out(true);
    let office = Office::open(&dir, &small(), &[&behind, &other]);
    for _ in 0..100 {
        office.announce("order", &[1; 300]);
    }
    office.followed(1, office.journal.durable());
    let before = segments(dir.path()).len();

    let released = office.following.release(office.journal.durable(), Retention::NONE).unwrap();
    assert_eq!((released.segments, segments(dir.path()).len()), (0, before));

    behind.is_out(false);
    until("the segments can go", || {
        office.following.release(office.journal.durable(), Retention::NONE).unwrap();
        segments(dir.path()).len() == 1
    });
    assert_eq!(behind.taken().len(), 100);
    assert!(office.following.statuses().iter().all(|status| status.holds == Holds::Little));
}

/// Ten segments of four records each, of a mebibyte: no two are kept in one chunk.
fn large() -> JournalOptions {
    JournalOptions { segment_bytes: 4 << 20, max_bytes: 40 << 20, preallocate: false, ..JournalOptions::default() }
}

const MEBIBYTE: usize = 1 << 20;

#[test]
fn a_follower_that_does_not_get_on_is_reported_then_gives_way_to_sales_and_stops_at_the_gap() {
    let (dir, stuck, other) = (tempdir().unwrap(), Script::new("stuck"), Script::new("other"));
    stuck.is_out(true);
    let office = Office::open(&dir, &large(), &[&stuck, &other]);
    let release = || office.following.release(office.journal.durable(), Retention::NONE).unwrap().segments;
    let holds = || office.following.statuses()[0].holds;
    let mut kinds = vec![0; MEBIBYTE - 200];
    kinds[0] = 1;
    let announce = |records: usize| {
        let last = (0..records).map(|_| office.announce("order", &kinds)).last().unwrap();
        office.followed(1, last);
    };

    announce(12);
    assert_eq!((release(), holds()), (0, Holds::Little));
    // More than half of what sales may have.
    announce(10);
    assert_eq!((release(), holds()), (0, Holds::TooMuch));
    // Sales would stop: whatever they need goes.
    announce(11);
    assert!(office.journal.space().is_rationed());
    assert!(release() > 0);
    assert_eq!(holds(), Holds::GaveWay);
    assert!(!office.journal.space().is_rationed());

    // It has the first in its hands. What comes after that is gone.
    stuck.is_out(false);
    until("it has stopped", || office.state(0) == State::Lost);
    assert_eq!(stuck.taken().len(), 1);
    // Nothing is kept for it any more, and the others go on.
    let last = office.announce("order", &[2]);
    office.followed(1, last);
    until("the segments can go", || {
        release();
        segments(dir.path()).len() == 1
    });
    office.kill();

    let office = Office::open(&dir, &large(), &[&stuck, &other]);
    until("it has stopped again", || office.state(0) == State::Lost);
    office.followed(1, office.announce("order", &[3]));
    assert_eq!(stuck.taken().len(), 1);
    assert_eq!(office.state(1), State::Follows);
}

#[test]
fn a_new_follower_begins_with_the_oldest_record_that_there_is() {
    let (dir, old, new) = (tempdir().unwrap(), Script::new("old"), Script::new("new"));
    let office = Office::open(&dir, &small(), &[&old]);
    for number in 0..60_u8 {
        office
            .announce("order", &[number, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
    office.followed(0, office.journal.durable());
    until("the beginning can go", || {
        office.following.release(office.journal.durable(), Retention::NONE).unwrap();
        office.journal.oldest() > Position(30)
    });
    office.kill();

    let office = Office::open(&dir, &small(), &[&old, &new]);
    let oldest = office.journal.oldest();
    office.followed(1, office.journal.durable());

    let expected: Vec<_> = old.taken().into_iter().filter(|(position, _)| *position >= oldest).collect();
    assert_eq!(new.taken(), expected);
    assert_eq!(office.state(1), State::Follows);
    assert_eq!(office.following.statuses()[1].holds, Holds::Little);
}

#[test]
fn rule_23_a_record_of_an_unknown_kind_is_not_passed_over() {
    let (dir, script) = (tempdir().unwrap(), Script::new("tally"));
    let office = Office::open(&dir, &roomy(), &[&script]);
    let before = office.announce("order", &[1]);
    office.followed(0, before);
    let mut later = office.next_of("order", &[2]);
    later.header.kind = Kind::Announcing.number() + 1;
    append_frame(&office.journal, &later);
    office.announce("order", &[1]);

    until("it has stopped", || office.state(0) == State::Stopped);
    office.kill();
    let office = Office::open(&dir, &roomy(), &[&script]);
    until("it has stopped again", || office.state(0) == State::Stopped);
    assert_eq!(script.taken().len(), 1);
}

#[test]
fn without_followers_release_is_what_it_was() {
    let dir = tempdir().unwrap();
    let office = Office::open(&dir, &small(), &[]);
    for _ in 0..60 {
        office.announce("order", &[1; 300]);
    }
    wait(&office.journal, office.journal.appended());
    office.following.release(office.journal.durable(), Retention::NONE).unwrap();
    assert_eq!(segments(dir.path()).len(), 1);
}

#[test]
fn an_owner_that_was_set_aside_is_a_fault_and_every_other_outage_is_waited_for() {
    assert!(matches!(Failure::from(Outage::SetAside), Failure::Fault(_)));
    assert!(matches!(Failure::from(Outage::Rebuilding), Failure::Outage(Outage::Rebuilding)));
}

#[test]
fn adopt_8_a_follower_passes_what_was_given_up_with_a_lost_journal_and_follows_on() {
    let (dir, script) = (tempdir().unwrap(), Script::new("tally"));
    let office = Office::open(&dir, &small(), &[&script]);
    office.followed(0, office.announce("order", &[1]));
    let row = counted(&office.journal, "tally");
    let (journal, epoch) = (office.journal.id(), office.journal.epoch());
    office.kill();
    for file in segments(dir.path()) {
        std::fs::remove_file(file).unwrap();
    }

    // The database had much more than the follower had followed.
    let seen = Seen { journal, position: Position(row.position.0 + 40), epoch };
    let directory = Directory::lock(dir.path()).unwrap();
    let judged = directory.judge(&LocalDisk, &small(), Some(seen), row.position).unwrap();
    let Verdict::Adoptable(plan) = judged else { panic!("{judged:?}") };
    assert_eq!(plan.first, seen.position.next());
    plan.carry_out(&LocalDisk).unwrap();

    let (journal, _) = Journal::open(dir.path(), small()).unwrap();
    let io = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let follower = Box::new(Tally::wake_from(&journal, &script, row.clone())) as Box<dyn Follower>;
    let following = Following::start(io.handle(), &journal, vec![follower]);
    let office = Office { journal, following, io };
    office.followed(0, office.announce("order", &[2]));
    assert_eq!(office.state(0), State::Follows);
    let now = counted(&office.journal, "tally");
    assert_eq!(now.totals, Counts::from([(1, 1), (2, 1)]));
    assert!(now.version > row.version && now.position > seen.position);
}

/// Not a test of its own: the one below runs it in a process that may open only a few files.
#[test]
#[ignore = "another test runs this in a process of its own"]
fn helper_that_runs_out_of_descriptors() {
    let (dir, script) = (tempdir().unwrap(), Script::new("tally"));
    // One that begins has room for what the follower writes while no other can be prepared.
    let options = JournalOptions { segment_bytes: 64 * 1024, batch_bytes_max: 4096, ..small() };
    let office = Office::open(&dir, &options, &[&script]);
    office.followed(0, office.announce("order", &[1; 500]));
    until("the next segment is prepared", || {
        dir.path().join("spare.tmp").metadata().is_ok_and(|it| it.len() == 64 * 1024)
    });
    // Takes what there is, and what the writer gives back when it goes on to the next segment.
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let hoarder = std::thread::spawn(move || {
        let mut all = Vec::new();
        while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            all.extend(std::fs::File::open("/dev/null").ok());
        }
        all.len()
    });
    until("none is left", || std::fs::File::open("/dev/null").is_err());

    let first = office.journal.oldest();
    let mut last = office.journal.durable();
    while office.journal.segment_of(last) == Some(first) {
        let mut record = office.next_of("order", &tally::announcing(&[1; 500]));
        record.header.kind = Kind::Announcing.number();
        last = office.journal.append(&record).unwrap();
        // A runtime of its own would take descriptors.
        office.io.block_on(office.journal.wait(last)).unwrap();
    }
    let begun = std::time::Instant::now();
    while begun.elapsed() < Duration::from_millis(500) {
        assert_eq!(office.state(0), State::Follows, "it waits for a descriptor");
        std::thread::yield_now();
    }
    drop(stop);
    assert!(hoarder.join().unwrap() > 20);
    office.followed(0, last);
    office.followed(0, office.announce("order", &[1; 500]));
    office.kill();
    println!("followed to the end");
}

#[test]
fn fault_1_a_process_without_descriptors_goes_on_to_the_next_segment_and_its_followers_wait() {
    let output = Command::new("sh")
        .args(["-c", "ulimit -n 64 && exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "helper_that_runs_out_of_descriptors", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("followed to the end"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

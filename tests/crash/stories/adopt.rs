//! The journal is lost or damaged, and somebody agrees to go on without it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use deeptravel_actors::journal::adopt::{Directory, Verdict};
use deeptravel_actors::journal::{JournalOptions, LocalDisk, Position, Seen, inspect};

use crate::server::{Launch, PATIENCE, World};
use crate::shop::Shop;
use crate::stand::Stand;

const ADOPT: [&str; 2] = ["journal", "adopt"];

/// Which journal the database follows, and how far.
async fn followed(stand: &Stand) -> anyhow::Result<(String, u64)> {
    let sql = "SELECT journal_id::text, position FROM journal_position";
    let row = stand.postgres.connect().await?.query_one(sql, &[]).await?;
    Ok((row.get(0), row.get::<_, i64>(1) as u64))
}

fn journal(stand: &Stand) -> PathBuf {
    stand.world.data_dir().join("journal")
}

/// Adopts with this word, given as an option.
async fn agree(launch: &Launch, word: &str) -> anyhow::Result<crate::server::Answer> {
    launch.run(&[ADOPT.as_slice(), &["--agree-to-lose", word]].concat(), "").await
}

/// Flips a bit of the record at a position, as a disk does that forgets.
fn damage(stand: &Stand, position: u64) -> anyhow::Result<()> {
    let found = inspect::records(&journal(stand), Position(position - 1))?.next().expect("a record")?;
    let segment = journal(stand).join(found.segment);
    let mut bytes = std::fs::read(&segment)?;
    bytes[usize::try_from(found.frame_at)? + 40] ^= 4;
    Ok(std::fs::write(segment, bytes)?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_3_a_lost_journal_is_adopted_and_sales_go_on_behind_what_the_database_has() -> anyhow::Result<()> {
    let (stand, server) = Stand::new(|launch| launch).await?;
    stand.sell(0, Duration::from_secs(1)).await?;
    stand.drained().await?;
    let launch = stand.world.launch();
    let beside = launch.run(&ADOPT, "").await?;
    assert!(!beside.succeeded && beside.text.contains("is in use"), "not beside a server that runs");
    server.stop().await?;
    let fits = launch.run(&ADOPT, "").await?;
    assert!(fits.succeeded && fits.text.contains("nothing to adopt"), "{fits:?}");
    let (before, rows) = (followed(&stand).await?, stand.tables().await?);

    std::fs::remove_dir_all(journal(&stand))?;
    launch.spawn()?.refuses(PATIENCE, "`deeptravel journal adopt` goes on without it").await?;
    let word = format!("whatever-came-after-{}", before.1);
    for (answer, says) in [("", "to agree, answer"), ("yes\n", "not yes")] {
        let asked = launch.run(&ADOPT, answer).await?;
        assert!(!asked.succeeded && asked.text.contains(says), "{asked:?}");
        assert!(asked.text.contains(&format!("lost: unknown; whatever was answered after position {}", before.1)));
    }
    assert_eq!(stand.tables().await?, rows, "nothing has changed without consent");
    launch.spawn()?.refuses(PATIENCE, "the database follows journal").await?;
    let adopted = launch.run(&ADOPT, &format!("{word}\n")).await?;
    assert!(adopted.succeeded, "{adopted:?}");
    let after = followed(&stand).await?;
    assert!(after.0 != before.0 && after.1 == before.1, "{before:?} {after:?}");

    // Everything that the database had is there, and what comes now has later positions and versions.
    let server = stand.world.start().await?;
    stand.check_history().await;
    stand.sell(1, Duration::from_secs(1)).await?;
    stand.drained().await?;
    assert!(followed(&stand).await?.1 > before.1);
    server.kill()?;
    let server = stand.world.start().await?;
    stand.check_history().await;
    server.stop().await?;
    let again = launch.run(&ADOPT, "").await?;
    assert!(again.succeeded && again.text.contains("nothing to adopt"), "{again:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_3_a_flipped_bit_that_was_projected_long_ago_is_passed_and_nothing_is_lost() -> anyhow::Result<()> {
    let small = |launch: Launch| launch.with("DEEPTRAVEL__JOURNAL__SEGMENT_BYTES", "262144");
    let (stand, server) = Stand::new(small).await?;
    let (since, mut round) = (Instant::now(), 0);
    while inspect::summary(&journal(&stand))?.segments.len() < 3 {
        stand.sell(round, Duration::from_millis(500)).await?;
        round += 1;
        assert!(since.elapsed() < Duration::from_mins(1), "the journal grows");
    }
    stand.drained().await?;
    // What is answered last Postgres may lack.
    let load = stand.load(round);
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.kill()?;
    load.end().await?;

    damage(&stand, 20)?;
    let launch = small(stand.world.launch());
    launch.spawn()?.refuses(PATIENCE, "`deeptravel journal adopt` goes on without it").await?;
    let adopted = agree(&launch, "nothing").await?;
    assert!(adopted.succeeded && adopted.text.contains("lost: nothing"), "{adopted:?}");
    let _server = launch.start().await?;
    stand.check_history().await;
    stand.sell(round + 1, Duration::from_secs(1)).await?;
    stand.check_history().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_3_what_the_database_never_had_is_lost_only_with_the_word_that_names_it() -> anyhow::Result<()> {
    let (stand, server) = Stand::new(|launch| launch).await?;
    stand.sell(0, Duration::from_secs(1)).await?;
    stand.drained().await?;
    let kept = stand.history.purchases();
    server.stop().await?;
    // From here on the database gets nothing.
    let paused = |launch: Launch| launch.with("DEEPTRAVEL__PROJECTOR__PAUSED", "true");
    let server = paused(stand.world.launch()).start().await?;
    stand.sell(1, Duration::from_secs(1)).await?;
    server.kill()?;
    let seen = followed(&stand).await?.1;
    let last = inspect::summary(&journal(&stand))?.last.0;
    assert!(last > seen + 20, "{last} after {seen}");

    // A frame may hold several records: what is lost begins with the frame.
    damage(&stand, seen + 10)?;
    let launch = stand.world.launch();
    let refused = agree(&launch, "nothing").await?;
    assert!(!refused.succeeded, "{refused:?}");
    let word = refused.text.split_whitespace().find(|word| word.ends_with(&format!("-to-{last}"))).expect("the word");
    let adopted = agree(&launch, word).await?;
    assert!(adopted.succeeded && adopted.text.contains("lost: positions"), "{adopted:?}");

    let server = launch.start().await?;
    stand.drained().await?;
    for mut purchase in kept {
        let number: usize =
            purchase.key.split("-b").nth(1).and_then(|rest| rest.split('-').next()?.parse().ok()).unwrap();
        purchase.check(&stand.shop, &stand.tokens[number], &stand.gate).await;
    }
    let sold_twice = "SELECT count(*) FROM (
                          SELECT departure_id, seat FROM holds, jsonb_array_elements_text(seats) AS seat
                          WHERE state IN ('held', 'paying', 'confirmed')
                          GROUP BY departure_id, seat, board_stop HAVING count(*) > 1) AS t";
    stand.sell(2, Duration::from_secs(1)).await?;
    stand.drained().await?;
    let twice: i64 = stand.postgres.connect().await?.query_one(sold_twice, &[]).await?.get(0);
    assert_eq!(twice, 0, "seats of orders that are lost are sold again, once");
    server.stop().await?;
    let aside = std::fs::read_dir(journal(&stand))?.filter_map(|entry| Some(entry.ok()?.path()));
    let aside = aside.filter(|path| path.is_dir()).max_by_key(|path| path.metadata().unwrap().modified().unwrap());
    let aside = aside.expect("set aside").to_string_lossy().into_owned();
    let after = seen.to_string();
    let dump = ["journal", "dump", "--past-damage", "--segments", &aside, "--after", &after];
    let dumped = launch.run(&dump, "").await?;
    assert!(dumped.succeeded && dumped.text.contains("is damaged at byte"), "it says what does not read");
    assert!(dumped.text.contains(&format!("\"position\":{last},")), "whoever settles by hand sees what came after");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_3_an_adoption_that_ended_before_the_database_knew_of_it_is_ended_by_the_next_start() -> anyhow::Result<()>
{
    let (stand, server) = Stand::new(|launch| launch).await?;
    stand.sell(0, Duration::from_secs(1)).await?;
    stand.drained().await?;
    server.stop().await?;
    let before = followed(&stand).await?;
    std::fs::remove_dir_all(journal(&stand))?;
    let sql = "SELECT epoch FROM journal_position";
    let epoch: i64 = stand.postgres.connect().await?.query_one(sql, &[]).await?.get(0);
    let seen = Seen { journal: before.0.parse()?, position: Position(before.1), epoch: epoch as u64 };
    let directory = Directory::lock(&journal(&stand))?;
    let judged = directory.judge(&LocalDisk, &JournalOptions::default(), Some(seen), seen.position)?;
    let Verdict::Adoptable(plan) = judged else { panic!("{judged:?}") };
    plan.carry_out(&LocalDisk)?;
    assert_eq!(followed(&stand).await?, before, "the database has not been asked");

    let server = stand.world.start().await?;
    let after = followed(&stand).await?;
    assert!(after.0 != before.0 && after.1 >= before.1, "{before:?} {after:?}");
    stand.check_history().await;
    stand.sell(1, Duration::from_secs(1)).await?;
    server.kill()?;
    let _server = stand.world.start().await?;
    stand.check_history().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_3_the_private_postgres_goes_on_without_its_journal_too() -> anyhow::Result<()> {
    let world = World::new(None)?;
    world.start().await?.stop().await?;
    std::fs::remove_dir_all(world.data_dir().join("journal"))?;
    let launch = world.launch();
    let asked = launch.run(&ADOPT, "").await?;
    let word = asked.text.split_whitespace().find(|word| word.starts_with("whatever-came-after-")).expect("the word");
    assert!(agree(&launch, word.trim_matches([',', ':'])).await?.succeeded);
    let _server = world.start().await?;
    let shop = Shop::new(world.base_url(), world.simulator.base_url())?;
    shop.login("somebody").await?;
    Ok(())
}

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use deeptravel::testing::suite;

use crate::postgres::Postgres;
use crate::server::{SUITE, run_seconds};
use crate::trial::Trial;

/// A cluster of its own with some hundred MiB of log and tables.
const DISK_MIB: u64 = 256;
const FULL_WITHIN: Duration = Duration::from_mins(1);

/// A file system of its own. Dropped after the server in it.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where this account may not make one.
    fn mount(dir: &Path) -> Option<SmallDisk> {
        let size = format!("size={DISK_MIB}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(dir).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| SmallDisk(dir.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Also when something in it still ends.
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_12_a_full_disk_under_postgres_is_an_outage_and_no_data_error() -> anyhow::Result<()> {
    let dir = tempfile::Builder::new().prefix("deeptravel-full-").tempdir_in("/tmp")?;
    let Some(disk) = SmallDisk::mount(dir.path()) else {
        eprintln!("skipped: this account cannot mount a small file system");
        return Ok(());
    };
    let postgres = Postgres::start_in(disk.0.join("postgres")).await?;
    let trial = Trial::begin(Some(postgres.url()), "").await?;
    trial.buy(0, Duration::from_millis(500)).await?;
    trial.caught_up().await;

    let other = disk.0.join("something else");
    fill(&other)?;
    let (before, since) = (trial.orders(), Instant::now());
    let mut round = 1;
    // Postgres recycles its log for a while before it needs space.
    loop {
        trial.buy(round, Duration::from_secs(run_seconds(2))).await?;
        round += 1;
        let lag = trial.shop.figure("projection_lag_records").await?;
        if lag > 200 {
            break;
        }
        assert!(since.elapsed() < FULL_WITHIN, "the disk is full");
    }
    trial.assert_sales_went_on(before);
    trial.staff_come_and_go("full").await?;

    std::fs::remove_file(&other)?;
    // A full disk under its log ends Postgres; whoever looks after it starts it again.
    postgres.start_again().await?;
    let took = trial.assert_rows_are_exact(&postgres).await?;
    println!("{} orders, {before} before the disk was full; it caught up in {took:?}", trial.orders());
    // Its log is on a disk of its own, where it has only now all that it says.
    suite::keep_postgres_log(SUITE, &disk.0.join("postgres"));
    drop(postgres);
    Ok(())
}

/// Takes all the space there is.
fn fill(path: &Path) -> anyhow::Result<()> {
    use std::io::Write as _;
    let mut file = std::fs::File::create(path)?;
    for bytes in [1 << 20, 1 << 12] {
        let zeros = vec![0; bytes];
        while file.write_all(&zeros).is_ok() {}
    }
    Ok(())
}

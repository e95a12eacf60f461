//! Who listens without TLS, and a certificate that is renewed under a running server.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::bail;
use reqwest::{Certificate, Client};

use crate::certificates::Authority;
use crate::server::{Launch, World, free_address};

/// It ends before it does anything.
const REFUSED_WITHIN: Duration = Duration::from_secs(30);
/// On a machine that does other things, too.
const PATIENCE: Duration = Duration::from_mins(1);

fn on_every_address(launch: Launch) -> Launch {
    let mut launch = launch;
    launch.listen.set_ip(Ipv4Addr::UNSPECIFIED.into());
    launch
}

/// The certificate of a new authority for this machine.
fn renew(dir: &Path) -> anyhow::Result<Authority> {
    let authority = Authority::fresh();
    let certified = authority.sign("localhost");
    std::fs::write(dir.join("certificate.pem"), certified.certificate)?;
    std::fs::write(dir.join("key.pem"), certified.key)?;
    Ok(authority)
}

/// Waits until a server that is ready shows a certificate of this authority.
async fn until_shown(authority: &Authority, launch: &Launch) -> anyhow::Result<()> {
    until_answered(authority, launch, "/health/ready").await
}

/// Waits until a client that believes nobody but this authority is answered.
async fn until_answered(authority: &Authority, launch: &Launch, path: &str) -> anyhow::Result<()> {
    let url = format!("https://localhost:{}{path}", launch.listen.port());
    let since = Instant::now();
    while since.elapsed() < PATIENCE {
        // A new connection each time.
        let trusted = Certificate::from_pem(authority.pem().as_bytes())?;
        let client = Client::builder().no_proxy().tls_certs_only([trusted]).build()?;
        if client.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bail!("its certificate is not shown");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_11_production_that_others_reach_has_tls_or_a_proxy_that_has() -> anyhow::Result<()> {
    let world = World::new(None)?;
    let launch = on_every_address(world.serve()?);
    let mut refusing = launch.spawn()?;
    refusing.refuses(REFUSED_WITHIN, "server.behind_tls_proxy = true").await?;
    refusing.log.says("server.tls_certificate and server.tls_key").await?;
    assert!(!world.data_dir().exists(), "nothing was written");
    launch.with("DEEPTRAVEL__SERVER__BEHIND_TLS_PROXY", "true").start().await?.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_11_a_demo_that_others_reach_says_that_everybody_knows_its_passwords() -> anyhow::Result<()> {
    let world = World::new(None)?;
    let server = on_every_address(world.launch()).start().await?;
    // On standard output, where log lines have a time in front.
    server.log.says("\nWARNING: this demo is reached from other machines").await?;
    assert_eq!(server.log.text().matches("everybody knows its passwords").count(), 2, "and in the log");
    server.stop().await?;

    let server = world.launch().start().await?;
    assert!(!server.log.text().contains("everybody knows its passwords"), "on this machine nobody else comes");
    server.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_11_a_renewed_certificate_is_shown_after_a_sighup_and_a_broken_one_is_not() -> anyhow::Result<()> {
    let (world, dir) = (World::new(None)?, tempfile::tempdir()?);
    let first = renew(dir.path())?;
    let launch = on_every_address(world.serve()?)
        .with("DEEPTRAVEL__SERVER__TLS_CERTIFICATE", dir.path().join("certificate.pem"))
        .with("DEEPTRAVEL__SERVER__TLS_KEY", dir.path().join("key.pem"));
    let server = launch.spawn()?;
    until_shown(&first, &launch).await?;
    server.log.says("listening on https://").await?;

    let second = renew(dir.path())?;
    server.hang_up()?;
    until_shown(&second, &launch).await?;

    std::fs::write(dir.path().join("key.pem"), "half of a key")?;
    server.hang_up()?;
    server.log.says("The certificate stays as it is: server.tls_key").await?;
    until_shown(&second, &launch).await?;
    server.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_11_a_certificate_that_is_renewed_while_the_start_waits_for_its_database_ends_nothing()
-> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let first = renew(dir.path())?;
    // Nobody answers there.
    let database = free_address()?;
    let world = World::new(Some(format!("postgres://nobody@{database}/none?sslmode=disable")))?;
    let launch = on_every_address(world.serve()?)
        .with("DEEPTRAVEL__SERVER__TLS_CERTIFICATE", dir.path().join("certificate.pem"))
        .with("DEEPTRAVEL__SERVER__TLS_KEY", dir.path().join("key.pem"));
    let mut server = launch.spawn()?;
    until_answered(&first, &launch, "/health/live").await?;
    server.log.says("The start waits for the database").await?;
    renew(dir.path())?;
    server.hang_up()?;
    assert!(server.ended(Duration::from_secs(1)).await?.is_none(), "it goes on to wait");
    until_answered(&first, &launch, "/health/live").await
}

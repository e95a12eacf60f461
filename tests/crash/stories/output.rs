//! A server whose output nobody reads.

use deeptravel::testing::pipe::full_pipe;

use crate::server::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_9_a_server_whose_standard_output_nobody_reads_serves_and_stops() -> anyhow::Result<()> {
    let (world, (_nobody, full)) = (World::new(None)?, full_pipe()?);
    let mut server = world.launch().spawn_saying_to(full)?;
    server.until_ready().await?;
    server.stop().await
}

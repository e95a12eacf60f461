//! The one binary of DeepTravel; `deeptravel --help` lists what it does.

use std::io::Write as _;
use std::process::ExitCode;

use deeptravel::output::ToStderr;

#[cfg(not(feature = "count-allocations"))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[cfg(feature = "count-allocations")]
#[global_allocator]
static ALLOCATOR: &stats_alloc::StatsAlloc<std::alloc::System> = &stats_alloc::INSTRUMENTED_SYSTEM;

fn main() -> ExitCode {
    let outcome = actix_rt::System::new().block_on(deeptravel::cli::run());
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(ToStderr, "deeptravel: {error:#}");
            ExitCode::FAILURE
        }
    }
}

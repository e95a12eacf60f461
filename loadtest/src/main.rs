//! The command line of the load harness; everything else is in the library.

use std::process::ExitCode;

use clap::Parser;
use deeptravel_loadtest::cli::{self, Cli};

/// The server's: yardsticks are not to be slower for an allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::execute(Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("loadtest: {error:#}");
            ExitCode::FAILURE
        }
    }
}

//! The one binary of DeepTravel; `deeptravel --help` lists what it does.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let outcome = actix_rt::System::new().block_on(deeptravel::cli::run());
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("deeptravel: {error:#}");
            ExitCode::FAILURE
        }
    }
}

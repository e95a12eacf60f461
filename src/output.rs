//! Standard output and standard error of a process that goes on whoever reads them. What cannot be written is dropped and
//! counted (`output_dropped_total`): a line is worth neither a panic nor a thread that waits for a collector of logs.

use std::fmt::Display;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// A pipe that is ready takes so many bytes without waiting (`PIPE_BUF`).
const PIECE_BYTES: usize = 4096;
/// How long a reader that has kept up so far is waited for; one that has not is not waited for until it
/// reads again.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
const NONE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// A line to standard output, for whoever has asked for it: it is waited for.
pub fn say(line: impl Display) {
    let mut out = io::stdout().lock();
    count(&writeln!(out, "{line}").and_then(|()| out.flush()));
}

/// Lines to standard output of a server, which goes on whether or not somebody reads them.
pub fn greet(lines: impl Display) {
    static STOPPED: AtomicBool = AtomicBool::new(false);
    count(&write(&io::stdout(), format!("{lines}\n").as_bytes(), &STOPPED));
}

/// Takes whole lines for standard error, and never fails.
#[derive(Clone, Copy, Debug)]
pub struct ToStderr;

impl Write for ToStderr {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        static STOPPED: AtomicBool = AtomicBool::new(false);
        count(&write(&io::stderr(), lines, &STOPPED));
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn count(written: &io::Result<()>) {
    if written.is_err() {
        metrics::counter!("output_dropped_total").increment(1);
    }
}

/// `stopped`: whether the reader had stopped reading when it was last written to.
fn write(out: &impl AsFd, mut bytes: &[u8], stopped: &AtomicBool) -> io::Result<()> {
    /// Whole lines stay whole.
    static WRITING: Mutex<()> = Mutex::new(());
    let _whole = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    while !bytes.is_empty() {
        let patience = if stopped.load(Ordering::Relaxed) { NONE } else { PATIENCE };
        // Interrupted by a signal is as good as not ready.
        let ready = poll(&mut [PollFd::new(out, PollFlags::OUT)], Some(&patience)).unwrap_or_default();
        stopped.store(ready == 0, Ordering::Relaxed);
        if ready == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let written = rustix::io::write(out, &bytes[..bytes.len().min(PIECE_BYTES)])?;
        bytes = &bytes[written..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn fault_9_a_reader_that_has_gone_costs_lines_and_nothing_else() {
        let (reader, writer) = io::pipe().unwrap();
        let stopped = AtomicBool::new(false);
        write(&writer, b"heard\n", &stopped).unwrap();
        drop(reader);
        assert_eq!(write(&writer, b"lost\n", &stopped).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn fault_9_a_reader_that_reads_nothing_is_not_waited_for_and_hears_again_when_it_reads() {
        let (mut reader, writer) = io::pipe().unwrap();
        let stopped = AtomicBool::new(false);
        let line = [b'a'; 10_000];
        let lost = (0..1000).filter(|_| write(&writer, &line, &stopped).is_err()).count();
        assert!((900..1000).contains(&lost), "{lost}");
        reader.read_exact(&mut [0; 3 * PIECE_BYTES]).unwrap();
        write(&writer, b"again\n", &stopped).unwrap();
    }
}

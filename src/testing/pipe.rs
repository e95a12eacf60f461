//! Output that nobody reads.

use std::io::{ErrorKind, PipeReader, PipeWriter, Result, Write as _, pipe};

use rustix::io::ioctl_fionbio;

/// A pipe that takes no more: whoever writes into it waits until somebody reads. It stays so while the reader is there.
pub fn full_pipe() -> Result<(PipeReader, PipeWriter)> {
    let (reader, mut writer) = pipe()?;
    ioctl_fionbio(&writer, true)?;
    loop {
        match writer.write(b".") {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    ioctl_fionbio(&writer, false)?;
    Ok((reader, writer))
}

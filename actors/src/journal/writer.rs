//! The one thread that writes: take a batch, one write, one sync, publish. While it syncs, the next batch gathers, and is
//! as large as the load makes it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::Shared;
use super::disk::DiskFile;
use super::error::JournalFailed;
use super::frame::{Link, seal};
use super::prepare::Preparer;
use super::queue::{Batch, Taken};
use super::segment::{Place, SEGMENT_HEADER_BYTES, SegmentFile, SegmentHeader, begin};
use super::segments::Entry;

#[derive(Debug)]
pub(super) struct Writer {
    pub shared: Arc<Shared>,
    pub spare: Preparer,
    pub file: Box<dyn DiskFile>,
    /// Where the next frame goes in the active segment.
    pub offset: u64,
    /// Bytes of the active segment.
    pub capacity: u64,
    pub link: Link,
    /// Engine time of the newest record written, in ms.
    pub last_at_ms: i64,
}

impl Writer {
    /// Runs until the queue is stopped and empty, or the disk fails.
    pub(super) fn run(mut self) {
        // Dropped also when this thread panics: nobody waits for ever.
        let ending = Ending(Arc::clone(&self.shared));
        let reason = self.write_batches().err().unwrap_or(JournalFailed::Closed);
        ending.0.queue.stop();
        ending.0.progress.end(reason);
    }

    fn write_batches(&mut self) -> Result<(), JournalFailed> {
        // After a batch there is mostly another one soon, or a leader that owes something: being woken for the first
        // record of a turn, and again when it ends, is dear.
        let mut watches = false;
        loop {
            match self.shared.queue.take(watches) {
                Taken::Batch(batch) => {
                    self.write(batch)?;
                    watches = true;
                }
                Taken::Nothing => watches = self.shared.progress.sweep(),
                Taken::Stopped => return Ok(()),
            }
        }
    }

    fn write(&mut self, mut batch: Batch) -> Result<(), JournalFailed> {
        let bytes = batch.frame.len() as u64;
        if self.offset + bytes > self.capacity {
            self.roll()?;
        }
        let link = seal(&mut batch.frame, self.shared.seed, self.link, batch.count);
        debug_assert_eq!(link.next, batch.last.next(), "the queue counts the positions that the writer writes");

        let begun = Instant::now();
        self.file.write_all_at(&batch.frame, self.offset).map_err(JournalFailed::disk("write a batch"))?;
        self.file.sync().map_err(JournalFailed::disk("sync a batch"))?;
        metrics::histogram!("journal_write_seconds").record(begun.elapsed());
        metrics::counter!("journal_batches_total").increment(1);
        metrics::counter!("journal_records_total").increment(u64::from(batch.count));
        metrics::counter!("journal_bytes_total").increment(bytes);

        self.link = link;
        self.offset += bytes;
        self.last_at_ms = self.last_at_ms.max(batch.last_at_ms);
        self.publish_space();
        let durable = batch.last;
        self.shared.queue.done(batch);
        self.shared.progress.advance(durable);
        Ok(())
    }

    /// Continues in the next segment. Everything in the one before is durable by now.
    fn roll(&mut self) -> Result<(), JournalFailed> {
        let shared = Arc::clone(&self.shared);
        let file = self.spare.take().map_err(JournalFailed::disk("prepare the next segment"))?;
        let (journal, node) = (shared.journal, shared.options.node);
        let header = SegmentHeader { journal, node, link: self.link, before_ms: self.last_at_ms };
        let place = Place { dir: &shared.dir, open: &*shared.directory };
        let path = begin(&*shared.disk, place, &*file, &header).map_err(JournalFailed::disk("begin a segment"))?;

        let sealed_bytes = if shared.options.preallocate { self.capacity } else { self.offset };
        shared.space.sealed.fetch_add(sealed_bytes, Ordering::Relaxed);
        self.capacity = shared.options.segment_bytes;
        self.offset = SEGMENT_HEADER_BYTES as u64;
        self.file = file;
        self.publish_space();
        let file = SegmentFile { first: self.link.next, path, bytes: self.capacity };
        shared.segments.push(Entry { file, before_ms: self.last_at_ms }, sealed_bytes);
        self.spare.order();
        Ok(())
    }

    pub(super) fn publish_space(&self) {
        self.shared.space.active.store(self.offset, Ordering::Relaxed);
        self.shared.space.active_room.store(self.capacity - self.offset, Ordering::Relaxed);
    }
}

struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.queue.stop();
        self.0.progress.end(JournalFailed::WriterPanicked);
    }
}

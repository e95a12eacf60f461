//! A batch ends with the owners' turn: what the tasks of one thread append while they are ready is written together.
//!
//! The first append of a turn tells the thread's kicker, a task of its local task set. That gives way once, so that
//! whoever was ready has had its turn, and then kicks the writer. A thread without a kicker kicks with each record.
//!
//! No record hangs on a kick that does not come. A kicker that ends, or is dropped with its task set, kicks while it is
//! dropped, and from then on its thread has none; a panic ends only the task that panics. A turn that is long is not
//! waited for: the [queue](super::queue) ends its batch after a number of records, the writer after a time.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use tokio::sync::Notify;

use super::Shared;
use super::error::AppendError;
use super::record::{Position, Record};

thread_local! {
    /// Gone with the kicker, which has the only one that lasts.
    static OWN: RefCell<Weak<Turn>> = const { RefCell::new(Weak::new()) };
}

/// What a thread and its kicker share.
struct Turn {
    shared: Arc<Shared>,
    /// Something was appended, and the kick for it is still to come.
    goes_on: AtomicBool,
    began: Notify,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.shared.queue.kick();
    }
}

/// Kicks at the end of each turn of the thread that polls it.
pub(super) async fn run(shared: Arc<Shared>) {
    let turn = Arc::new(Turn { shared, goes_on: AtomicBool::new(false), began: Notify::new() });
    OWN.set(Arc::downgrade(&turn));
    loop {
        turn.began.notified().await;
        tokio::task::yield_now().await;
        turn.goes_on.store(false, Ordering::Relaxed);
        turn.shared.queue.kick();
    }
}

/// Appends in this thread's turn, or with a kick at once.
pub(super) fn append(shared: &Arc<Shared>, record: &Record, admitted_bytes: usize) -> Result<Position, AppendError> {
    // Where the thread is ending, its own is gone.
    let turn = OWN.try_with(|own| own.borrow().upgrade()).ok().flatten();
    let turn = turn.filter(|turn| Arc::ptr_eq(&turn.shared, shared));
    let position = shared.queue.append(record, admitted_bytes, turn.is_some())?;
    if let Some(turn) = turn
        && !turn.goes_on.swap(true, Ordering::Relaxed)
    {
        turn.began.notify_one();
    }
    Ok(position)
}

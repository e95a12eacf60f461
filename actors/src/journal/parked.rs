//! Answers that wait for their record: whoever waits is woken once, when the answer is there and durable, and not for each
//! of the two. Waking a task on another thread costs as much as a few of an owner's decisions.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use super::error::JournalFailed;
use super::lanes::{Progress, Wait, own_lane};
use super::lock;
use super::record::Position;

/// Where an answer is given. Dropped without one it says so.
pub struct Parker<T>(Arc<Place<T>>);

/// Resolves to the answer once its position is durable. May be dropped at any time and polled on any thread.
#[must_use = "an answer is there only once this has resolved"]
pub struct Parked<T>(Arc<Place<T>>);

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Unanswered {
    #[error("whoever was to answer has ended")]
    Abandoned,
    #[error(transparent)]
    Failed(#[from] JournalFailed),
}

struct Place<T> {
    progress: Arc<Progress>,
    state: Mutex<State<T>>,
}

enum State<T> {
    /// No answer yet. Who waits for it, and in which lane.
    Open(Option<(usize, Waker)>),
    Answered(T, Wait),
    Abandoned,
    /// It has been taken, or nobody wants it any more.
    Over,
}

/// A place for one answer.
pub(super) fn parked<T>(progress: &Arc<Progress>) -> (Parker<T>, Parked<T>) {
    let place = Arc::new(Place { progress: Arc::clone(progress), state: Mutex::new(State::Open(None)) });
    (Parker(Arc::clone(&place)), Parked(place))
}

impl<T> Parker<T> {
    /// Gives the answer, to be seen once `position` is durable.
    pub fn park(self, answer: T, position: Position) {
        let Place { progress, state } = &*self.0;
        let mut state = lock(state);
        let State::Open(waiting) = &mut *state else { return };
        let (wait, awake) = match waiting.take() {
            None => (Wait::new(Arc::clone(progress), position), None),
            Some((lane, waker)) => Wait::seated(Arc::clone(progress), position, lane, waker),
        };
        *state = State::Answered(answer, wait);
        drop(state);
        if let Some(waker) = awake {
            waker.wake();
        }
    }
}

impl<T> Drop for Parker<T> {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        let State::Open(waiting) = &mut *state else { return };
        let waiting = waiting.take();
        *state = State::Abandoned;
        drop(state);
        if let Some((_, waker)) = waiting {
            waker.wake();
        }
    }
}

impl<T> Parked<T> {
    /// The answer, if it is there already; it may be shown once the wait is over.
    pub fn given(&self) -> Option<(T, Wait)> {
        let mut state = lock(&self.0.state);
        if !matches!(*state, State::Answered(..)) {
            return None;
        }
        match std::mem::replace(&mut *state, State::Over) {
            State::Answered(answer, wait) => Some((answer, wait)),
            State::Open(_) | State::Abandoned | State::Over => None,
        }
    }

    fn take(&self) -> State<T> {
        std::mem::replace(&mut *lock(&self.0.state), State::Over)
    }
}

impl<T> Future for Parked<T> {
    type Output = Result<T, Unanswered>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = lock(&self.0.state);
        if let State::Open(waiting) = &mut *state {
            let renewed = Some((own_lane(), cx.waker().clone()));
            let before = std::mem::replace(waiting, renewed);
            // Dropping a waker may run another task's destructor.
            drop(state);
            drop(before);
            return Poll::Pending;
        }
        drop(state);
        // From here on nobody else looks at it.
        match self.take() {
            State::Answered(answer, mut wait) => match Pin::new(&mut wait).poll(cx) {
                Poll::Ready(outcome) => Poll::Ready(outcome.map(|()| answer).map_err(Unanswered::from)),
                Poll::Pending => {
                    *lock(&self.0.state) = State::Answered(answer, wait);
                    Poll::Pending
                }
            },
            State::Open(_) | State::Abandoned | State::Over => Poll::Ready(Err(Unanswered::Abandoned)),
        }
    }
}

impl<T> Drop for Parked<T> {
    fn drop(&mut self) {
        // With the answer goes its place in the lane.
        drop(self.take());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    /// Counts its wakes; the test is the executor.
    #[derive(Default)]
    struct Flag(AtomicUsize);

    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    struct Asker {
        parked: Parked<&'static str>,
        flag: Arc<Flag>,
    }

    impl Asker {
        fn poll(&mut self) -> Option<Result<&'static str, String>> {
            let waker = Waker::from(Arc::clone(&self.flag));
            match Pin::new(&mut self.parked).poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(answer) => Some(answer.map_err(|error| error.to_string())),
                Poll::Pending => None,
            }
        }

        fn wakes(&self) -> usize {
            self.flag.0.load(Ordering::SeqCst)
        }
    }

    fn asked(progress: &Arc<Progress>) -> (Parker<&'static str>, Asker) {
        let (parker, parked) = parked(progress);
        (parker, Asker { parked, flag: Arc::default() })
    }

    fn progress() -> Arc<Progress> {
        Arc::new(Progress::new(Position::NOTHING))
    }

    #[test]
    fn rule_9_whoever_waits_is_woken_once_when_the_answer_is_durable() {
        let progress = progress();
        let (parker, mut asker) = asked(&progress);
        assert_eq!(asker.poll(), None);
        parker.park("yes", Position(3));
        assert_eq!((asker.poll(), asker.wakes()), (None, 0));
        progress.advance(Position(2));
        assert_eq!(asker.wakes(), 0);
        progress.advance(Position(3));
        assert_eq!((asker.wakes(), asker.poll()), (1, Some(Ok("yes"))));
    }

    #[test]
    fn an_answer_that_is_durable_already_is_seen_at_once() {
        let progress = progress();
        progress.advance(Position(3));
        let (parker, mut asker) = asked(&progress);
        assert_eq!(asker.poll(), None);
        parker.park("yes", Position(3));
        assert_eq!((asker.wakes(), asker.poll()), (1, Some(Ok("yes"))));

        let (parker, mut asker) = asked(&progress);
        parker.park("before anybody looked", Position(1));
        assert_eq!(asker.poll(), Some(Ok("before anybody looked")));
    }

    #[test]
    fn one_who_is_woken_for_a_lane_wakes_the_others_of_it_also_when_he_leaves() {
        for leaves in [false, true] {
            let progress = progress();
            let mut askers: Vec<Asker> = (1..=3)
                .map(|_| {
                    let (parker, mut asker) = asked(&progress);
                    assert_eq!(asker.poll(), None);
                    parker.park("yes", Position(1));
                    asker
                })
                .collect();
            assert!(progress.advance(Position(1)));
            assert_eq!(askers.iter().map(Asker::wakes).sum::<usize>(), 1);
            let mut first = askers.remove(0);
            if leaves {
                drop(first);
            } else {
                assert_eq!(first.poll(), Some(Ok("yes")));
            }
            assert_eq!(askers.iter().map(Asker::wakes).collect::<Vec<_>>(), [1, 1]);
        }
    }

    #[test]
    fn no_answer_and_no_journal_are_told_apart() {
        let progress = progress();
        let (parker, mut asker) = asked(&progress);
        assert_eq!(asker.poll(), None);
        drop(parker);
        assert_eq!((asker.wakes(), asker.poll()), (1, Some(Err(Unanswered::Abandoned.to_string()))));

        let (parker, mut asker) = asked(&progress);
        assert_eq!(asker.poll(), None);
        parker.park("never durable", Position(9));
        progress.end(JournalFailed::Closed);
        assert_eq!((asker.wakes(), asker.poll()), (1, Some(Err(JournalFailed::Closed.to_string()))));
    }

    #[test]
    fn nobody_is_kept_waiting_by_one_who_has_gone() {
        let progress = progress();
        let (parker, asker) = asked(&progress);
        drop(asker);
        parker.park("nobody listens", Position(1));
        assert!(!progress.advance(Position(1)));
    }
}

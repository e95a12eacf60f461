//! One timer per actor, for the earliest deadline of its machine. actix timers cost more the more an actor has.

use std::time::Duration;

use actix::{Actor, AsyncContext, Context, SpawnHandle};
use deeptravel_domain::time::Timestamp;

/// A deadline further away is looked at again after this long; the timer is not trusted beyond it. In tests the clock
/// is moved by hand, so timers look at it often.
const LONGEST: Duration = if cfg!(test) { Duration::from_millis(10) } else { Duration::from_hours(1) };

/// The armed deadline, if any.
#[derive(Debug, Default)]
pub struct Timer {
    armed: Option<(Timestamp, SpawnHandle)>,
}

impl Timer {
    /// Arms, moves or disarms the timer. When it fires, `wake` runs.
    pub fn arm<A: Actor<Context = Context<A>>>(
        &mut self,
        ctx: &mut Context<A>,
        now: Timestamp,
        deadline: Option<Timestamp>,
        wake: fn(&mut A, &mut Context<A>),
    ) {
        if self.armed.map(|(at, _)| at) == deadline {
            return;
        }
        if let Some((_, handle)) = self.armed.take() {
            ctx.cancel_future(handle);
        }
        if let Some(at) = deadline {
            let pause = u64::try_from(at.ms_since(now)).unwrap_or(0);
            let handle = ctx.run_later(Duration::from_millis(pause).min(LONGEST), wake);
            self.armed = Some((at, handle));
        }
    }

    /// The timer has fired.
    pub fn fired(&mut self) {
        self.armed = None;
    }
}

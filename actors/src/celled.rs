//! An actor whose state lies in a cell: turns of its own, by message or timer, besides those that askers have.

use std::sync::Arc;

use actix::{ActorContext as _, Context};
use deeptravel_domain::time::Timestamp;

use crate::clock::Clock;
use crate::log::PUT_OFF_MS;
use crate::outage::Outage;
use crate::registry::cell::{Cell, InCell};
use crate::registry::{Owner, Post};
use crate::timer::Timer;
use crate::turn::Turn;

/// What such an actor has besides its state.
pub struct Around<A: Owner> {
    pub post: Post<A>,
    clock: Clock,
    timer: Timer,
    turns: Turn,
}

impl<A: Owner> Around<A> {
    pub fn new(post: Post<A>, clock: Clock) -> Around<A> {
        Around { post, clock, timer: Timer::default(), turns: Turn::default() }
    }
}

/// State in a cell with a timer.
pub trait Timed: InCell {
    /// When something is due by itself, or is to be looked at.
    fn deadline(&self) -> Timestamp;

    /// The actor looks at it then.
    fn will_look(&mut self, at: Timestamp);

    /// What is due now. Whether the owner may leave memory.
    fn expire(&mut self) -> Result<bool, Outage>;
}

/// See the module's documentation.
pub trait Celled: Owner<Shared = Arc<Cell<Self::State>>> {
    type State: Timed;

    fn around(&mut self) -> &mut Around<Self>;

    /// It may leave memory. Nothing to do for those that never do.
    fn leave(&mut self) {}

    /// A turn of the actor's own; then it waits for what happens next by itself. `None`: it ends.
    fn turn<T>(&mut self, ctx: &mut Context<Self>, turn: impl FnOnce(&mut Self::State) -> T) -> Option<T> {
        let around = self.around();
        let turned = around.post.shared.turn(|state| {
            let value = turn(state);
            let looks_at = state.deadline();
            state.will_look(looks_at);
            (value, looks_at)
        });
        if turned.is_none() {
            around.post.vitals.fail();
        }
        if around.post.vitals.has_failed() {
            ctx.stop();
        }
        let (value, looks_at) = turned?;
        self.arm(looks_at, ctx);
        Some(value)
    }

    /// A message's turn.
    fn hears<T>(&mut self, ctx: &mut Context<Self>, turn: impl FnOnce(&mut Self::State) -> T) -> Option<T> {
        let value = self.turn(ctx, turn);
        let around = self.around();
        around.turns.taken(ctx);
        around.post.shared.handled();
        value
    }

    fn arm(&mut self, deadline: Timestamp, ctx: &mut Context<Self>) {
        let around = self.around();
        let now = around.clock.now();
        around.timer.arm(ctx, now, Some(deadline), |actor: &mut Self, ctx| {
            actor.around().timer.fired();
            actor.wake(ctx);
        });
    }

    fn wake(&mut self, ctx: &mut Context<Self>) {
        match self.turn(ctx, Self::State::expire) {
            Some(Ok(true)) => self.leave(),
            // What cannot be written now is tried again.
            Some(Err(_)) => {
                let later = self.around().clock.now().plus_ms(PUT_OFF_MS);
                self.arm(later, ctx);
            }
            Some(Ok(false)) | None => {}
        }
    }
}

//! An actor drains its mailbox without yielding. One that many ask gives the others of its arbiter a turn in between.

use actix::fut::wrap_future;
use actix::{Actor, AsyncContext, Context};

/// Messages handled in one turn: a few milliseconds.
const MESSAGES: u32 = 200;

/// Counts the messages of a turn.
#[derive(Debug, Default)]
pub struct Turn(u32);

impl Turn {
    /// A message has been handled. After so many the mailbox waits until the others have had their turn.
    pub fn taken<A: Actor<Context = Context<A>>>(&mut self, ctx: &mut Context<A>) {
        self.0 += 1;
        if self.0 >= MESSAGES {
            self.0 = 0;
            ctx.wait(wrap_future(tokio::task::yield_now()));
        }
    }
}

//! An actor drains its mailbox without yielding. One that many ask gives the others of its arbiter a turn in between.

use std::time::{Duration, Instant};

use actix::fut::wrap_future;
use actix::{Actor, AsyncContext, Context};

/// Messages handled in one turn, at most: a few milliseconds.
const MESSAGES: u32 = 200;
/// Actors that share an arbiter have mailboxes of different lengths. If each handled as many messages in its turn, those
/// in the longest would be overtaken by all others: so an actor that is behind handles this part of what it is behind.
const PART: u32 = 8;
/// And at least what was sent within so long.
const SPAN_MIN: Duration = Duration::from_millis(5);

/// Counts the messages of a turn.
#[derive(Debug, Default)]
pub struct Turn {
    messages: u32,
    /// What was sent later ends the turn.
    until: Option<Instant>,
}

impl Turn {
    /// A message has been handled. After so many the mailbox waits until the others have had their turn.
    pub fn taken<A: Actor<Context = Context<A>>>(&mut self, ctx: &mut Context<A>) {
        self.messages += 1;
        if self.messages >= MESSAGES {
            self.ends(ctx);
        }
    }

    /// As [`Turn::taken`], of a message that says when it was sent.
    pub fn taken_of<A: Actor<Context = Context<A>>>(&mut self, sent: Instant, now: Instant, ctx: &mut Context<A>) {
        let behind = now.saturating_duration_since(sent);
        let is_over = self.until.is_some_and(|until| sent > until);
        if is_over && behind > SPAN_MIN {
            return self.ends(ctx);
        }
        // One that has hardly waited is the first after a silence.
        if is_over || self.until.is_none() {
            self.until = Some(sent + SPAN_MIN.max(behind / PART));
        }
        self.taken(ctx);
    }

    fn ends<A: Actor<Context = Context<A>>>(&mut self, ctx: &mut Context<A>) {
        *self = Turn::default();
        ctx.wait(wrap_future(tokio::task::yield_now()));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};

    use actix::{Handler, Message};

    use super::*;

    /// Notes who handled a message, and which.
    struct Clerk {
        name: &'static str,
        turn: Turn,
        now: Instant,
        handled: Arc<Mutex<Vec<(&'static str, u32)>>>,
    }

    impl Actor for Clerk {
        type Context = Context<Clerk>;
    }

    struct Sent(u32, Instant);

    impl Message for Sent {
        type Result = ();
    }

    impl Handler<Sent> for Clerk {
        type Result = ();

        fn handle(&mut self, Sent(number, sent): Sent, ctx: &mut Context<Clerk>) {
            self.turn.taken_of(sent, self.now, ctx);
            self.handled.lock().unwrap().push((self.name, number));
        }
    }

    #[actix::test]
    async fn the_longest_mailbox_is_not_overtaken() {
        let handled = Arc::default();
        let began = Instant::now();
        let now = began + Duration::from_secs(1);
        let clerk = |name| Clerk { name, turn: Turn::default(), now, handled: Arc::clone(&handled) }.start();
        let (busy, idle) = (clerk("busy"), clerk("idle"));
        // In that second one got 800 messages and the other 80.
        let sent = |number: u32, of: u32| Sent(number, began + Duration::from_secs(1) * number / of);
        let all: Vec<_> = (0..800).map(|number| busy.clone().send(sent(number, 800))).collect();
        let few: Vec<_> = (0..80).map(|number| idle.clone().send(sent(number, 80))).collect();
        futures_util::future::join_all(all.into_iter().chain(few)).await.into_iter().for_each(|sent| sent.unwrap());

        let mut done = BTreeMap::from([("busy", 0), ("idle", 0)]);
        let mut furthest_apart = 0;
        for (name, _) in handled.lock().unwrap().iter() {
            *done.get_mut(name).unwrap() += if *name == "busy" { 1 } else { 10 };
            furthest_apart = furthest_apart.max(i32::abs(done["busy"] - done["idle"]));
        }
        assert!(furthest_apart < 250, "one was {furthest_apart} of 800 ahead");
    }
}

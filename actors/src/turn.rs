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
    /// What was sent later has its turn next time.
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
    pub fn taken_of<A: Actor<Context = Context<A>>>(&mut self, sent: Instant, ctx: &mut Context<A>) {
        let until = *self.until.get_or_insert_with(|| sent + SPAN_MIN.max(sent.elapsed() / PART));
        if sent > until {
            self.ends(ctx);
        } else {
            self.taken(ctx);
        }
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
            self.turn.taken_of(sent, ctx);
            self.handled.lock().unwrap().push((self.name, number));
        }
    }

    #[actix::test]
    async fn the_longest_mailbox_is_not_overtaken() {
        let handled = Arc::default();
        let clerk = |name| Clerk { name, turn: Turn::default(), handled: Arc::clone(&handled) }.start();
        let (busy, idle) = (clerk("busy"), clerk("idle"));
        // In a second one got 800 messages and the other 80.
        let began = Instant::now().checked_sub(Duration::from_secs(1)).unwrap();
        let sent = |number: u32, of: u32| Sent(number, began + Duration::from_secs(1) * number / of);
        let all: Vec<_> = (0..800).map(|number| busy.clone().send(sent(number, 800))).collect();
        let few: Vec<_> = (0..80).map(|number| idle.clone().send(sent(number, 80))).collect();
        futures_util::future::join_all(all.into_iter().chain(few)).await.into_iter().for_each(|sent| sent.unwrap());

        let mut done = BTreeMap::from([("busy", 0), ("idle", 0)]);
        let mut furthest_apart = 0;
        for (name, _) in handled.lock().unwrap().iter() {
            *done.get_mut(name).unwrap() += if *name == "busy" { 1 } else { 10 };
            furthest_apart = furthest_apart.max((done["busy"] - done["idle"] as i32).abs());
        }
        assert!(furthest_apart < 250, "one was {furthest_apart} thousandths ahead");
    }
}

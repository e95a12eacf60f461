//! What actix 0.13 really does, where our owners rest on it or guard against it. If an upgrade changes one of these,
//! read the registry again.
#![allow(clippy::disallowed_methods, reason = "the traps of do_send are shown with do_send")]

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use actix::dev::channel;
use actix::fut::{ActorFutureExt, wrap_future};
use actix::{
    Actor, ActorContext, Addr, AsyncContext, AtomicResponse, Context, Handler, MailboxError, Message, MessageResult,
    WrapFuture,
};
use actix_rt::{Arbiter, System};
use tokio::sync::oneshot;

/// What the actor under test has seen, in order.
type Diary = Rc<RefCell<Vec<&'static str>>>;

#[derive(Default)]
struct Subject {
    diary: Diary,
}

impl Actor for Subject {
    type Context = Context<Subject>;

    fn stopped(&mut self, _: &mut Context<Subject>) {
        self.diary.borrow_mut().push("stopped");
    }
}

#[derive(Message)]
#[rtype(result = "&'static str")]
struct Note(&'static str);

impl Handler<Note> for Subject {
    type Result = MessageResult<Note>;

    fn handle(&mut self, Note(word): Note, _: &mut Context<Subject>) -> MessageResult<Note> {
        self.diary.borrow_mut().push(word);
        MessageResult(word)
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Panic;

impl Handler<Panic> for Subject {
    type Result = ();

    fn handle(&mut self, _: Panic, _: &mut Context<Subject>) {
        panic!("planted");
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Stop;

impl Handler<Stop> for Subject {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Context<Subject>) {
        ctx.stop();
    }
}

fn subject() -> (Addr<Subject>, Diary) {
    let diary = Diary::default();
    (Subject { diary: Rc::clone(&diary) }.start(), diary)
}

#[test]
fn a_panic_in_a_handler_kills_the_actor_and_not_the_thread() {
    System::new().block_on(async {
        let arbiter = Arbiter::new();
        let (sender, receiver) = oneshot::channel();
        arbiter.spawn(async move {
            let _ = sender.send((Subject::default().start(), Subject::default().start()));
        });
        let (broken, neighbour) = receiver.await.unwrap();

        // Whoever waits behind the panic is told as well; nobody hangs.
        let (panicked, behind) = tokio::join!(broken.send(Panic), broken.send(Note("behind")));
        assert_eq!(panicked.unwrap_err(), MailboxError::Closed);
        assert_eq!(behind.unwrap_err(), MailboxError::Closed);
        assert_eq!(broken.send(Note("later")).await.unwrap_err(), MailboxError::Closed);

        assert_eq!(neighbour.send(Note("well")).await, Ok("well"));
    });
}

#[actix::test]
async fn a_task_that_runs_a_context_says_whether_it_panicked() {
    let run = |context: Context<Subject>| actix_rt::spawn(context.into_future(Subject::default()));
    let (panics, stops) = (Context::new(), Context::new());
    let (to_panic, to_stop) = (panics.address(), stops.address());
    let (panics, stops) = (run(panics), run(stops));

    assert!(to_panic.send(Panic).await.is_err());
    to_stop.send(Stop).await.unwrap();

    assert!(panics.await.unwrap_err().is_panic());
    stops.await.unwrap();
}

#[actix::test]
async fn while_a_panic_unwinds_stopped_is_called_on_the_half_changed_value() {
    let (addr, diary) = subject();
    assert!(addr.send(Panic).await.is_err());
    assert_eq!(*diary.borrow(), ["stopped"]);
}

#[actix::test]
async fn an_address_can_be_made_before_its_context_and_keeps_what_is_sent_meanwhile() {
    let (sender, receiver) = channel::channel(16);
    let addr: Addr<Subject> = Addr::new(sender);
    let early = addr.send(Note("early"));

    actix_rt::spawn(Context::with_receiver(receiver).into_future(Subject::default()));

    assert_eq!(early.await, Ok("early"));
}

#[actix::test]
async fn do_send_knows_no_capacity() {
    let (sender, _receiver) = channel::channel::<Subject>(2);
    let addr = Addr::new(sender);
    for _ in 0..10_000 {
        addr.do_send(Note("more"));
    }
    assert!(addr.connected());
}

#[actix::test]
async fn every_fresh_clone_of_an_address_has_room_for_one_message_in_a_full_mailbox() {
    let (sender, receiver) = channel::channel::<Subject>(2);
    let addr = Addr::new(sender);
    for _ in 0..3 {
        // The one that fills the mailbox parks its sender: the next is refused.
        let _ = addr.try_send(Note("fill"));
    }
    assert!(addr.try_send(Note("refused")).is_err());

    // The registry rests on this: a message is in the mailbox when `send` on a fresh clone returns, not when its
    // future is polled.
    let diary = Diary::default();
    let requests: Vec<_> = (0..100).map(|_| addr.clone().send(Note("clone"))).collect();
    actix_rt::spawn(Context::with_receiver(receiver).into_future(Subject { diary: Rc::clone(&diary) }));
    assert_eq!(addr.clone().send(Note("last")).await, Ok("last"));
    assert_eq!(diary.borrow().iter().filter(|word| **word == "clone").count(), 100);
    drop(requests);
}

#[actix::test]
async fn an_actor_drains_its_mailbox_without_yielding() {
    let (addr, diary) = subject();
    let theirs = Rc::clone(&diary);
    for _ in 0..1_000 {
        addr.do_send(Note("mine"));
    }
    actix_rt::spawn(async move { theirs.borrow_mut().push("neighbour") });

    addr.send(Note("last")).await.unwrap();

    let before = diary.borrow().iter().position(|word| *word == "neighbour");
    assert!(before.is_none_or(|at| at == 0 || at >= 1_000), "the neighbour ran after {before:?} messages");
}

#[derive(Message)]
#[rtype(result = "()")]
struct Yield;

impl Handler<Yield> for Subject {
    type Result = ();

    fn handle(&mut self, _: Yield, ctx: &mut Context<Subject>) {
        ctx.wait(wrap_future(tokio::task::yield_now()));
    }
}

#[actix::test]
async fn waiting_for_a_yield_lets_the_neighbours_have_their_turn() {
    let (addr, diary) = subject();
    addr.send(Note("started")).await.unwrap();
    addr.do_send(Yield);
    let theirs = Rc::clone(&diary);
    actix_rt::spawn(async move { theirs.borrow_mut().push("neighbour") });

    addr.send(Note("after")).await.unwrap();

    assert_eq!(*diary.borrow(), ["started", "neighbour", "after"]);
}

#[actix::test]
async fn after_stop_no_queued_message_is_handled() {
    let (addr, diary) = subject();
    addr.send(Note("started")).await.unwrap();
    let (stop, after) = (addr.send(Stop), addr.send(Note("after")));

    stop.await.unwrap();

    assert_eq!(after.await.unwrap_err(), MailboxError::Closed);
    assert_eq!(*diary.borrow(), ["started", "stopped"]);
}

#[derive(Message)]
#[rtype(result = "()")]
struct ArmTwice;

impl Handler<ArmTwice> for Subject {
    type Result = ();

    fn handle(&mut self, _: ArmTwice, ctx: &mut Context<Subject>) {
        let mut arm = |pause, word| {
            ctx.run_later(Duration::from_millis(pause), move |actor: &mut Subject, _| {
                actor.diary.borrow_mut().push(word);
            })
        };
        let (first, _) = (arm(1, "first"), arm(10, "second"));
        ctx.cancel_future(first);
    }
}

#[actix::test]
async fn a_timer_that_is_cancelled_does_not_fire() {
    let (addr, diary) = subject();
    addr.send(ArmTwice).await.unwrap();

    while diary.borrow().is_empty() {
        tokio::task::yield_now().await;
    }

    assert_eq!(*diary.borrow(), ["second"]);
}

#[derive(Message)]
#[rtype(result = "()")]
struct Held(oneshot::Receiver<()>);

impl Handler<Held> for Subject {
    type Result = AtomicResponse<Self, ()>;

    fn handle(&mut self, Held(until): Held, _: &mut Context<Subject>) -> Self::Result {
        AtomicResponse::new(Box::pin(async move { until.await.expect("released") }.into_actor(self).map(
            |(), actor, _| {
                actor.diary.borrow_mut().push("released");
            },
        )))
    }
}

#[actix::test]
async fn an_atomic_response_holds_the_mailbox_until_it_ends() {
    let (addr, diary) = subject();
    let (release, until) = oneshot::channel();
    addr.do_send(Held(until));
    let behind = addr.send(Note("behind"));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(diary.borrow().is_empty());

    release.send(()).unwrap();

    behind.await.unwrap();
    assert_eq!(*diary.borrow(), ["released", "behind"]);
}

#[actix::test]
async fn a_queued_message_whose_caller_has_gone_is_skipped_silently() {
    let (addr, diary) = subject();
    let (gone, stays) = (addr.send(Note("gone")), addr.send(Note("stays")));
    drop(gone);

    stays.await.unwrap();

    assert_eq!(*diary.borrow(), ["stays"]);
}

#[derive(Message)]
#[rtype(result = "()")]
struct Race(Vec<oneshot::Receiver<&'static str>>);

impl Handler<Race> for Subject {
    type Result = ();

    fn handle(&mut self, Race(runners): Race, ctx: &mut Context<Subject>) {
        for runner in runners {
            let arrives = runner.into_actor(self);
            ctx.spawn(arrives.map(|word, actor, _| actor.diary.borrow_mut().push(word.expect("sent"))));
        }
    }
}

#[actix::test]
async fn futures_of_an_actor_that_are_ready_together_end_in_another_order() {
    let (addr, diary) = subject();
    let (senders, runners): (Vec<_>, Vec<_>) = (0..3).map(|_| oneshot::channel()).unzip();
    addr.send(Race(runners)).await.unwrap();

    for (sender, word) in senders.into_iter().zip(["first", "second", "third"]) {
        sender.send(word).unwrap();
    }
    while diary.borrow().len() < 3 {
        tokio::task::yield_now().await;
    }

    // Why the catalogue publishes by version: the place of one that ended is taken by the last.
    assert_eq!(*diary.borrow(), ["first", "third", "second"]);
}

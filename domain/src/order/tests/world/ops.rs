//! What can happen in the world, and how often it does.

use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
    /// The next step goes as it should.
    Go,
    /// The actor starts what the order wants.
    Start,
    /// A request arrives; it stays on the way to arrive again if `again`.
    Arrive {
        pick: usize,
        again: bool,
        refused: bool,
    },
    /// An answer arrives, and perhaps again later.
    Answer {
        pick: usize,
        again: bool,
    },
    LoseRequest {
        pick: usize,
    },
    LoseAnswer {
        pick: usize,
    },
    /// The actor no longer waits for a step.
    GiveUp {
        pick: usize,
    },
    Begin,
    Cancel,
    /// The traveller pays; WeChat's callback is on its way.
    Pay,
    /// The same, although WeChat has closed or refused it: somebody was in the middle of it.
    PayAfterAll,
    /// A gate scans the order.
    Scan {
        request: u8,
    },
    /// Free seats of an item go to somebody else.
    Resell {
        pick: usize,
    },
    /// WeChat's refund of a number goes on.
    Refund {
        pick: usize,
        closed: bool,
    },
    Pass {
        seconds: i64,
    },
    WakeWhenDue,
    Crash,
}

pub(super) fn any_op() -> impl Strategy<Value = Op> {
    let pick = || 0..100_usize;
    let rarely = || proptest::bool::weighted(0.1);
    prop_oneof![
        30 => Just(Op::Go),
        10 => Just(Op::Start),
        10 => (pick(), rarely(), rarely()).prop_map(|(pick, again, refused)| Op::Arrive { pick, again, refused }),
        10 => (pick(), rarely()).prop_map(|(pick, again)| Op::Answer { pick, again }),
        1 => pick().prop_map(|pick| Op::LoseRequest { pick }),
        1 => pick().prop_map(|pick| Op::LoseAnswer { pick }),
        3 => pick().prop_map(|pick| Op::GiveUp { pick }),
        8 => Just(Op::Begin),
        1 => Just(Op::Cancel),
        3 => Just(Op::Pay),
        1 => Just(Op::PayAfterAll),
        2 => (0..4_u8).prop_map(|request| Op::Scan { request }),
        1 => pick().prop_map(|pick| Op::Resell { pick }),
        2 => (pick(), rarely()).prop_map(|(pick, closed)| Op::Refund { pick, closed }),
        3 => prop_oneof![4 => 0..20_i64, 1 => 0..400_i64].prop_map(|seconds| Op::Pass { seconds }),
        3 => Just(Op::WakeWhenDue),
        1 => Just(Op::Crash),
    ]
}

/// Crashes, other buyers and long absences while late money seeks its seats.
pub(super) fn any_op_while_seeking() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => Just(Op::Go),
        4 => any_op(),
        2 => Just(Op::Crash),
        2 => (0..100_usize).prop_map(|pick| Op::Resell { pick }),
        1 => Just(Op::Pass { seconds: 3_700 }),
    ]
}

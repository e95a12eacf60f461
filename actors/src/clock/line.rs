//! How engine time runs against the monotonic clock: along straight lines that join, so that it neither jumps nor steps
//! back. Nothing here reads a clock.

use std::sync::atomic::{AtomicI64, Ordering};

/// A slewed clock gains or loses one microsecond in so many: 500 ppm, the most by which NTP slews a clock, too. A hold of
/// ten minutes then lasts 0.3 s more or less than by the monotonic clock, one of an hour and a quarter 2.3 s, below the
/// 5 s within which seats must be free again. A hold that lasts less does so because engine time was behind the wall
/// clock, so by the wall clock it does not end early. A difference of 60 s is gone after 33 h.
const SLEW_US: i64 = 2_000;

/// Differences above this are not followed while running, in ms. Below it are drift, leap seconds and a time server that
/// was away; above it somebody has set the clock, or the machine was suspended.
pub(super) const FOLLOWED_MS_MAX: i64 = 60_000;

/// Differences up to this are left alone, in ms: the wall clock is read to the millisecond.
const NOTICED_MS_MIN: i64 = 2;

/// Gained when the slope falls: whoever has read the monotonic clock and gets the new line this much later still sees no
/// step back. Slewed away again.
const SWITCH_US: i64 = 100_000;

/// How engine time runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slope {
    Slower,
    Even,
    Faster,
}

impl Slope {
    const fn sign(self) -> i64 {
        match self {
            Slope::Slower => -1,
            Slope::Even => 0,
            Slope::Faster => 1,
        }
    }

    const fn of(sign: i64) -> Slope {
        match sign {
            ..=-1 => Slope::Slower,
            0 => Slope::Even,
            1.. => Slope::Faster,
        }
    }
}

/// How engine time is to run; `None`: the clocks are too far apart for one to follow the other. `offset_ms`: the wall
/// clock minus engine time.
pub(super) fn judge(offset_ms: i64) -> Option<Slope> {
    match offset_ms.unsigned_abs() {
        away if away > FOLLOWED_MS_MAX.unsigned_abs() => None,
        near if near < NOTICED_MS_MIN.unsigned_abs() => Some(Slope::Even),
        _ => Some(Slope::of(offset_ms.signum())),
    }
}

/// Engine microseconds since the start as a function of monotonic ones: `elapsed + base + slope * elapsed / SLEW_US`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    base_us: i64,
    slope: Slope,
}

impl Line {
    pub(super) const EVEN: Line = Line { base_us: 0, slope: Slope::Even };

    pub(super) fn at(self, elapsed_us: i64) -> i64 {
        elapsed_us + self.base_us + (self.slope.sign() * elapsed_us).div_euclid(SLEW_US)
    }

    /// The line with another slope that takes over at `elapsed_us`, or soon after.
    pub(super) fn bent(self, slope: Slope, elapsed_us: i64) -> Line {
        let falls = slope.sign() < self.slope.sign();
        // A line that falls meets this one in a moment, one that rises meets it now: whoever comes a little late, with
        // the one or the other, sees time go forward.
        let meets_us = if falls { elapsed_us + SWITCH_US } else { elapsed_us };
        let through = Line { base_us: 0, slope };
        // One more, because both lines are rounded.
        Line { base_us: self.at(meets_us) - through.at(meets_us) + 1, slope }
    }
}

/// A line in one word: read with one load, written by one task.
#[derive(Debug)]
pub(super) struct PackedLine(AtomicI64);

impl PackedLine {
    pub(super) fn new(line: Line) -> PackedLine {
        PackedLine(AtomicI64::new(pack(line)))
    }

    pub(super) fn at(&self, elapsed_us: i64) -> i64 {
        unpack(self.0.load(Ordering::Relaxed)).at(elapsed_us)
    }

    pub(super) fn bend(&self, slope: Slope, elapsed_us: i64) {
        let line = unpack(self.0.load(Ordering::Relaxed));
        if line.slope != slope {
            self.0.store(pack(line.bent(slope, elapsed_us)), Ordering::Relaxed);
        }
    }
}

/// The slope takes two bits; the rest holds 70,000 years of microseconds.
fn pack(line: Line) -> i64 {
    (line.base_us << 2) | (line.slope.sign() + 1)
}

fn unpack(word: i64) -> Line {
    Line { base_us: word >> 2, slope: Slope::of((word & 3) - 1) }
}

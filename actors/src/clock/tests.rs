//! Engine time against a wall clock that others set.

use deeptravel_domain::time::Timestamp;

use super::line::{Line, PackedLine, Slope, judge};
use super::{Clock, ClockOptions, Standing};

const NOON: Timestamp = Timestamp::from_seconds(1_795_262_400);
const SECOND_US: i64 = 1_000_000;
const HOUR_MS: i64 = 3_600_000;

/// A clock, and the seconds that have passed since its start, each with a look at the wall.
struct Story {
    clock: Clock,
    seconds: i64,
    /// By how much the wall clock is wrong, in ms.
    wall_off_ms: i64,
}

impl Story {
    fn starting(wall: Timestamp, journaled: Option<Timestamp>) -> Story {
        let clock = Clock::starting(wall, journaled);
        Story { clock, seconds: 0, wall_off_ms: wall.ms_since(NOON) }
    }

    fn now(&self) -> Timestamp {
        self.clock.at(self.seconds * SECOND_US)
    }

    /// Engine time minus what has really passed since noon, in ms.
    fn ahead_ms(&self) -> i64 {
        self.now().ms_since(NOON) - self.seconds * 1000
    }

    fn pass(&mut self, seconds: i64) {
        for _ in 0..seconds {
            let before = self.now();
            self.seconds += 1;
            assert!(self.now() > before, "time goes on");
            self.clock.look(NOON.plus_ms(self.seconds * 1000 + self.wall_off_ms), self.seconds * SECOND_US);
        }
    }
}

#[test]
fn differences_are_left_slewed_or_refused() {
    for (offset_ms, slope) in [
        (0, Some(Slope::Even)),
        (-1, Some(Slope::Even)),
        (2, Some(Slope::Faster)),
        (-60_000, Some(Slope::Slower)),
        (60_000, Some(Slope::Faster)),
        (60_001, None),
        (-60_001, None),
        (i64::MIN, None),
    ] {
        assert_eq!(judge(offset_ms), slope, "{offset_ms} ms");
    }
}

#[test]
fn rule_15_engine_time_starts_at_the_later_of_wall_clock_and_journal() {
    assert_eq!(Story::starting(NOON, None).now(), NOON);
    assert_eq!(Story::starting(NOON, Some(NOON.plus_seconds(-5))).now(), NOON);

    let behind = Story::starting(NOON, Some(NOON.plus_seconds(3600)));
    assert_eq!(behind.now(), NOON.plus_seconds(3600));
    assert!(!behind.clock.is_trusted(), "known before the first second has passed");
    assert_eq!(behind.clock.offset_ms(), -HOUR_MS);
}

#[test]
fn rule_15_a_small_step_is_slewed_and_a_hold_of_ten_minutes_keeps_its_length() {
    for step_ms in [30_000, -30_000] {
        let mut story = Story::starting(NOON, None);
        story.pass(5);
        story.wall_off_ms = step_ms;
        story.pass(1);
        let placed = story.now();
        story.pass(600);
        let lasted_ms = story.now().ms_since(placed);
        assert!((lasted_ms - 600_000).abs() <= 301, "{lasted_ms} ms after a step of {step_ms} ms");
        assert!(story.clock.is_trusted());

        story.pass(30_000 * 2);
        assert!((story.ahead_ms() - step_ms).abs() <= 3, "caught up: {} of {step_ms} ms", story.ahead_ms());
    }
}

#[test]
fn rule_15_a_large_step_is_not_followed_and_ends_with_the_wall_clocks_return() {
    for step_ms in [HOUR_MS, -HOUR_MS, 24 * HOUR_MS] {
        let mut story = Story::starting(NOON, None);
        story.pass(10);
        story.wall_off_ms = step_ms;
        story.pass(1);
        assert!(!story.clock.is_trusted());
        assert_eq!(story.clock.offset_ms(), step_ms);
        story.pass(1200);
        assert_eq!(story.ahead_ms(), 0);

        story.wall_off_ms = 0;
        story.pass(1);
        assert!(story.clock.is_trusted());
        assert_eq!((story.clock.offset_ms(), story.ahead_ms()), (0, 0));
    }
}

#[test]
fn a_large_step_stops_a_slew_that_was_under_way() {
    let mut story = Story::starting(NOON, None);
    story.wall_off_ms = 10_000;
    story.pass(100);
    let gained = story.ahead_ms();
    assert!((48..=51).contains(&gained), "{gained} ms");
    story.wall_off_ms = -HOUR_MS;
    story.pass(1000);
    assert!((gained..=gained + 2).contains(&story.ahead_ms()), "{} ms", story.ahead_ms());
}

#[test]
fn a_wall_clock_that_jitters_is_followed_closely() {
    let mut story = Story::starting(NOON, None);
    for second in 0..5_000 {
        story.wall_off_ms = [0, 3, -3, 1, 5, -5, 2][second % 7];
        story.pass(1);
        assert!(story.ahead_ms().abs() <= 5, "{} ms", story.ahead_ms());
    }
}

#[test]
fn no_change_of_slope_steps_back_also_for_those_who_read_it_late() {
    let slopes = [Slope::Slower, Slope::Even, Slope::Faster];
    let turn_us = 777 * SECOND_US + 123_457;
    for (from, to) in slopes.iter().flat_map(|from| slopes.map(|to| (*from, to))) {
        let before = Line::EVEN.bent(from, 5 * SECOND_US);
        let after = before.bent(to, turn_us);
        for late_us in (0..50_000).step_by(7) {
            let (read, then) = (before.at(turn_us + late_us), after.at(turn_us + late_us));
            assert!(read <= then && then <= read + 102, "{from:?} to {to:?}: {read} then {then}");
        }
    }
}

#[test]
fn a_line_fits_into_a_word() {
    for slope in [Slope::Slower, Slope::Even, Slope::Faster] {
        for base in [Line::EVEN, Line::EVEN.bent(Slope::Slower, 1 << 50), Line::EVEN.bent(Slope::Faster, 1 << 50)] {
            let line = base.bent(slope, 1 << 51);
            assert_eq!(PackedLine::new(line).at(1 << 52), line.at(1 << 52), "{line:?}");
        }
    }
}

#[test]
fn fault_2_a_start_far_from_the_newest_record_is_told_from_a_smaller_jump() {
    let options: ClockOptions = serde_json::from_str(r#"{"standstill_hours_max": 72}"#).unwrap();
    let days = |days: i64| 24 * HOUR_MS * days;
    for (ahead_ms, standing) in [
        (0, Standing::Agrees),
        (60_000, Standing::Agrees),
        (-60_000, Standing::Agrees),
        (2 * HOUR_MS, Standing::Ahead { ms: 2 * HOUR_MS, is_far: false }),
        (days(3), Standing::Ahead { ms: days(3), is_far: false }),
        (days(400), Standing::Ahead { ms: days(400), is_far: true }),
        (-2 * HOUR_MS, Standing::Behind { ms: 2 * HOUR_MS, is_far: false }),
        (-days(400), Standing::Behind { ms: days(400), is_far: true }),
    ] {
        assert_eq!(options.judge(NOON.plus_ms(ahead_ms), Some(NOON)), standing, "{ahead_ms} ms");
    }
    assert_eq!(options.judge(NOON, None), Standing::Agrees, "a first start");
}

#[test]
fn fault_2_after_a_jump_an_hour_of_steady_clock_passes_before_anything_is_old_enough() {
    let steady = |story: &Story| story.clock.is_steady_at(story.seconds * SECOND_US);
    assert!(steady(&Story::starting(NOON, Some(NOON.plus_seconds(-60)))), "a restart");

    let mut story = Story::starting(NOON, Some(NOON.plus_seconds(-7200)));
    assert!(story.clock.is_trusted() && !steady(&story), "it stood still, or the clock was set");
    story.pass(3599);
    assert!(!steady(&story));
    story.pass(1);
    assert!(steady(&story));

    // Somebody sets it right: the hour begins anew.
    story.wall_off_ms = -2 * HOUR_MS;
    story.pass(10);
    story.wall_off_ms = 0;
    story.pass(3599);
    assert!(story.clock.is_trusted() && !steady(&story));
    story.pass(1);
    assert!(steady(&story));
}

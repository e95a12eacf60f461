//! How often a partner calls (R-OTA-01): at most so many calls in any minute, by all its keys and on all workers together. A
//! bucket that leaks would let nearly twice as many through in its first minute; here the instants of the admitted calls are
//! kept. A call that is refused does not count, so whoever waits as long as he is told gets in.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use dashmap::DashMap;
use deeptravel_domain::ids::PartnerCode;

/// In which so many calls are admitted.
const WINDOW: Duration = Duration::from_mins(1);

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// Of every partner that has called since the process started. There are few, and none is forgotten.
#[derive(Debug, Default)]
pub struct Calls(DashMap<PartnerCode, Arc<Mutex<Window>>>);

impl Calls {
    /// Admits a call now, if there is room. What is left then, either way.
    pub fn admit(&self, partner: &PartnerCode, limit: u32) -> Result<Quota, Quota> {
        let window = self.0.get(partner).map(|window| Arc::clone(&window));
        let window = window.unwrap_or_else(|| Arc::clone(&self.0.entry(partner.clone()).or_default()));
        // Whoever panicked here had changed nothing.
        let mut window = window.lock().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock, so that the instants rise.
        window.admit(limit, Instant::now())
    }
}

/// When calls were admitted within the last minute, rising.
#[derive(Debug, Default)]
struct Window(VecDeque<Instant>);

impl Window {
    fn admit(&mut self, limit: u32, now: Instant) -> Result<Quota, Quota> {
        let has_left = |at: &Instant| now.saturating_duration_since(*at) >= WINDOW;
        while self.0.front().is_some_and(has_left) {
            self.0.pop_front();
        }
        let has_room = self.0.len() < limit as usize;
        if has_room {
            self.0.push_back(now);
        }
        let remaining = limit.saturating_sub(self.0.len() as u32);
        let oldest = self.0.front().copied().unwrap_or(now);
        let quota = Quota { limit, remaining, reset_seconds: until_it_leaves(oldest, now) };
        if has_room { Ok(quota) } else { Err(quota) }
    }
}

/// In whole seconds, after which it has left.
fn until_it_leaves(at: Instant, now: Instant) -> u32 {
    let left = WINDOW.saturating_sub(now.saturating_duration_since(at));
    left.as_secs() as u32 + u32::from(left.subsec_nanos() > 0)
}

/// What a partner has left, for the headers of its answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quota {
    /// Calls within any minute.
    pub limit: u32,
    /// More that would be admitted now.
    pub remaining: u32,
    /// Until the oldest call that counts no longer does, and one more is admitted.
    pub reset_seconds: u32,
}

impl Quota {
    pub fn add(self, headers: &mut HeaderMap) {
        let Quota { limit, remaining, reset_seconds } = self;
        for (name, value) in [(LIMIT, limit), (REMAINING, remaining), (RESET, reset_seconds)] {
            headers.insert(name, HeaderValue::from(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u32 = 100;

    /// So many calls at an instant: how many are admitted.
    fn admitted(window: &mut Window, calls: u32, now: Instant) -> usize {
        (0..calls).filter(|_| window.admit(LIMIT, now).is_ok()).count()
    }

    #[test]
    fn r_ota_01_of_130_calls_at_once_exactly_100_are_admitted_and_others_are_not_affected() {
        let calls = Calls::default();
        let (klook, ctrip) = ("klook".parse().unwrap(), "ctrip".parse().unwrap());
        let of_klook = || (0..13).filter(|_| calls.admit(&klook, LIMIT).is_ok()).count();
        let together = std::thread::scope(|scope| {
            let callers: Vec<_> = (0..10).map(|_| scope.spawn(of_klook)).collect();
            callers.into_iter().map(|caller| caller.join().unwrap()).sum::<usize>()
        });
        assert_eq!(together, 100);
        let refused = calls.admit(&klook, LIMIT).unwrap_err();
        assert_eq!((refused.limit, refused.remaining), (100, 0));
        assert_eq!(calls.admit(&ctrip, LIMIT).unwrap().remaining, 99);
    }

    #[test]
    fn r_ota_01_a_hundred_before_and_a_hundred_after_the_minute_are_not_two_hundred() {
        let (mut window, begun) = (Window::default(), Instant::now());
        let at = |ms| begun + Duration::from_millis(ms);
        assert_eq!(admitted(&mut window, 100, at(59_900)), 100);
        assert_eq!(admitted(&mut window, 100, at(60_100)), 0);
        assert_eq!(admitted(&mut window, 100, at(119_899)), 0);
        assert_eq!(admitted(&mut window, 130, at(119_900)), 100, "refused calls did not count");
    }

    #[test]
    fn r_ota_01_after_so_many_whole_seconds_as_it_says_a_call_is_admitted_and_never_101_are_in_a_minute() {
        let (mut window, begun) = (Window::default(), Instant::now());
        let (mut now, mut all, mut chance) = (begun, VecDeque::new(), 7_u64);
        for _ in 0..5_000 {
            // Numbers that do not repeat soon: bursts and pauses.
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            now += Duration::from_nanos(chance >> 34);
            match window.admit(LIMIT, now) {
                Ok(_) => all.push_back(now),
                Err(quota) => {
                    let told = now + Duration::from_secs(quota.reset_seconds.into());
                    let before = told.checked_sub(Duration::from_secs(1)).unwrap();
                    assert!(
                        before <= now || Window(window.0.clone()).admit(LIMIT, before).is_err(),
                        "no second too many"
                    );
                    assert!(window.admit(LIMIT, told).is_ok(), "as it was told");
                    now = told;
                    all.push_back(now);
                }
            }
        }
        assert!(all.len() > 1_000, "{}", all.len());
        let all: Vec<Instant> = all.into();
        assert!(all.windows(101).all(|calls| calls[100] - calls[0] >= WINDOW));
    }

    #[test]
    fn r_ota_01_whoever_has_called_is_told_what_is_left() {
        let (mut window, begun) = (Window::default(), Instant::now());
        let left = |quota: Quota| (quota.remaining, quota.reset_seconds);
        assert_eq!(window.admit(3, begun).map(left), Ok((2, 60)));
        assert_eq!(window.admit(3, begun + Duration::from_millis(1_500)).map(left), Ok((1, 59)));
        assert_eq!(window.admit(3, begun + Duration::from_millis(59_999)).map(left), Ok((0, 1)));
        assert_eq!(window.admit(3, begun + Duration::from_micros(59_999_500)).map_err(left), Err((0, 1)));
        // Half a millisecond more than a second is two.
        assert_eq!(window.admit(3, begun + Duration::from_micros(58_999_500)).map_err(left), Err((0, 2)));
    }
}

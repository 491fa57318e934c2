//! How fast to ask a server that has said that it is asked too much. Shared by all requests of one client.
//!
//! As long as nobody complains there is no limit. A complaint sets one, at half of what was asked lately but not below ten a
//! second, where the pauses between attempts do enough; further complaints lower it by a fifth each; and it rises by a tenth a second of what it was when the server complained, until
//! it is twice that and the limit goes. (Additive increase, multiplicative decrease.)

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The slowest pace: a request every two seconds.
const SLOWEST: f64 = 0.5;

/// The slowest pace after the first complaint, in requests a second.
const SLOWEST_AT_FIRST: f64 = 10.0;

/// Complaints that come closer together than this are one: they are about requests that were under way at once.
const ONE_COMPLAINT: Duration = Duration::from_millis(100);

/// Requests that are remembered to know how many there are in a second.
const REMEMBERED: usize = 256;

/// Hands out turns.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    recent: VecDeque<Instant>,
    limit: Option<Limit>,
}

#[derive(Debug)]
struct Limit {
    /// Requests a second.
    rate: f64,
    /// What it was when the server complained.
    peak: f64,
    /// When the next turn is.
    next: Instant,
    complained: Instant,
    raised: Instant,
}

impl Pace {
    /// Waits for a turn.
    pub(super) async fn turn(&self) {
        let wait = self.state().book(Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    /// The server complained.
    pub(super) fn throttled(&self) {
        self.state().slow_down(Instant::now());
    }

    /// The server did what it was asked.
    pub(super) fn answered(&self) {
        self.state().speed_up(Instant::now());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes a turn; how long it is until then.
    fn book(&mut self, now: Instant) -> Duration {
        let turn = match &mut self.limit {
            None => now,
            Some(limit) => {
                let turn = limit.next.max(now);
                limit.next = turn + Duration::from_secs_f64(1.0 / limit.rate);
                turn
            }
        };
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(turn);
        turn.duration_since(now)
    }

    fn slow_down(&mut self, now: Instant) {
        match &mut self.limit {
            Some(limit) if now.duration_since(limit.complained) < ONE_COMPLAINT => {}
            Some(limit) => {
                limit.peak = limit.rate;
                limit.rate = (limit.rate * 0.8).max(SLOWEST);
                limit.complained = now;
            }
            None => {
                let peak = self.lately(now);
                let rate = (peak / 2.0).max(SLOWEST_AT_FIRST);
                self.limit =
                    Some(Limit { rate, peak: peak.max(rate), next: now, complained: now, raised: now });
            }
        }
    }

    fn speed_up(&mut self, now: Instant) {
        let Some(limit) = &mut self.limit else { return };
        let seconds = now.duration_since(limit.raised).as_secs_f64().min(1.0);
        limit.raised = now;
        limit.rate += (limit.peak / 10.0).max(SLOWEST) * seconds;
        if limit.rate >= limit.peak * 2.0 {
            self.limit = None;
        }
    }

    /// Requests in the last second.
    fn lately(&self, now: Instant) -> f64 {
        let recent = self.recent.iter().filter(|turn| now.duration_since(**turn) < Duration::from_secs(1));
        // More than are remembered came in less than a second.
        let span = match self.recent.front() {
            Some(first) if self.recent.len() == REMEMBERED => {
                now.duration_since(*first).as_secs_f64().min(1.0)
            }
            _ => 1.0,
        };
        (recent.count() as f64 / span.max(0.001)).max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn nobody_waits_before_a_complaint() {
        let (mut state, now) = (State::default(), Instant::now());
        assert!((0..1000).all(|_| state.book(now).is_zero()));
    }

    #[test]
    fn a_complaint_halves_the_pace_and_further_ones_lower_it() {
        let (mut state, start) = (State::default(), Instant::now());
        for index in 0..20 {
            state.book(start + SECOND * index / 20);
        }
        let now = start + SECOND * 95 / 100;
        state.slow_down(now);
        // Ten a second: the first at once, the others one after the other.
        let waits: Vec<_> = (0..4).map(|_| state.book(now).as_millis()).collect();
        assert_eq!(waits, [0, 100, 200, 300]);
        state.slow_down(now + ONE_COMPLAINT / 2);
        assert!((state.limit.as_ref().unwrap().rate - 10.0).abs() < 0.01, "one complaint, said twice");
        state.slow_down(now + ONE_COMPLAINT * 2);
        assert!((state.limit.as_ref().unwrap().rate - 8.0).abs() < 0.01);
        for index in 3..100 {
            state.slow_down(now + ONE_COMPLAINT * 2 * index);
        }
        assert!(state.limit.as_ref().unwrap().rate >= SLOWEST);
    }

    #[test]
    fn the_limit_rises_with_time_and_goes() {
        let (mut state, now) = (State::default(), Instant::now());
        for _ in 0..40 {
            state.book(now);
        }
        state.slow_down(now);
        state.speed_up(now);
        assert!((state.limit.as_ref().unwrap().rate - 20.0).abs() < 0.01);
        state.speed_up(now + SECOND);
        assert!((state.limit.as_ref().unwrap().rate - 24.0).abs() < 0.01);
        for second in 2..30 {
            state.speed_up(now + SECOND * second);
        }
        assert!(state.limit.is_none());
    }
}

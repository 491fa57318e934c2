//! How many small requests are on their way at once: as many as the server takes without letting them wait.
//!
//! A server that is far away answers late however few ask, so many must ask at once; one that is busy answers later the
//! more ask, and then more only wait longer. The time of the fastest answer tells the two apart, as it does in TCP Vegas:
//! of `limit` requests on their way, about `limit × (1 − fastest / now)` are waiting in the server.
//!
//! In the beginning the bound doubles with each round, until the first ones wait; then it goes up and down by one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests on their way before anything is known of the server.
const FIRST: f64 = 16.0;

/// Never fewer: one is always on the line while another is being made ready.
const LEAST: f64 = 4.0;

/// Requests that may wait in the server. Fewer: more are sent. It needs some to have work for all its cores.
const ENOUGH_WAITING: f64 = 6.0;

/// Requests that should not wait in the server. More: fewer are sent.
const TOO_MANY_WAITING: f64 = 12.0;

/// A server that has taken an object in less is near.
const NEAR: Duration = Duration::from_millis(5);

/// Bodies up to this size, in bytes, take no time of their own.
pub(crate) const SMALL_BODY: u64 = 64 * 1024;

/// The bound, and how it has done so far.
#[derive(Debug)]
pub(crate) struct Window {
    permits: Arc<Semaphore>,
    state: Mutex<State>,
    most: f64,
}

#[derive(Debug)]
struct State {
    limit: f64,
    /// Of reading and of writing, which takes servers longer.
    fastest: [Duration; 2],
    /// Permits that are to be taken away as they come back.
    surplus: usize,
    /// No request has waited yet.
    starting: bool,
}

impl State {
    /// A request `took` so long. The bound grows only where it has been a bound: with `full` of it on their way.
    fn learn(&mut self, took: Duration, written: bool, full: bool, most: f64) {
        let [read, write] = &mut self.fastest;
        let fastest = if written { write } else { read };
        *fastest = took.min(*fastest);
        let share = fastest.as_secs_f64() / took.as_secs_f64().max(f64::MIN_POSITIVE);
        let waiting = self.limit * (1.0 - share);
        if waiting < ENOUGH_WAITING {
            // All that are on their way together: twice as many, or two more.
            let more = if self.starting { 1.0 } else { 2.0 / self.limit };
            self.limit += if full { more } else { 0.0 };
        } else {
            self.starting = false;
            self.limit -= if waiting > TOO_MANY_WAITING { 1.0 / self.limit } else { 0.0 };
        }
        self.limit = self.limit.clamp(LEAST.min(most), most);
    }
}

/// A place among the requests that are on their way.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    window: &'a Window,
    permit: Option<OwnedSemaphorePermit>,
    started: Instant,
}

impl Window {
    /// At most `most` at once, whatever the server would take.
    pub(crate) fn new(most: usize) -> Self {
        let most = most.max(1);
        let limit = FIRST.min(most as f64);
        let state = State { limit, fastest: [Duration::MAX; 2], surplus: 0, starting: true };
        Self {
            permits: Arc::new(Semaphore::new(limit as usize)),
            state: Mutex::new(state),
            most: most as f64,
        }
    }

    /// Waits for a place.
    pub(crate) async fn turn(&self) -> Turn<'_> {
        // The semaphore is never closed, so there is always a permit in the end.
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok();
        Turn { window: self, permit, started: Instant::now() }
    }

    /// Whether the server takes small objects in less time than a network of some distance would need.
    pub(crate) fn is_near(&self) -> bool {
        let [_, write] = self.lock().fastest;
        write < NEAR
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn learn(&self, took: Duration, written: bool) {
        let mut state = self.lock();
        let before = state.limit;
        let full = self.permits.available_permits() as f64 <= state.limit / 2.0;
        state.learn(took, written, full, self.most);
        self.resize(&mut state, before);
    }

    fn resize(&self, state: &mut State, before: f64) {
        let (before, now) = (before as usize, state.limit as usize);
        if now > before {
            let mut more = now - before;
            let kept = more.min(state.surplus);
            state.surplus -= kept;
            more -= kept;
            self.permits.add_permits(more);
        } else {
            state.surplus += before - now;
        }
    }

    fn give_back(&self, permit: OwnedSemaphorePermit) {
        let mut state = self.lock();
        if state.surplus > 0 {
            state.surplus -= 1;
            permit.forget();
        }
    }
}

impl Turn<'_> {
    /// The server has answered a question.
    pub(crate) fn answered(&self) {
        self.window.learn(self.started.elapsed(), false);
    }

    /// The server has taken `bytes`.
    pub(crate) fn took(&self, bytes: u64) {
        if bytes <= SMALL_BODY {
            self.window.learn(self.started.elapsed(), true);
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            self.window.give_back(permit);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn limit_after(answers: impl IntoIterator<Item = Duration>) -> f64 {
        let mut state = Window::new(256).state.into_inner().unwrap();
        answers.into_iter().for_each(|took| state.learn(took, false, true, 256.0));
        state.limit
    }

    #[test]
    fn a_server_that_is_far_away_is_soon_asked_more_at_once() {
        let rounds = [16, 32, 64, 128].iter().sum::<usize>();
        assert!(limit_after((0..rounds).map(|_| Duration::from_millis(50))) > 255.0);
    }

    #[test]
    fn a_server_that_is_busy_is_asked_less_at_once() {
        let busy = (0..4000).map(|number| Duration::from_millis(if number == 0 { 1 } else { 40 }));
        assert!(limit_after(busy) < 16.0);
        let far_too_busy =
            (0..100_000).map(|number| Duration::from_millis(if number == 0 { 1 } else { 4000 }));
        let limit = limit_after(far_too_busy);
        assert!((LEAST..14.0).contains(&limit), "{limit}");
    }

    /// Once a request has waited, the bound no longer doubles.
    #[test]
    fn the_start_ends_with_the_first_that_waits() {
        let waits_once = [1, 1, 20].into_iter().chain([1; 20]);
        let limit = limit_after(waits_once.map(Duration::from_millis));
        assert!((18.0..21.0).contains(&limit), "{limit}");
    }

    #[test]
    fn one_question_after_another_is_no_reason_for_more() {
        let window = Window::new(256);
        (0..1000).for_each(|_| window.learn(Duration::from_millis(50), false));
        assert!((window.lock().limit - FIRST).abs() < f64::EPSILON);
    }

    #[tokio::test]
    async fn places_are_taken_away_as_they_come_back_and_given_again() {
        let window = Window::new(64);
        let mut turns = Vec::new();
        while let Some(turn) = window.turn().now_or_never() {
            turns.push(turn);
        }
        assert_eq!(turns.len(), FIRST as usize);
        {
            let mut state = window.lock();
            state.limit = 10.0;
            window.resize(&mut state, FIRST);
        }
        turns.clear();
        while let Some(turn) = window.turn().now_or_never() {
            turns.push(turn);
        }
        assert_eq!(turns.len(), 10);
        {
            let mut state = window.lock();
            state.limit = 12.0;
            window.resize(&mut state, 10.0);
        }
        assert!(window.turn().now_or_never().is_some());
    }

    #[test]
    fn a_setting_bounds_it_from_above() {
        let window = Window::new(2);
        (0..1000).for_each(|_| window.learn(Duration::from_millis(50), true));
        assert!((window.lock().limit - 2.0).abs() < f64::EPSILON);
    }
}

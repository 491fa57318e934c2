//! A few threads for work of one kind.
//!
//! The blocking pool has a thread for whatever is under way. That is much where the work is small and the processor busy: each
//! piece of it wakes a thread, which takes its turn among all others. And where the work takes much memory, the
//! allocator keeps what a thread has given back, for each thread apart, so that the memory that was to be bounded
//! would grow with the number of threads. So such work waits for one of a few threads, which goes on with the next
//! piece without falling asleep.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// The cores that this process may use. Asked of the system once: it reads several files to answer.
pub fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get))
}

/// How long a thread waits for more work before it goes back to the pool. A runtime that is dropped waits for those of its pool.
const REST: Duration = Duration::from_millis(10);

/// The threads. They are of the blocking pool of the runtime, which so waits for their work when it ends.
pub struct Workers {
    shared: Arc<Shared>,
    /// How many there may be.
    most: usize,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
    closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No job runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works until there has been nothing to do for a while.
    fn work(&self, mut seat: Seat) {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                job();
                state = self.lock();
                continue;
            }
            if !state.closed {
                state.idle += 1;
                let rested = self.wake.wait_timeout(state, REST);
                state = rested.unwrap_or_else(PoisonError::into_inner).0;
                state.idle -= 1;
            }
            if state.jobs.is_empty() {
                // Under the same lock: whoever brings work now takes another thread.
                state.threads -= 1;
                seat.is_taken = false;
                return;
            }
        }
    }
}

/// The place of a thread among those of its kind, given back also by one that the runtime never lets begin.
struct Seat {
    shared: Arc<Shared>,
    is_taken: bool,
}

impl Drop for Seat {
    fn drop(&mut self) {
        if !self.is_taken {
            return;
        }
        let mut state = self.shared.lock();
        state.threads -= 1;
        // Nobody is left who would begin them: whoever waits for them is told by their end.
        let stranded = if state.threads == 0 { std::mem::take(&mut state.jobs) } else { VecDeque::new() };
        drop(state);
        drop(stranded);
    }
}

impl Workers {
    /// At most so many threads, which are taken when they are needed.
    pub fn at_most(most: usize) -> Self {
        Self { shared: Arc::default(), most: most.max(1) }
    }

    /// Runs `work` in one of the threads, in the order of the calls. Must be called inside a tokio runtime, which `work`
    /// is in as well. A panic of `work` goes on in the caller. What nobody waits for any more and has not begun yet is
    /// not begun.
    ///
    /// # Errors
    /// When the runtime ends before it has begun.
    pub async fn run<T, F>(&self, work: F) -> io::Result<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel::<Result<T, Box<dyn Any + Send>>>();
        self.submit(Box::new(move || {
            if !sender.is_closed() {
                let _ = sender.send(catch_unwind(AssertUnwindSafe(work)));
            }
        }));
        match receiver.await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_dropped) => Err(io::Error::other("the runtime has ended")),
        }
    }

    fn submit(&self, job: Job) {
        let mut state = self.shared.lock();
        let one_more = state.idle <= state.jobs.len() && state.threads < self.most;
        state.threads += usize::from(one_more);
        state.jobs.push_back(job);
        // Nobody who is at work need be told: he looks before he rests.
        let somebody_rests = state.idle > 0;
        drop(state);
        if one_more {
            let shared = Arc::clone(&self.shared);
            let seat = Seat { shared: Arc::clone(&shared), is_taken: true };
            tokio::task::spawn_blocking(move || shared.work(seat));
        }
        if somebody_rests {
            self.shared.wake.notify_one();
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.wake.notify_all();
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Workers").field("most", &self.most).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread::{self, ThreadId};
    use std::time::Duration;

    use futures::FutureExt;
    use futures::future::join_all;

    use super::*;

    #[tokio::test]
    async fn all_work_is_done_by_few_threads() {
        let workers = Workers::at_most(3);
        let work = (0..50).map(|number| workers.run(move || (number, thread::current().id())));
        let done: Vec<(i32, ThreadId)> = join_all(work).await.into_iter().map(Result::unwrap).collect();
        assert!(done.iter().map(|(number, _)| *number).eq(0..50));
        let threads: HashSet<ThreadId> = done.into_iter().map(|(_, thread)| thread).collect();
        assert!(threads.len() <= 3 && !threads.contains(&thread::current().id()), "{threads:?}");
    }

    #[tokio::test]
    async fn a_panic_reaches_who_waits_and_the_thread_goes_on() {
        let workers = Workers::at_most(1);
        let panicked = AssertUnwindSafe(workers.run(|| panic!("of the work"))).catch_unwind().await;
        assert!(panicked.is_err());
        assert_eq!(workers.run(|| 7).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn work_is_inside_the_runtime_of_who_waits() {
        let spawned = Workers::at_most(1).run(|| tokio::spawn(async { 7 })).await.unwrap();
        assert_eq!(spawned.await.unwrap(), 7);
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_not_begun() {
        let workers = Workers::at_most(1);
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let first = workers.run(move || receiver.recv().is_ok());
        tokio::pin!(first);
        assert!((&mut first).now_or_never().is_none());
        let mut second = Box::pin(workers.run(|| unreachable!("nobody waits for it")));
        assert!((&mut second).now_or_never().is_none());
        drop(second);
        sender.send(()).unwrap();
        assert!(first.await.unwrap());
        workers.run(|| thread::sleep(Duration::ZERO)).await.unwrap();
    }

    #[test]
    fn work_that_a_runtime_does_not_let_begin_ends_for_whoever_waits_for_it_elsewhere() {
        let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (ended, other) = (runtime(), runtime());
        let workers = Workers::at_most(1);
        let mut stranded = Box::pin(workers.run(|| 7));
        let handle = ended.handle().clone();
        ended.shutdown_background();
        {
            let _inside = handle.enter();
            assert!(matches!((&mut stranded).now_or_never(), Some(Err(_))), "it would wait for ever");
        }
        assert_eq!(other.block_on(workers.run(|| 8)).unwrap(), 8, "others go on");
    }
}

//! A few threads for work that takes much memory.
//!
//! The allocator keeps what a thread has given back, for each thread apart. A compressor that takes tens of MiB would leave
//! as much behind in every thread of the blocking pool that it has ever run in, and the memory that was to be bounded would
//! grow with the number of threads. So such work runs in the same few.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// The threads. Dropped, they end when they have nothing left to do.
pub(crate) struct Workers {
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

    /// Works until there is nothing left and nobody who could bring more.
    fn work(&self) {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                job();
                state = self.lock();
            } else if state.closed {
                return;
            } else {
                state.idle += 1;
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
            }
        }
    }
}

impl Workers {
    /// One thread more than there are cores, so that none waits while one thread waits for input. They are started when
    /// they are needed.
    pub(crate) fn new() -> Self {
        Self::at_most(std::thread::available_parallelism().map_or(1, std::num::NonZero::get) + 1)
    }

    fn at_most(most: usize) -> Self {
        Self { shared: Arc::default(), most }
    }

    /// Runs `work` in one of the threads, in the order of the calls. Must be called inside a tokio runtime, which `work`
    /// is in as well. A panic of `work` goes on in the caller. What nobody waits for any more and has not begun yet is
    /// not begun.
    pub(crate) async fn run<T, F>(&self, work: F) -> io::Result<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel::<Result<T, Box<dyn Any + Send>>>();
        let runtime = Handle::current();
        self.submit(Box::new(move || {
            if !sender.is_closed() {
                let _inside = runtime.enter();
                let _ = sender.send(catch_unwind(AssertUnwindSafe(work)));
            }
        }))?;
        match receiver.await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_dropped) => Err(io::Error::other("the thread went away")),
        }
    }

    fn submit(&self, job: Job) -> io::Result<()> {
        let mut state = self.shared.lock();
        if state.idle <= state.jobs.len() && state.threads < self.most {
            let shared = Arc::clone(&self.shared);
            let started =
                std::thread::Builder::new().name("compress".to_owned()).spawn(move || shared.work());
            match started {
                Ok(_) => state.threads += 1,
                // Those that there are will do it.
                Err(error) if state.threads > 0 => tracing::debug!(%error, "no further thread"),
                Err(error) => return Err(error),
            }
        }
        state.jobs.push_back(job);
        drop(state);
        self.shared.wake.notify_one();
        Ok(())
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
}

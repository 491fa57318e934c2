//! Listens to all that is traced by one test.
//!
//! The subscriber is the whole process's, set once, and hears only threads that listen: one that is set for a single thread
//! misses what other threads met first, since tracing remembers for each place in the code whether anybody wants it.

use std::cell::RefCell;
use std::io;
use std::sync::Once;

use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};

thread_local! {
    static HEARD: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Appends to what this thread has heard.
struct Ear;

impl io::Write for Ear {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        HEARD.with_borrow_mut(|heard| heard.get_or_insert_default().extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs `act` and returns what was traced by this thread meanwhile, at every level: a JSON object a line, spans as they close.
pub(crate) fn traced_by(act: impl FnOnce()) -> String {
    static SUBSCRIBER: Once = Once::new();
    SUBSCRIBER.call_once(|| {
        let listening = dynamic_filter_fn(|_, _| HEARD.with_borrow(Option::is_some));
        let layer =
            tracing_subscriber::fmt::layer().json().with_span_events(FmtSpan::CLOSE).with_writer(|| Ear);
        let subscriber = tracing_subscriber::registry().with(layer.with_filter(listening));
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
    HEARD.set(Some(Vec::new()));
    act();
    String::from_utf8(HEARD.take().unwrap_or_default()).unwrap()
}

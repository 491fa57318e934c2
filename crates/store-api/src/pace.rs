//! How fast a NAR may pass.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::NarStream;

/// Says when bytes may go on.
#[async_trait]
pub trait Pace: Debug + Send + Sync {
    /// Returns when so many bytes may pass.
    async fn wait_for(&self, bytes: u64);
}

impl NarStream {
    /// The same stream, no faster than `pace` allows. To be called before `inspected_by`, as what looks at a NAR should
    /// run where it is consumed, and inside a tokio runtime.
    #[must_use]
    pub fn paced_by(mut self, pace: std::sync::Arc<dyn Pace>) -> Self {
        let (mut sender, stream) = Self::channel();
        tokio::spawn(async move {
            loop {
                match self.next().await {
                    Ok(Some(chunk)) => {
                        tokio::select! {
                            () = sender.closed() => return,
                            () = pace.wait_for(chunk.len() as u64) => {}
                        }
                        if sender.send(chunk).await.is_err() {
                            return;
                        }
                    }
                    Ok(None) => return sender.finish().await,
                    Err(error) => return sender.fail(error).await,
                }
            }
        });
        stream
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::StoreError;

    #[derive(Debug, Default)]
    struct Counting(AtomicU64);

    #[async_trait]
    impl Pace for Counting {
        async fn wait_for(&self, bytes: u64) {
            self.0.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    #[derive(Debug)]
    struct Never;

    #[async_trait]
    impl Pace for Never {
        async fn wait_for(&self, _bytes: u64) {
            std::future::pending::<()>().await;
        }
    }

    #[tokio::test]
    async fn all_bytes_pass_and_are_waited_for() {
        let (mut sender, stream) = NarStream::channel();
        let pace = Arc::new(Counting::default());
        let mut stream = stream.paced_by(Arc::clone(&pace) as _);
        sender.send("12345".into()).await.expect("room");
        sender.send("678".into()).await.expect("room");
        sender.finish().await;
        let mut all = Vec::new();
        while let Some(chunk) = stream.next().await.expect("whole") {
            all.extend_from_slice(&chunk);
        }
        assert_eq!((all.as_slice(), pace.0.load(Ordering::Relaxed)), (b"12345678".as_slice(), 8));
    }

    #[tokio::test]
    async fn a_broken_nar_stays_one_and_nobody_waits_for_a_consumer_that_left() {
        let (sender, stream) = NarStream::channel();
        let mut stream = stream.paced_by(Arc::new(Counting::default()));
        drop(sender);
        assert!(matches!(stream.next().await, Err(StoreError::NarInterrupted)));

        let (mut sender, stream) = NarStream::channel();
        let stream = stream.paced_by(Arc::new(Never));
        sender.send("x".into()).await.expect("room");
        drop(stream);
        sender.closed().await;
    }
}

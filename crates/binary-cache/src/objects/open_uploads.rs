//! Uploads in parts that were begun and are neither complete nor aborted: their parts cost money for ever. One that is
//! dropped is aborted in the background, and whoever ends the program waits for that.

use std::fmt;
use std::sync::Arc;

use nars3_store_api::BoxError;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, PutMultipartOptions};
use tokio::sync::watch;

/// Counts the uploads in parts that are open, of all caches that share it.
#[derive(Clone)]
pub struct OpenUploads(Arc<watch::Sender<usize>>);

impl Default for OpenUploads {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl OpenUploads {
    /// How many are open now.
    pub fn count(&self) -> usize {
        *self.0.borrow()
    }

    /// Returns when none is open any more. Those of work that was given up are being aborted, which takes a request each; the
    /// server may never answer, so this needs a limit of its own.
    pub async fn closed(&self) {
        // An error would mean that the counter is gone, and this holds it.
        let _ = self.0.subscribe().wait_for(|open| *open == 0).await;
    }

    /// Keeps `closed` waiting until the answer is dropped: for other work that must not be cut short.
    #[must_use = "it counts for as long as it is held"]
    pub fn open(&self) -> OpenUpload {
        self.0.send_modify(|open| *open += 1);
        OpenUpload(self.clone())
    }
}

impl fmt::Debug for OpenUploads {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("OpenUploads").field(&self.count()).finish()
    }
}

/// One that counts as open.
#[derive(Debug)]
pub struct OpenUpload(OpenUploads);

impl Drop for OpenUpload {
    fn drop(&mut self) {
        self.0.0.send_modify(|open| *open = open.saturating_sub(1));
    }
}

/// An upload in parts. Dropped, it is aborted.
pub(super) struct AbortOnDrop(Option<(Box<dyn MultipartUpload>, OpenUpload)>);

impl AbortOnDrop {
    /// Begins to write `path`. It is begun in a task of its own: who does not wait for the answer would not learn which upload
    /// there is to abort.
    pub(super) async fn begin(
        store: &Arc<dyn ObjectStore>,
        path: &Path,
        options: PutMultipartOptions,
        uploads: &OpenUploads,
    ) -> object_store::Result<Self> {
        let (store, path, open) = (Arc::clone(store), path.clone(), uploads.open());
        let begun = tokio::spawn(async move {
            let begun = store.put_multipart_opts(&path, options).await?;
            Ok::<_, object_store::Error>(Self(Some((begun, open))))
        });
        begun.await?
    }

    /// The upload; an error once it is over.
    pub(super) fn get(&mut self) -> Result<&mut dyn MultipartUpload, BoxError> {
        match &mut self.0 {
            Some((upload, _)) => Ok(upload.as_mut()),
            None => Err("the upload is over".into()),
        }
    }

    /// It is complete: nothing is left to abort.
    pub(super) fn done(mut self) {
        self.0 = None;
    }

    /// Takes back what was sent. Goes on where nobody waits for it.
    pub(super) async fn abort(mut self, store: &str, key: &Path) {
        let aborted = self.0.take().map(|(upload, open)| tokio::spawn(end(upload, open)));
        if let Some(aborted) = aborted
            && let Ok(Err(error)) = aborted.await
        {
            tracing::warn!(store, %key, %error, "cannot abort a multipart upload");
        }
    }
}

/// Aborts an upload, which counts as open until that is done.
async fn end(mut upload: Box<dyn MultipartUpload>, open: OpenUpload) -> object_store::Result<()> {
    let ended = upload.abort().await;
    drop(open);
    ended
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        if let Some((upload, open)) = self.0.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(async move {
                if let Err(error) = end(upload, open).await {
                    tracing::warn!(%error, "cannot abort a multipart upload");
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_goes_on_when_the_last_is_closed() {
        let uploads = OpenUploads::default();
        uploads.closed().await;
        let (one, two) = (uploads.open(), uploads.open());
        let waiting = tokio::spawn({
            let uploads = uploads.clone();
            async move { uploads.closed().await }
        });
        drop(one);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished() && uploads.count() == 1);
        drop(two);
        waiting.await.unwrap();
    }
}

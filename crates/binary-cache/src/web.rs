//! A cache on a web server: what a server does that object stores have no words for.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use nars3_store_api::{BoxError, CHUNK_SIZE};
use object_store::path::Path;
use object_store::{Attributes, ObjectStore};

/// The web server that a cache is on. The credentials of the cache go along with all that it does.
///
/// Its object store may write with conditions, which it may as well pass over in silence.
#[async_trait]
pub trait WebServer: fmt::Debug + Send + Sync {
    /// Where `url` leads, which may be relative to the cache's own. `None` for what no request can be made to.
    fn resolve(&self, url: &str) -> Option<WebPlace>;

    /// What the whole URL `url`, one of the cache's own server, leads to.
    fn object(&self, url: &str) -> Result<(Arc<dyn ObjectStore>, Path), BoxError>;

    /// Writes `file` under `key`, reading it while it is sent.
    async fn put_file(
        &self,
        key: &Path,
        file: FileToSend,
        headers: Attributes,
    ) -> Result<(), object_store::Error>;
}

/// Where a URL leads, which is given whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebPlace {
    /// To the scheme, host and port of the cache itself.
    Own(String),
    /// To another server.
    Other(String),
}

/// A file that is too large for memory, and read while it is sent.
#[derive(Debug, Clone)]
pub struct FileToSend {
    file: Arc<File>,
    size: u64,
}

impl FileToSend {
    pub(crate) fn new(file: Arc<File>, size: u64) -> Self {
        Self { file, size }
    }

    /// Its bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Its contents, piece by piece from the beginning on, as often as this is asked for.
    pub fn chunks(&self) -> BoxStream<'static, io::Result<Bytes>> {
        let Self { file, size } = self.clone();
        stream::try_unfold(0, move |at: u64| {
            let file = Arc::clone(&file);
            async move {
                let left = size.saturating_sub(at);
                if left == 0 {
                    return Ok(None);
                }
                let length = usize::try_from(left).unwrap_or(CHUNK_SIZE).min(CHUNK_SIZE);
                let read = move || {
                    let mut buffer = vec![0; length];
                    file.read_exact_at(&mut buffer, at).map(|()| Bytes::from(buffer))
                };
                let chunk = tokio::task::spawn_blocking(read).await.map_err(io::Error::other)??;
                Ok(Some((chunk, at + length as u64)))
            }
        })
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn a_file_is_read_whole_and_more_than_once() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let bytes: Vec<u8> = (0..CHUNK_SIZE * 2 + 7).map(|number| number as u8).collect();
        std::fs::write(file.path(), &bytes).unwrap();
        let sending = FileToSend::new(Arc::new(File::open(file.path()).unwrap()), bytes.len() as u64);
        for _ in 0..2 {
            let chunks: Vec<Bytes> = sending.chunks().try_collect().await.unwrap();
            assert_eq!(chunks.len(), 3);
            assert!(chunks.concat() == bytes);
        }
        // One that got shorter is no whole body.
        let longer = FileToSend::new(Arc::clone(&sending.file), sending.size() + 1);
        assert!(longer.chunks().try_collect::<Vec<_>>().await.is_err());
    }
}

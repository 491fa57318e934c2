//! An object store that fails: in the middle of a body, at a part, at a condition.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    Error, GetOptions, GetResult, GetResultPayload, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};
use tokio::sync::{Barrier, Notify};

use crate::double::{Double, Standing};

/// What fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Bodies of NARs break with an error after this many bytes.
    BreakAfter(usize),
    /// Bodies of NARs end without an error after this many bytes.
    EndAfter(usize),
    /// Bodies of NARs never give a byte.
    Mute,
    /// PUTs of keys with this suffix fail.
    Put(&'static str),
    /// Conditional PUTs fail as by a server that does not know conditions.
    Conditions,
    /// Conditional PUTs succeed, and their answer is lost.
    LostAnswer,
    /// The second part of every upload fails.
    Part,
    /// The second part of every upload never ends.
    StuckPart,
    /// After so many writes, nothing works any more.
    DieAfter(u64),
    /// Every read is answered with 403 and this code.
    Denied(&'static str),
    /// Reads of keys that end so are answered with 403.
    Forbidden(&'static str),
    /// Reads of what is not there are answered with 403 and this code.
    Unlistable(&'static str),
    /// Listings are answered with 403.
    List,
    /// New narinfos wait for one another, so that two arrive at the same time.
    Meeting,
}

/// Memory, with a fault.
#[derive(Debug)]
pub(crate) struct Faulty {
    inner: InMemory,
    fault: Fault,
    writes: AtomicU64,
    pub(crate) aborted: Arc<AtomicU64>,
    pub(crate) stuck: Arc<Notify>,
    pub(crate) abort_seen: Arc<Notify>,
    meeting: Barrier,
}

impl Faulty {
    pub(crate) fn new(fault: Fault) -> Arc<Standing<Self>> {
        Self::over(InMemory::new(), fault)
    }

    pub(crate) fn over(inner: InMemory, fault: Fault) -> Arc<Standing<Self>> {
        Arc::new(Standing(Self {
            inner,
            fault,
            writes: AtomicU64::new(0),
            aborted: Arc::default(),
            stuck: Arc::default(),
            abort_seen: Arc::default(),
            meeting: Barrier::new(2),
        }))
    }

    fn error(&self) -> Error {
        Error::Generic { store: "faulty", source: format!("{:?}", self.fault).into() }
    }
}

#[async_trait]
impl Double for Faulty {
    fn memory(&self) -> &InMemory {
        &self.inner
    }

    async fn put(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let written = self.writes.fetch_add(1, Ordering::Relaxed);
        match self.fault {
            Fault::Meeting if path.as_ref().ends_with(".narinfo") && options.mode == PutMode::Create => {
                self.meeting.wait().await;
                self.inner.put_opts(path, payload, options).await
            }
            Fault::DieAfter(writes) if written >= writes => Err(self.error()),
            Fault::Put(suffix) if path.as_ref().ends_with(suffix) => Err(self.error()),
            Fault::Conditions if options.mode != PutMode::Overwrite => {
                Err(Error::Generic { store: "faulty", source: "<Code>NotImplemented</Code>".into() })
            }
            Fault::LostAnswer if options.mode != PutMode::Overwrite => {
                self.inner.put_opts(path, payload, options).await?;
                Err(self.error())
            }
            _ => self.inner.put_opts(path, payload, options).await,
        }
    }

    async fn begin(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let inner = self.inner.put_multipart_opts(path, options).await?;
        Ok(Box::new(FaultyUpload {
            inner,
            fault: self.fault,
            parts: 0,
            aborted: Arc::clone(&self.aborted),
            stuck: Arc::clone(&self.stuck),
            abort_seen: Arc::clone(&self.abort_seen),
        }))
    }

    async fn get(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        if let Fault::Denied(code) = self.fault {
            let source = format!("<Code>{code}</Code>").into();
            return Err(Error::PermissionDenied { path: path.to_string(), source });
        }
        if let Fault::Forbidden(suffix) = self.fault
            && path.as_ref().ends_with(suffix)
        {
            let source = "<Code>AccessDenied</Code>".into();
            return Err(Error::PermissionDenied { path: path.to_string(), source });
        }
        let mut found = match (self.inner.get_opts(path, options).await, self.fault) {
            (Err(Error::NotFound { path, .. }), Fault::Unlistable(code)) => {
                return Err(Error::PermissionDenied { path, source: format!("<Code>{code}</Code>").into() });
            }
            (found, _) => found?,
        };
        let (limit, breaks) = match self.fault {
            Fault::BreakAfter(limit) => (limit, true),
            Fault::EndAfter(limit) => (limit, false),
            Fault::Mute => (0, true),
            _ => return Ok(found),
        };
        if path.as_ref().starts_with("nar/") {
            let nothing = GetResultPayload::Stream(futures::stream::empty().boxed());
            let GetResultPayload::Stream(body) = std::mem::replace(&mut found.payload, nothing) else {
                panic!("memory streams");
            };
            let pieces: Vec<_> = body.try_collect().await?;
            let whole = bytes::Bytes::from(pieces.concat());
            let cut = whole.slice(..limit.min(whole.len()));
            let end = (breaks && cut.len() < whole.len()).then(|| Err(self.error()));
            let pieces = futures::stream::iter([Ok(cut)]).chain(futures::stream::iter(end));
            found.payload = GetResultPayload::Stream(pieces.boxed());
        }
        Ok(found)
    }

    fn listing(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        if matches!(self.fault, Fault::List | Fault::Unlistable(_) | Fault::Denied(_)) {
            let error = Error::PermissionDenied { path: String::new(), source: "ListBucket".into() };
            return futures::stream::iter([Err(error)]).boxed();
        }
        self.inner.list(prefix)
    }
}

#[derive(Debug)]
struct FaultyUpload {
    inner: Box<dyn MultipartUpload>,
    fault: Fault,
    parts: usize,
    aborted: Arc<AtomicU64>,
    stuck: Arc<Notify>,
    abort_seen: Arc<Notify>,
}

#[async_trait]
impl MultipartUpload for FaultyUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.parts += 1;
        match self.fault {
            Fault::Part if self.parts == 2 => {
                Box::pin(async { Err(Error::Generic { store: "faulty", source: "part 2".into() }) })
            }
            Fault::StuckPart if self.parts == 2 => {
                let stuck = Arc::clone(&self.stuck);
                Box::pin(async move {
                    stuck.notify_one();
                    std::future::pending().await
                })
            }
            _ => self.inner.put_part(data),
        }
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.aborted.fetch_add(1, Ordering::Relaxed);
        self.abort_seen.notify_one();
        self.inner.abort().await
    }
}

//! Writing documents of any size, with a Content-Encoding: what does not fit into memory is in a temporary file, before
//! and after.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use nars3_compression::{Compression, EncoderOptions, encoder};
use nars3_store_api::{CHUNK_SIZE, StoreError};
use object_store::path::Path;
use object_store::{Attribute, Attributes};

use super::{Kind, Mode, Objects, Source, Written, limit};
use crate::spool::Spool;
use crate::web::FileToSend;

impl Objects {
    /// Writes `source` under `key`, replacing what is there, with the Content-Encoding that the settings ask for its kind.
    /// `spool` holds the encoded bytes.
    pub(crate) async fn put_spooled(
        &self,
        key: &str,
        source: Source,
        kind: Kind,
        spool: Spool,
    ) -> Result<(), StoreError> {
        if let Source::Memory(body) = source {
            return self.put_document(key, body, kind, Mode::Always).await.map(drop);
        }
        let path = self.path(key)?;
        if let Some(method) = self.encodings.of(kind).filter(|_| self.keeps_headers.load(Ordering::Relaxed)) {
            let failed = |error: io::Error| self.failed(format!("write '{key}' with {method}"), error);
            let (reading, coding) = (source.clone(), method.clone());
            let encoding = tokio::task::spawn_blocking(move || encode_spooled(&coding, &reading, spool));
            let encoded = encoding.await.map_err(io::Error::other).flatten().map_err(failed)?;
            let mut headers = self.headers(kind);
            headers.insert(Attribute::ContentEncoding, method.to_string().into());
            if self.put_encoded(&path, &encoded, headers).await? {
                return Ok(());
            }
            // The store keeps no headers: without its header, an encoded document would be unreadable.
        }
        self.put_file(key, &source, kind, true).await.map(drop)
    }

    /// False when the store cannot keep the headers.
    async fn put_encoded(
        &self,
        path: &Path,
        source: &Source,
        headers: Attributes,
    ) -> Result<bool, StoreError> {
        let size = source.size();
        if self.in_parts(size) {
            if let (Some(web), Source::File { file, .. }) = (&self.web, source) {
                let file = FileToSend::new(Arc::clone(file), size);
                return self.put_file_streamed(web.as_ref(), path, file, headers).await.map(|_| true);
            }
            if self.put_parts(path, source, headers.clone()).await? {
                return Ok(true);
            }
        }
        if let Source::File { .. } = source {
            limit::check_whole(size, self.upload_memory.total())
                .map_err(|error| self.failed(format!("write '{path}'"), error))?;
        }
        let _share = self.upload_memory.take(size).await;
        let body =
            source.read(0..size).await.map_err(|error| self.failed(format!("read back '{path}'"), error))?;
        let written = self.put(path, body, &headers, &Mode::Always).await?;
        Ok(written == Some(Written::Now))
    }
}

/// Blocks.
fn encode_spooled(method: &Compression, source: &Source, spool: Spool) -> io::Result<Source> {
    let mut encoder = encoder(method, &EncoderOptions::default(), spool).map_err(io::Error::other)?;
    let mut buffer = vec![0; CHUNK_SIZE];
    let mut reader = source.reader();
    loop {
        let count = reader.read(&mut buffer)?;
        match buffer.get(..count) {
            Some(chunk) if !chunk.is_empty() => encoder.write_all(chunk)?,
            _ => break,
        }
    }
    Ok(encoder.finish()?.finish().source)
}

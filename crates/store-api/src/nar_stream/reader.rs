//! The consumer's side of a NAR, for code that reads.

use std::io::{self, Read};
use std::time::Duration;

use bytes::Bytes;

use super::NarStream;
use crate::StoreError;

/// A `Read` over a `NarStream`. For threads that may block.
#[derive(Debug)]
pub struct NarReader {
    stream: NarStream,
    current: Bytes,
}

impl NarReader {
    pub(super) fn new(stream: NarStream) -> Self {
        Self { stream, current: Bytes::new() }
    }

    /// How long the consumer has waited for chunks until now.
    pub fn waited(&self) -> Duration {
        self.stream.waited()
    }

    /// As `NarStream::blocking_for_each`, with what has not been read yet.
    pub fn blocking_for_each(
        self,
        mut take: impl FnMut(&[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if !self.current.is_empty() {
            take(&self.current)?;
        }
        self.stream.blocking_for_each(take)
    }
}

impl Read for NarReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.stream.blocking_next().map_err(StoreError::into_carrier)? {
                Some(chunk) => self.current = chunk,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.current.len());
        let chunk = self.current.split_to(count);
        buffer.get_mut(..count).unwrap_or_default().copy_from_slice(&chunk);
        Ok(count)
    }
}

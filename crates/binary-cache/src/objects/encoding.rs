//! Content-Encoding of small documents: narinfos, listings, logs.

use std::io::{self, BufRead, BufReader, Read, Write};

use bytes::Bytes;
use nars3_compression::{Compression, CompressionError, EncoderOptions};
use nars3_store_api::CHUNK_SIZE;

/// Documents up to this size are encoded where they are: it takes less time than handing them to another thread. A
/// narinfo has about one KiB.
const INLINE: usize = 32 * 1024;

/// A document could not be coded as its Content-Encoding says.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EncodingError {
    #[error("unknown Content-Encoding '{0}'")]
    Unknown(String),
    #[error("content of encoding '{encoding}' cannot be decoded")]
    Decode {
        encoding: String,
        #[source]
        source: io::Error,
    },
    #[error("content cannot be encoded as '{encoding}'")]
    Encode {
        encoding: String,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Method(#[from] CompressionError),
    #[error("it has more than {limit} bytes when decoded")]
    TooLarge { limit: u64 },
    #[error("the thread that coded it failed")]
    Thread(#[from] tokio::task::JoinError),
}

/// The codings that a Content-Encoding header names, outermost last as they were applied. `aws-chunked` is the
/// transfer's own, which some clients leave behind in the object's header.
fn codings(header: &str) -> Result<Vec<Compression>, EncodingError> {
    header
        .split(',')
        .map(str::trim)
        .filter(|name| !matches!(*name, "" | "none" | "identity" | "aws-chunked"))
        .map(|name| match Compression::from(name.strip_prefix("x-").unwrap_or(name)) {
            Compression::Unknown(_) => Err(EncodingError::Unknown(name.to_owned())),
            method => Ok(method),
        })
        .collect()
}

/// Undoes the Content-Encoding `header` of `body`, giving at most `limit` bytes.
pub(crate) async fn decode(header: &str, body: Bytes, limit: u64) -> Result<Bytes, EncodingError> {
    let codings = codings(header)?;
    if codings.is_empty() {
        return Ok(body);
    }
    // Always on the blocking pool: a small body may hold a large document.
    let work = move || codings.iter().rev().try_fold(body, |body, method| decode_one(method, body, limit));
    tokio::task::spawn_blocking(work).await?
}

/// Applies one Content-Encoding.
pub(crate) async fn encode(method: &Compression, body: Bytes) -> Result<Bytes, EncodingError> {
    if body.len() <= INLINE {
        return encode_one(method, &body);
    }
    let method = method.clone();
    tokio::task::spawn_blocking(move || encode_one(&method, &body)).await?
}

/// A reader of `body` with its Content-Encoding `header` undone, for a body of any size. For threads that may block.
pub(crate) fn undo_encoding<'a>(
    header: &str,
    body: impl BufRead + Send + 'a,
) -> Result<Box<dyn BufRead + Send + 'a>, EncodingError> {
    codings(header)?.iter().rev().try_fold(Box::new(body) as Box<dyn BufRead + Send + 'a>, |body, method| {
        let decoded = nars3_compression::decoder(method, body)?;
        Ok(Box::new(BufReader::with_capacity(CHUNK_SIZE, decoded)) as Box<dyn BufRead + Send + 'a>)
    })
}

fn decode_one(method: &Compression, body: Bytes, limit: u64) -> Result<Bytes, EncodingError> {
    let failed = |source| EncodingError::Decode { encoding: method.to_string(), source };
    let reader = nars3_compression::decoder(method, Box::new(io::Cursor::new(body)))?;
    let mut decoded = Vec::new();
    reader.take(limit.saturating_add(1)).read_to_end(&mut decoded).map_err(failed)?;
    if decoded.len() as u64 > limit {
        return Err(EncodingError::TooLarge { limit });
    }
    Ok(decoded.into())
}

fn encode_one(method: &Compression, body: &[u8]) -> Result<Bytes, EncodingError> {
    let failed = |source| EncodingError::Encode { encoding: method.to_string(), source };
    let mut encoder = nars3_compression::encoder(method, &EncoderOptions::default(), Vec::new())?;
    encoder.write_all(body).map_err(failed)?;
    encoder.finish().map(Bytes::from).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_encoding_comes_back() {
        let text = Bytes::from_static(b"StorePath: /nix/store/x\n");
        for name in ["gzip", "br", "zstd", "xz", "bzip2"] {
            let encoded = encode(&Compression::from(name), text.clone()).await.unwrap();
            assert_ne!(encoded, text, "{name}");
            assert_eq!(decode(name, encoded, 100).await.unwrap(), text, "{name}");
        }
    }

    #[tokio::test]
    async fn what_is_not_encoded_stays_as_it_is() {
        for header in ["", "none", "identity", "aws-chunked"] {
            assert_eq!(decode(header, Bytes::from_static(b"x"), 1).await.unwrap(), "x");
        }
    }

    #[tokio::test]
    async fn several_encodings_are_undone_from_the_last_to_the_first() {
        let zstd = encode(&Compression::Zstd, Bytes::from_static(b"text")).await.unwrap();
        let both = encode(&Compression::Gzip, zstd).await.unwrap();
        assert_eq!(decode("zstd, gzip,aws-chunked", both, 100).await.unwrap(), "text");
    }

    #[tokio::test]
    async fn a_bomb_stops_at_the_limit() {
        let zeros = encode(&Compression::Zstd, vec![0; 1_000_000].into()).await.unwrap();
        assert!(zeros.len() < 1000);
        let error = decode("zstd", zeros, 999_999).await.unwrap_err();
        assert!(matches!(error, EncodingError::TooLarge { limit: 999_999 }));
    }

    #[tokio::test]
    async fn an_unknown_encoding_is_named() {
        let error = decode("rot13", Bytes::new(), 10).await.unwrap_err();
        assert_eq!(error.to_string(), "unknown Content-Encoding 'rot13'");
    }
}

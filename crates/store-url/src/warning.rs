//! What is odd about a store URL but does not stop it from being used.

use nars3_narinfo::Compression;

use crate::text;

/// Something that the user should hear of. Positions are byte offsets in the text given to `parse`.
///
/// No warning quotes a value: values of unknown settings may be tokens.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Warning {
    /// No store has this setting. It is ignored, as Nix does.
    #[error("byte {at}: unknown setting {name:?} is ignored{}", text::did_you_mean(*nearest))]
    UnknownSetting {
        /// Where its name starts.
        at: usize,
        /// Its name, shortened.
        name: String,
        /// The known setting that was perhaps meant, preferably one of this kind of store.
        nearest: Option<&'static str>,
    },
    /// Another kind of store has this setting. It is ignored.
    #[error("byte {at}: setting `{name}` is ignored, it belongs to {stores}")]
    NotForThisStore {
        /// Where its name starts.
        at: usize,
        /// Its name.
        name: &'static str,
        /// The stores that have it.
        stores: String,
    },
    /// A setting that was given before: the first one counts.
    #[error("byte {at}: setting `{name}` was given before, only the first one counts")]
    Duplicate {
        /// Where the ignored one starts.
        at: usize,
        /// Its name.
        name: &'static str,
    },
    /// A setting under its old name although the new name is given too: the new one counts.
    #[error("byte {at}: `{alias}` is the old name of `{name}`, which is given too and counts")]
    OldNameIgnored {
        /// Where the ignored one starts.
        at: usize,
        /// The old name.
        alias: &'static str,
        /// The name.
        name: &'static str,
    },
    /// A piece of the query without `=`. It is ignored, as Nix does.
    #[error("byte {at}: a setting without `=` is ignored")]
    MissingEquals {
        /// Where it starts.
        at: usize,
    },
    /// A `#…` at the end. It is ignored, as Nix does.
    #[error("byte {at}: everything from `#` on is ignored")]
    FragmentIgnored {
        /// Where the `#` is.
        at: usize,
    },
    /// A content encoding that Nix from 2.34 on cannot read, because curl does not decode it.
    #[error(
        "setting `{name}`: Nix 2.34 and newer cannot read `{compression}` here; use `zstd`, `br` or `gzip`"
    )]
    UnreadableEncoding {
        /// The setting.
        name: &'static str,
        /// Its value.
        compression: Compression,
    },
    /// A bucket whose name has a dot: its virtual host would not match the server's certificate.
    #[error(
        "bucket `{bucket}` has a dot in its name, so it is addressed by path; `addressing-style=path` says so"
    )]
    DottedBucket {
        /// The bucket.
        bucket: String,
    },
    /// Parts larger than the size from which uploads have parts: such uploads have a single part.
    #[error("`multipart-threshold` ({threshold} bytes) is below `multipart-chunk-size` ({chunk_size} bytes)")]
    ThresholdBelowChunkSize {
        /// The threshold, in bytes.
        threshold: u64,
        /// The part size, in bytes.
        chunk_size: u64,
    },
    /// The password would travel unencrypted.
    #[error("the user name and password in this URL are sent without encryption; use `https`")]
    UnencryptedCredentials,
}

//! Nix store URLs, parsed into typed settings and printed back: every way in which Nix names a binary cache, the store of
//! this machine or the daemon, with every setting that Nix 2.29 and its development version have for them, and some more.
//!
//! ```
//! use nars3_store_url::{StoreKind, StoreUrl};
//!
//! let text = "s3://my-cache/team?region=eu-west-1&compression=zstd&buffer-size=16M&regoin=x";
//! let parsed = StoreUrl::parse(text)?;
//!
//! let StoreKind::S3(s3) = &parsed.url.kind else { panic!("an S3 URL") };
//! assert_eq!((s3.bucket.as_str(), s3.prefix.as_str()), ("my-cache", "team"));
//! assert_eq!(s3.multipart_chunk_size, Some(16 << 20));
//! assert!(parsed.url.cache.parallel(), "zstd is compressed with several threads");
//!
//! // Oddities do not stop a URL from being used; the caller decides what to do with them.
//! assert_eq!(
//!     parsed.warnings[0].to_string(),
//!     "byte 69: unknown setting \"regoin\" is ignored; did you mean `region`?"
//! );
//! // Printing gives an equivalent URL, settings under their present names.
//! assert_eq!(
//!     parsed.url.to_string(),
//!     "s3://my-cache/team?compression=zstd&multipart-chunk-size=16777216&region=eu-west-1"
//! );
//!
//! // Errors point at the piece that is wrong.
//! let error = StoreUrl::parse("s3://my-cache?compression=zstandard").unwrap_err();
//! assert_eq!((error.at, error.piece.as_str()), (26, "zstandard"));
//! # Ok::<(), nars3_store_url::StoreUrlError>(())
//! ```
//!
//! ## What it reads
//!
//! | URL | store |
//! |---|---|
//! | `s3://bucket[/prefix]` | binary cache in a bucket |
//! | `http://…`, `https://…` | binary cache on a web server |
//! | `file:///directory` | binary cache in a directory |
//! | `local`, `local:///root`, a path with a `/` | store of this machine, or a chroot store |
//! | `daemon`, `unix:///socket` | Nix daemon |
//! | `auto`, nothing | store of this machine, or the daemon |
//! | `s3://bucket/key?versionId=…` | one object in a bucket (`S3ObjectUrl`), whose HTTP URL `to_https_url` gives |
//!
//! Settings stand behind a `?`. They are read as Nix reads them: percent-decoded (`+` is a plus), the first of two counts,
//! numbers may end in `K`, `M`, `G` or `T`, and unknown ones are ignored with a warning. `settings_table` lists them with
//! their stores, defaults, units and ranges. The table is also what reads and prints them, so it cannot be out of date.
//!
//! SSH stores are refused with an error that says so: they need Nix on another machine.
//!
//! ## What it does not do
//!
//! It is pure: it opens no file, asks no environment variable and sends nothing. So it does not know the working directory
//! (`StoreUrl::resolve_relative` takes it), the environment variables that move Nix's directories, or `nix.conf`.
//!
//! It prints no secrets: the user name and password of an HTTP URL are in a type without `Display` and with a `Debug` that
//! hides them, and errors and warnings quote neither them nor the values of unknown settings. Signing keys are paths here;
//! a key that is given by mistake instead of its path is refused, and not quoted either.
//!
//! ## Where to look
//!
//! - `StoreUrl`, `StoreKind` and the settings of each kind: `S3Settings`, `FileCache`, `HttpSettings`, `LocalSettings`,
//!   `DaemonSettings`, `AutoSettings`.
//! - `CacheSettings` of all binary caches, `StoreSettings` of all stores, `TransferSettings` of all that speak HTTP.
//! - `Setting` and `settings_table`: the settings as data.
//! - `S3ObjectUrl`, `BucketAddress`, `Endpoint`, `AddressingStyle`: S3 addressing by path or host.
//! - `HttpUrl`, `Authority`, `Host`, `Credentials`: the parts of an HTTP URL.
//! - `StoreUrlError` with `Problem` and `ValueProblem`; `Warning`.

mod authority;
mod cache_settings;
mod display;
mod error;
mod http_url;
mod local_settings;
mod nearest;
mod parse;
mod s3;
mod setting;
mod store_settings;
mod store_url;
mod text;
mod transfer_settings;
mod warning;

pub use authority::{Authority, Credentials, Host};
pub use cache_settings::CacheSettings;
pub use error::{Problem, StoreUrlError, ValueProblem};
pub use http_url::{HttpUrl, Scheme};
pub use local_settings::{AutoSettings, ConnectionSettings, DaemonSettings, LocalSettings};
pub use s3::{
    AddressingError, AddressingStyle, BucketAddress, Endpoint, EndpointUrl, HeaderSettings, ObjectHeaders,
    ParsedObject, S3Client, S3ObjectUrl, S3Settings, ServerSideEncryption, aws_domain,
};
pub use setting::{Origin, Range, Setting, StoreType, Unit, settings_table};
pub use store_settings::StoreSettings;
pub use store_url::{FileCache, HttpSettings, Parsed, StoreKind, StoreUrl};
pub use transfer_settings::TransferSettings;
pub use warning::Warning;

//! Nix store URLs, parsed into typed settings and printed back.

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
    ParsedObject, S3Client, S3ObjectUrl, S3Settings, ServerSideEncryption,
};
pub use setting::{Origin, Range, Setting, StoreType, Unit, settings_table};
pub use store_settings::StoreSettings;
pub use store_url::{FileCache, HttpSettings, Parsed, StoreKind, StoreUrl};
pub use transfer_settings::TransferSettings;
pub use warning::Warning;

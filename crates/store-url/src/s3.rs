//! S3: settings, endpoints, addressing, object URLs.

mod address;
mod endpoint;
mod headers;
mod object_url;
mod settings;

pub use address::{AddressingError, AddressingStyle, BucketAddress, aws_domain};
pub use endpoint::{Endpoint, EndpointUrl};
pub use headers::{HeaderSettings, ObjectHeaders};
pub use object_url::{ParsedObject, S3ObjectUrl};
pub use settings::{S3Client, S3Settings, ServerSideEncryption};

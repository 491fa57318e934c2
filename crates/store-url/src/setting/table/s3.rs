//! Settings of S3.

use super::{Range, Setting, Slot, StoreType, Unit, row};
use crate::setting::Origin::{Nars3, Nix2_29, NixHead};
use crate::setting::slot::of_kind;

/// What it takes to reach an object.
const REACH: &[StoreType] = &[StoreType::S3, StoreType::S3Object];

/// What only a store needs.
const STORE: &[StoreType] = &[StoreType::S3];

const OBJECT: &[StoreType] = &[StoreType::S3Object];

/// S3's own limits for a part (Nix HEAD `s3-binary-cache-store.cc`).
const PART_SIZE: Range = Range::Integer { minimum: 5 << 20, maximum: 5 << 30 };

macro_rules! s3 {
    ($field:ident) => {
        of_kind!(s3, s3_mut, $field)
    };
}

/// A flag of our own, off unless given.
const fn flag(name: &'static str, meaning: &'static str, slot: Slot) -> Setting {
    row(name, REACH, Nars3, Range::Boolean, meaning, slot).default("false")
}

pub(super) static ROWS: [Setting; 20] = [
    row("profile", REACH, Nix2_29, Range::Text, "Profile of the AWS configuration files.", s3!(profile)),
    row(
        "region",
        REACH,
        Nix2_29,
        Range::Text,
        "Region of the bucket; any name beside `endpoint`, else one that can be part of a host.",
        s3!(region),
    )
    .default("us-east-1"),
    row(
        "scheme",
        REACH,
        Nix2_29,
        Range::OneOf(&["https", "http"]),
        "Scheme for AWS, and for an endpoint without one.",
        s3!(scheme),
    )
    .default("https"),
    row("endpoint", REACH, Nix2_29, Range::Endpoint, "Server, if it is not AWS.", s3!(endpoint)),
    row(
        "addressing-style",
        REACH,
        NixHead,
        Range::OneOf(&["auto", "path", "virtual"]),
        "Whether the bucket is in the path or the host of requests; auto: host at AWS, else path.",
        s3!(addressing_style),
    )
    .default("auto"),
    flag("dual-stack", "Use AWS's endpoints that have IPv6 too.", s3!(dual_stack)),
    flag("fips", "Use AWS's endpoints with FIPS 140 cryptography.", s3!(fips)),
    flag("accelerate", "Use AWS's transfer acceleration.", s3!(accelerate)),
    flag("anonymous", "Send unsigned requests and look for no credentials.", s3!(anonymous)),
    row(
        "s3-client",
        REACH,
        Nars3,
        Range::OneOf(&["object_store", "rusoto"]),
        "Client that sends the requests. Default: object_store.",
        s3!(s3_client),
    ),
    flag("requester-pays", "Agree to pay for requests to somebody else's bucket.", s3!(requester_pays)),
    row(
        "multipart-upload",
        STORE,
        Nix2_29,
        Range::Boolean,
        "Send large objects in parts. Default: as needed (Nix: false).",
        s3!(multipart_upload),
    ),
    row(
        "multipart-chunk-size",
        STORE,
        NixHead,
        PART_SIZE,
        "Size of a part. Default: as memory and bandwidth want it (Nix: 5M).",
        s3!(multipart_chunk_size),
    )
    .aliases(&["buffer-size"])
    .unit(Unit::Bytes),
    row(
        "multipart-threshold",
        STORE,
        NixHead,
        Range::Integer { minimum: 0, maximum: u64::MAX },
        "Size from which an object is sent in parts. Default: as memory and bandwidth want it (Nix: 100M).",
        s3!(multipart_threshold),
    )
    .unit(Unit::Bytes),
    row(
        "upload-memory",
        STORE,
        Nars3,
        Range::Integer { minimum: 5 << 20, maximum: u64::MAX },
        "Memory for parts on their way, all together. A file whose parts are larger is refused. Default: 48M.",
        s3!(upload_memory),
    )
    .unit(Unit::Bytes),
    row(
        "storage-class",
        STORE,
        NixHead,
        Range::Name,
        "Storage class of objects, such as `STANDARD_IA`. Default: the bucket's.",
        s3!(storage_class),
    ),
    row(
        "sse",
        STORE,
        Nars3,
        Range::OneOf(&["AES256", "aws:kms", "aws:kms:dsse"]),
        "Server-side encryption of objects. Default: the bucket's.",
        s3!(sse),
    ),
    row(
        "sse-kms-key-id",
        STORE,
        Nars3,
        Range::Text,
        "KMS key for `sse`, an id or an ARN. Default: the account's own key for S3.",
        s3!(sse_kms_key_id),
    ),
    row("object-tags", STORE, Nars3, Range::Tags, "Tags on every object that is written.", s3!(object_tags)),
    // The version belongs to the object, not to the settings: `S3ObjectUrl` takes it out of the URL itself.
    row(
        "versionId",
        OBJECT,
        NixHead,
        Range::Text,
        "Version of the object. Default: the newest.",
        Slot { read: |_, _, _| Ok(()), show: |_, _| None },
    ),
];

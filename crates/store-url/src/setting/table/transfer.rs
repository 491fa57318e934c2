//! Settings of stores that speak HTTP.

use super::{Range, Setting, Slot, StoreType, UNSIGNED, Unit, row};
use crate::setting::Origin::{Nars3, NixHead, NixOption};
use crate::setting::field::Field;
use crate::setting::slot::of_kind;

const SERVERS: &[StoreType] = &[StoreType::S3, StoreType::S3Object, StoreType::Http];

macro_rules! transfer {
    ($field:ident) => {
        of_kind!(transfer, transfer_mut, $field)
    };
}

/// A setting that Nix reads as "the global option" where it is 0: the default stays.
macro_rules! unless_zero {
    ($field:ident) => {
        Slot {
            read: |url, text, setting| {
                if let Some(settings) = url.kind.transfer_mut() {
                    let value = Field::read(text, setting)?;
                    if Field::show(&value, setting).as_deref() != Some("0") {
                        settings.$field = value;
                    }
                }
                Ok(())
            },
            show: transfer!($field).show,
        }
    };
}

pub(super) static ROWS: [Setting; 11] = [
    row(
        "connect-timeout",
        SERVERS,
        NixOption,
        UNSIGNED,
        "How long connecting may take; 0 is as long as the system waits.",
        transfer!(connect_timeout),
    )
    .default("15")
    .unit(Unit::Seconds),
    row(
        "stalled-download-timeout",
        SERVERS,
        NixOption,
        UNSIGNED,
        "How long a transfer may go without a byte, and an answer with less than 16 KiB; 0 is no limit.",
        transfer!(stalled_download_timeout),
    )
    .default("300")
    .unit(Unit::Seconds),
    row(
        "request-timeout",
        SERVERS,
        Nars3,
        UNSIGNED,
        "How long one attempt at a request may take in all; 0 is no limit.",
        transfer!(request_timeout),
    )
    .default("0")
    .unit(Unit::Seconds),
    row(
        "retry-attempts",
        SERVERS,
        NixHead,
        UNSIGNED,
        "How often a request is tried in all; 0 is the default.",
        unless_zero!(retry_attempts),
    )
    .default("5")
    .unit(Unit::Attempts),
    row(
        "retry-delay",
        SERVERS,
        NixHead,
        UNSIGNED,
        "Longest delay before the first retry, doubled with each one; 0 is the default.",
        unless_zero!(retry_delay),
    )
    .default("100")
    .unit(Unit::Milliseconds),
    row(
        "retry-delay-rate-limited",
        SERVERS,
        NixHead,
        UNSIGNED,
        "The same after the server asked for fewer requests; 0 is the default.",
        unless_zero!(retry_delay_rate_limited),
    )
    .default("5000")
    .unit(Unit::Milliseconds),
    row(
        "retry-max-delay",
        SERVERS,
        NixHead,
        UNSIGNED,
        "Longest delay before any retry; 0 is the default.",
        unless_zero!(retry_max_delay),
    )
    .default("60000")
    .unit(Unit::Milliseconds),
    row(
        "retry-timeout",
        SERVERS,
        Nars3,
        UNSIGNED,
        "How long after the first attempt a retry may start; 0 is no limit.",
        transfer!(retry_timeout),
    )
    .default("0")
    .unit(Unit::Seconds),
    row(
        "ssl-cert-file",
        SERVERS,
        NixOption,
        Range::AbsolutePath,
        "Certificates (PEM) of the authorities to trust, instead of the system's.",
        transfer!(ssl_cert_file),
    ),
    row(
        "tls-certificate",
        SERVERS,
        NixHead,
        Range::AbsolutePath,
        "Client certificate (PEM), sent to the store's own host only.",
        transfer!(tls_certificate),
    ),
    row(
        "tls-private-key",
        SERVERS,
        NixHead,
        Range::AbsolutePath,
        "File with the client certificate's key (PEM).",
        transfer!(tls_private_key),
    )
    .sensitive(),
];

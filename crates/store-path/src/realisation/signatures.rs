//! The two forms of signatures in realisations: text up to Nix 2.34, objects since 2.35.

use std::collections::BTreeSet;

use serde_json::Value;

use super::error::RealisationError;
use crate::base64;
use crate::json::{self, JsonShapeError};
use crate::signature::{Signature, check_key_name};
use crate::text::excerpt;

const KEY: &str = "signatures";

/// At most so many signatures are read: each costs its readers a check. Nix has no limit.
pub const MAX_SIGNATURES: usize = 1000;

/// Reads the array `signatures`, which may be absent, of either form.
pub(super) fn read(document: &Value) -> Result<BTreeSet<Signature>, RealisationError> {
    match json::optional_field(document, KEY)? {
        None => Ok(BTreeSet::new()),
        Some(Value::Array(array)) if array.len() > MAX_SIGNATURES => {
            Err(RealisationError::TooManySignatures { found: array.len() })
        }
        Some(Value::Array(array)) => array.iter().map(read_one).collect(),
        Some(other) => Err(JsonShapeError::wrong_type(format!("'{KEY}'"), other, "an array").into()),
    }
}

fn read_one(value: &Value) -> Result<Signature, RealisationError> {
    match value {
        Value::String(text) => Ok(Signature::new(text)),
        Value::Object(_) => {
            let key_name = json::string_field(value, "keyName")?;
            let wrong = |reason| RealisationError::Signature { key_name: excerpt(key_name), reason };
            check_key_name(key_name).map_err(|_| wrong("unusable key name"))?;
            let bytes = base64::decode(json::string_field(value, "sig")?.as_bytes())
                .map_err(|_| wrong("no base64 in 'sig'"))?;
            Ok(Signature::from_parts(key_name, &bytes))
        }
        other => {
            Err(JsonShapeError::wrong_type(format!("an element of '{KEY}'"), other, "a string or an object")
                .into())
        }
    }
}

/// The array with signatures as text, in their own order.
pub(super) fn print_text(signatures: &BTreeSet<Signature>) -> String {
    json::array(signatures.iter().map(|signature| json::quote(signature.as_str())))
}

/// The array with signatures as objects, in the order of their key names and then bytes, which is not that of
/// their base64.
pub(super) fn print_structured(signatures: &BTreeSet<Signature>) -> Result<String, RealisationError> {
    let parts: Result<BTreeSet<_>, _> = signatures
        .iter()
        .map(|signature| {
            signature.to_parts().ok_or_else(|| RealisationError::UnstructuredSignature {
                signature: excerpt(signature.as_str()),
            })
        })
        .collect();
    Ok(json::array(parts?.into_iter().map(|(key_name, bytes)| {
        format!(r#"{{"keyName":{},"sig":"{}"}}"#, json::quote(key_name), base64::encode(&bytes))
    })))
}

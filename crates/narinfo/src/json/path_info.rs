//! Path infos as JSON objects (Nix 2.29 and HEAD `path-info.cc`).

use std::collections::BTreeSet;

use nars3_store_path::{ContentAddress, MAX_SIGNATURES, Signature, StoreDir, StorePath};
use serde_json::{Map, Value, json};

use super::object::{Object, array, boolean, hash, integer, line, store_path, string, unsigned, wrong_type};
use super::{Detail, JsonError, JsonProblem, PathInfoFormat};
use crate::PathInfo;
use crate::narinfo::signatures_by_key;

/// What errors say was to be read.
const WHAT: &str = "a path info";

/// The JSON object of a path info. The path itself is not in it.
pub fn path_info_to_json(
    info: &PathInfo,
    store_dir: &StoreDir,
    format: PathInfoFormat,
    detail: Detail,
) -> Value {
    let path = |path: &StorePath| -> Value {
        if format.is_textual() { store_dir.print(path).into() } else { path.base_name().into() }
    };
    let mut object = Map::new();
    if let Some(version) = format.version() {
        object.insert("version".into(), version.into());
        object.insert("storeDir".into(), store_dir.as_str().into());
    }
    object.insert("narHash".into(), info.nar_hash.to_sri().into());
    object.insert("narSize".into(), info.nar_size.into());
    object.insert("references".into(), info.references.iter().map(path).collect());
    object
        .insert("ca".into(), info.ca.as_ref().map_or(Value::Null, |ca| content_address_to_json(ca, format)));
    if detail == Detail::Impure {
        object.insert("deriver".into(), info.deriver.as_ref().map_or(Value::Null, path));
        // 0 stands for "not known", as in Nix.
        object.insert("registrationTime".into(), info.registration_time.filter(|time| *time != 0).into());
        object.insert("ultimate".into(), info.ultimate.into());
        object.insert("signatures".into(), signatures_to_json(&info.signatures, format));
    }
    Value::Object(object)
}

/// Reads the JSON object of the path info of `path`, in whatever format it is.
///
/// Only the NAR hash, its size and the references must be there. Unknown keys are skipped, as by Nix.
///
/// # Errors
///
/// Missing keys, values of wrong types, another store directory than `store_dir`, unknown versions.
pub fn path_info_from_json(
    path: &StorePath,
    store_dir: &StoreDir,
    value: &Value,
) -> Result<PathInfo, JsonError> {
    let object = Object::of(WHAT, value)?;
    let format = format_of(object)?;
    ensure_store_dir(object, store_dir, format)?;
    // The store directory that paths are written with.
    let written_dir = format.is_textual().then_some(store_dir);
    let nar_hash = object.required("narHash", hash)?;
    let mut info = PathInfo::new(path.clone(), nar_hash, object.required("narSize", unsigned)?);
    info.references = object.required("references", |value| {
        array(value)?.iter().map(|reference| store_path(written_dir, reference)).collect()
    })?;
    if !format.is_textual() && !object.contains("ca") {
        return Err(object.missing("ca"));
    }
    info.ca = object.optional("ca", |value| content_address_from_json(value, format))?;
    info.deriver = object.optional("deriver", |value| store_path(written_dir, value))?;
    info.registration_time = object.optional("registrationTime", integer)?;
    info.ultimate = object.get("ultimate", boolean)?.unwrap_or_default();
    info.signatures = object.get("signatures", signatures_from_json)?.unwrap_or_default();
    Ok(info)
}

/// The format an object says it has.
pub(super) fn format_of(object: Object<'_>) -> Result<PathInfoFormat, JsonError> {
    let version = object.get("version", |value| unsigned(value).and_then(PathInfoFormat::from_version))?;
    Ok(version.unwrap_or(PathInfoFormat::Nix229))
}

/// Refuses an object whose `storeDir` is another one than `expected`.
pub(super) fn ensure_store_dir(
    object: Object<'_>,
    expected: &StoreDir,
    format: PathInfoFormat,
) -> Result<(), JsonError> {
    let same = object.get("storeDir", |value| match string(value)? {
        found if found == expected.as_str() => Ok(()),
        found => Err(JsonProblem::StoreDir { found: found.to_owned(), expected: expected.clone() }),
    })?;
    if same.is_none() && !format.is_textual() { Err(object.missing("storeDir")) } else { Ok(()) }
}

fn content_address_to_json(ca: &ContentAddress, format: PathInfoFormat) -> Value {
    if format.is_textual() {
        return ca.to_string().into();
    }
    json!({ "hash": ca.hash.to_sri(), "method": ca.method.name() })
}

fn content_address_from_json(value: &Value, format: PathInfoFormat) -> Result<ContentAddress, JsonProblem> {
    if format.is_textual() {
        return string(value)?.parse().map_err(JsonProblem::ContentAddress);
    }
    match value {
        Value::Object(_) => {
            ContentAddress::from_json(&value.to_string()).map_err(JsonProblem::ContentAddress)
        }
        other => Err(wrong_type("an object with 'hash' and 'method'", other)),
    }
}

/// 2.29 has them in the order of their texts, newer formats by key name.
fn signatures_to_json(signatures: &BTreeSet<Signature>, format: PathInfoFormat) -> Value {
    let text = |signature: &Signature| Value::from(signature.as_str());
    match format {
        PathInfoFormat::Nix229 => signatures.iter().map(text).collect(),
        PathInfoFormat::V1 | PathInfoFormat::V2 => {
            signatures_by_key(signatures).into_iter().map(text).collect()
        }
        PathInfoFormat::V3 => signatures_by_key(signatures).into_iter().map(structured_signature).collect(),
    }
}

/// A signature as an object. One without a key name, which no Nix makes, is kept whole in `sig`.
fn structured_signature(signature: &Signature) -> Value {
    let (name, bytes) = match signature.as_str().split_once(':') {
        Some((name, bytes)) if !name.is_empty() => (name, bytes),
        _ => ("", signature.as_str()),
    };
    json!({ "keyName": name, "sig": bytes })
}

/// Signatures as texts or as objects, whatever the version says: Nix reads both too.
fn signatures_from_json(value: &Value) -> Result<BTreeSet<Signature>, JsonProblem> {
    let signatures = array(value)?;
    if signatures.len() > MAX_SIGNATURES {
        return Err(JsonProblem::TooManySignatures { found: signatures.len() });
    }
    signatures.iter().map(signature_from_json).collect()
}

fn signature_from_json(value: &Value) -> Result<Signature, JsonProblem> {
    let Value::Object(members) = value else { return line(value).map(Signature::new) };
    let member = |key| members.get(key).ok_or(JsonProblem::Missing(key)).and_then(line);
    let (name, bytes) = (member("keyName")?, member("sig")?);
    if name.is_empty() {
        return Ok(Signature::new(bytes));
    }
    Ok(Signature::new(&format!("{name}:{bytes}")))
}

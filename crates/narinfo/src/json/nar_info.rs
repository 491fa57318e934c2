//! Narinfos as JSON objects: path infos with four more keys (Nix 2.29 and HEAD `nar-info.cc`).

use nars3_store_path::{Hash, StoreDir, StorePath};
use serde_json::{Map, Value};

use super::object::{Object, hash, line, unsigned};
use super::{Detail, JsonError, PathInfoFormat, path_info_from_json, path_info_to_json};
use crate::narinfo::Flags;
use crate::{Compression, NarInfo};

/// What errors say was to be read.
const WHAT: &str = "a narinfo";

/// What a narinfo adds to a path info: the NAR file in the cache.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NarFile {
    /// Where the file is, relative to the cache.
    pub url: String,
    /// How it is compressed, if that is said: Nix before 2.29 did not.
    pub compression: Option<Compression>,
    /// The hash of the file as stored.
    pub file_hash: Option<Hash>,
    /// The size of the file as stored, in bytes.
    pub file_size: Option<u64>,
}

impl NarFile {
    /// Adds the keys of this file to the object of a path info.
    pub(super) fn add_to(&self, object: &mut Map<String, Value>) {
        if !self.url.is_empty() {
            object.insert("url".into(), self.url.as_str().into());
        }
        if let Some(compression) = &self.compression {
            object.insert("compression".into(), compression.name().into());
        }
        if let Some(hash) = self.file_hash {
            object.insert("downloadHash".into(), hash.to_sri().into());
        }
        // 0 stands for "not known", as in Nix.
        if let Some(size) = self.file_size.filter(|size| *size != 0) {
            object.insert("downloadSize".into(), size.into());
        }
    }

    /// The file in an object, if there is something about one.
    pub(super) fn of(object: Object<'_>) -> Result<Option<Self>, JsonError> {
        let url = object.get("url", line)?;
        let compression = object.get("compression", line)?;
        let file_hash = object.get("downloadHash", hash)?;
        let file_size = object.get("downloadSize", unsigned)?;
        if url.is_none() && compression.is_none() && file_hash.is_none() && file_size.is_none() {
            return Ok(None);
        }
        Ok(Some(Self {
            url: url.unwrap_or_default().to_owned(),
            compression: compression.map(Compression::from),
            file_hash,
            file_size,
        }))
    }
}

impl From<&NarInfo> for NarFile {
    fn from(narinfo: &NarInfo) -> Self {
        // A narinfo read from pure JSON has no file, so there is nothing to be said about its compression.
        let has_file = !narinfo.url.is_empty();
        Self {
            url: narinfo.url.clone(),
            compression: has_file.then(|| narinfo.compression.clone()),
            file_hash: narinfo.file_hash,
            file_size: narinfo.file_size,
        }
    }
}

/// The JSON object of a narinfo. The path itself is not in it.
pub fn nar_info_to_json(
    narinfo: &NarInfo,
    store_dir: &StoreDir,
    format: PathInfoFormat,
    detail: Detail,
) -> Value {
    let mut value = path_info_to_json(&narinfo.info, store_dir, format, detail);
    if let (Value::Object(object), Detail::Impure) = (&mut value, detail) {
        NarFile::from(narinfo).add_to(object);
    }
    value
}

/// Reads the JSON object of the narinfo of `path`, in whatever format it is.
///
/// Pure JSON says nothing about the NAR file: then `url` is empty. What is missing is flagged.
///
/// # Errors
///
/// As [`path_info_from_json`].
pub fn nar_info_from_json(
    path: &StorePath,
    store_dir: &StoreDir,
    value: &Value,
) -> Result<NarInfo, JsonError> {
    let info = path_info_from_json(path, store_dir, value)?;
    let file = NarFile::of(Object::of(WHAT, value)?)?;
    let file =
        file.unwrap_or(NarFile { url: String::new(), compression: None, file_hash: None, file_size: None });
    let mut flags = Flags::NONE;
    let mut flag_missing = |is_missing: bool, flag| {
        if is_missing {
            flags |= flag;
        }
    };
    flag_missing(file.compression.is_none(), Flags::COMPRESSION_DEFAULT);
    flag_missing(
        file.compression.as_ref().is_some_and(|method| !method.is_known()),
        Flags::COMPRESSION_UNKNOWN,
    );
    flag_missing(file.file_hash.is_none(), Flags::FILE_HASH_MISSING);
    flag_missing(file.file_size.is_none(), Flags::FILE_SIZE_MISSING);
    Ok(NarInfo {
        info,
        url: file.url,
        compression: file.compression.unwrap_or(Compression::Bzip2),
        file_hash: file.file_hash,
        file_size: file.file_size,
        flags,
    })
}

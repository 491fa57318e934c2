//! What `nix path-info --json` prints.

use std::collections::BTreeMap;

use nars3_store_path::{StoreDir, StorePath};
use serde_json::{Map, Value, json};

use super::object::{Object, boolean, parse, print, store_path, unsigned};
use super::path_info::{ensure_store_dir, format_of};
use super::{
    Detail, JsonError, JsonProblem, NarFile, PathInfoFormat, path_info_from_json, path_info_to_json,
};
use crate::{NarInfo, PathInfo};

/// What errors say was to be read.
const WHAT: &str = "path infos";

/// The path infos that one call of `nix path-info --json` prints.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PathInfoDocument {
    /// The store directory of the paths.
    pub store_dir: StoreDir,
    /// The paths asked for; `None` for a path that is not valid.
    pub entries: BTreeMap<StorePath, Option<PathInfoEntry>>,
}

/// What is printed about one path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PathInfoEntry {
    /// The path info.
    pub info: PathInfo,
    /// The NAR file, if the store is a binary cache.
    pub file: Option<NarFile>,
    /// The sum of the NAR sizes in the closure, in bytes, if it was asked for.
    pub closure_size: Option<u64>,
    /// The sum of the file sizes in the closure, in bytes, if it was asked for and the store is a binary cache.
    pub closure_download_size: Option<u64>,
}

impl From<PathInfo> for PathInfoEntry {
    fn from(info: PathInfo) -> Self {
        Self { info, file: None, closure_size: None, closure_download_size: None }
    }
}

impl From<NarInfo> for PathInfoEntry {
    fn from(narinfo: NarInfo) -> Self {
        let file = Some(NarFile::from(&narinfo));
        Self { file, ..Self::from(narinfo.info) }
    }
}

impl PathInfoDocument {
    /// A document without paths.
    pub fn new(store_dir: StoreDir) -> Self {
        Self { store_dir, entries: BTreeMap::new() }
    }

    /// Adds what is known about a path.
    pub fn insert(&mut self, entry: impl Into<PathInfoEntry>) {
        let entry = entry.into();
        self.entries.insert(entry.info.path.clone(), Some(entry));
    }

    /// Adds a path that is not valid.
    pub fn insert_invalid(&mut self, path: StorePath) {
        self.entries.insert(path, None);
    }

    /// The document on one line, as `nix path-info --json` prints it.
    pub fn to_json(&self, format: PathInfoFormat) -> String {
        let mut paths = Map::new();
        for (path, entry) in &self.entries {
            let key =
                if format.is_textual() { self.store_dir.print(path) } else { path.base_name().to_owned() };
            let value = entry.as_ref().map_or(Value::Null, |entry| self.entry_to_json(entry, format));
            paths.insert(key, value);
        }
        match format.version() {
            Some(version) if !format.is_textual() => {
                print(json!({ "info": paths, "storeDir": self.store_dir.as_str(), "version": version }))
            }
            _ => print(Value::Object(paths)),
        }
    }

    /// Reads what `nix path-info --json` printed: the formats of [`PathInfoFormat`], and the array that Nix printed
    /// before 2.19.
    ///
    /// # Errors
    ///
    /// What is not JSON, or not the JSON of path infos in `store_dir`.
    pub fn from_json(store_dir: &StoreDir, text: &str) -> Result<Self, JsonError> {
        let mut document = Self::new(store_dir.clone());
        match parse(WHAT, text)? {
            Value::Array(entries) => {
                for entry in &entries {
                    document.insert_listed(entry)?;
                }
            }
            value => {
                let object = Object::of(WHAT, &value)?;
                // No store path is called "info".
                if object.contains("info") {
                    let format = format_of(object)?;
                    ensure_store_dir(object, store_dir, format)?;
                    let paths = object.required("info", Ok)?;
                    let paths = Object::of(WHAT, paths).map_err(|error| error.under("info"))?;
                    document.insert_mapped(paths, None).map_err(|error| error.under("info"))?;
                } else {
                    document.insert_mapped(object, Some(store_dir))?;
                }
            }
        }
        Ok(document)
    }

    fn entry_to_json(&self, entry: &PathInfoEntry, format: PathInfoFormat) -> Value {
        let mut value = path_info_to_json(&entry.info, &self.store_dir, format, Detail::Impure);
        if let Value::Object(object) = &mut value {
            if let Some(file) = &entry.file {
                file.add_to(object);
            }
            if let Some(size) = entry.closure_size {
                object.insert("closureSize".into(), size.into());
            }
            if let Some(size) = entry.closure_download_size {
                object.insert("closureDownloadSize".into(), size.into());
            }
        }
        value
    }

    /// Adds paths that are keys, in full if there is a store directory.
    fn insert_mapped(&mut self, paths: Object<'_>, written_dir: Option<&StoreDir>) -> Result<(), JsonError> {
        for (key, value) in paths.members() {
            let path = match written_dir {
                Some(store_dir) => store_dir.parse(key),
                None => StorePath::from_base_name(key),
            };
            let path = path.map_err(|source| paths.error(JsonProblem::StorePath(source)).under(key))?;
            if value.is_null() {
                self.insert_invalid(path);
            } else {
                let entry = self.entry_from_json(&path, value).map_err(|error| error.under(key))?;
                self.insert(entry);
            }
        }
        Ok(())
    }

    /// Adds a path of the old array, where it is a member of its own object.
    fn insert_listed(&mut self, value: &Value) -> Result<(), JsonError> {
        let object = Object::of(WHAT, value)?;
        let path = object.required("path", |value| store_path(Some(&self.store_dir), value))?;
        if object.get("valid", boolean)? == Some(false) {
            self.insert_invalid(path);
            return Ok(());
        }
        let entry = self.entry_from_json(&path, value).map_err(|error| error.under(path.base_name()))?;
        self.insert(entry);
        Ok(())
    }

    fn entry_from_json(&self, path: &StorePath, value: &Value) -> Result<PathInfoEntry, JsonError> {
        let object = Object::of(WHAT, value)?;
        Ok(PathInfoEntry {
            info: path_info_from_json(path, &self.store_dir, value)?,
            file: NarFile::of(object)?,
            closure_size: object.get("closureSize", unsigned)?,
            closure_download_size: object.get("closureDownloadSize", unsigned)?,
        })
    }
}

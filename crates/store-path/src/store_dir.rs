//! The store directory, and full paths in it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use crate::store_path::{StorePath, StorePathError};
use crate::text::excerpt;

/// Nix's usual store directory.
const DEFAULT: &str = "/nix/store";

/// The directory that holds the store objects, `/nix/store` unless a store was made for another one. It is part
/// of every fingerprint and of the computation of store paths, so stores with different ones do not mix.
///
/// It is a name, not a place in this machine's file system: nothing here looks at files.
///
/// ```
/// use nars3_store_path::StoreDir;
///
/// let store_dir = StoreDir::default();
/// let path = store_dir.parse("/nix/store/g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-hello")?;
/// assert_eq!(path.base_name(), "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-hello");
/// assert_eq!(store_dir.print(&path), "/nix/store/g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-hello");
/// # Ok::<(), nars3_store_path::StorePathError>(())
/// ```
#[derive(Clone, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct StoreDir(Arc<str>);

/// Why a text is not a store directory. `value` is the text as given, with control characters
/// escaped and cut if it is very long.
#[derive(Clone, Debug, Eq, PartialEq, Error)]
#[non_exhaustive]
pub enum StoreDirError {
    /// It does not begin with `/`.
    #[error("the store directory '{value}' is not an absolute path")]
    NotAbsolute {
        /// The text given.
        value: String,
    },
    /// It is the root directory itself.
    #[error("the store directory '{value}' is the root directory")]
    Root {
        /// The text given.
        value: String,
    },
    /// It holds a control character, which would break the line formats that it is written to.
    #[error("the store directory '{value}' has a control character at byte {position}")]
    ControlCharacter {
        /// The text given.
        value: String,
        /// Byte offset in the text.
        position: usize,
    },
}

impl StoreDir {
    /// A store directory of its absolute path; repeated and trailing slashes, `.` and `..` are resolved as Nix
    /// does, by the text alone.
    ///
    /// # Errors
    ///
    /// [`StoreDirError`] says what is wrong.
    pub fn new(path: &str) -> Result<Self, StoreDirError> {
        if let Some(position) = path.find(|character: char| character.is_control()) {
            return Err(StoreDirError::ControlCharacter { value: excerpt(path), position });
        }
        let canonical =
            canonical_path(path).ok_or_else(|| StoreDirError::NotAbsolute { value: excerpt(path) })?;
        if canonical == "/" {
            return Err(StoreDirError::Root { value: excerpt(path) });
        }
        Ok(StoreDir(canonical.into()))
    }

    /// The absolute path, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The full path of `path` in this directory.
    pub fn print(&self, path: &StorePath) -> String {
        format!("{self}/{path}")
    }

    /// Reads the full path of a store object. Repeated and trailing slashes, `.` and `..` are resolved as Nix
    /// does, by the text alone.
    ///
    /// # Errors
    ///
    /// [`StorePathError::NotInStore`] if it is not directly in this directory, else what is wrong with it.
    pub fn parse(&self, full: &str) -> Result<StorePath, StorePathError> {
        // What nearly every path looks like; no component to resolve can pass for a base name.
        if let Some(base_name) = self.strip(full).filter(|rest| !rest.contains('/')) {
            return StorePath::from_base_name(base_name);
        }
        let canonical = canonical_path(full);
        match canonical.as_deref().and_then(|path| self.strip(path)).filter(|rest| !rest.contains('/')) {
            Some(base_name) => StorePath::from_base_name(base_name),
            None => Err(self.not_in_store(full)),
        }
    }

    /// Splits a path in or below a store object: the store object, and the rest, which is empty or begins with a
    /// slash. The rest is left as it is.
    ///
    /// # Errors
    ///
    /// [`StorePathError::NotInStore`] if it is not inside this directory, else what is wrong with the store path.
    pub fn parse_inside<'a>(&self, full: &'a str) -> Result<(StorePath, &'a str), StorePathError> {
        let inside = self.strip(full).ok_or_else(|| self.not_in_store(full))?;
        let (base_name, rest) = inside.split_at(inside.find('/').unwrap_or(inside.len()));
        Ok((StorePath::from_base_name(base_name)?, rest))
    }

    /// What stands behind this directory and a slash.
    fn strip<'a>(&self, path: &'a str) -> Option<&'a str> {
        path.strip_prefix(&*self.0)?.strip_prefix('/')
    }

    fn not_in_store(&self, path: &str) -> StorePathError {
        StorePathError::NotInStore { value: excerpt(path), store_dir: self.0.to_string() }
    }
}

/// The absolute path with `.`, `..` and needless slashes resolved, without looking at any file system.
fn canonical_path(path: &str) -> Option<String> {
    let mut components = Vec::new();
    for component in path.strip_prefix('/')?.split('/') {
        match component {
            "" | "." => {}
            ".." => {
                components.pop();
            }
            component => components.push(component),
        }
    }
    Some(format!("/{}", components.join("/")))
}

impl Default for StoreDir {
    fn default() -> Self {
        StoreDir(DEFAULT.into())
    }
}

impl AsRef<str> for StoreDir {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StoreDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for StoreDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreDir({})", self.0)
    }
}

impl FromStr for StoreDir {
    type Err = StoreDirError;

    fn from_str(path: &str) -> Result<Self, StoreDirError> {
        StoreDir::new(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo";

    #[test]
    fn store_directories_are_absolute_and_canonical() {
        for (text, canonical) in [
            ("/nix/store", "/nix/store"),
            ("/nix//store/", "/nix/store"),
            ("/nix/./var/../store", "/nix/store"),
            ("/../nix/store", "/nix/store"),
            ("/gnu/store", "/gnu/store"),
            ("/ä b", "/ä b"),
        ] {
            assert_eq!(StoreDir::new(text).unwrap().as_str(), canonical);
        }
        let value = |text: &str| text.to_owned();
        for (text, error) in [
            ("", StoreDirError::NotAbsolute { value: value("") }),
            ("nix/store", StoreDirError::NotAbsolute { value: value("nix/store") }),
            ("/", StoreDirError::Root { value: value("/") }),
            ("/nix/..", StoreDirError::Root { value: value("/nix/..") }),
            ("/nix\nstore", StoreDirError::ControlCharacter { value: value("/nix\\nstore"), position: 4 }),
            ("/\0", StoreDirError::ControlCharacter { value: value("/\\u{0}"), position: 1 }),
        ] {
            assert_eq!(StoreDir::new(text), Err(error));
        }
        assert_eq!(
            StoreDir::new("/nix\nstore").unwrap_err().to_string(),
            r"the store directory '/nix\nstore' has a control character at byte 4"
        );
    }

    #[test]
    fn full_paths_are_canonicalised_as_nix_does() {
        let store_dir = StoreDir::default();
        for text in [
            format!("/nix/store/{BASE}"),
            format!("/nix/store/{BASE}/"),
            format!("//nix/store//./{BASE}"),
            format!("/nix/store/{BASE}/bin/.."),
            format!("/nix/var/../store/{BASE}"),
        ] {
            assert_eq!(store_dir.parse(&text).unwrap().base_name(), BASE, "{text}");
        }
    }

    #[test]
    fn paths_elsewhere_are_refused() {
        let store_dir = StoreDir::default();
        for text in [
            BASE.to_owned(),
            format!("nix/store/{BASE}"),
            format!("/nix/storex/{BASE}"),
            format!("/nix/store{BASE}"),
            format!("/nix/store/{BASE}/bin"),
            format!("/nix/store/../{BASE}"),
            format!("/gnu/store/{BASE}"),
            "/nix/store".to_owned(),
            "/nix/store/".to_owned(),
            String::new(),
        ] {
            let error = store_dir.parse(&text).unwrap_err();
            if text != "/nix/store/" {
                assert!(matches!(error, StorePathError::NotInStore { .. }), "{text}: {error}");
            }
        }
        assert_eq!(
            store_dir.parse("/tmp/x").unwrap_err().to_string(),
            "'/tmp/x' is not in the store directory '/nix/store'"
        );
        assert!(store_dir.parse_inside(&format!("/nix/store//{BASE}")).is_err());
        assert!(store_dir.parse_inside("/nix/store").is_err());
    }
}

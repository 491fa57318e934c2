//! Store paths without their store directory: `<hash part>-<name>`.

mod error;
mod hash_part;
mod name;
#[cfg(test)]
mod tests;

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

pub use error::StorePathError;
pub use hash_part::HashPart;
pub use name::{MAX_NAME_LEN, NameError, check_name};

use crate::text::excerpt;

/// Offset of the name in a base name: the hash part and one `-`.
const NAME_START: usize = HashPart::LEN + 1;

/// The suffix of the names of derivations.
const DRV_EXTENSION: &str = ".drv";

/// The base name of a store object, `<hash part>-<name>`, known to be valid. Where the store directory matters,
/// a [`crate::StoreDir`] parses and prints it.
///
/// Cloning is cheap. The order is bytewise by base name, as in Nix's sets of paths, so it is the order of
/// references in narinfos and fingerprints.
///
/// ```
/// use nars3_store_path::StorePath;
///
/// let path: StorePath = "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-hello-2.12".parse()?;
/// assert_eq!(path.name(), "hello-2.12");
/// assert_eq!(path.hash_part().as_str(), "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q");
/// # Ok::<(), nars3_store_path::StorePathError>(())
/// ```
#[derive(Clone, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct StorePath(Arc<str>);

impl StorePath {
    /// Reads `<hash part>-<name>`.
    ///
    /// Nix 2.29 takes any character between the two; here, as in later versions of Nix, it must be a dash.
    ///
    /// # Errors
    ///
    /// [`StorePathError`] says what is wrong and where.
    pub fn from_base_name(base_name: &str) -> Result<Self, StorePathError> {
        let too_short = || StorePathError::TooShort { value: excerpt(base_name), length: base_name.len() };
        let (hash_part, rest) =
            base_name.as_bytes().split_first_chunk::<{ HashPart::LEN }>().ok_or_else(too_short)?;
        HashPart::check(hash_part).map_err(|position| StorePathError::InvalidHashCharacter {
            value: excerpt(base_name),
            position,
            byte: hash_part.get(position).copied().unwrap_or_default(),
        })?;
        match rest.first() {
            None => return Err(too_short()),
            Some(b'-') => {}
            Some(&byte) => {
                return Err(StorePathError::MissingDash { value: excerpt(base_name), byte });
            }
        }
        // The bytes before it are ASCII, so this is a character boundary.
        let name = base_name.get(NAME_START..).unwrap_or_default();
        check_name(name).map_err(|reason| StorePathError::Name { value: excerpt(base_name), reason })?;
        Ok(StorePath(base_name.into()))
    }

    /// The path of a hash part and a name.
    ///
    /// # Errors
    ///
    /// [`StorePathError::Name`] if `name` is no valid name.
    pub fn from_parts(hash_part: &HashPart, name: &str) -> Result<Self, StorePathError> {
        Self::with_name(hash_part, name)
            .map_err(|reason| StorePathError::Name { value: excerpt(&format!("{hash_part}-{name}")), reason })
    }

    /// As [`StorePath::from_parts`], where only the name is of interest if something is wrong.
    pub(crate) fn with_name(hash_part: &HashPart, name: &str) -> Result<Self, NameError> {
        check_name(name)?;
        Ok(StorePath(format!("{hash_part}-{name}").into()))
    }

    /// The 32 characters before the dash.
    pub fn hash_part(&self) -> HashPart {
        HashPart::leading(&self.0)
    }

    /// What stands behind the dash.
    pub fn name(&self) -> &str {
        self.0.get(NAME_START..).unwrap_or_default()
    }

    /// All of it: `<hash part>-<name>`.
    pub fn base_name(&self) -> &str {
        &self.0
    }

    /// True if the name ends with `.drv`.
    pub fn is_derivation(&self) -> bool {
        self.name().ends_with(DRV_EXTENSION)
    }
}

impl AsRef<str> for StorePath {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Equality, order and hash are those of the base name, so sets of paths can be asked for a `&str`.
impl Borrow<str> for StorePath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StorePath({})", self.0)
    }
}

impl FromStr for StorePath {
    type Err = StorePathError;

    fn from_str(base_name: &str) -> Result<Self, StorePathError> {
        StorePath::from_base_name(base_name)
    }
}

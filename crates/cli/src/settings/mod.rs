//! Everything a command knows that is not on its command line.

mod keys;
mod nix_conf;
mod path_info_cache;
mod s3_client;
mod web_access;

pub(crate) use keys::{required_public_keys, secret_keys, trusted_public_keys};
pub(crate) use nix_conf::{NixSettings, load_nix_settings};
pub(crate) use path_info_cache::PathInfoCacheSettings;
pub(crate) use s3_client::s3_client;
pub(crate) use web_access::web_access;

use std::collections::BTreeMap;
use std::path::PathBuf;

/// The environment variables as they were when the command started. Commands and tests see the same type; only `run`
/// reads the real ones.
#[derive(Clone, Default)]
pub(crate) struct Environment {
    variables: BTreeMap<String, String>,
}

impl Environment {
    /// The variables of this process. Those that are not UTF-8 cannot mean anything to us and are left out.
    pub(crate) fn of_process() -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self { variables: variables.collect() }
    }

    /// The value of `name`; an empty one counts as unset, as in most of the tools that share these variables.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The value of `name`, also an empty one.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(PathBuf::from)
    }
}

impl std::fmt::Debug for Environment {
    /// Names only: values may be keys.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.variables.keys()).finish()
    }
}

#[cfg(test)]
impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(variables: [(&str, &str); N]) -> Self {
        Self { variables: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into() }
    }
}

//! The settings that every store has.

use nars3_store_path::StoreDir;

/// Settings of every store (Nix `store-api.hh`, `StoreConfigBase` and `StoreConfig`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoreSettings {
    /// `store`: the store directory that the store's paths are in.
    pub store_dir: StoreDir,
    /// `path-info-cache-size`: how many path infos are kept in memory.
    pub path_info_cache_size: u64,
    /// `trusted`: whether paths from here are accepted without a signature.
    pub trusted: bool,
    /// `priority`: lower is asked first. Unset, the cache's own `nix-cache-info` says it, and without that it is 0.
    pub priority: Option<i64>,
    /// `want-mass-query`: whether many path infos may be asked for at once. Unset, `nix-cache-info` says it.
    pub want_mass_query: Option<bool>,
    /// `system-features`: what the store can build, in the order given. Unset, it is empty.
    pub system_features: Vec<String>,
}

impl Default for StoreSettings {
    fn default() -> Self {
        StoreSettings {
            store_dir: StoreDir::default(),
            path_info_cache_size: 65536,
            trusted: false,
            priority: None,
            want_mass_query: None,
            system_features: Vec::new(),
        }
    }
}

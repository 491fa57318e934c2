//! Where answers of caches are remembered between commands, and for how long.

use std::path::PathBuf;
use std::time::Duration;

use nars3_binary_cache::{Lifetimes, PathInfoCache};

use super::{Environment, NixSettings};
use crate::error::{CliError, CliResult};

/// The file's name. The number is that of its format.
const FILE: &str = "path-info-v1.sqlite";

/// The file of remembered answers, and how long they count.
#[derive(Debug, Clone)]
pub(crate) struct PathInfoCacheSettings {
    /// `None` where there is no place for it.
    file: Option<PathBuf>,
    lifetimes: Lifetimes,
}

impl PathInfoCacheSettings {
    /// `$XDG_CACHE_HOME/nars3` or `~/.cache/nars3`, and Nix's own settings. With `refresh` nothing is believed, but what is
    /// found out is remembered.
    pub(crate) fn load(environment: &Environment, nix: &NixSettings, refresh: bool) -> CliResult<Self> {
        // The specification of these directories has relative ones ignored.
        let absolute = |name: &str| environment.path(name).filter(|path| path.is_absolute());
        let home = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
        let default = Lifetimes::default();
        let lifetimes = Lifetimes {
            present: seconds(nix, "narinfo-cache-positive-ttl")?.unwrap_or(default.present),
            absent: seconds(nix, "narinfo-cache-negative-ttl")?.unwrap_or(default.absent),
            info: seconds(nix, "narinfo-cache-meta-ttl")?.unwrap_or(default.info),
        };
        Ok(Self {
            file: home.map(|home| home.join("nars3").join(FILE)),
            lifetimes: if refresh { Lifetimes::NONE } else { lifetimes },
        })
    }

    /// Opens the file. What keeps it from being used is a warning: everything works without it. Blocks.
    pub(crate) fn open(&self) -> Option<PathInfoCache> {
        let file = self.file.as_ref()?;
        match PathInfoCache::open(file, self.lifetimes) {
            Ok(cache) => Some(cache),
            Err(error) => {
                let error = anyhow::Error::from(error);
                tracing::warn!("{error:#}; answers of caches are not remembered");
                None
            }
        }
    }
}

fn seconds(nix: &NixSettings, name: &str) -> CliResult<Option<Duration>> {
    let Some(text) = nix.get(name) else { return Ok(None) };
    match text.parse() {
        Ok(seconds) => Ok(Some(Duration::from_secs(seconds))),
        Err(_) => {
            Err(CliError::new(format!("Nix setting '{name}' is '{text}', but should be a number of seconds")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(variables: &[(&str, &str)], nix: &str, refresh: bool) -> CliResult<PathInfoCacheSettings> {
        let directory = tempfile::tempdir().unwrap();
        let mut environment =
            Environment::from([("NIX_CONF_DIR", directory.path().to_str().unwrap()), ("NIX_CONFIG", nix)]);
        for (name, value) in variables {
            environment.variables.insert((*name).to_owned(), (*value).to_owned());
        }
        let nix = crate::settings::load_nix_settings(&environment)?;
        PathInfoCacheSettings::load(&environment, &nix, refresh)
    }

    #[test]
    fn the_place_is_that_of_caches() {
        let file = |variables: &[(&str, &str)]| load(variables, "", false).unwrap().file;
        assert_eq!(file(&[("HOME", "/h")]), Some("/h/.cache/nars3/path-info-v1.sqlite".into()));
        assert_eq!(
            file(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/c")]),
            Some("/c/nars3/path-info-v1.sqlite".into())
        );
        assert_eq!(file(&[("XDG_CACHE_HOME", "relative")]), None);
    }

    #[test]
    fn lifetimes_are_nixs_and_refresh_is_stronger() {
        let lifetimes = |nix, refresh| load(&[], nix, refresh).unwrap().lifetimes;
        assert_eq!(lifetimes("", false), Lifetimes::default());
        let set = lifetimes("narinfo-cache-positive-ttl = 5\nnarinfo-cache-negative-ttl = 0", false);
        assert_eq!((set.present, set.absent), (Duration::from_secs(5), Duration::ZERO));
        assert_eq!(lifetimes("narinfo-cache-positive-ttl = 5", true), Lifetimes::NONE);
        assert!(load(&[], "narinfo-cache-negative-ttl = never", false).is_err());
    }
}

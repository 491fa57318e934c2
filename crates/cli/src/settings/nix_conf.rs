//! Nix's own settings, from the files and the variable that Nix reads, in Nix's order (Nix 2.29 `config-global.cc`,
//! `globals.cc`): the system's `nix.conf`, the user's files from the least to the most important, `NIX_CONFIG`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Environment;
use crate::error::{CliError, CliResult};

/// Files that may include one another before it must be a circle.
const MAX_INCLUDE_DEPTH: usize = 32;

/// The settings that were given somewhere, by name. `extra-NAME` is folded into `NAME`.
#[derive(Debug, Default, Clone)]
pub(crate) struct NixSettings {
    values: BTreeMap<String, String>,
}

/// The settings whose `extra-` form appends, and their defaults in Nix, to which it does so.
const LISTS: [(&str, &str); 5] = [
    ("trusted-public-keys", "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY="),
    ("secret-key-files", ""),
    ("substituters", "https://cache.nixos.org/"),
    ("trusted-substituters", ""),
    ("system-features", ""),
];

impl NixSettings {
    /// The store that is meant where none is named: `store`, else `NIX_REMOTE`, else `auto`.
    pub(crate) fn default_store<'a>(&'a self, environment: &'a Environment) -> &'a str {
        self.get("store").or_else(|| environment.get("NIX_REMOTE")).unwrap_or("auto")
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// The words of a list setting, Nix's default included where nothing replaced it.
    pub(crate) fn list(&self, name: &str) -> Vec<&str> {
        let default = LISTS.iter().find(|(list, _)| *list == name).map_or("", |(_, default)| default);
        self.get(name).unwrap_or(default).split_whitespace().collect()
    }

    /// A setting that is `true` or `false`.
    pub(crate) fn flag(&self, name: &str) -> CliResult<Option<bool>> {
        match self.get(name) {
            None => Ok(None),
            Some("true" | "yes" | "1") => Ok(Some(true)),
            Some("false" | "no" | "0") => Ok(Some(false)),
            Some(other) => {
                Err(CliError::new(format!("Nix setting '{name}' is '{other}', but should be true or false")))
            }
        }
    }

    /// As Nix's `Config::set`: `extra-` is for lists alone, before an old name, too; with any other setting it makes a
    /// name that nobody knows, which Nix warns of and passes over.
    fn set(&mut self, name: &str, value: &str) {
        let Some(list) = name.strip_prefix("extra-") else {
            self.values.insert(current_name(name).to_owned(), value.to_owned());
            return;
        };
        let list = current_name(list);
        if LISTS.iter().any(|(known, _)| *known == list) {
            let mut words = self.list(list).join(" ");
            words.push(' ');
            words.push_str(value);
            self.values.insert(list.to_owned(), words.trim().to_owned());
        }
    }

    /// Applies the text of one file. `origin` names it in errors; relative includes start from its directory.
    fn apply(&mut self, text: &str, origin: &Path, depth: usize) -> CliResult {
        if depth > MAX_INCLUDE_DEPTH {
            return Err(CliError::new(format!("'{}' is included in a circle", origin.display())));
        }
        for (index, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default();
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                [] => {}
                ["include", file] => self.include(file, origin, depth, true)?,
                ["!include", file] => self.include(file, origin, depth, false)?,
                [name, "=", value @ ..] if !matches!(*name, "include" | "!include") => {
                    self.set(name, &value.join(" "));
                }
                _ => {
                    return Err(CliError::new(format!(
                        "'{}' line {}: expected 'name = value', found '{}'",
                        origin.display(),
                        index + 1,
                        line.trim()
                    )));
                }
            }
        }
        Ok(())
    }

    fn include(&mut self, file: &str, origin: &Path, depth: usize, required: bool) -> CliResult {
        let path = origin.parent().unwrap_or(Path::new("/")).join(file);
        match read_if_possible(&path) {
            Some(text) => self.apply(&text, &path, depth + 1),
            None if required && !path.exists() => Err(CliError::new(format!(
                "'{}' includes '{}', which does not exist",
                origin.display(),
                path.display()
            ))),
            None => Ok(()),
        }
    }
}

/// The name that a setting has today.
fn current_name(name: &str) -> &str {
    match name {
        "binary-caches" => "substituters",
        "binary-cache-public-keys" => "trusted-public-keys",
        "trusted-binary-caches" => "trusted-substituters",
        other => other,
    }
}

/// Reads all of Nix's settings.
pub(crate) fn load_nix_settings(environment: &Environment) -> CliResult<NixSettings> {
    let mut settings = NixSettings::default();
    for file in files(environment) {
        if let Some(text) = read_if_possible(&file) {
            settings.apply(&text, &file, 0)?;
        }
    }
    if let Some(text) = environment.get("NIX_CONFIG") {
        settings.apply(text, Path::new("NIX_CONFIG"), 0)?;
    }
    Ok(settings)
}

/// The files in which Nix looks, the least important first. A variable that is there but empty names no file, as in
/// Nix.
fn files(environment: &Environment) -> Vec<PathBuf> {
    let system = environment.path("NIX_CONF_DIR").unwrap_or_else(|| PathBuf::from("/etc/nix"));
    let mut files = vec![system.join("nix.conf")];
    let listed = |list: &str| -> Vec<PathBuf> {
        list.split(':').filter(|entry| !entry.is_empty()).map(PathBuf::from).collect()
    };
    let users: Vec<PathBuf> = match environment.given("NIX_USER_CONF_FILES") {
        Some(list) => listed(list),
        None => {
            let others = listed(environment.given("XDG_CONFIG_DIRS").unwrap_or("/etc/xdg"));
            let others = others.into_iter().map(|directory| directory.join("nix"));
            let directories = user_directory(environment).into_iter().chain(others);
            directories.map(|directory| directory.join("nix.conf")).collect()
        }
    };
    // Nix lists them from the most important on.
    files.extend(users.into_iter().rev());
    files
}

/// The user's own directory of configuration; `NIX_CONFIG_HOME` is newer than Nix 2.8.
fn user_directory(environment: &Environment) -> Option<PathBuf> {
    environment
        .path("NIX_CONFIG_HOME")
        .or_else(|| environment.path("XDG_CONFIG_HOME").map(|home| home.join("nix")))
        .or_else(|| environment.path("HOME").map(|home| home.join(".config/nix")))
}

/// The text of a file of settings. As in Nix, one that this user may not read counts as empty: it is often a file of secrets,
/// or another user's (`sudo` that keeps HOME).
fn read_if_possible(path: &Path) -> Option<String> {
    let bytes = std::fs::read(path)
        .inspect_err(|error| tracing::debug!(%error, "no settings from '{}'", path.display()))
        .ok()?;
    // Bytes are bytes to Nix; here, what is no text spoils its own line only.
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod show_config;

#[cfg(test)]
mod tests {
    use super::*;

    fn load(directory: &Path, variables: &[(&str, &str)]) -> CliResult<NixSettings> {
        let text = directory.to_str().unwrap();
        let mut environment = Environment::from([("NIX_CONF_DIR", text), ("XDG_CONFIG_DIRS", text)]);
        for (name, value) in variables {
            environment.variables.insert((*name).to_owned(), (*value).to_owned());
        }
        load_nix_settings(&environment)
    }

    #[test]
    fn later_places_win_and_extra_appends() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(
            directory.path().join("nix.conf"),
            "# a comment\nrequire-sigs = false # another\nextra-trusted-public-keys = a:b\ninclude more.conf\n",
        )
        .unwrap();
        std::fs::write(directory.path().join("more.conf"), "!include absent.conf\nstore = /from/more\n")
            .unwrap();
        let settings = load(directory.path(), &[("NIX_CONFIG", "extra-trusted-public-keys = c:d")]).unwrap();
        assert_eq!(settings.flag("require-sigs").unwrap(), Some(false));
        assert_eq!(settings.get("store"), Some("/from/more"));
        let keys = settings.list("trusted-public-keys");
        assert_eq!(keys.len(), 3, "{keys:?}");
        assert!(keys[0].starts_with("cache.nixos.org-1:"));
        assert_eq!(keys[1..], ["a:b", "c:d"]);
    }

    #[test]
    fn what_cannot_be_understood_is_named() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("nix.conf"), "\nstore /nix\n").unwrap();
        let error = load(directory.path(), &[]).unwrap_err().to_string();
        assert!(error.contains("nix.conf' line 2") && error.contains("store /nix"), "{error}");
        std::fs::write(directory.path().join("nix.conf"), "include nix.conf\n").unwrap();
        assert!(load(directory.path(), &[]).unwrap_err().to_string().contains("circle"));
        std::fs::write(directory.path().join("nix.conf"), "include absent\n").unwrap();
        assert!(load(directory.path(), &[]).unwrap_err().to_string().contains("does not exist"));
    }

    /// Even root can read no directory as a file.
    #[test]
    fn what_cannot_be_read_counts_as_empty() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("nix.conf")).unwrap();
        assert_eq!(load(directory.path(), &[]).unwrap().get("store"), None);
        std::fs::create_dir(directory.path().join("more.conf")).unwrap();
        // A byte that is no text, in a comment, takes nothing else along.
        std::fs::write(directory.path().join("latin.conf"), b"# caf\xe9\nstore = /latin\n").unwrap();
        let include = format!("include {}", directory.path().join("latin.conf").display());
        assert_eq!(load(directory.path(), &[("NIX_CONFIG", &include)]).unwrap().get("store"), Some("/latin"));
        let include = format!("include {}", directory.path().join("more.conf").display());
        assert_eq!(load(directory.path(), &[("NIX_CONFIG", &include)]).unwrap().get("store"), None);
    }

    #[test]
    fn without_any_file_nixs_default_key_is_trusted() {
        let directory = tempfile::tempdir().unwrap();
        let settings = load(directory.path(), &[]).unwrap();
        assert_eq!(settings.list("trusted-public-keys").len(), 1);
        assert_eq!(settings.flag("require-sigs").unwrap(), None);
    }
}

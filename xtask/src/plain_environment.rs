//! The environment that cargo sees when a person calls it, also when a task does.
//!
//! `cargo run` tells its program which package it is of, and the program's children inherit that. The build script of
//! `ring` runs again whenever one of those variables has changed, so a cargo below a task and a cargo at the prompt
//! would take turns in compiling it and everything above it: minutes, each time.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// What the names of such variables begin with.
const PREFIXES: [&str; 2] = ["CARGO_PKG_", "CARGO_MANIFEST_"];

/// Becomes this program again without those variables; returns where there are none, or with the reason why not.
pub(crate) fn enter() -> Result<(), std::io::Error> {
    let names: Vec<OsString> = std::env::vars_os().map(|(name, _)| name).filter(tells_the_package).collect();
    if names.is_empty() {
        return Ok(());
    }
    let mut again = Command::new(std::env::current_exe()?);
    again.args(std::env::args_os().skip(1));
    for name in names {
        again.env_remove(name);
    }
    Err(again.exec())
}

fn tells_the_package(name: &OsString) -> bool {
    let name = name.to_string_lossy();
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_names_a_package_is_left_out() {
        let left_out = |name: &str| tells_the_package(&name.into());
        assert!(left_out("CARGO_PKG_NAME") && left_out("CARGO_MANIFEST_DIR"));
        assert!(!left_out("CARGO") && !left_out("CARGO_TARGET_DIR") && !left_out("CARGO_HOME"));
    }
}

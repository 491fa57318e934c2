//! A pure crate has no tokio, no file, no socket, no environment variable, no clock and no randomness, neither through a
//! dependency nor through the standard library. And only the command reads the environment.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use xshell::{Shell, cmd};

use crate::project;

/// Package name and directory.
const PURE: [(&str, &str); 3] =
    [("nars3-store-path", "store-path"), ("nars3-narinfo", "narinfo"), ("nars3-store-url", "store-url")];

/// Crates whose presence means input, output, time, threads or chance.
const IMPURE_CRATES: [&str; 21] = [
    "async-std",
    "chrono",
    "fastrand",
    "futures",
    "getrandom",
    "hyper",
    "mio",
    "object_store",
    "rand",
    "rayon",
    "reqwest",
    "rusqlite",
    "rustix",
    "rustls",
    "smol",
    "socket2",
    "tempfile",
    "time",
    "tokio",
    "tracing-subscriber",
    "walkdir",
];

/// Parts of the standard library with the same meaning. Addresses and durations are values, and fine.
const IMPURE_STANDARD: [&str; 14] = [
    "std::env",
    "std::fs",
    "std::os",
    "std::process",
    "std::thread",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
    "TcpListener",
    "TcpStream",
    "ToSocketAddrs",
    "UdpSocket",
    "Instant",
    "SystemTime",
];

/// The only crate that may ask for environment variables.
const COMMAND: &str = "cli";

pub(super) fn check(shell: &Shell) -> Result<()> {
    let mut wrong = Vec::new();
    for (name, directory) in PURE {
        let tree = cmd!(
            shell,
            "cargo tree --offline --locked --package {name} --edges normal --prefix none --all-features"
        )
        .quiet()
        .read()?;
        let found = tree.lines().filter_map(|line| line.split_whitespace().next());
        wrong.extend(
            found
                .filter(|found| IMPURE_CRATES.contains(found))
                .map(|found| format!("{name} depends on {found}")),
        );
        wrong.extend(uses(&project::root().join("crates").join(directory), &IMPURE_STANDARD)?);
    }
    for directory in project::crates()? {
        if !directory.ends_with(COMMAND) {
            wrong.extend(uses(&directory, &["std::env::", "env::var"])?);
        }
    }
    wrong.sort();
    wrong.dedup();
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Where the library code of a crate names one of `words`, as `file:line: word`.
fn uses(directory: &Path, words: &[&str]) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    for file in project::files(&directory.join("src"), ".rs")? {
        let text = std::fs::read_to_string(&file)?;
        texts.push((file, text));
    }
    let test_modules: Vec<PathBuf> = texts.iter().flat_map(|(file, text)| test_modules(file, text)).collect();
    let mut found = Vec::new();
    for (file, text) in &texts {
        if test_modules.iter().any(|module| file.starts_with(module) || *file == module.with_extension("rs"))
        {
            continue;
        }
        for (number, line) in library_code(text) {
            let hits = words.iter().filter(|word| line.contains(**word));
            found.extend(hits.map(|word| format!("{}:{number}: {word}", file.display())));
        }
    }
    Ok(found)
}

const TEST_ONLY: &str = "#[cfg(test)]";

/// The modules that `file` declares for tests only, as paths without their ending.
fn test_modules(file: &Path, text: &str) -> Vec<PathBuf> {
    let name = file.file_stem().unwrap_or_default();
    let parent = file.parent().unwrap_or(Path::new(""));
    let directory = if ["lib", "main", "mod"].iter().any(|root| name == *root) {
        parent.to_owned()
    } else {
        parent.join(name)
    };
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let declared = lines
        .windows(2)
        .filter(|pair| pair[0] == TEST_ONLY)
        .filter_map(|pair| pair[1].trim_start_matches("pub(crate) ").strip_prefix("mod ")?.strip_suffix(';'));
    declared.map(|module| directory.join(module)).collect()
}

/// Numbered lines of code: no comments, no item that is for tests only and one line long, and nothing from an inline test
/// module on, which stands last.
fn library_code(text: &str) -> Vec<(usize, &str)> {
    let mut code = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        if line.trim() == TEST_ONLY {
            if lines.next().is_some_and(|(_, item)| item.ends_with('{')) {
                break;
            }
        } else if !line.trim_start().starts_with("//") {
            code.push((index + 1, line));
        }
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_tests_are_not_library_code() {
        let text = "use a;\n// std::fs\n#[cfg(test)]\nmod vectors;\nfn f() {}\n#[cfg(test)]\nmod tests {\nuse std::fs;\n}\n";
        assert_eq!(library_code(text), [(1, "use a;"), (5, "fn f() {}")]);
    }

    #[test]
    fn test_modules_are_found_where_they_are_declared() {
        let text = "mod a;\n#[cfg(test)]\nmod vectors;\n#[cfg(test)]\nmod tests {\n}\n";
        assert_eq!(test_modules(Path::new("src/daemon.rs"), text), [Path::new("src/daemon/vectors")]);
        assert_eq!(test_modules(Path::new("src/lib.rs"), text), [Path::new("src/vectors")]);
    }
}

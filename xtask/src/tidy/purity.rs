//! A pure crate has no tokio, no file, no socket, no environment variable, no clock and no randomness, neither through a
//! dependency nor through the standard library. And only the command reads the environment.

use std::path::Path;

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

/// Parts of the standard library with the same meaning.
const IMPURE_STANDARD: [&str; 9] = [
    "std::env",
    "std::fs",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "std::time",
    "std::io::stdin",
    "std::io::stdout",
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
    let mut found = Vec::new();
    for file in project::files(&directory.join("src"), ".rs")? {
        if is_test_file(&file) {
            continue;
        }
        let text = std::fs::read_to_string(&file)?;
        for (number, line) in library_code(&text) {
            let hits = words.iter().filter(|word| line.contains(**word));
            found.extend(hits.map(|word| format!("{}:{number}: {word}", file.display())));
        }
    }
    Ok(found)
}

fn is_test_file(file: &Path) -> bool {
    file.components().any(|part| {
        let name = part.as_os_str().to_string_lossy();
        name == "tests" || name == "tests.rs" || name.starts_with("test_") || name.ends_with("_tests.rs")
    })
}

/// Numbered lines of code: no comments, and nothing from the test module on, which stands last.
fn library_code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(index, line)| (index + 1, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_tests_are_not_library_code() {
        let text = "use a;\n// std::fs\n//! std::fs\nfn f() {}\n#[cfg(test)]\nmod tests { use std::fs; }\n";
        assert_eq!(library_code(text).collect::<Vec<_>>(), [(1, "use a;"), (4, "fn f() {}")]);
    }

    #[test]
    fn test_files_are_known_by_their_names() {
        assert!(
            is_test_file(Path::new("src/narinfo/tests.rs")) && is_test_file(Path::new("src/tests/parse.rs"))
        );
        assert!(!is_test_file(Path::new("src/narinfo/print.rs")));
    }
}

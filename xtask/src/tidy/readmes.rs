//! The README of a crate is its crate documentation, word for word, so that neither can fall behind.

use anyhow::{Context, Result, ensure};

use crate::project;

pub(super) fn check() -> Result<()> {
    let mut wrong = Vec::new();
    for directory in project::crates()? {
        let source = directory.join("src/lib.rs");
        let library =
            std::fs::read_to_string(&source).with_context(|| format!("cannot read {}", source.display()))?;
        let readme = std::fs::read_to_string(directory.join("README.md")).unwrap_or_default();
        if crate_documentation(&library) != readme {
            wrong.push(format!(
                "{}/README.md is not the crate documentation of its src/lib.rs",
                directory.display()
            ));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

fn crate_documentation(library: &str) -> String {
    let lines = library.lines().take_while(|line| line.starts_with("//!"));
    lines
        .map(|line| format!("{}\n", line.trim_start_matches("//!").strip_prefix(' ').unwrap_or_default()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_is_what_stands_at_the_top() {
        let library = "//! Title.\n//!\n//!     indented\n\nuse a;\n//! not this\n";
        assert_eq!(crate_documentation(library), "Title.\n\n    indented\n");
    }
}

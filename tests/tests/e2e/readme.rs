//! Every `nars3` command that the README and the guides show is one that the command understands.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use nars3_tests::nars3::Nars3;

/// The documents whose commands users copy.
const DOCUMENTS: [&str; 3] = ["README.md", "CONTRIBUTING.md", "docs/s3.md"];

#[test]
fn every_command_that_is_shown_exists_with_its_options() -> Result<()> {
    let nars3 = Nars3::anonymous()?;
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut seen = 0;
    for document in DOCUMENTS {
        let text = std::fs::read_to_string(project.join(document)).with_context(|| document.to_owned())?;
        for line in shown_commands(&text) {
            check(&nars3, &line).with_context(|| format!("{document} shows: {line}"))?;
            seen += 1;
        }
    }
    assert!(seen >= 5, "only {seen} commands were found: is the README still written as it was?");
    Ok(())
}

/// The `nars3` commands in fenced blocks and table cells, continuation lines joined.
fn shown_commands(text: &str) -> Vec<String> {
    let joined = text.replace("\\\n", " ");
    let mut commands = Vec::new();
    let mut fenced = false;
    for line in joined.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            let line = line.trim_start_matches("$ ");
            commands.extend(line.starts_with("nars3 ").then(|| line.to_owned()));
        } else {
            let cells = line.split('`').skip(1).step_by(2).filter(|code| code.starts_with("nars3 "));
            commands.extend(cells.map(str::to_owned));
        }
    }
    commands
}

/// Asks the command for the help of what is shown, and looks for each option in it.
fn check(nars3: &Nars3, line: &str) -> Result<()> {
    let line = line.split(" #").next().unwrap_or(line);
    let words: Vec<&str> = line.split_whitespace().skip(1).collect();
    let is_name = |word: &&&str| word.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-');
    let mut path: Vec<&str> = words.iter().take_while(is_name).take(2).copied().collect();
    path.retain(|word| !word.starts_with('-'));
    let help = loop {
        anyhow::ensure!(!path.is_empty(), "no such command");
        let finished = nars3.run(path.iter().copied().chain(["--help"]))?;
        if finished.status.success() {
            break finished.success()?;
        }
        // The second word was an argument, not a subcommand.
        path.pop();
    };
    let known: BTreeSet<&str> =
        help.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '-')).collect();
    for option in words.iter().filter(|word| word.starts_with('-')) {
        let option = option.split('=').next().unwrap_or(option);
        anyhow::ensure!(known.contains(option), "{option} is not in the help of {path:?}");
    }
    Ok(())
}

//! `cargo xtask test`: gets what the tests need, runs all of them, and says what was skipped and why.

mod report;
pub(crate) mod tools;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use self::report::Tally;
use crate::flags::{Requirement, TestOptions};
use crate::{demo, project};

/// One selection of packages for every call: another one would resolve features anew and build much of the tree twice.
const SELECTION: [&str; 4] = ["--workspace", "--lib", "--bins", "--tests"];

pub(crate) fn run(options: &TestOptions) -> Result<()> {
    let environment = environment(options)?;
    build()?;
    let mut tally = Tally::default();
    let all_passed = unit_and_end_to_end(options, &environment, &mut tally)?;
    let documentation_passed = documentation(options, &environment, &mut tally)?;
    // A demo that fails must not hide what the tests said.
    let demo = if options.filter.is_none() {
        println!("\nThe demo, as the README shows it:");
        demo::run_built()
    } else {
        Ok(())
    };
    println!("\n{tally}");
    demo.context("the demo failed")?;
    ensure!(all_passed && documentation_passed && tally.failed == 0, "the tests failed");
    Ok(())
}

/// Gets the tools, and says by environment variables what the tests shall use and what they may not skip.
fn environment(options: &TestOptions) -> Result<BTreeMap<&'static str, String>> {
    let requires = |requirement| options.require.contains(&requirement);
    let mut environment = BTreeMap::new();
    let wants_minio = matches!(options.server.as_deref(), None | Some("minio"));
    let minio = if wants_minio || requires(Requirement::Minio) { tools::minio() } else { Ok(None) };
    match minio {
        Ok(Some(binary)) => {
            println!("MinIO: {}", binary.display());
            environment.insert("MINIO_BIN", binary.display().to_string());
        }
        Ok(None) => {}
        Err(error) if requires(Requirement::Minio) || options.server.is_some() => return Err(error),
        Err(error) => {
            println!("WARNING: no MinIO ({error:#}): the embedded server stands in, which is less strict");
        }
    }
    let wanted = options.server.as_deref() == Some("seaweedfs") || requires(Requirement::SeaweedFs);
    match tools::seaweedfs() {
        Ok(binary) => {
            println!("SeaweedFS: {}", binary.display());
            environment.insert("SEAWEEDFS_BIN", binary.display().to_string());
        }
        Err(error) if wanted => return Err(error),
        Err(error) => println!("WARNING: no SeaweedFS ({error:#}): the tests that need it are skipped"),
    }
    let server = match &options.server {
        Some(server) => server.as_str(),
        None if environment.contains_key("MINIO_BIN") => "minio",
        None => "embedded",
    };
    println!("S3 server: {server}");
    environment.insert("NARS3_TEST_SERVER", server.to_owned());

    match tools::nix() {
        Ok(version) => println!("Real Nix: {version}"),
        Err(error) if requires(Requirement::Nix) => return Err(error),
        Err(error) => println!("WARNING: no real Nix ({error:#}): the tests that need it are skipped"),
    }

    let data = std::env::var_os("NARS3_TEST_DATA")
        .map_or_else(|| project::root().join("../shared/data"), Into::into);
    if data.is_dir() {
        println!("Test data: {}", data.display());
    } else {
        let missing = format!("no test data at {} (NARS3_TEST_DATA names the folder)", data.display());
        ensure!(!requires(Requirement::Data), "{missing}");
        println!("WARNING: {missing}: the tests that need it are skipped");
    }

    let words: Vec<&str> = options.require.iter().map(|requirement| requirement.word()).collect();
    environment.insert("NARS3_REQUIRE", words.join(","));
    environment.insert("NARS3_BIN", project::built("nars3").display().to_string());
    environment.insert("NARS3_FULL", if options.full { "1" } else { "0" }.to_owned());
    Ok(environment)
}

fn build() -> Result<()> {
    let status = cargo().arg("build").args(SELECTION).arg("--locked").status()?;
    ensure!(status.success(), "the build failed");
    Ok(())
}

fn unit_and_end_to_end(
    options: &TestOptions,
    environment: &BTreeMap<&str, String>,
    tally: &mut Tally,
) -> Result<bool> {
    let mut command = cargo();
    command.arg("test").args(SELECTION).args(["--locked", "--no-fail-fast"]);
    // Tests that were skipped pass; only their output tells.
    command.args(options.filter.iter()).args(["--", "--show-output"]);
    tallied(command.envs(environment), tally)
}

fn documentation(
    options: &TestOptions,
    environment: &BTreeMap<&str, String>,
    tally: &mut Tally,
) -> Result<bool> {
    let mut command = cargo();
    command.args(["test", "--workspace", "--doc", "--locked", "--no-fail-fast"]).args(options.filter.iter());
    tallied(command.envs(environment), tally)
}

/// Runs a test command, shows what matters of its output, counts the rest, and returns whether it succeeded.
fn tallied(command: &mut Command, tally: &mut Tally) -> Result<bool> {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot start cargo")?;
    let Some(output) = child.stdout.take() else { bail!("cargo has no standard output") };
    for line in BufReader::new(output).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        if tally.feed(&line) {
            println!("{line}");
        }
    }
    tally.end_of_command();
    Ok(child.wait()?.success())
}

fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(project::root());
    command
}

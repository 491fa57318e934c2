//! The command line of `cargo xtask`, parsed by hand: six tasks with few options do not pay for a parser crate.

use anyhow::{Context, Result, bail};

pub(crate) const HELP: &str = "\
Usage: cargo xtask TASK

  demo                 Push a small closure to an S3 server in this process and bring it back, every command shown
  test                 Run the whole suite: unit, integration, doc and end-to-end tests, and the demo
      --server KIND    minio, seaweedfs, embedded, or the http:// URL of a server [default: minio if it can be had]
      --require LIST   Fail instead of skipping where something is missing: minio, seaweedfs, nix, data, root
      --full           The long forms as well: NARs of 2 GiB
      --filter NAME    Only tests whose name contains this
  tidy                 Format, lints, documentation, layering, licences, readmes
  dist                 A release binary with manual pages, completions and licences, as a tarball with its SHA-256
  bench                Compare with real Nix and write docs/benchmarks.md
      --list           Only name the chapters
      --only WORD      Only chapters with this word in their name; may be repeated
      --quick          Small inputs and one run: does the benchmark itself work?
      --full           Also what takes long: all of the tree with xz, 100,000 paths
      --runs N         Runs of each measurement [default: 3]
      --stores         Only the stores of this machine, which need no server; must come first
      --formats        Only the formats beside other crates and programs (criterion); must come first
  fuzz                 Run the fuzz targets
      --minutes N      Time for each target, by the clock [default: a smoke run]
      --target NAME    Only this target
      --coverage       How far each target comes without help, with its dictionary, with its seeds
";

/// What to do.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Task {
    Help,
    Demo,
    Test(TestOptions),
    Tidy,
    Dist,
    /// The arguments are passed on.
    Bench(Vec<String>),
    Fuzz(FuzzOptions),
}

#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct TestOptions {
    pub(crate) server: Option<String>,
    pub(crate) require: Vec<Requirement>,
    pub(crate) full: bool,
    pub(crate) filter: Option<String>,
}

/// What must not be missing.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Requirement {
    Minio,
    SeaweedFs,
    Nix,
    Data,
    Root,
}

impl Requirement {
    /// As it stands in `--require` and in `NARS3_REQUIRE`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Minio => "minio",
            Self::SeaweedFs => "seaweedfs",
            Self::Nix => "nix",
            Self::Data => "data",
            Self::Root => "root",
        }
    }
}

#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct FuzzOptions {
    /// `None` is a smoke run.
    pub(crate) minutes: Option<u32>,
    pub(crate) target: Option<String>,
    /// Not to find mistakes, but to see how far the fuzzer comes.
    pub(crate) coverage: bool,
}

pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Task> {
    let mut arguments = arguments.into_iter();
    let Some(task) = arguments.next() else { return Ok(Task::Help) };
    let parsed = match task.as_str() {
        "demo" => Task::Demo,
        "test" => return test(arguments).map(Task::Test),
        "tidy" => Task::Tidy,
        "dist" => Task::Dist,
        "bench" => return Ok(Task::Bench(arguments.collect())),
        "fuzz" => return fuzz(arguments).map(Task::Fuzz),
        "help" | "--help" | "-h" => Task::Help,
        other => bail!("no task '{other}'\n\n{HELP}"),
    };
    match arguments.next() {
        None => Ok(parsed),
        Some(extra) => bail!("unexpected argument '{extra}' of task '{task}'"),
    }
}

fn test(mut arguments: impl Iterator<Item = String>) -> Result<TestOptions> {
    let mut options = TestOptions::default();
    while let Some(option) = arguments.next() {
        match option.as_str() {
            "--server" => options.server = Some(value(&option, &mut arguments)?),
            "--require" => {
                for word in value(&option, &mut arguments)?.split(',').filter(|word| !word.is_empty()) {
                    options.require.push(requirement(word)?);
                }
            }
            "--full" => options.full = true,
            "--filter" => options.filter = Some(value(&option, &mut arguments)?),
            other => bail!("unexpected argument '{other}' of task 'test'"),
        }
    }
    Ok(options)
}

fn requirement(word: &str) -> Result<Requirement> {
    use Requirement::{Data, Minio, Nix, Root, SeaweedFs};
    [Minio, SeaweedFs, Nix, Data, Root]
        .into_iter()
        .find(|requirement| requirement.word() == word)
        .with_context(|| format!("--require knows minio, seaweedfs, nix, data and root, not '{word}'"))
}

fn fuzz(mut arguments: impl Iterator<Item = String>) -> Result<FuzzOptions> {
    let mut options = FuzzOptions::default();
    while let Some(option) = arguments.next() {
        match option.as_str() {
            "--minutes" => {
                let minutes = value(&option, &mut arguments)?;
                options.minutes = Some(
                    minutes.parse().with_context(|| format!("--minutes takes a number, not '{minutes}'"))?,
                );
            }
            "--target" => options.target = Some(value(&option, &mut arguments)?),
            "--coverage" => options.coverage = true,
            other => bail!("unexpected argument '{other}' of task 'fuzz'"),
        }
    }
    Ok(options)
}

fn value(option: &str, arguments: &mut impl Iterator<Item = String>) -> Result<String> {
    arguments.next().with_context(|| format!("{option} needs a value"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<Task> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_are_understood() {
        let options = TestOptions {
            server: Some("embedded".to_owned()),
            require: vec![Requirement::Minio, Requirement::Nix, Requirement::Root],
            full: true,
            filter: None,
        };
        assert_eq!(
            of("test --server embedded --require minio,nix,root --full").unwrap(),
            Task::Test(options)
        );
        let options = FuzzOptions { minutes: Some(5), target: Some("nar".to_owned()), coverage: true };
        assert_eq!(of("fuzz --minutes 5 --target nar --coverage").unwrap(), Task::Fuzz(options));
        assert_eq!(of("").unwrap(), Task::Help);
    }

    #[test]
    fn mistakes_are_named() {
        for (line, expected) in [
            ("tests", "no task 'tests'"),
            ("demo --fast", "unexpected argument '--fast' of task 'demo'"),
            ("test --require minio,nics", "not 'nics'"),
            ("test --server", "--server needs a value"),
            ("fuzz --minutes soon", "not 'soon'"),
        ] {
            let message = of(line).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }

    /// Every `cargo xtask …` that the documents show is one that is understood.
    #[test]
    fn documents_show_tasks_that_exist() {
        let mut seen = 0;
        for document in ["README.md", "CONTRIBUTING.md", "docs/architecture.md"] {
            let text = std::fs::read_to_string(crate::project::root().join(document)).unwrap();
            for shown in text.split("cargo xtask ").skip(1) {
                let line = shown.split(['`', '\n', '#']).next().unwrap_or_default();
                of(line).unwrap_or_else(|error| panic!("{document}: cargo xtask {line}: {error}"));
                seen += 1;
            }
        }
        assert!(seen > 4, "only {seen} tasks are shown");
    }
}

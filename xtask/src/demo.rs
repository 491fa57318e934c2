//! `cargo xtask demo`: the whole job on a machine with nothing but Rust, each command shown as a user would type it.
//!
//! The S3 server is `nars3-demo-server`, a program of the test crate, so that this crate stays small. Its address, its
//! keys and its data are gone when the demo ends.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result, ensure};
use xshell::cmd;

use crate::project;

/// Builds what the demo needs, and no more than that, and runs it.
pub(crate) fn run() -> Result<()> {
    let shell = project::shell()?;
    cmd!(shell, "cargo build --locked --package nars3-cli --package nars3-tests --bins").run()?;
    run_built()
}

/// Runs the demo with the programs that are there.
pub(crate) fn run_built() -> Result<()> {
    let mut demo = Demo::start()?;
    demo.show_variables();
    demo.make_files()?;
    let wrapper = demo.push()?;
    demo.look(&wrapper)?;
    demo.pull(&wrapper)?;
    println!(
        "\nEverything came back, and is the same byte for byte.\n\n\
         What to try next, with a bucket of your own:\n  \
         nars3 copy ./result --to 's3://example-nix-cache?profile=cache-upload&region=eu-west-2'\n  \
         nars3 store info --store 's3://example-nix-cache?profile=cache-upload&region=eu-west-2'\n  \
         nars3 --help\n\
         The files of this demo are in {}",
        demo.directory.display()
    );
    Ok(())
}

/// A running demo: its server, its directory, and the variables that shorten its commands.
struct Demo {
    directory: PathBuf,
    variables: Vec<(&'static str, String)>,
    // Held for its drop: the server ends with the demo.
    _server: Server,
}

/// The server ends when its standard input is closed, even if this process is killed.
struct Server {
    child: Child,
    input: Option<ChildStdin>,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.input.take());
        // There is nothing left to be said about a server that does not want to end.
        let _ = self.child.wait();
    }
}

impl Demo {
    fn start() -> Result<Self> {
        let directory = project::target_directory().join("demo");
        if directory.exists() {
            make_deletable(&directory)?;
            fs::remove_dir_all(&directory)
                .with_context(|| format!("cannot remove {}", directory.display()))?;
        }
        fs::create_dir_all(&directory)?;
        let mut child = Command::new(project::built("nars3-demo-server"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the demo's S3 server")?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let server = Server { child, input };
        let mut line = String::new();
        BufReader::new(output.context("the server has no output")?).read_line(&mut line)?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let [endpoint, access_key, secret_key, region, bucket] = words[..] else {
            anyhow::bail!("the demo's S3 server said '{}' instead of its address", line.trim_end());
        };
        println!(
            "\nAn S3 server is running in a process of its own, at http://{endpoint}, with an empty bucket."
        );
        let variables = vec![
            ("AWS_ACCESS_KEY_ID", access_key.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", secret_key.to_owned()),
            ("NARS3_SECRET_KEY_FILE", "demo-1.secret".to_owned()),
            ("CACHE", format!("s3://{bucket}?scheme=http&endpoint={endpoint}&region={region}")),
            ("HERE", format!("local?root={}", directory.join("here").display())),
            ("THERE", format!("local?root={}", directory.join("there").display())),
        ];
        Ok(Self { directory, variables, _server: server })
    }

    fn show_variables(&self) {
        println!("These are the variables of the commands that follow:\n");
        for (name, value) in &self.variables {
            println!("$ export {name}='{value}'");
        }
    }

    /// A script, and a wrapper that will refer to the script's store path.
    fn make_files(&self) -> Result<()> {
        let root = self.directory.join("greeting");
        fs::create_dir_all(root.join("bin"))?;
        fs::create_dir_all(root.join("share/empty"))?;
        fs::write(root.join("bin/greet"), "#!/bin/sh\necho \"hello from a store path\"\n")?;
        fs::set_permissions(root.join("bin/greet"), fs::Permissions::from_mode(0o755))?;
        fs::write(root.join("share/words"), "hello\n".repeat(2000))?;
        symlink("../share/words", root.join("bin/words"))?;
        Ok(())
    }

    /// Adds both paths to a store of their own, and copies the closure to the bucket. Returns the root's store path.
    fn push(&mut self) -> Result<String> {
        self.heading("A key to sign with");
        let secret =
            self.nars3(&["key", "generate-secret", "--key-name", "demo-1"], Some("demo-1.secret"))?;
        fs::write(self.directory.join("demo-1.secret"), secret)?;
        self.variables.push(("NARS3_TRUSTED_PUBLIC_KEYS", self.public_key()?));

        self.heading("Two store paths, one referring to the other, without Nix");
        let here = self.variable("HERE");
        let greeting = self.nars3(&["add", "--to", &here, "greeting"], None)?.trim().to_owned();
        fs::write(self.directory.join("wrapper"), format!("#!/bin/sh\nexec {greeting}/bin/greet\n"))?;
        fs::set_permissions(self.directory.join("wrapper"), fs::Permissions::from_mode(0o755))?;
        let wrapper = self
            .nars3(&["add", "--to", &here, "wrapper", "--references", &greeting], None)?
            .trim()
            .to_owned();

        self.heading("To the bucket: the path and all that it refers to");
        let cache = self.variable("CACHE");
        self.nars3(&["copy", "--from", &here, "--to", &cache, &wrapper], None)?;
        Ok(wrapper)
    }

    fn public_key(&self) -> Result<String> {
        println!(
            "\n$ export NARS3_TRUSTED_PUBLIC_KEYS=$(nars3 key convert-secret-to-public < demo-1.secret)"
        );
        let secret = fs::File::open(self.directory.join("demo-1.secret"))?;
        let output = self.command().args(["key", "convert-secret-to-public"]).stdin(secret).output()?;
        ensure!(output.status.success(), "nars3 key convert-secret-to-public failed");
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    fn look(&self, wrapper: &str) -> Result<()> {
        self.heading("What the bucket holds now");
        let cache = self.variable("CACHE");
        self.nars3(&["store", "info", "--store", &cache], None)?;
        let closure = self.nars3(&["path-info", "-r", "--store", &cache, wrapper], None)?;
        ensure!(closure.lines().count() == 2, "the closure in the bucket has not two paths:\n{closure}");
        let greeting =
            closure.lines().find(|path| *path != wrapper).context("the reference is not listed")?;
        self.nars3(&["store", "ls", "-l", "-R", "--store", &cache, greeting], None)?;
        self.nars3(&["store", "cat", "--store", &cache, wrapper], None)?;
        Ok(())
    }

    /// Copies the closure into an empty store and compares it with the files that it was made of.
    fn pull(&self, wrapper: &str) -> Result<()> {
        self.heading("And back, into an empty store");
        let (cache, there) = (self.variable("CACHE"), self.variable("THERE"));
        self.nars3(&["copy", "--from", &cache, "--to", &there, wrapper], None)?;
        let closure = self.nars3(&["path-info", "-r", "--store", &there, wrapper], None)?;

        self.heading("The same files, byte for byte?");
        for path in closure.lines() {
            let original = path.split_once('-').map_or(path, |(_, name)| name);
            let returned = format!("there{path}");
            println!("\n$ cmp <(nars3 nar dump-path {original}) <(nars3 nar dump-path {returned})");
            let archive = |file: &str| self.command().args(["nar", "dump-path", file]).output();
            let (expected, found) = (archive(original)?, archive(&returned)?);
            ensure!(expected.status.success() && found.status.success(), "nars3 nar dump-path failed");
            ensure!(
                !expected.stdout.is_empty() && expected.stdout == found.stdout,
                "{path} came back changed"
            );
        }
        Ok(())
    }

    fn heading(&self, text: &str) {
        println!("\n# {text}");
    }

    fn variable(&self, name: &str) -> String {
        self.variables
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.clone())
            .unwrap_or_default()
    }

    /// `nars3` in the demo's directory, with nothing of the user's own settings.
    fn command(&self) -> Command {
        let mut command = Command::new(project::built("nars3"));
        command
            .current_dir(&self.directory)
            .env("HOME", &self.directory)
            .env("XDG_CONFIG_HOME", self.directory.join("config"))
            .env("XDG_CACHE_HOME", self.directory.join("cache"))
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env_remove("AWS_PROFILE")
            .env_remove("AWS_SESSION_TOKEN")
            .env_remove("NARS3_SECRET_KEY")
            .env_remove("CREDENTIALS_DIRECTORY")
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        if !self.directory.join("demo-1.secret").exists() {
            command.env_remove("NARS3_SECRET_KEY_FILE");
        }
        command
    }

    /// Shows a command, runs it, shows its output (or where that went), and returns it.
    fn nars3(&self, arguments: &[&str], into: Option<&str>) -> Result<String> {
        let words: Vec<String> = arguments.iter().map(|argument| self.shown(argument)).collect();
        let redirection = into.map(|file| format!(" > {file}")).unwrap_or_default();
        println!("\n$ nars3 {}{redirection}", words.join(" "));
        let output =
            self.command().args(arguments).stderr(Stdio::inherit()).output().context("cannot start nars3")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if into.is_none() {
            print!("{text}");
        }
        ensure!(output.status.success(), "nars3 {} failed with {}", words.join(" "), output.status);
        Ok(text)
    }

    /// An argument as a person would write it.
    fn shown(&self, argument: &str) -> String {
        let variable = self.variables.iter().find(|(_, value)| value == argument);
        variable.map_or_else(|| argument.to_owned(), |(name, _)| format!("\"${name}\""))
    }
}

/// Directories of a store are read-only, and must not be for removal.
fn make_deletable(directory: &Path) -> Result<()> {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755))?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_deletable(&entry.path())?;
        }
    }
    Ok(())
}

//! niks3 as it is run: a server of its own, which signs, beside a PostgreSQL that lasts as long as the measurement.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nars3_tests::process::{Finished, find_in_path};
use nars3_tests::server::Bucket;
use tempfile::TempDir;

use crate::world::World;

/// What does not listen by now will not listen.
const PATIENCE: Duration = Duration::from_secs(20);

const TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef";

/// The programs.
#[derive(Debug)]
pub(crate) struct Programs {
    client: PathBuf,
    server: PathBuf,
    postgres: PathBuf,
}

impl Programs {
    /// `niks3` and `niks3-server` of `NIKS3_BIN` or `PATH`, and a PostgreSQL; or what is missing.
    pub(crate) fn find() -> Result<Self> {
        let directory = std::env::var_os("NIKS3_BIN").map(PathBuf::from);
        let find = |name: &str| {
            let there =
                directory.as_ref().map(|directory| directory.join(name)).filter(|file| file.is_file());
            there.or_else(|| find_in_path(name)).with_context(|| format!("no {name} in NIKS3_BIN or PATH"))
        };
        ensure!(
            rustix::process::geteuid().is_root(),
            "PostgreSQL is started as its own user, which takes root"
        );
        let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let postgres =
            versions.map(|entry| entry.path().join("bin")).find(|bin| bin.join("initdb").is_file());
        Ok(Self {
            client: find("niks3")?,
            server: find("niks3-server")?,
            postgres: postgres.context("no PostgreSQL in /usr/lib/postgresql")?,
        })
    }
}

/// A PostgreSQL on a socket. It ends when the value is dropped.
#[derive(Debug)]
pub(crate) struct Database<'a> {
    programs: &'a Programs,
    directory: TempDir,
}

impl<'a> Database<'a> {
    pub(crate) fn start(programs: &'a Programs) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("nars3-postgres-").tempdir()?;
        Finished::run(Command::new("chown").arg("postgres").arg(directory.path()))?.success()?;
        let database = Self { programs, directory };
        let (data, place) = (database.path().join("data"), database.path().display().to_string());
        let data = data.display().to_string();
        database.run("initdb", &["-D", &data, "-A", "trust"])?;
        // Nothing of it is to outlive the run, so it need not wait for the disk: niks3 is to be at its best.
        let options = format!("-k {place} -h '' -F");
        let log = format!("{place}/log");
        database.run("pg_ctl", &["-D", &data, "-o", &options, "-l", &log, "-w", "start"])?;
        Ok(database)
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(self.programs.postgres.join(program)).args(arguments);
        // What it starts goes on, and would hold a pipe open.
        let status =
            command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let status = status.status().with_context(|| format!("cannot start {program}"))?;
        ensure!(status.success(), "{program} ended with {status}");
        Ok(())
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        let data = self.path().join("data").display().to_string();
        // That it has ended already is as good.
        let _ = self.run("pg_ctl", &["-D", &data, "-m", "immediate", "-w", "stop"]);
    }
}

/// A niks3 server for one bucket. It ends when the value is dropped.
#[derive(Debug)]
pub(crate) struct Service<'a> {
    programs: &'a Programs,
    process: Child,
    url: String,
    token: PathBuf,
}

impl<'a> Service<'a> {
    pub(crate) fn start(database: &Database<'a>, world: &World<'_>, bucket: &Bucket) -> Result<Self> {
        let name = bucket.name().replace('-', "_");
        database.run("createdb", &["-h", &database.path().display().to_string(), &name])?;
        let token = database.path().join("token");
        std::fs::write(&token, TOKEN)?;
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let address = format!("127.0.0.1:{port}");
        let settings = world.server.settings();
        let connection =
            format!("postgres:///{name}?host={}&user=postgres&sslmode=disable", database.path().display());
        let process = Command::new(&database.programs.server)
            .args(["--db", &connection, "--http-addr", &address])
            .args(["--s3-endpoint", world.server.endpoint(), "--s3-use-ssl=false"])
            .args(["--s3-bucket", bucket.name(), "--s3-region", &settings.region])
            .env("NIKS3_S3_ACCESS_KEY", &settings.access_key)
            .env("NIKS3_S3_SECRET_KEY", &settings.secret_key)
            .arg("--api-token-path")
            .arg(&token)
            .arg("--sign-key-path")
            .arg(world.secret_key_file())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let service = Self { programs: database.programs, process, url: format!("http://{address}"), token };
        let begun = Instant::now();
        while TcpStream::connect(&address).is_err() {
            ensure!(begun.elapsed() < PATIENCE, "niks3-server does not listen on {address}");
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(service)
    }

    /// `niks3 push` of a closure.
    pub(crate) fn push(&self, root: &str) -> Command {
        let mut command = Command::new(&self.programs.client);
        command.args(["push", "--server-url", &self.url, "--auth-token-path"]).arg(&self.token).arg(root);
        command
    }
}

impl Drop for Service<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

//! Servers, buckets and the commands of both tools.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use nars3_tests::nars3::Nars3;
use nars3_tests::nix::{Chroot, Nix};
use nars3_tests::process::find_in_path;
use nars3_tests::server::{Access, Bucket, S3Server, Settings};

use crate::measure::{self, Cost};
use crate::{floor, load};

const KEY: &str = "nars3-bench-1";

/// A server of its own, with nothing in it, and a key pair for both tools.
pub(crate) struct World<'a> {
    pub(crate) server: S3Server,
    pub(crate) nix: &'a Nix,
    pub(crate) nars3: Nars3,
    pub(crate) public_key: String,
}

/// What one command cost at both ends.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) cost: Cost,
    /// Requests that the server counted.
    pub(crate) requests: u64,
}

impl<'a> World<'a> {
    pub(crate) fn start(nix: &'a Nix) -> Result<Self> {
        // In memory: a disk answers when it likes, and MinIO waits for it with each object.
        let server = S3Server::start(&Settings { place: floor::memory(), ..Settings::default() })?;
        let nars3 = Nars3::for_server(&server)?;
        let (_, public_key) = nars3.key_pair(KEY)?;
        let world = Self { server, nix, nars3, public_key };
        world.warm_up()?;
        Ok(world)
    }

    /// A Go program answers its first requests more slowly than all others.
    fn warm_up(&self) -> Result<()> {
        let bucket = self.open_bucket()?;
        let body = std::sync::Arc::new(vec![7; 4096]);
        let put =
            |number| load::Request::new("PUT", format!("/{}/{number}", bucket.name()), body.clone(), vec![]);
        let requests: Vec<_> = (0..200).map(put).collect();
        load::send(self.server.endpoint(), &requests, 8)?;
        Ok(())
    }

    /// An empty bucket that anybody may read and write: Debian's Nix has no S3, and puts its objects over plain HTTP.
    pub(crate) fn open_bucket(&self) -> Result<Bucket> {
        let bucket = self.server.fresh_bucket()?;
        bucket.allow_anonymous(Access::ReadWrite)?;
        Ok(bucket)
    }

    /// Runs a command of either tool, and counts what it asked of the server.
    pub(crate) fn measure(&self, command: &mut Command) -> Result<Exchange> {
        let before = self.requests()?;
        let cost = measure::measure(command)?;
        Ok(Exchange { cost, requests: self.requests()? - before })
    }

    fn requests(&self) -> Result<u64> {
        load::requests_counted(self.server.endpoint())
    }

    /// Processor seconds of the server until now.
    pub(crate) fn server_cpu(&self) -> f64 {
        self.server.minio_process().and_then(measure::cpu_seconds).unwrap_or(0.0)
    }

    /// The file of the key that signs what is pushed.
    pub(crate) fn secret_key_file(&self) -> PathBuf {
        self.nars3.secret_key_file(KEY)
    }

    fn settings(&self, compression: &str) -> String {
        format!("compression={compression}&secret-key={}", self.secret_key_file().display())
    }

    pub(crate) fn nix_push(&self, bucket: &Bucket, compression: &str, root: &str) -> Command {
        self.nix_push_to(&bucket.http_url(), compression, root)
    }

    /// As `nix_push`, to this URL of the bucket.
    pub(crate) fn nix_push_to(&self, url: &str, compression: &str, root: &str) -> Command {
        let mut command = self.nix.command("nix");
        command.args(["copy", "--to", &format!("{url}?{}", self.settings(compression)), root]);
        command
    }

    pub(crate) fn nars3_push(&self, bucket: &Bucket, compression: &str, root: &str) -> Command {
        self.nars3_push_at(self.server.endpoint(), bucket, compression, root)
    }

    /// As `nars3_push`, with the server behind `endpoint`.
    pub(crate) fn nars3_push_at(
        &self,
        endpoint: &str,
        bucket: &Bucket,
        compression: &str,
        root: &str,
    ) -> Command {
        let mut command = self.nars3.command();
        let url = bucket.url_at(endpoint, &self.settings(compression));
        command.args(["--stats", "copy", "--to", &url, root]);
        command
    }

    pub(crate) fn nix_pull(&self, url: &str, into: &Chroot, root: &str) -> Command {
        let mut command = self.nix.command_trusting("nix", &self.public_key);
        command.args(["copy", "--from", url, "--to", &into.store_url(), root]);
        command
    }

    pub(crate) fn nars3_pull(&self, url: &str, into: &Chroot, root: &str) -> Command {
        let mut command = self.nars3.command();
        command.args(["--stats", "copy", "--from", url, "--to", &into.store_url()]);
        command.args(["--trusted-public-keys", &self.public_key, root]);
        command
    }

    pub(crate) fn nix_path_info(&self, bucket: &Bucket, root: &str) -> Command {
        let mut command = self.nix.command("nix");
        command.args(["path-info", "-r", "--store", &bucket.http_url(), root]);
        command
    }

    pub(crate) fn nars3_path_info(&self, bucket: &Bucket, root: &str) -> Command {
        let mut command = self.nars3.command();
        command.args(["path-info", "-r", "--store", &bucket.url(""), root]);
        command
    }

    /// `curl -T FILE` into the bucket.
    pub(crate) fn curl(&self, bucket: &Bucket, file: &Path) -> Result<Command> {
        let name = file.file_name().context("a file without a name")?.to_string_lossy();
        let mut command = Command::new("curl");
        command.args(["-sS", "-f", "-T"]).arg(file);
        // The names of store paths need no encoding but for the plus sign.
        command.arg(format!("{}/{}", bucket.http_url(), name.replace('+', "%2B")));
        Ok(command)
    }

    /// `aws s3 cp FILE` into the bucket, where the virtual environment that is active or PATH has AWS's command line.
    pub(crate) fn aws(&self, bucket: &Bucket, file: &Path) -> Option<Command> {
        let active = std::env::var_os("VIRTUAL_ENV").map(|place| Path::new(&place).join("bin/aws"));
        let program = active.filter(|aws| aws.is_file()).or_else(|| find_in_path("aws"))?;
        let (settings, home) = (self.server.settings(), self.nix.home());
        let mut command = Command::new(program);
        command
            .args(["s3", "cp", "--quiet", "--endpoint-url"])
            .arg(format!("http://{}", self.server.endpoint()))
            .arg(file)
            .arg(format!("s3://{}/", bucket.name()))
            .env("AWS_ACCESS_KEY_ID", &settings.access_key)
            .env("AWS_SECRET_ACCESS_KEY", &settings.secret_key)
            .env("AWS_DEFAULT_REGION", &settings.region)
            .env("AWS_CONFIG_FILE", home.join("no-aws-config"))
            .env("AWS_SHARED_CREDENTIALS_FILE", home.join("no-aws-credentials"));
        Some(command)
    }
}

//! Who is measured, and how each is started.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use nars3_tests::server::{Bucket, S3Server};

use super::{Operation, Sizes};

const BOTO3: &str = include_str!("boto3_client.py");

/// A client.
#[derive(Clone, Debug)]
pub(crate) enum Client {
    /// Ready-made requests without signatures, of this process.
    Limit,
    ObjectStore,
    Rusoto,
    Boto3(Boto3),
}

/// A Python that has boto3.
#[derive(Clone, Debug)]
pub(crate) struct Boto3 {
    python: PathBuf,
    pub(crate) version: String,
}

impl Boto3 {
    /// The one of the virtual environment that is active, or of `PATH`.
    pub(crate) fn find() -> Option<Self> {
        let active = std::env::var_os("VIRTUAL_ENV").map(|root| PathBuf::from(root).join("bin/python3"));
        active.into_iter().chain([PathBuf::from("python3")]).find_map(|python| {
            let asked = Command::new(&python).args(["-c", "import boto3; print(boto3.__version__)"]).output();
            let asked = asked.ok().filter(|output| output.status.success())?;
            let version = String::from_utf8(asked.stdout).ok()?.trim().to_owned();
            Some(Self { python, version })
        })
    }
}

impl Client {
    /// Ours as `s3-client` has them.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::ObjectStore => "object_store",
            Self::Rusoto => "rusoto",
            Self::Boto3(_) => "boto3",
        }
    }

    /// Only ours know how a cache is listed. The limit is that of keys, one page after another.
    pub(crate) fn can(&self, operation: Operation) -> bool {
        !matches!(self, Self::Boto3(_)) || !matches!(operation.word(), "walk" | "paths")
    }

    /// The program that does it; `None` for the limit, which is none.
    pub(crate) fn command(
        &self,
        server: &S3Server,
        endpoint: &str,
        bucket: &Bucket,
        operation: Operation,
        sizes: Sizes,
        file: &Path,
    ) -> Result<Option<Command>> {
        let settings = server.settings();
        let mut command = match self {
            Self::Limit => return Ok(None),
            Self::ObjectStore | Self::Rusoto => {
                let mut command = Command::new(own()?);
                command
                    .arg(operation.word())
                    .arg(bucket.url_at(endpoint, &format!("s3-client={}", self.name())));
                command
            }
            Self::Boto3(Boto3 { python, .. }) => {
                let mut command = Command::new(python);
                command.args(["-c", BOTO3, operation.word(), endpoint]);
                command.args([&settings.region, bucket.name()]);
                command
            }
        };
        let number = |number: u64| number.to_string();
        match operation {
            Operation::Put | Operation::Get => {
                let numbers = [sizes.at_once, sizes.count, sizes.bytes];
                command.args(numbers.map(|each| number(each as u64)));
            }
            Operation::Up | Operation::Down => {
                command.args([number(sizes.parts_at_once as u64), number(sizes.part)]).arg(file);
            }
            listing => debug_assert!(listing.lists()),
        }
        // Nothing of the user's: no profile, no proxy, no other endpoint.
        command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.env("AWS_ACCESS_KEY_ID", &settings.access_key);
        command.env("AWS_SECRET_ACCESS_KEY", &settings.secret_key);
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        Ok(Some(command))
    }
}

/// `nars3-s3-client`, which is built with this program.
fn own() -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("nars3-s3-client");
    anyhow::ensure!(path.exists(), "there is no {}", path.display());
    path.canonicalize().context("nars3-s3-client")
}

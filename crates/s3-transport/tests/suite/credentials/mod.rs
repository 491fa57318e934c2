//! Where credentials come from: each provider of AWS's chain against a stand-in of its service, and the order of all.
//!
//! What reads the environment runs in a child process with an environment of its own: this test binary again, which
//! then runs `child` alone.

mod container;
mod environment;
mod instance;
mod process;
mod profiles;
mod roles;
mod sso;

use std::collections::HashMap;
use std::process::Command;

use nars3_s3::{CredentialSource, CredentialsError, Environment, S3OpenError};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use tempfile::TempDir;

use crate::support::{Answer, Scripted, run, settings};

/// An S3 server to which everything is there.
fn s3() -> Scripted {
    Scripted::start(|_| {
        let time = "Sun, 22 Nov 2026 00:00:00 GMT";
        Answer::new(200, "contents").with("etag", "\"e\"").with("last-modified", time)
    })
}

/// Configuration files.
struct Files(TempDir);

impl Files {
    fn new(config: &str, credentials: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("config"), config).unwrap();
        std::fs::write(directory.path().join("credentials"), credentials).unwrap();
        Files(directory)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn environment(&self) -> Environment {
        Environment::of_process().with_credentials(CredentialSource::Files {
            config: self.path("config").into(),
            credentials: self.path("credentials").into(),
        })
    }
}

/// Who signs the requests of a store with this profile, from files alone.
fn signer(files: &Files, profile: Option<&str>) -> Result<Option<String>, S3OpenError> {
    let server = s3();
    let mut settings = settings(&server.url());
    settings.profile = profile.map(str::to_owned);
    run(async {
        let store = nars3_s3::open(&settings, &files.environment()).await?;
        store.get(&Path::from("key")).await.unwrap();
        Ok(server.requests()[0].signed_by().map(str::to_owned))
    })
}

fn credentials_error(error: S3OpenError) -> CredentialsError {
    match error {
        S3OpenError::Credentials(error) => error,
        other => panic!("{other}"),
    }
}

const TWO_PROFILES: &str = "
[default]
aws_access_key_id = AKIDDEFAULT
aws_secret_access_key = secret-of-default
[upload]
aws_access_key_id = AKIDUPLOAD
aws_secret_access_key = secret-of-upload
";

/// What a child process does: open a store as the environment says, read a key, and say how it went.
#[test]
#[ignore = "runs in a child process with an environment of its own"]
fn child() {
    let variable = |name: &str| std::env::var(name).ok();
    let mut settings = settings(&variable("TEST_S3").unwrap());
    settings.profile = variable("TEST_PROFILE");
    let outcome = run(async {
        let store = nars3_s3::open(&settings, &Environment::of_process()).await?;
        Ok::<_, S3OpenError>(store.get(&Path::from("key")).await)
    });
    match outcome {
        Ok(Ok(_)) => println!("OUTCOME=read"),
        Ok(Err(_)) => println!("OUTCOME=opened, but not read"),
        Err(error) => println!("OUTCOME={error}"),
    }
}

/// Runs a child; returns who signed its request (if it made one), or the error's words.
fn in_child(variables: &[(&str, &str)]) -> Result<Option<String>, String> {
    let server = s3();
    let home = tempfile::tempdir().unwrap();
    let mut defaults = HashMap::from([
        ("HOME", home.path().to_str().unwrap().to_owned()),
        ("PATH", std::env::var("PATH").unwrap_or_default()),
        ("TEST_S3", server.url()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
    ]);
    defaults.extend(variables.iter().map(|(name, value)| (*name, (*value).to_owned())));
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "credentials::child", "--ignored", "--nocapture"])
        .env_clear()
        .envs(defaults)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let outcome = text.lines().find_map(|line| line.split_once("OUTCOME=")).map(|(_, outcome)| outcome);
    match outcome {
        Some("read") => Ok(server.requests()[0].signed_by().map(str::to_owned)),
        Some(error) => Err(error.to_owned()),
        None => panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr)),
    }
}

const ENVIRONMENT_KEYS: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", "AKIDENV"), ("AWS_SECRET_ACCESS_KEY", "secret-of-env")];

fn temporary(key: &str) -> String {
    format!(
        "{{\"Code\":\"Success\",\"Type\":\"AWS-HMAC\",\"LastUpdated\":\"2026-01-01T00:00:00Z\",\"AccessKeyId\":\"{key}\",\
         \"SecretAccessKey\":\"s\",\"Token\":\"t\",\"Expiration\":\"2099-01-01T00:00:00Z\"}}"
    )
}

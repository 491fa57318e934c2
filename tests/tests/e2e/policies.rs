//! The policies in `docs/s3.md`: each is enough for what it is shown for, on MinIO's policy engine, and with any one action less
//! it is not.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use nars3_tests::closure::narinfo_key;
use nars3_tests::nars3::Nars3;
use nars3_tests::require::{Need, skip};
use nars3_tests::server::{Bucket, S3Server, ServerKind, find_minio};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The bucket that the page names.
const EXAMPLE: &str = "example-nix-cache";

/// More than goes into one request by default, and what does not shrink.
const LARGE: usize = 9 << 20;

fn page() -> Result<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/s3.md");
    std::fs::read_to_string(&file).with_context(|| file.display().to_string())
}

/// The code block behind a mark.
fn block(page: &str, mark: &str) -> Result<String> {
    let mark = format!("<!-- {mark} -->\n```");
    let (_, rest) = page.split_once(&mark).with_context(|| format!("no {mark} in docs/s3.md"))?;
    let (_, rest) = rest.split_once('\n').context("no block")?;
    Ok(rest.split_once("\n```").context("no end of a block")?.0.to_owned())
}

/// A policy of the page.
fn policy(name: &str) -> Result<Value> {
    Ok(serde_json::from_str(&block(&page()?, &format!("policy: {name}"))?)?)
}

/// A policy for a user with the actions that the page names.
fn of_actions(name: &str) -> Result<Value> {
    let text = block(&page()?, &format!("actions: {name}"))?;
    let actions: Vec<&str> = text.lines().collect();
    ensure!(actions.len() >= 2 && actions.iter().all(|action| action.starts_with("s3:")), "{actions:?}");
    let resources = [format!("arn:aws:s3:::{EXAMPLE}"), format!("arn:aws:s3:::{EXAMPLE}/*")];
    let statement = json!({ "Effect": "Allow", "Action": actions, "Resource": resources });
    Ok(json!({ "Version": "2012-10-17", "Statement": [statement] }))
}

/// The policy without each of its actions in turn, and the action.
fn lessened(policy: &Value) -> Result<Vec<(String, Value)>> {
    let actions = policy["Statement"][0]["Action"].as_array().context("no actions")?;
    ensure!(policy["Statement"].as_array().is_some_and(|all| all.len() == 1), "more than one statement");
    let without = |index: usize| {
        let mut rest = actions.clone();
        let removed = rest.remove(index);
        let mut policy = policy.clone();
        // A statement must have an action: one that is of no use here.
        policy["Statement"][0]["Action"] =
            if rest.is_empty() { json!(["s3:GetObjectTagging"]) } else { json!(rest) };
        (removed.as_str().unwrap_or_default().to_owned(), policy)
    };
    Ok((0..actions.len()).map(without).collect())
}

/// A bucket with a small cache in it.
struct World {
    server: Arc<S3Server>,
    bucket: Bucket,
    /// A store path in it.
    path: String,
    files: TempDir,
}

impl World {
    fn new() -> Result<Option<Self>> {
        let Some(binary) = find_minio() else {
            skip(Need::Minio, "no binary");
            return Ok(None);
        };
        let server = S3Server::shared_kind(&ServerKind::Minio(binary))?;
        let bucket = server.fresh_bucket()?;
        let files = tempfile::Builder::new().prefix("nars3-policies-").tempdir()?;
        let file = files.path().join("small");
        std::fs::write(&file, "small\n")?;
        let owner = Nars3::for_server(&server)?;
        let path = owner
            .run(["add".as_ref(), "--to".as_ref(), bucket.url("").as_ref(), file.as_os_str()])?
            .success()?;
        Ok(Some(Self { server, bucket, path, files }))
    }

    /// A `nars3` that may do what the policy says.
    fn allowed(&self, policy: &Value) -> Result<Nars3> {
        let keys = self.server.assume_role(&policy.to_string().replace(EXAMPLE, self.bucket.name()))?;
        Ok(Nars3::anonymous()?
            .with("AWS_ACCESS_KEY_ID", keys.access_key)
            .with("AWS_SECRET_ACCESS_KEY", keys.secret_key)
            .with("AWS_SESSION_TOKEN", keys.session_token))
    }

    /// A file that nobody has pushed yet.
    fn large(&self, name: &str) -> Result<PathBuf> {
        let mut state = name.bytes().fold(0x9e37_79b9_7f4a_7c15_u64, |state, byte| {
            (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let noise = (0..LARGE).map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        });
        let file = self.files.path().join(name);
        std::fs::write(&file, noise.collect::<Vec<u8>>())?;
        Ok(file)
    }

    /// Pulls the path into an empty cache directory.
    fn pull(&self, nars3: &Nars3, settings: &str, paths: &[&str]) -> Result<()> {
        let directory = tempfile::Builder::new().prefix("nars3-policies-").tempdir()?;
        let to = format!("file://{}", directory.path().display());
        let from = self.bucket.url(settings);
        let arguments = ["copy", "--from", &from, "--to", &to];
        nars3.run(arguments.iter().chain(paths))?.success()?;
        ensure!(directory.path().join(narinfo_key(&self.path)).is_file(), "nothing was pulled");
        Ok(())
    }

    /// Pushes a large file, pushes it again, and asks the doctor.
    fn push(&self, nars3: &Nars3, name: &str) -> Result<()> {
        let file = self.large(name)?;
        let url = self.bucket.url("compression=none");
        let arguments = ["--stats", "add", "--to", &url, &file.to_string_lossy()].map(str::to_owned);
        nars3.run(&arguments)?.success()?;
        let again = nars3.run(&arguments)?;
        let stats = again.stderr.clone();
        again.success()?;
        ensure!(!stats.contains("PutObject") && !stats.contains("UploadPart"), "it was sent again: {stats}");
        let before = self.bucket.pending_uploads()?;
        let doctor = nars3.run(["doctor", "--write", "--store", &url])?;
        let left = self.bucket.pending_uploads()?;
        doctor.success()?;
        ensure!(left == before, "parts were left behind: {left:?}");
        Ok(())
    }

    /// Each less is not enough, and the whole is.
    fn check(&self, policy: &Value, work: impl Fn(&Nars3, &str) -> Result<()>) -> Result<()> {
        for (removed, less) in lessened(policy)? {
            let name = removed.trim_start_matches("s3:").to_owned();
            if work(&self.allowed(&less)?, &name).is_ok() {
                bail!("it works without {removed}, so the policy allows too much");
            }
        }
        work(&self.allowed(policy)?, "whole").context("the policy as it is printed is not enough")
    }
}

#[test]
fn reading_by_everybody() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    let nobody = Nars3::anonymous()?;
    let policy = policy("anonymous-read")?;
    let pull = || world.pull(&nobody, "anonymous=true", &[&world.path]);
    for (removed, less) in lessened(&policy)? {
        world.bucket.set_policy(&less.to_string().replace(EXAMPLE, world.bucket.name()))?;
        ensure!(pull().is_err(), "it works without {removed}");
    }
    world.bucket.set_policy(&policy.to_string().replace(EXAMPLE, world.bucket.name()))?;
    pull()?;
    // And as Nix's manual has it.
    let mut manual = of_actions("nix-manual-read")?;
    manual["Statement"][0]["Principal"] = json!("*");
    world.bucket.set_policy(&manual.to_string().replace(EXAMPLE, world.bucket.name()))?;
    pull()
}

#[test]
fn reading_with_credentials() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    let pull = |nars3: &Nars3, _: &str| world.pull(nars3, "", &[&world.path]);
    world.check(&policy("read")?, pull)?;
    pull(&world.allowed(&of_actions("nix-manual-read")?)?, "")
}

#[test]
fn reading_all_there_is() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    world.check(&policy("list")?, |nars3, _| world.pull(nars3, "", &["--all"]))
}

#[test]
fn writing() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    world.check(&policy("write")?, |nars3, name| world.push(nars3, name))?;
    world.push(&world.allowed(&of_actions("nix-manual-write")?)?, "manual")
}

#[test]
fn deleting() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    let key = narinfo_key(&world.path);
    world.check(&policy("delete")?, |nars3, _| {
        let url = world.bucket.url("");
        nars3.run(["store", "delete", "--store", &url, &world.path])?.success()?;
        ensure!(!world.bucket.keys()?.contains(&key), "it is still there");
        Ok(())
    })
}

#[test]
fn ending_uploads_that_were_left_behind() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    world.check(&policy("sweep")?, |nars3, _| {
        world.bucket.begin_upload("nar/left.nar")?;
        let url = world.bucket.url("");
        nars3.run(["doctor", "--store", &url, "--abort-uploads-older-than", "0s"])?.success()?;
        ensure!(world.bucket.pending_uploads()?.is_empty(), "it is still there");
        Ok(())
    })
}

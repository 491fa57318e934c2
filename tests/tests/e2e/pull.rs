//! Pushed by real Nix, pulled by nars3 into a chroot store that real Nix then judges.

use anyhow::Result;
use nars3_tests::closure::{self, Closure};
use nars3_tests::nix::{Chroot, Nix};
use nars3_tests::server::{Access, Bucket};
use nars3_tests::tree;

use crate::setup::{KEY, Pushed, Setup};

#[test]
fn nars3_pulls_what_real_nix_put_over_http_as_xz() -> Result<()> {
    pull_after(|setup, nix, closure| {
        setup.bucket.allow_anonymous(Access::ReadWrite)?;
        let key = setup.nars3.secret_key_file(KEY);
        let url = format!("{}?secret-key={}", setup.bucket.http_url(), key.display());
        nix.push(&url, &closure.app)?.success().map(drop)
    })
}

#[test]
fn nars3_pulls_a_cache_directory_of_real_nix_uploaded_to_the_bucket_uncompressed() -> Result<()> {
    pull_uploaded("none")
}

#[test]
fn nars3_pulls_a_cache_directory_of_real_nix_uploaded_to_the_bucket_as_zstd() -> Result<()> {
    pull_uploaded("zstd")
}

#[test]
fn nars3_pulls_a_cache_directory_of_real_nix_uploaded_to_the_bucket_as_bzip2() -> Result<()> {
    pull_uploaded("bzip2")
}

#[test]
fn nars3_pulls_a_cache_directory_of_real_nix_uploaded_to_the_bucket_as_brotli() -> Result<()> {
    pull_uploaded("br")
}

fn pull_uploaded(compression: &str) -> Result<()> {
    pull_after(|setup, nix, closure| {
        let directory = nix.home().join("nix-cache");
        let key = setup.nars3.secret_key_file(KEY);
        let url =
            format!("file://{}?compression={compression}&secret-key={}", directory.display(), key.display());
        nix.push(&url, &closure.app)?.success()?;
        upload(&directory, &setup.bucket)
    })
}

/// Uploads a cache directory as `aws s3 sync` would.
fn upload(directory: &std::path::Path, bucket: &Bucket) -> Result<()> {
    let mut pending = vec![directory.to_owned()];
    while let Some(current) = pending.pop() {
        for entry in std::fs::read_dir(&current)? {
            let path = entry?.path();
            if path.is_dir() {
                pending.push(path);
            } else {
                bucket.put(&path.strip_prefix(directory)?.to_string_lossy(), &std::fs::read(&path)?)?;
            }
        }
    }
    Ok(())
}

/// Fills the cache with `push`, pulls with nars3, and has real Nix judge the result.
fn pull_after(push: impl FnOnce(&Setup, &Nix, &Closure) -> Result<()>) -> Result<()> {
    let Some(nix) = Nix::find() else { return Ok(()) };
    let setup = Setup::new()?;
    let closure = closure::build(&nix)?;
    let (_, public_key) = setup.nars3.key_pair(KEY)?;
    push(&setup, &nix, &closure)?;

    let chroot = Chroot::new()?;
    let from = setup.bucket.url("");
    let to = chroot.store_url();
    setup
        .nars3
        .run(["copy", "--from", &from, "--to", &to, "--trusted-public-keys", &public_key, &closure.app])?
        .success()?;
    judge(&nix, &chroot, &closure)?;

    // Nothing is missing now, and pulling again is no error.
    setup
        .nars3
        .run(["copy", "--from", &from, "--to", &to, "--trusted-public-keys", &public_key, &closure.app])?
        .success()?;
    judge(&nix, &chroot, &closure)
}

/// Real Nix accepts the chroot store: contents, database rows, signatures, derivers.
fn judge(nix: &Nix, chroot: &Chroot, closure: &Closure) -> Result<()> {
    nix.verify(chroot)?;
    assert_eq!(nix.registered(chroot)?, closure.paths);
    for path in &closure.paths {
        tree::ensure_equal(path.as_ref(), &chroot.physical(path))?;
    }
    let query = |store: &[&str], question: &str| {
        let arguments = store.iter().copied().chain(["--query", question, closure.app.as_str()]);
        nix.run("nix-store", arguments)?.success()
    };
    let root = chroot.root().to_string_lossy().into_owned();
    for question in ["--references", "--requisites", "--deriver", "--hash", "--size"] {
        assert_eq!(query(&["--store", &root], question)?, query(&[], question)?, "{question}");
    }
    let info =
        nix.run("nix", ["path-info", "--json", "--store", &chroot.store_url(), &closure.app])?.success()?;
    assert!(info.contains(&format!("\"{KEY}:")), "the signature was not kept: {info}");
    Ok(())
}

#[test]
fn a_pulled_closure_can_be_pushed_on_from_the_chroot() -> Result<()> {
    let Some(Pushed { setup, nix, closure, public_key }) = Pushed::new("compression=zstd")? else {
        return Ok(());
    };
    let chroot = Chroot::new()?;
    let (first, second) = (setup.bucket.url(""), setup.server.fresh_bucket()?);
    let keys = ["--trusted-public-keys", public_key.as_str()];
    setup
        .nars3
        .run(
            ["copy", "--from", &first, "--to", &chroot.store_url()]
                .into_iter()
                .chain(keys)
                .chain([closure.app.as_str()]),
        )?
        .success()?;
    setup
        .nars3
        .run(["copy", "--from", &chroot.store_url(), "--to", &second.url("compression=none"), &closure.app])?
        .success()?;
    second.allow_anonymous(Access::Read)?;
    let last = Chroot::new()?;
    // The signature made at the first push has come all the way.
    nix.pull(&second.http_url(), &last, &closure.app, &public_key)?.success()?;
    nix.verify(&last)
}

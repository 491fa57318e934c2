//! Realisations in a bucket: those that real Nix has written are read by nars3, those that nars3 has written by real Nix,
//! which then has nothing to build.

use anyhow::{Context, Result};
use nars3_tests::nix::Chroot;
use nars3_tests::process::Finished;
use nars3_tests::server::Access;

use super::{Built, FEATURE, with_feature};
use crate::setup::KEY;

impl Built {
    /// An empty store that knows such records, and the derivations.
    fn chroot_with_derivations(&self) -> Result<Chroot> {
        let chroot = Chroot::new()?;
        with_feature(&self.nix, "nix-store", &["--init", "--store", &chroot.store_url()])?.success()?;
        let to = chroot.store_url();
        let copy = ["copy", "--from", "local", "--to", &to, "--no-check-sigs", &self.derivation];
        self.setup.nars3.run(copy)?.success()?;
        Ok(chroot)
    }

    /// Real Nix makes the outputs in a store, from a cache or not at all: it may not build.
    fn substitute(&self, into: &Chroot, cache: &str, public_key: &str) -> Result<Finished> {
        let configuration = format!(
            "experimental-features = nix-command\nsubstitute = true\nsubstituters = {cache}\nmax-jobs = 0\nbuilders =\n\
             build-users-group =\nsandbox = false\ntrusted-public-keys = {public_key}\n{FEATURE}"
        );
        let mut command = self.nix.command("nix-store");
        command.env("NIX_CONFIG", configuration);
        Finished::run(command.args(["--store", &into.store_url(), "--realise", &self.derivation]))
    }
}

#[test]
fn real_nix_substitutes_what_nars3_has_pushed() -> Result<()> {
    let Some(built) = Built::new()? else { return Ok(()) };
    let bucket = &built.setup.bucket;
    bucket.allow_anonymous(Access::Read)?;
    let (_, public_key) = built.setup.nars3.key_pair(KEY)?;
    let key = built.setup.nars3.secret_key_file(KEY);
    let to = bucket.url(&format!("secret-key={}", key.display()));
    built.copy(&["--from", "local", "--to", &to])?.success()?;

    let chroot = built.chroot_with_derivations()?;
    let done = built.substitute(&chroot, &bucket.http_url(), &public_key)?;
    let printed = done.success()?;
    assert_eq!(printed.lines().count(), 2, "{printed}");
    built.nix.verify(&chroot)?;
    let registered = built.nix.registered(&chroot)?;
    for output in printed.lines().map(str::to_owned) {
        assert!(built.paths.contains(&output) && registered.contains(&output), "{output}: {registered:?}");
    }

    // The records are what it went by: without them, it would have to build.
    for key in bucket.keys()?.iter().filter(|key| key.starts_with("realisations/")) {
        bucket.delete(key)?;
    }
    let chroot = built.chroot_with_derivations()?;
    built.substitute(&chroot, &bucket.http_url(), &public_key)?.refusal()?;
    Ok(())
}

#[test]
fn nars3_reads_what_real_nix_has_pushed() -> Result<()> {
    let Some(built) = Built::new()? else { return Ok(()) };
    let Built { nix, tag, setup, .. } = &built;
    let bucket = &setup.bucket;
    bucket.allow_anonymous(Access::ReadWrite)?;
    // By HTTP, with the names of the objects as they are: they have a colon and an exclamation mark.
    let http = bucket.http_url();
    let push = ["copy", "--to", &http, "-f", "ca.nix", "--argstr", "tag", tag];
    with_feature(nix, "nix", &push)?.success()?;
    let dev: Vec<&str> = [&push[..5], &["--argstr", "tag", tag, "dev"]].concat();
    with_feature(nix, "nix", &dev)?.success()?;
    let records: Vec<String> =
        bucket.keys()?.into_iter().filter(|key| key.starts_with("realisations/")).collect();
    assert!(records.iter().any(|key| key.ends_with("!dev.doi")), "{records:?}");

    for from in [bucket.url(""), http] {
        let chroot = built.chroot_with_derivations()?;
        let copy =
            |more: &[&str]| built.copy(&[&["--from", &from, "--to", &chroot.store_url()], more].concat());
        // Nobody has signed the records: that an output is this path is only said.
        let said = copy(&[])?.refusal()?;
        assert!(said.contains("signature"), "{said}");
        copy(&["--no-check-sigs"])?.success().with_context(|| from.clone())?;
        nix.verify(&chroot)?;
        // There is nothing left to build.
        let printed = built.substitute(&chroot, "", "")?.success()?;
        assert!(printed.lines().all(|output| built.paths.iter().any(|path| path == output)), "{printed}");
    }
    Ok(())
}

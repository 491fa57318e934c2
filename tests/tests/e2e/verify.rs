//! `nars3 store verify`: what is wrong with a cache is found, told to people and to programs, and repaired from another.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use nars3_tests::audit::{audit, field, without_field};
use nars3_tests::closure::narinfo_key;
use nars3_tests::nix::Chroot;
use nars3_tests::process::Finished;
use nars3_tests::server::{Access, Bucket};
use serde_json::Value;

use crate::setup::{KEY, Pushed, Setup};

/// A cache, and a copy of it in a bucket of its own that a test may damage.
struct Pair {
    pushed: Pushed,
    copy: Bucket,
}

impl Pair {
    fn new(settings: &str) -> Result<Option<Self>> {
        let Some(pushed) = Pushed::new(settings)? else { return Ok(None) };
        let copy = pushed.setup.server.fresh_bucket()?;
        for key in pushed.setup.bucket.keys()? {
            copy.put(&key, &pushed.setup.bucket.get(&key)?)?;
        }
        Ok(Some(Self { pushed, copy }))
    }

    fn path(&self, name: &str) -> Result<&str> {
        let paths = &self.pushed.closure.paths;
        let path = paths.iter().find(|path| path.contains(name)).context("no such path in the closure")?;
        Ok(path)
    }

    /// The narinfo of a path in the copy, and the key of its NAR.
    fn narinfo(&self, name: &str) -> Result<(String, String)> {
        let text = self.copy.get_text(&narinfo_key(self.path(name)?))?;
        let nar = field(&text, "URL").context("no URL")?.to_owned();
        Ok((text, nar))
    }

    fn verify(&self, more: &[&str]) -> Result<Finished> {
        let url = self.copy.url("");
        let arguments =
            ["store", "verify", "--store", &url, "--trusted-public-keys", &self.pushed.public_key];
        self.pushed.setup.nars3.run(arguments.iter().chain(more))
    }

    /// The exit code, and the kinds of findings with what they are about, sorted.
    fn found(&self, more: &[&str]) -> Result<(i32, Vec<String>)> {
        let finished = self.verify(&[&["--json"], more].concat())?;
        let report: Value = serde_json::from_str(&finished.stdout).with_context(|| finished.to_string())?;
        let findings = report["findings"].as_array().context("no findings")?.iter();
        let mut found: Vec<String> = findings
            .map(|finding| {
                let subject = finding["subject"].as_str().unwrap_or_default();
                let name = subject.rsplit('-').next().unwrap_or_default();
                format!("{} {}", finding["kind"].as_str().unwrap_or_default(), name)
            })
            .collect();
        found.sort();
        Ok((finished.status.code().unwrap_or(-1), found))
    }
}

/// Damages a file without changing its size.
fn flip(bucket: &Bucket, key: &str) -> Result<()> {
    let mut bytes = bucket.get(key)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    bucket.put(key, &bytes)
}

#[test]
fn a_sound_cache_has_no_findings() -> Result<()> {
    let Some(pair) = Pair::new("compression=zstd")? else { return Ok(()) };
    assert_eq!(pair.found(&["--all"])?, (0, vec![]));
    let said = pair.verify(&["--all"])?.success()?;
    assert!(said.contains("4 paths checked, 0 findings"), "{said}");
    Ok(())
}

#[test]
fn every_damage_has_its_exit_code_and_is_repaired_from_another_cache() -> Result<()> {
    let Some(pair) = Pair::new("compression=zstd")? else { return Ok(()) };
    let (_, library) = pair.narinfo("-library")?;
    flip(&pair.copy, &library)?;
    assert_eq!(pair.found(&["--all"])?, (1, vec!["corrupt-nar library".to_owned()]));
    assert_eq!(pair.found(&["--all", "--no-contents"])?, (0, vec![]));

    let (app, _) = pair.narinfo("-app")?;
    pair.copy.put(&narinfo_key(pair.path("-app")?), without_field(&app, "Sig").as_bytes())?;
    assert_eq!(pair.found(&["--all", "--no-contents"])?, (2, vec!["untrusted app".to_owned()]));
    assert_eq!(pair.found(&["--all", "--no-contents", "--no-trust"])?, (0, vec![]));

    let (_, odd) = pair.narinfo("-odd")?;
    pair.copy.delete(&odd)?;
    let odd_path = pair.path("-odd")?;
    assert_eq!(pair.found(&[odd_path])?.0, 4);

    pair.copy.delete(&narinfo_key(pair.path("-bytes")?))?;
    let (code, found) = pair.found(&["--all"])?;
    assert_eq!(code, 1 | 2 | 4, "{found:?}");
    let kinds: BTreeSet<&str> = found.iter().filter_map(|one| one.split(' ').next()).collect();
    let expected = ["corrupt-nar", "dangling-reference", "missing-nar", "orphan-nar", "untrusted"];
    assert_eq!(kinds, BTreeSet::from(expected));

    let source = pair.pushed.setup.bucket.url("");
    let finished = pair.verify(&["--all", "--json", "--repair-from", &source])?;
    let report: Value = serde_json::from_str(&finished.stdout).with_context(|| finished.to_string())?;
    assert_eq!(report["findings"], Value::Array(vec![]), "{finished}");
    let repaired: Vec<&str> =
        report["repaired"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert_eq!(repaired, pair.pushed.closure.paths, "{finished}");
    assert_eq!(finished.status.code(), Some(0));
    assert_eq!(pair.found(&["--all"])?, (0, vec![]));

    assert_eq!(audit(&pair.copy)?, audit(&pair.pushed.setup.bucket)?);
    pair.copy.allow_anonymous(Access::Read)?;
    let chroot = Chroot::new()?;
    let Pushed { nix, closure, public_key, .. } = &pair.pushed;
    nix.pull(&pair.copy.http_url(), &chroot, &closure.app, public_key)?.success()?;
    nix.verify(&chroot)
}

#[test]
fn a_narinfo_that_cannot_be_read_is_replaced() -> Result<()> {
    let Some(pair) = Pair::new("compression=none")? else { return Ok(()) };
    let key = narinfo_key(pair.path("-library")?);
    let sound = pair.copy.get(&key)?;
    pair.copy.put(&key, b"no narinfo\n")?;
    let (code, found) = pair.found(&["--all", "--no-contents"])?;
    assert_eq!(code, 4, "{found:?}");
    let source = pair.pushed.setup.bucket.url("");
    let said = pair.verify(&["--all", "--repair-from", &source])?.success()?;
    assert!(said.contains(&format!("repaired: {}", pair.path("-library")?)), "{said}");
    assert_eq!(pair.copy.get(&key)?, sound);
    Ok(())
}

/// A repair from the store that the cache was filled from keeps the signatures that the cache had.
#[test]
fn signatures_outlive_a_repair_from_the_local_store() -> Result<()> {
    let Some(pair) = Pair::new("compression=zstd")? else { return Ok(()) };
    let (before, nar) = pair.narinfo("-library")?;
    flip(&pair.copy, &nar)?;
    pair.verify(&["--all", "--repair-from", "auto"])?.success()?;
    let (after, _) = pair.narinfo("-library")?;
    assert!(field(&after, "Sig").is_some_and(|signature| signature.starts_with(KEY)), "{after}");
    assert_eq!(field(&before, "Sig"), field(&after, "Sig"));
    Ok(())
}

/// Whoever is named for a repair cannot bring in what nobody trusts.
#[test]
fn what_no_trusted_key_has_signed_does_not_come_in_by_a_repair() -> Result<()> {
    let Some(pair) = Pair::new("compression=zstd")? else { return Ok(()) };
    let Setup { nars3, server, .. } = &pair.pushed.setup;
    let unsigned = server.fresh_bucket()?;
    nars3.run(["copy", "--to", &unsigned.url(""), &pair.pushed.closure.app])?.success()?;
    for key in unsigned.narinfo_keys()? {
        unsigned.put(&key, without_field(&unsigned.get_text(&key)?, "Sig").as_bytes())?;
    }
    let key = narinfo_key(pair.path("-library")?);
    pair.copy.delete(&key)?;
    let finished = pair.verify(&["--all", "--repair-from", &unsigned.url("")])?;
    assert_eq!(finished.status.code(), Some(4), "{finished}");
    assert!(finished.stderr.contains("no trusted key has signed it"), "{finished}");
    assert!(!pair.copy.keys()?.contains(&key));
    pair.verify(&["--all", "--no-trust", "--repair-from", &unsigned.url("")])?.success()?;
    assert!(pair.copy.keys()?.contains(&key));
    Ok(())
}

#[test]
fn what_an_upstream_has_is_no_dangling_reference() -> Result<()> {
    let Some(pair) = Pair::new("compression=zstd")? else { return Ok(()) };
    let (_, nar) = pair.narinfo("-library")?;
    pair.copy.delete(&narinfo_key(pair.path("-library")?))?;
    pair.copy.delete(&nar)?;
    assert_eq!(pair.found(&["--all"])?.0, 4);
    let upstream = pair.pushed.setup.bucket.url("");
    assert_eq!(pair.found(&["--all", "--upstream", &upstream])?, (0, vec![]));
    let app = pair.path("-app")?;
    assert_eq!(pair.found(&["--recursive", app])?.0, 4);
    assert_eq!(pair.found(&["--recursive", "--upstream", &upstream, app])?, (0, vec![]));
    Ok(())
}

/// What the source lacks is told, and does not stand in the way of the rest.
#[test]
fn what_can_be_repaired_is_although_the_source_lacks_something() -> Result<()> {
    let Some(pair) = Pair::new("compression=zstd")? else { return Ok(()) };
    let source = &pair.pushed.setup.bucket;
    for name in ["-library", "-odd"] {
        pair.copy.delete(&narinfo_key(pair.path(name)?))?;
    }
    source.delete(&narinfo_key(pair.path("-odd")?))?;
    let finished = pair.verify(&["--all", "--repair-from", &source.url("")])?;
    assert_eq!(finished.status.code(), Some(4), "{finished}");
    assert!(finished.stdout.contains(&format!("repaired: {}", pair.path("-library")?)), "{finished}");
    let odd = pair.path("-odd")?.trim_start_matches("/nix/store/");
    assert!(finished.stderr.contains(&format!("'{odd}' cannot be repaired: ")), "{finished}");
    Ok(())
}

//! Pushed by nars3, pulled by real Nix over plain HTTP with signatures checked.

use std::collections::BTreeSet;

use anyhow::Result;
use nars3_tests::audit::{audit, field};
use nars3_tests::closure::narinfo_key;
use nars3_tests::nix::Chroot;
use nars3_tests::server::Access;
use nars3_tests::tree;

use crate::setup::{KEY, Pushed, Setup};

#[test]
fn real_nix_pulls_what_nars3_pushed_uncompressed() -> Result<()> {
    real_nix_pulls("compression=none", "none")
}

#[test]
fn real_nix_pulls_what_nars3_pushed_as_zstd() -> Result<()> {
    real_nix_pulls("compression=zstd", "zstd")
}

#[test]
fn real_nix_pulls_what_nars3_pushed_as_xz() -> Result<()> {
    real_nix_pulls("compression=xz", "xz")
}

#[test]
fn real_nix_pulls_what_nars3_pushed_with_default_settings() -> Result<()> {
    real_nix_pulls("", "xz")
}

fn real_nix_pulls(settings: &str, compression: &str) -> Result<()> {
    let Some(Pushed { setup, nix, closure, public_key }) = Pushed::new(settings)? else { return Ok(()) };

    let found = audit(&setup.bucket)?;
    let expected: BTreeSet<_> = closure.paths.iter().map(|path| path.replace("/nix/store/", "")).collect();
    assert_eq!(found.paths, expected);
    assert!(found.orphans.is_empty(), "NARs without a narinfo: {:?}", found.orphans);
    for path in &closure.paths {
        let narinfo = setup.bucket.get_text(&narinfo_key(path))?;
        assert_eq!(field(&narinfo, "Compression"), Some(compression));
        assert!(
            field(&narinfo, "Sig").is_some_and(|signature| signature.starts_with(&format!("{KEY}:"))),
            "{narinfo}"
        );
        assert!(field(&narinfo, "Deriver").is_some_and(|deriver| deriver.ends_with(".drv")), "{narinfo}");
    }

    setup.bucket.allow_anonymous(Access::Read)?;
    let chroot = Chroot::new()?;
    nix.pull(&setup.bucket.http_url(), &chroot, &closure.app, &public_key)?.success()?;
    nix.verify(&chroot)?;
    assert_eq!(nix.registered(&chroot)?, closure.paths);
    for path in &closure.paths {
        tree::ensure_equal(path.as_ref(), &chroot.physical(path))?;
    }
    Ok(())
}

#[test]
fn real_nix_refuses_the_closure_when_it_does_not_trust_our_key() -> Result<()> {
    let Some(Pushed { setup, nix, closure, .. }) = Pushed::new("")? else { return Ok(()) };
    setup.bucket.allow_anonymous(Access::Read)?;
    let (_, other_key) = setup.nars3.key_pair("somebody-else-1")?;
    let chroot = Chroot::new()?;
    let said = nix.pull(&setup.bucket.http_url(), &chroot, &closure.app, &other_key)?.refusal()?;
    assert!(
        said.contains("lacks a valid signature") || said.contains("lacks a signature by a trusted key"),
        "{said}"
    );
    Ok(())
}

/// Where the bytes are specified, they are the same as real Nix's own.
#[test]
fn narinfos_are_those_that_real_nix_writes() -> Result<()> {
    let Some(Pushed { setup, nix, closure, .. }) = Pushed::new("compression=none")? else { return Ok(()) };
    let directory = nix.home().join("nix-cache");
    let key = setup.nars3.secret_key_file(KEY);
    let url = format!("file://{}?compression=none&secret-key={}", directory.display(), key.display());
    nix.push(&url, &closure.app)?.success()?;
    for path in &closure.paths {
        let key = narinfo_key(path);
        assert_eq!(setup.bucket.get_text(&key)?, std::fs::read_to_string(directory.join(&key))?, "{path}");
    }
    Ok(())
}

#[test]
fn listings_are_those_that_real_nix_writes() -> Result<()> {
    let Some(Pushed { setup, nix, closure, .. }) = Pushed::new("compression=none&write-nar-listing=1")?
    else {
        return Ok(());
    };
    let directory = nix.home().join("nix-cache");
    nix.push(&format!("file://{}?compression=none&write-nar-listing=1", directory.display()), &closure.app)?
        .success()?;
    for path in closure.paths.iter().filter(|path| !path.ends_with("-bytes")) {
        let key = narinfo_key(path).replace(".narinfo", ".ls");
        let (ours, theirs) = (setup.bucket.get(&key)?, std::fs::read(directory.join(&key))?);
        let parse = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes);
        assert_eq!(parse(&ours)?, parse(&theirs)?, "{path}");
    }
    Ok(())
}

#[test]
fn only_the_paths_that_were_named_and_their_references_are_pushed() -> Result<()> {
    let Some(Pushed { nix, closure, .. }) = Pushed::new("")? else { return Ok(()) };
    let setup = Setup::new()?;
    setup.nars3.run(["copy", "--to", &setup.bucket.url(""), &closure.library])?.success()?;
    let found = audit(&setup.bucket)?;
    assert_eq!(found.paths, BTreeSet::from([closure.library.replace("/nix/store/", "")]));
    drop(nix);
    Ok(())
}

#[test]
fn a_bucket_of_another_region_is_found_and_the_region_is_in_the_message() -> Result<()> {
    let Some(Pushed { setup, nix: _nix, closure, .. }) = Pushed::new("")? else { return Ok(()) };
    if !matches!(
        nars3_tests::server::ServerKind::from_environment()?,
        nars3_tests::server::ServerKind::Minio(_)
    ) {
        nars3_tests::require::skip(
            nars3_tests::require::Need::Minio,
            "the other servers do not check the region",
        );
        return Ok(());
    }
    let url = setup.bucket.url("").replace(&setup.server.settings().region, "sa-east-1");
    let done = setup.nars3.run(["copy", "--to", &url, &closure.app])?;
    let said = done.stderr.clone();
    done.success()?;
    let advice = format!("write region={} into the store URL", setup.server.settings().region);
    assert!(said.contains(&advice), "{said}");
    Ok(())
}

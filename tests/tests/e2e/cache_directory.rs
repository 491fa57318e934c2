//! `file://` works wherever `s3://` does.

use anyhow::Result;
use nars3_tests::nars3::Nars3;
use nars3_tests::nix::{Chroot, Nix};
use nars3_tests::{closure, tree};

use crate::setup::KEY;

#[test]
fn real_nix_reads_a_cache_directory_that_nars3_wrote_and_the_other_way_round() -> Result<()> {
    let Some(nix) = Nix::find() else { return Ok(()) };
    let nars3 = Nars3::anonymous()?;
    let closure = closure::build(&nix)?;
    let (_, public_key) = nars3.key_pair(KEY)?;
    let key_file = nars3.secret_key_file(KEY);

    let ours = format!("file://{}", nars3.home().join("our-cache").display());
    nars3
        .run(["copy", "--to", &format!("{ours}?secret-key={}", key_file.display()), &closure.app])?
        .success()?;
    let pulled_by_nix = Chroot::new()?;
    nix.pull(&ours, &pulled_by_nix, &closure.app, &public_key)?.success()?;
    nix.verify(&pulled_by_nix)?;

    let theirs = format!("file://{}", nix.home().join("their-cache").display());
    nix.push(&format!("{theirs}?secret-key={}", key_file.display()), &closure.app)?.success()?;
    let pulled_by_us = Chroot::new()?;
    nars3
        .run([
            "copy",
            "--from",
            &theirs,
            "--to",
            &pulled_by_us.store_url(),
            "--trusted-public-keys",
            &public_key,
            &closure.app,
        ])?
        .success()?;
    nix.verify(&pulled_by_us)?;
    for path in &closure.paths {
        tree::ensure_equal(&pulled_by_nix.physical(path), &pulled_by_us.physical(path))?;
    }
    Ok(())
}

//! Only what is missing is sent.

use std::collections::BTreeMap;

use anyhow::Result;
use nars3_tests::closure::narinfo_key;
use nars3_tests::server::Bucket;

use crate::setup::Pushed;

fn written(bucket: &Bucket) -> Result<BTreeMap<String, String>> {
    Ok(bucket.objects()?.into_iter().map(|object| (object.key, object.last_modified)).collect())
}

#[test]
fn a_second_push_writes_nothing() -> Result<()> {
    let Some(Pushed { setup, closure, nix: _nix, .. }) = Pushed::new("")? else { return Ok(()) };
    let before = written(&setup.bucket)?;
    setup.nars3.run(["copy", "--to", &setup.bucket.url(""), &closure.app])?.success()?;
    assert_eq!(written(&setup.bucket)?, before);
    Ok(())
}

#[test]
fn a_push_after_a_narinfo_was_lost_writes_that_narinfo_and_no_nar_again() -> Result<()> {
    let Some(Pushed { setup, closure, nix: _nix, .. }) = Pushed::new("compression=none")? else {
        return Ok(());
    };
    let before = written(&setup.bucket)?;
    let lost = narinfo_key(&closure.app);
    setup.bucket.delete(&lost)?;
    setup.nars3.run(["copy", "--to", &setup.bucket.url("compression=none"), &closure.app])?.success()?;
    let mut after = written(&setup.bucket)?;
    assert!(after.remove(&lost).is_some(), "the lost narinfo was not written again");
    let unchanged: BTreeMap<_, _> = before.into_iter().filter(|(key, _)| *key != lost).collect();
    assert_eq!(after, unchanged);
    Ok(())
}

//! The bucket is the only shared state: any number of machines push at once.

use anyhow::Result;
use nars3_tests::audit::audit;
use nars3_tests::closure;
use nars3_tests::nars3::Nars3;
use nars3_tests::nix::Nix;

use crate::setup::Setup;

#[test]
fn pushes_of_the_same_closure_at_the_same_time_all_succeed() -> Result<()> {
    let Some(nix) = Nix::find() else { return Ok(()) };
    let setup = Setup::new()?;
    let closure = closure::build(&nix)?;
    let machines = (0..4).map(|_| Nars3::for_server(&setup.server)).collect::<Result<Vec<_>>>()?;
    let url = setup.bucket.url("compression=none");
    std::thread::scope(|scope| {
        let pushes: Vec<_> = machines
            .iter()
            .map(|nars3| scope.spawn(|| nars3.run(["copy", "--to", &url, &closure.app])?.success()))
            .collect();
        pushes.into_iter().try_for_each(|push| match push.join() {
            Ok(finished) => finished.map(drop),
            Err(_) => anyhow::bail!("a push panicked"),
        })
    })?;
    let found = audit(&setup.bucket)?;
    assert_eq!(found.paths.len(), closure.paths.len());
    assert!(found.orphans.is_empty(), "{:?}", found.orphans);
    Ok(())
}

//! What most tests begin with.

use std::sync::Arc;

use anyhow::Result;
use nars3_tests::closure::{self, Closure};
use nars3_tests::nars3::Nars3;
use nars3_tests::nix::Nix;
use nars3_tests::server::{Bucket, S3Server};

/// A server, a fresh bucket on it, and a `nars3` that may write there.
pub(crate) struct Setup {
    pub(crate) nars3: Nars3,
    pub(crate) bucket: Bucket,
    pub(crate) server: Arc<S3Server>,
}

impl Setup {
    pub(crate) fn new() -> Result<Self> {
        let server = S3Server::shared()?;
        Ok(Self { nars3: Nars3::for_server(&server)?, bucket: server.fresh_bucket()?, server })
    }
}

/// Real Nix with a closure built, and a cache that `nars3` has pushed it to, signed by `KEY`.
pub(crate) struct Pushed {
    pub(crate) setup: Setup,
    pub(crate) nix: Nix,
    pub(crate) closure: Closure,
    pub(crate) public_key: String,
}

pub(crate) const KEY: &str = "nars3-test-1";

impl Pushed {
    /// `None` without real Nix. `settings` are added to the URL of the bucket for the push.
    pub(crate) fn new(settings: &str) -> Result<Option<Self>> {
        let Some(nix) = Nix::find() else { return Ok(None) };
        let setup = Setup::new()?;
        let closure = closure::build(&nix)?;
        let (_, public_key) = setup.nars3.key_pair(KEY)?;
        let key_file = setup.nars3.secret_key_file(KEY);
        let settings = format!("secret-key={}&{settings}", key_file.display());
        let url = setup.bucket.url(settings.trim_end_matches('&'));
        setup.nars3.run(["copy", "--to", &url, &closure.app])?.success()?;
        Ok(Some(Self { setup, nix, closure, public_key }))
    }
}

/// A small tree that needs no Nix to make.
pub(crate) fn small_tree(directory: &std::path::Path) -> Result<std::path::PathBuf> {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let root = directory.join("tree");
    std::fs::create_dir_all(root.join("bin"))?;
    std::fs::create_dir_all(root.join("empty"))?;
    std::fs::write(root.join("bin/hello"), "#!/bin/sh\necho hello\n")?;
    std::fs::set_permissions(root.join("bin/hello"), std::fs::Permissions::from_mode(0o755))?;
    std::fs::write(root.join("data"), "some data\n")?;
    symlink("../data", root.join("bin/data"))?;
    Ok(root)
}

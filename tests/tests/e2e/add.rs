//! Paths added without Nix, and looked at: `add`, `path-info`, `store info`, `store ls`, `store cat`, `nar`, `hash`.

use anyhow::{Context, Result};
use nars3_tests::audit::{audit, field};
use nars3_tests::closure::{base_name, narinfo_key};
use nars3_tests::nars3::Nars3;
use nars3_tests::nix::{Chroot, Nix};
use nars3_tests::server::Access;
use nars3_tests::tree;
use serde_json::Value;

use crate::setup::{Setup, small_tree};

#[test]
fn what_is_added_can_be_looked_at_and_pulled() -> Result<()> {
    let Setup { nars3, bucket, server: _server } = Setup::new()?;
    let root = small_tree(&nars3.work())?;
    let url = bucket.url("");
    let tree_path = nars3.run(["add", "--to", &url, "--name", "greeting", "tree"])?.success()?;
    assert!(tree_path.starts_with("/nix/store/") && tree_path.ends_with("-greeting"), "{tree_path}");
    std::fs::write(nars3.work().join("wrapper"), format!("see {tree_path}\n"))?;
    let wrapper = nars3.run(["add", "--to", &url, "wrapper", "--references", &tree_path])?.success()?;

    let found = audit(&bucket)?;
    assert_eq!(found.paths.len(), 2);
    let narinfo = bucket.get_text(&narinfo_key(&wrapper))?;
    assert_eq!(field(&narinfo, "References"), Some(tree_path.trim_start_matches("/nix/store/")));
    assert!(field(&narinfo, "CA").is_some_and(|address| address.starts_with("fixed:r:sha256:")), "{narinfo}");

    let closure = nars3.run(["path-info", "-r", "--store", &url, &wrapper])?.success()?;
    let mut lines: Vec<&str> = closure.lines().collect();
    lines.sort_unstable();
    let mut expected = [tree_path.as_str(), wrapper.as_str()];
    expected.sort_unstable();
    assert_eq!(lines, expected);
    let json: Value =
        serde_json::from_str(&nars3.run(["path-info", "--json", "--store", &url, &wrapper])?.success()?)?;
    assert_eq!(json[&wrapper]["references"][0], Value::from(tree_path.as_str()), "{json}");

    let info = nars3.run(["store", "info", "--store", &url])?.success()?;
    assert!(info.contains(bucket.name()), "{info}");
    let listing = nars3.run(["store", "ls", "--store", &url, &tree_path])?.success()?;
    for name in ["bin", "data", "empty"] {
        assert!(listing.lines().any(|line| line.ends_with(name)), "{listing}");
    }
    let contents = nars3.run(["store", "cat", "--store", &url, &format!("{tree_path}/bin/hello")])?;
    assert_eq!(contents.stdout, "#!/bin/sh\necho hello\n");

    let chroot = Chroot::new()?;
    nars3.run(["copy", "--from", &url, "--to", &chroot.store_url(), &wrapper])?.success()?;
    tree::ensure_equal(&root, &chroot.physical(&tree_path))?;
    Ok(())
}

#[test]
fn added_paths_are_the_ones_that_real_nix_would_make() -> Result<()> {
    let Some(nix) = Nix::find() else { return Ok(()) };
    let Setup { nars3, bucket, server: _server } = Setup::new()?;
    let root = small_tree(&nars3.work())?;
    let ours = nars3.run(["add", "--to", &bucket.url(""), "tree"])?.success()?;
    assert_eq!(ours, nix.add(&root)?);

    // Unsigned, but its content address proves it to real Nix as well.
    bucket.allow_anonymous(Access::Read)?;
    let chroot = Chroot::new()?;
    nix.pull(&bucket.http_url(), &chroot, &ours, "")?.success()?;
    nix.verify(&chroot)
}

/// By every method and algorithm that Nix 2.8 has, to the same store path; and real Nix takes what we wrote for proven.
#[test]
fn every_content_address_is_the_one_that_real_nix_makes() -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let Some(nix) = Nix::find() else { return Ok(()) };
    let Setup { nars3, bucket, server: _server } = Setup::new()?;
    let url = bucket.url("compression=none");
    let tree = small_tree(&nars3.work())?;
    // Whether a file may be executed is nothing that its bytes say.
    let script = tree.join("bin/hello");
    assert_eq!(std::fs::metadata(&script)?.permissions().mode() & 0o111, 0o111);
    let mut expected = vec![(nix.add(&tree)?, vec!["--mode", "nar", "tree"])];
    for algorithm in ["md5", "sha1", "sha256", "sha512"] {
        let options = |mode, path| vec!["--mode", mode, "--hash-algo", algorithm, path];
        expected.push((nix.add_fixed(&script, false, algorithm)?, options("flat", "tree/bin/hello")));
        expected.push((nix.add_fixed(&tree, true, algorithm)?, options("nar", "tree")));
        expected.push((nix.add_fixed(&script, true, algorithm)?, options("nar", "tree/bin/hello")));
    }
    for (theirs, arguments) in &expected {
        let ours = nars3.run(["add", "--to", &url].iter().chain(arguments))?.success()?;
        assert_eq!(&ours, theirs, "{arguments:?}");
    }
    let inner = nix.evaluate_path(r#"builtins.toFile "inner" "some text""#)?;
    let outer =
        nix.evaluate_path(r#"builtins.toFile "outer" "see ${builtins.toFile "inner" "some text"}""#)?;
    std::fs::write(nars3.work().join("inner"), "some text")?;
    std::fs::write(nars3.work().join("outer"), format!("see {inner}"))?;
    assert_eq!(nars3.run(["add", "--to", &url, "--mode", "text", "inner"])?.success()?, inner);
    let refer = ["add", "--to", &url, "--mode", "text", "outer", "--references", &inner];
    assert_eq!(nars3.run(refer)?.success()?, outer);

    let paths: Vec<String> = expected.into_iter().map(|(path, _)| path).chain([inner, outer]).collect();
    assert_eq!(audit(&bucket)?.paths.len(), paths.iter().collect::<std::collections::BTreeSet<_>>().len());
    nars3.run(["store", "verify", "--all", "--store", &url])?.success()?;
    bucket.allow_anonymous(Access::Read)?;
    let chroot = Chroot::new()?;
    for path in &paths {
        nix.pull(&bucket.http_url(), &chroot, path, "")?.success()?;
        let ca = |store: &str| -> Result<Value> {
            let json = nix.run("nix", ["path-info", "--json", "--store", store, path])?.success()?;
            Ok(serde_json::from_str::<Value>(&json)?[0]["ca"].clone())
        };
        assert_eq!(ca(&chroot.store_url())?, ca("auto")?, "{path}");
    }
    nix.verify(&chroot)
}

#[test]
fn what_leaves_no_room_for_references_says_so() -> Result<()> {
    let Setup { nars3, bucket, server: _server } = Setup::new()?;
    std::fs::write(nars3.work().join("file"), "x")?;
    let url = bucket.url("");
    let path = nars3.run(["add", "--to", &url, "file"])?.success()?;
    for mode in [["--mode", "flat", "--hash-algo", "sha256"], ["--mode", "nar", "--hash-algo", "sha1"]] {
        let mut added = vec!["add", "--to", &url, "file", "--references", &path];
        added.extend(mode);
        assert!(nars3.run(added)?.refusal()?.contains("leave room for references"));
    }
    let said = nars3.run(["add", "--to", &url, "file", "--mode", "text", "--hash-algo", "md5"])?.refusal()?;
    assert!(said.contains("sha256"), "{said}");
    assert_eq!(bucket.narinfo_keys()?.len(), 1);
    Ok(())
}

#[test]
fn a_reference_that_is_not_in_the_cache_is_refused() -> Result<()> {
    let Setup { nars3, bucket, server: _server } = Setup::new()?;
    std::fs::write(nars3.work().join("file"), "x")?;
    let absent = "/nix/store/00000000000000000000000000000000-absent";
    let said = nars3.run(["add", "--to", &bucket.url(""), "file", "--references", absent])?.refusal()?;
    assert!(said.contains(base_name(absent)), "{said}");
    assert_eq!(bucket.narinfo_keys()?, Vec::<String>::new());
    Ok(())
}

#[test]
fn nars_are_dumped_listed_and_restored() -> Result<()> {
    let nars3 = Nars3::anonymous()?;
    let root = small_tree(&nars3.work())?;
    let nar = nars3.work().join("tree.nar");
    let dumped =
        nars3.command().args(["nar", "dump-path", "tree"]).stdout(std::fs::File::create(&nar)?).status()?;
    assert!(dumped.success());
    let hash = nars3.run(["hash", "path", "tree"])?.success()?;
    let flat = nars3.run(["hash", "file", "tree.nar"])?.success()?;
    assert_eq!(hash, flat, "the hash of a path is the hash of its NAR");
    assert_eq!(nars3.run(["nar", "cat", "tree.nar", "/data"])?.stdout, "some data\n");
    let listing = nars3.run(["nar", "ls", "--recursive", "tree.nar", "/"])?.success()?;
    assert!(listing.contains("bin/hello"), "{listing}");
    let restored = nars3
        .command()
        .args(["nar", "restore", "copy"])
        .stdin(std::fs::File::open(&nar)?)
        .status()
        .context("nar restore")?;
    assert!(restored.success());
    tree::ensure_equal(&root, &nars3.work().join("copy"))
}

#[test]
fn hashes_are_those_that_real_nix_prints() -> Result<()> {
    let Some(nix) = Nix::find() else { return Ok(()) };
    let nars3 = Nars3::anonymous()?;
    let root = small_tree(&nars3.work())?;
    let ours = nars3.run(["hash", "path", "tree"])?.success()?;
    let theirs = nix.run("nix", ["hash", "path", &root.to_string_lossy()])?.success()?;
    assert_eq!(ours, theirs);
    let theirs = nix.run("nix-hash", ["--type", "sha256", "--base32", &root.to_string_lossy()])?.success()?;
    let converted = nars3.run(["hash", "convert", "--to", "nix32", &ours])?.success()?;
    assert_eq!(converted.trim_start_matches("sha256:"), theirs);
    Ok(())
}

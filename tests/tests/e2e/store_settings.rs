//! What a store URL says of the store as a whole: `trusted`, `priority`, `want-mass-query`, `system-features`.

use anyhow::{Context, Result, ensure};
use nars3_tests::audit::without_field;
use nars3_tests::closure::{base_name, narinfo_key};
use serde_json::Value;

use crate::ends::{End, Kind, World};
use crate::setup::{Setup, small_tree};

/// The URL of a store with more settings.
fn with(end: &End, settings: &str) -> String {
    let url = end.url();
    let sign = if url.contains('?') { '&' } else { '?' };
    format!("{url}{sign}{settings}")
}

#[test]
fn an_unsigned_path_comes_in_from_a_trusted_store_alone() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    let (app, library) = (world.closure.app.as_str(), &world.closure.library);
    for from in [Kind::File, Kind::Http, Kind::S3] {
        let source = world.filled(from)?;
        let key = narinfo_key(library);
        match &source {
            End::File(directory) => {
                let file = directory.path().join(key);
                std::fs::write(&file, without_field(&std::fs::read_to_string(&file)?, "Sig"))?;
            }
            End::Http(bucket) | End::S3(bucket) => {
                bucket.put(&key, without_field(&bucket.get_text(&key)?, "Sig").as_bytes())?;
            }
            _ => anyhow::bail!("no cache"),
        }
        for to in [Kind::Root, Kind::Daemon] {
            let at = || format!("from {from:?} to {to:?}");
            for (settings, accepted) in [("trusted=false", false), ("trusted=true", true)] {
                let destination = world.empty(to)?;
                let (from, to) = (with(&source, settings), destination.url());
                let copy =
                    ["copy", "--from", &from, "--to", &to, "--trusted-public-keys", &world.public_key, app];
                let copied = world.setup.nars3.run(copy)?;
                if accepted {
                    copied.success().with_context(at)?;
                    assert_eq!(world.paths(&destination)?, world.closure.paths, "{}", at());
                } else {
                    let said = copied.refusal().with_context(at)?;
                    assert!(
                        said.contains(base_name(library)) && said.contains("signature"),
                        "{}: {said}",
                        at()
                    );
                    assert!(!world.paths(&destination)?.contains(library), "{}", at());
                }
            }
            // It is the source that is trusted or not, never the destination.
            let destination = world.empty(to)?;
            let to = with(&destination, "trusted=true");
            let copy =
                ["copy", "--from", &source.url(), "--to", &to, "--trusted-public-keys", &world.public_key];
            world.setup.nars3.run(copy.iter().chain(&[app]))?.refusal().with_context(at)?;
        }
    }
    Ok(())
}

fn info(setup: &Setup, url: &str) -> Result<Value> {
    Ok(serde_json::from_str(&setup.nars3.run(["store", "info", "--json", "--store", url])?.success()?)?)
}

/// As in Nix, what the URL says wins over `nix-cache-info`.
#[test]
fn what_a_url_says_of_priority_and_mass_queries_wins() -> Result<()> {
    let setup = Setup::new()?;
    let bucket = &setup.bucket;
    let empty = info(&setup, &bucket.url("priority=7&want-mass-query=true"))?;
    assert_eq!((&empty["priority"], &empty["wantMassQuery"]), (&"7".into(), &"true".into()), "{empty}");
    assert!(empty["nixCacheInfo"].as_str().is_some_and(|text| text.contains("absent")), "{empty}");
    assert!(info(&setup, &bucket.url(""))?["priority"].is_null());

    bucket.put("nix-cache-info", b"StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 30\n")?;
    for (settings, priority, mass_query) in [
        ("", "30", "true"),
        ("priority=5", "5", "true"),
        ("want-mass-query=false", "30", "false"),
        ("priority=-3&want-mass-query=false", "-3", "false"),
    ] {
        let info = info(&setup, &bucket.url(settings))?;
        assert_eq!(
            (&info["priority"], &info["wantMassQuery"]),
            (&priority.into(), &mass_query.into()),
            "{settings}"
        );
    }
    // Any store has a priority.
    let tree = small_tree(&setup.nars3.work())?;
    let local = format!("local?root={}", setup.nars3.home().join("store").display());
    setup.nars3.run(["add", "--to", &local, &tree.to_string_lossy()])?.success()?;
    assert_eq!(info(&setup, &format!("{local}&priority=4"))?["priority"], "4");
    let lines =
        setup.nars3.run(["store", "info", "--store", &bucket.url("system-features=kvm%20big-parallel")])?;
    assert!(lines.success()?.lines().any(|line| line == "systemFeatures: kvm big-parallel"));
    Ok(())
}

#[test]
fn a_new_cache_says_of_itself_what_its_url_said() -> Result<()> {
    let setup = Setup::new()?;
    let tree = small_tree(&setup.nars3.work())?;
    let directory = setup.nars3.home().join("new-cache");
    let file = format!("file://{}?priority=7&want-mass-query=true", directory.display());
    let add = |url: &str| setup.nars3.run(["add", "--to", url, &tree.to_string_lossy()])?.success();
    add(&setup.bucket.url("priority=7&want-mass-query=true"))?;
    add(&file)?;
    let expected = "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 7\n";
    assert_eq!(setup.bucket.get_text("nix-cache-info")?, expected);
    assert_eq!(std::fs::read_to_string(directory.join("nix-cache-info"))?, expected);
    // Later writers do not change it,
    add(&setup.bucket.url("priority=8"))?;
    assert_eq!(setup.bucket.get_text("nix-cache-info")?, expected);
    // but whoever says so does: by the URL, or by an option, which is stronger.
    let init = |url: &str, more: &[&str]| {
        setup.nars3.run(["store", "init", "--store", url].iter().chain(more))?.success()
    };
    init(&setup.bucket.url("priority=9"), &[])?;
    assert_eq!(setup.bucket.get_text("nix-cache-info")?, expected.replace('7', "9"));
    init(&setup.bucket.url("priority=1&want-mass-query=false"), &["--priority", "10"])?;
    let expected = "StoreDir: /nix/store\nWantMassQuery: 0\nPriority: 10\n";
    assert_eq!(setup.bucket.get_text("nix-cache-info")?, expected);
    Ok(())
}

/// Of several caches that have a path, the one of the lowest priority is asked first, as Nix asks its substituters.
#[test]
fn caches_are_asked_by_their_priority() -> Result<()> {
    let setup = Setup::new()?;
    let tree = small_tree(&setup.nars3.work())?;
    let (one, other) = (setup.server.fresh_bucket()?, setup.server.fresh_bucket()?);
    let mut path = String::new();
    for bucket in [&one, &other] {
        path = setup.nars3.run(["add", "--to", &bucket.url(""), &tree.to_string_lossy()])?.success()?;
    }
    one.put("nix-cache-info", b"StoreDir: /nix/store\nPriority: 40\n")?;
    other.put("nix-cache-info", b"StoreDir: /nix/store\nPriority: 30\n")?;
    let source = one.url("");
    let told_by = |settings: &str| -> Result<String> {
        let (one, other, to) = (one.url(settings), other.url(""), setup.bucket.url(""));
        let copy = ["copy", "--dry-run", "--json", "--from", &source, "--to", &to];
        let printed = setup.nars3.run(copy.iter().chain(&["--skip-in", &one, "--skip-in", &other, &path]))?;
        let said = printed.success()?;
        ensure!(said.contains("s3://"), "{said}");
        Ok(said)
    };
    let names =
        |said: &str, bucket: &nars3_tests::server::Bucket| said.contains(&format!("s3://{}", bucket.name()));
    let said = told_by("")?;
    assert!(names(&said, &other) && !names(&said, &one), "{said}");
    let said = told_by("priority=2")?;
    assert!(names(&said, &one) && !names(&said, &other), "{said}");
    // Equal ones stay as they were given.
    let said = told_by("priority=30")?;
    assert!(names(&said, &one) && !names(&said, &other), "{said}");
    Ok(())
}

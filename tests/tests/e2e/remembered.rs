//! What caches have said is remembered for readers, from one command to the next, and never keeps a push from pushing.

use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result, ensure};
use nars3_tests::audit::without_field;
use nars3_tests::closure::narinfo_key;
use nars3_tests::nars3::Nars3;

use crate::ends::{End, Kind, World};
use crate::setup::{KEY, Setup, small_tree};

/// Requests that the cache got, as `--stats` tells.
fn requests(stderr: &str) -> Option<u64> {
    let line = stderr.lines().find(|line| line.contains(" requests ("))?;
    let (before, _) = line.split_once(" requests (")?;
    before.rsplit(' ').next()?.parse().ok()
}

/// A cache with one path.
fn filled() -> Result<(Setup, String)> {
    let setup = Setup::new()?;
    let tree = small_tree(&setup.nars3.work())?;
    let path = setup.nars3.run([
        "add".as_ref(),
        "--to".as_ref(),
        setup.bucket.url("").as_ref(),
        tree.as_os_str(),
    ])?;
    Ok((setup, path.success()?))
}

#[test]
fn the_second_question_costs_nothing_until_it_is_refreshed() -> Result<()> {
    let (setup, path) = filled()?;
    let url = setup.bucket.url("");
    let ask = ["path-info", "--stats", "--store", &url, &path];
    let first = setup.nars3.run(ask)?;
    assert_eq!(requests(&first.stderr), Some(2), "{first}");
    let second = setup.nars3.run(ask)?;
    assert_eq!(requests(&second.stderr), Some(0), "{second}");
    assert_eq!(first.success()?, second.success()?);
    let refreshed = setup.nars3.run(ask.into_iter().chain(["--refresh"]))?;
    assert_eq!(requests(&refreshed.stderr), Some(2), "{refreshed}");
    // What it is like now is asked for, whatever was remembered.
    let info = setup.nars3.run(["store", "info", "--stats", "--store", &url])?;
    assert_eq!(requests(&info.stderr), Some(1), "{info}");
    Ok(())
}

#[test]
fn a_path_that_somebody_deleted_is_pushed_again() -> Result<()> {
    let (setup, path) = filled()?;
    let url = setup.bucket.url("");
    setup.nars3.run(["path-info", "--store", &url, &path])?.success()?;
    setup.bucket.delete(&narinfo_key(&path))?;
    setup.nars3.run(["path-info", "--store", &url, &path])?.success()?;
    let tree = setup.nars3.work().join("tree");
    setup.nars3.run(["add".as_ref(), "--to".as_ref(), url.as_ref(), tree.as_os_str()])?.success()?;
    assert!(setup.bucket.keys()?.contains(&narinfo_key(&path)));
    Ok(())
}

#[test]
fn what_was_absent_is_seen_once_this_machine_has_pushed_it() -> Result<()> {
    let setup = Setup::new()?;
    let url = setup.bucket.url("");
    let tree = small_tree(&setup.nars3.work())?;
    let local = format!("file://{}", setup.nars3.home().join("here").display());
    let path =
        setup.nars3.run(["add".as_ref(), "--to".as_ref(), local.as_ref(), tree.as_os_str()])?.success()?;
    setup.nars3.run(["path-info", "--store", &url, &path])?.refusal()?;
    setup.nars3.run(["copy", "--from", &local, "--to", &url, &path])?.success()?;
    setup.nars3.run(["path-info", "--store", &url, &path])?.success()?;
    Ok(())
}

/// A path that was refused is not refused for what is remembered of it: a signature that came meanwhile is seen at once.
#[test]
fn a_signature_that_was_added_after_a_refusal_is_seen() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    let key = world.setup.nars3.secret_key_file(KEY);
    for keep_going in [None, Some("--keep-going")] {
        for kind in [Kind::Root, Kind::Daemon] {
            let source = world.filled(Kind::S3)?;
            let End::S3(bucket) = &source else { continue };
            let key_of = |path: &String| narinfo_key(path);
            for path in &world.closure.paths {
                let unsigned = without_field(&bucket.get_text(&key_of(path))?, "Sig");
                bucket.put(&key_of(path), unsigned.as_bytes())?;
            }
            let at = || format!("to {kind:?} {keep_going:?}");
            let destination = world.empty(kind)?;
            let words: Vec<&str> = keep_going.into_iter().chain(["--stats", &world.closure.app]).collect();
            world.copy(&source, &destination, &words)?.refusal().with_context(at)?;
            // Somebody else signs: nobody here hears of it.
            let elsewhere = Nars3::for_server(&world.setup.server)?;
            let url = source.url();
            let sign = ["store", "sign", "--all", "--store", &url, "--key-file", &key.to_string_lossy()];
            elsewhere.run(sign)?.success()?;
            let copied = world.copy(&source, &destination, &words)?;
            copied.success().with_context(at)?;
            assert_eq!(world.paths(&destination)?, world.closure.paths, "{}", at());
        }
    }
    Ok(())
}

/// A cache that has more paths than are kept in memory is read once all the same.
#[test]
fn each_narinfo_of_a_whole_cache_is_read_once() -> Result<()> {
    const PATHS: u64 = 30;
    let setup = Setup::new()?;
    let file = setup.nars3.work().join("file");
    for number in 0..PATHS {
        std::fs::write(&file, format!("{number}\n"))?;
        let url = setup.bucket.url("compression=none");
        setup.nars3.run(["add".as_ref(), "--to".as_ref(), url.as_ref(), file.as_os_str()])?.success()?;
    }
    let url = setup.bucket.url("path-info-cache-size=20");
    // The cache's own info, and each narinfo; of what is verified, each NAR.
    for (words, expected) in [
        (&["path-info", "--all"][..], 1 + PATHS),
        (&["store", "verify", "--all", "--no-trust", "--no-contents"], 1 + PATHS),
        (&["store", "verify", "--all", "--no-trust"], 1 + 2 * PATHS),
    ] {
        let done = setup.nars3.run(words.iter().chain(&["--stats", "--refresh", "--store", &url]))?;
        assert!(done.stderr.contains(&format!(" requests ({expected} GET, ")), "{words:?}: {done}");
        done.success()?;
    }
    Ok(())
}

#[test]
fn the_same_name_at_another_endpoint_is_another_cache() -> Result<()> {
    let (setup, path) = filled()?;
    setup.nars3.run(["path-info", "--store", &setup.bucket.url(""), &path])?.success()?;
    // Nobody listens there; whoever remembered by the bucket's name alone would not notice.
    let elsewhere = setup.bucket.url_at("127.0.0.1:1", "retry-attempts=1");
    setup.nars3.run(["path-info", "--store", &elsewhere, &path])?.refusal()?;
    Ok(())
}

#[test]
fn without_a_place_to_remember_everything_works() -> Result<()> {
    let (setup, path) = filled()?;
    let url = setup.bucket.url("");
    let ask = ["path-info", "--store", &url, &path];
    let file = setup.nars3.home().join("cache/nars3/path-info-v1.sqlite");
    let expected = setup.nars3.run(ask)?.success()?;
    ensure!(file.is_file(), "nothing was remembered in {}", file.display());
    // A damaged file begins anew.
    std::fs::write(&file, b"no database".repeat(1000))?;
    let damaged = setup.nars3.run(ask)?;
    assert!(damaged.stderr.contains("damaged"), "{damaged}");
    assert_eq!(damaged.success()?, expected);
    let healed = setup.nars3.run(ask)?;
    assert!(healed.stderr.is_empty(), "{healed}");
    // A directory in its place, and no place at all.
    let nowhere = Nars3::for_server(&setup.server)?;
    std::fs::create_dir_all(nowhere.home().join("cache/nars3/path-info-v1.sqlite"))?;
    let blocked = nowhere.run(ask)?;
    assert!(blocked.stderr.contains("answers of caches are not remembered"), "{blocked}");
    assert_eq!(blocked.success()?, expected);
    let homeless = Nars3::for_server(&setup.server)?.with("HOME", "").with("XDG_CACHE_HOME", "");
    assert_eq!(homeless.run(ask)?.success()?, expected);
    Ok(())
}

#[test]
fn what_is_remembered_is_for_its_user_alone() -> Result<()> {
    let (setup, path) = filled()?;
    setup.nars3.run(["path-info", "--store", &setup.bucket.url(""), &path])?.success()?;
    let mode = std::fs::metadata(setup.nars3.home().join("cache/nars3"))?.permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    Ok(())
}

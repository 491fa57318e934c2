//! What `nars3 copy` can be told: what to begin with, what to leave out, what to say.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result};
use nars3_tests::closure::base_name;
use nars3_tests::nix::Chroot;
use serde_json::Value;

use crate::ends::{End, Kind, World};

fn json(text: &str) -> Result<Value> {
    serde_json::from_str(text).with_context(|| text.to_owned())
}

fn strings(value: &Value) -> Vec<String> {
    let mut all: Vec<_> =
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    all.sort();
    all
}

#[test]
fn a_dry_run_says_what_how_much_and_why() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    let (source, destination) = (world.filled(Kind::File)?, world.empty(Kind::S3)?);
    let app = world.closure.app.as_str();
    let said = world.copy(&source, &destination, &["--dry-run", app])?.success()?;
    let named = said.lines().find(|line| line.starts_with(app)).context("the root is not listed")?;
    assert!(named.ends_with("because it was named"), "{named}");
    let library = said.lines().find(|line| line.starts_with(&world.closure.library)).context("no library")?;
    assert!(library.contains(&format!("because '{}' needs it", base_name(app))), "{library}");
    assert!(said.contains("would copy 4 paths"), "{said}");
    let plan = json(&world.copy(&source, &destination, &["--dry-run", "--json", app])?.success()?)?;
    assert_eq!(plan["paths"].as_array().map(Vec::len), Some(4), "{plan}");
    assert!(plan["narBytes"].as_u64().is_some_and(|bytes| bytes > 300_000), "{plan}");
    assert_eq!(world.paths(&destination)?, Vec::<String>::new(), "a dry run writes nothing");
    Ok(())
}

/// What would be written to a store that is not there yet is found out without making it, nor anything else.
#[test]
fn a_dry_run_makes_nothing() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    let filled = world.filled(Kind::File)?;
    let source = filled.url();
    let place = tempfile::tempdir()?;
    let below = |name: &str| place.path().join(name).display().to_string();
    std::fs::create_dir_all(place.path().join("half/nix/var/nix/db"))?;
    let state = below("state");
    for (destination, made) in [
        (format!("local?root={}", below("root")), "root"),
        (format!("auto?root={}", below("auto")), "auto"),
        (format!("local?state={}&real={}", below("own-state"), below("own-store")), "own-state"),
        (format!("local?root={}", below("half")), "half/nix/store"),
        (format!("file://{}", below("cache")), "cache"),
    ] {
        let words = ["copy", "--dry-run", "--state", &state, "--from", &source, "--to", &destination];
        let done = world.setup.nars3.run(words.iter().chain(&[world.closure.app.as_str()]))?;
        let said = done.success().with_context(|| destination.clone())?;
        assert!(said.contains("would copy 4 paths"), "{destination}: {said}");
        assert!(!place.path().join(made).exists(), "{destination} was made");
    }
    assert!(!Path::new(&state).exists(), "the state file was made");
    Ok(())
}

#[test]
fn who_goes_on_copies_what_can_be_copied_of_what_was_named() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    let (source, destination) = (world.filled(Kind::File)?, world.empty(Kind::S3)?);
    let nowhere = "/nix/store/00000000000000000000000000000000-nowhere";
    let library = world.closure.library.as_str();
    let done = world.copy(&source, &destination, &["--json", nowhere, library])?;
    assert!(done.refusal()?.contains("nowhere"));
    assert_eq!(world.paths(&destination)?, Vec::<String>::new());
    let unknown = format!("{nowhere}.drv^out");
    let words = ["--keep-going", "--json", nowhere, &unknown, library];
    let done = world.copy(&source, &destination, &words)?;
    assert_eq!(done.status.code(), Some(3), "{done}");
    let report = json(&done.stdout)?;
    assert_eq!(strings(&report["copied"]), [library], "{report}");
    assert_eq!(report["failed"][0]["path"], nowhere, "{report}");
    assert!(done.stderr.contains("nowhere.drv' is not valid"), "{}", done.stderr);
    assert_eq!(world.paths(&destination)?, [library]);
    // What lacks a reference is not sent at all.
    let app = world.closure.app.as_str();
    let destination = world.empty(Kind::File)?;
    let done = world.copy(&source, &destination, &["--keep-going", "--no-recursive", app])?;
    assert_eq!(done.status.code(), Some(3), "{done}");
    let End::File(directory) = &destination else { anyhow::bail!("no directory") };
    assert!(!directory.path().join("nar").exists(), "a NAR was sent");
    Ok(())
}

#[test]
fn what_an_upstream_has_is_not_pushed_and_clients_of_both_have_everything() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    let (source, destination) = (world.filled(Kind::File)?, world.empty(Kind::S3)?);
    let upstream = world.empty(Kind::File)?;
    let (app, library) = (world.closure.app.as_str(), world.closure.library.as_str());
    world.copy(&source, &upstream, &[library])?.success()?;
    let skipping = ["--skip-in", &upstream.url()].map(str::to_owned);
    let skipping = skipping.each_ref().map(String::as_str);
    let with = |more: &[&'static str]| -> Vec<String> {
        skipping.iter().chain(more).chain([&app]).map(|word| (*word).to_owned()).collect()
    };
    // The key has not signed anything, so nothing is looked for upstream.
    let words = with(&["--skip-signed-by", "somebody-else-1", "--dry-run", "--json"]);
    let plan = json(
        &world
            .copy(&source, &destination, &words.iter().map(String::as_str).collect::<Vec<_>>())?
            .success()?,
    )?;
    assert_eq!(plan["paths"].as_array().map(Vec::len), Some(4), "{plan}");

    let words = with(&["--json"]);
    let words: Vec<&str> =
        words.iter().map(String::as_str).chain(["--skip-signed-by", &world.public_key]).collect();
    let report = json(&world.copy(&source, &destination, &words)?.success()?)?;
    assert_eq!(strings(&report["copied"]).len(), 3, "{report}");
    assert_eq!(report["leftOut"][0]["path"], library, "{report}");
    assert_eq!(report["leftOut"][0]["why"], "upstream", "{report}");

    // Nix with both as substituters gets the whole closure; with the one alone, it lacks the library.
    let End::S3(bucket) = &destination else { anyhow::bail!("no bucket") };
    bucket.allow_anonymous(nars3_tests::server::Access::Read)?;
    let fetch = |chroot: &Chroot, substituters: &str| {
        let mut command = world.nix.command_trusting("nix-store", &world.public_key);
        command.arg("--store").arg(chroot.root());
        command.args(["--option", "substitute", "true", "--option", "substituters", substituters]);
        nars3_tests::process::Finished::run(command.args(["--realise", app]))
    };
    fetch(&Chroot::new()?, &bucket.http_url())?.refusal()?;
    let chroot = Chroot::new()?;
    fetch(&chroot, &format!("{} {}", bucket.http_url(), upstream.url()))?.success()?;
    world.nix.verify(&chroot)?;
    assert_eq!(world.nix.registered(&chroot)?, world.closure.paths);

    // A store has to hold all that its paths refer to.
    let said =
        world.copy(&source, &world.empty(Kind::Root)?, &[&skipping[..], &[app]].concat())?.refusal()?;
    assert!(said.contains("--skip-in") && said.contains("not a binary cache"), "{said}");
    Ok(())
}

#[test]
fn what_is_excluded_takes_along_what_refers_to_it_and_that_is_said() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    let (source, destination) = (world.filled(Kind::File)?, world.empty(Kind::S3)?);
    let app = world.closure.app.as_str();
    let done = world.copy(&source, &destination, &["--exclude", "-library$", app])?;
    let said = done.stderr.clone();
    done.success()?;
    assert!(said.contains(&format!("'{}' was named, but is not copied", base_name(app))), "{said}");
    let left = world.paths(&destination)?;
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(!left.contains(&world.closure.library) && left.iter().all(|path| path != app), "{left:?}");
    let said = world.copy(&source, &destination, &["--exclude", "(", app])?.refusal()?;
    assert!(said.contains("is not a regular expression"), "{said}");
    Ok(())
}

#[test]
fn all_paths_of_a_store_and_paths_from_standard_input() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    for from in [Kind::Root, Kind::Daemon, Kind::File, Kind::S3] {
        let (source, destination) = (world.filled(from)?, world.empty(Kind::File)?);
        world.copy(&source, &destination, &["--all"])?.success().with_context(|| format!("{from:?}"))?;
        world.judge(&destination)?;
    }
    let (source, destination) = (world.filled(Kind::File)?, world.empty(Kind::S3)?);
    let list = world.setup.nars3.work().join("list");
    std::fs::write(&list, format!("{}\n\n  {}  \n", world.closure.library, world.closure.app))?;
    let mut command = world.setup.nars3.command();
    command.args(["copy", "--stdin", "--from", &source.url(), "--to", &destination.url()]);
    command.stdin(Stdio::from(std::fs::File::open(&list)?));
    nars3_tests::process::Finished::run(&mut command)?.success()?;
    world.judge(&destination)
}

#[test]
fn derivations_and_their_outputs() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    let app = world.closure.app.as_str();
    let derivation = world.nix.run("nix-store", ["--query", "--deriver", app])?.success()?;
    for outputs in ["^out", "^*"] {
        let destination = world.empty(Kind::S3)?;
        world.copy(&End::Local, &destination, &[&format!("{derivation}{outputs}")])?.success()?;
        world.judge(&destination)?;
    }
    let said =
        world.copy(&End::Local, &world.empty(Kind::S3)?, &[&format!("{derivation}^dev")])?.refusal()?;
    assert!(said.contains("has no output 'dev'") && said.contains("it has out"), "{said}");
    let said = world.copy(&End::Local, &world.empty(Kind::S3)?, &[&format!("{app}^out")])?.refusal()?;
    assert!(said.contains("is not a derivation"), "{said}");

    let destination = world.empty(Kind::S3)?;
    world.copy(&End::Local, &destination, &["--derivation", app])?.success()?;
    let found = world.paths(&destination)?;
    assert!(found.contains(&derivation) && !found.contains(&world.closure.app), "{found:?}");
    assert_eq!(found, world.nix.closure(&derivation)?);
    Ok(())
}

#[test]
fn a_daemon_fetches_by_itself_what_its_substituters_have() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    let source = world.filled(Kind::Root)?;
    let substituter = world.filled(Kind::File)?;
    let chroot = Chroot::new()?;
    let configuration = format!("substitute = true\nsubstituters = {}\n", substituter.url());
    let daemon =
        nars3_tests::daemon::Daemon::start_with(&world.nix, chroot, &world.public_key, &configuration)?;
    let destination = End::Daemon(daemon);
    let app = world.closure.app.as_str();
    let report = json(&world.copy(&source, &destination, &["--json", "-s", app])?.success()?)?;
    assert_eq!(report["present"], 4, "{report}");
    assert_eq!(strings(&report["copied"]), Vec::<String>::new(), "{report}");
    world.judge(&destination)?;
    // A cache fetches nothing, which is said.
    let done = world.copy(&source, &world.empty(Kind::File)?, &["-s", app])?;
    assert!(done.stderr.contains("--substitute-on-destination has no effect"), "{}", done.stderr);
    done.success()?;
    Ok(())
}

#[test]
fn what_failed_is_in_the_report_beside_what_did_not() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    let (source, destination) = (world.filled(Kind::File)?, world.empty(Kind::S3)?);
    let End::File(directory) = &source else { anyhow::bail!("no cache directory") };
    let key = nars3_tests::closure::narinfo_key(&world.closure.library);
    let narinfo = std::fs::read_to_string(directory.path().join(key))?;
    let nar = directory.path().join(nars3_tests::audit::field(&narinfo, "URL").context("no URL")?);
    std::fs::write(&nar, vec![0; usize::try_from(std::fs::metadata(&nar)?.len())?])?;
    let app = world.closure.app.as_str();
    let done = world.copy(&source, &destination, &["--keep-going", "--json", app])?;
    assert_eq!(done.status.code(), Some(3), "{done}");
    let report = json(&done.stdout)?;
    assert_eq!(strings(&report["copied"]), world.paths(&destination)?, "{report}");
    assert_eq!(report["failed"].as_array().map(Vec::len), Some(2), "{report}");
    Ok(())
}

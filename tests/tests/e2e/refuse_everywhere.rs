//! What must not get in, from every kind of source into every kind of destination.

use anyhow::{Context, Result};
use nars3_tests::audit::{field, sha256, with_field, without_field};
use nars3_tests::closure::{base_name, narinfo_key};

use crate::ends::{End, Kind, World};
use crate::setup::small_tree;

/// Sources whose objects a test can change.
const CACHES: [Kind; 3] = [Kind::File, Kind::Http, Kind::S3];

/// Destinations that require signatures.
const STORES: [Kind; 2] = [Kind::Root, Kind::Daemon];

fn read(end: &End, key: &str) -> Result<Vec<u8>> {
    match end {
        End::File(directory) => Ok(std::fs::read(directory.path().join(key))?),
        End::Http(bucket) | End::S3(bucket) => bucket.get(key),
        _ => anyhow::bail!("no cache"),
    }
}

fn write(end: &End, key: &str, bytes: &[u8]) -> Result<()> {
    match end {
        End::File(directory) => Ok(std::fs::write(directory.path().join(key), bytes)?),
        End::Http(bucket) | End::S3(bucket) => bucket.put(key, bytes),
        _ => anyhow::bail!("no cache"),
    }
}

fn change(end: &End, key: &str, change: impl FnOnce(String) -> String) -> Result<()> {
    let text = String::from_utf8(read(end, key)?)?;
    write(end, key, change(text).as_bytes())
}

#[test]
fn a_path_without_a_signature_where_one_is_required() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    let (app, library) = (world.closure.app.as_str(), &world.closure.library);
    for from in CACHES {
        let source = world.filled(from)?;
        change(&source, &narinfo_key(library), |narinfo| without_field(&narinfo, "Sig"))?;
        for to in STORES {
            let at = || format!("from {from:?} to {to:?}");
            let destination = world.empty(to)?;
            let said = world.copy(&source, &destination, &[app])?.refusal().with_context(at)?;
            assert!(said.contains(base_name(library)) && said.contains("signature"), "{}: {said}", at());
            let paths = world.paths(&destination)?;
            assert!(!paths.contains(library) && paths.iter().all(|path| path != app), "{}: {paths:?}", at());
            world.copy(&source, &destination, &["--no-check-sigs", app])?.success().with_context(at)?;
            assert_eq!(world.paths(&destination)?, world.closure.paths, "{}", at());
        }
    }
    Ok(())
}

/// The contents are others, and every hash of the narinfo was made to fit: only the content address tells. It is proven for
/// every destination, also where the file would go from cache to cache as it is.
#[test]
fn contents_that_are_not_what_the_content_address_says() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    let nars3 = &world.setup.nars3;
    let tree = small_tree(&nars3.work())?;
    for from in CACHES {
        let source = world.empty(from)?;
        let url = match &source {
            End::S3(bucket) => bucket.url("compression=none"),
            other => format!("{}?compression=none", other.url()),
        };
        let path = nars3.run(["add", "--to", &url, &tree.to_string_lossy()])?.success()?;
        let key = narinfo_key(&path);
        let honest = String::from_utf8(read(&source, &key)?)?;
        let mut nar = read(&source, field(&honest, "URL").context("no URL")?)?;
        let place = nar.windows(9).position(|window| window == b"some data").context("no such text")?;
        nar[place..place + 9].copy_from_slice(b"evil data");
        let hash = sha256(&nar);
        let nar_key = format!("nar/{}.nar", hash.trim_start_matches("sha256:"));
        write(&source, &nar_key, &nar)?;
        let fields = [("URL", nar_key.as_str()), ("FileHash", &hash), ("NarHash", &hash)];
        let forged = fields.iter().fold(honest, |text, (name, value)| with_field(&text, name, value));
        write(&source, &key, forged.as_bytes())?;
        for to in Kind::FRESH {
            let at = format!("from {from:?} to {to:?}");
            let destination = world.empty(to)?;
            for trust in [None, Some("--no-check-sigs")] {
                let more: Vec<&str> = trust.into_iter().chain([path.as_str()]).collect();
                let said = world.copy(&source, &destination, &more)?.refusal().with_context(|| at.clone())?;
                assert!(said.contains(base_name(&path)) && said.contains("content address"), "{at}: {said}");
            }
            assert_eq!(world.paths(&destination)?, Vec::<String>::new(), "{at}");
        }
    }
    Ok(())
}

/// As in Nix, and before anything is sent.
#[test]
fn a_path_alone_where_what_it_refers_to_is_missing() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    let source = world.filled(Kind::File)?;
    for to in Kind::FRESH {
        let destination = world.empty(to)?;
        let at = || format!("to {to:?}");
        let said = world
            .copy(&source, &destination, &["--no-recursive", &world.closure.app])?
            .refusal()
            .with_context(at)?;
        assert!(said.contains("is not valid") && said.contains("leave out --no-recursive"), "{to:?}: {said}");
        assert_eq!(world.paths(&destination)?, Vec::<String>::new(), "{to:?}");
        world
            .copy(&source, &destination, &["--no-recursive", &world.closure.library])?
            .success()
            .with_context(at)?;
        assert_eq!(world.paths(&destination)?, [world.closure.library.as_str()], "{to:?}");
    }
    Ok(())
}

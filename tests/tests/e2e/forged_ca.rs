//! A `CA` line that lies, beside a good signature and without one: refused by every kind of store, and found by `verify`.
//!
//! No signature covers that line (Nix 2.29 `path-info.cc`), so whoever has a bucket can write any.

use anyhow::{Context, Result};
use nars3_tests::audit::{field, sha256, with_field, without_field};
use nars3_tests::closure::{base_name, narinfo_key};
use serde_json::Value;

use crate::ends::{End, Kind, World};

/// A world, and a path that its content address describes, signed, in the cache that Nix has written.
struct Forger {
    world: World,
    text: String,
}

/// What the narinfo of a path becomes.
struct Forgery {
    what: &'static str,
    path: String,
    narinfo: String,
    /// Whether a good signature is left.
    signed: bool,
}

impl Forger {
    fn new() -> Result<Option<Self>> {
        let Some(world) = World::new()? else { return Ok(None) };
        let file = world.nix.home().join("a-text");
        std::fs::write(&file, "a text\n")?;
        let text = world.nix.add(&file)?;
        let key = world.setup.nars3.secret_key_file(crate::setup::KEY);
        let to = format!("file://{}?secret-key={}", world.cache().display(), key.display());
        world.nix.push(&to, &text)?.success()?;
        Ok(Some(Self { world, text }))
    }

    fn narinfo(&self, path: &str) -> Result<String> {
        Ok(std::fs::read_to_string(self.world.cache().join(narinfo_key(path)))?)
    }

    fn forgeries(&self) -> Result<Vec<Forgery>> {
        let library = self.world.closure.library.clone();
        let built = self.narinfo(&library)?;
        let nar_hash = field(&built, "NarHash").context("no NarHash")?.to_owned();
        let text = self.narinfo(&self.text)?;
        let other = sha256(b"something else");
        let mut forgeries = Vec::new();
        let mut forge = |what, path: &str, narinfo: String| {
            let path = path.to_owned();
            let unsigned = without_field(&narinfo, "Sig");
            forgeries.push(Forgery { what, path: path.clone(), narinfo: unsigned, signed: false });
            forgeries.push(Forgery { what, path, narinfo, signed: true });
        };
        // What was built gets an address that is true of its contents, and that another path follows from.
        forge("its NAR", &library, format!("{built}CA: fixed:r:{nar_hash}\n"));
        forge("some text", &library, format!("{built}CA: text:{other}\n"));
        // What has one gets another.
        forge("other contents", &self.text, with_field(&text, "CA", &format!("fixed:r:{other}")));
        forge(
            "another method",
            &self.text,
            with_field(&text, "CA", &format!("fixed:{}", sha256(b"a text\n"))),
        );
        Ok(forgeries)
    }

    /// A cache of this kind, with the forged narinfo in place of the true one.
    fn cache(&self, kind: Kind, forgery: &Forgery) -> Result<End> {
        let end = self.world.filled(kind)?;
        let key = narinfo_key(&forgery.path);
        match &end {
            End::File(directory) => std::fs::write(directory.path().join(key), &forgery.narinfo)?,
            End::Http(bucket) | End::S3(bucket) => bucket.put(&key, forgery.narinfo.as_bytes())?,
            _ => anyhow::bail!("no cache"),
        }
        Ok(end)
    }
}

#[test]
fn no_store_takes_it_whoever_signed_and_whatever_is_trusted() -> Result<()> {
    let Some(forger) = Forger::new()? else { return Ok(()) };
    for (number, forgery) in forger.forgeries()?.into_iter().enumerate() {
        let source = forger.cache([Kind::S3, Kind::File, Kind::Http][number % 3], &forgery)?;
        for to in Kind::FRESH {
            let at =
                || format!("{} of {}, signed: {}, to {to:?}", forgery.what, forgery.path, forgery.signed);
            let destination = forger.world.empty(to)?;
            for (more, code) in [(None, 1), (Some("--no-check-sigs"), 1), (Some("--keep-going"), 3)] {
                let arguments: Vec<&str> = more.into_iter().chain([forgery.path.as_str()]).collect();
                let copied = forger.world.copy(&source, &destination, &arguments)?;
                assert_eq!(copied.status.code(), Some(code), "{}: {copied}", at());
                let said = copied.refusal().with_context(at)?;
                assert!(said.contains(base_name(&forgery.path)), "{}: {said}", at());
                assert!(said.contains("content address"), "{}: {said}", at());
            }
            assert_eq!(forger.world.paths(&destination)?, Vec::<String>::new(), "{}", at());
        }
    }
    Ok(())
}

/// A store that is `trusted` is believed to have built what it has, and not that a wrong address is right.
#[test]
fn a_trusted_source_is_not_believed_either() -> Result<()> {
    let Some(forger) = Forger::new()? else { return Ok(()) };
    for forgery in forger.forgeries()?.into_iter().filter(|forgery| !forgery.signed) {
        let source = forger.cache(Kind::S3, &forgery)?;
        let from = format!("{}&trusted=true", source.url());
        for to in [Kind::Root, Kind::Daemon, Kind::S3] {
            let destination = forger.world.empty(to)?;
            let copy = ["copy", "--from", &from, "--to", &destination.url(), &forgery.path];
            let said = forger.world.setup.nars3.run(copy)?.refusal().with_context(|| forgery.what)?;
            assert!(said.contains("content address"), "{} to {to:?}: {said}", forgery.what);
        }
    }
    Ok(())
}

#[test]
fn verify_finds_it_with_and_without_the_contents() -> Result<()> {
    let Some(forger) = Forger::new()? else { return Ok(()) };
    let World { setup, public_key, .. } = &forger.world;
    for (number, forgery) in forger.forgeries()?.into_iter().enumerate() {
        let cache = forger.cache([Kind::S3, Kind::File][number % 2], &forgery)?;
        let verify =
            ["store", "verify", "--all", "--store", &cache.url(), "--trusted-public-keys", public_key];
        // Without a signature there is nothing left that speaks for the path.
        let (code, kinds) = if forgery.signed {
            (1, vec!["false-content-address"])
        } else {
            (3, vec!["false-content-address", "untrusted"])
        };
        for more in [&[][..], &["--no-contents"]] {
            let at = format!("{} of {}, {more:?}", forgery.what, forgery.path);
            let found = setup.nars3.run(verify.iter().chain(more).chain(&["--json"]))?;
            assert_eq!(found.status.code(), Some(code), "{at}: {found}");
            let report: Value = serde_json::from_str(&found.stdout).with_context(|| found.to_string())?;
            let mut said = Vec::new();
            for finding in report["findings"].as_array().context("no findings")? {
                assert_eq!(finding["subject"], forgery.path.as_str(), "{at}: {found}");
                said.push(finding["kind"].as_str().unwrap_or_default());
            }
            said.sort_unstable();
            assert_eq!(said, kinds, "{at}: {found}");
            let lines = setup.nars3.run(verify.iter().chain(more))?;
            assert!(
                lines.stdout.contains(&format!("false-content-address: {}: ", forgery.path)),
                "{at}: {lines}"
            );
        }
        // Who does not ask for trust hears of the address all the same.
        let found = setup.nars3.run(verify.iter().chain(&["--no-trust", "--no-contents"]))?;
        assert_eq!(found.status.code(), Some(1), "{found}");
    }
    Ok(())
}

/// The path follows from its address, but the NAR and its hash are others: seen from the narinfo alone.
#[test]
fn verify_compares_the_nar_hash_without_the_contents() -> Result<()> {
    let Some(forger) = Forger::new()? else { return Ok(()) };
    let text = forger.narinfo(&forger.text)?;
    let library = forger.narinfo(&forger.world.closure.library)?;
    let mut narinfo = text.clone();
    for name in ["URL", "FileHash", "FileSize", "NarHash", "NarSize"] {
        narinfo = with_field(&narinfo, name, field(&library, name).context("no field")?);
    }
    let forgery = Forgery { what: "another NAR", path: forger.text.clone(), narinfo, signed: false };
    let cache = forger.cache(Kind::S3, &forgery)?;
    for more in [&[][..], &["--no-contents"]] {
        let found = forger.world.setup.nars3.run(
            ["store", "verify", "--no-trust", "--store", &cache.url(), &forger.text].iter().chain(more),
        )?;
        assert_eq!(found.status.code(), Some(1), "{found}");
        assert!(
            found.stdout.contains("false-content-address: ") && found.stdout.contains("1 finding"),
            "{found}"
        );
    }
    Ok(())
}

/// Without its address, a signed path is an ordinary one.
#[test]
fn a_content_address_that_was_taken_away_costs_the_proof_and_not_the_signature() -> Result<()> {
    let Some(forger) = Forger::new()? else { return Ok(()) };
    let plain = without_field(&forger.narinfo(&forger.text)?, "CA");
    for (narinfo, signed) in [(plain.clone(), true), (without_field(&plain, "Sig"), false)] {
        let forgery = Forgery { what: "none", path: forger.text.clone(), narinfo, signed };
        let source = forger.cache(Kind::File, &forgery)?;
        for to in [Kind::Root, Kind::Daemon] {
            let destination = forger.world.empty(to)?;
            let copied = forger.world.copy(&source, &destination, &[&forger.text])?;
            assert_eq!(copied.status.success(), signed, "{to:?}: {copied}");
        }
    }
    Ok(())
}

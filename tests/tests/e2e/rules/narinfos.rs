//! 3.4 narinfos, 3.5 fingerprints and signatures.

use anyhow::{Context, Result, ensure};
use nars3_tests::audit::{field, with_field, without_field};
use nars3_tests::closure::narinfo_key;
use nars3_tests::nix::Chroot;

use super::{Row, World, check};
use crate::setup::KEY;

/// The fields in the order in which Nix prints them.
const FIELDS: [&str; 11] = [
    "StorePath",
    "URL",
    "Compression",
    "FileHash",
    "FileSize",
    "NarHash",
    "NarSize",
    "References",
    "Deriver",
    "Sig",
    "CA",
];

/// Whether we and real Nix understand a changed narinfo of `path`: both must, or neither.
fn read_by_both(world: &World, path: &str, text: &str, expected: bool) -> Result<()> {
    let bucket = world.setup.server.fresh_bucket()?;
    bucket.allow_anonymous(nars3_tests::server::Access::Read)?;
    bucket.put("nix-cache-info", b"StoreDir: /nix/store\n")?;
    bucket.put(&narinfo_key(path), text.as_bytes())?;
    let ours = world.setup.nars3.run(["path-info", "--store", &bucket.url(""), path])?;
    let theirs = world.nix.run("nix", ["path-info", "--store", &bucket.http_url(), path])?;
    ensure!(ours.status.success() == expected, "should be {expected}\n{ours}");
    ensure!(theirs.status.success() == expected, "should be {expected}\n{theirs}");
    if !expected {
        ours.refusal()?;
    }
    Ok(())
}

/// That we do not take a changed narinfo for that of `path`. Nix 2.8 did, Nix 2.29 does not (`store-api.cc`).
fn not_read(world: &World, path: &str, text: &str) -> Result<()> {
    let bucket = world.setup.server.fresh_bucket()?;
    bucket.put(&narinfo_key(path), text.as_bytes())?;
    world.refused(&["path-info", "--store", &bucket.url(""), path]).map(drop)
}

fn library(world: &World) -> Result<(&str, String)> {
    Ok((world.closure.library.as_str(), world.narinfo(&world.closure.library)?))
}

/// The field's value as SHA-256 in hexadecimal, by real Nix.
fn convert(world: &World, text: &str, to: &str) -> Result<String> {
    let hash = field(text, "NarHash").context("no NarHash")?;
    world.nix.run("nix", ["hash", to, hash])?.success()
}

const ROWS: &[Row] = &[
    ("3.4", "every narinfo has the bytes that Nix writes", |world| {
        world.paths().try_for_each(|path| world.equal(&narinfo_key(path)))
    }),
    ("3.4", "fields are in Nix's order, each line ends with a line break", |world| {
        for path in world.paths() {
            let text = world.narinfo(path)?;
            ensure!(text.ends_with('\n') && !text.contains("\n\n"), "{text}");
            let positions: Vec<Option<usize>> = text
                .lines()
                .map(|line| FIELDS.iter().position(|field| line.starts_with(&format!("{field}: "))))
                .collect();
            ensure!(positions.iter().all(Option::is_some) && positions.is_sorted(), "{text}");
        }
        Ok(())
    }),
    ("3.4", "without references the line keeps its space", |world| {
        ensure!(library(world)?.1.contains("\nReferences: \n"));
        Ok(())
    }),
    ("3.4", "references are base names in ascending order, itself among them", |world| {
        let text = world.narinfo(&world.closure.app)?;
        let references: Vec<&str> = field(&text, "References").unwrap_or_default().split(' ').collect();
        ensure!(references.is_sorted() && references.len() == 4, "{references:?}");
        Ok(())
    }),
    ("3.4", "without a deriver there is no line for it", |world| {
        let text = world.narinfo(&world.debug)?;
        ensure!(!text.contains("Deriver"), "{text}");
        Ok(())
    }),
    ("3.4", "a content address stands last", |world| {
        let text = world.narinfo(&world.debug)?;
        ensure!(text.lines().last().is_some_and(|line| line.starts_with("CA: fixed:r:sha256:")), "{text}");
        Ok(())
    }),
    ("3.4", "unknown fields are passed over", |world| {
        let (path, text) = library(world)?;
        read_by_both(world, path, &format!("{text}Future: x: y\n"), true)
    }),
    ("3.4", "the last line must end", |world| {
        let (path, text) = library(world)?;
        read_by_both(world, path, text.trim_end(), false)
    }),
    ("3.4", "a line without a colon is an error", |world| {
        let (path, text) = library(world)?;
        read_by_both(world, path, &format!("{text}garbage\n"), false)
    }),
    ("3.4", "line breaks of Windows are an error", |world| {
        let (path, text) = library(world)?;
        read_by_both(world, path, &text.replace('\n', "\r\n"), false)
    }),
    ("3.4", "StorePath, NarHash, URL and NarSize must be there", |world| {
        let (path, text) = library(world)?;
        ["StorePath", "NarHash", "URL", "NarSize"]
            .iter()
            .try_for_each(|name| read_by_both(world, path, &without_field(&text, name), false))
    }),
    ("3.4", "a NAR has a size", |world| {
        let (path, text) = library(world)?;
        read_by_both(world, path, &with_field(&text, "NarSize", "0"), false)
    }),
    ("3.4", "hashes may have any form", |world| {
        let (path, text) = library(world)?;
        for (to, prefix) in [("to-base16", "sha256:"), ("to-base64", "sha256:"), ("to-sri", "")] {
            let hash = convert(world, &text, to)?;
            read_by_both(world, path, &with_field(&text, "NarHash", &format!("{prefix}{hash}")), true)?;
        }
        Ok(())
    }),
    ("3.4", "a value begins two bytes after its name, whatever the second is", |world| {
        let (path, text) = library(world)?;
        read_by_both(world, path, &text.replace("NarSize: ", "NarSize:\t"), true)?;
        // Without it, the first byte of the value is taken for it.
        read_by_both(world, path, &text.replace("StorePath: ", "StorePath:"), false)
    }),
    ("3.4", "an empty compression is bzip2", |world| {
        let (path, text) = library(world)?;
        let text = with_field(&text, "Compression", "");
        read_by_both(world, path, &text, true)?;
        let bucket = world.copied()?;
        bucket.put(&narinfo_key(path), text.as_bytes())?;
        let verify = ["store", "verify", "--no-trust", "--store", &bucket.url(""), path];
        let found = world.setup.nars3.run(verify)?;
        ensure!(!found.status.success() && found.stdout.contains("bzip2"), "{found}");
        Ok(())
    }),
    ("3.4", "a hash that is none is an error", |world| {
        let (path, text) = library(world)?;
        read_by_both(world, path, &with_field(&text, "NarHash", "sha256:short"), false)
    }),
    ("3.4", "FileHash and FileSize may be missing", |world| {
        let (path, text) = library(world)?;
        let text = without_field(&without_field(&text, "FileHash"), "FileSize");
        read_by_both(world, path, &text, true)
    }),
    ("3.4", "without a compression it is bzip2", |world| {
        let (path, text) = library(world)?;
        let text = without_field(&text, "Compression");
        read_by_both(world, path, &text, true)?;
        let bucket = world.copied()?;
        bucket.put(&narinfo_key(path), text.as_bytes())?;
        let said = world.refused(&["store", "verify", "--no-trust", "--store", &bucket.url(""), path])?;
        ensure!(!said.is_empty());
        let found =
            world.setup.nars3.run(["store", "verify", "--no-trust", "--store", &bucket.url(""), path])?;
        ensure!(found.stdout.contains("bzip2"), "{found}");
        Ok(())
    }),
    ("3.4", "unknown-deriver stands for none", |world| {
        let (path, text) = library(world)?;
        read_by_both(world, path, &with_field(&text, "Deriver", "unknown-deriver"), true)
    }),
    ("3.4", "a second line of references is an error", |world| {
        let text = world.narinfo(&world.closure.app)?;
        let line = format!("References: {}\n", field(&text, "References").unwrap_or_default());
        read_by_both(world, &world.closure.app, &format!("{text}{line}"), false)
    }),
    ("3.4", "a second line of references counts where the first was empty", |world| {
        let (path, text) = library(world)?;
        let reference = world.closure.app.replace("/nix/store/", "");
        let text = format!("{text}References: {reference}\n");
        read_by_both(world, path, &text, true)?;
        let bucket = world.setup.server.fresh_bucket()?;
        bucket.put(&narinfo_key(path), text.as_bytes())?;
        let said = world.nars3(&["path-info", "--json", "--store", &bucket.url(""), path])?;
        ensure!(said.contains(&reference), "{said}");
        Ok(())
    }),
    ("3.4", "a second content address is an error", |world| {
        let text = world.narinfo(&world.debug)?;
        let line = format!("CA: {}\n", field(&text, "CA").unwrap_or_default());
        read_by_both(world, &world.debug, &format!("{text}{line}"), false)
    }),
    ("3.4", "a narinfo of another path is no narinfo of this one", |world| {
        not_read(world, &world.closure.library, &world.narinfo(&world.debug)?)
    }),
    ("3.4", "a narinfo of another name with the same hash part is not this path's", |world| {
        let (path, text) = library(world)?;
        not_read(world, &format!("{path}-other"), &text)
    }),
    ("3.5", "real Nix accepts every signature, and with another key none", |world| {
        let (_, other) = world.setup.nars3.key_pair("other-1")?;
        for (key, expected) in [(&world.public_key, true), (&other, false)] {
            let mut command = world.nix.command_trusting("nix", key);
            command.args(["store", "verify", "--no-contents", "--store", &world.ours().http_url()]);
            let finished = nars3_tests::process::Finished::run(command.args(&world.closure.paths))?;
            ensure!(finished.status.success() == expected, "{finished}");
        }
        Ok(())
    }),
    (
        "3.5",
        "secret-key and every one of secret-keys sign, and signatures stand in ascending order",
        |world| {
            for name in ["aaa-1", "zzz-1"] {
                world.setup.nars3.key_pair(name)?;
            }
            let file = |name| world.setup.nars3.secret_key_file(name).display().to_string();
            let settings =
                format!("secret-key={}&secret-keys={},{}", file(KEY), file("zzz-1"), file("aaa-1"));
            let (bucket, path) = world.fresh(&settings)?;
            let text = bucket.get_text(&narinfo_key(&path))?;
            let names: Vec<&str> =
                text.lines().filter_map(|line| line.strip_prefix("Sig: ")?.split(':').next()).collect();
            ensure!(names == ["aaa-1", KEY, "zzz-1"], "{text}");
            Ok(())
        },
    ),
    ("3.5", "a content-addressed path needs no signature", |world| {
        let (bucket, path) = world.fresh("")?;
        ensure!(!bucket.get_text(&narinfo_key(&path))?.contains("Sig: "));
        bucket.allow_anonymous(nars3_tests::server::Access::Read)?;
        let (ours, theirs) = (Chroot::new()?, Chroot::new()?);
        world.nars3(&["copy", "--from", &bucket.url(""), "--to", &ours.store_url(), &path])?;
        world.nix.pull(&bucket.http_url(), &theirs, &path, "")?.success()?;
        world.nix.verify(&ours)
    }),
];

#[test]
fn narinfos_and_signatures() -> Result<()> {
    check(ROWS)
}

//! Is what lies in a bucket a valid binary cache? Judged from the objects alone, without the crates under test.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use data_encoding::{BitOrder, Specification};
use sha2::{Digest, Sha256};

use crate::server::Bucket;

/// What a valid cache holds.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Audit {
    /// Base names of the store paths that the cache offers.
    pub paths: BTreeSet<String>,
    /// NARs that no narinfo points to: what an interrupted push may leave behind.
    pub orphans: BTreeSet<String>,
}

/// The value of a field of a narinfo.
#[must_use]
pub fn field<'a>(narinfo: &'a str, name: &str) -> Option<&'a str> {
    narinfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// A narinfo with one field given another value.
///
/// # Panics
/// When the field is not there: the test that wants to forge it would prove nothing.
#[must_use]
pub fn with_field(narinfo: &str, name: &str, value: &str) -> String {
    assert!(field(narinfo, name).is_some(), "no field {name} in\n{narinfo}");
    let lines = narinfo.lines().map(|line| match line.strip_prefix(name) {
        Some(rest) if rest.starts_with(": ") => format!("{name}: {value}\n"),
        _ => format!("{line}\n"),
    });
    lines.collect()
}

/// A narinfo without one field, all its lines.
#[must_use]
pub fn without_field(narinfo: &str, name: &str) -> String {
    let prefix = format!("{name}: ");
    narinfo.lines().filter(|line| !line.starts_with(&prefix)).map(|line| format!("{line}\n")).collect()
}

/// `sha256:` and the hash of `bytes` in Nix's base 32.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", nix32(&Sha256::digest(bytes)))
}

/// Checks that every narinfo of the bucket is well formed, that its NAR is whole, and that its references are there too.
///
/// # Errors
/// With the first thing that is wrong.
pub fn audit(bucket: &Bucket) -> Result<Audit> {
    let keys: BTreeSet<String> = bucket.keys()?.into_iter().collect();
    let mut orphans: BTreeSet<String> = keys.iter().filter(|key| key.starts_with("nar/")).cloned().collect();
    let mut paths = BTreeSet::new();
    for key in keys.iter().filter(|key| key.ends_with(".narinfo")) {
        let text = bucket.get_text(key)?;
        let (path, nar) =
            audit_narinfo(bucket, &keys, key, &text).with_context(|| format!("{key} is wrong:\n{text}"))?;
        orphans.remove(&nar);
        paths.insert(path);
    }
    if !paths.is_empty() {
        let info = bucket.get_text("nix-cache-info").context("narinfos without a nix-cache-info")?;
        ensure!(info.lines().any(|line| line == "StoreDir: /nix/store"), "wrong nix-cache-info: {info}");
    }
    Ok(Audit { paths, orphans })
}

/// Returns the base name of the store path and the key of its NAR.
fn audit_narinfo(
    bucket: &Bucket,
    keys: &BTreeSet<String>,
    key: &str,
    text: &str,
) -> Result<(String, String)> {
    ensure!(text.ends_with('\n'), "the last line is cut off");
    let get = |name: &str| field(text, name).with_context(|| format!("no {name}"));
    let path = get("StorePath")?.strip_prefix("/nix/store/").context("not in /nix/store")?;
    ensure!(path.get(..32) == key.strip_suffix(".narinfo"), "the key does not belong to {path}");
    let nar_key = get("URL")?;
    let nar = bucket.get(nar_key)?;
    ensure!(get("FileSize")?.parse() == Ok(nar.len()), "the NAR has {} bytes", nar.len());
    ensure!(get("FileHash")? == sha256(&nar), "the NAR hashes to {}", sha256(&nar));
    if get("Compression")? == "none" {
        ensure!(get("NarHash")? == sha256(&nar), "the NAR hashes to {}", sha256(&nar));
        ensure!(get("NarSize")?.parse() == Ok(nar.len()), "the NAR has {} bytes", nar.len());
    }
    for reference in get("References")?.split_whitespace() {
        let narinfo = format!("{}.narinfo", reference.get(..32).context("a reference is too short")?);
        ensure!(keys.contains(&narinfo), "the reference {reference} is not in the cache");
    }
    Ok((path.to_owned(), nar_key.to_owned()))
}

/// Nix's base 32: digits of five bits from the end of the number to its start.
fn nix32(bytes: &[u8]) -> String {
    let mut specification = Specification::new();
    specification.symbols.push_str("0123456789abcdfghijklmnpqrsvwxyz");
    specification.bit_order = BitOrder::LeastSignificantFirst;
    // The specification is a constant that the test below has seen to be valid.
    specification
        .encoding()
        .map_or_else(|_| String::new(), |encoding| encoding.encode(bytes).chars().rev().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::{S3Server, ServerKind, Settings};

    #[test]
    fn the_hash_of_nothing_is_the_one_that_nix_prints() {
        assert_eq!(sha256(b""), "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73");
    }

    #[test]
    fn fields_are_read_replaced_and_removed() {
        let text = "StorePath: a\nSig: k:1\nSig: k:2\nReferences: \n";
        assert_eq!(field(text, "References"), Some(""));
        assert_eq!(with_field(text, "StorePath", "b"), "StorePath: b\nSig: k:1\nSig: k:2\nReferences: \n");
        assert_eq!(without_field(text, "Sig"), "StorePath: a\nReferences: \n");
    }

    const REFERENCE: &str = "00000000000000000000000000000000-reference";
    const PATH: &str = "11111111111111111111111111111111-path";

    fn narinfo(path: &str, nar: &[u8], references: &str) -> String {
        let hash = sha256(nar);
        let file = hash.trim_start_matches("sha256:");
        let size = nar.len();
        format!(
            "StorePath: /nix/store/{path}\nURL: nar/{file}.nar\nCompression: none\nFileHash: {hash}\nFileSize: {size}\n\
             NarHash: {hash}\nNarSize: {size}\nReferences: {references}\n"
        )
    }

    /// A valid cache of two paths in a bucket of its own, and the text of the second narinfo.
    fn valid(server: &S3Server) -> (Bucket, String) {
        let bucket = server.fresh_bucket().unwrap();
        bucket.put("nix-cache-info", b"StoreDir: /nix/store\n").unwrap();
        for (path, nar, references) in [(REFERENCE, b"one", ""), (PATH, b"two", REFERENCE)] {
            let text = narinfo(path, nar, references);
            bucket.put(field(&text, "URL").unwrap(), nar).unwrap();
            bucket.put(&format!("{}.narinfo", &path[..32]), text.as_bytes()).unwrap();
        }
        (bucket, narinfo(PATH, b"two", REFERENCE))
    }

    #[test]
    fn a_valid_cache_is_accepted_and_every_damage_is_seen() {
        let server = S3Server::start_kind(&ServerKind::Embedded, &Settings::default()).unwrap();
        let (bucket, text) = valid(&server);
        bucket.put("nar/orphan.nar", b"left behind").unwrap();
        let found = audit(&bucket).unwrap();
        assert_eq!(found.paths, BTreeSet::from([REFERENCE.to_owned(), PATH.to_owned()]));
        assert_eq!(found.orphans, BTreeSet::from(["nar/orphan.nar".to_owned()]));

        let (key, nar) = (format!("{}.narinfo", &PATH[..32]), field(&text, "URL").unwrap().to_owned());
        type Damage<'a> = (&'a str, Box<dyn Fn(&Bucket) -> Result<()> + 'a>);
        let damages: [Damage<'_>; 8] = [
            ("no cache info", Box::new(|bucket| bucket.delete("nix-cache-info"))),
            ("no NAR", Box::new(|bucket| bucket.delete(&nar))),
            ("another NAR", Box::new(|bucket| bucket.put(&nar, b"2wo"))),
            ("a longer NAR", Box::new(|bucket| bucket.put(&nar, b"two and more"))),
            ("no reference", Box::new(|bucket| bucket.delete(&format!("{}.narinfo", &REFERENCE[..32])))),
            ("a cut narinfo", Box::new(|bucket| bucket.put(&key, &text.as_bytes()[..text.len() - 1]))),
            (
                "another NarHash",
                Box::new(|bucket| bucket.put(&key, with_field(&text, "NarHash", "x").as_bytes())),
            ),
            (
                "a foreign narinfo",
                Box::new(|bucket| bucket.put(&format!("{}.narinfo", "2".repeat(32)), text.as_bytes())),
            ),
        ];
        for (what, damage) in damages {
            let (bucket, _) = valid(&server);
            damage(&bucket).unwrap();
            assert!(audit(&bucket).is_err(), "the audit did not see {what}");
        }
    }
}

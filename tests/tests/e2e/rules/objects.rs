//! 3.3 which objects there are: keys, content types, content encodings; 3.10 the bytes of NARs.

use std::collections::BTreeSet;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use nars3_tests::audit::{field, sha256};
use nars3_tests::closure::{base_name, narinfo_key};
use nars3_tests::process::Finished;

use super::{BUILD_ID, Row, World, check, nar_of};

/// The methods, the ends of their keys, and whether Nix 2.8 writes them, too.
const METHODS: [(&str, &str, bool); 8] = [
    ("none", ".nar", true),
    ("xz", ".nar.xz", true),
    ("bzip2", ".nar.bz2", true),
    ("zstd", ".nar.zst", true),
    ("br", ".nar.br", true),
    ("lz4", ".nar.lz4", true),
    ("lzip", ".nar.lzip", true),
    ("gzip", ".nar", true),
];

/// The keys of a bucket that are neither narinfos nor the cache info.
fn others(world: &World) -> Result<BTreeSet<String>> {
    let keys = world.ours().keys()?.into_iter();
    Ok(keys.filter(|key| !key.ends_with(".narinfo") && key != "nix-cache-info").collect())
}

fn content_type(world: &World, key: &str) -> Result<String> {
    let headers = world.ours().headers(key)?;
    Ok(headers.get("content-type").cloned().unwrap_or_default())
}

/// Adds a log for `path`'s deriver to our bucket, and gives its key.
fn put_log(world: &World, settings: &str) -> Result<String> {
    let narinfo = world.narinfo(&world.closure.app)?;
    let deriver = field(&narinfo, "Deriver").context("no deriver")?;
    let from = format!("file://{}", world.directory.display());
    std::fs::create_dir_all(world.directory.join("log"))?;
    std::fs::write(world.directory.join("log").join(deriver), "building\nbuilt\n")?;
    let to = world.ours().url(settings);
    world.nars3(&["store", "copy-log", "--from", &from, "--to", &to, &format!("/nix/store/{deriver}")])?;
    Ok(format!("log/{deriver}"))
}

const ROWS: &[Row] = &[
    ("3.3", "each path has a narinfo under its hash part", |world| {
        let narinfos: BTreeSet<String> = world.ours().narinfo_keys()?.into_iter().collect();
        ensure!(narinfos == world.paths().map(narinfo_key).collect());
        ensure!(narinfos.iter().all(|key| key.len() == 40));
        ensure!(
            narinfos.iter().all(|key| content_type(world, key).is_ok_and(|is| is == "text/x-nix-narinfo"))
        );
        Ok(())
    }),
    ("3.3", "a NAR is named after the SHA-256 of its file", |world| {
        for path in world.paths() {
            let narinfo = world.narinfo(path)?;
            let url = nar_of(&narinfo)?;
            let hash = sha256(&world.ours().get(&url)?);
            ensure!(url == format!("nar/{}.nar", hash.trim_start_matches("sha256:")), "{url}");
            ensure!(field(&narinfo, "FileHash") == Some(&hash), "{narinfo}");
            ensure!(content_type(world, &url)? == "application/x-nix-nar");
        }
        Ok(())
    }),
    ("3.3", "each method has its ending, the same as in Nix", |world| {
        for (method, end, in_nix) in METHODS {
            let (bucket, path) = world.fresh(&format!("compression={method}"))?;
            let narinfo = bucket.get_text(&narinfo_key(&path))?;
            let url = nar_of(&narinfo)?;
            ensure!(url.ends_with(end) && url.len() == "nar/".len() + 52 + end.len(), "{method}: {url}");
            ensure!(field(&narinfo, "Compression") == Some(method), "{narinfo}");
            if !in_nix {
                continue;
            }
            let directory = world.nix.home().join(format!("method-{method}"));
            let url = format!("file://{}?compression={method}", directory.display());
            world.nix.push(&url, &world.debug)?.success()?;
            let theirs = std::fs::read_to_string(directory.join(narinfo_key(&world.debug)))?;
            let url = nar_of(&theirs)?;
            ensure!(url.ends_with(end) && field(&theirs, "Compression") == Some(method), "{theirs}");
        }
        Ok(())
    }),
    ("3.3", "brotli is called br, and by no other name", |world| {
        let url = world.ours().url("compression=brotli");
        let said = world.refused(&["copy", "--to", &url, &world.debug])?;
        ensure!(said.contains("brotli"), "{said}");
        let to = format!("file://{}?compression=brotli", world.nix.home().join("brotli").display());
        world.nix.push(&to, &world.debug)?.refusal()?;
        Ok(())
    }),
    ("3.3", "a listing lies under the hash part", |world| {
        let listed: BTreeSet<String> =
            others(world)?.into_iter().filter(|key| key.ends_with(".ls")).collect();
        // Names that are no UTF-8 cannot be listed.
        let paths = world.paths().filter(|path| !path.ends_with("-bytes"));
        ensure!(listed == paths.map(|path| narinfo_key(path).replace(".narinfo", ".ls")).collect());
        ensure!(listed.iter().all(|key| content_type(world, key).is_ok_and(|is| is == "application/json")));
        Ok(())
    }),
    ("3.3", "debug information is indexed by build id, .debug included", |world| {
        let links: Vec<String> =
            others(world)?.into_iter().filter(|key| key.starts_with("debuginfo/")).collect();
        ensure!(links == [format!("debuginfo/{BUILD_ID}.debug")], "{links:?}");
        ensure!(content_type(world, &links[0])? == "application/json");
        Ok(())
    }),
    ("3.3", "a log lies under the base name of its derivation", |world| {
        let key = put_log(world, "")?;
        ensure!(world.ours().get_text(&key)? == "building\nbuilt\n");
        ensure!(content_type(world, &key)? == "text/plain; charset=utf-8");
        world.ours().delete(&key)
    }),
    (
        "3.3",
        "realisations have two keys, that of Nix up to 2.34 and that since, and the bytes of each",
        |world| {
            let bucket = world.copied()?;
            let path = base_name(&world.debug);
            let id = format!("sha256:{}!out", "ab".repeat(32));
            let old = format!(
                r#"{{"dependentRealisations":{{}},"id":"{id}","outPath":"{path}","signatures":["a-1:c2ln"]}}"#
            );
            let new = format!(r#"{{"outPath":"{path}","signatures":[{{"keyName":"a-1","sig":"c2ln"}}]}}"#);
            let derivation = "00000000000000000000000000000000-x.drv";
            let objects = [
                (format!("realisations/{id}.doi"), old),
                (format!("build-trace-v2/{derivation}/out.doi"), new),
            ];
            for (key, text) in &objects {
                let file = world.directory.join(key);
                std::fs::create_dir_all(file.parent().context("no folder")?)?;
                std::fs::write(file, text)?;
            }
            let (from, to) = (format!("file://{}", world.directory.display()), bucket.url(""));
            let said = world.nars3(&["store", "copy-realisations", "--from", &from, "--to", &to, "--all"])?;
            ensure!(said == "copied 2 realisations", "{said}");
            for (key, text) in &objects {
                ensure!(bucket.get_text(key)? == *text, "{}", bucket.get_text(key)?);
                ensure!(bucket.headers(key)?["content-type"] == "application/json");
            }
            Ok(())
        },
    ),
    ("3.3", "there is nothing else", |world| {
        for key in others(world)? {
            let known = key.starts_with("nar/") || key.starts_with("debuginfo/") || key.ends_with(".ls");
            ensure!(known, "{key}");
        }
        let mut theirs: Vec<String> = world.theirs.keys()?;
        theirs.retain(|key| !key.ends_with(".ls") && !key.starts_with("debuginfo/"));
        let mut ours = world.ours().keys()?;
        ours.retain(|key| !key.ends_with(".ls") && !key.starts_with("debuginfo/"));
        ensure!(ours == theirs, "we have\n{ours:?}\nand Nix has\n{theirs:?}");
        Ok(())
    }),
    ("3.3", "no object has a Content-Encoding, cache control or ACL unless asked for", |world| {
        for key in world.ours().keys()? {
            let headers = world.ours().headers(&key)?;
            for name in ["content-encoding", "cache-control", "content-disposition", "expires"] {
                ensure!(!headers.contains_key(name), "{key} has {name}: {headers:?}");
            }
        }
        Ok(())
    }),
    (
        "3.3",
        "each encoding setting holds for its kind of object, and the header is the method's name",
        |world| {
            let bucket = world.setup.server.fresh_bucket()?;
            let settings = "compression=none&write-nar-listing=true&index-debug-info=true&narinfo-compression=gzip\
                        &ls-compression=br&log-compression=zstd";
            world.nars3(&["copy", "--to", &bucket.url(settings), &world.debug])?;
            let deriver = "/nix/store/00000000000000000000000000000000-x.drv";
            std::fs::create_dir_all(world.directory.join("log"))?;
            std::fs::write(world.directory.join("log").join(base_name(deriver)), "text\n")?;
            let from = format!("file://{}", world.directory.display());
            world.nars3(&["store", "copy-log", "--from", &from, "--to", &bucket.url(settings), deriver])?;
            for key in bucket.keys()? {
                let expected = match key.as_str() {
                    key if key.ends_with(".narinfo") => Some("gzip"),
                    key if key.ends_with(".ls") => Some("br"),
                    key if key.starts_with("log/") => Some("zstd"),
                    _ => None,
                };
                let headers = bucket.headers(&key)?;
                let found = headers.get("content-encoding").map(String::as_str);
                ensure!(found == expected, "{key}: {found:?}");
            }
            let log = world.nars3(&["log", "--store", &bucket.url(""), deriver])?;
            ensure!(log == "text", "{log}");
            Ok(())
        },
    ),
    ("3.3", "a NAR in parts has its headers, too", |world| {
        let bucket = world.setup.server.fresh_bucket()?;
        let noise: Vec<u8> = (0..7 << 20).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        std::fs::write(world.setup.nars3.work().join("noise"), noise)?;
        let settings =
            "compression=none&multipart-upload=true&multipart-threshold=5M&multipart-chunk-size=5M";
        let path = world.nars3(&["add", "--to", &bucket.url(settings), "noise"])?;
        let url = nar_of(&bucket.get_text(&narinfo_key(&path))?)?;
        let headers = bucket.headers(&url)?;
        ensure!(headers["content-type"] == "application/x-nix-nar", "{headers:?}");
        if super::is_minio()? {
            ensure!(headers["etag"].trim_matches('"').ends_with("-2"), "not in parts: {headers:?}");
        }
        Ok(())
    }),
    ("3.10", "NARs are the bytes that nix-store --dump writes", |world| {
        for path in world.paths() {
            let dumped =
                world.nix.command("nix-store").args(["--dump", path]).stderr(Stdio::null()).output()?;
            ensure!(world.ours().get(&nar_of(&world.narinfo(path)?)?)? == dumped.stdout, "{path}");
        }
        Ok(())
    }),
    ("3.10", "a NAR whose names are out of order or lead out of it is refused", |world| {
        let nar = |names: [&str; 2]| -> Vec<u8> {
            let mut bytes = Vec::new();
            let mut put = |text: &str| {
                bytes.extend((text.len() as u64).to_le_bytes());
                bytes.extend(text.as_bytes());
                bytes.resize(bytes.len().next_multiple_of(8), 0);
            };
            ["nix-archive-1", "(", "type", "directory"].into_iter().for_each(&mut put);
            for name in names {
                for word in
                    ["entry", "(", "name", name, "node", "(", "type", "symlink", "target", "x", ")", ")"]
                {
                    put(word);
                }
            }
            put(")");
            bytes
        };
        let file = world.setup.nars3.work().join("forged.nar");
        for (names, sound) in [
            (["a", "b"], true),
            (["b", "a"], false),
            (["a", "a"], false),
            ([".", "b"], false),
            (["..", "b"], false),
            (["", "b"], false),
            (["a/b", "c"], false),
        ] {
            std::fs::write(&file, nar(names))?;
            let target = world.setup.nars3.home().join("restored");
            let mut command = world.setup.nars3.command();
            command.args(["nar", "restore"]).arg(&target).stdin(std::fs::File::open(&file)?);
            let ours = Finished::run(&mut command)?;
            ensure!(ours.status.success() == sound, "{names:?}\n{ours}");
            let _ = std::fs::remove_dir_all(&target);
            let mut command = world.nix.command("nix-store");
            command.arg("--restore").arg(&target).stdin(std::fs::File::open(&file)?);
            let theirs = Finished::run(&mut command)?;
            let _ = std::fs::remove_dir_all(&target);
            // Nix 2.8 forgets the name before: it notices no wrong order.
            ensure!(theirs.status.success() == sound || !names.is_sorted(), "{names:?}\n{theirs}");
        }
        Ok(())
    }),
];

#[test]
fn objects_and_their_headers() -> Result<()> {
    check(ROWS)
}

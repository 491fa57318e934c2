//! 6 What is different in versions of Nix after 2.29, and has to be read or written all the same.

use anyhow::{Context, Result, ensure};
use nars3_tests::audit::{field, with_field};
use nars3_tests::closure::narinfo_key;
use nars3_tests::nars3::Nars3;
use nars3_tests::nix::Chroot;
use nars3_tests::server::Bucket;

use super::{Row, World, check, nar_of};

/// Pulls a path with trust in the key that signed it.
fn pull(world: &World, bucket: &Bucket, path: &str) -> Result<nars3_tests::process::Finished> {
    let (chroot, from) = (Chroot::new()?, bucket.url(""));
    let to = chroot.store_url();
    let copy = ["copy", "--from", &from, "--to", &to, "--trusted-public-keys", &world.public_key, path];
    world.setup.nars3.run(copy)
}

/// The frames of a zstd file: whether each says the size of its contents. Blocks are passed over by their headers.
fn zstd_frames(mut file: &[u8]) -> Result<Vec<bool>> {
    let mut frames = Vec::new();
    while !file.is_empty() {
        // The table of the frames at the end is a frame that decoders skip.
        if let Some(skippable) = file.strip_prefix(&[0x5e, 0x2a, 0x4d, 0x18]) {
            let (size, table) = skippable.split_first_chunk().context("no size")?;
            ensure!(table.len() == u32::from_le_bytes(*size) as usize, "something follows the table");
            break;
        }
        let rest = file.strip_prefix(&[0x28, 0xb5, 0x2f, 0xfd]).context("no frame")?;
        let descriptor = *rest.first().context("cut off")?;
        let single = descriptor & 0x20 != 0;
        let content_size = match descriptor >> 6 {
            0 => usize::from(single),
            1 => 2,
            2 => 4,
            _ => 8,
        };
        let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
        let mut at = 1 + usize::from(!single) + dictionary + content_size;
        loop {
            let header = rest.get(at..at + 3).context("cut off")?;
            let header = u32::from_le_bytes([header[0], header[1], header[2], 0]);
            // A block of one repeated byte stores that byte alone.
            at += 3 + if (header >> 1) & 3 == 1 { 1 } else { (header >> 3) as usize };
            if header & 1 == 1 {
                break;
            }
        }
        at += if descriptor & 4 != 0 { 4 } else { 0 };
        frames.push(content_size > 0);
        file = rest.get(at..).context("cut off")?;
    }
    Ok(frames)
}

const ROWS: &[Row] = &[
    ("6", "a listing with executable: false is read", |world| {
        let bucket = world.copied()?;
        let path = &world.closure.library;
        let key = narinfo_key(path).replace(".narinfo", ".ls");
        let text = bucket.get_text(&key)?;
        let newer = text.replace(r#""narOffset""#, r#""executable":false,"narOffset""#);
        let newer = newer.replace(r#""executable":true,"executable":false"#, r#""executable":true"#);
        ensure!(newer != text, "{text}");
        let list = ["store", "ls", "-lR", "--store", &bucket.url(""), path];
        let before = world.nars3(&list)?;
        bucket.put(&key, newer.as_bytes())?;
        ensure!(world.nars3(&list)? == before);
        Ok(())
    }),
    ("6", "a compression that nobody knows fails where it is unpacked, and is named", |world| {
        let bucket = world.copied()?;
        let library = &world.closure.library;
        let text = with_field(&world.narinfo(library)?, "Compression", "future-9");
        bucket.put(&narinfo_key(library), text.as_bytes())?;
        world.nars3(&["path-info", "--store", &bucket.url(""), library])?;
        let said = pull(world, &bucket, library)?.refusal()?;
        ensure!(said.contains("future-9"), "{said}");
        Ok(())
    }),
    ("6", "every Content-Encoding is read, and none and identity are no encodings", |world| {
        let library = &world.closure.library;
        for method in ["gzip", "br", "zstd", "xz", "bzip2"] {
            let bucket = world.setup.server.fresh_bucket()?;
            let settings = format!("narinfo-compression={method}&force-encodings=true&compression=none");
            world.nars3(&["copy", "--to", &bucket.url(&settings), library])?;
            let headers = bucket.headers(&narinfo_key(library))?;
            ensure!(headers["content-encoding"] == method, "{headers:?}");
            world.nars3(&["path-info", "--store", &bucket.url(""), library])?;
            // Nix 2.8 over HTTP reads what its curl decodes; in a bucket it reads the others, too, but is not built for S3 here.
            if matches!(method, "gzip" | "br") {
                bucket.allow_anonymous(nars3_tests::server::Access::Read)?;
                world.nix.run("nix", ["path-info", "--store", &bucket.http_url(), library])?.success()?;
            }
        }
        for name in ["none", "identity"] {
            let bucket = world.copied()?;
            let key = narinfo_key(library);
            bucket.put_with(&key, &[("content-encoding", name)], &bucket.get(&key)?)?;
            world.nars3(&["path-info", "--store", &bucket.url(""), library])?;
        }
        let bucket = world.copied()?;
        let key = narinfo_key(library);
        bucket.put_with(&key, &[("content-encoding", "rot13")], &bucket.get(&key)?)?;
        let said = world.refused(&["path-info", "--store", &bucket.url(""), library])?;
        ensure!(said.contains("rot13"), "{said}");
        Ok(())
    }),
    ("6", "encodings that newer Nix cannot read are refused with the reason, unless forced", |world| {
        let bucket = world.setup.server.fresh_bucket()?;
        for setting in ["narinfo-compression=xz", "ls-compression=bzip2", "log-compression=lz4"] {
            let said = world.refused(&["copy", "--to", &bucket.url(setting), &world.debug])?;
            ensure!(said.contains("Nix 2.34") && said.contains("force-encodings=true"), "{said}");
            ensure!(bucket.keys()?.is_empty(), "{:?}", bucket.keys()?);
        }
        let forced = bucket.url("narinfo-compression=xz&force-encodings=true");
        world.nars3(&["copy", "--to", &forced, &world.debug])?;
        world.nars3(&["path-info", "--store", &bucket.url(""), &world.debug])?;
        Ok(())
    }),
    ("6", "endpoint may be a host and port, or a URL", |world| {
        let path = &world.closure.app;
        world.nars3(&["path-info", "--store", &world.ours().url(""), path])?;
        let endpoint = format!("http://{}", world.setup.server.endpoint());
        let finished =
            world.setup.nars3.run(["path-info", "--store", &world.ours().url_at(&endpoint, ""), path])?;
        ensure!(finished.status.success() && !finished.stderr.contains("WARN"), "{finished}");
        Ok(())
    }),
    ("6", "a bucket with a dot in its name is addressed by path", |world| {
        let bucket = world.setup.server.bucket(&format!("dotted.{}", world.ours().name()))?;
        world.nars3(&["copy", "--to", &bucket.url(""), &world.debug])?;
        ensure!(bucket.narinfo_keys()?.len() == 1);
        Ok(())
    }),
    ("6", "profile= wins over keys in the environment", |world| {
        let settings = world.setup.server.settings();
        let nars3 =
            Nars3::anonymous()?.with("AWS_ACCESS_KEY_ID", "wrong").with("AWS_SECRET_ACCESS_KEY", "wrong");
        let profile = format!(
            "[right]\naws_access_key_id={}\naws_secret_access_key={}\n",
            settings.access_key, settings.secret_key
        );
        std::fs::write(nars3.home().join("aws-credentials"), profile)?;
        let path = &world.closure.app;
        nars3.run(["path-info", "--store", &world.ours().url("profile=right"), path])?.success()?;
        // Without what the line before has left on disk.
        nars3.run(["path-info", "--refresh", "--store", &world.ours().url(""), path])?.refusal()?;
        Ok(())
    }),
    ("6", "zstd is written in frames of 16 MiB that say their size, and Nix reads them", |world| {
        let bucket = world.setup.server.fresh_bucket()?;
        bucket.allow_anonymous(nars3_tests::server::Access::Read)?;
        let text: String = (0..5_000_000_u32).map(|n| format!("{:07}\n", n % 9_973)).collect();
        std::fs::write(world.setup.nars3.work().join("large"), text)?;
        for parallel in ["true", "false"] {
            let settings = format!("compression=zstd&parallel-compression={parallel}");
            let path = world.nars3(&["add", "--to", &bucket.url(&settings), "--name", parallel, "large"])?;
            let narinfo = bucket.get_text(&narinfo_key(&path))?;
            let size: usize = field(&narinfo, "NarSize").context("no NarSize")?.parse()?;
            let frames = zstd_frames(&bucket.get(&nar_of(&narinfo)?)?)?;
            ensure!(frames.len() == size.div_ceil(16 << 20), "{} frames of {size} bytes", frames.len());
            ensure!(frames.iter().all(|says_its_size| *says_its_size), "{frames:?}");
            let chroot = Chroot::new()?;
            world.nix.pull(&bucket.http_url(), &chroot, &path, "")?.success()?;
        }
        Ok(())
    }),
    ("6", "nothing is written that newer Nix cannot read for its depth", |world| {
        let deep = world.setup.nars3.work().join("deep");
        std::fs::create_dir_all(deep.join("d/".repeat(70)))?;
        let bucket = world.setup.server.fresh_bucket()?;
        world.refused(&["add", "--to", &bucket.url(""), "deep"])?;
        ensure!(bucket.narinfo_keys()?.is_empty());
        Ok(())
    }),
    ("6", "a URL may have a query, or be the bucket's own, and may not lead elsewhere", |world| {
        let library = &world.closure.library;
        let (text, name) = (world.narinfo(library)?, world.ours().name());
        let nar = nar_of(&text)?;
        for (url, good) in [
            (format!("{nar}?hash=1"), true),
            (format!("./{nar}"), true),
            (format!("https://elsewhere.example/{nar}"), false),
            (format!("s3://{name}-other/{nar}"), false),
            ("/etc/passwd".to_owned(), false),
            ("../nar/x".to_owned(), false),
        ] {
            let bucket = world.copied()?;
            bucket.put(&narinfo_key(library), with_field(&text, "URL", &url).as_bytes())?;
            let pulled = pull(world, &bucket, library)?;
            ensure!(pulled.status.success() == good, "{url}\n{pulled}");
        }
        let bucket = world.copied()?;
        let own = format!("s3://{}/{nar}", bucket.name());
        bucket.put(&narinfo_key(library), with_field(&text, "URL", &own).as_bytes())?;
        pull(world, &bucket, library)?.success()?;
        Ok(())
    }),
];

#[test]
fn what_newer_versions_do() -> Result<()> {
    check(ROWS)
}

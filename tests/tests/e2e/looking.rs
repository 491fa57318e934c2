//! A file of a large path costs what it needs, and real Nix reads what makes that possible.

use std::path::PathBuf;

use anyhow::{Context, Result};
use nars3_tests::nars3::Nars3;
use nars3_tests::nix::{Chroot, Nix};
use nars3_tests::tree;

use crate::setup::Setup;

const MIB: usize = 1 << 20;

/// A small file between two that no method compresses.
fn large_tree(nars3: &Nars3) -> Result<PathBuf> {
    let root = nars3.work().join("large");
    std::fs::create_dir(&root)?;
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut noise = |bytes: usize| -> Vec<u8> {
        let next = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        });
        next.flat_map(u64::to_le_bytes).take(bytes).collect()
    };
    std::fs::write(root.join("a"), noise(20 * MIB))?;
    std::fs::write(root.join("b"), "what is looked for\n")?;
    std::fs::write(root.join("c"), noise(21 * MIB))?;
    Ok(root)
}

fn add(nars3: &Nars3, url: &str, tree: &std::path::Path) -> Result<String> {
    nars3.run(["add".as_ref(), "--to".as_ref(), url.as_ref(), tree.as_os_str()])?.success()
}

/// Requests and bytes received of the only cache, as `--stats` tells.
fn cost(stderr: &str) -> Result<(u64, u64)> {
    let line = stderr.lines().find(|line| line.contains(" requests (")).context("no line of statistics")?;
    let before = |words: &str| -> Result<u64> {
        let (before, _) = line.split_once(words).with_context(|| format!("no '{words}' in '{line}'"))?;
        Ok(before.rsplit(' ').next().unwrap_or_default().parse()?)
    };
    Ok((before(" requests (")?, before(" bytes received")?))
}

#[test]
fn a_small_file_of_a_large_path_is_all_that_travels() -> Result<()> {
    let setup = Setup::new()?;
    let tree = large_tree(&setup.nars3)?;
    // The cache's own info, the narinfo, the listing, and the file; of zstd the table as well, and a frame of 16 MiB.
    for (compression, requests, most) in [("none", 4, 64 * 1024), ("zstd", 5, 17 << 20)] {
        let bucket = setup.server.fresh_bucket()?;
        let url = bucket.url(&format!("compression={compression}&write-nar-listing=true"));
        let path = add(&setup.nars3, &url, &tree)?;
        let cat = |file: &str| {
            setup.nars3.run([
                "store",
                "cat",
                "--stats",
                "--refresh",
                "--store",
                &url,
                &format!("{path}/{file}"),
            ])
        };
        let small = cat("b")?;
        let (asked, bytes) = cost(&small.stderr)?;
        assert_eq!(small.success()?, "what is looked for");
        assert_eq!(asked, requests, "{compression}");
        assert!(bytes < most, "{compression}: {bytes} bytes");
        let listing =
            setup.nars3.run(["store", "ls", "--stats", "--refresh", "-l", "--store", &url, &path])?;
        let (asked, bytes) = cost(&listing.stderr)?;
        assert!(asked == 3 && bytes < 64 * 1024, "{compression}: {asked} requests, {bytes} bytes");
    }
    Ok(())
}

#[test]
fn real_nix_reads_frames_with_their_table() -> Result<()> {
    let Some(nix) = Nix::find() else { return Ok(()) };
    let nars3 = Nars3::anonymous()?;
    let tree = large_tree(&nars3)?;
    let cache = format!("file://{}", nars3.home().join("cache-of-frames").display());
    let path = add(&nars3, &format!("{cache}?compression=zstd&write-nar-listing=true"), &tree)?;
    let (_, public_key) = nars3.key_pair("unused-1")?;
    let chroot = Chroot::new()?;
    nix.pull(&cache, &chroot, &path, &public_key)?.success()?;
    tree::ensure_equal(&tree, &chroot.physical(&path))?;
    nix.verify(&chroot)?;
    Ok(())
}

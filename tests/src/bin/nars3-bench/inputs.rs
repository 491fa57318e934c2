//! What is sent around: many small paths that refer to one another, and one big tree of real files.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use nars3_tests::nix::Nix;

/// A closure to copy.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    /// In a table.
    pub(crate) title: String,
    /// The root, as a full store path.
    pub(crate) root: String,
}

/// `count` paths of about 80 kB, half of it noise, each referring to two earlier ones, and a root that refers to all.
const SMALL_PATHS: &str = r#"
{ tag, count }:
let
  number = builtins.fromJSON count;
  build = name: attributes: script: derivation ({
    name = "${tag}-${name}";
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-e" "-c" script ];
    PATH = "/usr/bin:/bin";
  } // attributes);
  paths = builtins.genList (i: build (toString i) {
    earlier = if i == 0 then [ ] else [ (builtins.elemAt paths (i / 2)) (builtins.elemAt paths (i - 1)) ];
  } ''
    mkdir $out
    head -c 40000 /dev/urandom > $out/noise
    yes "path number ${toString i}" | head -c 40000 > $out/text
    echo $earlier > $out/references
  '') number;
in
build "root" { inherit paths; } "mkdir $out; echo $paths > $out/references"
"#;

pub(crate) fn build(nix: &Nix, quick: bool) -> Result<[Input; 2]> {
    let (count, tree_size) = if quick { ("20", 32 << 20) } else { ("500", 1 << 30) };
    let tag = format!("nars3-bench-{}", std::process::id());
    let (_, root) = nix.build(SMALL_PATHS, &[("tag", &tag), ("count", count)])?;
    let small = Input { title: format!("{count} small paths"), root };
    let tree = nix.home().join("tree");
    std::fs::create_dir(&tree)?;
    let bytes = copy_toolchain(&tree, tree_size)?;
    let root = nix.add(&tree)?;
    std::fs::remove_dir_all(&tree)?;
    let big = Input { title: format!("one tree of {} MiB", bytes >> 20), root };
    Ok([small, big])
}

/// Copies files of the Rust toolchain, programs and libraries and texts, until there are `wanted` bytes.
fn copy_toolchain(target: &Path, wanted: u64) -> Result<u64> {
    let output = Command::new("rustc")
        .args(["--print", "sysroot"])
        .output()
        .context("cannot ask rustc for its sysroot")?;
    let sysroot = String::from_utf8(output.stdout)?;
    let mut files = Vec::new();
    let mut pending = vec![std::path::PathBuf::from(sysroot.trim())];
    while let Some(directory) = pending.pop() {
        for entry in std::fs::read_dir(&directory)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                pending.push(entry.path());
            } else if entry.file_type()?.is_file() {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    let mut bytes = 0;
    for (number, file) in files.iter().cycle().enumerate().take(files.len() * 20) {
        if bytes >= wanted {
            break;
        }
        let directory = target.join(format!("{:03}", number / 200));
        std::fs::create_dir_all(&directory)?;
        bytes += std::fs::copy(file, directory.join(format!("{number:06}")))?;
    }
    Ok(bytes)
}

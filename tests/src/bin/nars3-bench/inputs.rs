//! What is sent around: many small paths, one after another or side by side, and one big tree of real files. Each is made
//! when the first chapter needs it.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use nars3_tests::nix::Nix;
use nars3_tests::synthetic::{Shape, write_cache};

use crate::floor::{self, Parts};

/// A closure to copy.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    /// In a sentence.
    pub(crate) title: String,
    /// The root, as a full store path.
    pub(crate) root: String,
    /// All paths, as full store paths.
    pub(crate) paths: Vec<String>,
}

/// Which input.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Which {
    /// 500 paths in one long chain.
    Small,
    /// The same, side by side.
    Wide,
    /// One tree of real files.
    Tree,
    /// As much of the tree as `xz` gets through in a reasonable time.
    PartOfTree,
}

/// All inputs, as far as they were needed.
pub(crate) struct Inputs<'a> {
    nix: &'a Nix,
    quick: bool,
    full: bool,
    made: HashMap<Which, OnceCell<(Input, OnceCell<Parts>)>>,
    directory: PathBuf,
}

impl<'a> Inputs<'a> {
    pub(crate) fn new(nix: &'a Nix, quick: bool, full: bool) -> Self {
        let all = [Which::Small, Which::Wide, Which::Tree, Which::PartOfTree];
        let made = all.into_iter().map(|which| (which, OnceCell::new())).collect();
        Self { nix, quick, full, made, directory: nix.home().to_owned() }
    }

    pub(crate) fn nix(&self) -> &'a Nix {
        self.nix
    }

    pub(crate) fn get(&self, which: Which) -> Result<&Input> {
        Ok(&self.made(which)?.0)
    }

    /// The processor seconds that this input costs at the least.
    pub(crate) fn parts(&self, which: Which) -> Result<&Parts> {
        let (input, parts) = self.made(which)?;
        if parts.get().is_none() {
            println!("  the parts that cannot be avoided, of {}", input.title);
            let _ = parts.set(floor::parts(&input.paths, &self.directory)?);
        }
        parts.get().context("just set")
    }

    fn made(&self, which: Which) -> Result<&(Input, OnceCell<Parts>)> {
        let cell = self.made.get(&which).context("an input without a place")?;
        if cell.get().is_none() {
            println!("  making {which:?}");
            let _ = cell.set((self.make(which)?, OnceCell::new()));
        }
        cell.get().context("just set")
    }

    fn make(&self, which: Which) -> Result<Input> {
        let (count, piece) = if self.quick { (20, 32 << 20) } else { (500, 256 << 20) };
        match which {
            Which::Small => self.synthetic("small", Shape::Chain, count, "one long chain of references"),
            Which::Wide => self.synthetic("wide", Shape::Shallow, count, "a shallow graph of references"),
            Which::Tree if self.quick => self.tree(Some(piece)),
            Which::Tree => self.tree(None),
            Which::PartOfTree => self.tree((self.quick || !self.full).then_some(piece)),
        }
    }

    fn synthetic(&self, tag: &str, shape: Shape, count: usize, words: &str) -> Result<Input> {
        let directory = self.directory.join(tag);
        let root =
            write_cache(&directory, &format!("nars3-bench-{tag}-{}", std::process::id()), shape, count)?;
        self.nix.import(&format!("file://{}", directory.display()), &root)?;
        std::fs::remove_dir_all(&directory)?;
        let paths = self.nix.closure(&root)?;
        Ok(Input { title: format!("{count} small paths in {words}, and their root"), root, paths })
    }

    /// The Rust toolchain: programs, libraries and texts, `wanted` bytes of it or all.
    fn tree(&self, wanted: Option<u64>) -> Result<Input> {
        let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output();
        let sysroot = String::from_utf8(sysroot.context("cannot ask rustc for its sysroot")?.stdout)?;
        let target = self.directory.join(if wanted.is_some() { "part-of-toolchain" } else { "toolchain" });
        let (files, bytes) = copy_tree(Path::new(sysroot.trim()), &target, wanted.unwrap_or(u64::MAX))?;
        let root = self.nix.add(&target)?;
        std::fs::remove_dir_all(&target)?;
        let title = format!("one tree of {files} files and {} MiB, the Rust toolchain", bytes >> 20);
        Ok(Input { title, paths: vec![root.clone()], root })
    }
}

/// Copies regular files until there are `wanted` bytes, and gives their number and size.
fn copy_tree(source: &Path, target: &Path, wanted: u64) -> Result<(u64, u64)> {
    let (mut files, mut bytes) = (0, 0);
    let mut open = vec![PathBuf::new()];
    while let Some(below) = open.pop() {
        if bytes >= wanted {
            break;
        }
        std::fs::create_dir_all(target.join(&below))?;
        let mut entries: Vec<_> = std::fs::read_dir(source.join(&below))?.collect::<Result<_, _>>()?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let path = below.join(entry.file_name());
            let kind = entry.file_type()?;
            if kind.is_dir() {
                open.push(path);
            } else if kind.is_file() && bytes < wanted {
                bytes += std::fs::copy(entry.path(), target.join(&path))?;
                files += 1;
            }
        }
    }
    Ok((files, bytes))
}

//! Closures made out of nothing, as binary caches in a directory: real Nix or nars3 take them from there.
//!
//! Written without the crates under test. Contents and names follow from the tag and the number of a path, so two
//! runs with one tag make the same.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::Result;
use sha2::{Digest, Sha256};

/// How the paths of a closure refer to one another. Path 0 is the root.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Each refers to the one before and to one in the middle, and the root to all: one long chain.
    Chain,
    /// A few layers: each refers to the twenty-fifth part of its number, and the root to all.
    Shallow,
    /// A tree with two branches at each path; the paths have some hundred bytes.
    Tiny,
}

/// Nix's base 32 leaves out four letters.
const NIX32: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// Writes `count` paths and their root below `directory`, and gives the root as a full store path.
///
/// # Errors
/// When the directory cannot be written to.
pub fn write_cache(directory: &Path, tag: &str, shape: Shape, count: usize) -> Result<String> {
    fs::create_dir_all(directory.join("nar"))?;
    fs::write(directory.join("nix-cache-info"), "StoreDir: /nix/store\n")?;
    for number in 0..=count {
        write_path(directory, tag, shape, number, count)?;
    }
    Ok(format!("/nix/store/{}", base_name(tag, 0)))
}

/// Writes one path, a file of `size` bytes, and gives it as a full store path: noise, or a hole in the file of the cache.
///
/// # Errors
/// When the directory cannot be written to.
pub fn write_large(directory: &Path, tag: &str, size: u64, sparse: bool) -> Result<String> {
    fs::create_dir_all(directory.join("nar"))?;
    fs::write(directory.join("nix-cache-info"), "StoreDir: /nix/store\n")?;
    let name = base_name(tag, 0);
    let hash_part = &name[..32];
    let mut file = Hashed {
        file: File::create(directory.join(format!("nar/{hash_part}.nar")))?,
        hasher: Sha256::new(),
        size: 0,
    };
    let mut head = Vec::new();
    put(&mut head, &[b"nix-archive-1", b"(", b"type", b"regular", b"contents"]);
    head.extend_from_slice(&size.to_le_bytes());
    file.add(&head, false)?;
    let mut block = vec![0_u8; 1 << 20];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut left = size;
    while left > 0 {
        let length = block.len().min(usize::try_from(left)?);
        if !sparse {
            // Xorshift: no secret, only bytes that no encoder can shorten.
            for chunk in block.chunks_exact_mut(8) {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                chunk.copy_from_slice(&state.to_le_bytes());
            }
        }
        file.add(&block[..length], sparse)?;
        left -= length as u64;
    }
    let mut tail = vec![0; usize::try_from(size.next_multiple_of(8) - size)?];
    put(&mut tail, &[b")"]);
    file.add(&tail, false)?;
    let hash: String = file.hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    write_narinfo(directory, &name, &hash, file.size, "")?;
    Ok(format!("/nix/store/{name}"))
}

/// A file that is hashed while it is written.
struct Hashed {
    file: File,
    hasher: Sha256,
    size: u64,
}

impl Hashed {
    fn add(&mut self, bytes: &[u8], hole: bool) -> Result<()> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        if hole {
            self.file.seek(SeekFrom::Start(self.size))?;
        } else {
            self.file.write_all(bytes)?;
        }
        Ok(())
    }
}

fn write_narinfo(directory: &Path, name: &str, hash: &str, size: u64, references: &str) -> Result<()> {
    let hash_part = &name[..32];
    let text = format!(
        "StorePath: /nix/store/{name}\nURL: nar/{hash_part}.nar\nCompression: none\nFileHash: sha256:{hash}\n\
         FileSize: {size}\nNarHash: sha256:{hash}\nNarSize: {size}\nReferences: {references}\n"
    );
    fs::write(directory.join(format!("{hash_part}.narinfo")), text)?;
    Ok(())
}

fn write_path(directory: &Path, tag: &str, shape: Shape, number: usize, count: usize) -> Result<()> {
    let name = base_name(tag, number);
    let references: Vec<String> =
        references(shape, number, count).into_iter().map(|other| base_name(tag, other)).collect();
    let nar = nar(&name, &references.join(" "), size(shape, number));
    let hash: String = Sha256::digest(&nar).iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(directory.join(format!("nar/{}.nar", &name[..32])), &nar)?;
    write_narinfo(directory, &name, &hash, nar.len() as u64, &references.join(" "))
}

fn references(shape: Shape, number: usize, count: usize) -> Vec<usize> {
    let mut references: Vec<usize> = match (shape, number) {
        (Shape::Tiny, _) => vec![2 * number + 1, 2 * number + 2],
        (_, 0) => (1..=count).collect(),
        (_, 1) => Vec::new(),
        (Shape::Chain, _) => vec![number.div_ceil(2), number - 1],
        (Shape::Shallow, _) => vec![(number / 25).max(1)],
    };
    references.retain(|other| *other <= count && (*other != number));
    references.sort_unstable();
    references.dedup();
    references
}

/// From 1 KiB to 2 MiB, most of them small: 39 MB for 500 paths. Tiny ones have 150 bytes.
fn size(shape: Shape, number: usize) -> usize {
    match (shape, number) {
        (Shape::Tiny, _) | (_, 0) => 150,
        // Spread evenly between 0 and 1 by the golden ratio.
        _ => {
            let spread = (number as f64 * 0.618_033_988_7).fract();
            (1024.0 * (11.0 * spread.powi(4)).exp2()) as usize
        }
    }
}

fn base_name(tag: &str, number: usize) -> String {
    let digest = Sha256::digest(format!("{tag} {number}"));
    let hash_part: String = digest.iter().map(|byte| char::from(NIX32[usize::from(byte % 32)])).collect();
    format!("{hash_part}-{tag}-{number}")
}

/// A directory with a file of `size` bytes, half of it noise and half of it text, and the references in another file.
fn nar(name: &str, references: &str, size: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(size + 1024);
    put(&mut out, &[b"nix-archive-1", b"(", b"type", b"directory"]);
    for (file, contents) in [("data", contents(name, size)), ("references", references.as_bytes().to_vec())] {
        put(&mut out, &[b"entry", b"(", b"name", file.as_bytes(), b"node", b"(", b"type", b"regular"]);
        put(&mut out, &[b"contents", &contents, b")", b")"]);
    }
    put(&mut out, &[b")"]);
    out
}

/// Appends words as a NAR has them: length, bytes, zeros up to the next multiple of eight.
fn put(out: &mut Vec<u8>, words: &[&[u8]]) {
    for word in words {
        out.extend_from_slice(&(word.len() as u64).to_le_bytes());
        out.extend_from_slice(word);
        out.resize(out.len().next_multiple_of(8), 0);
    }
}

fn contents(name: &str, size: usize) -> Vec<u8> {
    let mut contents = Vec::with_capacity(size + 64);
    let mut block = Sha256::digest(name);
    while contents.len() < size / 2 {
        contents.extend_from_slice(&block);
        block = Sha256::digest(block);
    }
    contents.truncate(size / 2);
    let line = format!("this line belongs to {name} and compresses well\n");
    contents.extend(line.bytes().cycle().take(size - size / 2));
    contents
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_reach_all_and_never_run_in_a_circle() {
        for shape in [Shape::Chain, Shape::Shallow, Shape::Tiny] {
            let count = 60;
            let mut reached = vec![false; count + 1];
            let mut open = vec![0];
            while let Some(number) = open.pop() {
                if !std::mem::replace(&mut reached[number], true) {
                    open.extend(references(shape, number, count));
                }
                let upwards = matches!(shape, Shape::Tiny);
                assert!(
                    references(shape, number, count)
                        .iter()
                        .all(|other| number == 0 || (*other > number) == upwards)
                );
            }
            assert!(reached.iter().all(|reached| *reached), "{shape:?}");
        }
    }

    #[test]
    fn sizes_are_those_of_the_table() {
        let total: usize = (1..=500).map(|number| size(Shape::Chain, number)).sum();
        assert!((38_000_000..40_000_000).contains(&total), "{total}");
    }
}

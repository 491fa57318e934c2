//! Single operations on a cache, of nars3 and of real Nix in turn.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use nars3_tests::server::Bucket;
use serde_json::{Value, json};

use super::figures;
use super::traffic::{Measured, measure};
use crate::inputs::{Inputs, Which};
use crate::world::World;

/// The file that is looked for.
const NEEDLE: &str = "needle";

pub(super) fn run(inputs: &Inputs<'_>, large: u64, runs: usize) -> Result<Value> {
    let world = World::start(inputs.nix())?;
    let mut bench = Bench { world: &world, runs, rows: Vec::new() };
    bench.closures(inputs)?;
    bench.single_files(&large_tree(inputs.nix().home(), large)?)?;
    Ok(Value::Array(bench.rows))
}

struct Bench<'a> {
    world: &'a World<'a>,
    runs: usize,
    rows: Vec<Value>,
}

impl Bench<'_> {
    /// Path infos and verification of five hundred paths, in a chain and side by side.
    fn closures(&mut self, inputs: &Inputs<'_>) -> Result<()> {
        for (which, shape) in [(Which::Small, "in one chain"), (Which::Wide, "side by side")] {
            let input = inputs.get(which)?;
            let (root, count) = (input.root.as_str(), input.paths.len());
            let bucket = self.world.open_bucket()?;
            crate::measure::measure(&mut self.world.nars3_push(&bucket, "zstd", root))?;
            for (title, words) in [
                (format!("path-info -rS, {count} paths {shape}"), vec!["path-info", "-rS"]),
                (
                    format!("store verify -r, {count} paths {shape}, without contents"),
                    vec!["store", "verify", "-r", "--no-contents"],
                ),
                (format!("store verify -r, {count} paths {shape}"), vec!["store", "verify", "-r"]),
            ] {
                self.row(&title, &bucket, &words, root)?;
            }
        }
        Ok(())
    }

    /// A listing, and one small file, of a large path.
    fn single_files(&mut self, tree: &Path) -> Result<()> {
        for (settings, words) in [
            ("compression=none&write-nar-listing=true", "uncompressed, with a listing"),
            ("compression=zstd&write-nar-listing=true", "zstd, with a listing"),
            ("compression=zstd", "zstd, without a listing"),
        ] {
            let bucket = self.world.open_bucket()?;
            let mut add = self.world.nars3.command();
            let added = add.args(["add", "--to", &bucket.url(settings)]).arg(tree).output()?;
            let path = String::from_utf8(added.stdout)?.trim().to_owned();
            anyhow::ensure!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
            self.row(
                &format!("store ls -lR, a large path, {words}"),
                &bucket,
                &["store", "ls", "-lR"],
                &path,
            )?;
            let file = format!("{path}/{NEEDLE}");
            self.row(&format!("store cat, a large path, {words}"), &bucket, &["store", "cat"], &file)?;
        }
        Ok(())
    }

    /// The same words for both tools.
    fn row(&mut self, title: &str, bucket: &Bucket, words: &[&str], subject: &str) -> Result<()> {
        println!("  {title}");
        let (mut nix, mut nars3): (Vec<Measured>, Vec<Measured>) = (Vec::new(), Vec::new());
        let server = self.world.server.endpoint();
        for run in 0..self.runs {
            // Both take turns at going first.
            for nix_now in [run % 2 == 0, run % 2 != 0] {
                if nix_now {
                    let mut command = self.nix(words, bucket);
                    nix.push(measure(server, command.arg(subject))?);
                } else {
                    let mut command = self.nars3(words, bucket);
                    nars3.push(measure(server, command.arg(subject))?);
                }
            }
        }
        self.rows.push(json!({ "title": title, "nix": figures(&nix), "nars3": figures(&nars3) }));
        Ok(())
    }

    fn nix(&self, words: &[&str], bucket: &Bucket) -> Command {
        let mut command = self.world.nix.command_trusting("nix", &self.world.public_key);
        command.args(words).args(["--store", &bucket.http_url()]);
        command
    }

    fn nars3(&self, words: &[&str], bucket: &Bucket) -> Command {
        let mut command = self.world.nars3.command();
        // As cold as Nix, whose cache of narinfos is empty each time.
        command.args(words).args(["--refresh", "--store", &bucket.url("")]);
        if words.contains(&"verify") {
            command.args(["--trusted-public-keys", &self.world.public_key]);
        }
        command
    }
}

/// A small file between two that no method compresses, `bytes` together.
fn large_tree(directory: &Path, bytes: u64) -> Result<PathBuf> {
    let root = directory.join("large");
    std::fs::create_dir(&root).context("cannot make the large path")?;
    std::fs::write(root.join(NEEDLE), "what is looked for\n")?;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for name in ["a-noise", "z-noise"] {
        let mut file = std::io::BufWriter::with_capacity(1 << 20, std::fs::File::create(root.join(name))?);
        for _ in 0..bytes / 2 / 8 {
            // Xorshift: no secret, only bytes that no encoder can shorten.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            file.write_all(&state.to_le_bytes())?;
        }
        file.flush()?;
    }
    Ok(root)
}

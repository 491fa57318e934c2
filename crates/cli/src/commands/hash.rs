//! `nars3 hash …`.

use std::fs::File;
use std::path::Path;

use nars3_nar::DumpOptions;
use nars3_store_path::{Algorithm, Hash, Hasher};

use crate::args::{HashArgs, HashCommand, HashConvertArgs, HashPathArgs};
use crate::error::{CliResult, ResultExt};
use crate::output::Output;

pub(crate) fn run(args: HashArgs) -> CliResult {
    match args.command {
        HashCommand::Path(args) => hash_each(&args, nar_hash),
        HashCommand::File(args) => hash_each(&args, file_hash),
        HashCommand::Convert(args) => convert(&args),
    }
}

fn hash_each(args: &HashPathArgs, hash: fn(&Path, Algorithm) -> CliResult<Hash>) -> CliResult {
    let mut output = Output::stdout();
    for path in &args.paths {
        let hash = hash(path, args.algorithm.into())?;
        output.line(args.format.encoding().print(&hash))?;
    }
    output.finish()
}

fn nar_hash(path: &Path, algorithm: Algorithm) -> CliResult<Hash> {
    if algorithm == Algorithm::Sha256 {
        let (hash, _size) = nars3_nar::hash_path(path, &DumpOptions::default())?;
        return Ok(hash);
    }
    let mut hasher = Hasher::new(algorithm);
    nars3_nar::dump(path, &mut hasher, &DumpOptions::default())?;
    Ok(hasher.finish())
}

fn file_hash(path: &Path, algorithm: Algorithm) -> CliResult<Hash> {
    let mut hasher = Hasher::new(algorithm);
    File::open(path)
        .and_then(|mut file| std::io::copy(&mut file, &mut hasher))
        .context(|| format!("cannot read '{}'", path.display()))?;
    Ok(hasher.finish())
}

fn convert(args: &HashConvertArgs) -> CliResult {
    let mut output = Output::stdout();
    for text in &args.hashes {
        let hash = match args.hash_algo {
            Some(algorithm) => Hash::parse_with(algorithm.into(), text),
            None => Hash::parse(text),
        };
        let hash = hash.context(|| format!("cannot convert '{text}'")).hint(|| {
            "a hash is ALGORITHM:DIGEST or ALGORITHM-BASE64; for a digest alone, give --hash-algo".to_owned()
        })?;
        output.line(args.to.print(&hash))?;
    }
    output.finish()
}

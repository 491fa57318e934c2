//! Which store paths a copy begins with: paths and links, outputs of derivations, derivers, standard input, or all there are.

use std::collections::BTreeSet;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use nars3_nar::{Decoder, Event};
use nars3_nix_store::derivation_outputs;
use nars3_store_api::{NarReader, Store};
use nars3_store_path::{DerivedPathError, OutputsSpec, StoreDir, StorePath};

use crate::args::CopyArgs;
use crate::commands::path_info::all_paths;
use crate::error::{CliError, CliResult, ResultExt};
use crate::installable::store_path;

/// The paths that `args` name in `source`, each once, in the order in which they were named.
pub(crate) async fn roots(args: &CopyArgs, source: &dyn Store) -> CliResult<Vec<StorePath>> {
    if args.all {
        return all_paths(source).await;
    }
    let mut texts = args.paths.clone();
    if args.stdin {
        texts.extend(tokio::task::spawn_blocking(lines_of_stdin).await??);
    }
    let mut roots = Vec::new();
    for text in &texts {
        roots.extend(named(text, args.derivation, source).await?);
    }
    let mut seen = BTreeSet::new();
    roots.retain(|root| seen.insert(root.clone()));
    Ok(roots)
}

/// Store paths from standard input, one a line. Blocks until its end.
fn lines_of_stdin() -> CliResult<Vec<PathBuf>> {
    let mut texts = Vec::new();
    for line in std::io::stdin().lock().lines() {
        let line = line.context(|| "cannot read store paths from standard input".to_owned())?;
        texts.extend(Some(line.trim()).filter(|line| !line.is_empty()).map(PathBuf::from));
    }
    Ok(texts)
}

async fn named(text: &Path, derivation: bool, source: &dyn Store) -> CliResult<Vec<StorePath>> {
    let Some((before, outputs)) = with_outputs(text)? else {
        let path = store_path(text, source.store_dir())?;
        return Ok(vec![if derivation { deriver(path, source).await? } else { path }]);
    };
    let path = store_path(&before, source.store_dir())?;
    if !is_derivation(&path) {
        return Err(CliError::new(format!("'{path}' is not a derivation, so it has no outputs to choose"))
            .hint("write the store path alone, without '^'"));
    }
    if derivation {
        return Ok(vec![path]);
    }
    outputs_of(&path, &outputs, source).await
}

fn is_derivation(path: &StorePath) -> bool {
    path.name().ends_with(".drv")
}

/// `PATH^out,dev` and `PATH^*` in their two parts; `None` for a text without `^`. A store path has none in it.
fn with_outputs(text: &Path) -> CliResult<Option<(PathBuf, OutputsSpec)>> {
    let Some((path, outputs)) = text.to_str().and_then(|text| text.rsplit_once('^')) else { return Ok(None) };
    if outputs.contains('/') {
        return Ok(None);
    }
    let outputs = outputs.parse().map_err(|error: DerivedPathError| {
        CliError::new(format!("'{}' asks for no outputs: {error}", text.display()))
            .hint("write DERIVATION^out, DERIVATION^out,dev or DERIVATION^*")
    })?;
    Ok(Some((PathBuf::from(path), outputs)))
}

/// The derivation that a path was built from, as `--derivation` asks for.
async fn deriver(path: StorePath, source: &dyn Store) -> CliResult<StorePath> {
    if is_derivation(&path) {
        return Ok(path);
    }
    let info = source.path_info(&path).await?;
    let info =
        info.ok_or_else(|| CliError::new(format!("path '{path}' is not valid in store '{source}'")))?;
    let Some(deriver) = &info.deriver else {
        return Err(CliError::new(format!("'{source}' does not know the derivation of '{path}'"))
            .hint("name the derivation itself, the path that ends in .drv"));
    };
    if source.path_info(deriver).await?.is_none() {
        return Err(CliError::new(format!("'{deriver}', the derivation of '{path}', is not valid in '{source}'"))
            .hint("a cache holds derivations only if they were copied there; take them from the store that built the path"));
    }
    Ok(deriver.clone())
}

async fn outputs_of(path: &StorePath, wanted: &OutputsSpec, source: &dyn Store) -> CliResult<Vec<StorePath>> {
    let known = read_outputs(path, source).await?;
    let chosen: Vec<StorePath> = match wanted {
        OutputsSpec::All => known.iter().map(|(_, output)| output.clone()).collect(),
        OutputsSpec::Names(names) => {
            let find = |name: &String| {
                let found = known.iter().find(|(known, _)| known == name).map(|(_, output)| output.clone());
                found.ok_or_else(|| {
                    let names: Vec<_> = known.iter().map(|(name, _)| name.as_str()).collect();
                    CliError::new(format!("derivation '{path}' has no output '{name}' whose path is known"))
                        .hint(match names.as_slice() {
                            [] => {
                                "the paths of its outputs depend on their contents: name the paths themselves"
                                    .to_owned()
                            }
                            names => format!("it has {}", names.join(", ")),
                        })
                })
            };
            names.iter().map(find).collect::<CliResult<_>>()?
        }
    };
    let valid: BTreeSet<StorePath> = source.valid_paths(&chosen).await?.into_iter().collect();
    match chosen.iter().find(|output| !valid.contains(*output)) {
        None => Ok(chosen),
        Some(output) => {
            Err(CliError::new(format!("'{output}', an output of '{path}', is not in '{source}'"))
                .hint(format!("build it first: nix-store --realise {}", source.store_dir().print(path))))
        }
    }
}

/// The names and the paths of the outputs of a derivation, read from the derivation where the source has it, or else from
/// the file on this machine.
async fn read_outputs(path: &StorePath, source: &dyn Store) -> CliResult<Vec<(String, StorePath)>> {
    let store_dir = source.store_dir().clone();
    let printed = store_dir.print(path);
    let cannot_read = {
        let printed = printed.clone();
        move || format!("cannot read the derivation '{printed}'")
    };
    if let Some(info) = source.path_info(path).await? {
        let nar = source.nar(&info).await?.into_reader();
        return tokio::task::spawn_blocking(move || outputs_in_nar(nar, &store_dir))
            .await?
            .context(cannot_read);
    }
    let file = std::fs::File::open(&printed)
        .context(|| format!("derivation '{path}' is not valid in '{source}', and is not on this machine"))?;
    derivation_outputs(file, &store_dir).context(cannot_read)
}

fn outputs_in_nar(nar: NarReader, store_dir: &StoreDir) -> CliResult<Vec<(String, StorePath)>> {
    let mut decoder = Decoder::new(nar);
    let outputs = match decoder.next()? {
        Some(Event::Regular { .. }) => derivation_outputs(decoder.contents(), store_dir)?,
        _ => return Err(CliError::new("it is not a regular file")),
    };
    // To the end: only then it is known that the bytes are those that were promised.
    while decoder.next()?.is_some() {}
    decoder.finish()?;
    Ok(outputs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_stand_behind_the_path() {
        let split = |text: &str| with_outputs(Path::new(text)).unwrap();
        assert_eq!(split("/nix/store/x.drv"), None);
        assert_eq!(split("/odd^directory/x"), None);
        let path = PathBuf::from("/nix/store/x.drv");
        assert_eq!(split("/nix/store/x.drv^*"), Some((path.clone(), OutputsSpec::All)));
        let named = OutputsSpec::names(["out", "dev"]).unwrap();
        assert_eq!(split("/nix/store/x.drv^out,dev"), Some((path, named)));
        for text in ["x.drv^", "x.drv^out,", "x.drv^,"] {
            assert!(with_outputs(Path::new(text)).is_err(), "{text}");
        }
    }
}

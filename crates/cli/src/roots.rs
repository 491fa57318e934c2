//! Which store paths a copy begins with: paths and links, outputs of derivations, derivers, standard input, or all there are.

use std::collections::BTreeSet;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use nars3_store_api::BuildRecords;
use nars3_store_path::{DerivedPathError, OutputsSpec, RealisedOutput, StorePath};

use crate::args::CopyArgs;
use crate::commands::path_info::all_paths;
use crate::error::{CliError, CliResult, ResultExt};
use crate::installable::store_path;
use crate::outputs::{ChosenOutput, outputs_of};

/// What a copy begins with.
#[derive(Debug, Default)]
pub(crate) struct Roots {
    /// Each once, in the order in which they were named.
    pub(crate) paths: Vec<StorePath>,
    /// Those of them that only a build could tell, as the source has them on record.
    pub(crate) realised: Vec<RealisedOutput>,
    /// What was named and leads to no path, for a copy that is to go on.
    pub(crate) unresolved: Vec<CliError>,
}

/// The paths that `args` name in `source`.
pub(crate) async fn roots(args: &CopyArgs, source: &dyn BuildRecords) -> CliResult<Roots> {
    if args.all {
        return Ok(Roots { paths: all_paths(source).await?, ..Roots::default() });
    }
    let mut texts = args.paths.clone();
    if args.stdin {
        let lines = tokio::task::spawn_blocking(lines_of_stdin).await??;
        if lines.is_empty() {
            // As when the command before the pipe has failed.
            tracing::warn!("standard input names no path");
        }
        texts.extend(lines);
    }
    let mut roots = Roots::default();
    for text in &texts {
        match named(text, args.derivation, source).await {
            Ok(outputs) => {
                for ChosenOutput { path, realised } in outputs {
                    roots.paths.push(path);
                    roots.realised.extend(realised);
                }
            }
            Err(error) if args.keep_going => roots.unresolved.push(error),
            Err(error) => return Err(error),
        }
    }
    let mut seen = BTreeSet::new();
    roots.paths.retain(|root| seen.insert(root.clone()));
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

async fn named(text: &Path, derivation: bool, source: &dyn BuildRecords) -> CliResult<Vec<ChosenOutput>> {
    let itself = |path| Ok(vec![ChosenOutput { path, realised: None }]);
    let Some((before, outputs)) = with_outputs(text)? else {
        let path = store_path(text, source.store_dir())?;
        return itself(if derivation { deriver(path, source).await? } else { path });
    };
    let path = store_path(&before, source.store_dir())?;
    if !is_derivation(&path) {
        return Err(CliError::new(format!("'{path}' is not a derivation, so it has no outputs to choose"))
            .hint("write the store path alone, without '^'"));
    }
    if derivation {
        return itself(path);
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
async fn deriver(path: StorePath, source: &dyn BuildRecords) -> CliResult<StorePath> {
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

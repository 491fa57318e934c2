//! Which store paths the outputs of a derivation are: as it says itself, or, where they depend on their contents, as a build
//! has found out.

use std::collections::{BTreeSet, HashMap};
use std::io::Read;

use nars3_nar::{Decoder, Event};
use nars3_nix_store::{Derivation, DerivationError, derivation_outputs};
use nars3_store_api::{BuildRecords, NarReader};
use nars3_store_path::{BuildTraceKey, DrvOutput, OutputsSpec, RealisedOutput, StorePath};

use crate::error::{CliError, CliResult, ResultExt};

/// Bytes that a derivation may have.
const LARGEST: u64 = 64 << 20;

/// An output that was asked for.
#[derive(Debug)]
pub(crate) struct ChosenOutput {
    pub(crate) path: StorePath,
    /// Where only a build could tell the path: what the store has recorded of it.
    pub(crate) realised: Option<RealisedOutput>,
}

/// The outputs of the derivation at `path` that are `wanted`. All are valid in `source`.
pub(crate) async fn outputs_of(
    path: &StorePath,
    wanted: &OutputsSpec,
    source: &dyn BuildRecords,
) -> CliResult<Vec<ChosenOutput>> {
    let outputs = read_outputs(path, source).await?;
    let mut chosen = Vec::new();
    for name in wanted_names(path, wanted, &outputs)? {
        let known = outputs.names.iter().find(|(known, _)| *known == name).and_then(|(_, path)| path.clone());
        chosen.push(match known {
            Some(path) => ChosenOutput { path, realised: None },
            None => built(path, &name, outputs.derivation.as_ref(), source).await?,
        });
    }
    let paths: Vec<StorePath> = chosen.iter().map(|output| output.path.clone()).collect();
    let valid: BTreeSet<StorePath> = source.valid_paths(&paths).await?.into_iter().collect();
    match paths.iter().find(|output| !valid.contains(*output)) {
        None => Ok(chosen),
        Some(output) => {
            Err(CliError::new(format!("'{output}', an output of '{path}', is not in '{source}'"))
                .hint(build_hint(path, source)))
        }
    }
}

fn build_hint(path: &StorePath, source: &dyn BuildRecords) -> String {
    format!("build it first: nix-store --realise {}", source.store_dir().print(path))
}

fn wanted_names(path: &StorePath, wanted: &OutputsSpec, outputs: &Outputs) -> CliResult<Vec<String>> {
    let names: Vec<&String> = outputs.names.iter().map(|(name, _)| name).collect();
    match wanted {
        OutputsSpec::All => Ok(names.into_iter().cloned().collect()),
        OutputsSpec::Names(wanted) => match wanted.iter().find(|name| !names.contains(name)) {
            None => Ok(wanted.iter().cloned().collect()),
            Some(unknown) => {
                let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
                Err(CliError::new(format!("derivation '{path}' has no output '{unknown}'"))
                    .hint(format!("it has {}", names.join(", "))))
            }
        },
    }
}

/// What the output turned out to be, by the derivation's path, or else by its hash.
async fn built(
    path: &StorePath,
    name: &str,
    derivation: Option<&Derivation>,
    source: &dyn BuildRecords,
) -> CliResult<ChosenOutput> {
    let by_path = RealisedOutput::ByPath(BuildTraceKey::new(path.clone(), name)?);
    let mut found = source.realised(&by_path).await?;
    if found.is_none()
        && let Some(derivation) = derivation
    {
        let inputs = inputs_of(derivation, source).await?;
        let context = || format!("cannot tell by which hash output '{name}' of '{path}' is known");
        let hash = derivation.output_hash(name, &inputs).context(context)?;
        found = source.realised(&RealisedOutput::ByHash(DrvOutput::new(hash, name)?)).await?;
    }
    match found {
        Some(found) => {
            Ok(ChosenOutput { path: found.out_path().clone(), realised: Some(found.output()) })
        }
        None => Err(CliError::new(format!(
            "the path of output '{name}' of '{path}' depends on its contents, and '{source}' has no record of what it \
             turned out to be"
        ))
        .hint(format!("{}; or name the output's path itself", build_hint(path, source)))),
    }
}

/// All derivations that `derivation` needs, directly or not, by their full paths.
async fn inputs_of(
    derivation: &Derivation,
    source: &dyn BuildRecords,
) -> CliResult<HashMap<String, Derivation>> {
    let store_dir = source.store_dir();
    let mut inputs = HashMap::new();
    let mut open = derivation.inputs(store_dir)?;
    while let Some(path) = open.pop() {
        let printed = store_dir.print(&path);
        if inputs.contains_key(&printed) {
            continue;
        }
        let input = Derivation::read(read(&path, source).await?.as_slice())
            .context(|| format!("cannot read the derivation '{printed}'"))?;
        open.extend(input.inputs(store_dir)?);
        inputs.insert(printed, input);
    }
    Ok(inputs)
}

/// What a derivation says of its outputs.
struct Outputs {
    names: Vec<(String, Option<StorePath>)>,
    /// All of it, where all of it is understood.
    derivation: Option<Derivation>,
}

async fn read_outputs(path: &StorePath, source: &dyn BuildRecords) -> CliResult<Outputs> {
    let store_dir = source.store_dir();
    let context = || format!("cannot read the derivation '{}'", store_dir.print(path));
    let bytes = read(path, source).await?;
    match Derivation::read(bytes.as_slice()) {
        Ok(derivation) => {
            let names = derivation.outputs(store_dir).context(context)?;
            Ok(Outputs { names, derivation: Some(derivation) })
        }
        Err(DerivationError::Dynamic) => {
            let known = derivation_outputs(bytes.as_slice(), store_dir).context(context)?;
            let names = known.into_iter().map(|(name, path)| (name, Some(path))).collect();
            Ok(Outputs { names, derivation: None })
        }
        Err(error) => Err(error).context(context),
    }
}

/// The text of a derivation, from the source where it has it, or else from the file on this machine.
async fn read(path: &StorePath, source: &dyn BuildRecords) -> CliResult<Vec<u8>> {
    let printed = source.store_dir().print(path);
    let context = {
        let printed = printed.clone();
        move || format!("cannot read the derivation '{printed}'")
    };
    if let Some(info) = source.path_info(path).await? {
        let nar = source.nar(&info).await?.into_reader();
        return tokio::task::spawn_blocking(move || read_nar(nar)).await?.context(context);
    }
    let file = std::fs::File::open(&printed)
        .context(|| format!("derivation '{path}' is not valid in '{source}', and is not on this machine"))?;
    read_all(file).context(context)
}

fn read_nar(nar: NarReader) -> CliResult<Vec<u8>> {
    let mut decoder = Decoder::new(nar);
    let bytes = match decoder.next()? {
        Some(Event::Regular { .. }) => read_all(decoder.contents())?,
        _ => return Err(CliError::new("it is not a regular file")),
    };
    // To the end: only then it is known that the bytes are those that were promised.
    while decoder.next()?.is_some() {}
    decoder.finish()?;
    Ok(bytes)
}

fn read_all(file: impl Read) -> CliResult<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(CliError::new(format!("it has more than {LARGEST} bytes, which no derivation has")));
    }
    Ok(bytes)
}

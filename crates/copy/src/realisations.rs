//! Copies what the outputs of content-addressed derivations turned out to be, after the paths themselves.

use std::collections::HashSet;

use nars3_store_api::BuildRecords;
use nars3_store_path::{AnyRealisation, RealisedOutput};

use crate::CopyError;

/// Copies the realisations of `outputs`, and of what those were built with, each after its dependencies. What they name
/// must be valid at the destination. Answers how many of them, or of their signatures, were new.
///
/// With `check_signatures`, a destination that asks for signatures of paths gets only realisations that a key of its own
/// has signed (Nix 2.29 `local-store.cc`, `registerDrvOutput`).
///
/// # Errors
/// `CopyError::NoRealisation` when the source knows nothing of one, `CopyError::UntrustedRealisation`, and what the stores
/// answer.
pub async fn copy_realisations(
    source: &dyn BuildRecords,
    destination: &dyn BuildRecords,
    outputs: &[RealisedOutput],
    check_signatures: bool,
) -> Result<usize, CopyError> {
    let keys = if check_signatures { destination.write_behaviour().required_signatures } else { None };
    let mut new = 0;
    for realisation in dependencies_first(source, outputs).await? {
        if keys.as_ref().is_some_and(|keys| realisation.valid_signatures(keys) == 0) {
            return Err(CopyError::UntrustedRealisation {
                output: realisation.output(),
                store: destination.to_string(),
            });
        }
        new += usize::from(destination.add_realised(realisation).await?);
    }
    Ok(new)
}

/// The realisations of `outputs` and of all that they depend on, each once and after what it depends on.
async fn dependencies_first(
    source: &dyn BuildRecords,
    outputs: &[RealisedOutput],
) -> Result<Vec<AnyRealisation>, CopyError> {
    enum Step {
        Visit(RealisedOutput),
        Take(AnyRealisation),
    }
    let mut seen = HashSet::new();
    let mut sorted = Vec::new();
    let mut open: Vec<Step> = outputs.iter().rev().cloned().map(Step::Visit).collect();
    while let Some(step) = open.pop() {
        let output = match step {
            Step::Take(realisation) => {
                sorted.push(realisation);
                continue;
            }
            Step::Visit(output) if !seen.insert(output.clone()) => continue,
            Step::Visit(output) => output,
        };
        let found = source.realised(&output).await?;
        let realisation =
            found.ok_or_else(|| CopyError::NoRealisation { source_store: source.to_string(), output })?;
        let needs: Vec<RealisedOutput> = match &realisation {
            AnyRealisation::ByHash(realisation) => {
                realisation.dependent_realisations.keys().cloned().map(RealisedOutput::ByHash).collect()
            }
            AnyRealisation::ByPath(_) => Vec::new(),
        };
        open.push(Step::Take(realisation));
        open.extend(needs.into_iter().map(Step::Visit));
    }
    Ok(sorted)
}

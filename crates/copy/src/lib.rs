//! Copies store paths with their closures from any Nix store to any other. It knows nothing of buckets, databases or
//! daemons: two `Store`s go in, a report comes out, and between them lie a closure, a plan and a bounded pipeline in
//! which NARs travel in any order while paths become valid in the order of their references.
//!
//! ```no_run
//! use std::sync::Arc;
//! use nars3_copy::{CopyOptions, copy};
//! use nars3_store_api::{NoProgress, Store};
//! use nars3_store_path::StorePath;
//!
//! # async fn example(from: Arc<dyn Store>, to: Arc<dyn Store>, root: StorePath) -> Result<(), nars3_copy::CopyError> {
//! let report = copy(&from, &to, &[root], &CopyOptions::default(), Arc::new(NoProgress)).await?;
//! println!("{} paths copied, {} were there", report.copied.len(), report.present);
//! # Ok(())
//! # }
//! ```
//!
//! | module | job |
//! |---|---|
//! | `closure` | the roots and everything they refer to, in a few rounds of queries |
//! | `plan` | what of a closure is missing at the destination, and in which order to send it |
//! | `failures` | what of it cannot be copied, for a copy that goes on without it |
//! | `selection` | what of it is left out all the same: what an upstream has, what is excluded |
//! | `state` | a file that remembers what is done, for a copy that is taken up again |
//! | `admission` | whether a path may come in: signatures, and content addresses as claims to be proven |
//! | `fresh` | path infos that do not admit their path, asked for once more |
//! | `publication` | which staged paths may become visible next |
//! | `transfer` | one path from store to store, unpacked or in its file |
//! | `realisations` | what content-addressed outputs turned out to be, after their paths |
//! | `options` | how to copy, and the report of what was done |
//! | `error` | why a copy failed, and which paths |
//! | `pipeline` | drives the two steps of every path, a bounded number at once |

mod admission;
mod closure;
mod error;
mod failures;
mod fresh;
mod options;
mod pipeline;
mod plan;
mod publication;
mod realisations;
mod selection;
mod state;
#[cfg(test)]
mod test_store;
mod transfer;

pub use closure::{Closures, closure, closures};
pub use error::{CopyError, FailedPath};
pub use options::{CopyOptions, Report};
pub use pipeline::{copy, execute};
pub use plan::{Plan, plan};
pub use realisations::copy_realisations;
pub use selection::{LeftOut, Omission, PathPredicate, Selection, Signer};
pub use state::{CopyState, StateError};

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
//! | `admission` | whether a path may come in: signatures, and content addresses as claims to be proven |
//! | `publication` | which staged paths may become visible next |
//! | `pipeline` | drives the two steps of every path, a bounded number at once |

mod admission;
mod closure;
mod error;
mod options;
mod pipeline;
mod plan;
mod publication;
#[cfg(test)]
mod test_store;

pub use closure::closure;
pub use error::{CopyError, FailedPath};
pub use options::{CopyOptions, Report};
pub use pipeline::{copy, execute};
pub use plan::{Plan, plan};

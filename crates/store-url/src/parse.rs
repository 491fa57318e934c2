//! Reading: what stands in front of the settings, the settings, and what they mean together.

mod base;
mod reference;
mod settings;

pub(crate) use base::bucket;
pub(crate) use reference::{Base, split};
pub(crate) use settings::apply_settings;

use crate::error::StoreUrlError;
use crate::store_url::{Parsed, StoreUrl};

/// Reads a whole store URL.
pub(crate) fn store_url(text: &str) -> Result<Parsed, StoreUrlError> {
    let reference = split(text)?;
    let mut url = StoreUrl::new(base::kind(&reference, text)?);
    let mut warnings = reference.warnings();
    let store = url.kind.store_type();
    apply_settings(&mut url, store, &reference, &mut warnings)?;
    Ok(Parsed { url, warnings })
}

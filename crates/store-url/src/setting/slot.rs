//! How a row of the table reaches its field: two function pointers, made by one macro.

use crate::error::ValueProblem;
use crate::setting::Setting;
use crate::store_url::StoreUrl;

/// The place of a setting's value in a `StoreUrl`.
#[derive(Clone, Copy)]
pub(crate) struct Slot {
    /// Reads a value, percent-decoded, into the field. Does nothing for a store without that field.
    pub(crate) read: fn(&mut StoreUrl, &str, &Setting) -> Result<(), ValueProblem>,
    /// The field's value as it is written in a URL. `None`: there is no value, or no such field.
    pub(crate) show: fn(&StoreUrl, &Setting) -> Option<String>,
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Slot")
    }
}

/// A slot out of two expressions over a `StoreUrl` that give `Option<&Field>` and `Option<&mut Field>`.
macro_rules! slot {
    ($url:ident => $shared:expr, $exclusive:expr) => {
        $crate::setting::Slot {
            read: |$url, text, setting| {
                if let Some(field) = $exclusive {
                    *field = $crate::setting::field::Field::read(text, setting)?;
                }
                Ok(())
            },
            show: |$url, setting| {
                $shared.and_then(|field| $crate::setting::field::Field::show(field, setting))
            },
        }
    };
}

/// A field behind one of the accessors of `StoreKind`: `of_kind!(s3, s3_mut, region)`.
macro_rules! of_kind {
    ($shared:ident, $exclusive:ident, $($field:ident).+) => {
        $crate::setting::slot::slot!(
            url => url.kind.$shared().map(|settings| &settings.$($field).+),
            url.kind.$exclusive().map(|settings| &mut settings.$($field).+)
        )
    };
}

pub(crate) use {of_kind, slot};

//! Who listens to what is unusual in a narinfo: a set of flags, or a list of findings.

use nars3_store_path::StorePathError;

use super::error::excerpt;
use super::scan::Unlocated;
use super::{Field, Flags, NarInfoProblem};

/// A place in a narinfo.
#[derive(Copy, Clone, Debug)]
pub(super) struct At<'a> {
    /// In bytes from the start of the text; `usize::MAX` when the place is the whole narinfo.
    pub(super) offset: usize,
    pub(super) field: Option<Field>,
    pub(super) value: &'a str,
}

impl At<'_> {
    /// The whole narinfo, for what is missing.
    pub(super) const fn whole() -> Self {
        Self { offset: usize::MAX, field: None, value: "" }
    }

    #[cold]
    pub(super) fn problem(self, problem: NarInfoProblem) -> Unlocated {
        Unlocated { offset: Some(self.offset), field: self.field, value: Some(excerpt(self.value)), problem }
    }

    #[cold]
    pub(super) fn not_a_path(self, source: StorePathError) -> Unlocated {
        self.problem(NarInfoProblem::StorePath(Box::new(source)))
    }
}

/// Hears what is unusual while a narinfo is read.
pub(super) trait Notes {
    fn note(&mut self, flag: Flags, at: At<'_>);
}

/// Remembers that something was unusual, but not where.
impl Notes for Flags {
    fn note(&mut self, flag: Flags, _: At<'_>) {
        *self |= flag;
    }
}

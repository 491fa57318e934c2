//! One file a command: from its arguments, through the libraries, to what it prints.

pub(crate) mod add;
pub(crate) mod copy;
pub(crate) mod doctor;
pub(crate) mod generated;
pub(crate) mod hash;
pub(crate) mod key;
mod listing;
pub(crate) mod nar;
pub(crate) mod path_info;
pub(crate) mod store;

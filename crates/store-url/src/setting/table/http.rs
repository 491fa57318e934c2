//! Settings of caches on web servers.

use super::{Range, Setting, StoreType, row};
use crate::setting::Origin::Nars3;
use crate::setting::slot::of_kind;

pub(super) static ROWS: [Setting; 1] = [row(
    "bearer-token-file",
    &[StoreType::Http],
    Nars3,
    Range::AbsolutePath,
    "File with the token that is sent with every request.",
    of_kind!(http, http_mut, bearer_token_file),
)];

//! Closures, plans and the bounded pipeline that copies between two Nix stores

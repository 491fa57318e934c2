//! What Nix tests of its S3 store and of its binary caches, made anew under the same names: `s3` for the functions of
//! `tests/nixos/s3-binary-cache-store.nix` (Nix 2.36), `functional` for `tests/functional/binary-cache.sh` and its kin.
//!
//! Not here, because they need an evaluator or a fetcher, of which nars3 has none, or are tested where they act:
//!
//! | Nix's test | what it needs |
//! |---|---|
//! | `test_fetchurl_basic` | `builtins.fetchurl` |
//! | `test_fork_credential_preresolution` | a sandboxed `fetchurl` derivation |
//! | `test_concurrent_fetches` | five `fetchurl` derivations; `test_credential_caching` here pulls five at once instead |
//! | `test_nix_prefetch_url` | `nix-prefetch-url` |
//! | `test_versioned_urls` | fetching a single object by `versionId`; a cache has no versions |
//! | "two caches, one bad", "concurrent substitutions", "fallback" of `binary-cache.sh` | a builder that substitutes |
//! | derivations that are built remotely, `nix-shell` of `binary-cache.sh` | a builder |
//!
//! | "local-nar-cache" of `nar-access.sh`, index of debug information | none: in `crates/binary-cache/tests/suite/`, `looking.rs` and `layout.rs` |
//! | lifetimes of `nix-cache-info` | none: in `crates/binary-cache/tests/suite/remembered.rs`, with `--refresh` in `remembered.rs` here |
//!
//! Each provider of `test_credential_provider_chain` is also tested by itself, beside stand-ins of the services, in
//! `crates/s3-transport/tests/suite/credentials/`.

mod functional;
mod s3;

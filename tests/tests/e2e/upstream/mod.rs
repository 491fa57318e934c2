//! What Nix tests of its S3 store and of its binary caches, made anew under the same names: `s3` for the functions of
//! `tests/nixos/s3-binary-cache-store.nix` (Nix 2.36), `functional` for `tests/functional/binary-cache.sh` and its kin.
//!
//! Not here, because they test an evaluator or a fetcher, of which nars3 has none:
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
//! And two that are tested elsewhere, since MinIO has no name for each bucket here and no credential services:
//! `test_virtual_hosted_copy` in `crates/s3-transport/tests/suite/addressing.rs` (`a_bucket_may_be_a_host`), and each
//! provider of `test_credential_provider_chain` in `crates/s3-transport/tests/suite/credentials.rs`.

mod functional;
mod s3;

//! The nars3 command: Nix binary caches on S3

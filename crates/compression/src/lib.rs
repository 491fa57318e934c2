//! `nars3-compression` turns every compression method of Nix binary caches into plain `std::io` readers and writers:
//! one enum names the method, one function compresses, one function decompresses.
//!
//! ```
//! use std::io::{Read, Write};
//! use nars3_compression::{Compression, EncoderOptions, decoder, encoder};
//!
//! let mut writer = encoder(&Compression::Zstd, &EncoderOptions::default(), Vec::new())?;
//! writer.write_all(b"nix-archive-1")?;
//! let compressed: Vec<u8> = writer.finish()?;
//!
//! let mut plain = String::new();
//! decoder(&Compression::Zstd, Box::new(compressed.as_slice()))?.read_to_string(&mut plain)?;
//! assert_eq!(plain, "nix-archive-1");
//! Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Methods
//!
//! | method  | writes | reads | levels (default) | notes |
//! |---------|--------|-------|------------------|-------|
//! | `none`  | yes    | yes   |                  | the bytes as they are |
//! | `xz`    | yes    | yes   | 0..=9 (6)        | CRC64; several threads write blocks of three dictionaries each |
//! | `zstd`  | yes    | yes   | -99..=22 (3)     | frames of 16 MiB with their content size, and a table of them where there are several; the bytes do not depend on the number of threads |
//! | `bzip2` | yes    | yes   | 1..=9 (9)        | |
//! | `gzip`  | yes    | yes   | 0..=9 (6)        | no time stamp, no file name |
//! | `br`    | yes    | yes   | 0..=11 (11)      | window of 4 MiB; Nix ignores the level and always uses 11 |
//! | `lz4`   | yes    | yes   | 1..=9 (1)        | frame format, independent 4 MiB blocks; every level writes the same bytes |
//! | `lzip`  | yes    | yes   | 0..=9 (6)        | one member |
//! | `lzma`  | yes    | yes   | 0..=9 (6)        | the `.lzma` format of old |
//! | `compress`, `grzip`, `lrzip`, `lzop` | no | no | | refused by name, with the reason |
//!
//! Levels and defaults are those that Nix reaches through libarchive, except where the table says otherwise.
//!
//! # Rules
//!
//! - A truncated input, bytes after the end, and a wrong checksum are errors that name the method and the offset, for
//!   every method, also those whose libraries would stop silently. Empty input is truncated input.
//! - Streams (frames, members) written one after another decode to their contents one after another, where the format
//!   allows it: xz (with its padding), zstd, bzip2, gzip, lz4, lzip.
//! - A decoder never uses more memory than its options allow, whatever the input's header asks for.
//! - An encoder that is dropped without `finish` leaves its output truncated, never complete-looking.
//! - Everything here blocks and burns a processor: call it from a thread that may.
//!
//! # Modules
//!
//! - `encode`: `encoder`, `EncoderOptions` and the `Encoder` writer.
//! - `decode`: `decoder`, `decoder_with`, `DecoderOptions` and the loop that all methods share.
//! - `seek`: the table of frames at the end of a zstd file.
//! - `level`: which levels a method has.
//! - `error`: `CompressionError`.
//! - `codec`: one small file a library, behind two private traits.

mod codec;
mod decode;
mod encode;
mod error;
mod level;
mod seek;

pub use decode::{DEFAULT_MEMORY_LIMIT, DecoderOptions, decoder, decoder_with};
pub use encode::{Encoder, EncoderOptions, encoder};
pub use error::{CompressionError, Operation};
pub use level::{default_level, level_range};
pub use nars3_narinfo::Compression;
pub use seek::{Located, SeekTable};

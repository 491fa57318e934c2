//! A NAR from a stranger: the decoder that pulls, the checker, the listing and the hasher that are pushed agree on
//! what is a NAR and where it ends, whatever the size of the pieces; what is decoded encodes back to the same bytes;
//! and the listing leads to the same contents.
#![no_main]

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use libfuzzer_sys::fuzz_target;
use nars3_nar::{
    ContentHasher, DecodeError, Decoder, Encoder, Event, FormatError, Limits, ListingError, ListingSink,
    Member, NarChecker,
};
use nars3_narinfo::Node;
use nars3_store_path::{Algorithm, ContentAddressMethod, Hash};

/// What a NAR holds: each file's contents by path.
type Files = BTreeMap<Vec<u8>, Vec<u8>>;

/// Decodes to the end and encodes what comes; returns the encoded NAR and the files.
fn decode(bytes: impl Read, exact: bool) -> Result<(Vec<u8>, Files), DecodeError> {
    let mut decoder = Decoder::new(bytes);
    if exact {
        decoder = decoder.exact();
    }
    let mut encoder = Encoder::new(Vec::new());
    let mut files = Files::new();
    while let Some(event) = decoder.next()? {
        encoder.event(&event).expect("the decoder lets nothing wrong through");
        if let Event::Regular { size, .. } = event {
            let mut contents = Vec::new();
            if let Err(error) = decoder.contents().read_to_end(&mut contents) {
                // The decoder repeats it as an error of its own.
                decoder.next()?;
                panic!("{error}, and then all is well");
            }
            assert_eq!(contents.len() as u64, size);
            encoder.contents(&contents).expect("as much as announced");
            files.insert(decoder.path(), contents);
        }
    }
    let encoded = encoder.finish().expect("the decoder came to the end");
    assert_eq!(decoder.offset(), encoded.len() as u64);
    Ok((encoded, files))
}

/// Pushes the bytes in pieces until one is not taken whole.
fn push_all(
    bytes: &[u8],
    piece: usize,
    mut push: impl FnMut(&[u8]) -> Result<usize, FormatError>,
) -> Result<(), FormatError> {
    for piece in bytes.chunks(piece) {
        if push(piece)? < piece.len() {
            break;
        }
    }
    Ok(())
}

fn check(bytes: &[u8], piece: usize, limits: Limits) -> Result<u64, FormatError> {
    let mut checker = NarChecker::new(limits);
    push_all(bytes, piece, |piece| checker.push(piece))?;
    checker.finish()
}

/// Reads no more than is asked for, as from a stream that goes on after the NAR.
fn check_exactly(mut bytes: &[u8]) -> Result<u64, FormatError> {
    let mut checker = NarChecker::default();
    while !checker.is_finished() && !bytes.is_empty() {
        let wanted = usize::try_from(checker.at_least()).unwrap_or(usize::MAX).min(bytes.len());
        let (piece, rest) = bytes.split_at(wanted);
        assert_eq!(checker.push(piece)?, wanted, "more was asked for than belongs to the NAR");
        bytes = rest;
    }
    checker.finish()
}

fn list(bytes: &[u8], files: &Files) {
    let mut sink = ListingSink::default();
    push_all(bytes, 13, |piece| sink.push(piece)).expect("it is a NAR");
    let listing = match sink.finish() {
        Ok(listing) => listing,
        Err(ListingError::NotUtf8 { .. }) => return,
        Err(error) => panic!("{error}"),
    };
    let mut found = Files::new();
    let mut walk = listing.root.walk();
    while let Some((path, node)) = walk.next_node() {
        if let Node::Regular { .. } = node {
            let mut contents = Vec::new();
            let mut member = Member::open(Cursor::new(bytes), node).expect("it has an offset");
            member.read_to_end(&mut contents).expect("it is in memory");
            found.insert(path.as_bytes().to_vec(), contents);
        }
    }
    assert_eq!(&found, files);
}

fuzz_target!(|bytes: &[u8]| {
    let pulled = decode(bytes, false);
    let size = pulled.as_ref().map(|(encoded, _)| encoded.len() as u64).map_err(ToString::to_string);
    for piece in [1, 7, 4096] {
        let pushed = check(bytes, piece, Limits::default()).map_err(|error| error.to_string());
        assert_eq!(pushed, size, "in pieces of {piece}");
    }
    assert_eq!(check_exactly(bytes).map_err(|error| error.to_string()), size);

    let mut reader = bytes;
    let exactly = decode(&mut reader, true);
    assert_eq!(exactly.is_ok(), pulled.is_ok());
    let Ok((encoded, files)) = pulled else { return };
    let (nar, rest) = bytes.split_at(encoded.len());
    assert!(encoded == nar, "another NAR comes back");
    assert_eq!(reader.len(), rest.len(), "read beyond the end");
    assert_eq!(check(bytes, 4096, Limits::none()).ok(), Some(nar.len() as u64));
    list(nar, &files);
    let mut hasher = ContentHasher::new(ContentAddressMethod::NixArchive, Algorithm::Sha256, None);
    push_all(bytes, 5, |piece| hasher.push(piece)).expect("it is a NAR");
    assert_eq!(hasher.finish().expect("it is a NAR"), Hash::digest(Algorithm::Sha256, nar));
});

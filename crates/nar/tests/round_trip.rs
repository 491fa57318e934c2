//! Random trees to NARs and back.

#![cfg(test)]

mod support;

use nars3_nar::{
    Decoder, DumpOptions, Encoder, Event, Limits, ListingError, ListingSink, Member, RestoreOptions, dump,
    hash_path, list, restore,
};
use nars3_narinfo::Node;
use nars3_store_path::{Algorithm, Hash};
use proptest::prelude::*;
use std::io::{Cursor, Read as _};
use std::path::Path;

fn dumped(path: &Path) -> Vec<u8> {
    let mut nar = Vec::new();
    dump(path, &mut nar, &DumpOptions::default()).unwrap();
    nar
}

/// All regular files of a listing.
fn files<'n>(node: &'n Node, found: &mut Vec<&'n Node>) {
    match node {
        Node::Directory { entries } => entries.values().for_each(|entry| files(entry, found)),
        Node::Regular { .. } => found.push(node),
        Node::Symlink { .. } => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_restored_tree_dumps_the_same(tree in support::tree(), canonical: bool, sparse: bool) {
        let directory = tempfile::tempdir().unwrap();
        let (source, target) = (directory.path().join("source"), directory.path().join("target"));
        tree.create(&source);
        let nar = dumped(&source);
        let options = RestoreOptions { canonical, sparse, ..RestoreOptions::default() };
        let summary = restore(&mut nar.as_slice(), &target, &options).unwrap();
        prop_assert_eq!(summary.nar_size, nar.len() as u64);
        prop_assert!(dumped(&target) == nar);
        let hash = hash_path(&target, &DumpOptions::default()).unwrap();
        prop_assert_eq!(hash, (Hash::digest(Algorithm::Sha256, &nar), nar.len() as u64));
    }

    #[test]
    fn events_encode_to_what_they_were_decoded_from(tree in support::tree()) {
        let directory = tempfile::tempdir().unwrap();
        let source = directory.path().join("source");
        tree.create(&source);
        let nar = dumped(&source);
        let mut decoder = Decoder::new(nar.as_slice());
        let mut encoder = Encoder::new(Vec::new());
        while let Some(event) = decoder.next().unwrap() {
            if let Event::Regular { executable, size, offset } = event {
                prop_assert_eq!(decoder.offset(), offset);
                encoder.regular_from(executable, size, decoder.contents()).unwrap();
            } else {
                encoder.event(&event).unwrap();
            }
        }
        prop_assert!(encoder.finish().unwrap() == nar);
    }

    #[test]
    fn a_listing_finds_every_file(tree in support::tree(), chunk in 1..5000_usize) {
        let directory = tempfile::tempdir().unwrap();
        let source = directory.path().join("source");
        tree.create(&source);
        let nar = dumped(&source);
        let mut sink = ListingSink::default();
        for chunk in nar.chunks(chunk) {
            sink.push(chunk).unwrap();
        }
        let listing = match sink.finish() {
            Ok(listing) => listing,
            Err(ListingError::NotUtf8 { .. }) => return Ok(()),
            Err(other) => panic!("{other}"),
        };
        prop_assert_eq!(&list(nar.as_slice(), Limits::default()).unwrap(), &listing);

        let mut found = Vec::new();
        files(&listing.root, &mut found);
        let mut decoder = Decoder::new(nar.as_slice());
        let mut found = found.into_iter();
        while let Some(event) = decoder.next().unwrap() {
            if let Event::Regular { .. } = event {
                let (mut streamed, mut picked) = (Vec::new(), Vec::new());
                decoder.contents().read_to_end(&mut streamed).unwrap();
                let mut member = Member::open(Cursor::new(&nar), found.next().unwrap()).unwrap();
                member.read_to_end(&mut picked).unwrap();
                prop_assert!(streamed == picked);
            }
        }
        prop_assert!(found.next().is_none());
    }
}

/// A reader that remembers how much was read.
struct Counting<'a>(Cursor<&'a [u8]>, u64);

impl std::io::Read for Counting<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = self.0.read(out)?;
        self.1 += count as u64;
        Ok(count)
    }
}

impl std::io::Seek for Counting<'_> {
    fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn a_member_reads_only_its_range() {
    use std::io::{Seek as _, SeekFrom};
    let mut encoder = Encoder::new(Vec::new());
    encoder.directory().unwrap();
    for name in ["a", "b", "c"] {
        encoder.entry(name.as_bytes()).unwrap();
        encoder.regular_from(false, 1000, name.repeat(1000).as_bytes()).unwrap();
    }
    encoder.end_directory().unwrap();
    let nar = encoder.finish().unwrap();
    let listing = list(nar.as_slice(), Limits::default()).unwrap();
    let node = listing.root.lookup("b").unwrap();

    let mut member = Member::open(Counting(Cursor::new(&nar), 0), node).unwrap();
    let mut contents = String::new();
    member.read_to_string(&mut contents).unwrap();
    assert_eq!(contents, "b".repeat(1000));
    assert_eq!(member.size(), 1000);
    member.seek(SeekFrom::End(-3)).unwrap();
    contents.clear();
    member.read_to_string(&mut contents).unwrap();
    assert_eq!(contents, "bbb");
    assert!(member.seek(SeekFrom::Current(-2000)).is_err());
    assert_eq!(member.into_inner().1, 8 + 1000 + 3);
}

#[test]
fn a_listing_of_another_nar_is_noticed() {
    let nar = |contents: &str| {
        let mut encoder = Encoder::new(Vec::new());
        encoder.regular_from(false, contents.len() as u64, contents.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let listing = list(nar("long contents").as_slice(), Limits::default()).unwrap();
    assert!(Member::open(Cursor::new(nar("short")), &listing.root).is_err());
    let mut cut = nar("long contents");
    cut.truncate(100);
    let mut member = Member::open(Cursor::new(cut), &listing.root).unwrap();
    let error = member.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
}

#[test]
fn what_cannot_be_listed_is_still_a_nar() {
    let mut encoder = Encoder::new(Vec::new());
    encoder.directory().unwrap();
    encoder.entry(b"\xff").unwrap();
    encoder.symlink(b"x").unwrap();
    encoder.end_directory().unwrap();
    let nar = encoder.finish().unwrap();
    let mut sink = ListingSink::default();
    assert_eq!(sink.push(&nar).unwrap(), nar.len());
    let error = sink.finish().unwrap_err();
    assert!(matches!(error, ListingError::NotUtf8 { path, .. } if path == b"\xff"));
}

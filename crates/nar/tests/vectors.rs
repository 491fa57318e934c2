//! The NARs that Nix tests itself with: each accepted or refused as Nix does, for the reason that it should be.

#![cfg(test)]

mod support;

use std::fs;
use std::path::Path;

use nars3_nar::{
    Decoder, DumpOptions, Event, FormatErrorKind as Kind, Limits, ListingSink, NarChecker, RestoreError,
    RestoreOptions, dump, restore,
};

/// What becomes of a NAR.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    Accepted,
    Refused,
}
use Fate::{Accepted, Refused};

/// Each NAR, what Nix since April 2026 and this crate do with it, and what Nix 2.8 does.
///
/// They differ in one, for a reason: Nix 2.8 takes the fields of a node in any order and number, Nix 2.29 and later
/// want `executable` before `contents`. (Nix 2.29 alone takes `invalid-tag-instead-of-contents` for an empty file.)
const FATES: [(&str, Fate, Fate); 19] = [
    ("case", Accepted, Accepted),
    ("case-collision", Accepted, Accepted),
    ("dot", Refused, Refused),
    ("dotdot", Refused, Refused),
    ("duplicate", Refused, Refused),
    ("empty", Refused, Refused),
    ("empty-dir", Accepted, Accepted),
    ("empty-subdir", Accepted, Accepted),
    ("executable-after-contents", Refused, Accepted),
    ("invalid-tag-instead-of-contents", Refused, Refused),
    ("name-after-node", Refused, Refused),
    ("nul-character", Refused, Refused),
    ("regular-one-byte-non-zero-padding", Refused, Refused),
    ("regular-one-byte-zero-padding", Accepted, Accepted),
    ("regular-truncated-large-contents", Refused, Refused),
    ("regular-truncated-padding", Refused, Refused),
    ("simple", Accepted, Accepted),
    ("slash", Refused, Refused),
    ("unnormalized", Accepted, Accepted),
];

fn vectors(test: &str) -> Vec<(&'static str, Vec<u8>, Fate, Fate)> {
    let Some(folder) = support::data("nars", test) else {
        return Vec::new();
    };
    let mut known: Vec<_> = FATES.iter().map(|(name, ..)| format!("{name}.nar")).collect();
    let mut present: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".nar"))
        .collect();
    known.sort();
    present.sort();
    assert_eq!(present, known, "a NAR without a fate, or a fate without a NAR");
    FATES
        .iter()
        .map(|(name, ours, theirs)| {
            (*name, fs::read(folder.join(format!("{name}.nar"))).unwrap(), *ours, *theirs)
        })
        .collect()
}

fn restored(nar: &[u8], target: &Path) -> Fate {
    match restore(&mut &*nar, target, &RestoreOptions::default()) {
        Ok(_) => Accepted,
        Err(RestoreError::Format(_)) => Refused,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn every_vector_meets_its_fate() {
    for (name, nar, fate, _) in vectors("every_vector_meets_its_fate") {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("target");
        assert_eq!(restored(&nar, &target), fate, "{name}");
        if fate == Accepted {
            let mut back = Vec::new();
            dump(&target, &mut back, &DumpOptions::default()).unwrap();
            assert_eq!(back, nar, "{name}");
        }
    }
}

#[test]
fn the_reasons_are_the_right_ones() {
    for (name, nar, fate, _) in vectors("the_reasons_are_the_right_ones") {
        if fate == Accepted {
            continue;
        }
        let mut checker = NarChecker::default();
        let error = checker.push(&nar).and_then(|_| checker.finish()).unwrap_err();
        let right = match name {
            "dot" | "dotdot" | "empty" | "nul-character" | "slash" => {
                matches!(error.kind, Kind::InvalidName { .. })
            }
            "duplicate" => matches!(error.kind, Kind::DuplicateName { .. }),
            "executable-after-contents" | "invalid-tag-instead-of-contents" | "name-after-node" => {
                matches!(error.kind, Kind::UnexpectedTag { .. })
            }
            "regular-one-byte-non-zero-padding" => error.kind == Kind::NonZeroPadding,
            // It claims 2^64 - 1 bytes; Nix believes that and misses them at the end.
            "regular-truncated-large-contents" => error.kind == Kind::TooLarge { size: u64::MAX },
            _ => matches!(error.kind, Kind::UnexpectedEnd { .. }),
        };
        assert!(right, "{name}: {error}");
    }
}

#[test]
fn skipping_and_reading_agree_and_leave_the_rest_unread() {
    for (name, nar, fate, _) in vectors("skipping_and_reading_agree_and_leave_the_rest_unread") {
        let stream = [nar.as_slice(), b"trailing bytes"].concat();
        // A NAR that is cut short goes on with what follows it here, which is no padding and no contents' end.
        let mut ends = Vec::new();
        for skip in [false, true] {
            let mut decoder = Decoder::new(stream.as_slice());
            let accepted = loop {
                match decoder.next() {
                    Ok(None) => break true,
                    Ok(Some(Event::Regular { .. })) if !skip => {
                        if std::io::copy(&mut decoder.contents(), &mut std::io::sink()).is_err() {
                            break false;
                        }
                    }
                    Ok(Some(_)) => {}
                    Err(_) => break false,
                }
            };
            assert_eq!(accepted, fate == Accepted, "{name}");
            ends.push((accepted, decoder.offset()));
        }
        assert_eq!(ends[0], ends[1], "{name}");
        let mut listing = ListingSink::new(Limits::default());
        let listed = listing.push(&stream);
        assert_eq!(listed.is_ok(), fate == Accepted, "{name}");
        if fate == Accepted {
            assert_eq!((listed.unwrap(), ends[0].1), (nar.len(), nar.len() as u64), "{name}");
        }
    }
}

#[test]
fn the_real_nix_agrees_but_for_reasoned_differences() {
    let name = "the_real_nix_agrees_but_for_reasoned_differences";
    if support::nix(name).is_none() {
        return;
    }
    for (name, nar, _, theirs) in vectors(name) {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("target");
        let accepted = support::nix_restore(&nar, &target);
        // A newer Nix than 2.8 is stricter, and then as strict as we are.
        let newer = name == "executable-after-contents" && !accepted;
        assert!(accepted == (theirs == Accepted) || newer, "{name}");
        if accepted && theirs == Accepted && name != "executable-after-contents" {
            assert_eq!(support::nix_dump(&target), nar, "{name}");
        }
    }
}

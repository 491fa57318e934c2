//! What the parser says to right and wrong NARs, and that it says the same however they are cut.

use proptest::prelude::*;

use super::*;
use crate::{Decoder, Encoder, Event, ListingSink, NarChecker};

/// Strings as they stand in a NAR.
fn nar(strings: &[&[u8]]) -> Vec<u8> {
    let mut nar = Vec::new();
    for string in strings {
        nar.extend_from_slice(&(string.len() as u64).to_le_bytes());
        nar.extend_from_slice(string);
        nar.resize(nar.len().next_multiple_of(8), 0);
    }
    nar
}

/// A directory whose entries are empty files with these names.
fn directory(names: &[&[u8]]) -> Vec<u8> {
    let mut strings: Vec<&[u8]> = vec![wire::MAGIC, b"(", b"type", b"directory"];
    for name in names {
        strings.extend_from_slice(&[b"entry", b"(", b"name", name, b"node"]);
        strings.extend_from_slice(&[b"(", b"type", b"regular", b"contents", b"", b")", b")"]);
    }
    strings.push(b")");
    nar(&strings)
}

fn symlink(target: &[u8]) -> Vec<u8> {
    nar(&[wire::MAGIC, b"(", b"type", b"symlink", b"target", target, b")"])
}

/// Directories within directories, so many that the innermost is the `depth`th node.
fn nested(depth: usize) -> Vec<u8> {
    let mut encoder = Encoder::with_limits(Vec::new(), Limits::none());
    encoder.directory().unwrap();
    for _ in 1..depth {
        encoder.entry(b"d").unwrap();
        encoder.directory().unwrap();
    }
    for _ in 0..depth {
        encoder.end_directory().unwrap();
    }
    encoder.finish().unwrap()
}

fn check(nar: &[u8], limits: Limits) -> Result<u64, FormatError> {
    let mut checker = NarChecker::new(limits);
    checker.push(nar)?;
    checker.finish()
}

fn refusal(nar: &[u8]) -> Kind {
    check(nar, Limits::default()).unwrap_err().kind
}

#[test]
fn a_whole_tree_comes_out_as_events() {
    let mut encoder = Encoder::new(Vec::new());
    encoder.directory().unwrap();
    encoder.entry(b"a").unwrap();
    encoder.regular(true, 3).unwrap();
    encoder.contents(b"abc").unwrap();
    encoder.entry(b"b").unwrap();
    encoder.directory().unwrap();
    encoder.end_directory().unwrap();
    encoder.entry(b"c").unwrap();
    encoder.symlink(b"a").unwrap();
    encoder.end_directory().unwrap();
    let nar = encoder.finish().unwrap();

    let mut decoder = Decoder::new(nar.as_slice());
    let mut events = Vec::new();
    while let Some(event) = decoder.next().unwrap() {
        events.push(event);
    }
    let entry = |name: &str| Event::Entry { name: name.into() };
    assert_eq!(
        events,
        [
            Event::Directory,
            entry("a"),
            Event::Regular { executable: true, size: 3, offset: 264 },
            entry("b"),
            Event::Directory,
            Event::EndDirectory,
            entry("c"),
            Event::Symlink { target: b"a".to_vec() },
            Event::EndDirectory,
        ]
    );
    assert_eq!(&nar[264..267], b"abc");
    assert_eq!(decoder.finish().unwrap(), nar.len() as u64);
}

/// A directory with one of everything, a symlink among it whose target is not UTF-8.
fn one_of_everything() -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    encoder.directory().unwrap();
    encoder.entry(b"a").unwrap();
    encoder.regular(false, 0).unwrap();
    encoder.entry(b"d").unwrap();
    encoder.directory().unwrap();
    encoder.entry(b"empty").unwrap();
    encoder.directory().unwrap();
    encoder.end_directory().unwrap();
    encoder.entry(b"file").unwrap();
    encoder.regular_from(true, 3, &b"abc"[..]).unwrap();
    encoder.entry(b"link").unwrap();
    encoder.symlink(b"\xff").unwrap();
    encoder.end_directory().unwrap();
    encoder.entry(b"e").unwrap();
    encoder.symlink(b"a").unwrap();
    encoder.end_directory().unwrap();
    encoder.finish().unwrap()
}

#[test]
fn the_path_after_an_event_is_that_of_its_node() {
    let nar = one_of_everything();
    for read in [false, true] {
        let mut decoder = Decoder::new(nar.as_slice());
        let mut paths = Vec::new();
        while let Some(event) = decoder.next().unwrap() {
            if read {
                std::io::copy(&mut decoder.contents(), &mut std::io::sink()).unwrap();
            }
            let what = match event {
                Event::Directory => "(",
                Event::Entry { .. } => "entry",
                Event::EndDirectory => ")",
                Event::Regular { .. } => "file",
                Event::Symlink { .. } => "link",
            };
            paths.push(format!("{what} {}", String::from_utf8(decoder.path()).unwrap()));
        }
        assert_eq!(
            paths,
            [
                "( ",
                "entry a",
                "file a",
                "entry d",
                "( d",
                "entry d/empty",
                "( d/empty",
                ") d/empty",
                "entry d/file",
                "file d/file",
                "entry d/link",
                "link d/link",
                ") d",
                "entry e",
                "link e",
                ") ",
            ]
        );
        assert_eq!(decoder.path(), b"");
    }
    let link = symlink(b"target");
    let mut decoder = Decoder::new(link.as_slice());
    assert!(matches!(decoder.next(), Ok(Some(Event::Symlink { .. }))));
    assert_eq!(decoder.path(), b"");
}

#[test]
fn the_end_of_a_file_is_still_that_file() {
    let nar = one_of_everything();
    let mut parser = Parser::new(Limits::default());
    let mut input = nar.as_slice();
    let mut ends = Vec::new();
    while let Some(token) = parser.advance(&mut input).unwrap() {
        if token == Token::EndRegular {
            ends.push(parser.path());
        }
    }
    assert_eq!(ends, [b"a".to_vec(), b"d/file".to_vec()]);
}

#[test]
fn a_target_that_is_not_text_is_named_by_its_symlink() {
    let error = crate::list(one_of_everything().as_slice(), Limits::default()).unwrap_err();
    assert_eq!(error.to_string(), "no listing: symlink target of `d/link` is not UTF-8");
}

#[test]
fn names_that_could_lead_elsewhere_are_refused() {
    for name in [&b""[..], b".", b"..", b"a/b", b"/", b"a\0", b"../x"] {
        assert_eq!(refusal(&directory(&[name])), Kind::InvalidName { name: name.to_vec() });
    }
    for name in [&b"..."[..], b".a", b"\xff", b" ", b"\n", b"\\"] {
        assert!(check(&directory(&[name]), Limits::default()).is_ok());
    }
}

#[test]
fn names_are_sorted_by_their_bytes_and_unique() {
    assert!(check(&directory(&[b"B", b"a", b"a-", b"a.", b"aa", b"\x80"]), Limits::default()).is_ok());
    assert_eq!(
        refusal(&directory(&[b"b", b"a"])),
        Kind::UnsortedName { previous: b"b".to_vec(), name: b"a".to_vec() }
    );
    assert_eq!(refusal(&directory(&[b"a", b"a"])), Kind::DuplicateName { name: b"a".to_vec() });
    assert!(matches!(refusal(&directory(&[b"\x80", b"a"])), Kind::UnsortedName { .. }));
}

#[test]
fn the_order_of_names_begins_anew_in_every_directory() {
    let mut encoder = Encoder::new(Vec::new());
    encoder.directory().unwrap();
    for outer in [b"m", b"n"] {
        encoder.entry(outer).unwrap();
        encoder.directory().unwrap();
        encoder.entry(b"a").unwrap();
        encoder.symlink(b"x").unwrap();
        encoder.end_directory().unwrap();
    }
    encoder.end_directory().unwrap();
    assert!(check(&encoder.finish().unwrap(), Limits::default()).is_ok());
}

#[test]
fn lengths_are_bounded_as_in_nix_and_the_bounds_can_be_lifted() {
    let longest_name = directory(&[&[b'n'; 255]]);
    let long_name = directory(&[&[b'n'; 256]]);
    let longest_target = symlink(&[b't'; 4095]);
    let long_target = symlink(&[b't'; 4096]);
    assert!(check(&longest_name, Limits::default()).is_ok());
    assert!(check(&longest_target, Limits::default()).is_ok());
    assert_eq!(refusal(&long_name), Kind::TooLong { what: "file name", length: 256, limit: 255 });
    assert_eq!(refusal(&long_target), Kind::TooLong { what: "symlink target", length: 4096, limit: 4095 });
    assert!(check(&long_name, Limits::none()).is_ok());
    assert!(check(&long_target, Limits::none()).is_ok());
}

#[test]
fn depth_is_bounded_as_in_nix_and_the_bound_can_be_lifted() {
    assert!(check(&nested(64), Limits::default()).is_ok());
    assert_eq!(refusal(&nested(65)), Kind::TooDeep { limit: 64 });
    assert!(check(&nested(10_000), Limits::none()).is_ok());
}

#[test]
fn a_long_claim_is_refused_before_its_bytes_arrive() {
    let mut nar = nar(&[wire::MAGIC, b"(", b"type"]);
    nar.extend_from_slice(&u64::MAX.to_le_bytes());
    assert_eq!(refusal(&nar), Kind::TooLong { what: "tag", length: u64::MAX, limit: 32 });
}

#[test]
fn limits_without_bounds_do_not_overflow() {
    let limits = Limits { depth: usize::MAX, name: usize::MAX, target: usize::MAX };
    let name = nar(&[wire::MAGIC, b"(", b"type", b"directory", b"entry", b"(", b"name"]);
    let target = nar(&[wire::MAGIC, b"(", b"type", b"symlink", b"target"]);
    for start in [name, target] {
        for length in [u64::MAX, u64::MAX - 6, u64::MAX - 7, u64::MAX - 14, u64::MAX - 15, 1 << 63] {
            let stream = [start.as_slice(), &length.to_le_bytes(), b"12345678"].concat();
            for size in [1, stream.len()] {
                let mut checker = NarChecker::new(limits);
                let pushed = stream.chunks(size).try_for_each(|part| {
                    assert!(checker.at_least() > 0);
                    checker.push(part).map(drop)
                });
                match pushed {
                    Ok(()) => assert!(checker.at_least() > 1 << 62),
                    Err(error) => assert!(matches!(error.kind, Kind::TooLong { .. }), "{error}"),
                }
                // Eight bytes of length and up to seven of padding are no longer counted.
                assert_eq!(
                    checker.finish().is_err_and(|error| matches!(error.kind, Kind::TooLong { .. })),
                    length > u64::MAX - 15
                );
            }
        }
    }
}

#[test]
fn a_size_beyond_counting_is_refused() {
    for size in [u64::MAX, u64::MAX - 6, 1 << 63, (1 << 63) - 8] {
        let mut nar = nar(&[wire::MAGIC, b"(", b"type", b"regular", b"contents"]);
        nar.extend_from_slice(&size.to_le_bytes());
        assert_eq!(refusal(&nar), Kind::TooLarge { size });
    }
}

#[test]
fn symlink_targets_are_not_empty_and_have_no_nul() {
    assert_eq!(refusal(&symlink(b"")), Kind::InvalidTarget { target: Vec::new() });
    assert_eq!(refusal(&symlink(b"a\0b")), Kind::InvalidTarget { target: b"a\0b".to_vec() });
}

#[test]
fn words_out_of_place_are_named_with_their_offset() {
    let nar = nar(&[wire::MAGIC, b"(", b"type", b"regular", b"content"]);
    let error = check(&nar, Limits::default()).unwrap_err();
    assert_eq!(error.offset, 72);
    assert_eq!(
        error.to_string(),
        "bad NAR at offset 72: expected `contents` or `executable`, found `content`"
    );
}

#[test]
fn an_error_names_the_path() {
    let mut encoder = Encoder::new(Vec::new());
    encoder.directory().unwrap();
    encoder.entry(b"bin").unwrap();
    encoder.directory().unwrap();
    encoder.entry(b"sh").unwrap();
    encoder.symlink(b"bash").unwrap();
    encoder.end_directory().unwrap();
    encoder.end_directory().unwrap();
    let mut nar = encoder.finish().unwrap();
    let target = nar.windows(4).position(|window| window == b"bash").unwrap();
    nar[target + 4] = 1;
    let error = check(&nar, Limits::default()).unwrap_err();
    assert_eq!((error.path.as_slice(), error.kind), (&b"bin/sh"[..], Kind::NonZeroPadding));
}

#[test]
fn every_prefix_is_incomplete_and_nothing_may_follow_through_write() {
    use std::io::Write as _;
    let nar = directory(&[b"a", b"b"]);
    for length in 0..nar.len() {
        assert!(matches!(refusal(&nar[..length]), Kind::UnexpectedEnd { .. }), "{length}");
    }
    let mut checker = NarChecker::default();
    checker.write_all(&nar).unwrap();
    assert!(checker.write_all(&[0]).is_err());
    assert!(checker.finish().is_err());
}

#[test]
fn at_least_never_promises_too_much_and_reaches_the_end() {
    for nar in [directory(&[b"a", b"bb"]), symlink(b"target"), nested(5), directory(&[])] {
        let mut checker = NarChecker::default();
        let mut at = 0;
        let mut reads = 0;
        while !checker.is_finished() {
            let wanted = checker.at_least() as usize;
            assert!(wanted > 0);
            assert!(at + wanted <= nar.len(), "{wanted} at {at} of {}", nar.len());
            assert_eq!(checker.push(&nar[at..at + wanted]).unwrap(), wanted);
            at += wanted;
            reads += 1;
        }
        assert_eq!(at, nar.len());
        assert!(reads < 20);
    }
}

/// NARs, most of them spoilt somewhere, so that the parser gets past the header.
fn nearly_nar() -> impl Strategy<Value = Vec<u8>> {
    let base = prop_oneof![
        Just(directory(&[b"a", b"b", b"c"])),
        Just(symlink(b"../x")),
        Just(nested(3)),
        Just(nar(&[
            wire::MAGIC,
            b"(",
            b"type",
            b"regular",
            b"executable",
            b"",
            b"contents",
            b"123456789",
            b")"
        ])),
    ];
    let spoil = (any::<prop::sample::Index>(), any::<u8>(), 0..4_u8);
    (base, proptest::collection::vec(spoil, 0..4)).prop_map(|(mut nar, spoils)| {
        for (index, byte, how) in spoils {
            let at = index.index(nar.len());
            match how {
                0 => nar[at] = byte,
                1 => nar[at] ^= 1 << (byte % 8),
                2 => nar.truncate(at.max(1)),
                _ => {
                    let from = at / 8 * 8;
                    let piece =
                        nar[from..].iter().copied().take(usize::from(byte) / 8 * 8).collect::<Vec<_>>();
                    nar.splice(from..from, piece);
                }
            }
        }
        nar
    })
}

/// Whether the NAR is accepted, and how far it was read: the same for every reader of NARs.
type Verdict = Result<u64, FormatError>;

fn by_decoder(bytes: &[u8], skip: bool, exact: bool) -> (Verdict, u64) {
    let mut decoder = Decoder::new(bytes);
    if exact {
        decoder = decoder.exact();
    }
    let verdict = loop {
        match decoder.next() {
            Ok(None) => break Ok(decoder.offset()),
            Ok(Some(Event::Regular { size, .. })) if !skip => {
                let read = std::io::copy(&mut decoder.contents(), &mut std::io::sink());
                match read {
                    Ok(read) => assert_eq!(read, size),
                    Err(error) => break Err(error.downcast::<FormatError>().unwrap()),
                }
            }
            Ok(Some(_)) => {}
            Err(crate::DecodeError::Format(error)) => break Err(error),
            Err(other) => panic!("{other}"),
        }
    };
    (verdict, decoder.offset())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn all_readers_agree_however_the_nar_is_cut(
        bytes in nearly_nar(),
        cuts in proptest::collection::vec(1..60_usize, 0..60),
    ) {
        let mut checker = NarChecker::default();
        let whole = checker.push(&bytes).and_then(|_| checker.finish());

        let mut checker = NarChecker::default();
        let mut listing = ListingSink::default();
        let mut rest = bytes.as_slice();
        let mut pushed = Ok(0);
        for cut in cuts.iter().copied().chain([usize::MAX]) {
            let (now, later) = rest.split_at(cut.min(rest.len()));
            rest = later;
            pushed = checker.push(now);
            prop_assert_eq!(&pushed, &listing.push(now));
            if pushed.is_err() {
                break;
            }
        }
        prop_assert_eq!(checker.offset(), listing.offset());
        let cut = pushed.and_then(|_| checker.finish());
        prop_assert_eq!(&cut, &whole);

        for (skip, exact) in [(false, false), (true, false), (false, true), (true, true)] {
            let (verdict, _) = by_decoder(&bytes, skip, exact);
            prop_assert_eq!(&verdict, &whole);
        }
    }

    #[test]
    fn random_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = check(&bytes, Limits::default());
        let _ = check(&[wire::HEADER, bytes.as_slice()].concat(), Limits::none());
    }
}

#[test]
fn an_exact_decoder_leaves_the_rest_unread() {
    let nar = directory(&[b"a"]);
    let stream = [nar.as_slice(), b"rest"].concat();
    let mut reader = stream.as_slice();
    let mut decoder = Decoder::new(&mut reader).exact();
    while decoder.next().unwrap().is_some() {}
    assert_eq!(decoder.finish().unwrap(), nar.len() as u64);
    assert_eq!(reader, b"rest");

    assert!(Decoder::new(stream.as_slice()).finish().is_err());
    let mut decoder = Decoder::new(stream.as_slice());
    while decoder.next().unwrap().is_some() {}
    assert_eq!(decoder.into_parts().1, b"rest");
}

//! What is accepted with which flag, what is refused with which message.

use nars3_store_path::{ContentAddressMethod, Hash, Signature, StoreDir, StorePath};

use super::{Field, Flags, MAX_SIGNATURES, MAX_TEXT_LENGTH, NarInfo, NarInfoProblem, NarInfoRef, Rule};
use crate::Compression;

const KEY: &str = "p1w3skmwk5p6aijwyhbwbgsvqkgw2bkw.narinfo";

/// As Nix writes it, with everything a narinfo can have.
const FULL: &str = "\
StorePath: /nix/store/p1w3skmwk5p6aijwyhbwbgsvqkgw2bkw-full
URL: nar/1w1fff338fvdw53sqgamddn1b2xgds473pv6y13gizdbqjv4i5p3.nar.xz
Compression: xz
FileHash: sha256:1w1fff338fvdw53sqgamddn1b2xgds473pv6y13gizdbqjv4i5p3
FileSize: 4029176
NarHash: sha256:1lr187v6dck1rjh2j6svpikcfz53wyl3qrlcbb405zlh13x0khhh
NarSize: 34878
References: g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-bar p1w3skmwk5p6aijwyhbwbgsvqkgw2bkw-full
Deriver: g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-full.drv
Sig: a-1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==
Sig: a:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==
CA: fixed:r:sha256:1lr187v6dck1rjh2j6svpikcfz53wyl3qrlcbb405zlh13x0khhh
";

/// The least that Nix accepts.
const LEAST: &str = "\
StorePath: /nix/store/p1w3skmwk5p6aijwyhbwbgsvqkgw2bkw-least
URL: x
NarHash: sha256:1lr187v6dck1rjh2j6svpikcfz53wyl3qrlcbb405zlh13x0khhh
NarSize: 1
";

fn parse(text: &str) -> NarInfo {
    NarInfo::parse(&StoreDir::default(), KEY, text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// [`FULL`] with one text replaced by another.
fn full_with(old: &str, new: &str) -> String {
    assert_eq!(FULL.matches(old).count(), 1, "{old:?} must occur once");
    FULL.replace(old, new)
}

/// The message for [`FULL`] with one text replaced by another.
fn complaint(old: &str, new: &str) -> String {
    NarInfo::parse(&StoreDir::default(), KEY, &full_with(old, new)).unwrap_err().to_string()
}

#[test]
fn every_field_is_read() {
    let narinfo = parse(FULL);
    assert_eq!(narinfo.info.path.base_name(), "p1w3skmwk5p6aijwyhbwbgsvqkgw2bkw-full");
    assert_eq!(narinfo.url, "nar/1w1fff338fvdw53sqgamddn1b2xgds473pv6y13gizdbqjv4i5p3.nar.xz");
    assert_eq!(narinfo.compression, Compression::Xz);
    let file_hash = Hash::parse("sha256:1w1fff338fvdw53sqgamddn1b2xgds473pv6y13gizdbqjv4i5p3").unwrap();
    assert_eq!(narinfo.file_hash, Some(file_hash));
    assert_eq!(narinfo.file_size, Some(4_029_176));
    let nar_hash = Hash::parse("sha256:1lr187v6dck1rjh2j6svpikcfz53wyl3qrlcbb405zlh13x0khhh").unwrap();
    assert_eq!(narinfo.info.nar_hash, nar_hash);
    assert_eq!(narinfo.info.nar_size, 34878);
    let references: Vec<&str> = narinfo.info.references.iter().map(StorePath::base_name).collect();
    let expected = ["g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-bar", "p1w3skmwk5p6aijwyhbwbgsvqkgw2bkw-full"];
    assert_eq!(references, expected);
    assert_eq!(narinfo.info.deriver.as_ref().map(StorePath::name), Some("full.drv"));
    assert_eq!(narinfo.info.signatures.len(), 2);
    let ca = narinfo.info.ca.unwrap();
    assert_eq!((ca.method, ca.hash), (ContentAddressMethod::NixArchive, nar_hash));
    assert_eq!((narinfo.info.registration_time, narinfo.info.ultimate), (None, false));
    assert_eq!(narinfo.flags, Flags::NONE);
    assert_eq!(narinfo.to_text(&StoreDir::default()), FULL);
    assert_eq!(narinfo.key(), KEY);
}

#[test]
fn the_least_is_enough() {
    let narinfo = parse(LEAST);
    assert_eq!(narinfo.compression, Compression::Bzip2);
    assert_eq!((narinfo.file_hash, narinfo.file_size), (None, None));
    let expected = Flags::COMPRESSION_DEFAULT
        | Flags::FILE_HASH_MISSING
        | Flags::FILE_SIZE_MISSING
        | Flags::REFERENCES_MISSING;
    assert_eq!(narinfo.flags, expected);
    let printed = narinfo.to_text(&StoreDir::default());
    let expected = LEAST.replace("URL: x\n", "URL: x\nCompression: bzip2\n") + "References: \n";
    assert_eq!(printed, expected);
}

/// Each leniency of Nix: what is replaced in [`FULL`], by what, and the flags that say so.
const LENIENCIES: [(&str, &str, Flags); 34] = [
    ("Compression: xz\n", "Compression: xz\nSystem: x86_64-linux\n", Flags::UNKNOWN_FIELD),
    ("Compression: xz\n", "Compression: xz\nCompression : xz\n", Flags::UNKNOWN_FIELD),
    // A line without a colon becomes part of the next name.
    ("CA: ", "no colon here\nSig: x\nCA: ", Flags::UNKNOWN_FIELD),
    ("URL: ", "no colon here\nURL: first\nURL: ", Flags::UNKNOWN_FIELD),
    (
        "NarSize: 34878\n",
        "NarSize: 34878\nURL: nar/1w1fff338fvdw53sqgamddn1b2xgds473pv6y13gizdbqjv4i5p3.nar.xz\n",
        Flags::FIELD_ORDER.with(Flags::DUPLICATE_FIELD),
    ),
    ("FileSize: 4029176\n", "FileSize: 1\nFileSize: 4029176\n", Flags::DUPLICATE_FIELD),
    ("References: ", "References:  \nReferences: ", Flags::DUPLICATE_FIELD),
    ("CA: ", "CA: \nCA: ", Flags::CA_EMPTY.with(Flags::DUPLICATE_FIELD)),
    ("FileSize: ", "FileSize:\t", Flags::SEPARATOR),
    ("URL: ", "URL:\n", Flags::SEPARATOR),
    ("Compression: xz\n", "", Flags::COMPRESSION_DEFAULT),
    ("Compression: xz\n", "Compression: \n", Flags::COMPRESSION_DEFAULT),
    ("Compression: xz\n", "Compression: xz\r\n", Flags::COMPRESSION_UNKNOWN),
    ("Compression: xz\n", "Compression: brotli\n", Flags::COMPRESSION_UNKNOWN),
    ("FileHash: sha256:1w1fff338fvdw53sqgamddn1b2xgds473pv6y13gizdbqjv4i5p3\n", "", Flags::FILE_HASH_MISSING),
    ("FileSize: 4029176\n", "", Flags::FILE_SIZE_MISSING),
    (
        "FileHash: sha256:1w1fff338fvdw53sqgamddn1b2xgds473pv6y13gizdbqjv4i5p3",
        "FileHash: sha256-45ZItsSr/fhG8GbfcYhur4sVbGtVPaxH4W07NIZzLvA=",
        Flags::FILE_HASH_ENCODING,
    ),
    (
        "FileHash: sha256:1w1fff338fvdw53sqgamddn1b2xgds473pv6y13gizdbqjv4i5p3",
        "FileHash: sha256:e39648b6c4abfdf846f066df71886eaf8b156c6b553dac47e16d3b3486732ef0",
        Flags::FILE_HASH_ENCODING,
    ),
    (
        "FileHash: sha256:1w1fff338fvdw53sqgamddn1b2xgds473pv6y13gizdbqjv4i5p3",
        "FileHash: sha256:45ZItsSr/fhG8GbfcYhur4sVbGtVPaxH4W07NIZzLvA=",
        Flags::FILE_HASH_ENCODING,
    ),
    (
        "FileHash: sha256:1w1fff338fvdw53sqgamddn1b2xgds473pv6y13gizdbqjv4i5p3",
        "FileHash: sha1:x9cq5nqdsb3sf3sqr1wxq4sfq0w5q0hf",
        Flags::FILE_HASH_ALGORITHM,
    ),
    (
        "NarHash: sha256:1lr187v6dck1rjh2j6svpikcfz53wyl3qrlcbb405zlh13x0khhh",
        "NarHash: sha256-EMIJ+giQ/gLIWoxmPKjno3zHZrxbGymgzGGyZvZBIdM=",
        Flags::NAR_HASH_ENCODING,
    ),
    (
        "NarHash: sha256:1lr187v6dck1rjh2j6svpikcfz53wyl3qrlcbb405zlh13x0khhh",
        "NarHash: md5:1B2M2Y8AsgTpgAmY7PhCfg==",
        Flags::NAR_HASH_ENCODING.with(Flags::NAR_HASH_ALGORITHM),
    ),
    ("FileSize: 4029176", "FileSize: 04029176", Flags::SIZE_FORM),
    ("NarSize: 34878", "NarSize: +34878", Flags::SIZE_FORM),
    (
        "References: g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-bar p1w3skmwk5p6aijwyhbwbgsvqkgw2bkw-full\n",
        "",
        Flags::REFERENCES_MISSING,
    ),
    (
        "References: g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-bar p1w3skmwk5p6aijwyhbwbgsvqkgw2bkw-full",
        "References: p1w3skmwk5p6aijwyhbwbgsvqkgw2bkw-full g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-bar",
        Flags::REFERENCES_UNSORTED,
    ),
    (
        "References: g1w7",
        "References: g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-bar g1w7",
        Flags::REFERENCES_DUPLICATE,
    ),
    ("-bar p1w3", "-bar  p1w3", Flags::REFERENCES_SPACING),
    ("References: g1w7", "References:  g1w7", Flags::REFERENCES_SPACING),
    (
        "Deriver: g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-full.drv",
        "Deriver: unknown-deriver",
        Flags::DERIVER_UNKNOWN,
    ),
    ("Sig: a-1:", "Sig: b:x\nSig: a-1:", Flags::SIGNATURES_UNSORTED),
    ("Sig: a-1:", "Sig: a-1\nSig: a-1\nSig: a-1:", Flags::SIGNATURES_DUPLICATE),
    (
        "CA: fixed:r:sha256:1lr187v6dck1rjh2j6svpikcfz53wyl3qrlcbb405zlh13x0khhh",
        "CA: fixed:r:sha256:EMIJ+giQ/gLIWoxmPKjno3zHZrxbGymgzGGyZvZBIdM=",
        Flags::CA_FORM,
    ),
    ("StorePath: /nix/store/", "StorePath: //nix/./var/../store/", Flags::STORE_PATH_FORM),
];

#[test]
fn leniencies_of_nix_are_flagged() {
    let store_dir = StoreDir::default();
    let mut seen = Flags::NONE;
    for (old, new, flags) in LENIENCIES {
        let text = full_with(old, new);
        let narinfo = parse(&text);
        assert_eq!(narinfo.flags, flags, "{old:?} -> {new:?}");
        assert_eq!(narinfo.to_text(&store_dir) == text, flags.prints_back(), "{old:?} -> {new:?}");
        let borrowed = NarInfoRef::parse(KEY, &text).unwrap();
        assert_eq!(borrowed.flags, flags - Flags::STORE_PATH_FORM, "{old:?} -> {new:?}");
        seen |= flags;
    }
    let all = Flags::ALL.iter().fold(Flags::NONE, |all, (flag, _)| all | *flag);
    assert_eq!(all - seen, Flags::SIGNATURES_BY_KEY, "flags without an example");
}

#[test]
fn what_is_lost_changes_nothing_else() {
    let expected = parse(FULL);
    for (old, new, _) in LENIENCIES.iter().filter(|(_, _, flags)| {
        !flags.intersects(
            Flags::COMPRESSION_DEFAULT
                | Flags::COMPRESSION_UNKNOWN
                | Flags::FILE_HASH_MISSING
                | Flags::FILE_SIZE_MISSING
                | Flags::FILE_HASH_ALGORITHM
                | Flags::NAR_HASH_ALGORITHM
                | Flags::REFERENCES_MISSING
                | Flags::DERIVER_UNKNOWN
                | Flags::SIGNATURES_UNSORTED
                | Flags::SIGNATURES_DUPLICATE,
        )
    }) {
        let narinfo = parse(&full_with(old, new));
        assert_eq!(NarInfo { flags: Flags::NONE, ..narinfo }, expected, "{old:?} -> {new:?}");
    }
}

#[test]
fn signatures_in_the_order_of_newer_nix_keep_it() {
    let lines: Vec<&str> = FULL.lines().filter(|line| line.starts_with("Sig: ")).collect();
    let text = full_with(&lines.join("\n"), &[lines[1], lines[0]].join("\n"));
    let narinfo = parse(&text);
    assert_eq!(narinfo.flags, Flags::SIGNATURES_BY_KEY);
    assert_eq!(narinfo.to_text(&StoreDir::default()), text);
    assert_eq!(NarInfoRef::parse(KEY, &text).unwrap().to_text(), text);
    assert_eq!(narinfo.info, parse(FULL).info);
}

#[test]
fn no_value_forges_a_line() {
    const FORGED: &str = "\nNarSize: 1\nSig: forged:AAAA\nCA: text";
    let plain = parse(FULL);
    let signature = "z-signature:AAAA";
    let mut expected = plain.clone();
    expected.info.signatures.insert(Signature::new(signature));
    expected.compression = Compression::from("new");
    let expected = expected.to_text(&StoreDir::default());

    let mut forged = plain;
    forged.url.push_str(FORGED);
    forged.compression = Compression::Unknown(format!("new{FORGED}").into());
    forged.info.signatures.insert(Signature::new(&format!("{signature}{FORGED}")));
    assert_eq!(forged.to_text(&StoreDir::default()), expected);

    let forge = |value: &str| format!("{value}{FORGED}");
    let mut borrowed = NarInfoRef::parse(KEY, FULL).unwrap();
    let (store_path, url) = (forge(borrowed.store_path), forge(borrowed.url));
    let (compression, deriver) = (forge(borrowed.compression), borrowed.deriver.map(forge));
    borrowed.store_path = &store_path;
    borrowed.url = &url;
    borrowed.compression = &compression;
    borrowed.deriver = deriver.as_deref();
    assert_eq!(borrowed.to_text(), FULL);
}

#[test]
fn sizes_are_printed_in_full() {
    for size in [0, 9, 10, 4_029_176, u64::MAX] {
        let text = full_with("FileSize: 4029176", &format!("FileSize: {size}"));
        assert_eq!(parse(&text).to_text(&StoreDir::default()), text);
    }
}

#[test]
fn refusals_name_line_field_value_and_what_was_expected() {
    for (old, new, message) in [
        (
            "NarSize: 34878",
            "NarSize: 34878x",
            "at line 7: NarSize '34878x' is no size, expected a decimal number of bytes below 2^64",
        ),
        (
            "NarSize: 34878",
            "NarSize: -1",
            "at line 7: NarSize '-1' is no size, expected a decimal number of bytes below 2^64",
        ),
        (
            "NarSize: 34878",
            "NarSize: 18446744073709551616",
            "at line 7: NarSize '18446744073709551616' is no size, expected a decimal number of bytes below 2^64",
        ),
        (
            "FileSize: 4029176",
            "FileSize: ",
            "at line 5: FileSize '' is no size, expected a decimal number of bytes below 2^64",
        ),
        (
            "FileSize: 4029176",
            "FileSize: 1\r",
            "at line 5: FileSize '1\\r' is no size, expected a decimal number of bytes below 2^64",
        ),
        ("NarSize: 34878", "NarSize: 0", ": NarSize is missing, empty or zero"),
        ("NarSize: 34878\n", "", ": NarSize is missing, empty or zero"),
        ("NarHash: ", "X: ", ": NarHash is missing, empty or zero"),
        ("URL: ", "X: ", ": URL is missing, empty or zero"),
        ("StorePath: ", "X: ", ": StorePath is missing, empty or zero"),
        (
            "StorePath: ",
            "\u{feff}StorePath: ",
            ": StorePath is not found, expected it at the very start, where a byte order mark stands (EF BB BF); remove that",
        ),
        (
            "FileHash: sha256:",
            "FileHash: ",
            "at line 4: FileHash '1w1fff338fvdw53sqgamddn1b2xgds473pv6y13gizdbqjv4i5p3' is no hash, expected '<algorithm>:<Nix32 digest>'",
        ),
        (
            "NarHash: sha256:1",
            "NarHash: sha256:e",
            "at line 6: NarHash 'sha256:elr187v6dck1rjh2j6svpikcfz53wyl3qrlcbb405zlh13x0khhh' is no hash, expected '<algorithm>:<Nix32 digest>'",
        ),
        (
            "StorePath: /nix/store/",
            "StorePath: /gnu/store/",
            "at line 1: StorePath '/gnu/store/p1w3skmwk5p6aijwyhbwbgsvqkgw2bkw-full' is no store path of this store",
        ),
        (
            "StorePath: /nix/store/",
            "StorePath: ",
            "at line 1: StorePath 'p1w3skmwk5p6aijwyhbwbgsvqkgw2bkw-full' is no store path of this store",
        ),
        (
            "q-bar p",
            "q-bär p",
            "at line 8: References 'g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-bär' is no store path of this store",
        ),
        (
            "References: ",
            "References: x\nReferences: ",
            "at line 9: References 'g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-bar p1w3skmwk5p6aijwyhbwbgsvqkgw2bkw-full' is given a second time, expected it once",
        ),
        (
            "Deriver: ",
            "Deriver: /nix/store/",
            "at line 9: Deriver '/nix/store/g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-full.drv' is no store path of this store",
        ),
        (
            "CA: fixed:",
            "CA: fixe:",
            "at line 12: CA 'fixe:r:sha256:1lr187v6dck1rjh2j6svpikcfz53wyl3qrlcbb405zlh13x0khhh' is no content address, expected 'text:', 'fixed:' or 'fixed:r:' and a hash",
        ),
        (
            "CA: ",
            "CA: text:sha256:1lr187v6dck1rjh2j6svpikcfz53wyl3qrlcbb405zlh13x0khhh\nCA: ",
            "at line 13: CA 'fixed:r:sha256:1lr187v6dck1rjh2j6svpikcfz53wyl3qrlcbb405zlh13x0khhh' is given a second time, expected it once",
        ),
        (
            "URL: nar",
            "URL:ünar",
            "at line 2: URL '' begins inside a character, expected ': ' before the value",
        ),
    ] {
        let expected =
            format!("narinfo '{KEY}' is corrupt{}{message}", if message.starts_with(':') { "" } else { " " });
        assert_eq!(complaint(old, new), expected, "{old:?} -> {new:?}");
    }
}

#[test]
fn a_path_that_is_replaced_must_be_one_all_the_same() {
    for field in ["StorePath", "Deriver"] {
        let error = complaint(&format!("{field}: "), &format!("{field}: none\n{field}: "));
        assert!(error.ends_with(&format!("{field} 'none' is no store path of this store")), "{error}");
    }
    let other = "StorePath: /nix/store/g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-bar\nStorePath: ";
    assert_eq!(parse(&full_with("StorePath: ", other)).info, parse(FULL).info);
}

#[test]
fn refusals_of_broken_lines() {
    let store_dir = StoreDir::default();
    for (text, message) in [
        (format!("{FULL}rest"), "at line 13: 'rest' has no colon, expected 'Name: value'"),
        (format!("{FULL}\n\n"), "at line 13: '' has no colon, expected 'Name: value'"),
        (format!("{FULL}Sig: x"), "at line 13: 'Sig: x' does not end, expected a line break after the value"),
        (format!("{FULL}Sig:"), "at line 13: 'Sig:' does not end, expected a line break after the value"),
        (format!("{FULL}Sig:\n"), "at line 13: 'Sig:' does not end, expected a line break after the value"),
        (String::from("\0"), "at line 1: '\\0' has no colon, expected 'Name: value'"),
    ] {
        let error = NarInfo::parse(&store_dir, KEY, &text).unwrap_err();
        assert_eq!(error.to_string(), format!("narinfo '{KEY}' is corrupt {message}"));
        assert_eq!(NarInfoRef::parse(KEY, &text).unwrap_err(), error);
    }
    let error = NarInfo::parse(&store_dir, KEY, "").unwrap_err();
    assert_eq!(
        (error.line, error.field, error.problem),
        (None, Some(Field::StorePath), NarInfoProblem::Missing)
    );
}

#[test]
fn sources_tell_more() {
    let error = NarInfo::parse(&StoreDir::default(), KEY, &full_with("q-bar p", "q-b@r p")).unwrap_err();
    let source = std::error::Error::source(&error).unwrap();
    assert!(source.to_string().contains('@'), "{source}");
}

#[test]
fn long_values_are_quoted_in_part() {
    let text = full_with("URL: ", &format!("URL: u\nNarSize: {}\nURL: ", "ä".repeat(10_000)));
    let error = NarInfo::parse(&StoreDir::default(), KEY, &text).unwrap_err();
    assert_eq!(error.value.as_deref(), Some(format!("{}…", "ä".repeat(50)).as_str()));
}

#[test]
fn lengths_are_bounded() {
    let store_dir = StoreDir::default();
    let longest = format!("{LEAST}X: {}\n", "x".repeat(MAX_TEXT_LENGTH - LEAST.len() - "X: \n".len()));
    assert_eq!(longest.len(), MAX_TEXT_LENGTH);
    assert!(NarInfo::parse(&store_dir, KEY, &longest).is_ok());
    let error = NarInfo::parse(&store_dir, KEY, &format!("{longest}\n")).unwrap_err();
    assert_eq!(error.problem, NarInfoProblem::TooLong { length: MAX_TEXT_LENGTH + 1 });

    let most = format!("{LEAST}{}", "Sig: x\n".repeat(MAX_SIGNATURES));
    assert_eq!(parse(&most).info.signatures.len(), 1);
    let error = NarInfo::parse(&store_dir, KEY, &format!("{most}Sig: y\n")).unwrap_err();
    assert_eq!(error.problem, NarInfoProblem::TooManySignatures);
}

#[test]
fn strict_reading_refuses_the_first_departure() {
    let store_dir = StoreDir::default();
    assert_eq!(NarInfo::parse_strict(&store_dir, KEY, FULL).unwrap(), parse(FULL));
    for (old, new, flags) in LENIENCIES {
        let error = NarInfo::parse_strict(&store_dir, KEY, &full_with(old, new)).unwrap_err();
        assert_eq!(error.problem, NarInfoProblem::NotCanonical(flags), "{old:?} -> {new:?}");
    }
    let error = NarInfo::parse_strict(&store_dir, KEY, &full_with("NarSize: 3", "NarSize: 03")).unwrap_err();
    let expected =
        format!("narinfo '{KEY}' is corrupt at line 7: NarSize '034878' is not as Nix writes it (SIZE_FORM)");
    assert_eq!(error.to_string(), expected);
}

#[test]
fn lint_says_everything_at_once() {
    let text = full_with("NarSize: 34878", "NarSize: 034878\nSystem: riscv64-linux")
        .replace("nar/1w1f", "nar/0w1f")
        .replace("full.drv", "full")
        .replace("Sig: a:", "Sig: a")
        .replace("FileSize: 4029176", "FileSize: 0");
    let (_, findings) = NarInfo::lint(&StoreDir::default(), "elsewhere.narinfo", &text).unwrap();
    let messages: Vec<String> = findings.iter().map(ToString::to_string).collect();
    let signature = "A".repeat(86);
    assert_eq!(
        messages,
        [
            "line 7: NarSize '034878' has leading zeros or a plus sign",
            "line 8: 'riscv64-linux' is no field that Nix knows",
            &format!("'elsewhere.narinfo' is not the key of the store path, expected '{KEY}'"),
            "URL 'nar/0w1fff338fvdw53sqgamddn1b2xgds473pv6y13gizdbqjv4i5p3.nar.xz' does not follow from FileHash and Compression, expected 'nar/1w1fff338fvdw53sqgamddn1b2xgds473pv6y13gizdbqjv4i5p3.nar.xz'",
            "FileSize '0' is not the size of any NAR file",
            "Deriver 'g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-full' is not a derivation, expected a name that ends in '.drv'",
            &format!("Sig 'a{signature}==' is not of the form '<key name>:<base64 of 64 bytes>'"),
            "CA 'fixed:r:sha256:1lr187v6dck1rjh2j6svpikcfz53wyl3qrlcbb405zlh13x0khhh' does not lead to the store path",
        ]
    );
    let (_, findings) = NarInfo::lint(&StoreDir::default(), KEY, LEAST).unwrap();
    assert!(findings.iter().any(|finding| finding.rule == Rule::NotTrusted));
}

#[test]
fn bytes_that_are_no_text_are_located() {
    let text = full_with("Sig: a:", "Sig: \u{fffd}a:");
    assert!(NarInfo::parse_bytes(&StoreDir::default(), KEY, text.as_bytes()).is_ok());
    let at = text.find('\u{fffd}').unwrap();
    let mut bytes = text.into_bytes();
    bytes[at] = b'\xff';
    let error = NarInfo::parse_bytes(&StoreDir::default(), KEY, &bytes).unwrap_err();
    assert_eq!(error.problem, NarInfoProblem::NotUtf8 { offset: at });
    assert_eq!(error.field, Some(Field::Sig));
    let before = &bytes[..at];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    assert_eq!(error.line, u32::try_from(line).ok());
    assert!(error.value.as_ref().unwrap().starts_with('\u{fffd}'), "{error}");
    for (bytes, line) in [(b"\xff".as_slice(), 1), (b"a\n\n\xff\n", 3), (b"StorePath: /nix\nURL\xff", 2)] {
        let error = NarInfo::parse_bytes(&StoreDir::default(), KEY, bytes).unwrap_err();
        assert_eq!((error.line, error.field), (Some(line), None), "{error}");
    }
}

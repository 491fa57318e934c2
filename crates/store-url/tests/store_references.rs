//! Nix's own store references (its unit-test data of 2.29.1 and of HEAD), each read and printed back, or refused for
//! a reason.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod support;

use std::collections::BTreeSet;

use nars3_store_url::{Problem, StoreUrl};

/// What becomes of one file.
enum Outcome {
    /// Printed as the file has it.
    Same,
    /// Printed in Nix's own form of the same reference.
    As(&'static str),
    /// Refused: a store that Nix reaches over SSH.
    Ssh,
    /// Refused: a path of Windows, which the file's own test expects on Windows only.
    Windows,
}

use Outcome::{As, Same, Ssh, Windows};

/// Both versions of Nix: a name means the same in both.
const OUTCOMES: [(&str, Outcome); 24] = [
    ("auto", Same),
    ("auto_param", Same),
    ("daemon_shorthand", Same),
    ("local_1", Same),
    // A root in the path and one in the settings are the same; Nix's local store reports the latter.
    ("local_2", As("local://?root=/foo/bar/baz&trusted=true")),
    ("local_3", Same),
    ("local_3_no_percent", As("local://?root=/foo%20bar/baz")),
    ("local_shorthand_1", As("local://?root=/foo/bar/baz")),
    ("local_shorthand_2", As("local://?root=/foo/bar/baz&trusted=true")),
    ("local_shorthand_3", Same),
    ("local_shorthand_path_unix", As("local://?root=/foo/bar/baz&trusted=true")),
    ("local_shorthand_path_windows", Windows),
    ("ssh", Ssh),
    ("ssh_unbracketed_ipv6_1", Ssh),
    ("ssh_unbracketed_ipv6_2", Ssh),
    ("ssh_unbracketed_ipv6_3", Ssh),
    ("ssh_unbracketed_ipv6_4", Ssh),
    ("ssh_unbracketed_ipv6_5", Ssh),
    ("ssh_unbracketed_ipv6_6", Ssh),
    ("ssh_unbracketed_ipv6_7", Ssh),
    ("ssh_unbracketed_ipv6_8", Ssh),
    ("ssh_unbracketed_ipv6_9", Ssh),
    // The daemon at its usual socket: Nix's daemon store reports the short name.
    ("unix", As("daemon?max-connections=7&trusted=true")),
    ("unix_shorthand", Same),
];

#[test]
fn every_reference_is_printed_back_or_refused_for_a_reason() {
    let Some(upstream) = support::test_data("upstream", "store references") else { return };
    let mut seen = BTreeSet::new();
    for version in ["nix-2.29.1", "nix-2.36-dev"] {
        let folder = upstream.join(version).join("store-reference");
        for entry in
            std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            let (_, outcome) = OUTCOMES
                .iter()
                .find(|(known, _)| *known == name)
                .unwrap_or_else(|| panic!("{name} ({text}) has no expected outcome"));
            check(&name, text.trim_end(), outcome);
            seen.insert(name);
        }
    }
    assert_eq!(seen.len(), OUTCOMES.len(), "every reference of the table is there");
}

#[test]
fn what_nix_does_not_test_is_printed_back_too() {
    check("unix_path", "unix:///tmp/socket?max-connections=2", &Same);
    check("nothing", "", &As("auto"));
}

fn check(name: &str, text: &str, outcome: &Outcome) {
    let parsed = StoreUrl::parse(text);
    match outcome {
        Same | As(_) => {
            let parsed = parsed.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(parsed.warnings, [], "{name}");
            let printed = parsed.url.to_string();
            let expected = if let As(expected) = outcome { expected } else { text };
            assert_eq!(printed, expected, "{name}");
            assert_eq!(printed.parse(), Ok(parsed.url), "{name}");
        }
        Ssh => {
            let error = parsed.unwrap_err();
            assert!(
                matches!(error.problem, Problem::UnsupportedStore { scheme: "ssh", .. }),
                "{name}: {error}"
            );
            assert!(error.to_string().contains("another machine"), "{name}: {error}");
        }
        Windows => {
            let error = parsed.unwrap_err();
            assert_eq!((error.at, error.problem), (0, Problem::WindowsPath), "{name}");
        }
    }
}

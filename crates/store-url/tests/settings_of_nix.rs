//! The table of settings against Nix: what Nix has, with its names, old names and defaults, is there.

#![cfg(test)]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

use std::collections::BTreeMap;
use std::process::Command;

use nars3_store_url::{Setting, StoreType, settings_table};
use serde_json::Value;

fn setting(name: &str, store: StoreType) -> &'static Setting {
    settings_table()
        .find(|setting| setting.name == name && setting.applies_to(store))
        .unwrap_or_else(|| panic!("{store} stores lack '{name}'"))
}

/// What Nix 2.29.1 and HEAD have for an S3 store beyond what every binary cache has (`s3-binary-cache-store.hh`): name, old
/// names, default, and where ours is another one, with the reason in `docs/differences.md`.
const OF_S3: [(&str, &[&str], &str, Option<&str>); 14] = [
    // No profile named is the SDK's business in 2.29, and `default` in HEAD, where it counts only if it was given.
    ("profile", &[], "default", Some("")),
    ("region", &[], "us-east-1", None),
    // Empty in 2.29, which means https.
    ("scheme", &[], "https", None),
    ("endpoint", &[], "", None),
    ("addressing-style", &[], "auto", None),
    ("narinfo-compression", &[], "", None),
    ("ls-compression", &[], "", None),
    ("log-compression", &[], "", None),
    // What is too large for one request goes in parts here without being asked.
    ("multipart-upload", &[], "false", Some("")),
    // Where nothing is said, memory and bandwidth decide.
    ("multipart-chunk-size", &["buffer-size"], "5242880", Some("")),
    ("multipart-threshold", &[], "104857600", Some("")),
    ("storage-class", &[], "", None),
    ("compression", &[], "xz", None),
    ("compression-level", &[], "-1", None),
];

#[test]
fn s3_stores_have_the_settings_of_nix() {
    for (name, aliases, nix, ours) in OF_S3 {
        let setting = setting(name, StoreType::S3);
        assert_eq!(setting.aliases, aliases, "{name}");
        assert_eq!(setting.default, ours.unwrap_or(nix), "{name}");
    }
}

/// The kinds of stores as `nix describe-stores` calls them. That of S3 exists only in a Nix that was built with it.
const STORES: [(&str, StoreType); 4] = [
    ("Http Binary Cache Store", StoreType::Http),
    ("Local Binary Cache Store", StoreType::File),
    ("S3 Binary Cache Store", StoreType::S3),
    ("Local Daemon Store", StoreType::Daemon),
];

/// Defaults that are others here.
const OTHER_DEFAULTS: [(&str, &str); 7] = [
    ("real", "below `root`"),
    (
        "priority",
        "what the cache's nix-cache-info says, and 0 without one, as in Nix, which describes the 0 alone",
    ),
    ("want-mass-query", "likewise"),
    ("parallel-compression", "on for zstd alone, as in HEAD"),
    // They follow the machine, and those of the daemon the directory of the store.
    ("system-features", "what this machine has"),
    ("state", "below `root`"),
    ("log", "below `root`"),
];

fn text_of(default: &Value) -> String {
    match default {
        Value::String(text) => text.clone(),
        Value::Array(words) => words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

#[test]
fn every_setting_that_real_nix_describes_is_there() {
    let output = Command::new("nix")
        .args(["--extra-experimental-features", "nix-command", "describe-stores", "--json"])
        .env_remove("NIX_CONFIG")
        .output();
    let Some(output) = output.ok().filter(|output| output.status.success()) else {
        let required = std::env::var("NARS3_REQUIRE").unwrap_or_default();
        assert!(!required.split(',').any(|item| item.trim() == "nix"), "no real Nix");
        eprintln!("SKIPPED (no real Nix): every_setting_that_real_nix_describes_is_there");
        return;
    };
    let described: BTreeMap<String, BTreeMap<String, Value>> =
        serde_json::from_slice(&output.stdout).unwrap();
    let mut checked = 0;
    for (title, store) in STORES {
        let Some(settings) = described.get(title) else {
            assert_eq!(store, StoreType::S3, "Nix no longer describes '{title}'");
            continue;
        };
        for (name, nix) in settings {
            let ours = setting(name, store);
            for alias in nix["aliases"].as_array().unwrap() {
                assert!(ours.aliases.contains(&alias.as_str().unwrap()), "{name} was called {alias}");
            }
            let expected = text_of(&nix["defaultValue"]);
            let other = OTHER_DEFAULTS.iter().any(|(other, _)| other == name);
            assert!(
                other || ours.default == expected,
                "{name} of {store}: '{}', Nix '{expected}'",
                ours.default
            );
            checked += 1;
        }
    }
    assert!(checked > 30, "only {checked} settings were compared");
}

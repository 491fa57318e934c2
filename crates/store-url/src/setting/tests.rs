//! The table against itself and against the settings' types: a row cannot say what the code does not do.

use std::collections::BTreeSet;

use super::*;
use crate::store_url::StoreUrl;

/// A URL of each kind of store, with default settings.
fn stores() -> Vec<StoreUrl> {
    ["s3://bucket", "file:///dir", "https://host", "local", "daemon", "auto"]
        .into_iter()
        .map(|text| text.parse().unwrap())
        .collect()
}

/// A value that is not the default.
fn other_value(setting: &Setting) -> String {
    match setting.range {
        Range::Boolean => if setting.default == "true" { "false" } else { "true" }.to_owned(),
        Range::Integer { minimum, .. } => (minimum.max(1) + 1).to_string(),
        Range::OneOf(words) => words.iter().find(|word| **word != setting.default).unwrap().to_string(),
        Range::Text | Range::Name | Range::Words => "something".to_owned(),
        Range::Path | Range::AbsolutePath => "/some/where".to_owned(),
        Range::Paths => "/some/where,relative".to_owned(),
        Range::Endpoint => "http://[::1]:9000".to_owned(),
        Range::Tags => "team=a%26b&x=".to_owned(),
    }
}

#[test]
fn names_are_unique_and_rows_are_documented() {
    let mut names = BTreeSet::new();
    for setting in settings_table() {
        for name in setting.names() {
            assert!(names.insert(name), "{name} stands twice");
        }
        assert!(setting.meaning.ends_with('.'), "{}", setting.name);
        assert!(!setting.stores.is_empty(), "{}", setting.name);
        let is_number = matches!(setting.range, Range::Integer { .. });
        assert!(is_number || setting.unit == Unit::None, "{}", setting.name);
        assert_eq!(find(setting.name).unwrap().name, setting.name);
    }
}

#[test]
fn every_default_is_what_the_types_have() {
    for url in stores() {
        for setting in settings_table().filter(|setting| setting.applies_to(url.kind.store_type())) {
            let shown = (setting.slot.show)(&url, setting).unwrap_or_default();
            assert_eq!(shown, setting.default, "{} of {url}", setting.name);
            let mut again = url.clone();
            if !setting.default.is_empty() {
                (setting.slot.read)(&mut again, setting.default, setting).unwrap();
            }
            // That somebody has chosen it is remembered of this one, also where the default was chosen.
            again.cache.compression_is_chosen = false;
            assert_eq!(again, url, "the default of {}", setting.name);
        }
    }
}

#[test]
fn every_setting_is_read_and_shown_by_each_of_its_stores() {
    for url in stores() {
        for setting in settings_table().filter(|setting| setting.applies_to(url.kind.store_type())) {
            let value = other_value(setting);
            let mut changed = url.clone();
            (setting.slot.read)(&mut changed, &value, setting).unwrap();
            assert_ne!(changed, url, "{}={value} of {url}", setting.name);
            let printed = changed.to_string();
            let parsed = StoreUrl::parse(&printed).unwrap();
            assert_eq!(parsed.url, changed, "{printed}");
            assert!(
                parsed.warnings.iter().all(|warning| !warning.to_string().contains("ignored")),
                "{printed}: {:?}",
                parsed.warnings
            );
        }
    }
}

#[test]
fn no_row_reaches_into_a_store_that_it_does_not_belong_to() {
    for url in stores() {
        for setting in settings_table().filter(|setting| !setting.applies_to(url.kind.store_type())) {
            let mut changed = url.clone();
            let _ = (setting.slot.read)(&mut changed, &other_value(setting), setting);
            // The settings of caches and of every store are in each `StoreUrl`; there only the names are refused.
            assert_eq!(changed.kind, url.kind, "{} of {url}", setting.name);
        }
    }
}

#[test]
fn ranges_end_where_they_say() {
    for setting in settings_table() {
        let Range::Integer { minimum, maximum } = setting.range else { continue };
        let store = setting.stores.first().unwrap();
        let mut url = stores().into_iter().find(|url| url.kind.store_type() == *store).unwrap();
        let mut read = |value: i128| (setting.slot.read)(&mut url, &value.to_string(), setting);
        assert_eq!(read(i128::from(minimum)), Ok(()), "{}", setting.name);
        assert_eq!(read(i128::from(maximum)), Ok(()), "{}", setting.name);
        assert!(read(i128::from(minimum) - 1).is_err(), "{}", setting.name);
        assert!(read(i128::from(maximum) + 1).is_err(), "{}", setting.name);
    }
}

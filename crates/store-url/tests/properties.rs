//! Properties over generated URLs: printing is lossless, nothing panics, secrets stay inside.

use nars3_store_url::{Range, S3ObjectUrl, Setting, StoreKind, StoreType, StoreUrl, settings_table};
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Text that is likely to be a store URL or nearly one.
fn url_like() -> impl Strategy<Value = String> {
    let names: Vec<&'static str> = settings_table().flat_map(Setting::names).collect();
    let pieces = prop_oneof![
        3 => select(vec![
            "s3", "http", "https", "file", "local", "daemon", "unix", "auto", "ssh", "://", ":", "/", "//", "?", "&",
            "=", "#", "@", "%", "%2", "%20", "%00", "%ff", "[", "]", "::1", "..", ".", "bucket", "host", ":9000", "true",
            "5M", "-1", "path", "virtual", "1.2.3.4", " ", "\"", "\n", "ü",
        ])
        .prop_map(str::to_owned),
        2 => select(names).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    proptest::collection::vec(pieces, 0..12).prop_map(|pieces| pieces.concat())
}

/// A value that the setting takes.
fn value(setting: &'static Setting) -> BoxedStrategy<String> {
    match setting.range {
        Range::Boolean => {
            select(vec!["true", "yes", "1", "false", "no", "0"]).prop_map(str::to_owned).boxed()
        }
        Range::Integer { minimum, maximum } => {
            (i128::from(minimum)..=i128::from(maximum)).prop_map(|number| number.to_string()).boxed()
        }
        Range::OneOf(words) => select(words).prop_map(|word: &str| word.to_owned()).boxed(),
        Range::Name => "[A-Za-z0-9._-]{1,20}".boxed(),
        Range::AbsolutePath => "/[^/\0.]{1,10}(/[^\0]{0,10})?".boxed(),
        Range::Endpoint => {
            "(https?://)?([a-z.-]{1,10}|\\[::1\\]|10\\.0\\.0\\.1)(:[1-9][0-9]{0,3})?(/[^?#@\0%/]{1,5})?"
                .prop_filter("only a URL has a path", |text| text.contains("://") || !text.contains('/'))
                .prop_filter("encoded characters in a path only", |text| {
                    text.is_ascii() && !text.contains(' ')
                })
                .boxed()
        }
        Range::Tags => "([a-z]{1,5}=[a-z%26]{0}(&[A-Z]{1,5}=[a-z]{0,5}){0,3})?".boxed(),
        _ => "[^\0\\p{Cc}]{1,20}".boxed(),
    }
}

/// A base, and settings of its kind with values that they take.
fn good_url() -> impl Strategy<Value = String> {
    let encode = |text: &str| -> String { url::form_urlencoded::byte_serialize(text.as_bytes()).collect() };
    let bases = select(vec![
        (StoreType::S3, "s3://bucket"),
        (StoreType::S3, "s3://buck.et/pre/f%20ix"),
        (StoreType::File, "file:///cache/%25"),
        (StoreType::Http, "https://host:8443/a%2Fb/c"),
        (StoreType::Http, "http://[fe80::1%25eth0]"),
        (StoreType::Local, "local"),
        (StoreType::Local, "local:///root"),
        (StoreType::Local, "../relative"),
        (StoreType::Daemon, "daemon"),
        (StoreType::Daemon, "unix:///run/socket"),
        (StoreType::Auto, "auto"),
    ]);
    bases.prop_flat_map(move |(store, base)| {
        let known: Vec<&'static Setting> = settings_table().filter(|row| row.applies_to(store)).collect();
        let one = any::<Index>().prop_flat_map(move |index| {
            let setting = *index.get(&known);
            value(setting).prop_map(move |value| (setting.name, value))
        });
        proptest::collection::vec(one, 0..6).prop_map(move |settings| {
            let query: Vec<String> = settings
                .iter()
                .map(|(name, value)| format!("{name}={}", encode(value).replace('+', "%20")))
                .collect();
            format!("{base}?{}", query.join("&"))
        })
    })
}

/// Everything that can be seen of a parsed URL.
fn visible(text: &str) -> String {
    let store = match StoreUrl::parse(text) {
        Ok(parsed) => {
            let warnings: String = parsed.warnings.iter().map(ToString::to_string).collect();
            format!("{parsed:?} {} {} {warnings}", parsed.url, parsed.url.base())
        }
        Err(error) => format!("{error:?} {error}"),
    };
    let object = match S3ObjectUrl::parse(text) {
        Ok(parsed) => format!("{parsed:?} {}", parsed.url),
        Err(error) => format!("{error:?} {error}"),
    };
    store + &object
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn anything_parses_or_is_refused_inside_the_text(text in prop_oneof![url_like(), any::<String>()]) {
        if let Err(error) = StoreUrl::parse(&text) {
            prop_assert!(error.at <= text.len(), "{error}");
            prop_assert!(text.is_char_boundary(error.at), "{error}");
        }
        if let Err(error) = S3ObjectUrl::parse(&text) {
            prop_assert!(error.at <= text.len() && text.is_char_boundary(error.at), "{error}");
        }
    }

    #[test]
    fn what_parses_prints_and_parses_to_the_same(text in prop_oneof![url_like(), good_url()]) {
        if let Ok(parsed) = StoreUrl::parse(&text) {
            let printed = parsed.url.to_string();
            let again = StoreUrl::parse(&printed).map_err(|error| TestCaseError::fail(format!("{printed}: {error}")))?;
            prop_assert_eq!(&again.url, &parsed.url.without_secrets(), "{} printed as {}", text, printed);
            prop_assert_eq!(again.url.to_string(), printed);
        }
        if let Ok(parsed) = S3ObjectUrl::parse(&text) {
            let printed = parsed.url.to_string();
            prop_assert_eq!(printed.parse::<S3ObjectUrl>(), Ok(parsed.url), "{} printed as {}", text, printed);
        }
    }

    #[test]
    fn http_urls_are_urls_to_others_too(text in good_url()) {
        let url = match StoreUrl::parse(&text).map(|parsed| parsed.url.kind) {
            Ok(StoreKind::Http(http)) => http.url,
            Ok(StoreKind::S3(s3)) => s3.bucket_address().map_err(|error| TestCaseError::fail(error.to_string()))?.url,
            _ => return Ok(()),
        };
        // The `url` crate removes `.` and `..`, which object keys may hold, and knows no zones in addresses.
        prop_assume!(!url.segments.iter().any(|segment| matches!(segment.as_str(), "." | "..")));
        let printed = url.to_string().replace("%25eth0", "");
        let other = url::Url::parse(&printed).map_err(|error| TestCaseError::fail(format!("{printed}: {error}")))?;
        prop_assert_eq!(other.scheme(), url.scheme.as_str());
        prop_assert_eq!(other.path(), if url.segments.is_empty() { "/".to_owned() } else { url.encoded_path() });
    }

    #[test]
    fn secrets_are_never_printed(
        secret in "[A-Z]{8,16}([!-~&&[^/?#&=]]{0,3}|={1,2})",
        frame in select(vec![
            "https://me:SECRET@host/path", "http://SECRET@host", "https://me:SECRET@host:99999/",
            "https://me:SECRET@ho st/", "https://me:SECRET@/x", "https://me:SECRET@[::1", "https://me:SECRET@host/ü",
            "https://me:p/SECRET@host", "https://me:p:SECRET/%zz@host", "https://me:%zzSECRET@host",
            "https://host?token=SECRET", "https://host?SECRET", "https://host#SECRET", "ssh://me:SECRET@host",
            "s3://SECRET@bucket", "s3://SECRET@bucket/key", "s3://me:SECRET@bucket/key?region=x",
            "s3://me:SECRET/@bucket/key", "s3://b/k?endpoint=https://me:SECRET@host", "s3://b/k?endpoint=SECRET@host:x",
            "s3://b?secret-key=name:SECRET%zz", "file:///c?secret-key=SECRET%00", "file:///c?secret-keys=SECRET%00",
            "https://h?tls-private-key=SECRET", "file://me:SECRET@host/x", "unix://SECRET@host/x", "SECRET@host",
            "me:SECRET@host", "s3://b?unknown=SECRET", "s3://b/k?access-key-secret=SECRET", "file:me:SECRET@host",
        ]),
        encoded in any::<bool>(),
    ) {
        let frame = if encoded { frame.replace('@', "%40") } else { frame.to_owned() };
        let seen = visible(&frame.replace("SECRET", &secret));
        let core: String = secret.chars().take_while(char::is_ascii_uppercase).collect();
        // An encoded `@` in front of a host does not separate: what stands there is then part of a name or a path.
        let separates = !encoded || StoreUrl::parse(&frame).is_err();
        prop_assert!(!separates || !seen.contains(&core), "{} shows {}", frame, seen);
    }
}

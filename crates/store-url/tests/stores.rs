//! Store URLs of every kind: what they mean, how they print, what is warned of, and where errors point.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::path::Path;
use std::time::Duration;

use nars3_narinfo::Compression;
use nars3_store_url::{
    AddressingError, AddressingStyle, Endpoint, Host, Problem, S3Client, S3Settings, Scheme,
    ServerSideEncryption, StoreKind, StoreUrl, ValueProblem, Warning,
};

fn parse(text: &str) -> StoreUrl {
    let parsed = StoreUrl::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(parsed.warnings, [], "{text}");
    parsed.url
}

fn s3(text: &str) -> S3Settings {
    match parse(text).kind {
        StoreKind::S3(settings) => settings,
        other => panic!("{text} is {other:?}"),
    }
}

/// The cases of Nix HEAD's `s3-binary-cache-store.cc`, `http-binary-cache-store.cc`, `local-binary-cache-store.cc`,
/// `uds-remote-store.cc` and `local-store.cc` that are about URLs, and ours: a URL, and how it prints.
#[test]
fn urls_print_in_nixs_form() {
    for (text, printed) in [
        ("s3://foobar", "s3://foobar"),
        ("s3://my-bucket?region=eu-west-1", "s3://my-bucket?region=eu-west-1"),
        ("s3://b?region=us-east-1&scheme=https&endpoint=&profile=", "s3://b"),
        (
            "s3://b?region=eu-west-1&endpoint=minio.local&want-mass-query=true&priority=10",
            "s3://b?endpoint=minio.local&priority=10&region=eu-west-1&want-mass-query=true",
        ),
        ("s3://b//", "s3://b"),
        ("s3://b/pre/fix%20/", "s3://b/pre/fix%20"),
        ("s3://b/a@b", "s3://b/a@b"),
        ("http://foo.bar.baz", "http://foo.bar.baz"),
        ("https://foo.bar.baz/a/b/", "https://foo.bar.baz/a/b"),
        ("https://foo.bar.baz/a/b/?compression=xz", "https://foo.bar.baz/a/b?compression=xz"),
        ("https://foo.bar.baz/a/b/?compression=zstd", "https://foo.bar.baz/a/b?compression=zstd"),
        // A query of the server's own can only be part of the path.
        ("https://host/a%3Fb=c?priority=1", "https://host/a%3Fb%3Dc?priority=1"),
        ("http://[::1]:80/x", "http://[::1]:80/x"),
        ("http://::1", "http://[::1]"),
        ("HTTPS://Host.Example", "https://Host.Example"),
        ("file:///foo/bar/baz", "file:///foo/bar/baz"),
        ("file:/foo/bar%20baz/", "file:///foo/bar%20baz"),
        ("file://", "file:///"),
        ("local", "local"),
        ("local://", "local"),
        ("local:///", "local://?root=/"),
        ("local?root=/foo//bar/../baz/", "local://?root=/foo/baz"),
        ("local:///a?root=/b", "local://?root=/b"),
        ("/foo%20bar", "local://?root=/foo%2520bar"),
        ("./foo", "./foo"),
        ("foo/bar?trusted=1", "foo/bar?trusted=true"),
        ("daemon", "daemon"),
        ("unix://", "daemon"),
        ("unix:///tmp/socket", "unix:///tmp/socket"),
        ("daemon?max-connections=1&max-connection-age=60", "daemon?max-connection-age=60"),
        ("auto", "auto"),
        ("", "auto"),
        ("?root=/x", "auto?root=/x"),
    ] {
        let url = parse(text);
        assert_eq!(url.to_string(), printed, "{text}");
        assert_eq!(parse(printed), url, "{text}");
    }
}

#[test]
fn defaults_are_nixs() {
    let url = parse("s3://test-bucket");
    assert!(url.cache.compression == Compression::Xz && !url.cache.parallel());
    assert_eq!(url.store.store_dir.as_str(), "/nix/store");
    let settings = s3("s3://test-bucket");
    assert_eq!((settings.region.as_str(), settings.scheme), ("us-east-1", Scheme::Https));
    assert_eq!((settings.profile, settings.endpoint, settings.storage_class), (None, None, None));
    assert_eq!((settings.multipart_chunk_size, settings.multipart_threshold), (None, None));
    assert_eq!(settings.transfer.connect_timeout, Some(Duration::from_secs(15)));
    assert_eq!((settings.transfer.retry_attempts, settings.transfer.retry_delay.as_millis()), (5, 100));
}

#[test]
fn another_servers_region_has_any_name() {
    let settings = s3("s3://b?endpoint=h&region=Room:12!");
    assert_eq!(settings.region, "Room:12!");
}

#[test]
fn settings_of_s3_are_typed() {
    let settings = s3("s3://bucket/some/prefix?endpoint=localhost:9000&scheme=http&addressing-style=path\
         &multipart-upload=yes&buffer-size=8M&multipart-threshold=1G&storage-class=GLACIER&sse=aws:kms\
         &sse-kms-key-id=arn:aws:kms:eu-west-1:1:key/x&requester-pays=1&object-tags=team=a%2526b%26x=\
         &nar-cache-control=max-age=31536000,%20immutable&s3-client=rusoto&anonymous=true\
         &connect-timeout=0&stalled-download-timeout=60&retry-attempts=0&retry-max-delay=1000");
    assert_eq!(
        (settings.prefix.as_str(), settings.key("nix-cache-info").as_str()),
        ("some/prefix", "some/prefix/nix-cache-info")
    );
    let Some(Endpoint::Authority(authority)) = &settings.endpoint else { panic!("{:?}", settings.endpoint) };
    assert_eq!((&authority.host, authority.port), (&Host::Name("localhost".to_owned()), Some(9000)));
    assert_eq!((settings.scheme, settings.addressing_style), (Scheme::Http, AddressingStyle::Path));
    assert_eq!(settings.multipart_upload, Some(true));
    assert_eq!((settings.multipart_chunk_size, settings.multipart_threshold), (Some(8 << 20), Some(1 << 30)));
    assert_eq!(settings.storage_class.as_deref(), Some("GLACIER"));
    assert_eq!(settings.sse, Some(ServerSideEncryption::Kms));
    assert_eq!(settings.object_tags, [("team", "a&b"), ("x", "")].map(|(n, v)| (n.to_owned(), v.to_owned())));
    assert_eq!(settings.headers.nar.cache_control.as_deref(), Some("max-age=31536000, immutable"));
    assert!(settings.requester_pays && settings.anonymous);
    assert_eq!(settings.s3_client, Some(S3Client::Rusoto));
    assert_eq!(settings.transfer.connect_timeout, None);
    assert_eq!(settings.transfer.stalled_download_timeout, Some(Duration::from_secs(60)));
    // Nix reads 0 as "the usual number".
    assert_eq!(settings.transfer.retry_attempts, 5);
    assert_eq!(settings.transfer.retry_max_delay, Duration::from_secs(1));
}

#[test]
fn secret_key_goes_before_secret_keys() {
    let mut url = parse("file:///c?secret-keys=/b,,rel&secret-key=/a,1");
    assert_eq!(url.cache.secret_keys, ["/a,1", "/b", "rel"].map(Path::new));
    assert_eq!(url.to_string(), "file:///c?secret-key=/a%2C1&secret-keys=/b%2Crel");
    url.resolve_relative(Path::new("/home/me"));
    assert_eq!(url.cache.secret_keys, ["/a,1", "/b", "/home/me/rel"].map(Path::new));
}

/// Which Nix would take for the path of a file, and print.
#[test]
fn a_key_in_place_of_its_file_is_refused_and_not_shown() {
    let key = format!("{}==", "kEy+/".repeat(17) + "k");
    for (text, at) in [
        ("s3://b?secret-key=name:KEY", 18),
        ("s3://b?region=x&secret-key=cache.example.org-1%3AKEY", 27),
        ("file:///c?secret-key=name:KEY%0A", 21),
        ("https://h?secret-key=name:%20KEY", 21),
        ("s3://b?secret-keys=/a,name:KEY", 19),
        ("file:///c?secret-keys=name:KEY,/b", 22),
        ("file:///c?secret-key=a:b:KEY", 21),
    ] {
        let error = StoreUrl::parse(&text.replace("KEY", &key)).unwrap_err();
        assert_eq!(error.at, at, "{text}");
        assert!(
            matches!(error.problem, Problem::Setting { problem: ValueProblem::KeyInsteadOfPath, .. }),
            "{text}: {error}"
        );
        let shown = format!("{error} {error:?} {error:#?}");
        assert!(!shown.contains("kEy"), "{shown}");
        assert!(shown.contains("NARS3_SECRET_KEY"), "{shown}");
    }
    // Where the setting does nothing, it is not looked at and not shown.
    for text in
        ["local?secret-key=name:KEY", "s3://b?secret-key=/a&secret-key=name:KEY", "auto?secrt-key=n:KEY"]
    {
        let parsed = StoreUrl::parse(&text.replace("KEY", &key)).unwrap();
        let shown = format!("{} {:?}", parsed.url, parsed);
        assert!(!shown.contains("kEy"), "{shown}");
    }
    // Paths are still paths.
    let long = "a".repeat(60);
    for path in
        [format!("/run/keys/name:{long}"), format!("keys/{long}"), "C:/keys/cache.example.org-1".to_owned()]
    {
        assert_eq!(parse(&format!("file:///c?secret-key={path}")).cache.secret_keys, [Path::new(&path)]);
    }
}

#[test]
fn relative_stores_become_absolute_on_demand() {
    let mut url = parse("../store?read-only=true");
    url.resolve_relative(Path::new("/home/me"));
    assert_eq!(url.to_string(), "local://?read-only=true&root=/home/store");
}

#[test]
fn parallel_compression_is_the_default_for_zstd() {
    for (text, parallel) in [
        ("file:///c", false),
        ("file:///c?compression=zstd", true),
        ("file:///c?compression=zstd&parallel-compression=false", false),
        ("file:///c?compression=xz&parallel-compression=true", true),
    ] {
        assert_eq!(parse(text).cache.parallel(), parallel, "{text}");
    }
}

#[test]
fn the_nearest_name_is_looked_for_only_so_often() {
    let many = "&regoin=x".repeat(1000);
    let parsed = StoreUrl::parse(&format!("s3://b?{}", &many[1..])).unwrap();
    let suggested = |warning: &&Warning| matches!(warning, Warning::UnknownSetting { nearest: Some(_), .. });
    assert_eq!(parsed.warnings.len(), 1000);
    assert_eq!(parsed.warnings.iter().filter(suggested).count(), 20);
    assert!(parsed.warnings.iter().take(20).all(|warning| suggested(&warning)));
}

#[test]
fn odd_urls_are_warned_of() {
    for (text, warning) in [
        (
            "s3://b?regoin=x",
            Warning::UnknownSetting { at: 7, name: "regoin".to_owned(), nearest: Some("region") },
        ),
        (
            "https://h?some-param=some-value",
            Warning::UnknownSetting { at: 10, name: "some-param".to_owned(), nearest: None },
        ),
        (
            // Not a setting of this store, so another store's name is suggested.
            "local?adressing_style=path",
            Warning::UnknownSetting {
                at: 6,
                name: "adressing_style".to_owned(),
                nearest: Some("addressing-style"),
            },
        ),
        (
            "file:///c?region=eu-west-1",
            Warning::NotForThisStore { at: 10, name: "region", stores: "s3, s3 object".to_owned() },
        ),
        (
            "s3://b?versionId=x",
            Warning::NotForThisStore { at: 7, name: "versionId", stores: "s3 object".to_owned() },
        ),
        ("s3://b?region=a&region=b", Warning::Duplicate { at: 16, name: "region" }),
        (
            "s3://b?buffer-size=5M&multipart-chunk-size=6M",
            Warning::OldNameIgnored { at: 7, alias: "buffer-size", name: "multipart-chunk-size" },
        ),
        (
            "s3://b?multipart-chunk-size=6M&buffer-size=5M",
            Warning::OldNameIgnored { at: 31, alias: "buffer-size", name: "multipart-chunk-size" },
        ),
        ("auto?root", Warning::MissingEquals { at: 5 }),
        ("https://h#frag", Warning::FragmentIgnored { at: 9 }),
        (
            "s3://b?log-compression=xz",
            Warning::UnreadableEncoding { name: "log-compression", compression: Compression::Xz },
        ),
        ("s3://my.bucket", Warning::DottedBucket { bucket: "my.bucket".to_owned() }),
        (
            "s3://b?multipart-upload=true&multipart-threshold=1M",
            Warning::ThresholdBelowChunkSize { threshold: 1 << 20, chunk_size: 5 << 20 },
        ),
        ("http://me:pw@h", Warning::UnencryptedCredentials),
    ] {
        let parsed = StoreUrl::parse(text).unwrap();
        assert_eq!(parsed.warnings, [warning], "{text}");
    }
    let url = StoreUrl::parse("s3://b?region=a&region=b&buffer-size=6M&multipart-chunk-size=7M").unwrap().url;
    assert_eq!(url.to_string(), "s3://b?multipart-chunk-size=7340032&region=a");
}

#[test]
fn errors_point_at_the_piece_that_is_wrong() {
    let setting = |name, problem| Problem::Setting { name, problem };
    let five_mib_to_five_gib =
        ValueProblem::OutOfRange { minimum: 5 << 20, maximum: 5 << 30, unit: nars3_store_url::Unit::Bytes };
    for (text, at, piece, problem) in [
        ("deamon", 0, "deamon", Problem::NotAStore { nearest: Some("daemon") }),
        ("xyz", 0, "xyz", Problem::NotAStore { nearest: None }),
        ("htps://h", 0, "htps", Problem::UnknownScheme { nearest: Some("https") }),
        ("s3://", 5, "", Problem::MissingBucket),
        ("s3://b:9000", 5, "b:9000", Problem::BucketWithPort),
        ("s3://b/a//c", 6, "/a//c", Problem::InvalidPrefix),
        ("s3://b/a/%2e%2E", 6, "/a/..", Problem::InvalidPrefix),
        ("s3://b//a", 6, "//a", Problem::InvalidPrefix),
        ("token:x@host", 0, "<redacted>", Problem::UnknownScheme { nearest: None }),
        ("http:///x", 7, "", Problem::MissingHost),
        ("http:h", 5, "h", Problem::MissingHost),
        ("http://h:99999/x", 9, "99999", Problem::InvalidPort),
        ("https://h/ü", 10, "ü", Problem::InvalidCharacter { place: "a path" }),
        ("https://h/%x1", 10, "%x1", Problem::InvalidPercentEncoding),
        ("https://h/%00", 10, "\0", Problem::ZeroByte),
        ("file://host/x", 7, "host", Problem::UnexpectedHost { scheme: "file" }),
        ("local:x", 6, "x", Problem::RelativeUrlPath { scheme: "local" }),
        ("s3://b?region=", 14, "", setting("region", ValueProblem::Empty)),
        (
            "s3://b?region=a/b",
            14,
            "a/b",
            Problem::Addressing(AddressingError::RegionInSignature { region: "a/b".to_owned() }),
        ),
        (
            "s3://b?region=a:b",
            14,
            "a:b",
            Problem::Addressing(AddressingError::RegionInHost { region: "a:b".to_owned() }),
        ),
        (
            "s3://b?endpoint=h&region=%C3%A4",
            25,
            "ä",
            Problem::Addressing(AddressingError::RegionInSignature { region: "ä".to_owned() }),
        ),
        ("s3://b?storage-class=a/b", 21, "a/b", setting("storage-class", ValueProblem::NotAName)),
        ("s3://b?profile=%", 15, "%", Problem::InvalidPercentEncoding),
        ("s3://b?profile=%ff", 15, "\u{fffd}", Problem::NotUtf8),
        ("s3://b?profile=a%0Ab", 15, "a\nb", setting("profile", ValueProblem::ControlCharacter)),
        ("s3://b?buffer-size=1", 19, "1", setting("multipart-chunk-size", five_mib_to_five_gib.clone())),
        ("s3://b?buffer-size=9T", 19, "9T", setting("multipart-chunk-size", five_mib_to_five_gib)),
        ("s3://b?buffer-size=5x", 19, "5x", setting("multipart-chunk-size", ValueProblem::NotInteger)),
        ("s3://b?fips=on", 12, "on", setting("fips", ValueProblem::NotBoolean)),
        ("s3://b?object-tags=x", 19, "x", setting("object-tags", ValueProblem::Tags)),
        ("local?state=rel", 12, "rel", setting("state", ValueProblem::NotAbsolute)),
        // The first one in the URL, although the table reads the other one first.
        ("s3://b?priority=x&region=", 16, "x", setting("priority", ValueProblem::NotInteger)),
    ] {
        let error = StoreUrl::parse(text).unwrap_err();
        assert_eq!(
            (error.at, error.piece.as_str(), &error.problem),
            (at, piece, &problem),
            "{text}: {error}"
        );
    }
}

#[test]
fn store_directories_are_absolute() {
    for text in ["https://example.com", "file:///foo", "daemon", "local", "s3://b"] {
        let url = parse(&format!("{text}?store=/my/store"));
        assert_eq!(url.store.store_dir.as_str(), "/my/store");
        for relative in ["my/store", ""] {
            let error = StoreUrl::parse(&format!("{text}?store={relative}")).unwrap_err();
            assert!(matches!(error.problem, Problem::Setting { name: "store", .. }), "{error}");
        }
    }
}

#[test]
fn compressions_are_those_of_nix() {
    let error = StoreUrl::parse("s3://b?compression=brotli").unwrap_err();
    let Problem::Setting { problem: ValueProblem::NotOneOf { expected, nearest }, .. } = error.problem else {
        panic!("{error}")
    };
    assert_eq!((expected.len(), nearest), (Compression::KNOWN.len(), Some("br")));
    for method in Compression::KNOWN {
        assert_eq!(parse(&format!("file:///c?compression={method}")).cache.compression, method);
    }
}

#[test]
fn the_base_is_what_nix_keys_its_cache_with() {
    for (text, base) in [
        ("s3://b/p?region=x", "s3://b/p"),
        ("https://me:pw@h/a/?priority=1", "https://h/a"),
        ("file:///c?compression=zstd", "file:///c"),
    ] {
        assert_eq!(parse(text).base(), base);
    }
}

#[test]
fn messages_read_well() {
    for (text, message) in [
        (
            "s3://bucket?regoin=x&buffer-size=1",
            "store URL, byte 33, \"1\": setting `multipart-chunk-size`: out of range, expected 5242880 to \
             5368709120 bytes",
        ),
        (
            "s3://bucket?addressing-style=virtuel",
            "store URL, byte 29, \"virtuel\": setting `addressing-style`: expected one of `auto`, `path`, \
             `virtual`; did you mean `virtual`?",
        ),
        (
            "s3://b?endpoint=http://h:x",
            "store URL, byte 16, \"http://h:x\": setting `endpoint`: expected `https://host[:port]`, \
             `http://host[:port]` or `host[:port]`: expected a port from 1 to 65535",
        ),
    ] {
        assert_eq!(StoreUrl::parse(text).unwrap_err().to_string(), message);
    }
    let warning = &StoreUrl::parse("s3://b?regoin=x").unwrap().warnings[0];
    assert_eq!(warning.to_string(), "byte 7: unknown setting \"regoin\" is ignored; did you mean `region`?");
}

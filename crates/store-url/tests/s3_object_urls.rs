//! S3 object URLs and where their requests go: the cases that Nix HEAD tests in `s3-url.cc`, and ours beside them.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use nars3_store_url::{AddressingError, AddressingStyle, Problem, S3ObjectUrl, Scheme, ValueProblem};

fn parse(text: &str) -> S3ObjectUrl {
    S3ObjectUrl::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).url
}

#[test]
fn parts_of_a_url_are_found() {
    struct Case {
        url: &'static str,
        bucket: &'static str,
        key: &'static str,
        /// Whatever else is set, as the URL prints it.
        settings: &'static str,
    }
    let case = |url, bucket, key, settings| Case { url, bucket, key, settings };
    for Case { url, bucket, key, settings } in [
        // Nix's eleven.
        case("s3://my-bucket/my-key.txt", "my-bucket", "my-key.txt", ""),
        case(
            "s3://prod-cache/nix/store/abc123.nar.xz?region=eu-west-1",
            "prod-cache",
            "nix/store/abc123.nar.xz",
            "?region=eu-west-1",
        ),
        // The first of two regions counts, and an endpoint without `://` is a host.
        case(
            "s3://bucket/key?region=us-west-2&profile=prod&endpoint=custom.s3.com&scheme=https&region=us-east-1",
            "bucket",
            "key",
            "?endpoint=custom.s3.com&profile=prod&region=us-west-2",
        ),
        case(
            "s3://cache/file.txt?profile=production&region=ap-southeast-2",
            "cache",
            "file.txt",
            "?profile=production&region=ap-southeast-2",
        ),
        case(
            "s3://my-bucket/my-key.txt?versionId=abc123xyz",
            "my-bucket",
            "my-key.txt",
            "?versionId=abc123xyz",
        ),
        case(
            "s3://bucket/path/to/object?region=eu-west-1&versionId=version456",
            "bucket",
            "path/to/object",
            "?region=eu-west-1&versionId=version456",
        ),
        case(
            "s3://bucket/key?endpoint=https://minio.local&scheme=http",
            "bucket",
            "key",
            "?endpoint=https://minio.local&scheme=http",
        ),
        case("s3://bucket/key?endpoint=localhost:9000", "bucket", "key", "?endpoint=localhost:9000"),
        case("s3://bucket/key?addressing-style=virtual", "bucket", "key", "?addressing-style=virtual"),
        case("s3://bucket/key?addressing-style=path", "bucket", "key", "?addressing-style=path"),
        case("s3://bucket/key?addressing-style=auto", "bucket", "key", ""),
        // Ours.
        case("S3://bucket/a%20b/c+d%2Fe", "bucket", "a b/c+d/e", ""),
        case("s3://bucket/a//../b/", "bucket", "a//../b/", ""),
        case(
            "s3://bucket/k%C3%BC?endpoint=http%3A%2F%2F[::1]%3A9000",
            "bucket",
            "kü",
            "?endpoint=http://%5B::1%5D:9000",
        ),
    ] {
        let parsed = parse(url);
        assert_eq!((parsed.settings.bucket.as_str(), parsed.key.as_str()), (bucket, key), "{url}");
        let printed = parsed.to_string();
        assert!(printed.ends_with(&format!("{}{settings}", printed.split('?').next().unwrap())), "{printed}");
        assert_eq!(parse(&printed), parsed, "{url} printed as {printed}");
    }
}

#[test]
fn wrong_urls_are_refused_where_they_are_wrong() {
    for (url, at, problem) in [
        // Nix's five, and its bogus addressing style.
        ("s3:///key", 5, Problem::MissingBucket),
        ("s3://127.0.0.1", 5, Problem::BucketIsIpAddress),
        ("s3://bucket with spaces/key", 5, Problem::InvalidBucket),
        ("s3://", 5, Problem::MissingBucket),
        ("s3://bucket", 3, Problem::MissingKey),
        (
            "s3://bucket/key?addressing-style=bogus",
            33,
            Problem::Setting {
                name: "addressing-style",
                problem: ValueProblem::NotOneOf { expected: &["auto", "path", "virtual"], nearest: None },
            },
        ),
        // Ours.
        ("s3:bucket/key", 3, Problem::MissingBucket),
        ("s3://bucket/", 3, Problem::MissingKey),
        ("s3://[::1]/key", 5, Problem::BucketIsIpAddress),
        ("s3://127.0.0.1:9000/key", 5, Problem::BucketIsIpAddress),
        ("s3://minio:9000/key", 5, Problem::BucketWithPort),
        ("s3://me@bucket/key", 5, Problem::UnexpectedUserInformation),
        ("s3://bucket/a%2", 13, Problem::InvalidPercentEncoding),
        ("s3://bucket/a b", 13, Problem::InvalidCharacter { place: "a path" }),
        ("https://host/key", 0, Problem::MissingBucket),
        ("daemon", 0, Problem::MissingBucket),
    ] {
        let error = S3ObjectUrl::parse(url).unwrap_err();
        assert_eq!((error.at, &error.problem), (at, &problem), "{url}: {error}");
    }
}

/// Nix can be given an endpoint without a host; here such a URL is refused when it is read.
#[test]
fn endpoints_without_a_host_are_refused() {
    for endpoint in ["file:/some/path", "file:///some/path", ":9000", "http://", "http://:9000"] {
        let url = format!("s3://bucket/key?addressing-style=virtual&endpoint={endpoint}");
        let error = S3ObjectUrl::parse(&url).unwrap_err();
        assert_eq!(url.get(error.at..), Some(endpoint), "{error}");
    }
}

#[test]
fn requests_go_where_nix_sends_them() {
    for (url, expected) in [
        // Nix's thirteen.
        ("s3://my-bucket/my-key.txt", "https://my-bucket.s3.us-east-1.amazonaws.com/my-key.txt"),
        (
            "s3://prod-cache/nix/store/abc123.nar.xz?region=eu-west-1",
            "https://prod-cache.s3.eu-west-1.amazonaws.com/nix/store/abc123.nar.xz",
        ),
        ("s3://bucket/key?scheme=http&endpoint=custom.s3.com", "http://custom.s3.com/bucket/key"),
        ("s3://bucket/key?endpoint=http://server:9000", "http://server:9000/bucket/key"),
        (
            "s3://bucket/path/to/file.txt?region=ap-southeast-2&scheme=https",
            "https://bucket.s3.ap-southeast-2.amazonaws.com/path/to/file.txt",
        ),
        (
            "s3://my-bucket/my-key.txt?versionId=abc123xyz",
            "https://my-bucket.s3.us-east-1.amazonaws.com/my-key.txt?versionId=abc123xyz",
        ),
        (
            "s3://versioned-bucket/path/to/object?region=eu-west-1&versionId=version456",
            "https://versioned-bucket.s3.eu-west-1.amazonaws.com/path/to/object?versionId=version456",
        ),
        (
            "s3://my-bucket/my-key.txt?region=us-west-2&addressing-style=path",
            "https://s3.us-west-2.amazonaws.com/my-bucket/my-key.txt",
        ),
        (
            "s3://bucket/key?scheme=http&addressing-style=virtual&endpoint=custom.s3.com",
            "http://bucket.custom.s3.com/key",
        ),
        (
            "s3://bucket/key?addressing-style=virtual&endpoint=http://server:9000",
            "http://bucket.server:9000/key",
        ),
        ("s3://my.bucket/key?addressing-style=path", "https://s3.us-east-1.amazonaws.com/my.bucket/key"),
        ("s3://my.bucket.name/key", "https://s3.us-east-1.amazonaws.com/my.bucket.name/key"),
        ("s3://my.bucket/key?endpoint=minio.local", "https://minio.local/my.bucket/key"),
        // Ours: the endpoint's scheme counts, ports and IPv6 addresses stay, paths are in front of the bucket.
        ("s3://bucket/key?endpoint=https://minio.local&scheme=http", "https://minio.local/bucket/key"),
        ("s3://bucket/key?endpoint=localhost:9000", "https://localhost:9000/bucket/key"),
        ("s3://bucket/key?endpoint=http://[::1]:9000", "http://[::1]:9000/bucket/key"),
        ("s3://bucket/key?endpoint=https://host/s3/", "https://host/s3/bucket/key"),
        ("s3://bucket/a//../b%20%2B", "https://bucket.s3.us-east-1.amazonaws.com/a//../b%20%2B"),
        // Ours: AWS's other endpoints.
        ("s3://b/k?region=cn-north-1", "https://b.s3.cn-north-1.amazonaws.com.cn/k"),
        ("s3://b/k?region=us-gov-west-1&fips=true", "https://b.s3-fips.us-gov-west-1.amazonaws.com/k"),
        ("s3://b/k?dual-stack=true", "https://b.s3.dualstack.us-east-1.amazonaws.com/k"),
        (
            "s3://b/k?dual-stack=true&fips=true&addressing-style=path",
            "https://s3-fips.dualstack.us-east-1.amazonaws.com/b/k",
        ),
        ("s3://b/k?accelerate=true&region=eu-west-1", "https://b.s3-accelerate.amazonaws.com/k"),
        ("s3://b/k?accelerate=true&dual-stack=true", "https://b.s3-accelerate.dualstack.amazonaws.com/k"),
    ] {
        assert_eq!(parse(url).to_https_url().unwrap().to_string(), expected, "{url}");
    }
}

#[test]
fn buckets_that_cannot_be_addressed_are_refused() {
    let dotted = |bucket: &str| AddressingError::DottedBucket { bucket: bucket.to_owned() };
    for (url, at, expected) in [
        // Nix's four with dots; its fifth is an endpoint without a host.
        ("s3://my.bucket/key?addressing-style=virtual", 19, dotted("my.bucket")),
        ("s3://my.bucket.name/key?addressing-style=virtual", 24, dotted("my.bucket.name")),
        ("s3://my.bucket/key?addressing-style=virtual&endpoint=minio.local", 19, dotted("my.bucket")),
        (
            "s3://my.bucket/key?addressing-style=virtual&endpoint=http://minio.local:9000",
            19,
            dotted("my.bucket"),
        ),
        // Ours.
        ("s3://my.bucket/key?accelerate=true", 19, dotted("my.bucket")),
        ("s3://b/k?accelerate=true&addressing-style=path", 9, AddressingError::AccelerateWithPathStyle),
        ("s3://b/k?fips=true&accelerate=true", 19, AddressingError::AccelerateWithFips),
        (
            "s3://b/k?endpoint=host&dual-stack=true",
            23,
            AddressingError::AwsSettingWithEndpoint { setting: "dual-stack" },
        ),
    ] {
        let error = S3ObjectUrl::parse(url).unwrap_err();
        assert_eq!((error.at, error.problem), (at, Problem::Addressing(expected)), "{url}");
    }
    let error = S3ObjectUrl::parse("s3://b/k?addressing-style=virtual&endpoint=[::1]:9000").unwrap_err();
    assert!(matches!(error.problem, Problem::Addressing(AddressingError::AddressWithVirtualStyle { .. })));
}

#[test]
fn settings_made_by_hand_are_checked_when_they_are_used() {
    let mut url = parse("s3://my.bucket/key");
    let address = url.settings.bucket_address().unwrap();
    assert!(address.fell_back_to_path && !address.virtual_hosted);
    assert_eq!(address.service.to_string(), "https://s3.us-east-1.amazonaws.com");

    url.settings.addressing_style = AddressingStyle::Virtual;
    assert!(matches!(url.to_https_url(), Err(AddressingError::DottedBucket { .. })));

    url.settings.bucket = "bucket".to_owned();
    url.settings.scheme = Scheme::Http;
    assert_eq!(url.to_https_url().unwrap().to_string(), "http://bucket.s3.us-east-1.amazonaws.com/key");
}

//! What rusoto cannot say: conditions, checksums, hosts of buckets, regions younger than it, signatures for now.

use std::time::Duration;

use nars3_s3::{CredentialSource, Environment, StaticKeys};
use nars3_store_url::{AddressingStyle, S3Settings, Scheme, ServerSideEncryption};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, GetOptions, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions,
    PutPayload, UpdateVersion,
};

use super::{settings, store, with_rusoto};
use crate::support::{self, Answer, Request, Scripted, keys, open, run};

const BEGUN: &str = "<InitiateMultipartUploadResult><UploadId>U</UploadId></InitiateMultipartUploadResult>";
const COMPLETED: &str = "<CompleteMultipartUploadResult><ETag>\"e\"</ETag></CompleteMultipartUploadResult>";
const SHA256_OF_HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
const CHECKSUM_OF_HELLO: &str = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=";

/// Says yes to everything.
fn agreeable(request: &Request) -> Answer {
    match request.method.as_str() {
        "POST" if request.target.contains("uploads") => Answer::new(200, BEGUN),
        "POST" => Answer::new(200, COMPLETED),
        "GET" => Answer::new(200, "contents").with("etag", "\"e\""),
        _ => Answer::new(200, "").with("etag", "\"e\""),
    }
}

/// The names of the headers that a signature covers.
fn signed_headers(request: &Request) -> Vec<String> {
    let (_, rest) = request.header("authorization").unwrap().split_once("SignedHeaders=").unwrap();
    rest.split(',').next().unwrap().split(';').map(str::to_owned).collect()
}

#[test]
fn conditions_of_writes_are_sent_and_signed() {
    let server = Scripted::start(agreeable);
    run(async {
        let store = store(&server).await;
        let path = Path::from("key");
        let version = UpdateVersion { e_tag: Some("\"old\"".to_owned()), version: None };
        store.put_opts(&path, "x".into(), PutMode::Create.into()).await.unwrap();
        store.put_opts(&path, "x".into(), PutMode::Update(version).into()).await.unwrap();
        store.put_opts(&path, "x".into(), PutMode::Overwrite.into()).await.unwrap();
    });
    let requests = server.requests();
    assert_eq!(requests[0].header("if-none-match"), Some("*"));
    assert!(signed_headers(&requests[0]).contains(&"if-none-match".to_owned()));
    assert_eq!(requests[1].header("if-match"), Some("\"old\""));
    assert!(signed_headers(&requests[1]).contains(&"if-match".to_owned()));
    assert_eq!((requests[2].header("if-match"), requests[2].header("if-none-match")), (None, None));
}

#[test]
fn bodies_are_hashed_and_accept_encoding_is_not_signed() {
    let server = Scripted::start(agreeable);
    let large = vec![7; 1 << 20];
    run(async {
        let store = store(&server).await;
        store.put(&Path::from("key"), "hello".into()).await.unwrap();
        store.put(&Path::from("large"), large.clone().into()).await.unwrap();
        let mut upload = store.put_multipart(&Path::from("parts")).await.unwrap();
        upload.put_part("hello".into()).await.unwrap();
    });
    let requests = server.requests();
    assert_eq!(requests[0].header("x-amz-content-sha256"), Some(SHA256_OF_HELLO));
    assert_eq!(requests[0].body, b"hello");
    assert!(requests[1].body == large);
    let hash = requests[1].header("x-amz-content-sha256").unwrap();
    assert!(hash.len() == 64 && hash != SHA256_OF_HELLO, "{hash}");
    assert_eq!(requests[3].header("x-amz-content-sha256"), Some(SHA256_OF_HELLO));
    for request in &requests {
        assert_eq!(request.header("accept-encoding"), None);
        assert_eq!(request.header("x-amz-checksum-sha256"), None, "another server than AWS need not know it");
    }
}

/// Settings for AWS, and an environment in which AWS is a scripted server.
fn aws(server: &Scripted, region: &str) -> (S3Settings, Environment) {
    let mut settings = with_rusoto(S3Settings::new("bucket"));
    settings.region = region.to_owned();
    settings.scheme = Scheme::Http;
    settings.transfer.retry_attempts = 1;
    let environment = Environment::of_process()
        .with_credentials(keys())
        .with_address(format!("bucket.s3.{region}.amazonaws.com"), server.address);
    (settings, environment)
}

#[test]
fn aws_gets_checksums_by_the_buckets_host_in_a_region_that_rusoto_never_heard_of() {
    let server = Scripted::start(agreeable);
    let (settings, environment) = aws(&server, "eu-central-2");
    run(async {
        let store = nars3_s3::open(&settings, &environment).await.unwrap();
        store.put(&Path::from("nar/x+y.nar.xz"), "hello".into()).await.unwrap();
        let mut upload = store.put_multipart(&Path::from("parts")).await.unwrap();
        upload.put_part("hello".into()).await.unwrap();
        upload.put_part("hello".into()).await.unwrap();
        upload.complete().await.unwrap();
    });
    let [put, begin, part, _, complete] =
        server.requests().try_into().unwrap_or_else(|_| panic!("5 requests"));
    assert_eq!(put.target, "/nar/x%2By.nar.xz");
    assert_eq!(put.header("host"), Some("bucket.s3.eu-central-2.amazonaws.com"));
    assert!(put.header("authorization").unwrap().contains("/eu-central-2/s3/aws4_request"));
    for request in [&put, &part] {
        assert_eq!(request.header("x-amz-checksum-sha256"), Some(CHECKSUM_OF_HELLO));
        assert!(signed_headers(request).contains(&"x-amz-checksum-sha256".to_owned()));
    }
    assert_eq!(begin.header("x-amz-checksum-algorithm"), Some("SHA256"));
    let body = String::from_utf8(complete.body).unwrap();
    let checksum = format!("<ChecksumSHA256>{CHECKSUM_OF_HELLO}</ChecksumSHA256>");
    assert_eq!(body.matches(&checksum).count(), 2, "{body}");
    assert!(body.contains("<PartNumber>2</PartNumber>"), "{body}");
}

#[test]
fn a_bucket_may_be_in_the_path_or_in_the_host_of_any_server() {
    let server = Scripted::start(agreeable);
    let port = server.address.port();
    let mut hosted = with_rusoto(support::settings(&format!("http://s3.nars3.test:{port}")));
    hosted.addressing_style = AddressingStyle::Virtual;
    let environment = Environment::of_process()
        .with_credentials(keys())
        .with_address("bucket.s3.nars3.test", server.address);
    let mut below = with_rusoto(support::settings(&format!("{}/storage/v1", server.url())));
    below.prefix = "caches/one".to_owned();
    let key = Path::parse("realisations/sha256:0123!out.doi").unwrap();
    run(async {
        nars3_s3::open(&hosted, &environment).await.unwrap().get(&key).await.unwrap();
        open(&below).await.get(&key).await.unwrap();
        store(&server).await.get(&key).await.unwrap();
    });
    let requests = server.requests();
    assert_eq!(requests[0].target, "/realisations/sha256%3A0123%21out.doi");
    assert_eq!(requests[0].header("host"), Some(format!("bucket.s3.nars3.test:{port}").as_str()));
    assert_eq!(requests[1].target, "/storage/v1/bucket/caches/one/realisations/sha256%3A0123%21out.doi");
    assert_eq!(requests[2].target, "/bucket/realisations/sha256%3A0123%21out.doi");
    assert_eq!(requests[2].header("host"), Some(server.address.to_string().as_str()));
}

#[test]
fn aws_has_hosts_that_rusoto_never_heard_of() {
    for (dual_stack, fips, accelerate, host) in [
        (true, false, false, "bucket.s3.dualstack.eu-west-3.amazonaws.com"),
        (false, true, false, "bucket.s3-fips.eu-west-3.amazonaws.com"),
        (true, true, false, "bucket.s3-fips.dualstack.eu-west-3.amazonaws.com"),
        (false, false, true, "bucket.s3-accelerate.amazonaws.com"),
    ] {
        let server = Scripted::start(agreeable);
        let (mut settings, environment) = aws(&server, "eu-west-3");
        (settings.dual_stack, settings.fips, settings.accelerate) = (dual_stack, fips, accelerate);
        let environment = environment.with_address(host, server.address);
        run(async {
            let store = nars3_s3::open(&settings, &environment).await.unwrap();
            store.put(&Path::from("key"), "hello".into()).await.unwrap();
        });
        let request = &server.requests()[0];
        assert_eq!((request.header("host"), request.target.as_str()), (Some(host), "/key"));
        assert!(request.header("authorization").unwrap().contains("/eu-west-3/s3/aws4_request"));
    }
}

#[test]
fn settings_of_objects_are_sent_with_every_write() {
    let server = Scripted::start(agreeable);
    let mut settings = settings(&server);
    settings.storage_class = Some("STANDARD_IA".to_owned());
    settings.object_tags = vec![("team".to_owned(), "a b".to_owned())];
    settings.requester_pays = true;
    settings.sse = Some(ServerSideEncryption::Kms);
    settings.sse_kms_key_id = Some("key-1".to_owned());
    let attributes = Attributes::from_iter([
        (Attribute::ContentType, "text/x-nix-narinfo"),
        (Attribute::CacheControl, "max-age=3600"),
        (Attribute::Metadata("from".into()), "here"),
    ]);
    run(async {
        let store = open(&settings).await;
        let options = PutOptions { attributes: attributes.clone(), ..PutOptions::default() };
        store.put_opts(&Path::from("key"), PutPayload::from_static(b"x"), options).await.unwrap();
        let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
        store.put_multipart_opts(&Path::from("large"), options).await.unwrap();
    });
    for request in &server.requests() {
        for (name, value) in [
            ("content-type", "text/x-nix-narinfo"),
            ("cache-control", "max-age=3600"),
            ("x-amz-meta-from", "here"),
            ("x-amz-storage-class", "STANDARD_IA"),
            ("x-amz-tagging", "team=a+b"),
            ("x-amz-request-payer", "requester"),
            ("x-amz-server-side-encryption", "aws:kms"),
            ("x-amz-server-side-encryption-aws-kms-key-id", "key-1"),
        ] {
            assert_eq!(request.header(name), Some(value), "{name}");
        }
    }
}

#[test]
fn a_version_can_be_asked_for() {
    let server = Scripted::start(agreeable);
    let options = GetOptions { version: Some("V 1".to_owned()), ..GetOptions::default() };
    run(async { store(&server).await.get_opts(&Path::from("key"), options).await.unwrap() });
    assert_eq!(server.requests()[0].target, "/bucket/key?versionId=V%201");
}

#[test]
fn anonymous_requests_are_not_signed_and_session_tokens_are_sent() {
    let server = Scripted::start(agreeable);
    let mut anonymous = settings(&server);
    anonymous.anonymous = true;
    let temporary = StaticKeys::new("ASIATEST", "secret", Some("the-token".to_owned()));
    let environment = Environment::of_process().with_credentials(CredentialSource::Static(temporary));
    run(async {
        open(&anonymous).await.put(&Path::from("key"), "x".into()).await.unwrap();
        let store = nars3_s3::open(&settings(&server), &environment).await.unwrap();
        store.put(&Path::from("key"), "x".into()).await.unwrap();
    });
    let requests = server.requests();
    assert_eq!(requests[0].header("authorization"), None);
    assert_eq!(requests[1].header("x-amz-security-token"), Some("the-token"));
    assert_eq!(requests[1].signed_by(), Some("ASIATEST"));
}

#[test]
fn a_broken_body_is_taken_up_again_and_only_from_the_same_object() {
    let whole: Vec<u8> = (0..100_000_u32).map(|index| (index % 251) as u8).collect();
    for (e_tag_of_rest, joins) in [("\"e\"", true), ("\"another\"", false)] {
        let contents = whole.clone();
        let server = Scripted::start(move |request| {
            let range = request.header("range").and_then(|it| it.strip_prefix("bytes=")?.split_once('-'));
            match range.and_then(|(start, _)| start.parse::<usize>().ok()) {
                None => Answer::new(200, contents.clone()).cut_after(30_000).with("etag", "\"e\""),
                Some(start) => {
                    let range = format!("bytes {start}-{}/{}", contents.len() - 1, contents.len());
                    Answer::new(206, &contents[start..])
                        .with("content-range", &range)
                        .with("etag", e_tag_of_rest)
                }
            }
        });
        let mut patient = settings(&server);
        patient.transfer.retry_attempts = 3;
        patient.transfer.retry_delay = Duration::from_millis(1);
        let read = run(async { open(&patient).await.get(&Path::from("key")).await.unwrap().bytes().await });
        assert_eq!(read.is_ok_and(|read| read == whole), joins);
        let requests = server.requests();
        assert_eq!(requests[1].header("range"), Some("bytes=30000-99999"));
        assert_eq!(requests[1].header("if-match"), Some("\"e\""));
    }
}

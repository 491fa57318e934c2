//! What a bucket needs, asked of both clients alike: hosts, regions, and the settings that every request carries.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use nars3_s3::Environment;
use nars3_store_url::{
    AddressingStyle, S3Client, S3Settings, Scheme, ServerSideEncryption, StoreKind, StoreUrl,
};
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt};

use crate::support::{Answer, Scripted, keys, open, run, settings};

/// Every client of this build.
const CLIENTS: &[S3Client] = &[
    S3Client::ObjectStore,
    #[cfg(feature = "rusoto")]
    S3Client::Rusoto,
];

fn object() -> Answer {
    Answer::new(200, "contents").with("etag", "\"e\"").with("last-modified", "Sun, 22 Nov 2026 00:00:00 GMT")
}

/// Settings of AWS, in plain HTTP.
fn aws(bucket: &str, client: S3Client) -> S3Settings {
    let mut settings = S3Settings::new(bucket);
    settings.scheme = Scheme::Http;
    settings.region = "eu-west-1".to_owned();
    settings.s3_client = Some(client);
    settings.transfer.retry_attempts = 1;
    settings
}

/// The `Host` and the target of a read, where `host` is a stand-in.
fn asked(settings: &S3Settings, host: &str) -> (String, String) {
    let server = Scripted::start(|_| object());
    let environment = Environment::of_process().with_credentials(keys()).with_address(host, server.address);
    run(async {
        let store = nars3_s3::open(settings, &environment).await.unwrap();
        store.get(&Path::from("nar/x.nar")).await.unwrap();
    });
    let request = server.requests().swap_remove(0);
    (request.header("host").unwrap_or_default().to_owned(), request.target)
}

#[test]
fn awss_other_endpoints_are_chosen_by_settings() {
    type Change = fn(&mut S3Settings);
    let cases: [(Change, &str); 6] = [
        (|_| {}, "bucket.s3.eu-west-1.amazonaws.com"),
        (|it| it.dual_stack = true, "bucket.s3.dualstack.eu-west-1.amazonaws.com"),
        (|it| it.fips = true, "bucket.s3-fips.eu-west-1.amazonaws.com"),
        (
            |it| {
                it.fips = true;
                it.dual_stack = true;
            },
            "bucket.s3-fips.dualstack.eu-west-1.amazonaws.com",
        ),
        (|it| it.accelerate = true, "bucket.s3-accelerate.amazonaws.com"),
        (|it| it.region = "cn-north-1".to_owned(), "bucket.s3.cn-north-1.amazonaws.com.cn"),
    ];
    for client in CLIENTS {
        for (change, host) in cases {
            let mut settings = aws("bucket", *client);
            change(&mut settings);
            assert_eq!(asked(&settings, host), (host.to_owned(), "/nar/x.nar".to_owned()), "{client:?}");
        }
    }
}

#[test]
fn a_dot_keeps_a_bucket_out_of_the_host_and_so_does_path_style() {
    for client in CLIENTS {
        let host = "s3.eu-west-1.amazonaws.com";
        let dotted = asked(&aws("my.bucket", *client), host);
        assert_eq!(dotted, (host.to_owned(), "/my.bucket/nar/x.nar".to_owned()), "{client:?}");
        let mut by_path = aws("bucket", *client);
        by_path.addressing_style = AddressingStyle::Path;
        assert_eq!(asked(&by_path, host), (host.to_owned(), "/bucket/nar/x.nar".to_owned()), "{client:?}");
    }
}

#[test]
fn an_endpoint_may_be_an_ipv6_address() {
    let Ok(listener) = TcpListener::bind("[::1]:0") else {
        // A machine without IPv6 has nothing to show here.
        return;
    };
    let port = listener.local_addr().unwrap().port();
    let hosts = std::thread::spawn(move || {
        let mut hosts = Vec::new();
        for stream in listener.incoming().flatten().take(CLIENTS.len()) {
            let lines =
                BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
            let head: Vec<String> = lines.collect();
            let host = head
                .iter()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("host: ").map(str::to_owned));
            hosts.push((head[0].clone(), host.unwrap_or_default()));
            let answer = "HTTP/1.1 200 x\r\netag: \"e\"\r\nlast-modified: Sun, 22 Nov 2026 00:00:00 GMT\r\n\
                          connection: close\r\ncontent-length: 1\r\n\r\nx";
            (&stream).write_all(answer.as_bytes()).unwrap();
        }
        hosts
    });
    for client in CLIENTS {
        let url = format!("s3://bucket?endpoint=http://[::1]:{port}&retry-attempts=1");
        let StoreKind::S3(mut settings) = StoreUrl::parse(&url).unwrap().url.kind else { panic!("{url}") };
        settings.s3_client = Some(*client);
        run(async { open(&settings).await.get(&Path::from("key")).await.unwrap() });
    }
    for (line, host) in hosts.join().unwrap() {
        assert_eq!(line, "GET /bucket/key HTTP/1.1");
        assert_eq!(host, format!("[::1]:{port}"));
    }
}

#[test]
fn a_region_may_have_any_name_on_another_server() {
    for client in CLIENTS {
        let server = Scripted::start(|_| object());
        let mut settings = settings(&server.url());
        settings.s3_client = Some(*client);
        settings.region = "Room:12!".to_owned();
        run(async { open(&settings).await.get(&Path::from("key")).await.unwrap() });
        let requests = server.requests();
        let authorization = requests[0].header("authorization").unwrap();
        assert!(authorization.contains("/Room:12!/s3/aws4_request"), "{authorization}");
    }
}

#[test]
fn a_region_that_cannot_be_signed_for_is_refused() {
    for region in ["", "a b", "a/b", "ä", "a\r\nx: y"] {
        for client in CLIENTS {
            let mut settings = settings("http://127.0.0.1:1");
            settings.s3_client = Some(*client);
            settings.region = region.to_owned();
            let environment = Environment::of_process().with_credentials(keys());
            let opened = run(async { nars3_s3::open(&settings, &environment).await });
            assert!(matches!(opened, Err(nars3_s3::S3OpenError::Addressing(_))), "{region:?}, {client:?}");
        }
    }
}

#[test]
fn reads_agree_to_pay_and_may_ask_for_a_version() {
    let list = "<ListBucketResult><Name>bucket</Name><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>";
    for client in CLIENTS {
        let server = Scripted::start(move |request| {
            if request.target.contains("list-type") { Answer::new(200, list) } else { object() }
        });
        let mut settings = settings(&server.url());
        settings.s3_client = Some(*client);
        settings.requester_pays = true;
        run(async {
            let store = open(&settings).await;
            let options = GetOptions { version: Some("V1".to_owned()), ..GetOptions::default() };
            store.get_opts(&Path::from("key"), options).await.unwrap();
            store.head(&Path::from("key")).await.unwrap();
            store.list_with_delimiter(None).await.unwrap();
        });
        let requests = server.requests();
        assert_eq!(requests[0].target, "/bucket/key?versionId=V1", "{client:?}");
        for request in &requests {
            assert_eq!(
                request.header("x-amz-request-payer"),
                Some("requester"),
                "{client:?}: {}",
                request.target
            );
        }
    }
}

#[test]
fn keys_of_s3_encrypt_without_a_key_of_kms() {
    for client in CLIENTS {
        let server = Scripted::start(|_| Answer::new(200, "").with("etag", "\"e\""));
        let mut settings = settings(&server.url());
        settings.s3_client = Some(*client);
        settings.sse = Some(ServerSideEncryption::Aes256);
        run(async { open(&settings).await.put(&Path::from("key"), "x".into()).await.unwrap() });
        let requests = server.requests();
        assert_eq!(requests[0].header("x-amz-server-side-encryption"), Some("AES256"), "{client:?}");
        assert_eq!(requests[0].header("x-amz-server-side-encryption-aws-kms-key-id"), None, "{client:?}");
    }
}

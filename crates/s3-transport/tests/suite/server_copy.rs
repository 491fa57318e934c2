//! Copies that the server makes by itself, from one bucket to another.

use nars3_s3::{Environment, ServerCopy};

use crate::support::{Answer, Scripted, keys, run, settings};

#[test]
fn the_request_goes_to_one_bucket_and_names_the_other() {
    let server =
        Scripted::start(|_| Answer::new(200, "<CopyObjectResult><ETag>\"e\"</ETag></CopyObjectResult>"));
    let (mut source, mut destination) = (settings(&server.url()), settings(&server.url()));
    source.bucket = "source".to_owned();
    source.prefix = "one/two".to_owned();
    destination.prefix = "three".to_owned();
    let environment = Environment::of_process().with_credentials(keys());
    run(async {
        let copy = ServerCopy::open(&source, &destination, &environment).await.unwrap().unwrap();
        copy.copy("nar/x.nar.xz", "nar/y.nar.xz").await.unwrap();
    });
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].method, "PUT");
    assert_eq!(requests[0].target, "/bucket/three/nar/y.nar.xz");
    assert_eq!(requests[0].header("x-amz-copy-source"), Some("source/one/two/nar/x.nar.xz"));
    let signed = requests[0].header("authorization").unwrap_or_default();
    assert!(signed.contains("x-amz-copy-source"), "{signed}");
}

#[test]
fn an_error_behind_200_is_one_and_no_way_is_none() {
    let refused = "<Error><Code>AccessDenied</Code><Message>no</Message></Error>";
    let server = Scripted::start(move |_| Answer::new(200, refused));
    let destination = settings(&server.url());
    let mut source = destination.clone();
    source.bucket = "source".to_owned();
    let environment = Environment::of_process().with_credentials(keys());
    run(async {
        let copy = ServerCopy::open(&source, &destination, &environment).await.unwrap().unwrap();
        copy.copy("a", "b").await.unwrap_err();
        source.region = "elsewhere-1".to_owned();
        assert!(ServerCopy::open(&source, &destination, &environment).await.unwrap().is_none());
    });
}

//! What happens between a request and its answer, whichever client makes it: attempts, signatures, regions, successes that
//! are none, answers that were lost.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use nars3_s3::{CredentialSource, Environment, Operation, S3Error, S3ErrorKind};
use nars3_store_url::{S3Client, S3Settings};
use object_store::path::Path;
use object_store::{Error, ObjectStoreExt, PutPayload};

use crate::support::{Answer, Scripted, clients, in_turn, keys, open, patient, run, stored, traced_by};

const BEGUN: &str = "<InitiateMultipartUploadResult><UploadId>U</UploadId></InitiateMultipartUploadResult>";

/// Credentials that change while a request is under way: the server changes what the process will say, and calls the old
/// key expired.
#[test]
fn each_attempt_is_signed_anew() {
    for client in clients() {
        let home = tempfile::tempdir().unwrap();
        let (config, credentials) = (home.path().join("config"), home.path().join("credentials"));
        let answer = home.path().join("answer.json");
        std::fs::write(&config, format!("[default]\ncredential_process = cat {}\n", answer.display()))
            .unwrap();
        std::fs::write(&credentials, "").unwrap();
        let write = |path: &std::path::Path, key: &str| {
            let json = format!(r#"{{"Version":1,"AccessKeyId":"{key}","SecretAccessKey":"secret"}}"#);
            std::fs::write(path, json).unwrap();
        };
        write(&answer, "OLDKEY");
        let (attempts, rewritten) = (AtomicUsize::new(0), answer.clone());
        let server = Scripted::start(move |_| match attempts.fetch_add(1, Ordering::Relaxed) {
            0 => Answer::error(503, "SlowDown"),
            1 => {
                write(&rewritten, "NEWKEY");
                Answer::error(400, "ExpiredToken")
            }
            _ => stored(),
        });
        let source = CredentialSource::Files { config, credentials };
        let environment = Environment::of_process().with_credentials(source);
        run(async {
            let store = nars3_s3::open(&patient(&server, client), &environment).await.unwrap();
            store.put(&Path::from("key"), "hello".into()).await.unwrap();
        });
        let requests = server.requests();
        let signers: Vec<_> = requests.iter().map(|request| request.signed_by().unwrap()).collect();
        assert_eq!(signers, ["OLDKEY", "OLDKEY", "NEWKEY"]);
        assert!(requests.iter().all(|request| request.body == b"hello"));
    }
}

#[test]
fn what_passes_is_waited_for_and_what_does_not_is_told_at_once() {
    for client in clients() {
        for (status, code, attempts) in [
            (503, "SlowDown", 3),
            (500, "InternalError", 3),
            (503, "", 3),
            (502, "", 3),
            (504, "", 3),
            (429, "", 3),
            (400, "RequestTimeout", 3),
            (400, "BadDigest", 3),
            (409, "OperationAborted", 3),
            (403, "AccessDenied", 1),
            (403, "SignatureDoesNotMatch", 1),
            (403, "RequestTimeTooSkewed", 1),
            (400, "InvalidArgument", 1),
            (501, "NotImplemented", 1),
        ] {
            let server = Scripted::start(move |_| match code {
                "" => Answer::new(status, ""),
                code => Answer::error(status, code),
            });
            let error = run(async {
                open(&patient(&server, client))
                    .await
                    .put(&Path::from("key"), "hello".into())
                    .await
                    .unwrap_err()
            });
            assert_eq!(server.requests().len(), attempts as usize, "{status} {code}");
            let error = S3Error::of(&error);
            assert_eq!(error.attempts, Some(attempts), "{error}");
            assert_eq!((error.bucket.as_deref(), error.key.as_deref()), (Some("bucket"), Some("key")));
            assert_eq!(error.status, Some(status));
        }
    }
}

#[test]
fn a_server_is_not_asked_before_it_said() {
    for client in clients() {
        let server = Scripted::start(|_| Answer::error(503, "SlowDown").with("retry-after", "3000"));
        let mut settings = patient(&server, client);
        settings.transfer.retry_max_delay = Duration::from_secs(7200);
        // The wait would be longer than all attempts may take.
        settings.transfer.retry_timeout = Some(Duration::from_secs(600));
        let error = run(async { open(&settings).await.get(&Path::from("key")).await.unwrap_err() });
        assert_eq!(S3Error::of(&error).kind, S3ErrorKind::Throttled);
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn the_bucket_is_looked_for_where_the_server_says() {
    for client in clients() {
        let server = Scripted::start(|request| {
            if request.header("authorization").unwrap().contains("/eu-west-3/s3/") {
                return stored();
            }
            Answer::error(301, "PermanentRedirect").with("x-amz-bucket-region", "eu-west-3")
        });
        run(async {
            let store = open(&patient(&server, client)).await;
            store.put(&Path::from("key"), "hello".into()).await.unwrap();
            store.put(&Path::from("key"), "hello".into()).await.unwrap();
        });
        // The second request goes there at once.
        assert_eq!(server.requests().len(), 3);
    }
}

#[test]
fn a_bucket_that_is_nowhere_is_looked_for_once() {
    for client in clients() {
        let asked = AtomicUsize::new(0);
        let server = Scripted::start(move |_| {
            let region = ["eu-west-3", "us-east-1"][asked.fetch_add(1, Ordering::Relaxed) % 2];
            Answer::error(301, "PermanentRedirect").with("x-amz-bucket-region", region)
        });
        let error = run(async {
            open(&patient(&server, client)).await.put(&Path::from("key"), "hello".into()).await.unwrap_err()
        });
        assert!(matches!(S3Error::of(&error).kind, S3ErrorKind::WrongRegion { .. }));
        assert_eq!(server.requests().len(), 2);
    }
}

#[test]
fn successes_that_carry_errors_are_tried_again() {
    let deleted = "<DeleteResult><Deleted><Key>a</Key></Deleted></DeleteResult>";
    let failed = "<DeleteResult><Error><Key>a</Key><Code>InternalError</Code><Message>words</Message></Error></DeleteResult>";
    for client in clients() {
        for first in [Answer::error(200, "InternalError"), Answer::error(200, "SlowDown")] {
            let copied = Answer::new(200, "<CopyObjectResult><ETag>\"e\"</ETag></CopyObjectResult>");
            let server = Scripted::start(in_turn(vec![first.clone(), copied]));
            run(async {
                let store = open(&patient(&server, client)).await;
                store.copy(&Path::from("a"), &Path::from("b")).await.unwrap();
            });
            assert_eq!(server.requests().len(), 2);
            for first in [first, Answer::new(200, failed)] {
                let server = Scripted::start(in_turn(vec![first, Answer::new(200, deleted)]));
                run(async {
                    let store = open(&patient(&server, client)).await;
                    let keys = futures::stream::iter([Ok(Path::from("a"))]).boxed();
                    store.delete_stream(keys).try_collect::<Vec<_>>().await.unwrap();
                });
                assert_eq!(server.requests().len(), 2);
            }
        }
    }
}

#[test]
fn half_a_document_and_another_one_are_no_answers() {
    let whole = "<ListBucketResult><IsTruncated>false</IsTruncated><KeyCount>0</KeyCount><Name>b</Name></ListBucketResult>";
    for client in clients() {
        for wrong in ["", "<html><body>log in</body></html>", "<ListBucketResult><Contents><Key>a</Key>"] {
            let server = Scripted::start(in_turn(vec![Answer::new(200, wrong), Answer::new(200, whole)]));
            let listed: Vec<_> =
                run(async { open(&patient(&server, client)).await.list(None).try_collect().await.unwrap() });
            assert!(listed.is_empty());
            assert_eq!(server.requests().len(), 2, "{wrong}");
            let server = Scripted::start(move |_| Answer::new(200, wrong));
            let error = run(async {
                open(&patient(&server, client)).await.list(None).try_collect::<Vec<_>>().await.unwrap_err()
            });
            assert_eq!(S3Error::of(&error).kind, S3ErrorKind::InvalidAnswer, "{wrong}");
        }
    }
}

/// The answer to the completion is lost, and the second attempt hears that there is no such upload.
fn completion_is_lost(client: S3Client, e_tag_of_object: &'static str) -> object_store::Result<()> {
    let asked = AtomicUsize::new(0);
    let server = Scripted::start(move |request| match request.method.as_str() {
        "POST" if request.target.contains("uploads") => Answer::new(200, BEGUN),
        // MD5 of "part".
        "PUT" => Answer::new(200, "").with("etag", "\"f4c9385f1902f7334b00b9b4ecd164de\""),
        "HEAD" => Answer::new(200, "").with("etag", e_tag_of_object),
        _ if asked.fetch_add(1, Ordering::Relaxed) == 0 => Answer::error(500, "InternalError"),
        _ => Answer::error(404, "NoSuchUpload"),
    });
    run(async {
        let store = open(&patient(&server, client)).await;
        let mut upload = store.put_multipart(&Path::from("key")).await.unwrap();
        upload.put_part(PutPayload::from_static(b"part")).await.unwrap();
        upload.complete().await.map(|_| ())
    })
}

#[test]
fn a_completion_whose_answer_was_lost_counts_when_the_object_is_that_of_the_parts() {
    for client in clients() {
        completion_is_lost(client, "\"1819d1a8700e59901a48215b8577ac07-1\"").unwrap();
        let error = completion_is_lost(client, "\"0cc175b9c0f1b6a831c399e269772661-1\"").unwrap_err();
        assert_eq!(S3Error::of(&error).kind, S3ErrorKind::UploadMissing);
    }
}

#[test]
fn an_upload_that_is_gone_is_aborted() {
    for client in clients() {
        let server = Scripted::start(|request| match request.method.as_str() {
            "POST" => Answer::new(200, BEGUN),
            _ => Answer::error(404, "NoSuchUpload"),
        });
        run(async {
            let store = open(&patient(&server, client)).await;
            store.put_multipart(&Path::from("key")).await.unwrap().abort().await.unwrap();
        });
    }
}

#[test]
fn the_403_of_a_head_request_is_asked_again_as_a_get_of_one_byte() {
    for client in clients() {
        for (code, kind) in [
            ("AccessDenied", S3ErrorKind::Forbidden { action: Some("s3:GetObject") }),
            ("SignatureDoesNotMatch", S3ErrorKind::BadCredentials),
            ("RequestTimeTooSkewed", S3ErrorKind::ClockSkew),
        ] {
            let server = Scripted::start(move |request| match request.method.as_str() {
                "HEAD" => Answer::new(403, ""),
                _ => Answer::error(403, code),
            });
            let error = run(async {
                open(&patient(&server, client)).await.head(&Path::from("key")).await.unwrap_err()
            });
            assert!(matches!(error, Error::PermissionDenied { .. }), "{error:?}");
            let described = S3Error::of(&error);
            assert_eq!((described.kind, described.operation), (kind, Some(Operation::HeadObject)));
            assert_eq!(described.code.as_deref(), Some(code));
            let requests = server.requests();
            assert_eq!(requests.len(), 2);
            assert_eq!(
                (requests[1].method.as_str(), requests[1].header("range")),
                ("GET", Some("bytes=0-0"))
            );
        }
        // Whoever may read may also know.
        let server = Scripted::start(|request| match request.method.as_str() {
            "HEAD" => Answer::new(403, ""),
            _ => Answer::new(206, "x").with("content-range", "bytes 0-0/1000").with("etag", "\"e\""),
        });
        let found =
            run(async { open(&patient(&server, client)).await.head(&Path::from("key")).await.unwrap() });
        assert_eq!((found.size, found.e_tag.as_deref()), (1000, Some("\"e\"")));
    }
}

/// Requests that were under way when the first one found out find out as well.
#[test]
fn all_requests_at_once_find_the_bucket() {
    for client in clients() {
        let server = Scripted::start(|request| {
            if request.header("authorization").unwrap().contains("/eu-west-3/s3/") {
                return stored();
            }
            Answer::error(301, "PermanentRedirect").with("x-amz-bucket-region", "eu-west-3")
        });
        run(async {
            let store = open(&patient(&server, client)).await;
            let keys: Vec<_> = (0..8).map(|number| Path::from(format!("key-{number}"))).collect();
            let puts = keys.iter().map(|key| store.put(key, "hello".into()));
            futures::future::try_join_all(puts).await.unwrap();
        });
    }
}

/// On AWS the host follows the region.
#[test]
fn a_bucket_of_aws_is_looked_for_at_another_host() {
    for client in clients() {
        let server = Scripted::start(|request| {
            if request.header("host") == Some("bucket.s3.eu-west-3.amazonaws.com") {
                return stored();
            }
            // Without the header of newer days; the region is in the host.
            let body = "<Error><Code>TemporaryRedirect</Code><Message>words</Message>\
                        <Endpoint>bucket.s3-eu-west-3.amazonaws.com</Endpoint></Error>";
            Answer::new(307, body)
        });
        let mut settings = S3Settings::new("bucket");
        settings.scheme = nars3_store_url::Scheme::Http;
        settings.s3_client = Some(client);
        let environment = Environment::of_process()
            .with_credentials(keys())
            .with_address("bucket.s3.us-east-1.amazonaws.com", server.address)
            .with_address("bucket.s3.eu-west-3.amazonaws.com", server.address);
        run(async {
            let store = nars3_s3::open(&settings, &environment).await.unwrap();
            store.put(&Path::from("key"), "hello".into()).await.unwrap();
        });
        assert_eq!(server.requests().len(), 2);
    }
}

/// A refusal without end is read as far as a refusal goes.
#[test]
fn an_endless_refusal_is_cut_off() {
    for client in clients() {
        let server = Scripted::start(|_| Answer::new(403, vec![b'x'; 8 << 20]));
        let error =
            run(async { open(&patient(&server, client)).await.get(&Path::from("key")).await.unwrap_err() });
        assert!(S3Error::of(&error).message.unwrap().len() <= 200);
    }
}

#[test]
fn one_span_tells_all_of_a_request() {
    for client in clients() {
        let server = Scripted::start(in_turn(vec![
            Answer::error(503, "SlowDown"),
            stored().with("x-amz-request-id", "REQUEST2"),
        ]));
        let heard = traced_by(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let environment = Environment::of_process().with_credentials(keys());
                let store = nars3_s3::open(&patient(&server, client), &environment).await.unwrap();
                store.put(&Path::from("nar/a.nar"), "hello".into()).await.unwrap();
            });
        });
        let closed: Vec<_> = heard.lines().filter(|line| line.contains("\"message\":\"close\"")).collect();
        let span = closed.iter().find(|line| line.contains("\"name\":\"s3\"")).unwrap();
        for fact in [
            r#""operation":"PutObject""#,
            r#""bucket":"bucket""#,
            r#""key":"nar/a.nar""#,
            r#""bytes":5"#,
            r#""attempts":2"#,
            r#""status":200"#,
            r#""request_id":"REQUEST2""#,
        ] {
            assert!(span.contains(fact), "{fact} in {span}");
        }
    }
}

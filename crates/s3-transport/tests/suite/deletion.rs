//! Deleting many objects at once: answers that say too little or too much, and servers that know single deletions only.

use futures::StreamExt;
use nars3_s3::{S3Error, S3ErrorKind};
use nars3_store_url::S3Client;
use object_store::path::Path;

use crate::support::{Answer, Scripted, clients, in_turn, open, patient, run};

type Fate = object_store::Result<Path>;

/// Deletes some keys, in one batch.
async fn delete(server: &Scripted, client: S3Client, keys: &[&str]) -> Vec<Fate> {
    let keys: Vec<_> = keys.iter().map(|key| Ok(Path::from(*key))).collect();
    open(&patient(server, client)).await.delete_stream(futures::stream::iter(keys).boxed()).collect().await
}

fn result(inside: &str) -> Answer {
    Answer::new(200, format!("<DeleteResult>{inside}</DeleteResult>"))
}

#[test]
fn an_answer_about_other_keys_is_none() {
    let deleted = "<Deleted><Key>a</Key></Deleted>";
    for client in clients() {
        for wrong in [
            "<Error><Key>other</Key><Code>AccessDenied</Code><Message>words</Message></Error>",
            "<Error><Key></Key><Code>AccessDenied</Code><Message>words</Message></Error>",
            "<Error><Key>/</Key><Code>AccessDenied</Code><Message>words</Message></Error>",
            "<Error><Key> a </Key><Code>AccessDenied</Code><Message>words</Message></Error>",
        ] {
            let answer = result(&format!("{deleted}{wrong}"));
            let server = Scripted::start(move |_| answer.clone());
            let fates = run(delete(&server, client, &["a"]));
            let error = S3Error::of(fates[0].as_ref().unwrap_err());
            assert_eq!(error.kind, S3ErrorKind::InvalidAnswer, "{wrong}: {error}");
            assert_eq!(server.requests().len(), 3);
        }
    }
}

#[test]
fn a_key_of_which_nothing_is_said_is_not_deleted() {
    for client in clients() {
        for silent in ["", "<Deleted><Key>a</Key></Deleted>"] {
            let answer = result(silent);
            let server = Scripted::start(move |_| answer.clone());
            let fates = run(delete(&server, client, &["a", "b"]));
            let error = S3Error::of(fates[0].as_ref().unwrap_err());
            assert_eq!(error.kind, S3ErrorKind::InvalidAnswer, "{error}");
        }
    }
}

#[test]
fn what_passes_not_for_one_key_is_not_said_of_the_others() {
    for client in clients() {
        let server = Scripted::start(|_| {
            result(
                "<Deleted><Key>a</Key></Deleted>\
                 <Error><Key>b</Key><Code>InternalError</Code><Message>words</Message></Error>\
                 <Error><Key>c</Key><Code>AccessDenied</Code><Message>no</Message></Error>",
            )
        });
        let fates = run(delete(&server, client, &["a", "b", "c"]));
        assert_eq!(server.requests().len(), 3, "it might have passed");
        assert_eq!(fates[0].as_ref().unwrap(), &Path::from("a"));
        let errors: Vec<_> = fates[1..].iter().map(|fate| S3Error::of(fate.as_ref().unwrap_err())).collect();
        assert_eq!(errors[0].kind, S3ErrorKind::Server);
        assert_eq!(errors[1].kind, S3ErrorKind::Forbidden { action: Some("s3:DeleteObject") });
    }
}

#[test]
fn a_server_without_batches_is_asked_for_each_object() {
    for client in clients() {
        let server = Scripted::start(|request| match (request.method.as_str(), request.target.as_str()) {
            ("POST", _) => Answer::error(501, "NotImplemented"),
            ("DELETE", "/bucket/nar/no%20b%2B") => Answer::error(403, "AccessDenied"),
            ("DELETE", "/bucket/gone") => Answer::error(404, "NoSuchKey"),
            _ => Answer::new(204, ""),
        });
        let keys = ["a", "nar/no b+", "gone"];
        run(async {
            let store = open(&patient(&server, client)).await;
            for _ in 0..2 {
                let keys: Vec<_> = keys.iter().map(|key| Ok(Path::from(*key))).collect();
                let fates: Vec<Fate> =
                    store.delete_stream(futures::stream::iter(keys).boxed()).collect().await;
                assert_eq!(fates[0].as_ref().unwrap(), &Path::from("a"));
                let error = S3Error::of(fates[1].as_ref().unwrap_err());
                assert_eq!(error.kind, S3ErrorKind::Forbidden { action: Some("s3:DeleteObject") }, "{error}");
                fates[2].as_ref().unwrap();
            }
        });
        let requests = server.requests();
        let methods: Vec<_> = requests.iter().map(|request| request.method.as_str()).collect();
        assert_eq!(methods, ["POST", "DELETE", "DELETE", "DELETE", "DELETE", "DELETE", "DELETE"]);
        assert!(requests.iter().all(|request| request.signed_by().is_some()));
        assert!(requests[1..].iter().all(|request| request.header("content-md5").is_none()));
    }
}

/// That there is no bucket is not that the object is gone.
#[test]
fn one_by_one_a_missing_bucket_is_an_error() {
    for client in clients() {
        let server = Scripted::start(|request| match request.method.as_str() {
            "POST" => Answer::error(501, "NotImplemented"),
            _ => Answer::error(404, "NoSuchBucket"),
        });
        let fates = run(delete(&server, client, &["a"]));
        assert!(fates[0].is_err(), "{fates:?}");
    }
}

/// That an argument is invalid may be about this batch alone.
#[test]
fn a_batch_that_is_refused_is_tried_one_by_one() {
    for client in clients() {
        let server = Scripted::start(|request| match request.method.as_str() {
            "POST" => Answer::error(400, "InvalidArgument"),
            _ => Answer::new(204, ""),
        });
        for fate in run(delete(&server, client, &["a", "b"])) {
            fate.unwrap();
        }
        let server = Scripted::start(in_turn(vec![Answer::error(403, "AccessDenied")]));
        for fate in run(delete(&server, client, &["a", "b"])) {
            fate.unwrap_err();
        }
        assert_eq!(server.requests().len(), 1, "another refusal is one of all");
    }
}

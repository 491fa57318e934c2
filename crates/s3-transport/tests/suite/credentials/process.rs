//! A program that prints credentials (`credential_process`), asked once and anew when it has to be.

use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::{Files, credentials_error, s3};
use crate::support::{Answer, Scripted, clients, run, settings};

#[test]
fn a_process_is_asked_once_for_all_stores_and_again_after_a_failure() {
    let files = Files::new("", "");
    let (script, count, fails) = (files.path("script"), files.path("count"), files.path("fails"));
    let text = format!(
        "echo x >> {count}\n[ -e {fails} ] && {{ echo not now >&2; exit 1; }}\n\
         echo '{{\"Version\":1,\"AccessKeyId\":\"AKIDPROCESS\",\"SecretAccessKey\":\"s\",\
         \"Expiration\":\"2099-01-01T00:00:00Z\"}}'\n"
    );
    std::fs::write(&script, text).unwrap();
    let config = format!("[profile process]\ncredential_process = /bin/sh {script}\n");
    std::fs::write(files.path("config"), config).unwrap();
    let asked = || std::fs::read_to_string(&count).unwrap().lines().count();

    let server = s3();
    let mut settings = settings(&server.url());
    settings.profile = Some("process".to_owned());
    let environment = files.environment();
    run(async {
        std::fs::write(&fails, "").unwrap();
        let error = credentials_error(nars3_s3::open(&settings, &environment).await.err().unwrap());
        assert!(error.to_string().contains("not now"), "{error}");
        std::fs::remove_file(&fails).unwrap();
        let before = asked();
        for _ in 0..3 {
            let store = nars3_s3::open(&settings, &environment).await.unwrap();
            store.get(&Path::from("key")).await.unwrap();
        }
        assert_eq!(asked() - before, 1);
        // At AWS they are good in a whole partition, and in no other. To open a bucket there is no request.
        settings.endpoint = None;
        for (region, times) in [("eu-west-1", 1), ("us-west-2", 1), ("cn-north-1", 2), ("cn-northwest-1", 2)]
        {
            settings.region = region.to_owned();
            nars3_s3::open(&settings, &environment).await.unwrap();
            assert_eq!(asked() - before, times, "{region}");
        }
    });
    assert!(server.requests().iter().all(|request| request.signed_by() == Some("AKIDPROCESS")));
}

#[test]
fn expired_credentials_are_renewed_when_the_server_says_so() {
    for client in clients() {
        let files = Files::new("", "");
        let script = files.path("script");
        let count = files.path("count");
        let text = format!(
            "echo x >> {count}\n\
         echo \"{{\\\"Version\\\":1,\\\"AccessKeyId\\\":\\\"AKID$(wc -l < {count} | tr -d ' ')\\\",\\\"SecretAccessKey\\\":\\\"s\\\"}}\"\n"
        );
        std::fs::write(&script, text).unwrap();
        std::fs::write(files.path("config"), format!("[default]\ncredential_process = /bin/sh {script}\n"))
            .unwrap();
        let server = Scripted::start(|request| match request.signed_by() {
            Some("AKID1") => Answer::error(400, "ExpiredToken"),
            _ => Answer::new(200, "")
                .with("etag", "\"e\"")
                .with("last-modified", "Sun, 22 Nov 2026 00:00:00 GMT"),
        });
        run(async {
            let mut settings = settings(&server.url());
            settings.s3_client = Some(client);
            let store = nars3_s3::open(&settings, &files.environment()).await.unwrap();
            store.get(&Path::from("key")).await.unwrap();
        });
        let signers: Vec<_> =
            server.requests().iter().map(|request| request.signed_by().map(str::to_owned)).collect();
        assert_eq!(signers, [Some("AKID1".to_owned()), Some("AKID2".to_owned())]);
    }
}

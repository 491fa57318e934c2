//! Probes that write, on servers that cannot do everything.

use std::collections::BTreeMap;
use std::sync::Mutex;

use anyhow::Result;

use super::{CLIENTS, doctor, listable, object, url, with_keys};
use crate::scripted::{Answer, Scripted};

/// Objects in memory, on a server that knows no conditions, or does not let delete.
fn simple(deletes: bool) -> Scripted {
    let objects: Mutex<BTreeMap<String, Vec<u8>>> = Mutex::default();
    Scripted::start(move |request| {
        let mut objects = objects.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        match request.method.as_str() {
            "GET" if query.contains("list-type") || query.contains("uploads") => listable(request),
            "POST" if query.contains("uploads") => Answer::new(
                200,
                "<InitiateMultipartUploadResult><UploadId>U</UploadId></InitiateMultipartUploadResult>",
            ),
            "POST" if query.contains("delete") && deletes => {
                objects.clear();
                let body = String::from_utf8_lossy(&request.body).into_owned();
                let keys = body.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next());
                let deleted: String =
                    keys.map(|key| format!("<Deleted><Key>{key}</Key></Deleted>")).collect();
                Answer::new(200, format!("<DeleteResult>{deleted}</DeleteResult>"))
            }
            "DELETE" if query.contains("uploadId") => Answer::new(204, ""),
            "DELETE" if deletes => {
                objects.remove(path);
                Answer::new(204, "")
            }
            "PUT" if query.contains("partNumber") => Answer::new(200, "").with("etag", "\"p\""),
            "PUT" => {
                objects.insert(path.to_owned(), request.body.clone());
                Answer::new(200, "").with("etag", "\"e\"")
            }
            "POST" if query.contains("uploadId") => Answer::error(501, "NotImplemented"),
            "POST" if query.contains("delete") => {
                // As S3 has it: a success, and an error for each object.
                let body = String::from_utf8_lossy(&request.body).into_owned();
                let key = body.split("<Key>").nth(1).and_then(|rest| rest.split("</Key>").next());
                let key = key.unwrap_or_default();
                Answer::new(
                    200,
                    format!(
                        "<DeleteResult><Error><Key>{key}</Key><Code>AccessDenied</Code><Message>Access \
                         Denied.</Message></Error></DeleteResult>"
                    ),
                )
            }
            "POST" | "DELETE" => Answer::error(403, "AccessDenied"),
            _ => objects.get(path).map_or_else(|| Answer::error(404, "NoSuchKey"), |body| object(body)),
        }
    })
}

#[test]
fn a_server_without_conditional_writes_is_found_out() -> Result<()> {
    for client in CLIENTS {
        let server = simple(true);
        let diagnosis = doctor(&with_keys()?, &url(&server.url(), client), &["--write"])?;
        assert_eq!(diagnosis.finding("no-conditional-writes")?["level"], "warning");
        assert!(!diagnosis.codes().contains(&"probe-left"), "{:#}", diagnosis.report);
    }
    Ok(())
}

#[test]
fn who_may_not_delete_writes_nothing_that_stays() -> Result<()> {
    for client in CLIENTS {
        let server = simple(false);
        let diagnosis = doctor(&with_keys()?, &url(&server.url(), client), &["--write"])?;
        assert_eq!(diagnosis.is_well()?.codes(), ["cache-info-absent", "forbidden", "nothing-written"]);
        let puts = server.requests().into_iter().filter(|request| request.method == "PUT");
        assert!(puts.clone().count() == 1 && puts.clone().all(|put| put.target.contains("partNumber")));
    }
    Ok(())
}

//! Deleting many objects with one request: what became of each, and one request each where a server knows no other.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::HeaderMap;
use object_store::client::{HttpError, HttpResponse};
use reqwest::StatusCode;

use super::draft::Draft;
use super::policy::{self, Verdict};
use super::send::{Wire, response};
use super::xml::{element, elements, escaped};
use super::{Answer, document};

/// Requests for single objects that stand for one batch, under way at once.
const AT_ONCE: usize = 8;

/// An object that was not deleted.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Failed {
    key: String,
    code: String,
    message: String,
}

/// What became of the keys of a batch.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Fates {
    /// In the order of the request.
    keys: Vec<String>,
    failed: Vec<Failed>,
}

impl Fates {
    /// Reads the answer to a request.
    ///
    /// # Errors
    /// It is about other keys, or not about all: object_store's client panics at the one (0.14, `aws/client.rs`,
    /// `bulk_delete_request`), and both clients take the other for success.
    pub(super) fn read(request: &[u8], answer: &[u8]) -> Result<Self, String> {
        let keys = asked(request);
        let answer = String::from_utf8_lossy(answer);
        if answer.contains("<![CDATA[") || answer.contains("<!--") {
            return Err("the answer has sections that no server of S3 writes".to_owned());
        }
        let mut open: HashSet<&str> = keys.iter().map(String::as_str).collect();
        let asked = open.clone();
        let mut failed = Vec::new();
        for error in elements(&answer, "Error") {
            let key = element(error, "Key").unwrap_or_default();
            if !asked.contains(key.as_str()) {
                return Err(format!(
                    "an error is about the key '{}', which was not asked for",
                    shortened(&key)
                ));
            }
            open.remove(key.as_str());
            let code = element(error, "Code").unwrap_or_default();
            // To have deleted what is not there is to have deleted it.
            if code != "NoSuchKey" {
                failed.push(Failed { key, code, message: element(error, "Message").unwrap_or_default() });
            }
        }
        for deleted in elements(&answer, "Deleted") {
            open.remove(element(deleted, "Key").unwrap_or_default().as_str());
        }
        match open.iter().next() {
            Some(key) => Err(format!("the answer does not say what became of the key '{}'", shortened(key))),
            None => Ok(Fates { keys, failed }),
        }
    }

    /// The code of an error that may pass.
    pub(super) fn passing(&self) -> Option<&str> {
        self.failed.iter().map(|failed| failed.code.as_str()).find(|code| {
            let answer = Answer { code: Some((*code).to_owned()), ..Answer::default() };
            matches!(policy::of_refusal(&answer), Verdict::Passing | Verdict::Throttled)
        })
    }

    /// The document that says so, in our own words: nothing that a server writes between them reaches a client.
    pub(super) fn document(&self) -> Bytes {
        let failed: HashMap<&str, &Failed> =
            self.failed.iter().map(|failed| (failed.key.as_str(), failed)).collect();
        let mut xml = String::from("<DeleteResult>");
        for key in &self.keys {
            let name = escaped(key);
            xml.push_str(&match failed.get(key.as_str()) {
                None => format!("<Deleted><Key>{name}</Key></Deleted>"),
                Some(Failed { code, message, .. }) => {
                    let (code, message) = (escaped(code), escaped(message));
                    format!("<Error><Key>{name}</Key><Code>{code}</Code><Message>{message}</Message></Error>")
                }
            });
        }
        xml.push_str("</DeleteResult>");
        document::calmed(super::Operation::DeleteObjects, xml.into())
    }
}

/// The keys that a request asks to delete.
fn asked(request: &[u8]) -> Vec<String> {
    let request = String::from_utf8_lossy(request);
    elements(&request, "Object").into_iter().filter_map(|object| element(object, "Key")).collect()
}

/// What a refusal of a batch says of batches.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Batches {
    /// The server knows none.
    Unknown,
    /// It refuses this one. Whether it would do the same with single objects only they can tell.
    Unfit,
    /// Nothing.
    Silent,
}

impl Batches {
    /// Google's server, for one, says 501 or that an argument is invalid.
    pub(super) fn of(refusal: &Answer) -> Self {
        match (refusal.code.as_deref(), refusal.status) {
            (Some("NotImplemented" | "MethodNotAllowed"), _) | (None, Some(405 | 501)) => Batches::Unknown,
            (Some("InvalidArgument"), _) => Batches::Unfit,
            _ => Batches::Silent,
        }
    }
}

/// Deletes the objects of a batch one by one, and says what became of each, as the server would have.
pub(super) async fn one_by_one(wire: &Arc<Wire>, draft: &dyn Draft) -> Result<HttpResponse, HttpError> {
    let keys = asked(&draft.document());
    let mut requests = Vec::with_capacity(keys.len());
    for key in &keys {
        requests.push(single(Arc::clone(wire), draft.delete(key), key.clone()).boxed());
    }
    let failed: Vec<_> = stream::iter(requests).buffer_unordered(AT_ONCE).try_collect().await?;
    let fates = Fates { keys, failed: failed.into_iter().flatten().collect() };
    let document = fates.document();
    Ok(response(StatusCode::OK, HeaderMap::new(), stream::once(async { Ok(document) }).boxed()))
}

/// Deletes one object; what came in between, if anything did.
async fn single(wire: Arc<Wire>, draft: Arc<dyn Draft>, key: String) -> Result<Option<Failed>, HttpError> {
    let (parts, body) = wire.send(draft).await?.into_parts();
    if parts.status.is_success() {
        return Ok(None);
    }
    let answer = Answer::find(&String::from_utf8_lossy(&body.bytes().await?)).unwrap_or_default();
    // That there is no such bucket, say, is another matter.
    if parts.status == StatusCode::NOT_FOUND && answer.code.as_deref().is_none_or(|code| code == "NoSuchKey")
    {
        return Ok(None);
    }
    let code = answer.code.unwrap_or_else(|| code_of(parts.status).to_owned());
    Ok(Some(Failed { key, code, message: answer.message.unwrap_or_default() }))
}

/// A code for a refusal that has none.
fn code_of(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 | 403 => "AccessDenied",
        429 | 503 => "SlowDown",
        500.. => "InternalError",
        _ => "InvalidRequest",
    }
}

fn shortened(key: &str) -> String {
    key.chars().filter(|character| !character.is_control()).take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &[u8] = b"<Delete xmlns=\"x\"><Object><Key>a</Key></Object><Object><Key>b &amp; &#34;c&quot;</Key></Object></Delete>";

    fn read(answer: &str) -> Result<Fates, String> {
        Fates::read(REQUEST, format!("<DeleteResult>{answer}</DeleteResult>").as_bytes())
    }

    #[test]
    fn each_key_has_its_fate() {
        let fates = read(
            "<Error><Key>b &amp; &quot;c&#34;</Key><Code>AccessDenied</Code><Message>no</Message></Error>\
             <Deleted><Key>a</Key></Deleted>",
        )
        .unwrap();
        assert_eq!(
            fates.document(),
            "<DeleteResult><Deleted><Key>a</Key></Deleted><Error><Key>b &amp; \"c\"</Key><Code>AccessDenied</Code>\
             <Message>no</Message></Error></DeleteResult>"
        );
        assert_eq!(fates.passing(), None);
        assert_eq!(Fates::read(REQUEST, &fates.document()).unwrap(), fates);
    }

    #[test]
    fn what_is_not_there_is_deleted() {
        let gone =
            "<Error><Key>a</Key><Code>NoSuchKey</Code></Error><Deleted><Key>b &amp; \"c\"</Key></Deleted>";
        assert!(read(gone).unwrap().failed.is_empty());
    }

    #[test]
    fn an_error_that_may_pass_is_found_and_alarms_nobody() {
        let other = "<Deleted><Key>b &amp; \"c\"</Key></Deleted>";
        let fates = read(&format!("<Error><Key>a</Key><Code>InternalError</Code></Error>{other}")).unwrap();
        assert_eq!(fates.passing(), Some("InternalError"));
        assert!(!String::from_utf8_lossy(&fates.document()).contains("InternalError"));
    }

    #[test]
    fn answers_about_other_keys_or_not_about_all_are_none() {
        let rest = "<Deleted><Key>a</Key></Deleted><Deleted><Key>b &amp; \"c\"</Key></Deleted>";
        for (answer, complaint) in [
            ("<Error><Key>d</Key><Code>AccessDenied</Code></Error>".to_owned() + rest, "the key 'd'"),
            ("<Error><Key></Key><Code>AccessDenied</Code></Error>".to_owned() + rest, "the key ''"),
            ("<Error><Code>AccessDenied</Code></Error>".to_owned() + rest, "the key ''"),
            ("<Error><Key> a </Key><Code>AccessDenied</Code></Error>".to_owned() + rest, "the key ' a '"),
            ("<Error><Key>/a</Key><Code>AccessDenied</Code></Error>".to_owned() + rest, "the key '/a'"),
            ("<Error><Key><![CDATA[d]]></Key></Error>".to_owned() + rest, "sections"),
            ("<Deleted><Key>a</Key></Deleted>".to_owned(), "what became of the key 'b &"),
            (String::new(), "what became of"),
        ] {
            let error = read(&answer).unwrap_err();
            assert!(error.contains(complaint), "{answer}: {error}");
        }
    }

    #[test]
    fn refusals_that_are_about_batches_are_told_from_others() {
        let of = |status, code: &str| {
            let code = Some(code.to_owned()).filter(|code| !code.is_empty());
            Batches::of(&Answer { status: Some(status), code, ..Answer::default() })
        };
        assert_eq!(of(501, "NotImplemented"), Batches::Unknown);
        assert_eq!(of(501, ""), Batches::Unknown);
        assert_eq!(of(405, "MethodNotAllowed"), Batches::Unknown);
        assert_eq!(of(400, "InvalidArgument"), Batches::Unfit);
        assert_eq!(of(403, "AccessDenied"), Batches::Silent);
        assert_eq!(of(400, "MalformedXML"), Batches::Silent);
    }
}

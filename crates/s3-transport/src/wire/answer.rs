//! The facts of a refusal, in the one form in which they travel through object_store's errors: an XML error document,
//! like S3's own, in which what the headers say is added to what the body says.
//!
//! object_store keeps the text of a refusal's body and nothing else of it, and a HEAD request's refusal has no body.

use std::time::Duration;

use object_store::HeaderMap;

use super::Operation;
use super::xml::{element, escaped};

/// Words of a refusal that is not S3's XML, such as a proxy's page, are cut to this many characters.
const MESSAGE_LEN: usize = 200;

/// What is known about a refusal.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Answer {
    pub(crate) operation: Option<Operation>,
    pub(crate) status: Option<u16>,
    pub(crate) code: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) request_id: Option<String>,
    /// The region where the bucket is, when the server says so.
    pub(crate) region: Option<String>,
    /// Where the server sends the request instead.
    pub(crate) location: Option<String>,
    pub(crate) bucket: Option<String>,
    pub(crate) key: Option<String>,
    /// How often the request was made.
    pub(crate) attempts: Option<u32>,
    /// How long that took in all.
    pub(crate) elapsed: Option<Duration>,
}

impl Answer {
    /// Reads a refusal.
    pub(super) fn read(operation: Operation, status: u16, headers: &HeaderMap, body: &str) -> Self {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let is_error = body.contains("<Error>") || body.contains("<Error ");
        let field = |name| if is_error { element(body, name) } else { None };
        let words = || (!is_error && !body.trim().is_empty()).then(|| shorten(body));
        Answer {
            operation: Some(operation),
            status: Some(status),
            code: field("Code"),
            message: field("Message").or_else(words),
            request_id: header("x-amz-request-id").or_else(|| field("RequestId")),
            region: header("x-amz-bucket-region").or_else(|| field("Region")),
            location: header("location").or_else(|| field("Endpoint")),
            ..Answer::default()
        }
    }

    /// In a few words, for logs.
    pub(super) fn in_words(&self) -> String {
        let status = self.status.map(|status| status.to_string()).unwrap_or_default();
        let parts = [status.as_str(), self.code.as_deref().unwrap_or_default()];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    }

    /// The document.
    pub(crate) fn to_xml(&self) -> String {
        let status = self.status.map(|status| status.to_string());
        let attempts = self.attempts.map(|attempts| attempts.to_string());
        let elapsed = self.elapsed.map(|elapsed| elapsed.as_millis().to_string());
        let fields = [
            ("Code", self.code.as_deref()),
            ("Message", self.message.as_deref()),
            ("Operation", self.operation.map(Operation::as_str)),
            ("Status", status.as_deref()),
            ("RequestId", self.request_id.as_deref()),
            ("Region", self.region.as_deref()),
            ("Endpoint", self.location.as_deref()),
            ("Bucket", self.bucket.as_deref()),
            ("ObjectKey", self.key.as_deref()),
            ("Attempts", attempts.as_deref()),
            ("Milliseconds", elapsed.as_deref()),
        ];
        let mut xml = String::from("<Error>");
        for (name, value) in fields {
            if let Some(value) = value {
                let value = escaped(value);
                xml.push_str(&format!("<{name}>{value}</{name}>"));
            }
        }
        xml.push_str("</Error>");
        xml
    }

    /// Finds the document in an error's words.
    pub(crate) fn find(text: &str) -> Option<Self> {
        let start = text.find("<Error>")?;
        let text = text.get(start..)?;
        let operation = Operation::from_name(&element(text, "Operation")?)?;
        Some(Answer {
            operation: Some(operation),
            status: element(text, "Status").and_then(|status| status.parse().ok()),
            code: element(text, "Code"),
            message: element(text, "Message"),
            request_id: element(text, "RequestId"),
            region: element(text, "Region"),
            location: element(text, "Endpoint"),
            bucket: element(text, "Bucket"),
            key: element(text, "ObjectKey"),
            attempts: element(text, "Attempts").and_then(|attempts| attempts.parse().ok()),
            elapsed: element(text, "Milliseconds").and_then(|it| it.parse().ok()).map(Duration::from_millis),
        })
    }
}

fn shorten(body: &str) -> String {
    let words = body.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().filter(|character| !character.is_control()).take(MESSAGE_LEN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn body_and_headers_come_together_and_travel() {
        let body = "<?xml version=\"1.0\"?><Error><Code>AuthorizationHeaderMalformed</Code>\
                    <Message>expecting 'eu-west-1' &amp; nothing else</Message><Region>eu-west-1</Region></Error>";
        let headers = headers(&[("x-amz-request-id", "R1")]);
        let answer = Answer::read(Operation::PutObject, 400, &headers, body);
        let expected = Answer {
            operation: Some(Operation::PutObject),
            status: Some(400),
            code: Some("AuthorizationHeaderMalformed".to_owned()),
            message: Some("expecting 'eu-west-1' & nothing else".to_owned()),
            request_id: Some("R1".to_owned()),
            region: Some("eu-west-1".to_owned()),
            ..Answer::default()
        };
        assert_eq!(answer, expected);
        let expected = Answer {
            bucket: Some("bucket".to_owned()),
            key: Some("a <b> & c".to_owned()),
            attempts: Some(3),
            elapsed: Some(Duration::from_millis(1500)),
            ..expected
        };
        let answer = expected.clone();
        let words = format!("Server returned non-2xx status code: 400 Bad Request: {}", answer.to_xml());
        assert_eq!(Answer::find(&words), Some(expected));
    }

    #[test]
    fn a_refusal_without_a_body_still_has_its_headers() {
        let headers = headers(&[("x-amz-bucket-region", "eu-central-1"), ("x-amz-request-id", "R2")]);
        let answer = Answer::read(Operation::HeadObject, 301, &headers, "");
        assert_eq!(answer.region.as_deref(), Some("eu-central-1"));
        assert_eq!(Answer::find(&answer.to_xml()), Some(answer));
    }

    #[test]
    fn a_page_of_a_proxy_is_cut_and_cannot_pose_as_an_answer() {
        let page =
            format!("<html>\n<body>{}</body></html>", "blocked <Operation>GetObject</Operation> ".repeat(50));
        let answer = Answer::read(Operation::GetObject, 403, &HeaderMap::new(), &page);
        assert_eq!(answer.code, None);
        assert_eq!(answer.message.as_ref().unwrap().chars().count(), MESSAGE_LEN);
        assert_eq!(Answer::find(&answer.to_xml()), Some(answer));
    }

    #[test]
    fn other_errors_have_no_answer() {
        assert_eq!(Answer::find("file not found"), None);
        assert_eq!(Answer::find("<Error><Code>NoSuchKey</Code></Error>"), None);
    }
}

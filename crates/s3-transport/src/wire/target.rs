//! Where the bucket's requests go, and for which region they are signed.

use nars3_store_url::{AddressingError, S3Settings};

use super::Answer;

/// Hosts of AWS, in all its partitions, by the ends of their names.
const AWS_DOMAINS: [&str; 8] = [
    ".amazonaws.com",
    ".amazonaws.com.cn",
    ".amazonaws.eu",
    ".api.aws",
    ".c2s.ic.gov",
    ".sc2s.sgov.gov",
    ".csp.hci.ic.gov",
    ".cloud.adc-e.uk",
];

/// No region of any provider has a longer name.
const REGION_LEN: usize = 40;

/// Host, path and region of a bucket.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Target {
    pub(crate) scheme: &'static str,
    /// Host and port, as the `Host` header has them.
    pub(crate) authority: String,
    /// What stands in front of `/<key>`, not encoded: the endpoint's path, and the bucket where it is not in the host.
    pub(crate) path: String,
    /// Any name.
    pub(crate) region: String,
}

impl Target {
    pub(crate) fn of(settings: &S3Settings) -> Result<Self, AddressingError> {
        let url = settings.bucket_address()?.url;
        Ok(Target {
            scheme: url.scheme.as_str(),
            authority: url.authority.to_string(),
            path: url.segments.iter().map(|segment| format!("/{segment}")).collect(),
            region: settings.region.clone(),
        })
    }

    /// The same bucket in the region that a refusal names; nothing if it names none, or this one.
    ///
    /// Only the region's name is taken from the answer. The host follows from it and the settings, so that no answer can
    /// send credentials to a host of its own choice.
    pub(super) fn elsewhere(&self, settings: &S3Settings, answer: &Answer) -> Option<Self> {
        let region = region_of(answer).filter(|region| *region != self.region)?;
        let settings = S3Settings { region, ..settings.clone() };
        Target::of(&settings).ok()
    }
}

/// The region that a refusal names: in its header, in its document, or in the host that it points to.
fn region_of(answer: &Answer) -> Option<String> {
    let status = answer.status?;
    let code = answer.code.as_deref().unwrap_or_default();
    let about_regions = matches!(
        code,
        "PermanentRedirect"
            | "TemporaryRedirect"
            | "Redirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException"
            | "IncorrectEndpoint"
    );
    // The refusal of a HEAD request has no code.
    let bare = code.is_empty() && matches!(status, 300..=400);
    if !about_regions && !bare {
        return None;
    }
    let named = answer.region.clone().or_else(|| region_of_host(answer.location.as_deref()?));
    named.filter(|region| is_region(region))
}

/// The region in a host of AWS: `s3.eu-west-3.amazonaws.com`, `bucket.s3-eu-west-3.amazonaws.com`.
fn region_of_host(location: &str) -> Option<String> {
    let host = location.split_once("://").map_or(location, |(_, rest)| rest);
    let host = host.split(['/', ':', '?']).next()?;
    let host = AWS_DOMAINS.iter().find_map(|domain| host.strip_suffix(domain))?;
    let last = host.rsplit('.').next()?;
    let region = last.strip_prefix("s3-").unwrap_or(last);
    // `s3.amazonaws.com` and `bucket.s3.amazonaws.com` are us-east-1, but say nothing: every region answers there.
    (region != "s3").then(|| region.to_owned())
}

/// Whether a text can be a region's name: it becomes a part of host names.
fn is_region(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.len() <= REGION_LEN && text.bytes().all(fits) && !text.starts_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, code: &str, region: Option<&str>, location: Option<&str>) -> Answer {
        Answer {
            status: Some(status),
            code: Some(code.to_owned()).filter(|code| !code.is_empty()),
            region: region.map(str::to_owned),
            location: location.map(str::to_owned),
            ..Answer::default()
        }
    }

    #[test]
    fn a_region_is_found_in_header_document_or_host() {
        let region = |answer: Answer| region_of(&answer);
        let found = Some("eu-west-3".to_owned());
        assert_eq!(region(answer(301, "PermanentRedirect", Some("eu-west-3"), None)), found);
        assert_eq!(region(answer(400, "AuthorizationHeaderMalformed", Some("eu-west-3"), None)), found);
        assert_eq!(region(answer(400, "", Some("eu-west-3"), None)), found);
        for host in ["bucket.s3-eu-west-3.amazonaws.com", "https://bucket.s3.eu-west-3.amazonaws.com/key"] {
            assert_eq!(region(answer(307, "TemporaryRedirect", None, Some(host))), found, "{host}");
        }
        // Wherever the settings can send a request, a host can be read.
        for name in [
            "us-east-1",
            "cn-north-1",
            "eusc-de-east-1",
            "us-iso-east-1",
            "us-isob-east-1",
            "us-isof-east-1",
            "eu-isoe-west-1",
        ] {
            let settings = S3Settings { region: name.to_owned(), ..S3Settings::new("bucket") };
            let host = Target::of(&settings).unwrap().authority;
            assert_eq!(region_of_host(&host).as_deref(), Some(name), "{host}");
        }
    }

    #[test]
    fn nothing_else_moves_a_bucket() {
        for other in [
            answer(403, "AccessDenied", Some("eu-west-3"), None),
            answer(400, "InvalidArgument", Some("eu-west-3"), None),
            answer(301, "PermanentRedirect", Some("evil.example/"), None),
            answer(301, "PermanentRedirect", None, Some("https://evil.example/eu-west-3")),
            answer(307, "TemporaryRedirect", None, Some("bucket.s3.amazonaws.com")),
            answer(301, "", None, None),
        ] {
            assert_eq!(region_of(&other), None, "{other:?}");
        }
    }

    #[test]
    fn the_host_follows_the_region_on_aws_and_stays_elsewhere() {
        let settings = S3Settings::new("bucket");
        let moved = answer(301, "PermanentRedirect", Some("eu-west-3"), None);
        let target = Target::of(&settings).unwrap().elsewhere(&settings, &moved).unwrap();
        assert_eq!(target.authority, "bucket.s3.eu-west-3.amazonaws.com");
        assert_eq!(target.elsewhere(&settings, &moved), None, "it is there already");
        let mut own = settings.clone();
        own.endpoint = Some(nars3_store_url::Endpoint::parse("http://127.0.0.1:9000").unwrap());
        let target = Target::of(&own).unwrap().elsewhere(&own, &moved).unwrap();
        assert_eq!((target.authority.as_str(), target.region.as_str()), ("127.0.0.1:9000", "eu-west-3"));
    }
}

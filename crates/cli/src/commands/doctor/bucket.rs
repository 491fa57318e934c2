//! The bucket: its region, the server's clock, and whether it may be listed.

use std::time::{Duration, SystemTime};

use futures::StreamExt;
use nars3_s3::{BucketFacts, S3Error, S3ErrorKind};
use nars3_store_url::S3Settings;
use object_store::ObjectStore;

use super::finding::{Check, Code, Finding, Level};
use super::refusal::Asked;
use super::words::{ago, distance};

/// S3 refuses signatures that are this far off.
const REFUSED: Duration = Duration::from_secs(15 * 60);

/// No well-kept clock is so far off.
const ODD: Duration = Duration::from_secs(60);

/// Compares this machine's clock with the server's; `None` where the server does not tell the time.
pub(super) fn clock(facts: &BucketFacts, now: SystemTime) -> Option<Finding> {
    let server = facts.date?;
    let apart = distance(server, now);
    let direction = if server > now { "behind" } else { "ahead of" };
    let message = format!("this machine's is {} {direction} the server's", ago(apart));
    let fix = "set this machine's clock, for example by NTP; if it is right, the server's is wrong";
    Some(if apart >= REFUSED {
        Finding::problem(Check::Clock, Code::ClockSkew, message).fix(fix)
    } else if apart >= ODD {
        Finding::new(Check::Clock, Level::Warning, Code::ClockSkew, message)
            .details(["S3 refuses requests that are 15 minutes off".to_owned()])
            .fix(fix)
    } else {
        Finding::ok(Check::Clock, format!("{} apart from the server's", ago(apart)))
    })
}

/// Compares the region of the settings with the one that the server tells; `None` where it tells none.
pub(super) fn region(facts: &BucketFacts, settings: &S3Settings) -> Option<Finding> {
    let told = facts.region.as_ref()?;
    if *told == settings.region {
        return Some(Finding::ok(Check::Region, format!("the bucket is in '{told}'")));
    }
    let message = format!("the bucket is in '{told}', and the store URL says '{}'", settings.region);
    Some(
        Finding::new(Check::Region, Level::Warning, Code::WrongRegion, message)
            .fix(format!("write region={told} into the store URL")),
    )
}

/// What became of the question for the first keys.
pub(super) enum Listing {
    Allowed(Finding),
    /// Only listing is forbidden, as far as this request can tell.
    Forbidden(Finding),
    Failed(Finding),
}

impl Listing {
    pub(super) fn finding(&self) -> &Finding {
        match self {
            Self::Allowed(finding) | Self::Forbidden(finding) | Self::Failed(finding) => finding,
        }
    }
}

/// Asks for the first keys.
pub(super) async fn listing(objects: &dyn ObjectStore, settings: &S3Settings, signed: bool) -> Listing {
    let first = objects.list(None).next().await;
    let error = match first {
        None => return Listing::Allowed(Finding::ok(Check::Listing, "allowed; there is nothing yet")),
        Some(Ok(_)) => return Listing::Allowed(Finding::ok(Check::Listing, "allowed")),
        Some(Err(error)) => error,
    };
    let asked = Asked { check: Check::Listing, what: "list the bucket", settings, signed };
    let finding = asked.failed(&error);
    if !matches!(S3Error::of(&error).kind, S3ErrorKind::Forbidden { .. }) {
        return Listing::Failed(finding);
    }
    let finding = Finding {
        code: Code::Unlistable,
        message: "not allowed".to_owned(),
        details: vec![
            "AWS then says \"access denied\" of objects that are not there, which nars3 and Nix take for absence".to_owned(),
            "'--all', 'store verify --all' and 'store delete' need it, and large pushes ask for each path instead".to_owned(),
        ],
        ..finding.at(Level::Warning)
    };
    Listing::Forbidden(finding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_may_be_a_little_off() {
        let now = SystemTime::now();
        let level = |seconds| {
            let mut facts = BucketFacts::default();
            facts.date = Some(now + Duration::from_secs(seconds));
            clock(&facts, now).unwrap().level
        };
        assert_eq!(level(2), Level::Ok);
        assert_eq!(level(120), Level::Warning);
        assert_eq!(level(3600), Level::Problem);
    }
}

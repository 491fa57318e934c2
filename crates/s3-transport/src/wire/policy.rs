//! Which failures are worth another attempt, after which delay, and how many there are.

use std::time::{Duration, Instant, SystemTime};

use chrono::DateTime;
use nars3_store_url::TransferSettings;
use object_store::HeaderMap;

use super::{Answer, TransportErrorKind};

/// Codes by which AWS asks for patience: those of the SDKs' standard retry mode (botocore `retries/standard.py`), and S3's.
const THROTTLED: [&str; 16] = [
    "BandwidthLimitExceeded",
    "Busy",
    "EC2ThrottledException",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "ServiceUnavailable",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
    "TooManyRequestsException",
];

/// Codes of failures that pass. The last ones are of requests whose body was damaged on its way, and of writers that met:
/// AWS's documentation of conditional writes asks for another attempt then.
const PASSING: [&str; 11] = [
    "InternalError",
    "InternalServerError",
    "RequestTimeout",
    "RequestTimeoutException",
    "TransactionInProgressException",
    "OperationAborted",
    "ConditionalRequestConflict",
    "BadDigest",
    "IncompleteBody",
    "XAmzContentSHA256Mismatch",
    "XMinioServerNotInitialized",
];

/// Codes of credentials that were good until lately.
const EXPIRED: [&str; 3] = ["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"];

/// What a failure calls for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// The same would happen again.
    Final,
    /// It may pass.
    Passing,
    /// It may pass, if there are fewer requests.
    Throttled,
    /// It needs other credentials.
    Expired,
}

/// What a refusal calls for.
pub(super) fn of_refusal(answer: &Answer) -> Verdict {
    let code = answer.code.as_deref().unwrap_or_default();
    if EXPIRED.contains(&code) {
        return Verdict::Expired;
    }
    if THROTTLED.contains(&code) {
        return Verdict::Throttled;
    }
    if PASSING.contains(&code) {
        return Verdict::Passing;
    }
    match answer.status {
        Some(429 | 503) => Verdict::Throttled,
        Some(408 | 500 | 502 | 504) => Verdict::Passing,
        _ => Verdict::Final,
    }
}

/// What a request without an answer calls for. Every request of S3 may be made twice.
pub(super) fn of_break(kind: TransportErrorKind) -> Verdict {
    match kind {
        TransportErrorKind::Refused
        | TransportErrorKind::Unresolved
        | TransportErrorKind::Unreachable
        | TransportErrorKind::TimedOut
        | TransportErrorKind::Broken
        | TransportErrorKind::Damaged
        | TransportErrorKind::Unreadable => Verdict::Passing,
        TransportErrorKind::NoSuchHost | TransportErrorKind::Tls | TransportErrorKind::TooLong => {
            Verdict::Final
        }
    }
}

/// The attempts at one request.
#[derive(Debug)]
pub(super) struct Tries<'a> {
    transfer: &'a TransferSettings,
    begun: Instant,
    /// Attempts so far.
    pub(super) attempts: u32,
}

impl<'a> Tries<'a> {
    /// Of a request whose first attempt was begun then, with so many attempts that came to nothing.
    pub(super) fn since(begun: Instant, attempts: u32, transfer: &'a TransferSettings) -> Self {
        Tries { transfer, begun, attempts }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// How long to wait before the next attempt; nothing if there is to be none.
    pub(super) fn delay(&self, verdict: Verdict, retry_after: Option<Duration>) -> Option<Duration> {
        if self.attempts >= self.transfer.retry_attempts {
            return None;
        }
        let delay = match verdict {
            Verdict::Final | Verdict::Expired => return None,
            Verdict::Passing => backoff(self.transfer, self.attempts, false),
            Verdict::Throttled => backoff(self.transfer, self.attempts, true),
        };
        // The server knows best, within what the settings call the longest delay.
        let delay = delay.max(retry_after.unwrap_or_default().min(self.transfer.retry_max_delay));
        let in_time = |limit| self.begun.elapsed() + delay < limit;
        self.transfer.retry_timeout.is_none_or(in_time).then_some(delay)
    }
}

/// Any time up to the delay of the settings, which doubles with each attempt: full jitter, so that those who failed together
/// do not come back together.
pub(super) fn backoff(transfer: &TransferSettings, attempts: u32, throttled: bool) -> Duration {
    let first = if throttled { transfer.retry_delay_rate_limited } else { transfer.retry_delay };
    let factor = 1_u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
    first.saturating_mul(factor).min(transfer.retry_max_delay).mul_f64(fraction())
}

/// A number from 0 to 1 by chance: the standard library seeds its hash maps so.
fn fraction() -> f64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let bits = RandomState::new().build_hasher().finish() >> 32;
    bits as f64 / f64::from(u32::MAX)
}

/// The header `Retry-After`: seconds, or a date.
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get("retry-after")?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = SystemTime::from(DateTime::parse_from_rfc2822(text).ok()?);
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(status: u16, code: &str) -> Verdict {
        let code = Some(code.to_owned()).filter(|code| !code.is_empty());
        of_refusal(&Answer { status: Some(status), code, ..Answer::default() })
    }

    #[test]
    fn every_code_that_aws_calls_retryable_is_retried() {
        for code in THROTTLED {
            assert_eq!(verdict(400, code), Verdict::Throttled, "{code}");
        }
        for code in PASSING {
            assert_eq!(verdict(400, code), Verdict::Passing, "{code}");
        }
        for status in [500, 502, 504, 408] {
            assert_eq!(verdict(status, ""), Verdict::Passing);
        }
        for status in [503, 429] {
            assert_eq!(verdict(status, ""), Verdict::Throttled);
        }
        assert_eq!(verdict(400, "ExpiredToken"), Verdict::Expired);
    }

    #[test]
    fn what_would_happen_again_is_not() {
        for (status, code) in [
            (403, "AccessDenied"),
            (403, "SignatureDoesNotMatch"),
            (403, "RequestTimeTooSkewed"),
            (404, "NoSuchKey"),
            (412, "PreconditionFailed"),
            (409, "BucketAlreadyExists"),
            (501, "NotImplemented"),
            (400, "InvalidArgument"),
        ] {
            assert_eq!(verdict(status, code), Verdict::Final, "{code}");
        }
    }

    #[test]
    fn delays_double_up_to_the_longest_and_are_never_longer() {
        let transfer = TransferSettings {
            retry_delay: Duration::from_millis(100),
            retry_max_delay: Duration::from_millis(1000),
            ..TransferSettings::default()
        };
        let longest = |attempts| (0..500).map(|_| backoff(&transfer, attempts, false)).max().unwrap();
        for (attempts, limit) in [(1, 100), (2, 200), (3, 400), (4, 800), (5, 1000), (40, 1000)] {
            let longest = longest(attempts).as_millis();
            assert!(longest <= limit && longest > limit / 2, "{attempts}: {longest}");
        }
    }

    #[test]
    fn the_budget_is_of_attempts_and_of_time() {
        let mut transfer = TransferSettings { retry_attempts: 3, ..TransferSettings::default() };
        transfer.retry_delay = Duration::from_millis(1);
        let tries = |attempts| Tries::since(Instant::now(), attempts, &transfer);
        assert!(tries(2).delay(Verdict::Passing, None).is_some());
        assert!(tries(3).delay(Verdict::Passing, None).is_none());
        assert!(tries(1).delay(Verdict::Final, None).is_none());
        let hour = Some(Duration::from_secs(3600));
        assert_eq!(tries(1).delay(Verdict::Passing, hour), Some(transfer.retry_max_delay));
        let brief = TransferSettings { retry_timeout: Some(Duration::from_secs(10)), ..transfer.clone() };
        let tries = Tries::since(Instant::now(), 1, &brief);
        assert!(tries.delay(Verdict::Passing, None).is_some());
        assert!(
            tries.delay(Verdict::Passing, hour).is_none(),
            "the wait would be longer than the time that is left"
        );
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("retry-after", text.parse().unwrap());
            retry_after(&headers, now)
        };
        assert_eq!(read("7"), Some(Duration::from_secs(7)));
        assert_eq!(read("Sun, 09 Sep 2001 01:46:50 GMT"), Some(Duration::from_secs(10)));
        assert_eq!(read("Sun, 09 Sep 2001 01:46:30 GMT"), Some(Duration::ZERO));
        assert_eq!(read("soon"), None);
    }
}

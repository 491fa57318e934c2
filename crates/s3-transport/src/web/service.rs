//! One request to a web server: who sends it, and where it is sent on to.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use object_store::HeaderValue;
use object_store::client::{HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService};
use reqwest::header::{AUTHORIZATION, COOKIE, LOCATION};
use reqwest::{Client, Method, StatusCode, Url};

use super::upload::{Addition, send_streamed};

/// Places that one request may be sent on to, one after another.
const MOST_REDIRECTS: usize = 10;

/// Why a redirect is not followed.
#[derive(Debug, thiserror::Error)]
enum RedirectError {
    #[error("'{from}' leads to '{to}', which is no place for a request")]
    NoPlace { from: String, to: String },
    #[error("'{from}' leads to '{to}', which is not encrypted")]
    Downgrade { from: String, to: String },
    #[error("more than {MOST_REDIRECTS} redirects, the last to '{to}'")]
    TooMany { to: String },
}

/// Sends requests to a cache's own server with its credentials, and to whom that sends them on without.
#[derive(Clone)]
pub(super) struct Service {
    pub(super) clients: Clients,
    /// For bodies that are streamed: these have no limit of their own to the time until an answer.
    pub(super) uploads: Clients,
    /// How long a streamed body may stand still.
    pub(super) stall: Option<Duration>,
    /// Scheme, host and port of the cache.
    pub(super) origin: Origin,
    pub(super) authorization: Option<HeaderValue>,
    /// Where all requests go, whatever their own URL: object_store has no words for a query.
    pub(super) only: Option<Url>,
}

/// Who talks to whom.
#[derive(Clone)]
pub(super) struct Clients {
    /// To the cache's own server. Has the client certificate, if there is one.
    pub(super) own: Client,
    pub(super) others: Client,
}

impl Clients {
    fn of(&self, own: bool) -> &Client {
        if own { &self.own } else { &self.others }
    }
}

/// What has to be equal for credentials to go along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

impl Origin {
    pub(super) fn of(url: &Url) -> Self {
        Self {
            scheme: url.scheme().to_owned(),
            host: url.host_str().unwrap_or_default().to_ascii_lowercase(),
            port: url.port_or_known_default(),
        }
    }
}

impl Service {
    async fn send(
        &self,
        request: &HttpRequest,
        url: &Url,
        addition: &Addition,
    ) -> Result<HttpResponse, HttpError> {
        let mut request = request.clone();
        let uri = url.as_str().parse();
        *request.uri_mut() = uri.map_err(|error| HttpError::new(HttpErrorKind::Request, error))?;
        let own = Origin::of(url) == self.origin;
        let headers = request.headers_mut();
        headers.remove(AUTHORIZATION);
        headers.remove(COOKIE);
        if own && let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        headers.extend(addition.header());
        match &addition.body {
            Some(body) => send_streamed(self.uploads.of(own), request, url.clone(), body, self.stall).await,
            None => self.clients.of(own).call(request).await,
        }
    }
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let failed = |error: RedirectError| HttpError::new(HttpErrorKind::Request, error);
        let mut url = match &self.only {
            Some(url) => url.clone(),
            None => Url::parse(&request.uri().to_string())
                .map_err(|error| HttpError::new(HttpErrorKind::Request, error))?,
        };
        let addition = Addition::of(&request);
        for _ in 0..=MOST_REDIRECTS {
            let response = self.send(&request, &url, &addition).await?;
            addition.check(&response)?;
            let Some(next) = next(request.method(), &url, &response).map_err(failed)? else {
                return Ok(response);
            };
            tracing::debug!(from = shown(&url), to = shown(&next), "redirected");
            url = next;
        }
        Err(failed(RedirectError::TooMany { to: shown(&url) }))
    }
}

/// Where a response sends the request on to, if it does.
fn next(method: &Method, from: &Url, response: &HttpResponse) -> Result<Option<Url>, RedirectError> {
    let follows = match response.status() {
        // Whoever sends a body would send another request than the one that was to be made.
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER => {
            *method == Method::GET || *method == Method::HEAD
        }
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
        _ => false,
    };
    let Some(location) = response.headers().get(LOCATION).filter(|_| follows) else { return Ok(None) };
    let text = String::from_utf8_lossy(location.as_bytes()).into_owned();
    let no_place = || RedirectError::NoPlace { from: shown(from), to: shown_text(&text).to_owned() };
    let mut to = from.join(&text).map_err(|_| no_place())?;
    // What the server wants to be told there is not ours to tell, and would stand in messages.
    if to.set_username("").and_then(|()| to.set_password(None)).is_err() || !to.has_host() {
        return Err(no_place());
    }
    match (from.scheme(), to.scheme()) {
        (_, "https") | ("http", "http") => Ok(Some(to)),
        ("https", "http") => Err(RedirectError::Downgrade { from: shown(from), to: shown(&to) }),
        _ => Err(no_place()),
    }
}

/// As `shown`, of a text that need not be a URL.
fn shown_text(text: &str) -> &str {
    let text = text.split(['?', '#']).next().unwrap_or(text);
    text.rsplit_once('@').map_or(text, |(_, rest)| rest)
}

/// A URL as messages show it: what stands behind `?` may be a signature.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.to_string()
}

impl fmt::Debug for Service {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Service").field("origin", &self.origin).finish_non_exhaustive()
    }
}

//! Takes the place of `hyper-tls`: the one type that `rusoto_core` names, and no TLS. Every connection is refused.

use std::future::{Ready, ready};
use std::io;
use std::marker::PhantomData;
use std::task::{Context, Poll};

use hyper::Uri;
use hyper::client::HttpConnector;
use hyper::service::Service;
use tokio::net::TcpStream;

/// A connector that refuses to connect.
#[derive(Clone, Debug)]
pub struct HttpsConnector<T>(PhantomData<T>);

impl HttpsConnector<HttpConnector> {
    /// The connector.
    #[allow(clippy::new_without_default, reason = "rusoto_core asks for no more")]
    pub fn new() -> Self {
        HttpsConnector(PhantomData)
    }
}

impl<T> Service<Uri> for HttpsConnector<T> {
    type Response = TcpStream;
    type Error = io::Error;
    type Future = Ready<io::Result<TcpStream>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "this program's rusoto has no HTTP client of its own: give it a dispatcher",
        )))
    }
}

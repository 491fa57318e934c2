//! An HTTP server that says what a test tells it to, and remembers what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Whether a client certificate was shown on its connection.
    pub(crate) certified: bool,
}

impl Request {
    /// The value of a header; its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The access key id that signed it.
    pub(crate) fn signed_by(&self) -> Option<&str> {
        let (_, rest) = self.header("authorization")?.split_once("Credential=")?;
        rest.split('/').next()
    }
}

/// What to answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// End the connection after so many bytes of the body.
    cut: Option<usize>,
}

impl Answer {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Answer { status, headers: Vec::new(), body: body.into(), cut: None }
    }

    /// S3's error document.
    pub(crate) fn error(status: u16, code: &str) -> Self {
        let xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>words</Message></Error>"
        );
        Answer::new(status, xml).with("x-amz-request-id", "REQUEST1")
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn cut_after(mut self, bytes: usize) -> Self {
        self.cut = Some(bytes);
        self
    }
}

/// A running server. Its threads end with the process.
pub(crate) struct Scripted {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

type Script = dyn Fn(&Request) -> Answer + Send + Sync;

impl Scripted {
    /// Starts a server on a loopback port.
    pub(crate) fn start(script: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_with(None, script)
    }

    /// Starts a server that speaks TLS.
    pub(crate) fn start_tls(
        config: ServerConfig,
        script: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::start_with(Some(Arc::new(config)), script)
    }

    fn start_with(
        tls: Option<Arc<ServerConfig>>,
        script: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (script, log): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&requests));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (script, log, tls) = (Arc::clone(&script), Arc::clone(&log), tls.clone());
                thread::spawn(move || match tls {
                    None => serve(&stream, &stream, &*script, &log),
                    Some(config) => serve_tls(stream, config, &*script, &log),
                });
            }
        });
        Scripted { address, requests }
    }

    /// The endpoint, as a URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn serve_tls(stream: TcpStream, config: Arc<ServerConfig>, script: &Script, log: &Mutex<Vec<Request>>) {
    let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
    let mut reader = BufReader::new(&mut stream);
    if let Some(mut request) = read(&mut reader) {
        request.certified = stream.conn.peer_certificates().is_some();
        log.lock().unwrap().push(request.clone());
        let _ = answer(&mut stream, &request, &script(&request).with("connection", "close"));
        stream.conn.send_close_notify();
        let _ = stream.flush();
    }
}

fn serve(input: impl Read, mut output: impl Write, script: &Script, log: &Mutex<Vec<Request>>) {
    let mut reader = BufReader::new(input);
    while let Some(request) = read(&mut reader) {
        log.lock().unwrap().push(request.clone());
        if !answer(&mut output, &request, &script(&request)).unwrap_or(false) {
            break;
        }
    }
}

/// The next request; none at the end of the connection.
fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request { method, target, headers, body: Vec::new(), certified: false };
    let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    request.body.resize(length, 0);
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}

/// Sends an answer; false when the connection is to end.
fn answer(output: &mut impl Write, request: &Request, answer: &Answer) -> std::io::Result<bool> {
    write!(output, "HTTP/1.1 {} x\r\n", answer.status)?;
    for (name, value) in &answer.headers {
        write!(output, "{name}: {value}\r\n")?;
    }
    if !answer.headers.iter().any(|(name, _)| name == "content-length") {
        write!(output, "content-length: {}\r\n", answer.body.len())?;
    }
    output.write_all(b"\r\n")?;
    if request.method != "HEAD" {
        let end = answer.cut.unwrap_or(answer.body.len());
        output.write_all(&answer.body[..end])?;
    }
    output.flush()?;
    Ok(answer.cut.is_none())
}

//! Just enough HTTP/1.1 to take whole requests and whole answers apart and put them together again.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use super::Answer;

/// Headers in their order, names in lower case.
pub(super) type Headers = Vec<(String, String)>;

/// A request as the client sent it.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, `PUT`, …
    pub method: String,
    /// Path and query.
    pub target: String,
    pub(super) headers: Headers,
    pub(super) length: usize,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// Reads the head of the next request; none at the end of the connection.
    pub(super) fn read_head(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Self>> {
        let Some((line, headers)) = read_head(reader)? else { return Ok(None) };
        let mut words = line.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let length = header(&headers, "content-length").and_then(|it| it.parse().ok()).unwrap_or(0);
        let (method, target) = (method.to_owned(), target.to_owned());
        Ok(Some(Self { method, target, headers, length, body: Vec::new() }))
    }

    pub(super) fn read_body(&mut self, reader: &mut impl Read) -> io::Result<()> {
        self.body = vec![0; self.length];
        reader.read_exact(&mut self.body)
    }

    /// The value of a header; its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// Whether it reads an object, or a part of one.
    #[must_use]
    pub fn gets(&self) -> bool {
        self.method == "GET" && !self.target.contains('?')
    }

    /// Whether it lists a bucket.
    #[must_use]
    pub fn lists(&self) -> bool {
        self.method == "GET" && self.target.contains("list-type=2")
    }

    /// Whether it writes an object at once.
    #[must_use]
    pub fn puts(&self) -> bool {
        self.method == "PUT" && !self.target.contains('?') && self.header("x-amz-copy-source").is_none()
    }

    /// Whether it begins an upload in parts.
    #[must_use]
    pub fn begins(&self) -> bool {
        self.method == "POST" && self.target.contains("?uploads")
    }

    /// Whether it sends a part.
    #[must_use]
    pub fn sends_part(&self) -> bool {
        self.method == "PUT" && self.target.contains("partNumber=")
    }

    /// Whether it takes an upload in parts back.
    #[must_use]
    pub fn aborts(&self) -> bool {
        self.method == "DELETE" && self.target.contains("uploadId=")
    }

    /// Whether it makes an object of parts.
    #[must_use]
    pub fn completes(&self) -> bool {
        self.method == "POST" && self.target.contains("uploadId=")
    }

    /// Sends it on, and reads the answer.
    pub(super) fn forward(&self, server: &str) -> io::Result<Answered> {
        let mut stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in self.headers.iter().filter(|(name, _)| name != "connection") {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("connection: close\r\n\r\n");
        stream.write_all(head.as_bytes())?;
        // A server that refuses may close before it has read everything; what it said still counts.
        let _ = stream.write_all(&self.body);
        Answered::read(&mut BufReader::new(stream), self.method == "HEAD")
    }
}

/// An answer as a server gave it.
#[derive(Clone, Debug)]
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) headers: Headers,
    pub(super) body: Vec<u8>,
}

impl Answered {
    fn read(reader: &mut BufReader<TcpStream>, bodiless: bool) -> io::Result<Self> {
        let early = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let (line, mut headers) = read_head(reader)?.ok_or_else(early)?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(early)?;
        let mut body = Vec::new();
        if bodiless || matches!(status, 204 | 304) {
        } else if header(&headers, "transfer-encoding").is_some() {
            body = read_chunks(reader)?;
            headers.retain(|(name, _)| name != "transfer-encoding");
        } else if let Some(length) = header(&headers, "content-length").and_then(|it| it.parse().ok()) {
            body = vec![0; length];
            reader.read_exact(&mut body)?;
        } else {
            reader.read_to_end(&mut body)?;
        }
        headers.retain(|(name, _)| name != "connection" && (bodiless || name != "content-length"));
        Ok(Self { status, headers, body })
    }

    pub(super) fn head(&self, announced: usize) -> String {
        let mut head = format!("HTTP/1.1 {} injected\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if header(&self.headers, "content-length").is_none() && !matches!(self.status, 204 | 304) {
            head.push_str(&format!("content-length: {announced}\r\n"));
        }
        head.push_str("\r\n");
        head
    }
}

impl From<Answer> for Answered {
    fn from(answer: Answer) -> Self {
        Self { status: answer.status, headers: answer.headers, body: answer.body }
    }
}

fn header<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn read_head(reader: &mut impl BufRead) -> io::Result<Option<(String, Headers)>> {
    let mut first = String::new();
    if reader.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    Ok(Some((first.trim_end().to_owned(), headers)))
}

fn read_chunks(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim().split(';').next().unwrap_or_default(), 16);
        let size = size.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let start = body.len();
        body.resize(start + size, 0);
        reader.read_exact(body.get_mut(start..).unwrap_or_default())?;
        reader.read_line(&mut line)?;
        if size == 0 {
            return Ok(body);
        }
    }
}

//! HTTP/1.1 on a bare socket: one request at a time over a kept-alive connection, no allocation per request once the
//! buffers have grown. A general client would cost more CPU than the server under test on a machine that they share.

use std::io::{self, ErrorKind, Write as _};
use std::net::{SocketAddr, ToSocketAddrs};
use std::ops::Range;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest wait for an answer: beyond it the request counts as failed and the connection is given up.
pub const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);
/// Most headers of an answer that are looked at; more is not a server we know.
const HEADERS_MAX: usize = 64;
/// Largest answer: a search over a whole day is some hundred KiB.
const ANSWER_BYTES_MAX: usize = 32 << 20;

/// A server: `http://HOST:PORT`, without TLS.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    pub addr: SocketAddr,
    /// For the `Host` header.
    pub host: String,
}

impl Target {
    /// Parses and resolves `http://HOST[:PORT]`.
    pub fn parse(url: &str) -> anyhow::Result<Target> {
        let Some(host) = url.trim().strip_prefix("http://") else { bail!("{url:?} does not begin with http://") };
        let host = host.strip_suffix('/').unwrap_or(host);
        if host.is_empty() || host.contains('/') {
            bail!("{url:?} is not http://HOST:PORT");
        }
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let authority = if has_port { host.to_owned() } else { format!("{host}:80") };
        let addr = authority.to_socket_addrs().with_context(|| format!("resolving {host}"))?.next();
        Ok(Target { addr: addr.with_context(|| format!("{host} has no address"))?, host: host.to_owned() })
    }

    /// The same host on a port `offset` higher: where the WeChat simulator listens.
    pub fn port_above(&self, offset: u16) -> anyhow::Result<Target> {
        let port = self.addr.port().checked_add(offset).context("no port above the server's")?;
        let addr = SocketAddr::new(self.addr.ip(), port);
        Ok(Target { addr, host: addr.to_string() })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.host)
    }
}

/// What a request is written into, used again and again.
#[derive(Default, Debug)]
pub struct RequestBuffer {
    /// The body is written here first: its length stands in the head.
    pub body: Vec<u8>,
    bytes: Vec<u8>,
}

/// The head of a request.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    pub method: &'a str,
    /// Path and query.
    pub path: &'a str,
    pub token: Option<&'a str>,
    pub headers: &'a [(&'a str, &'a str)],
}

impl RequestBuffer {
    /// Completes the request with what `body` holds; an empty body is none, unless the method is POST.
    pub fn finish(&mut self, target: &Target, head: &Head<'_>) {
        let out = &mut self.bytes;
        out.clear();
        for part in [head.method, " ", head.path, " HTTP/1.1\r\nhost: ", &target.host] {
            out.extend_from_slice(part.as_bytes());
        }
        if let Some(token) = head.token {
            out.extend_from_slice(b"\r\nauthorization: Bearer ");
            out.extend_from_slice(token.as_bytes());
        }
        for (name, value) in head.headers {
            for part in ["\r\n", name, ": ", value] {
                out.extend_from_slice(part.as_bytes());
            }
        }
        if !self.body.is_empty() {
            out.extend_from_slice(b"\r\ncontent-type: application/json");
        }
        if !self.body.is_empty() || head.method == "POST" {
            // Writing to a Vec cannot fail.
            let _ = write!(out, "\r\ncontent-length: {}", self.body.len());
        }
        out.extend_from_slice(b"\r\n\r\n");
        out.extend_from_slice(&self.body);
    }

    /// The finished request.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Status and body of an answer; the body lives in the connection's buffer.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    pub status: u16,
    pub body: &'a [u8],
}

/// A connection that opens itself when it is needed and after a failure.
#[derive(Debug)]
pub struct Connection {
    target: Target,
    stream: Option<TcpStream>,
    input: Vec<u8>,
    /// The body of a chunked answer, put together.
    joined: Vec<u8>,
}

/// A parsed head: how the body comes.
struct Framing {
    status: u16,
    head_bytes: usize,
    length: Option<usize>,
    chunked: bool,
    close: bool,
}

impl Connection {
    /// Opens nothing yet.
    pub fn new(target: Target) -> Connection {
        Connection { target, stream: None, input: Vec::with_capacity(4096), joined: Vec::new() }
    }

    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Opens the connection unless it is open.
    pub async fn open(&mut self) -> io::Result<()> {
        // The server closes connections that were idle for long: that is seen here, before a request is lost to it.
        if let Some(stream) = &self.stream
            && matches!(stream.try_read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
        {
            return Ok(());
        }
        let stream = TcpStream::connect(self.target.addr).await?;
        stream.set_nodelay(true)?;
        // Closed at once and without a trace: ten thousand that each keep a port for a minute would leave none for the
        // next server. Nothing is ever under way when one is closed.
        stream.set_zero_linger()?;
        self.stream = Some(stream);
        Ok(())
    }

    /// Sends a finished request and reads its answer, at most [`ANSWER_TIME_MAX`]. After an error the connection
    /// opens anew, and whether the request was carried out is not known.
    pub async fn exchange(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        self.open().await?;
        let Some(mut stream) = self.stream.take() else { return Err(ErrorKind::NotConnected.into()) };
        let exchange = Self::transfer(&mut stream, request, &mut self.input, &mut self.joined);
        let timed = tokio::time::timeout(ANSWER_TIME_MAX, exchange).await;
        let (framing, body) = timed.map_err(|_| io::Error::from(ErrorKind::TimedOut))??;
        if !framing.close {
            self.stream = Some(stream);
        }
        let body = match body {
            Some(range) => self.input.get(range).unwrap_or_default(),
            None => &self.joined,
        };
        Ok(Answer { status: framing.status, body })
    }

    /// Where the body is in `input`; `None`: it was put together in `joined`.
    async fn transfer(
        stream: &mut TcpStream,
        request: &[u8],
        input: &mut Vec<u8>,
        joined: &mut Vec<u8>,
    ) -> io::Result<(Framing, Option<Range<usize>>)> {
        input.clear();
        stream.write_all(request).await?;
        let framing = loop {
            more(stream, input).await?;
            if let Some(framing) = parse_head(input)? {
                break framing;
            }
        };
        let begin = framing.head_bytes;
        if framing.chunked {
            joined.clear();
            let mut at = begin;
            while !take_chunks(input, &mut at, joined)? {
                more(stream, input).await?;
            }
            return Ok((framing, None));
        }
        let end = begin + framing.length.unwrap_or(0);
        if end > ANSWER_BYTES_MAX {
            return Err(invalid("the answer is too large"));
        }
        while input.len() < end {
            more(stream, input).await?;
        }
        Ok((framing, Some(begin..end)))
    }
}

async fn more(stream: &mut TcpStream, input: &mut Vec<u8>) -> io::Result<()> {
    if input.len() > ANSWER_BYTES_MAX {
        return Err(invalid("the answer is too large"));
    }
    input.reserve(4096);
    match stream.read_buf(input).await? {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

fn invalid(message: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, message)
}

fn parse_head(input: &[u8]) -> io::Result<Option<Framing>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let head_bytes = match response.parse(input) {
        Ok(httparse::Status::Complete(head_bytes)) => head_bytes,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(io::Error::new(ErrorKind::InvalidData, error)),
    };
    let status = response.code.unwrap_or(0);
    let mut framing = Framing { status, head_bytes, length: None, chunked: false, close: response.version == Some(0) };
    for header in response.headers.iter() {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        let value = std::str::from_utf8(header.value).unwrap_or_default().trim();
        if is("content-length") {
            framing.length = Some(value.parse().map_err(|_| invalid("content-length is no number"))?);
        } else if is("transfer-encoding") {
            framing.chunked = value.eq_ignore_ascii_case("chunked");
        } else if is("connection") && value.eq_ignore_ascii_case("close") {
            framing.close = true;
        }
    }
    let has_no_body = status == 204 || status == 304;
    if framing.length.is_none() && !framing.chunked && !has_no_body {
        return Err(invalid("an answer without a length"));
    }
    Ok(Some(framing))
}

/// Appends whole chunks from `at` on to `joined`; whether the last one has come.
fn take_chunks(input: &[u8], at: &mut usize, joined: &mut Vec<u8>) -> io::Result<bool> {
    loop {
        let rest = input.get(*at..).unwrap_or_default();
        let Ok(size) = httparse::parse_chunk_size(rest) else { return Err(invalid("a chunk without a size")) };
        let httparse::Status::Complete((line, size)) = size else { return Ok(false) };
        let size = usize::try_from(size).map_err(|_| invalid("the answer is too large"))?;
        if size > ANSWER_BYTES_MAX {
            return Err(invalid("the answer is too large"));
        }
        // The data and the line end after it. Trailers are not expected: the last chunk ends with an empty line.
        let Some(data) = rest.get(line..line + size + 2) else { return Ok(false) };
        joined.extend_from_slice(data.get(..size).unwrap_or_default());
        *at += line + size + 2;
        if size == 0 {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_host_and_port() {
        let target = Target::parse("http://127.0.0.1:8080/").unwrap();
        assert_eq!((target.addr.port(), target.host.as_str()), (8080, "127.0.0.1:8080"));
        assert_eq!(target.port_above(1).unwrap().url(), "http://127.0.0.1:8081");
        assert_eq!(Target::parse("http://127.0.0.1").unwrap().addr.port(), 80);
        for bad in ["https://127.0.0.1:1", "127.0.0.1:1", "http://", "http://127.0.0.1:1/path"] {
            assert!(Target::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_request_says_its_length_only_when_it_has_one() {
        let target = Target::parse("http://127.0.0.1:8080").unwrap();
        let mut request = RequestBuffer::default();
        request.finish(&target, &Head { method: "GET", path: "/a?b=c", token: Some("t"), headers: &[("x-y", "z")] });
        let expected = "GET /a?b=c HTTP/1.1\r\nhost: 127.0.0.1:8080\r\nauthorization: Bearer t\r\nx-y: z\r\n\r\n";
        assert_eq!(request.bytes(), expected.as_bytes());

        request.body.extend_from_slice(b"{}");
        request.finish(&target, &Head { method: "POST", path: "/", token: None, headers: &[] });
        assert!(request.bytes().ends_with(b"\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"));
    }

    #[test]
    fn a_head_is_read_when_it_is_whole() {
        let answer = b"HTTP/1.1 409 Conflict\r\nContent-Length: 12\r\nconnection: close\r\n\r\n";
        assert!(parse_head(&answer[..answer.len() - 1]).unwrap().is_none());
        let framing = parse_head(answer).unwrap().unwrap();
        assert_eq!((framing.status, framing.length, framing.close), (409, Some(12), true));
        assert!(parse_head(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(parse_head(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap().is_some());
    }

    #[test]
    fn chunks_are_joined_however_they_arrive() {
        let whole = b"4\r\nabcd\r\n3\r\nefg\r\n0\r\n\r\n";
        let (mut at, mut joined) = (0, Vec::new());
        for arrived in 0..whole.len() {
            assert!(!take_chunks(&whole[..arrived], &mut at, &mut joined).unwrap(), "{arrived} bytes");
        }
        assert!(take_chunks(whole, &mut at, &mut joined).unwrap());
        assert_eq!(joined, b"abcdefg");
    }
}

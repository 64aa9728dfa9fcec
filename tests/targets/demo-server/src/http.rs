//! As much of HTTP/1.1 as the demo needs: request line, headers, Content-Length, keep-alive.

use std::io::{Error, ErrorKind, Result};

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const MAX_LINE: u64 = 8 << 10;
const MAX_HEADERS: usize = 100;
const MAX_BODY: usize = 8 << 20;

pub struct Request {
    pub method: String,
    pub path: String,
    pub keep_alive: bool,
    pub body: Vec<u8>,
}

pub struct Reply {
    status: u16,
    body: String,
}

impl Reply {
    pub fn new(status: u16, body: String) -> Self {
        Reply { status, body }
    }
}

/// `None` when the client has closed the connection between two requests.
pub async fn read_request<S: AsyncBufRead + Unpin>(stream: &mut S) -> Result<Option<Request>> {
    let Some(first) = read_line(stream).await? else {
        return Ok(None);
    };
    let mut words = first.split(' ');
    let (Some(method), Some(target), Some(version)) = (words.next(), words.next(), words.next())
    else {
        return Err(malformed("request line"));
    };
    let path = target.split('?').next().unwrap_or_default().to_string();
    let method = method.to_string();
    let mut keep_alive = version == "HTTP/1.1";
    let mut length = 0;
    for _ in 0..MAX_HEADERS {
        let line = read_line(stream).await?.ok_or(ErrorKind::UnexpectedEof)?;
        if line.is_empty() {
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await?;
            return Ok(Some(Request { method, path, keep_alive, body }));
        }
        let (name, value) = line.split_once(':').ok_or_else(|| malformed("header"))?;
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = body_length(value.trim())?,
            "connection" => keep_alive = !value.trim().eq_ignore_ascii_case("close"),
            "transfer-encoding" => return Err(malformed("transfer encoding")),
            _ => {}
        }
    }
    Err(malformed("number of headers"))
}

pub async fn write_reply<S>(stream: &mut S, reply: &Reply, keep_alive: bool) -> Result<()>
where
    S: AsyncWrite + Unpin,
{
    let reason = match reply.status {
        200 => "OK",
        404 => "Not Found",
        405 => "Method Not Allowed",
        _ => "Bad Request",
    };
    let connection = if keep_alive { "keep-alive" } else { "close" };
    let head = format!(
        "HTTP/1.1 {} {reason}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\
         Connection: {connection}\r\n\r\n{}",
        reply.status,
        reply.body.len(),
        reply.body
    );
    stream.write_all(head.as_bytes()).await
}

/// One line without its end; `None` at the end of the stream.
async fn read_line<S: AsyncBufRead + Unpin>(stream: &mut S) -> Result<Option<String>> {
    let mut line = Vec::new();
    stream.take(MAX_LINE).read_until(b'\n', &mut line).await?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.pop() != Some(b'\n') {
        return Err(malformed("line"));
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    String::from_utf8(line).map(Some).map_err(|_| malformed("line"))
}

fn body_length(value: &str) -> Result<usize> {
    match value.parse() {
        Ok(length) if length <= MAX_BODY => Ok(length),
        _ => Err(malformed("content length")),
    }
}

fn malformed(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("malformed {what}"))
}

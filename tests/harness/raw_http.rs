//! HTTP by hand, for requests that no decent client would send: half bodies, huge bodies, an early answer while sending.

use std::io;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A request's body.
#[derive(Debug, Clone)]
pub enum Body {
    /// These bytes.
    Bytes(Bytes),
    /// This many spaces, announced by `Content-Length`.
    Long(usize),
    /// This many spaces in chunks, announced by nothing.
    Chunked(usize),
}

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    /// Method and path, for example `POST /v1/jobs`.
    pub target: String,
    /// Header lines without line ends.
    pub headers: Vec<String>,
    /// Its body.
    pub body: Body,
}

/// Status and body of an answer.
pub type Answer = (u16, String);

/// Sends `request` on a connection of its own, reading while it writes: a server may answer before it has heard all.
///
/// # Errors
/// When the connection ends before a whole answer.
pub async fn send(address: &str, request: &Request) -> io::Result<Answer> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut reader, mut writer) = stream.into_split();
    let sending = async {
        // A server that has answered may hang up on the rest: its answer is what counts.
        let _ = write(&mut writer, request).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        answer = read(&mut reader) => answer,
        () = sending => unreachable!("it never ends"),
    }
}

async fn write(writer: &mut (impl AsyncWriteExt + Unpin), request: &Request) -> io::Result<()> {
    let mut head = format!("{} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n", request.target);
    for line in &request.headers {
        head.push_str(line);
        head.push_str("\r\n");
    }
    let blank = vec![b' '; 64 << 10];
    match &request.body {
        Body::Bytes(bytes) => {
            head.push_str(&format!("content-length: {}\r\n\r\n", bytes.len()));
            writer.write_all(head.as_bytes()).await?;
            writer.write_all(bytes).await
        }
        Body::Long(length) => {
            head.push_str(&format!("content-length: {length}\r\n\r\n"));
            writer.write_all(head.as_bytes()).await?;
            for _ in 0..length.div_ceil(blank.len()) {
                writer.write_all(&blank).await?;
            }
            Ok(())
        }
        Body::Chunked(length) => {
            head.push_str("transfer-encoding: chunked\r\n\r\n");
            writer.write_all(head.as_bytes()).await?;
            for _ in 0..length.div_ceil(blank.len()) {
                writer.write_all(format!("{:x}\r\n", blank.len()).as_bytes()).await?;
                writer.write_all(&blank).await?;
                writer.write_all(b"\r\n").await?;
            }
            writer.write_all(b"0\r\n\r\n").await
        }
    }
}

async fn read(reader: &mut (impl AsyncReadExt + Unpin)) -> io::Result<Answer> {
    let mut bytes = Vec::new();
    loop {
        if let Some(answer) = whole(&bytes) {
            return Ok(answer);
        }
        if reader.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// The answer, once all of it is there. Servers here send `Content-Length` with every error.
fn whole(bytes: &[u8]) -> Option<Answer> {
    let head_end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..head_end]).to_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length: usize = head.lines().find_map(|line| line.strip_prefix("content-length: "))?.trim().parse().ok()?;
    let body = bytes.get(head_end + 4..head_end + 4 + length)?;
    Some((status, String::from_utf8_lossy(body).into_owned()))
}

//! Pages, asked for as stock clients ask: HTTP/1.1 over TCP.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use crate::farm::PATIENCE;

/// What there is at a path; it is asked for again until all of it has come.
pub(crate) fn get(address: &str, path: &str) -> anyhow::Result<Vec<u8>> {
    let begun = Instant::now();
    loop {
        match once(address, path) {
            Ok(Some(body)) => return Ok(body),
            Ok(None) => bail!("there is no {path}"),
            Err(error) if begun.elapsed() > PATIENCE => return Err(error),
            // It is not there, was killed while it answered, or says that it cannot now.
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// What there is at a path; none if nothing is there.
fn once(address: &str, path: &str) -> anyhow::Result<Option<Vec<u8>>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: farm\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n");
    let end = end.context("the answer has no end of its head")?;
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    if head.starts_with("http/1.1 404") {
        return Ok(None);
    }
    ensure!(head.starts_with("http/1.1 200"), "{path}: {head}");
    let body = &answer[end + 4..];
    if head.contains("transfer-encoding: chunked") {
        return Ok(Some(unchunked(body)?));
    }
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.context("the answer has no length")?.parse()?;
    ensure!(body.len() == length, "{path} broke off");
    Ok(Some(body.to_vec()))
}

/// RFC 9112, 7.1.
fn unchunked(mut body: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let end = body.windows(2).position(|it| it == b"\r\n");
        let end = end.context("a chunk broke off")?;
        let size = usize::from_str_radix(std::str::from_utf8(&body[..end])?.trim(), 16)?;
        let chunk = body.get(end + 2..end + 2 + size);
        whole.extend_from_slice(chunk.context("a chunk broke off")?);
        if size == 0 {
            return Ok(whole);
        }
        body = body.get(end + 4 + size..).context("a chunk broke off")?;
    }
}

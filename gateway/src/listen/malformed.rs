//! Responses to malformed requests: hyper sends them itself, without a body. Here they get one, so that every error is
//! JSON.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The responses, as hyper begins them, and the text in the body of each. No dialect is asked, so there is the name under
/// which each looks for a text.
const RESPONSES: [(&[u8], &str); 2] = [
    (b" 400 Bad Request\r\n", "Bad Request"),
    (
        b" 431 Request Header Fields Too Large\r\n",
        "Request Header Fields Too Large",
    ),
];

const VERSIONS: [&[u8]; 2] = [b"HTTP/1.1", b"HTTP/1.0"];

/// What shows that it is hyper's: ours have a body.
const NO_BODY: &[u8] = b"\r\ncontent-length: 0\r\n";

/// What ends a head.
const END: &[u8] = b"\r\n\r\n";

/// A connection that completes such answers as they are written.
pub(super) struct JsonErrors<T> {
    inner: T,
    /// What is written next, instead of an answer that was taken for written.
    completed: Vec<u8>,
}

impl<T> JsonErrors<T> {
    pub(super) const fn new(inner: T) -> Self {
        Self {
            inner,
            completed: Vec::new(),
        }
    }
}

/// The bytes with a body for the answer at their end, if that is one of hyper's.
fn complete(bytes: &[u8]) -> Option<Vec<u8>> {
    if !bytes.ends_with(END) {
        return None;
    }
    let begin = bytes.len() - bytes.windows(8).rev().position(|text| VERSIONS.contains(&text))? - 8;
    let (before, head) = bytes.split_at(begin);
    let (version, rest) = head.split_at(8);
    let (_, text) = RESPONSES
        .into_iter()
        .find(|(status, _)| rest.starts_with(status))?;
    let length = rest.windows(NO_BODY.len()).position(|line| line == NO_BODY)?;
    let body = format!(r#"{{"detail":"{text}","message":"{text}"}}"#);
    let headers = format!(
        "\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
        body.len()
    );
    Some(
        [
            before,
            version,
            &rest[..length],
            headers.as_bytes(),
            &rest[length + NO_BODY.len()..],
            body.as_bytes(),
        ]
        .concat(),
    )
}

impl<T: AsyncWrite + Unpin> JsonErrors<T> {
    fn poll_completed(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.completed.is_empty() {
            let written = ready!(Pin::new(&mut self.inner).poll_write(context, &self.completed))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.completed.drain(..written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for JsonErrors<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for JsonErrors<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_completed(context))?;
        match complete(bytes) {
            Some(completed) => {
                self.completed = completed;
                Poll::Ready(Ok(bytes.len()))
            }
            None => Pin::new(&mut self.inner).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_completed(context))?;
        let last = slices.iter().rev().find(|slice| !slice.is_empty());
        if last.is_some_and(|slice| complete(slice).is_some()) {
            let bytes = slices.iter().flat_map(|slice| slice.iter().copied());
            let bytes: Vec<u8> = bytes.collect();
            self.completed = complete(&bytes).unwrap_or_default();
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.inner).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_completed(context))?;
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_completed(context))?;
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_hyper_says_by_itself_gets_a_body() {
        let head = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\ndate: x\r\n\r\n";
        let completed = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: application/json\r\n\
                         content-length: 48\r\ndate: x\r\n\r\n\
                         {\"detail\":\"Bad Request\",\"message\":\"Bad Request\"}";
        let completed_text =
            |text: &str| complete(text.as_bytes()).map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(completed_text(head).as_deref(), Some(completed));
        let before = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(
            completed_text(&format!("{before}{head}")).unwrap(),
            format!("{before}{completed}")
        );
        for other in [
            "",
            "\r\n\r\n",
            before,
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 7\r\n\r\n",
            "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 307 Temporary Redirect\r\ncontent-length: 0\r\n\r\n",
        ] {
            assert_eq!(completed_text(other), None, "{other}");
        }
    }
}

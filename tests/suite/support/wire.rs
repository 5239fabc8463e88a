//! HTTP/1.1 by hand, where it matters what exactly is sent and on which connection.

use std::net::{IpAddr, SocketAddr};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpSocket, TcpStream},
};

pub(crate) struct Wire {
    stream: BufReader<TcpStream>,
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body, by its length.
    pub body: Vec<u8>,
}

impl Reply {
    /// Of the first header with this name, in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

impl Wire {
    pub(crate) async fn open(addr: SocketAddr) -> Self {
        Self::over(TcpStream::connect(addr).await.unwrap())
    }

    /// From another address of this machine.
    pub(crate) async fn open_from(from: IpAddr, addr: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(from, 0)).unwrap();
        Self::over(socket.connect(addr).await.unwrap())
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self {
            stream: BufReader::new(stream),
        }
    }

    /// Sends bytes as they are. False: the other side has closed the connection.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok() && self.stream.flush().await.is_ok()
    }

    /// Sends a POST with a body and reads the reply.
    pub(crate) async fn post(&mut self, path: &str, content_type: &str, body: &[u8]) -> Option<Reply> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: test\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let mut request = head.into_bytes();
        request.extend_from_slice(body);
        self.send(&request).await;
        self.reply().await
    }

    /// The next reply, one with a body. None: the connection was closed before a whole one came.
    pub(crate) async fn reply(&mut self) -> Option<Reply> {
        let mut reply = self.head().await?;
        let length = reply.header("content-length")?.parse().ok()?;
        reply.body.resize(length, 0);
        self.stream.read_exact(&mut reply.body).await.ok()?;
        Some(reply)
    }

    /// The next reply, with a body if its headers announce one. None: the connection was closed before a whole one came.
    pub(crate) async fn any_reply(&mut self) -> Option<Reply> {
        let mut reply = self.head().await?;
        let length = reply
            .header("content-length")
            .and_then(|length| length.parse().ok());
        reply.body.resize(length.unwrap_or_default(), 0);
        self.stream.read_exact(&mut reply.body).await.ok()?;
        Some(reply)
    }

    /// The next reply, one without a body whatever its headers say: that to HEAD.
    pub(crate) async fn head(&mut self) -> Option<Reply> {
        let status = self.line().await?.split(' ').nth(1)?.parse().ok()?;
        let mut headers = Vec::new();
        loop {
            let line = self.line().await?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let body = Vec::new();
        Some(Reply {
            status,
            headers,
            body,
        })
    }

    /// Whether the other side has closed the connection and sent nothing more. It waits until one or the other is so.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.stream.fill_buf().await.is_ok_and(<[u8]>::is_empty)
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.stream.read_line(&mut line).await.ok()?;
        (read > 0).then(|| line.trim_end().to_owned())
    }
}

//! Between a connection and its first request: what the client speaks, and who it is.

use std::io;

use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use super::{
    connection::Security,
    tls::{ClientIdentity, Tls},
};

/// What begins a handshake: the type of its record (RFC 8446 §5.1). No method of HTTP begins with it.
const HANDSHAKE: u8 = 22;

/// What becomes of a client that speaks plain HTTP where TLS is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainHttp {
    /// It is sent to the same address with `https`, or told of it where it sends more than a question.
    Redirected,
    /// The connection is closed.
    Closed,
}

/// With TLS, or without.
pub(super) type Stream = Either<Box<TlsStream<TcpStream>>, TcpStream>;

/// TLS with a client, or what takes its place. None: it does not speak TLS, and is not to be answered.
///
/// # Errors
///
/// It has gone away, or the two don't agree.
pub(super) async fn shake_hands(
    stream: TcpStream,
    tls: Tls,
    plain: PlainHttp,
) -> io::Result<Option<(Stream, Security)>> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 {
        return Ok(None);
    }
    if first != [HANDSHAKE] {
        return Ok(match plain {
            PlainHttp::Redirected => Some((Either::Right(stream), Security::Missing)),
            PlainHttp::Closed => None,
        });
    }
    let stream = tls.accept(stream).await?;
    let certificates = stream.get_ref().1.peer_certificates();
    let identity = certificates
        .and_then(<[_]>::first)
        .map(|own| ClientIdentity::of(own));
    Ok(Some((Either::Left(Box::new(stream)), Security::Tls(identity))))
}

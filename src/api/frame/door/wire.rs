//! What the bytes of a connection go over: its socket, or TLS on it.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

/// TLS keeps so many bytes back that the socket does not take. A client that takes as few a second as the door allows has
/// them within the time that it is given when nothing goes on.
const KEPT_BACK_MAX: usize = 32 * 1024;

/// A socket without TLS is used as it is: nothing is paid for TLS there.
pub(super) enum Wire {
    Plain(TcpStream),
    Secure(Box<Tls>),
}

pub(super) enum Tls {
    /// The client has not shaken hands. It does so while its first request is awaited, within the same limit of time.
    Greeting(Accept<TcpStream>),
    Spoken(TlsStream<TcpStream>),
    /// What came was no TLS, or none that we speak.
    Broken,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, tls: Option<&TlsAcceptor>) -> Wire {
        let Some(tls) = tls else { return Wire::Plain(stream) };
        let accept = tls.accept_with(stream, |session| session.set_buffer_limit(Some(KEPT_BACK_MAX)));
        Wire::Secure(Box::new(Tls::Greeting(accept)))
    }

    /// Whether what was written may not have been given to the socket: until it is flushed.
    pub(super) fn keeps_back(&self) -> bool {
        matches!(self, Wire::Secure(_))
    }
}

impl Tls {
    /// The stream, once hands are shaken.
    fn poll_spoken(&mut self, task: &mut Context<'_>) -> Poll<io::Result<Pin<&mut TlsStream<TcpStream>>>> {
        if let Tls::Greeting(accept) = self {
            *self = match ready!(Pin::new(accept).poll(task)) {
                Ok(stream) => Tls::Spoken(stream),
                Err(error) => {
                    tracing::debug!("A client does not speak TLS with us: {error}");
                    *self = Tls::Broken;
                    return Poll::Ready(Err(error));
                }
            };
        }
        match self {
            Tls::Spoken(stream) => Poll::Ready(Ok(Pin::new(stream))),
            Tls::Greeting(_) | Tls::Broken => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_read(&mut self, task: &mut Context<'_>, bytes: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let stream = ready!(self.poll_spoken(task))?;
        stream.poll_read(task, bytes)
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(stream) => Pin::new(stream).poll_read(task, bytes),
            Wire::Secure(tls) => match ready!(tls.poll_read(task, bytes)) {
                // Many clients leave without TLS's own goodbye. Where a request ends its head says.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
                read => Poll::Ready(read),
            },
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Wire::Plain(stream) => Pin::new(stream).poll_write(task, bytes),
            Wire::Secure(tls) => ready!(tls.poll_spoken(task))?.poll_write(task, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(stream) => Pin::new(stream).poll_flush(task),
            Wire::Secure(tls) => match &mut **tls {
                Tls::Spoken(stream) => Pin::new(stream).poll_flush(task),
                // Nothing was said.
                Tls::Greeting(_) | Tls::Broken => Poll::Ready(Ok(())),
            },
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(stream) => Pin::new(stream).poll_shutdown(task),
            Wire::Secure(tls) => match &mut **tls {
                Tls::Spoken(stream) => Pin::new(stream).poll_shutdown(task),
                // Without a goodbye that nobody would understand.
                Tls::Greeting(accept) => match accept.get_mut() {
                    Some(stream) => Pin::new(stream).poll_shutdown(task),
                    None => Poll::Ready(Ok(())),
                },
                Tls::Broken => Poll::Ready(Ok(())),
            },
        }
    }
}

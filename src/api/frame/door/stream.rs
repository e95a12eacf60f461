//! The bytes of a connection, between the socket and actix-http, which has a limit for the first head only.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_web::http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::below;
use super::watch::{Overdue, Watch};
use super::wire::Wire;
use crate::api::frame::place::Place;
use crate::api::frame::problem::Problem;
use crate::api::frame::refusals;

/// Read at once while nothing is listened to any more.
const SCRATCH_BYTES: usize = 1024;

/// A connection of a client. Keeps its limits of time, ends it after the last request (see [`Watch`]), and says in full
/// what actix-http refuses without asking the frame.
pub struct Connection {
    wire: Wire,
    watch: Rc<Watch>,
    is_secure: bool,
    /// What is said instead of an answer of actix-http, as far as it is not yet written.
    instead: Vec<u8>,
    has_ended: bool,
    /// After our end we read on for a while: a socket that is closed over unread bytes takes back what it has said.
    lingers: bool,
    _place: Place,
}

impl Connection {
    pub(super) fn new(wire: Wire, watch: Rc<Watch>, place: Place, is_secure: bool) -> Connection {
        let (instead, has_ended, lingers) = (Vec::new(), false, false);
        Connection { wire, watch, is_secure, instead, has_ended, lingers, _place: place }
    }

    pub(super) fn watch(&self) -> &Rc<Watch> {
        &self.watch
    }

    fn wire(&mut self) -> Pin<&mut Wire> {
        Pin::new(&mut self.wire)
    }

    /// Says what is wrong, if the socket takes it at once; then nothing more is listened to.
    fn say(&mut self, problem: Problem, task: &mut Context<'_>) {
        let said = below::written(problem, self.is_secure);
        let _ = self.wire().poll_write(task, &said);
        self.lingers = true;
    }

    /// Some bytes to the socket.
    fn give(&mut self, bytes: &[u8], task: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let given = self.wire().poll_write(task, bytes);
        match &given {
            Poll::Ready(Ok(taken)) => self.watch.took(*taken, bytes.len()),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                self.watch.took(0, bytes.len());
                self.watch.waits(task);
            }
        }
        given
    }

    /// Everything that was given, to the socket.
    fn flush(&mut self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.wire().poll_flush(task);
        if !self.wire.keeps_back() {
            return flushed;
        }
        if self.watch.overdue() == Some(Overdue::Taking) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if flushed.is_pending() {
            self.watch.took(0, 1);
            self.watch.waits(task);
        } else {
            self.watch.gave_all();
        }
        flushed
    }

    /// All that is said instead.
    fn give_instead(&mut self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut instead = std::mem::take(&mut self.instead);
        while !instead.is_empty() {
            match self.give(&instead, task) {
                Poll::Ready(taken) => drop(instead.drain(..taken?)),
                Poll::Pending => {
                    self.instead = instead;
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Says that nothing more comes, and listens a while if it must be heard.
    fn poll_end(&mut self, task: &mut Context<'_>) -> Poll<()> {
        if !self.has_ended {
            self.watch.ends();
            // A socket that the client has reset cannot be shut down and needs not be. TLS says goodbye, and if nobody takes
            // that it is not waited for longer than for whatever else a client may still say.
            if self.wire().poll_shutdown(task).is_pending() && self.watch.overdue() != Some(Overdue::End) {
                self.watch.waits(task);
                return Poll::Pending;
            }
            self.has_ended = true;
        }
        while self.lingers && self.watch.overdue() != Some(Overdue::End) {
            let mut scratch = [0; SCRATCH_BYTES];
            let mut scratch = ReadBuf::new(&mut scratch);
            match self.wire().poll_read(task, &mut scratch) {
                Poll::Ready(Ok(())) => self.lingers = !scratch.filled().is_empty(),
                Poll::Ready(Err(_)) => self.lingers = false,
                Poll::Pending => {
                    self.watch.waits(task);
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(())
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.watch.is_cut() {
            // Its end is driven by flushing what was said before.
            return Poll::Pending;
        }
        match this.watch.overdue() {
            None => {}
            Some(Overdue::Taking) => return Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Some(Overdue::Head) => {
                // What is left of a body has its answer already.
                if !this.has_ended && !this.watch.answers_no_more() {
                    this.say(refusals::REQUEST_TIMEOUT.saying("the request did not arrive in time"), task);
                    this.watch.ends();
                }
                return Poll::Ready(Ok(()));
            }
            // No bytes are the end.
            Some(Overdue::Request | Overdue::End) => return Poll::Ready(Ok(())),
        }
        let before = bytes.filled().len();
        let read = this.wire().poll_read(task, bytes);
        match &read {
            Poll::Ready(Ok(())) if bytes.filled().len() > before => this.watch.heard(),
            Poll::Ready(_) => {}
            Poll::Pending => this.watch.waits(task),
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.watch.overdue() == Some(Overdue::Taking) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let Some((start, status)) = refused_below(bytes) else { return this.give(bytes, task) };
        if start > 0 {
            return this.give(&bytes[..start], task);
        }
        // Not when the request has its answer: what is wrong is the rest of its body.
        if !this.watch.answers_no_more() && !this.lingers {
            metrics::counter!("http_refused_below_total", "status" => status.as_str().to_owned()).increment(1);
            this.instead = below::written(Problem::of_status(status), this.is_secure);
        }
        this.lingers |= !this.has_ended;
        ready!(this.give_instead(task))?;
        // Here and not later: what actix-http cannot read it drops without shutting it down.
        ready!(this.poll_end(task));
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.watch.is_cut() {
            return this.flush(task);
        }
        // All that was said before has been given to the wire.
        ready!(this.flush(task))?;
        this.lingers |= !this.has_ended;
        ready!(this.poll_end(task));
        Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.lingers |= this.watch.answers_no_more() && !this.has_ended;
        this.poll_end(task).map(Ok)
    }
}

/// Where an answer of actix-http's own begins, and its status: the last on its connection, without a body, and without the
/// id that every answer of the frame has. Most answers of the frame have a body and do not even end like this.
fn refused_below(bytes: &[u8]) -> Option<(usize, StatusCode)> {
    /// Its heads have fewer than 130 bytes; the shortest of the frame's is far longer.
    const HEAD_BYTES_MAX: usize = 160;
    const BEGINS: [&[u8]; 2] = [b"HTTP/1.1 ", b"HTTP/1.0 "];
    if !bytes.ends_with(b"\r\n\r\n") {
        return None;
    }
    let from = bytes.len().saturating_sub(HEAD_BYTES_MAX);
    let rest = &bytes[from..];
    let start = (0..rest.len()).rev().find(|at| BEGINS.iter().any(|begin| rest[*at..].starts_with(begin)))?;
    let status = StatusCode::from_bytes(rest.get(start + 9..start + 12)?).ok()?;
    (status.is_client_error() || status.is_server_error()).then_some((from + start, status))
}

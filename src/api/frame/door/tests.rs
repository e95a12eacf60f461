//! Limits of time with the rounds gone by hand.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tempfile::TempDir;
use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWrite as _, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::stream::Connection;
use super::watch::{Rounds, Watch};
use super::wire::Wire;
use crate::api::frame::certificate::Certificate;
use crate::api::frame::place::Place;
use crate::api::tests::tls::Authority;

/// A connection of a client, and the clock of its worker.
struct Stand {
    rounds: Rc<Rounds>,
    watch: Rc<Watch>,
    connection: Connection,
    client: TcpStream,
}

impl Stand {
    async fn new() -> Stand {
        Stand::with(None).await
    }

    async fn with(tls: Option<&TlsAcceptor>) -> Stand {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let rounds = Rounds::new();
        let watch = Watch::over(&rounds);
        let place = Place::enter(&Arc::default(), 1).unwrap();
        let connection = Connection::new(Wire::new(stream, tls), Rc::clone(&watch), place, false);
        Stand { rounds, watch, connection, client }
    }

    /// So many seconds go by.
    fn wait(&self, seconds: u32) {
        (0..seconds).for_each(|_| self.rounds.go(false));
    }

    /// A request comes and is answered.
    fn is_answered(&self) {
        drop(self.watch.begin().unwrap());
    }

    /// What is there to be read: nothing yet, so many bytes (0 is the end), or an error.
    fn read(&mut self) -> Option<std::io::Result<usize>> {
        let mut bytes = [0; 100];
        let mut bytes = ReadBuf::new(&mut bytes);
        match Pin::new(&mut self.connection).poll_read(&mut Context::from_waker(Waker::noop()), &mut bytes) {
            Poll::Ready(read) => Some(read.map(|()| bytes.filled().len())),
            Poll::Pending => None,
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Option<std::io::Result<usize>> {
        match Pin::new(&mut self.connection).poll_write(&mut Context::from_waker(Waker::noop()), bytes) {
            Poll::Ready(written) => Some(written),
            Poll::Pending => None,
        }
    }

    /// Gives an answer that nobody takes.
    async fn is_stuck(&mut self) {
        tokio::task::yield_now().await;
        let answer = vec![b'a'; 1 << 20];
        while self.write(&answer).is_some() {}
    }
}

#[actix_web::test]
async fn fault_1_an_idle_connection_is_kept_for_75_seconds_and_for_5_while_it_is_crowded() {
    let mut stand = Stand::new().await;
    stand.is_answered();
    stand.wait(75);
    assert!(stand.read().is_none(), "it is kept");
    stand.wait(1);
    assert_eq!(stand.read().unwrap().unwrap(), 0);

    let mut stand = Stand::new().await;
    stand.is_answered();
    (0..6).for_each(|_| stand.rounds.go(true));
    assert_eq!(stand.read().unwrap().unwrap(), 0);
}

#[actix_web::test]
async fn fault_1_a_request_that_is_being_answered_has_no_limit_here() {
    let mut stand = Stand::new().await;
    let answering = stand.watch.begin().unwrap();
    stand.wait(1000);
    assert!(stand.read().is_none());
    drop(answering);
    stand.wait(75);
    assert!(stand.read().is_none(), "only then it is idle");
}

#[actix_web::test]
async fn fault_1_whoever_waits_for_bytes_hears_that_they_are_overdue() {
    let mut stand = Stand::new().await;
    stand.is_answered();
    let (rounds, mut byte) = (Rc::clone(&stand.rounds), [0]);
    let reading = stand.connection.read(&mut byte);
    let passing = async {
        for _ in 0..80 {
            tokio::task::yield_now().await;
            rounds.go(false);
        }
    };
    assert_eq!(tokio::join!(reading, passing).0.unwrap(), 0);
}

#[actix_web::test]
async fn fault_1_a_client_that_takes_nothing_of_its_answer_is_cut_off() {
    let mut stand = Stand::new().await;
    stand.is_stuck().await;
    stand.is_answered();
    stand.wait(10);
    assert!(stand.write(b"more").is_none(), "it is waited for");
    stand.wait(700);
    assert_eq!(stand.write(b"more").unwrap().unwrap_err().kind(), std::io::ErrorKind::TimedOut);
    assert_eq!(stand.read().unwrap().unwrap_err().kind(), std::io::ErrorKind::TimedOut);
}

#[actix_web::test]
async fn fault_1_a_client_that_takes_its_answer_slowly_has_as_long_as_it_takes_4096_bytes_a_second() {
    let mut stand = Stand::new().await;
    stand.is_stuck().await;
    stand.is_answered();
    let mut taken = vec![0; 1 << 20];
    stand.client.read_exact(&mut taken).await.unwrap();
    let more = vec![b'a'; 64 << 20];
    let mut given = 0;
    loop {
        tokio::task::yield_now().await;
        match stand.write(&more) {
            Some(written) => given += written.unwrap(),
            None if given > 0 => break,
            None => {}
        }
    }
    stand.wait(10 + u32::try_from(given).unwrap() / 4096);
    assert!(stand.write(b"more").is_none(), "it has taken {given} bytes");
}

/// Who shakes hands with clients, and who does so with that.
fn tls() -> (TempDir, TlsAcceptor, TlsConnector) {
    let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::fresh());
    let certificate = Certificate::of(authority.sign("localhost").files(dir.path())).unwrap();
    (dir, certificate.acceptor(), authority.connector())
}

/// Nothing is heard without TLS, whatever is said below it.
#[actix_web::test]
async fn fault_11_hands_are_shaken_in_the_time_of_a_head() {
    let (_dir, acceptor, _) = tls();
    let mut stand = Stand::with(Some(&acceptor)).await;
    stand.client.write_all(b"\x16\x03\x01\x02\x00\x01").await.unwrap();
    stand.wait(5);
    assert!(stand.read().is_none(), "the rest may come");
    stand.wait(1);
    assert_eq!(stand.read().unwrap().unwrap(), 0);
    let mut task = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut stand.connection).poll_shutdown(&mut task).is_pending(), "it listens for a while");
    stand.wait(3);
    assert!(Pin::new(&mut stand.connection).poll_shutdown(&mut task).is_ready());
    assert_eq!(stand.client.read(&mut [0; 100]).await.unwrap(), 0);
}

#[actix_web::test]
async fn fault_11_what_tls_keeps_back_from_a_client_that_takes_nothing_is_not_waited_for_either() {
    let (_dir, acceptor, connector) = tls();
    for ending in [false, true] {
        let mut stand = Stand::with(Some(&acceptor)).await;
        let (socket, other) = (stand.client, TcpListener::bind("127.0.0.1:0").await.unwrap());
        // Anybody: hands are shaken by the one above.
        stand.client = TcpStream::connect(other.local_addr().unwrap()).await.unwrap();
        let mut byte = [0];
        let client = tokio::select! {
            client = connector.connect("localhost".try_into().unwrap(), socket) => client.unwrap(),
            _ = stand.connection.read(&mut byte) => panic!("nothing is said"),
        };
        stand.is_stuck().await;
        stand.is_answered();
        let mut task = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut stand.connection).poll_flush(&mut task).is_pending());
        if ending {
            assert!(Pin::new(&mut stand.connection).poll_shutdown(&mut task).is_pending());
            stand.wait(3);
            assert!(Pin::new(&mut stand.connection).poll_shutdown(&mut task).is_ready());
        } else {
            stand.wait(10);
            assert!(Pin::new(&mut stand.connection).poll_flush(&mut task).is_pending(), "it is waited for");
            stand.wait(700);
            let Poll::Ready(Err(error)) = Pin::new(&mut stand.connection).poll_flush(&mut task) else {
                panic!("it is waited for without end")
            };
            assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
        }
        drop(client);
    }
}

#[actix_web::test]
async fn fault_1_after_its_end_a_connection_is_listened_to_for_two_seconds() {
    let mut stand = Stand::new().await;
    stand.watch.is_the_last();
    let (rounds, mut task) = (Rc::clone(&stand.rounds), Context::from_waker(Waker::noop()));
    assert!(Pin::new(&mut stand.connection).poll_shutdown(&mut task).is_pending());
    assert_eq!(stand.client.read(&mut [0]).await.unwrap(), 0, "the client hears at once that nothing more comes");
    stand.client.write_all(b"what it still had to say").await.unwrap();
    (0..2).for_each(|_| rounds.go(false));
    assert!(Pin::new(&mut stand.connection).poll_shutdown(&mut task).is_pending());
    rounds.go(false);
    assert!(Pin::new(&mut stand.connection).poll_shutdown(&mut task).is_ready());
}

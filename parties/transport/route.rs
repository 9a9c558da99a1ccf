//! Finding the process of a party in which a session lives. Whoever opens a lane names the session in
//! the first message of TLS; a gateway reads that much and passes the connection on as it is, so that
//! the session's worker is the other end of the encryption.

use crate::messages::SessionId;
use rustls::pki_types::ServerName;
use rustls::server::Acceptor;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// Under which names sessions are sought. The domain is one that never exists (RFC 2606).
const DOMAIN: &str = ".session.invalid";
/// Longest first message that is looked at.
const HELLO_BYTES_MAX: usize = 16 << 10;
/// How long it may take to arrive.
const HELLO_MAX: Duration = Duration::from_secs(5);
/// Before looking again at one that has not arrived in full.
const PAUSE: Duration = Duration::from_millis(5);
/// How long the worker may take to accept a connection.
const WORKER_MAX: Duration = Duration::from_secs(5);

/// The name under which a session's lanes are opened.
pub(crate) fn name_of(session: SessionId) -> ServerName<'static> {
    let name = session.0.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + DOMAIN;
    // Letters, digits and dots are always a name.
    ServerName::try_from(name).unwrap_or_else(|_| crate::tls::no_name())
}

fn session_named(name: &str) -> Option<SessionId> {
    let digits = name.strip_suffix(DOMAIN)?;
    let bytes = data_encoding::HEXLOWER.decode(digits.as_bytes()).ok()?;
    bytes.try_into().ok().map(SessionId)
}

/// The session that whoever has connected seeks. Nothing is taken off the connection.
pub(crate) async fn session_sought(tcp: &TcpStream) -> Option<SessionId> {
    timeout(HELLO_MAX, look(tcp)).await.ok().flatten()
}

async fn look(tcp: &TcpStream) -> Option<SessionId> {
    let (mut seen, mut buffer) = (0, vec![0; HELLO_BYTES_MAX]);
    loop {
        let there = tcp.peek(&mut buffer).await.ok()?;
        if there == 0 {
            return None;
        }
        if there == seen {
            sleep(PAUSE).await;
            continue;
        }
        seen = there;
        let mut acceptor = Acceptor::default();
        let mut bytes = buffer.get(..there)?;
        while !bytes.is_empty() {
            acceptor.read_tls(&mut bytes).ok()?;
        }
        match acceptor.accept() {
            Ok(Some(accepted)) => {
                return accepted.client_hello().server_name().and_then(session_named);
            }
            Ok(None) if there < HELLO_BYTES_MAX => {}
            _ => return None,
        }
    }
}

/// Carries a connection on to a worker until either end is done.
pub(crate) async fn pass_on(mut tcp: TcpStream, worker: SocketAddr) {
    let Ok(Ok(mut onward)) = timeout(WORKER_MAX, TcpStream::connect(worker)).await else {
        return tracing::warn!(%worker, "a session worker cannot be reached");
    };
    let (_, _) = (tcp.set_nodelay(true), onward.set_nodelay(true));
    const BUFFER_BYTES: usize = 256 << 10;
    let carried =
        tokio::io::copy_bidirectional_with_sizes(&mut tcp, &mut onward, BUFFER_BYTES, BUFFER_BYTES);
    let _ = carried.await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;
    use crate::transport::Connection;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    const SESSION: SessionId = SessionId([0xa7; 16]);

    fn identity(name: &str) -> Identity {
        Identity::generate(name).unwrap().0
    }

    async fn connected() -> (TcpStream, SocketAddr, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (TcpStream::connect(address).await.unwrap(), address, listener)
    }

    #[tokio::test]
    async fn a_lane_reaches_its_worker_through_the_gateway_and_is_encrypted_to_the_worker() {
        let (alice, bob) = (identity("a"), identity("b"));
        let worker = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gateway = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (there, here) = (worker.local_addr().unwrap(), gateway.local_addr().unwrap());
        let pinned = bob.fingerprint();
        let dial = Connection::dial_any(&alice, vec![here.to_string()], pinned, &name_of(SESSION));
        let gate = async {
            let (tcp, _) = gateway.accept().await.unwrap();
            assert_eq!(session_sought(&tcp).await, Some(SESSION));
            tokio::spawn(pass_on(tcp, there));
        };
        let accepting = async {
            let (tcp, _) = worker.accept().await.unwrap();
            let pins = std::collections::BTreeSet::from([alice.fingerprint()]);
            Connection::accept(crate::tls::acceptor(&bob, pins).unwrap(), tcp).await.unwrap()
        };
        let (dialled, (), mut accepted) = tokio::join!(dial, gate, accepting);
        let mut dialled = dialled.unwrap();
        assert_eq!((accepted.peer(), dialled.peer()), (alice.fingerprint(), pinned));
        dialled.send(&"a word").await.unwrap();
        assert_eq!(accepted.receive::<String>().await.unwrap(), "a word");
    }

    #[tokio::test]
    async fn whoever_names_no_session_or_speaks_no_tls_seeks_none() {
        let alice = identity("a");
        let (_near, address, listener) = connected().await;
        let _ = listener.accept().await.unwrap();
        tokio::spawn(Connection::dial(&alice, &address.to_string(), alice.fingerprint()));
        let (tcp, _) = listener.accept().await.unwrap();
        assert_eq!(session_sought(&tcp).await, None);
        for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0x16; 100], &[]] {
            let (mut near, _, listener) = connected().await;
            near.write_all(bytes).await.unwrap();
            near.shutdown().await.unwrap();
            let (tcp, _) = listener.accept().await.unwrap();
            assert_eq!(session_sought(&tcp).await, None);
        }
        for name in ["", "a7.session.invalid", "session.invalid", "A7.session.invalid"] {
            assert_eq!(session_named(name), None);
        }
    }
}

//! Finding the process of a party in which a session lives. Whoever opens a lane gives its name in the
//! first message of TLS; a gateway reads that much and passes the connection on as it is, so that the
//! session's worker is the other end of the encryption. The name is a hash of the session's id, which
//! only its parties know; what the worker takes is decided by certificates alone.

use crate::messages::{LaneKind, SessionId};
use crate::tls;
use rustls::pki_types::ServerName;
use rustls::server::Acceptor;
use senate_circuit::PartyId;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, copy_buf};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// In which domain lanes have names. It is one that never exists (RFC 2606).
const DOMAIN: &str = ".lane.invalid";
/// Version tag of the hash.
const NAME_CONTEXT: &str = "senate lane name 1";
/// Longest first message that is looked at, with its record's header.
const HELLO_BYTES_MAX: usize = 8 << 10;
/// Header of a record: its type, a version, and the length of the rest.
const RECORD_HEADER_BYTES: usize = 5;
/// Type of the record that begins TLS.
const HANDSHAKE: u8 = 22;
/// How long the first message may take to arrive.
const HELLO_MAX: Duration = Duration::from_secs(3);
/// Before looking again at one that has not arrived in full, at first; each time twice as long.
const PAUSE: Duration = Duration::from_millis(2);
/// How long the worker may take to accept a connection.
const WORKER_MAX: Duration = Duration::from_secs(5);
/// How long one direction may go on once the other has ended.
const HALF_MAX: Duration = Duration::from_secs(5);
const BUFFER_BYTES: usize = 256 << 10;

/// Under which a lane of a session is sought.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct LaneName([u8; 16]);

impl LaneName {
    /// Of the lane that `from` opens.
    pub(crate) fn of(session: SessionId, from: PartyId, lane: LaneKind) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(NAME_CONTEXT);
        let lane = match lane {
            LaneKind::Protocol => 0,
            LaneKind::Control => 1,
        };
        // There are at most 64 parties.
        hasher.update(&session.0).update(&[from.index() as u8, lane]);
        let mut name = [0; 16];
        hasher.finalize_xof().fill(&mut name);
        Self(name)
    }

    /// As it is sent.
    pub(crate) fn server_name(self) -> ServerName<'static> {
        let name = data_encoding::HEXLOWER.encode(&self.0) + DOMAIN;
        // Letters, digits and dots are always a name.
        ServerName::try_from(name).unwrap_or_else(|_| tls::no_name())
    }

    fn parse(name: &str) -> Option<Self> {
        let digits = name.strip_suffix(DOMAIN)?;
        let bytes = data_encoding::HEXLOWER.decode(digits.as_bytes()).ok()?;
        bytes.try_into().ok().map(Self)
    }
}

/// The lane that whoever has connected seeks. Nothing is taken off the connection.
pub(crate) async fn lane_sought(tcp: &TcpStream) -> Option<LaneName> {
    timeout(HELLO_MAX, look(tcp)).await.ok().flatten()
}

/// Waits for the first record and looks at it once.
async fn look(tcp: &TcpStream) -> Option<LaneName> {
    let (mut buffer, mut pause) = (vec![0; HELLO_BYTES_MAX], PAUSE);
    loop {
        let there = tcp.peek(&mut buffer).await.ok()?;
        let seen = buffer.get(..there)?;
        if *seen.first()? != HANDSHAKE {
            return None;
        }
        if let Some(record) = first_record(seen)? {
            return named(record);
        }
        sleep(pause).await;
        pause *= 2;
    }
}

/// The first record, if all of it is there; the outer `None` when it is too long.
fn first_record(seen: &[u8]) -> Option<Option<&[u8]>> {
    let Some([_, _, _, high, low]) = seen.first_chunk::<RECORD_HEADER_BYTES>() else {
        return Some(None);
    };
    let length = RECORD_HEADER_BYTES + usize::from(u16::from_be_bytes([*high, *low]));
    (length <= HELLO_BYTES_MAX).then(|| seen.get(..length))
}

fn named(mut record: &[u8]) -> Option<LaneName> {
    let mut acceptor = Acceptor::default();
    while !record.is_empty() {
        acceptor.read_tls(&mut record).ok()?;
    }
    let accepted = acceptor.accept().ok()??;
    LaneName::parse(accepted.client_hello().server_name()?)
}

/// Carries a connection on to a worker, until either end is done or `over` completes.
pub(crate) async fn pass_on(
    mut tcp: TcpStream,
    worker: SocketAddr,
    over: impl Future<Output = ()>,
) {
    let Ok(Ok(mut onward)) = timeout(WORKER_MAX, TcpStream::connect(worker)).await else {
        return tracing::warn!(%worker, "a session worker cannot be reached");
    };
    let (_, _) = (tcp.set_nodelay(true), onward.set_nodelay(true));
    let (from_peer, to_peer) = tcp.split();
    let (from_worker, to_worker) = onward.split();
    let (there, back) = (carry(from_peer, to_worker), carry(from_worker, to_peer));
    tokio::pin!(there, back);
    tokio::select! {
        () = &mut there => drop(timeout(HALF_MAX, back).await),
        () = &mut back => drop(timeout(HALF_MAX, there).await),
        () = over => {}
    }
}

async fn carry(from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
    let mut from = BufReader::with_capacity(BUFFER_BYTES, from);
    let _ = copy_buf(&mut from, &mut to).await;
    let _ = to.shutdown().await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;
    use crate::transport::Connection;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    fn name() -> LaneName {
        LaneName::of(SessionId([0xa7; 16]), PartyId::new(1).unwrap(), LaneKind::Control)
    }

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
        let sought = name().server_name();
        let dial = Connection::dial_any(&alice, vec![here.to_string()], pinned, &sought);
        let gate = async {
            let (tcp, _) = gateway.accept().await.unwrap();
            assert_eq!(lane_sought(&tcp).await, Some(name()));
            tokio::spawn(pass_on(tcp, there, std::future::pending()));
        };
        let accepting = async {
            let (tcp, _) = worker.accept().await.unwrap();
            let pins = std::collections::BTreeSet::from([alice.fingerprint()]);
            Connection::accept(tls::acceptor(&bob, pins).unwrap(), tcp).await.unwrap()
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
        assert_eq!(lane_sought(&tcp).await, None);
        for bytes in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            &[0x16; 100],
            &[22, 3, 1, 0xff, 0xff],
            &[22, 3, 1],
            &[],
        ] {
            let (mut near, _, listener) = connected().await;
            near.write_all(bytes).await.unwrap();
            near.shutdown().await.unwrap();
            let (tcp, _) = listener.accept().await.unwrap();
            assert_eq!(lane_sought(&tcp).await, None);
        }
        for name in ["", "a7.lane.invalid", "lane.invalid", "example.org"] {
            assert_eq!(LaneName::parse(name), None);
        }
    }

    #[test]
    fn every_lane_has_a_name_of_its_own() {
        let (one, other) = (SessionId([1; 16]), SessionId([2; 16]));
        let names = [one, other].into_iter().flat_map(|session| {
            (0..64).filter_map(PartyId::new).flat_map(move |from| {
                [LaneKind::Protocol, LaneKind::Control]
                    .map(|lane| LaneName::of(session, from, lane))
            })
        });
        assert_eq!(names.collect::<std::collections::BTreeSet<_>>().len(), 2 * 64 * 2);
    }
}

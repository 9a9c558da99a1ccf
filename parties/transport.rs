//! Connections between parties: framed messages over mutual TLS, and the links of a session.
//!
//! Only this module knows framing. A frame is a length (32 bits, little endian), a tag, and that
//! many bytes. Requests and answers are JSON; a session's lanes carry the protocol's and control's
//! own encodings. One connection serves one ordered need: a conversation with a user, an
//! announcement, a session's control lane or its protocol lane toward one peer.

mod links;
mod parcels;
mod pump;
mod reach;
mod route;

pub use links::{ControlLink, Heard, Links, in_memory};
pub(crate) use parcels::{Parcels, Speaking};
pub(crate) use pump::{control_link, protocol_link};
pub use reach::{Hop, Reached, Unreached, reach};
pub(crate) use route::{LaneName, lane_sought, pass_on};

use crate::failure::{Cause, Failure, Outcome};
use crate::identity::{Fingerprint, Identity};
use crate::tls;
use futures_util::future::BoxFuture;
use futures_util::{Stream, StreamExt};
use rustls::pki_types::ServerName;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsStream};

/// A peer that says nothing for this long is lost.
pub const SILENCE_MAX: Duration = Duration::from_secs(15);
/// An idle connection says that it lives this often.
const HEARTBEAT: Duration = Duration::from_secs(3);
/// How long a connection may take to come up.
pub(crate) const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// Longest request or answer.
const MESSAGE_BYTES_MAX: u32 = 4 << 20;
/// Longest frame of the protocol; memory is taken as the bytes arrive, not as they are announced.
const PROTOCOL_BYTES_MAX: u32 = 1 << 30;
/// Read at once.
const STEP_BYTES: usize = 1 << 20;
/// Room that an announced length is given before anything of it has arrived.
const TRUSTED_BYTES: usize = 8 << 20;
/// Fixed part of a frame of the protocol: its lane and its kind.
const FRAME_HEAD_BYTES: usize = 9;

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Tag {
    /// Nothing but a sign of life.
    Heartbeat = 0,
    /// JSON.
    Message = 1,
    /// A piece of a result.
    Chunk = 2,
    /// A frame of the protocol.
    Protocol = 3,
    /// A message of control.
    Control = 4,
    /// The sender has said everything.
    Bye = 5,
}

impl Tag {
    fn from_code(code: u8) -> Option<Self> {
        [Self::Heartbeat, Self::Message, Self::Chunk, Self::Protocol, Self::Control, Self::Bye]
            .into_iter()
            .find(|tag| *tag as u8 == code)
    }

    fn bytes_max(self) -> u32 {
        match self {
            Self::Heartbeat | Self::Bye => 0,
            Self::Message | Self::Chunk => MESSAGE_BYTES_MAX,
            Self::Protocol => PROTOCOL_BYTES_MAX,
            Self::Control => 1 << 10,
        }
    }
}

/// Why nothing more can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
enum Broken {
    #[error("the connection ended")]
    Ended,
    #[error("no sign of life for {} s", SILENCE_MAX.as_secs())]
    Silent,
    #[error("a malformed frame")]
    Malformed,
}

/// A frame as it was read.
#[derive(Debug)]
struct Read {
    tag: Tag,
    /// Fixed part of the body, zero for frames without one.
    head: [u8; FRAME_HEAD_BYTES],
    /// The rest of the body.
    body: Vec<u8>,
}

async fn read_frame(stream: &mut (impl AsyncRead + Unpin)) -> Result<Read, Broken> {
    read_frame_within(stream, SILENCE_MAX).await
}

async fn read_frame_within(
    stream: &mut (impl AsyncRead + Unpin),
    patience: Duration,
) -> Result<Read, Broken> {
    let mut header = [0; 5];
    read_all(stream, &mut header, patience).await?;
    let [length @ .., code] = header;
    let length = u32::from_le_bytes(length);
    let tag = Tag::from_code(code).ok_or(Broken::Malformed)?;
    if length > tag.bytes_max() {
        return Err(Broken::Malformed);
    }
    let mut head = [0; FRAME_HEAD_BYTES];
    let mut missing = length as usize;
    if tag == Tag::Protocol {
        missing = missing.checked_sub(FRAME_HEAD_BYTES).ok_or(Broken::Malformed)?;
        read_all(stream, &mut head, SILENCE_MAX).await?;
    }
    // Beyond the first pages, memory follows what has arrived, not what was announced.
    let mut body = Vec::with_capacity(missing.min(TRUSTED_BYTES));
    while missing > 0 {
        let step = missing.min(STEP_BYTES);
        body.reserve(step);
        append(stream, &mut body, step).await?;
        missing -= step;
    }
    Ok(Read { tag, head, body })
}

/// Reads `count` bytes to the end of `body`, which has room for them.
async fn append(
    stream: &mut (impl AsyncRead + Unpin),
    body: &mut Vec<u8>,
    count: usize,
) -> Result<(), Broken> {
    let mut limited = stream.take(count as u64);
    let reading = async {
        while limited.limit() > 0 {
            if limited.read_buf(body).await.map_err(|_| Broken::Ended)? == 0 {
                return Err(Broken::Ended);
            }
        }
        Ok(())
    };
    timeout(SILENCE_MAX, reading).await.map_err(|_| Broken::Silent)?
}

async fn read_all(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut [u8],
    patience: Duration,
) -> Result<(), Broken> {
    match timeout(patience, stream.read_exact(buffer)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) => Err(Broken::Ended),
        Err(_) => Err(Broken::Silent),
    }
}

/// Writes one frame whose body is in two parts.
async fn write_frame(
    stream: &mut (impl AsyncWrite + Unpin),
    tag: Tag,
    [head, tail]: [&[u8]; 2],
) -> std::io::Result<()> {
    let length = u32::try_from(head.len() + tail.len())
        .ok()
        .filter(|length| *length <= tag.bytes_max())
        .ok_or_else(|| std::io::Error::other("a frame beyond its bound"))?;
    stream.write_all(&length.to_le_bytes()).await?;
    stream.write_all(&[tag as u8]).await?;
    stream.write_all(head).await?;
    stream.write_all(tail).await
}

/// A connection to a party whose certificate has been verified.
pub struct Connection {
    stream: TlsStream<TcpStream>,
    peer: Fingerprint,
}

impl Connection {
    /// Connects to the holder of the pinned certificate.
    ///
    /// # Errors
    /// Lost when nobody answers, or somebody else does.
    pub fn dial(
        identity: &Identity,
        address: &str,
        pinned: Fingerprint,
    ) -> BoxFuture<'static, Outcome<Self>> {
        Self::dial_named(identity, address, pinned, tls::no_name())
    }

    fn dial_named(
        identity: &Identity,
        address: &str,
        pinned: Fingerprint,
        name: ServerName<'static>,
    ) -> BoxFuture<'static, Outcome<Self>> {
        let (connector, address) = (tls::connector(identity, pinned), address.to_owned());
        Box::pin(async move {
            let connector = connector?;
            let opening = async {
                let tcp = TcpStream::connect(address.as_str()).await?;
                tcp.set_nodelay(true)?;
                connector.connect(name, tcp).await
            };
            match timeout(HANDSHAKE_MAX, opening).await {
                Ok(Ok(stream)) => Ok(Self { stream: TlsStream::Client(stream), peer: pinned }),
                Ok(Err(error)) => Err(Failure::lost(format!("{address}: {error}")).with_remedy(
                    "check that the party's daemon runs and that its fingerprint is the pinned one",
                )),
                Err(_) => Err(Failure::lost(format!("{address}: no answer"))),
            }
        })
    }

    /// Connects to the first of these addresses at which the holder of the pinned certificate
    /// answers; `name` says which of its processes is meant.
    ///
    /// # Errors
    /// As [`Connection::dial`], of the first address.
    pub(crate) fn dial_any(
        identity: &Identity,
        addresses: Vec<String>,
        pinned: Fingerprint,
        name: &ServerName<'static>,
    ) -> BoxFuture<'static, Outcome<Self>> {
        let dial = |address: &String| Self::dial_named(identity, address, pinned, name.clone());
        let dials: Vec<_> = addresses.iter().map(dial).collect();
        Box::pin(async move {
            let mut first = None;
            for dial in dials {
                match dial.await {
                    Ok(connection) => return Ok(connection),
                    Err(failure) => first = first.or(Some(failure)),
                }
            }
            Err(first.unwrap_or_else(|| Failure::usage("a party without an address")))
        })
    }

    /// Whether the peer is a process of this machine.
    pub(crate) fn is_here(&self) -> bool {
        let (tcp, _) = self.stream.get_ref();
        match (tcp.peer_addr(), tcp.local_addr()) {
            (Ok(peer), Ok(own)) => peer.ip() == own.ip(),
            _ => false,
        }
    }

    /// Completes the handshake of an incoming connection.
    ///
    /// # Errors
    /// Lost when the peer is not one of the pinned ones or does not finish in time.
    pub async fn accept(acceptor: TlsAcceptor, tcp: TcpStream) -> Outcome<Self> {
        let _ = tcp.set_nodelay(true);
        let stream = timeout(HANDSHAKE_MAX, acceptor.accept(tcp))
            .await
            .map_err(|_| Failure::lost("a handshake took too long"))?
            .map_err(|error| Failure::lost(format!("handshake: {error}")))?;
        let peer = tls::peer_fingerprint(stream.get_ref().1.peer_certificates())
            .ok_or_else(|| Failure::lost("a peer without a certificate"))?;
        Ok(Self { stream: TlsStream::Server(stream), peer })
    }

    /// Fingerprint of the peer's verified certificate.
    pub fn peer(&self) -> Fingerprint {
        self.peer
    }

    /// Sends a message.
    ///
    /// # Errors
    /// Lost when the connection is broken.
    pub fn send(&mut self, message: &impl Serialize) -> BoxFuture<'_, Outcome<()>> {
        let body = serde_json::to_vec(message);
        Box::pin(async move {
            let body =
                body.map_err(|error| Failure::unexpected(format!("encoding a message: {error}")))?;
            self.write(Tag::Message, &body).await
        })
    }

    /// Receives a message. Signs of life are skipped.
    ///
    /// # Errors
    /// Lost when the connection breaks or the peer sends something else.
    pub async fn receive<M: DeserializeOwned>(&mut self) -> Outcome<M> {
        decoded(self.read(SILENCE_MAX).await?)
    }

    /// Receives a message that is there in so much time, whatever signs of life come before it.
    ///
    /// # Errors
    /// As [`Connection::receive`].
    pub async fn receive_within<M: DeserializeOwned>(&mut self, patience: Duration) -> Outcome<M> {
        let late = |_| Failure::lost(Broken::Silent.to_string());
        decoded(timeout(patience, self.read(patience)).await.map_err(late)??)
    }

    /// Sends a byte string of any length, in pieces.
    ///
    /// # Errors
    /// Lost when the connection is broken.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> Outcome<()> {
        for chunk in bytes.chunks(STEP_BYTES) {
            self.write(Tag::Chunk, chunk).await?;
        }
        self.write(Tag::Chunk, &[]).await
    }

    /// Receives what [`Connection::send_bytes`] sent, at most `bytes_max`.
    ///
    /// # Errors
    /// Lost when the connection breaks or the peer sends something else.
    pub async fn receive_bytes(&mut self, bytes_max: usize) -> Outcome<Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            let (Tag::Chunk, chunk) = self.read(SILENCE_MAX).await? else {
                return Err(Failure::lost("the peer sent a frame out of order"));
            };
            if chunk.is_empty() {
                return Ok(bytes);
            }
            bytes.extend(chunk);
            if bytes.len() > bytes_max {
                return Err(Failure::lost("the peer sent a result beyond its bound"));
            }
        }
    }

    /// Sends a byte string that fits one frame.
    ///
    /// # Errors
    /// Lost when the connection is broken.
    pub(crate) async fn send_piece(&mut self, bytes: &[u8]) -> Outcome<()> {
        self.write(Tag::Chunk, bytes).await
    }

    /// Receives what [`Connection::send_piece`] sent.
    ///
    /// # Errors
    /// Lost when the connection breaks or the peer sends something else.
    pub(crate) async fn receive_piece(&mut self) -> Outcome<Vec<u8>> {
        match self.read(SILENCE_MAX).await? {
            (Tag::Chunk, bytes) => Ok(bytes),
            _ => Err(Failure::lost("the peer sent a frame out of order")),
        }
    }

    /// Shows that this end lives while the other waits for an answer.
    ///
    /// # Errors
    /// Lost when the connection is broken.
    pub async fn heartbeat(&mut self) -> Outcome<()> {
        self.write(Tag::Heartbeat, &[]).await
    }

    /// Runs `work` while showing the peer that this end lives and passing on `news`; gives up when
    /// the peer goes away.
    ///
    /// # Errors
    /// Interrupted when the peer ends the connection first; lost when it breaks.
    pub async fn alive_while<T, M: Serialize>(
        &mut self,
        work: impl Future<Output = T>,
        mut news: impl Stream<Item = M> + Unpin,
    ) -> Outcome<T> {
        tokio::pin!(work);
        let mut byte = [0; 1];
        let gone = || Failure::new(Cause::Interrupted, "the asking side went away");
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                Some(message) = news.next() => {
                    self.send(&message).await.map_err(|_| gone())?;
                }
                () = tokio::time::sleep(HEARTBEAT) => {
                    self.heartbeat().await.map_err(|_| gone())?;
                }
                // The peer has nothing to say now: whatever arrives is its end.
                _ = self.stream.read(&mut byte) => return Err(gone()),
            }
        }
    }

    async fn read(&mut self, patience: Duration) -> Outcome<(Tag, Vec<u8>)> {
        loop {
            match read_frame_within(&mut self.stream, patience).await {
                Ok(Read { tag: Tag::Heartbeat, .. }) => {}
                Ok(Read { tag: Tag::Protocol, .. }) => {
                    return Err(Failure::lost("the peer sent a frame out of order"));
                }
                Ok(Read { tag, body, .. }) => return Ok((tag, body)),
                Err(broken) => return Err(Failure::lost(broken.to_string())),
            }
        }
    }

    async fn write(&mut self, tag: Tag, body: &[u8]) -> Outcome<()> {
        let writing = async {
            write_frame(&mut self.stream, tag, [body, &[]]).await?;
            self.stream.flush().await
        };
        match timeout(SILENCE_MAX, writing).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Failure::lost(error.to_string())),
            Err(_) => Err(Failure::lost(Broken::Silent.to_string())),
        }
    }
}

fn decoded<M: DeserializeOwned>(frame: (Tag, Vec<u8>)) -> Outcome<M> {
    match frame {
        (Tag::Message, body) => serde_json::from_slice(&body)
            .map_err(|_| Failure::lost("the peer sent a malformed message")),
        _ => Err(Failure::lost("the peer sent a frame out of order")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_frame_survives_and_bounds_hold_before_memory_is_taken() {
        let (mut near, mut far) = tokio::io::duplex(1 << 12);
        let body = vec![7; 3 << 20];
        let writing = write_frame(&mut near, Tag::Message, [&body, b"!"]);
        let (written, read) = tokio::join!(writing, read_frame(&mut far));
        written.unwrap();
        let Read { tag, body: read, .. } = read.unwrap();
        assert_eq!((tag, read.len(), read.last()), (Tag::Message, body.len() + 1, Some(&b'!')));
        near.write_all(&[255, 255, 255, 255, Tag::Message as u8]).await.unwrap();
        assert_eq!(read_frame(&mut far).await.unwrap_err(), Broken::Malformed);
        near.write_all(&[0, 0, 0, 0, 99]).await.unwrap();
        assert_eq!(read_frame(&mut far).await.unwrap_err(), Broken::Malformed);
        near.write_all(&[9, 0]).await.unwrap();
        drop(near);
        assert_eq!(read_frame(&mut far).await.unwrap_err(), Broken::Ended);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_has_a_deadline() {
        let (_near, mut far) = tokio::io::duplex(64);
        assert_eq!(read_frame(&mut far).await.unwrap_err(), Broken::Silent);
    }
}

//! Carries a session's lanes over TLS connections: two tasks per connection, on the daemon's
//! threads, so that a party shows signs of life while its session computes.

use super::links::{ControlLink, Heard, QUEUE_FRAMES, QUEUE_MESSAGES};
use super::{Connection, FRAME_HEAD_BYTES, HEARTBEAT, Read, Tag, read_frame, write_frame};
use futures_channel::mpsc;
use futures_util::{SinkExt, StreamExt};
use senate_mpc::{Frame, Kind, Lane, Link};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufWriter};
use tokio::time::timeout;

const BUFFER_BYTES: usize = 1 << 18;

/// What a lane carries.
pub(super) trait Payload: Send + Sized + 'static {
    /// How many may wait in one direction.
    const QUEUE: usize;

    /// Which frame it is.
    fn tag(&self) -> Tag;

    /// Fixed part and contents.
    fn encode(self) -> (Vec<u8>, Vec<u8>);

    /// `None` for what no honest peer sends on this lane.
    fn decode(tag: Tag, head: [u8; FRAME_HEAD_BYTES], body: Vec<u8>) -> Option<Self>;
}

impl Payload for Frame {
    const QUEUE: usize = QUEUE_FRAMES;

    fn tag(&self) -> Tag {
        Tag::Protocol
    }

    fn encode(self) -> (Vec<u8>, Vec<u8>) {
        let mut head = self.lane.code().to_le_bytes().to_vec();
        head.push(self.kind.code());
        (head, self.payload)
    }

    fn decode(tag: Tag, head: [u8; FRAME_HEAD_BYTES], payload: Vec<u8>) -> Option<Self> {
        if tag != Tag::Protocol {
            return None;
        }
        let [lane @ .., kind] = head;
        let lane = Lane::from_code(u64::from_le_bytes(lane));
        Some(Self { lane, kind: Kind::from_code(kind)?, payload })
    }
}

impl Payload for Vec<u8> {
    const QUEUE: usize = QUEUE_MESSAGES;

    fn tag(&self) -> Tag {
        Tag::Control
    }

    fn encode(self) -> (Vec<u8>, Vec<u8>) {
        (Vec::new(), self)
    }

    fn decode(tag: Tag, _: [u8; FRAME_HEAD_BYTES], body: Vec<u8>) -> Option<Self> {
        (tag == Tag::Control).then_some(body)
    }
}

/// The protocol's lane over this connection.
pub(crate) fn protocol_link(connection: Connection) -> Link {
    let (outgoing, incoming) = pump(connection.stream, Heard::default());
    Link { outgoing, incoming }
}

/// Control's lane over this connection.
pub(crate) fn control_link(connection: Connection) -> ControlLink {
    let heard = Heard::from_now();
    let (outgoing, incoming) = pump(connection.stream, heard.clone());
    ControlLink { outgoing, incoming: incoming.peekable(), heard }
}

pub(super) fn pump<P: Payload>(
    stream: impl AsyncRead + AsyncWrite + Send + 'static,
    heard: Heard,
) -> (mpsc::Sender<P>, mpsc::Receiver<P>) {
    let (reading, writing) = tokio::io::split(stream);
    let (to_peer, outgoing) = mpsc::channel(P::QUEUE);
    let (incoming, from_peer) = mpsc::channel(P::QUEUE);
    tokio::spawn(write(BufWriter::with_capacity(BUFFER_BYTES, writing), outgoing));
    let reading = tokio::io::BufReader::with_capacity(BUFFER_BYTES, reading);
    tokio::spawn(read(reading, incoming, heard));
    (to_peer, from_peer)
}

/// Writes what the session sends until it drops its end, then says so.
async fn write<P: Payload>(
    mut stream: BufWriter<impl AsyncWrite + Unpin>,
    mut outgoing: mpsc::Receiver<P>,
) -> std::io::Result<()> {
    loop {
        let next = match outgoing.try_recv() {
            Ok(payload) => Some(payload),
            Err(_) => {
                stream.flush().await?;
                match timeout(HEARTBEAT, outgoing.next()).await {
                    Ok(next) => next,
                    Err(_) => {
                        write_frame(&mut stream, Tag::Heartbeat, [&[], &[]]).await?;
                        continue;
                    }
                }
            }
        };
        let Some(payload) = next else {
            write_frame(&mut stream, Tag::Bye, [&[], &[]]).await?;
            stream.flush().await?;
            return stream.shutdown().await;
        };
        let tag = payload.tag();
        let (head, tail) = payload.encode();
        write_frame(&mut stream, tag, [&head, &tail]).await?;
    }
}

/// Hands on what the peer sends. Anything but a frame of this lane ends the link, which the session
/// sees as a lost peer; waiting for room in the queue is what slows the peer down.
async fn read<P: Payload>(
    mut stream: impl AsyncRead + Unpin,
    mut incoming: mpsc::Sender<P>,
    heard: Heard,
) {
    loop {
        let frame = read_frame(&mut stream).await;
        if frame.is_ok() {
            heard.now();
        }
        match frame {
            Ok(Read { tag: Tag::Heartbeat, .. }) => {}
            Ok(Read { tag: Tag::Bye, .. }) => return,
            Ok(Read { tag, head, body }) => {
                let Some(payload) = P::decode(tag, head, body) else {
                    tracing::warn!("a peer sent a frame of another lane, or of no kind");
                    return;
                };
                if incoming.send(payload).await.is_err() {
                    return;
                }
            }
            Err(broken) => {
                tracing::debug!(%broken, "link ended");
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use senate_circuit::StageId;

    fn frame(payload: &[u8]) -> Frame {
        let kind = Kind::ALL.last().copied().unwrap();
        Frame { lane: Lane::stage(StageId(5)), kind, payload: payload.to_vec() }
    }

    #[tokio::test]
    async fn frames_cross_in_order_and_the_end_is_seen() {
        let (near, far) = tokio::io::duplex(1 << 10);
        let (mut sender, _) = pump::<Frame>(near, Heard::default());
        let (_alive, mut receiver) = pump::<Frame>(far, Heard::default());
        let long = vec![3; 1 << 20];
        for payload in [&b""[..], b"one", &long] {
            sender.send(frame(payload)).await.unwrap();
        }
        for payload in [&b""[..], b"one", &long] {
            assert_eq!(receiver.next().await, Some(frame(payload)));
        }
        drop(sender);
        assert_eq!(receiver.next().await, None);
    }

    #[tokio::test]
    async fn a_frame_of_another_lane_of_no_kind_or_too_short_ends_the_link() {
        let short = vec![0; FRAME_HEAD_BYTES - 1];
        let bodies =
            [(Tag::Control, vec![0; 20]), (Tag::Protocol, vec![255; 20]), (Tag::Protocol, short)];
        for (tag, body) in bodies {
            let (mut near, far) = tokio::io::duplex(1 << 10);
            let (_alive, mut receiver) = pump::<Frame>(far, Heard::default());
            write_frame(&mut near, tag, [&body, &[]]).await.unwrap();
            assert_eq!(receiver.next().await, None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_peer_is_kept_and_a_silent_one_is_lost() {
        let (near, far) = tokio::io::duplex(1 << 10);
        let (mut sender, _idle) = pump::<Frame>(near, Heard::default());
        let (_alive, mut receiver) = pump::<Frame>(far, Heard::default());
        tokio::time::sleep(10 * super::super::SILENCE_MAX).await;
        sender.send(frame(b"late")).await.unwrap();
        assert_eq!(receiver.next().await, Some(frame(b"late")));
        let (_silent, far) = tokio::io::duplex(1 << 10);
        let (_waiting, mut receiver) = pump::<Frame>(far, Heard::default());
        assert_eq!(receiver.next().await, None);
    }
}

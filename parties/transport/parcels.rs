//! A conversation in both directions at once, between two processes of one party.

use super::pump::{Payload, pump};
use super::{Connection, FRAME_HEAD_BYTES, MESSAGE_BYTES_MAX, STEP_BYTES, Tag};
use crate::failure::{Failure, Outcome};
use crate::transport::Heard;
use futures_channel::mpsc;
use futures_util::{SinkExt, StreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What is said: a message in JSON, or a piece of a byte string.
#[derive(Debug)]
enum Parcel {
    Message(Vec<u8>),
    Piece(Vec<u8>),
}

impl Payload for Parcel {
    const QUEUE: usize = 64;

    fn tag(&self) -> Tag {
        match self {
            Self::Message(_) => Tag::Message,
            Self::Piece(_) => Tag::Chunk,
        }
    }

    fn encode(self) -> (Vec<u8>, Vec<u8>) {
        let (Self::Message(body) | Self::Piece(body)) = self;
        (Vec::new(), body)
    }

    fn decode(tag: Tag, _: [u8; FRAME_HEAD_BYTES], body: Vec<u8>) -> Option<Self> {
        match tag {
            Tag::Message => Some(Self::Message(body)),
            Tag::Chunk => Some(Self::Piece(body)),
            _ => None,
        }
    }
}

/// One end. The other sees its end as the end of what it hears.
#[derive(Debug)]
pub(crate) struct Parcels {
    outgoing: mpsc::Sender<Parcel>,
    incoming: mpsc::Receiver<Parcel>,
}

/// The half that speaks.
#[derive(Clone, Debug)]
pub(crate) struct Speaking(mpsc::Sender<Parcel>);

impl Parcels {
    /// From here on both ends of the connection speak when they like.
    pub(crate) fn over(connection: Connection) -> Self {
        let (outgoing, incoming) = pump(connection.stream, Heard::default());
        Self { outgoing, incoming }
    }

    /// A way to speak while somebody listens here.
    pub(crate) fn speaking(&self) -> Speaking {
        Speaking(self.outgoing.clone())
    }

    /// Whether the other end has gone away, or spoken unasked.
    pub(crate) fn is_over(&mut self) -> bool {
        self.outgoing.is_closed()
            || matches!(self.incoming.try_recv(), Ok(_) | Err(mpsc::TryRecvError::Closed))
    }

    /// Waits until the other end is gone, or speaks.
    pub(crate) async fn end(&mut self) {
        let _ = self.incoming.next().await;
    }

    /// The next message.
    ///
    /// # Errors
    /// Lost when the other end is gone, or says something else.
    pub(crate) async fn hear<M: DeserializeOwned>(&mut self) -> Outcome<M> {
        match self.incoming.next().await {
            Some(Parcel::Message(body)) => serde_json::from_slice(&body)
                .map_err(|_| Failure::lost("the other process sent a malformed message")),
            Some(Parcel::Piece(_)) => Err(out_of_order()),
            None => Err(Failure::lost("the other process ended the connection")),
        }
    }

    /// A byte string, of at most `bytes_max` bytes.
    ///
    /// # Errors
    /// Lost when the other end is gone, or says something else.
    pub(crate) async fn hear_bytes(&mut self, bytes_max: usize) -> Outcome<Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            let Some(Parcel::Piece(piece)) = self.incoming.next().await else {
                return Err(out_of_order());
            };
            if piece.is_empty() {
                return Ok(bytes);
            }
            bytes.extend(piece);
            if bytes.len() > bytes_max {
                return Err(Failure::lost("the other process sent more than it may"));
            }
        }
    }
}

impl Speaking {
    /// Says a message.
    ///
    /// # Errors
    /// Lost when the other end is gone.
    pub(crate) async fn say(&mut self, message: &impl Serialize) -> Outcome<()> {
        let body = serde_json::to_vec(message)
            .map_err(|error| Failure::unexpected(format!("encoding a message: {error}")))?;
        if body.len() > MESSAGE_BYTES_MAX as usize {
            return Err(Failure::unexpected("a message beyond its bound"));
        }
        self.send(Parcel::Message(body)).await
    }

    /// Says a byte string, in pieces.
    ///
    /// # Errors
    /// Lost when the other end is gone.
    pub(crate) async fn say_bytes(&mut self, bytes: &[u8]) -> Outcome<()> {
        self.say_pieces(bytes).await?;
        self.say_end().await
    }

    /// Says the next bytes of a byte string.
    ///
    /// # Errors
    /// Lost when the other end is gone.
    pub(crate) async fn say_pieces(&mut self, bytes: &[u8]) -> Outcome<()> {
        for piece in bytes.chunks(STEP_BYTES) {
            self.send(Parcel::Piece(piece.to_vec())).await?;
        }
        Ok(())
    }

    /// Ends a byte string.
    ///
    /// # Errors
    /// Lost when the other end is gone.
    pub(crate) async fn say_end(&mut self) -> Outcome<()> {
        self.send(Parcel::Piece(Vec::new())).await
    }

    async fn send(&mut self, parcel: Parcel) -> Outcome<()> {
        let sent = self.0.send(parcel).await;
        sent.map_err(|_| Failure::lost("the other process ended the connection"))
    }
}

fn out_of_order() -> Failure {
    Failure::lost("the other process spoke out of order")
}

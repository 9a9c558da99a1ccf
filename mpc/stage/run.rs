//! Who runs a stage and over which conversation.

use super::chunks::Chunk;
use crate::auth::Member;
use crate::domain::{Domain, SessionId};
use crate::entropy::Entropy;
use crate::error::Error;
use crate::mesh::{Channel, Kind, Lane, Mesh};
use crate::wire::{BLOCK_BYTES, append_blocks, block_bytes, from_blocks};
use crate::zero::ZeroShares;
use senate_block::Block;
use senate_circuit::{PartyId, PartySet, Source, Stage};
use std::rc::Rc;

/// Longest single message of tables or labels; longer ones travel in pieces.
const PIECE_BLOCKS: usize = (4 << 20) / BLOCK_BYTES;

/// One party's place in the conversation of a stage. Cheap to clone.
#[derive(Clone, Debug)]
pub struct StageContext {
    pub(crate) member: Member,
    pub(crate) channel: Channel,
    pub(crate) domain: Domain,
    pub(crate) entropy: Rc<Entropy>,
    pub(crate) zero: Rc<ZeroShares>,
}

impl StageContext {
    /// The place of `member` in the stage `stage` of the session with this bound id.
    ///
    /// # Errors
    /// [`Error::Misuse`] when the member's set is not the stage's.
    pub fn new(
        mesh: &Mesh,
        session: SessionId,
        member: Member,
        stage: &Stage,
        entropy: Rc<Entropy>,
        zero: Rc<ZeroShares>,
    ) -> Result<Self, Error> {
        if member.set() != stage.parties || member.me() != mesh.me() {
            return Err(Error::Misuse("a stage is run by its own party set"));
        }
        let lane = Lane::stage(stage.id);
        let channel = mesh.channel(lane, stage.parties)?;
        let domain = Domain::new(session, stage.parties, lane);
        Ok(Self { member, channel, domain, entropy, zero })
    }

    /// This party's share of 0 among S for `purpose`, all of S taking part.
    ///
    /// # Errors
    /// [`Error::Misuse`] when a seed is missing.
    pub(crate) fn zero_share(&self, purpose: &str) -> Result<Block, Error> {
        let stream = self.zero.stream(self.member.peers(), &self.domain.tag(purpose))?;
        Ok(stream.block(0))
    }
}

/// A stage being run: its context and its roles.
pub(crate) struct Run<'a> {
    context: &'a StageContext,
    pub(crate) stage: &'a Stage,
}

impl std::ops::Deref for Run<'_> {
    type Target = StageContext;

    fn deref(&self) -> &StageContext {
        self.context
    }
}

impl<'a> Run<'a> {
    /// Checks that `stage` is one this context can run.
    ///
    /// # Errors
    /// [`Error::Misuse`] when it is not.
    pub(crate) fn new(context: &'a StageContext, stage: &'a Stage) -> Result<Self, Error> {
        let set = context.member.set();
        if stage.parties != set || !set.contains(stage.evaluator) {
            return Err(Error::Misuse("a stage is run by its own party set"));
        }
        if stage.program.check().is_err() || stage.inputs.len() != stage.program.inputs.len() {
            return Err(Error::Misuse("a stage's program is malformed"));
        }
        let owned_inside = |source: &Source| match source {
            Source::Owner { party, .. } => set.contains(*party),
            Source::Child { .. } => true,
        };
        if !stage.inputs.iter().all(owned_inside) {
            return Err(Error::Misuse("an input's owner is not in the stage"));
        }
        Ok(Self { context, stage })
    }

    /// e.
    pub(crate) fn evaluator(&self) -> PartyId {
        self.stage.evaluator
    }

    /// S without e.
    pub(crate) fn garblers(&self) -> PartySet {
        self.stage.parties.without(self.stage.evaluator)
    }

    /// Whether this party is e.
    pub(crate) fn is_evaluator(&self) -> bool {
        self.member.me() == self.stage.evaluator
    }

    /// Sends `blocks` in pieces; nothing for no blocks.
    ///
    /// # Errors
    /// Those of the channel.
    pub(crate) async fn send_long(
        &self,
        to: PartyId,
        kind: Kind,
        blocks: &[Block],
    ) -> Result<(), Error> {
        for piece in blocks.chunks(PIECE_BLOCKS) {
            self.channel.send(to, kind, from_blocks(piece)).await?;
        }
        Ok(())
    }

    /// Receives `len` blocks in pieces.
    ///
    /// # Errors
    /// Those of the channel.
    pub(crate) async fn recv_long(
        &self,
        from: PartyId,
        kind: Kind,
        len: usize,
    ) -> Result<Vec<Block>, Error> {
        let mut blocks = Vec::new();
        while blocks.len() < len {
            let piece = PIECE_BLOCKS.min(len - blocks.len());
            let bytes = self.channel.recv(from, kind, piece * BLOCK_BYTES).await?;
            append_blocks(&mut blocks, &bytes);
        }
        Ok(blocks)
    }
}

/// The random-oracle hash of `garbler`'s active labels of all AND outputs of a chunk, in order: a
/// MAC on Λ under Δ of the garbler.
pub(super) fn label_hash(
    run: &Run<'_>,
    chunk: &Chunk,
    garbler: PartyId,
    labels: &[Block],
) -> [u8; blake3::OUT_LEN] {
    let tag = run.domain.tag("label hash").number(chunk.number).party(garbler);
    tag.bytes(block_bytes(labels)).digest()
}

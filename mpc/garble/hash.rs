//! Keys and tweaks of the garbling hash (PROTOCOL.md §2): one key per epoch of gates, one tweak per
//! (gate, garbler, receiver of the row, half).

use crate::domain::Domain;
use senate_block::{Tccr, Tweak};
use senate_circuit::PartyId;

/// Gates hashed under one key. A multiple of every tile.
pub(crate) const EPOCH_GATES: u64 = 1 << 12;

/// Separates these tweaks from those of other uses of the hash.
const PURPOSE: u8 = 6;

/// Which half of a gate a label enters: with one tweak for both, AND of equal labels would put L_0
/// in clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    /// The left input.
    Left,
    /// The right input.
    Right,
}

/// Derives the epoch keys of one stage from its domain.
#[derive(Clone, Copy)]
pub(crate) struct GateKeys(Domain);

impl GateKeys {
    /// Keys of the stage with this domain.
    pub(crate) fn new(domain: Domain) -> Self {
        Self(domain)
    }

    /// The hash of every epoch that the gates `first .. first + count` touch.
    pub(crate) fn epochs(&self, first: u64, count: u64) -> Epochs {
        let start = first / EPOCH_GATES;
        let end = (first + count).div_ceil(EPOCH_GATES).max(start + 1);
        let hash = |epoch| Tccr::new(self.0.tag("garbling hash").number(epoch).key());
        Epochs { start, hashes: (start..end).map(hash).collect() }
    }
}

/// The hashes of consecutive epochs.
pub(crate) struct Epochs {
    start: u64,
    hashes: Vec<Tccr>,
}

impl Epochs {
    /// The hash of gate `gate`, which must be one of those asked for.
    pub(crate) fn of(&self, gate: u64) -> &Tccr {
        &self.hashes[(gate / EPOCH_GATES - self.start) as usize]
    }
}

/// The tweak of gate `gate`, row (i, j) and `half`; those of the next gates follow it.
pub(crate) fn tweak(gate: u64, i: PartyId, j: PartyId, half: Half) -> Tweak {
    let half = match half {
        Half::Left => 0,
        Half::Right => 1,
    };
    Tweak { purpose: PURPOSE, index: gate, i: i.index() as u8, j: j.index() as u8, half }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SessionId;
    use crate::mesh::Lane;
    use senate_block::Block;
    use senate_circuit::{PartySet, StageId};

    fn keys(session: u8, parties: usize, stage: u32) -> GateKeys {
        let (set, lane) = (PartySet::first(parties), Lane::stage(StageId(stage)));
        GateKeys::new(Domain::new(SessionId([session; 32]), set, lane))
    }

    fn probe(keys: &GateKeys, gate: u64) -> Block {
        let mut block = [Block(77)];
        let party = PartyId::new(0).unwrap();
        keys.epochs(gate, 1).of(gate).hash(&mut block, tweak(0, party, party, Half::Left));
        block[0]
    }

    #[test]
    fn sessions_sets_stages_and_epochs_have_keys_of_their_own() {
        let base = keys(1, 2, 0);
        let all = [
            probe(&base, 0),
            probe(&base, EPOCH_GATES),
            probe(&keys(1, 3, 0), 0),
            probe(&keys(1, 2, 1), 0),
            probe(&keys(2, 2, 0), 0),
        ];
        for (r, one) in all.iter().enumerate() {
            assert!(all[..r].iter().all(|other| other != one));
        }
        assert!(probe(&base, 5) == probe(&base, EPOCH_GATES - 1));
    }
}

//! Local simplification: every instruction passes through here before it is written.

use super::Builder;
use super::maps::MapFacts;
use crate::{Instruction, Lanes, MapId, PlaneId};

/// Concatenations nested in one another are flattened up to this many parts.
const FLAT_PARTS_MAX: usize = 64;

impl Builder {
    pub(super) fn fold_xor(&mut self, left: PlaneId, right: PlaneId, lanes: Lanes) -> PlaneId {
        let (left, odd_left) = self.without_not(left);
        let (right, odd_right) = self.without_not(right);
        let core = match (self.constant_of(left), self.constant_of(right)) {
            (Some(a), Some(b)) => self.constant(a ^ b, lanes),
            (Some(a), None) => self.not_if(a, right, lanes),
            (None, Some(b)) => self.not_if(b, left, lanes),
            (None, None) if left == right => self.constant(false, lanes),
            (None, None) => match self.cancelled(left, right) {
                Some(plane) => plane,
                None => self.intern(Instruction::Xor(left.min(right), left.max(right)), lanes),
            },
        };
        self.not_if(odd_left ^ odd_right, core, lanes)
    }

    pub(super) fn fold_and(&mut self, left: PlaneId, right: PlaneId, lanes: Lanes) -> PlaneId {
        match (self.constant_of(left), self.constant_of(right)) {
            (Some(false), _) | (_, Some(false)) => return self.constant(false, lanes),
            (Some(true), _) => return right,
            (_, Some(true)) => return left,
            (None, None) if left == right => return left,
            (None, None) => {}
        }
        if self.without_not(left) == (right, true) || self.without_not(right) == (left, true) {
            return self.constant(false, lanes);
        }
        if self.implies(left, right) {
            return left;
        }
        if self.implies(right, left) {
            return right;
        }
        self.intern(Instruction::And(left.min(right), left.max(right)), lanes)
    }

    pub(super) fn fold_not(&mut self, plane: PlaneId, lanes: Lanes) -> PlaneId {
        match self.instruction(plane) {
            Some(Instruction::Constant(bit)) => {
                let bit = !*bit;
                self.constant(bit, lanes)
            }
            Some(Instruction::Not(inner)) => *inner,
            _ => self.intern(Instruction::Not(plane), lanes),
        }
    }

    pub(super) fn fold_gather(
        &mut self,
        plane: PlaneId,
        lanes: Lanes,
        map: MapId,
        facts: MapFacts,
    ) -> PlaneId {
        if facts.len == 0 {
            return self.constant(false, 0);
        }
        if facts.consecutive && facts.len == lanes {
            return plane;
        }
        match self.instruction(plane) {
            Some(Instruction::Constant(bit)) => {
                let bit = *bit;
                self.constant(bit, facts.len)
            }
            Some(Instruction::Gather(source, first)) => {
                let (source, first) = (*source, *first);
                let source_lanes = self.lanes_of(source);
                // A small selection stays a plane of its own, lest its source live for ever.
                if u64::from(lanes) * 4 < u64::from(source_lanes) {
                    return self.intern(Instruction::Gather(plane, map), facts.len);
                }
                let map = self.maps.compose(first, map);
                self.gather(source, map)
            }
            Some(Instruction::Concat(_)) => match self.covering_part(plane, facts) {
                Some(part) => self.slice_of_part(part, facts, (plane, map)),
                None => self.intern(Instruction::Gather(plane, map), facts.len),
            },
            _ => self.intern(Instruction::Gather(plane, map), facts.len),
        }
    }

    pub(super) fn fold_concat(&mut self, parts: &[PlaneId], total: Lanes) -> PlaneId {
        let mut flat = Vec::with_capacity(parts.len());
        for part in parts {
            match self.instruction(*part) {
                Some(Instruction::Concat(inner)) if inner.len() + flat.len() <= FLAT_PARTS_MAX => {
                    flat.extend_from_slice(inner);
                }
                _ if self.lanes.get(part.0 as usize) != Some(&0) => flat.push(*part),
                _ => {}
            }
        }
        match flat.as_slice() {
            [] => return self.constant(false, 0),
            [only] => return *only,
            [first, rest @ ..] => {
                if let Some(bit) = self.constant_of(*first)
                    && rest.iter().all(|part| self.constant_of(*part) == Some(bit))
                {
                    return self.constant(bit, total);
                }
            }
        }
        self.intern(Instruction::Concat(flat), total)
    }

    /// A gather that reads one part of a concatenation: free of that where the part is constant or
    /// taken whole. Otherwise it reads the concatenation, lest both stay alive.
    fn slice_of_part(
        &mut self,
        (part, start): (PlaneId, u32),
        facts: MapFacts,
        (concat, map): (PlaneId, MapId),
    ) -> PlaneId {
        let lanes = self.lanes_of(part);
        match self.constant_of(part) {
            Some(bit) => self.constant(bit, facts.len),
            None if facts.consecutive && facts.min == start && facts.len == lanes => part,
            None => self.intern(Instruction::Gather(concat, map), facts.len),
        }
    }

    /// The part of a concatenation in which all entries of a map lie, and where that part starts.
    fn covering_part(&self, concat: PlaneId, facts: MapFacts) -> Option<(PlaneId, u32)> {
        let Some(Instruction::Concat(parts)) = self.instruction(concat) else { return None };
        let mut start = 0;
        for part in parts {
            let end = start + self.lanes.get(part.0 as usize)?;
            if facts.min < end {
                return (facts.min >= start && facts.max < end).then_some((*part, start));
            }
            start = end;
        }
        None
    }

    fn without_not(&self, plane: PlaneId) -> (PlaneId, bool) {
        match self.instruction(plane) {
            Some(Instruction::Not(inner)) => (*inner, true),
            _ => (plane, false),
        }
    }

    fn not_if(&mut self, odd: bool, plane: PlaneId, lanes: Lanes) -> PlaneId {
        if odd { self.fold_not(plane, lanes) } else { plane }
    }

    /// x ⊕ (x ⊕ y) = y.
    fn cancelled(&self, left: PlaneId, right: PlaneId) -> Option<PlaneId> {
        let other = |sum: PlaneId, term: PlaneId| match self.instruction(sum) {
            Some(Instruction::Xor(a, b)) if *a == term => Some(*b),
            Some(Instruction::Xor(a, b)) if *b == term => Some(*a),
            _ => None,
        };
        other(left, right).or_else(|| other(right, left))
    }

    /// Whether `plane` is known to be 0 wherever `mask` is.
    pub(crate) fn is_masked_by(&self, plane: PlaneId, mask: PlaneId) -> bool {
        plane == mask || self.constant_of(plane) == Some(false) || self.implies(plane, mask)
    }

    /// Whether `left` is a conjunction with `right` in it.
    fn implies(&self, left: PlaneId, right: PlaneId) -> bool {
        matches!(self.instruction(left), Some(Instruction::And(a, b)) if *a == right || *b == right)
    }
}

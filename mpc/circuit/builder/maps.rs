//! The index maps of a circuit under construction, each stored once.

use crate::MapId;
use std::collections::HashMap;
use std::rc::Rc;

/// What folding needs to know about a map without reading it again.
#[derive(Clone, Copy, Debug)]
pub(super) struct MapFacts {
    pub(super) len: u32,
    pub(super) min: u32,
    pub(super) max: u32,
    /// Every entry is one more than the entry before.
    pub(super) consecutive: bool,
}

#[derive(Debug, Default)]
pub(super) struct Maps {
    lanes: Vec<Rc<[u32]>>,
    facts: Vec<MapFacts>,
    known: HashMap<Rc<[u32]>, MapId>,
    composed: HashMap<(MapId, MapId), MapId>,
    ranges: HashMap<(u32, u32), MapId>,
}

impl Maps {
    pub(super) fn intern(&mut self, lanes: Vec<u32>) -> MapId {
        if let Some(map) = self.known.get(lanes.as_slice()) {
            return *map;
        }
        let facts = MapFacts {
            len: u32::try_from(lanes.len()).unwrap_or(u32::MAX),
            min: lanes.iter().copied().min().unwrap_or(0),
            max: lanes.iter().copied().max().unwrap_or(0),
            consecutive: lanes.windows(2).all(|pair| match pair {
                [before, after] => before.checked_add(1) == Some(*after),
                _ => true,
            }),
        };
        let map = MapId(u32::try_from(self.lanes.len()).unwrap_or(u32::MAX));
        let lanes: Rc<[u32]> = lanes.into();
        self.lanes.push(Rc::clone(&lanes));
        self.facts.push(facts);
        self.known.insert(lanes, map);
        map
    }

    pub(super) fn facts(&self, map: MapId) -> Option<MapFacts> {
        self.facts.get(map.0 as usize).copied()
    }

    /// The map of "gather by `first`, then by `second`".
    pub(super) fn compose(&mut self, first: MapId, second: MapId) -> MapId {
        if let Some(map) = self.composed.get(&(first, second)) {
            return *map;
        }
        let (inner, outer) = (self.lanes_of(first), self.lanes_of(second));
        // A missing lane becomes one that no source has, which `gather` refuses.
        let at = |lane: &u32| inner.get(*lane as usize).copied().unwrap_or(u32::MAX);
        let map = self.intern(outer.iter().map(at).collect());
        self.composed.insert((first, second), map);
        map
    }

    /// The lanes `start .. end`, without hashing them again.
    pub(super) fn range(&mut self, start: u32, end: u32) -> MapId {
        if let Some(map) = self.ranges.get(&(start, end)) {
            return *map;
        }
        let map = self.intern((start..end).collect());
        self.ranges.insert((start, end), map);
        map
    }

    pub(super) fn into_lanes(self) -> Vec<Vec<u32>> {
        self.lanes.iter().map(|lanes| lanes.to_vec()).collect()
    }

    fn lanes_of(&self, map: MapId) -> Rc<[u32]> {
        self.lanes.get(map.0 as usize).cloned().unwrap_or_default()
    }
}

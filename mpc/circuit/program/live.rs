//! Which planes are needed, and until when.

use crate::{Instruction, MapId, PlaneId, Program};

/// For each instruction the planes that no later instruction reads and that are not outputs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Drops {
    planes: Vec<PlaneId>,
    starts: Vec<usize>,
}

impl Drops {
    /// Planes to forget once instruction `at` is done, possibly its own.
    pub fn after(&self, at: usize) -> &[PlaneId] {
        match (self.starts.get(at), self.starts.get(at + 1)) {
            (Some(from), Some(to)) => self.planes.get(*from..*to).unwrap_or_default(),
            _ => &[],
        }
    }
}

impl Instruction {
    /// The planes it reads, left to right.
    pub fn operands(&self) -> impl Iterator<Item = PlaneId> + '_ {
        let (pair, parts): ([Option<PlaneId>; 2], &[PlaneId]) = match self {
            Self::Input | Self::Constant(_) => ([None, None], &[]),
            Self::Xor(a, b) | Self::And(a, b) => ([Some(*a), Some(*b)], &[]),
            Self::Not(a) | Self::Gather(a, _) => ([Some(*a), None], &[]),
            Self::Concat(parts) => ([None, None], parts),
        };
        pair.into_iter().flatten().chain(parts.iter().copied())
    }

    /// The same step over planes and maps of other numbers.
    pub(super) fn renumbered(
        &self,
        plane: impl Fn(PlaneId) -> PlaneId,
        map: impl Fn(MapId) -> MapId,
    ) -> Self {
        match self {
            Self::Input | Self::Constant(_) => self.clone(),
            Self::Xor(a, b) => Self::Xor(plane(*a), plane(*b)),
            Self::And(a, b) => Self::And(plane(*a), plane(*b)),
            Self::Not(a) => Self::Not(plane(*a)),
            Self::Gather(a, m) => Self::Gather(plane(*a), map(*m)),
            Self::Concat(parts) => Self::Concat(parts.iter().map(|part| plane(*part)).collect()),
        }
    }
}

impl Program {
    /// Per plane the position of the last instruction that reads it: its own position when none
    /// does, `None` for planes of output bundles, which live to the end.
    pub fn last_use(&self) -> Vec<Option<usize>> {
        let mut last: Vec<Option<usize>> = (0..self.instructions.len()).map(Some).collect();
        for (at, instruction) in self.instructions.iter().enumerate() {
            for plane in instruction.operands() {
                last.get_mut(plane.0 as usize).into_iter().for_each(|slot| *slot = Some(at));
            }
        }
        for plane in self.outputs.iter().flat_map(|bundle| &bundle.planes) {
            last.get_mut(plane.0 as usize).into_iter().for_each(|slot| *slot = None);
        }
        last
    }

    /// [`Program::last_use`] the other way round, for interpreters that free planes as they go.
    pub fn drops(&self) -> Drops {
        let mut dropped: Vec<(usize, PlaneId)> = (0u32..)
            .zip(self.last_use())
            .filter_map(|(plane, last)| last.map(|at| (at, PlaneId(plane))))
            .collect();
        dropped.sort_unstable();
        let starts = (0..=self.instructions.len())
            .map(|at| dropped.partition_point(|(last, _)| *last < at))
            .collect();
        Drops { planes: dropped.into_iter().map(|(_, plane)| plane).collect(), starts }
    }

    /// The same circuit without instructions and maps that no output depends on. Inputs stay.
    pub(crate) fn without_dead_planes(self) -> Self {
        let needed = self.needed();
        let (plane_ids, map_ids) = self.renumbering(&needed);
        let plane = |old: PlaneId| {
            plane_ids.get(old.0 as usize).copied().flatten().unwrap_or(PlaneId(u32::MAX))
        };
        let map =
            |old: MapId| map_ids.get(old.0 as usize).copied().flatten().unwrap_or(MapId(u32::MAX));
        let instructions = kept(&self.instructions, &needed)
            .map(|instruction| instruction.renumbered(plane, map))
            .collect();
        let lanes = kept(&self.lanes, &needed).copied().collect();
        let maps = self.maps.into_iter().zip(&map_ids);
        let maps = maps.filter(|(_, id)| id.is_some()).map(|(map, _)| map).collect();
        let [mut inputs, mut outputs] = [self.inputs, self.outputs];
        for slot in inputs.iter_mut().chain(&mut outputs).flat_map(|bundle| &mut bundle.planes) {
            *slot = plane(*slot);
        }
        Self { instructions, lanes, maps, inputs, outputs }
    }

    fn needed(&self) -> Vec<bool> {
        let mut needed: Vec<bool> =
            self.instructions.iter().map(|i| matches!(i, Instruction::Input)).collect();
        let mark = |needed: &mut Vec<bool>, plane: PlaneId| {
            needed.get_mut(plane.0 as usize).into_iter().for_each(|slot| *slot = true);
        };
        self.outputs.iter().flat_map(|b| &b.planes).for_each(|p| mark(&mut needed, *p));
        for (at, instruction) in self.instructions.iter().enumerate().rev() {
            if needed.get(at) == Some(&true) {
                instruction.operands().for_each(|plane| mark(&mut needed, plane));
            }
        }
        needed
    }

    /// New numbers of needed planes and of the maps they use, in the old order.
    fn renumbering(&self, needed: &[bool]) -> (Vec<Option<PlaneId>>, Vec<Option<MapId>>) {
        let mut map_used = vec![false; self.maps.len()];
        for instruction in kept(&self.instructions, needed) {
            if let Instruction::Gather(_, map) = instruction {
                map_used.get_mut(map.0 as usize).into_iter().for_each(|slot| *slot = true);
            }
        }
        let planes = number(needed).map(|id| id.map(PlaneId)).collect();
        let maps = number(&map_used).map(|id| id.map(MapId)).collect();
        (planes, maps)
    }
}

fn kept<'a, T>(items: &'a [T], needed: &'a [bool]) -> impl Iterator<Item = &'a T> {
    items.iter().zip(needed).filter(|(_, needed)| **needed).map(|(item, _)| item)
}

fn number(used: &[bool]) -> impl Iterator<Item = Option<u32>> + '_ {
    let mut next = 0;
    used.iter().map(move |used| {
        used.then(|| {
            next += 1;
            next - 1
        })
    })
}

#[cfg(test)]
mod tests {
    use crate::{Builder, PlaneId};

    #[test]
    fn dead_planes_and_maps_go_and_inputs_stay() {
        let mut b = Builder::new();
        let x = b.input(&[2, 2]);
        b.and(x[0], x[1]);
        let map = b.map(vec![1, 0]);
        b.gather(x[1], map);
        let swap = b.map(vec![1, 1]);
        let kept = b.gather(x[0], swap);
        b.output(&[kept]);
        let program = b.finish().unwrap();
        assert_eq!(program.instructions.len(), 3);
        assert_eq!(program.maps, vec![vec![1, 1]]);
    }

    #[test]
    fn planes_are_dropped_after_their_last_reader() {
        let mut b = Builder::new();
        let x = b.input(&[1, 1, 1]);
        let first = b.and(x[0], x[1]);
        let second = b.xor(first, x[0]);
        b.output(&[second]);
        let program = b.finish().unwrap();
        let drops = program.drops();
        assert_eq!(drops.after(2), &[PlaneId(2)]);
        assert_eq!(drops.after(3), &[PlaneId(1)]);
        assert_eq!(drops.after(4), &[PlaneId(0), PlaneId(3)]);
        assert_eq!(program.last_use()[4], None);
    }
}

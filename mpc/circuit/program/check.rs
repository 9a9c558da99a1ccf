//! The invariants of a program.

use crate::{BuildError, Instruction, PlaneId, Program};

impl Program {
    /// Verifies every invariant stated at [`Program`].
    ///
    /// # Errors
    /// The first violation in instruction order, then those of bundles.
    pub fn check(&self) -> Result<(), BuildError> {
        if self.lanes.len() != self.instructions.len() {
            return Err(BuildError::Shape);
        }
        if u32::try_from(self.instructions.len()).is_err() {
            return Err(BuildError::TooLarge);
        }
        let maxima: Vec<Option<u32>> =
            self.maps.iter().map(|map| map.iter().max().copied()).collect();
        for at in 0..self.instructions.len() {
            let lanes = self.result_lanes(at, &maxima)?;
            let declared = self.lanes.get(at).copied().unwrap_or(0);
            if lanes.is_some_and(|lanes| lanes != declared) {
                let left = lanes.unwrap_or(0);
                return Err(BuildError::LanesDiffer { left, right: declared });
            }
        }
        self.check_bundles()
    }

    /// Lanes that the instruction at `at` must have, `None` where any number is legal.
    fn result_lanes(&self, at: usize, maxima: &[Option<u32>]) -> Result<Option<u32>, BuildError> {
        let before = |plane: &PlaneId| match self.lanes.get(plane.0 as usize) {
            Some(lanes) if (plane.0 as usize) < at => Ok(*lanes),
            _ => Err(BuildError::UnknownPlane(*plane)),
        };
        let Some(instruction) = self.instructions.get(at) else { return Err(BuildError::Shape) };
        match instruction {
            Instruction::Input | Instruction::Constant(_) => Ok(None),
            Instruction::Not(plane) => before(plane).map(Some),
            Instruction::Xor(left, right) | Instruction::And(left, right) => {
                let (left, right) = (before(left)?, before(right)?);
                if left != right {
                    return Err(BuildError::LanesDiffer { left, right });
                }
                Ok(Some(left))
            }
            Instruction::Gather(plane, map) => {
                let lanes = before(plane)?;
                let entries = self.maps.get(map.0 as usize).ok_or(BuildError::UnknownMap(*map))?;
                let max = maxima.get(map.0 as usize).copied().flatten();
                if let Some(lane) = max.filter(|lane| *lane >= lanes) {
                    return Err(BuildError::LaneOutOfRange { lane, lanes });
                }
                u32::try_from(entries.len()).map(Some).map_err(|_| BuildError::TooLarge)
            }
            Instruction::Concat(parts) => {
                let mut total = 0u32;
                for part in parts {
                    total = total.checked_add(before(part)?).ok_or(BuildError::TooLarge)?;
                }
                Ok(Some(total))
            }
        }
    }

    fn check_bundles(&self) -> Result<(), BuildError> {
        let mut unbound: Vec<bool> =
            self.instructions.iter().map(|i| matches!(i, Instruction::Input)).collect();
        for plane in self.inputs.iter().flat_map(|bundle| &bundle.planes) {
            match unbound.get_mut(plane.0 as usize) {
                Some(slot) if *slot => *slot = false,
                _ => return Err(BuildError::InputBundle(*plane)),
            }
        }
        if let Some(at) = unbound.iter().position(|slot| *slot) {
            return Err(BuildError::InputBundle(PlaneId(u32::try_from(at).unwrap_or(u32::MAX))));
        }
        let planes = self.instructions.len();
        match self.outputs.iter().flat_map(|b| &b.planes).find(|p| p.0 as usize >= planes) {
            Some(plane) => Err(BuildError::UnknownPlane(*plane)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Builder, Bundle, MapId};

    fn small() -> Program {
        let mut b = Builder::new();
        let x = b.input(&[4, 4]);
        let and = b.and(x[0], x[1]);
        let map = b.map(vec![3, 1]);
        let picked = b.gather(and, map);
        b.output(&[picked]);
        b.finish().unwrap()
    }

    #[test]
    fn each_violation_has_its_error() {
        let edit = |change: fn(&mut Program)| {
            let mut program = small();
            change(&mut program);
            program.check().unwrap_err()
        };
        assert_eq!(edit(|p| p.lanes.truncate(1)), BuildError::Shape);
        assert_eq!(edit(|p| p.lanes[1] = 5), BuildError::LanesDiffer { left: 4, right: 5 });
        assert_eq!(
            edit(|p| p.instructions[2] = Instruction::And(PlaneId(0), PlaneId(2))),
            BuildError::UnknownPlane(PlaneId(2))
        );
        assert_eq!(edit(|p| p.maps.clear()), BuildError::UnknownMap(MapId(0)));
        assert_eq!(edit(|p| p.maps[0][0] = 4), BuildError::LaneOutOfRange { lane: 4, lanes: 4 });
        assert_eq!(edit(|p| p.inputs.clear()), BuildError::InputBundle(PlaneId(0)));
        assert_eq!(
            edit(|p| p.inputs.push(Bundle { planes: vec![PlaneId(1)] })),
            BuildError::InputBundle(PlaneId(1))
        );
        assert_eq!(
            edit(|p| p.outputs[0].planes[0] = PlaneId(9)),
            BuildError::UnknownPlane(PlaneId(9))
        );
    }
}

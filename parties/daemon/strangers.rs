//! Connections that have not yet shown whose they are, counted by where they come from: whoever holds
//! some open and says nothing keeps nobody else out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Such connections from one address at a time: all parties of a federation may be behind one.
const STRANGERS_MAX: usize = 96;

/// The connections of one daemon that are still strangers.
#[derive(Clone, Default)]
pub(super) struct Strangers(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One of them, until it is dropped.
pub(super) struct Stranger {
    all: Strangers,
    from: IpAddr,
}

impl Strangers {
    /// One more from this address, unless there are too many.
    pub(super) fn meet(&self, from: IpAddr) -> Option<Stranger> {
        let mut counts = self.counts();
        let count = counts.entry(from).or_default();
        if *count >= STRANGERS_MAX {
            return None;
        }
        *count += 1;
        Some(Stranger { all: self.clone(), from })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let mut counts = self.all.counts();
        if let Some(count) = counts.get_mut(&self.from) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_keeps_no_other_out() {
        let strangers = Strangers::default();
        let [one, other] = [1, 2].map(|last| IpAddr::from([192, 0, 2, last]));
        let mut held: Vec<_> = (0..STRANGERS_MAX).map(|_| strangers.meet(one).unwrap()).collect();
        assert!(strangers.meet(one).is_none());
        assert!(strangers.meet(other).is_some());
        held.pop();
        held.extend(strangers.meet(one));
        assert!(held.len() == STRANGERS_MAX && strangers.meet(one).is_none());
        drop(held);
        assert!(strangers.counts().is_empty());
    }
}

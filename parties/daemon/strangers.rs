//! Connections counted by whose they are: before they have shown that, by where they come from, and
//! then by party. Whoever holds some open and says nothing keeps nobody else out.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Connections of one at a time: all parties of a federation may be behind one address, and a party's
/// queries are each one.
const OF_ONE_MAX: usize = 96;

/// The connections of one daemon, by whose they are.
#[derive(Clone)]
pub(super) struct Crowd<K>(Arc<Mutex<HashMap<K, usize>>>);

/// One of them, until it is dropped.
pub(super) struct Guest<K: Eq + Hash> {
    all: Crowd<K>,
    whose: K,
}

impl<K> Default for Crowd<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Eq + Hash + Copy> Crowd<K> {
    /// One more, unless these are too many already.
    pub(super) fn meet(&self, whose: K) -> Option<Guest<K>> {
        let mut counts = self.counts();
        let count = counts.entry(whose).or_default();
        if *count >= OF_ONE_MAX {
            return None;
        }
        *count += 1;
        Some(Guest { all: Self(Arc::clone(&self.0)), whose })
    }
}

impl<K> Crowd<K> {
    fn counts(&self) -> MutexGuard<'_, HashMap<K, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash> Drop for Guest<K> {
    fn drop(&mut self) {
        let mut counts = self.all.counts();
        if let Some(count) = counts.get_mut(&self.whose) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.whose);
            }
        }
    }
}

/// The network of an address: of IPv6, whoever has one address has 2^64.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_keeps_no_other_out() {
        let strangers = Crowd::default();
        let [one, other] = [1, 2].map(|last| IpAddr::from([192, 0, 2, last]));
        let mut held: Vec<_> = (0..OF_ONE_MAX).map(|_| strangers.meet(one).unwrap()).collect();
        assert!(strangers.meet(one).is_none());
        assert!(strangers.meet(other).is_some());
        held.pop();
        held.extend(strangers.meet(one));
        assert!(held.len() == OF_ONE_MAX && strangers.meet(one).is_none());
        drop(held);
        assert!(strangers.counts().is_empty());
    }

    #[test]
    fn addresses_of_one_network_are_one() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2:3::4"), of("2001:db8:1:2:ffff::"));
        assert_ne!(of("2001:db8:1:2::"), of("2001:db8:1:3::"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}

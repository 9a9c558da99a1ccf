//! What a federation wants its plans to keep small, and what it promises about them: the sections of
//! federation.toml beside the program (tables and SQL).

use crate::cost::StageCost;
use senate_circuit::{LEAKY_BYTES, PartyId, TreeDepth};
use std::collections::BTreeMap;

/// `[targets]`: what plans are chosen by.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Targets {
    /// What is to be small.
    pub minimise: Minimise,
    /// Price of what a party sends, in millionths of a unit of money per GB; others send for nothing.
    pub egress: BTreeMap<PartyId, u64>,
    /// What the leaky triples of a batch of preprocessing may take at each party.
    pub batch_bytes: usize,
    /// Between computation and bytes of correlated oblivious transfer.
    pub tree_depth: TreeDepth,
}

impl Default for Targets {
    fn default() -> Self {
        let (minimise, egress) = (Minimise::default(), BTreeMap::new());
        Self { minimise, egress, batch_bytes: LEAKY_BYTES, tree_depth: TreeDepth::default() }
    }
}

/// What is to be small; of equals, what comes next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Minimise {
    /// Time, then money, then bytes.
    #[default]
    Time,
    /// Bytes, then time, then money.
    Bytes,
    /// Money, then time, then bytes.
    Money,
}

impl Minimise {
    /// As in federation.toml.
    pub fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Bytes => "bytes",
            Self::Money => "money",
        }
    }

    /// The target of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Time, Self::Bytes, Self::Money].into_iter().find(|target| target.name() == name)
    }
}

/// How expensive something is, in the order of a federation's targets: less is better.
pub type Rank = [u128; 3];

impl Targets {
    /// The rank of something that takes so long and sends so much.
    pub fn rank(&self, nanos: u64, bytes: u64, money: u128) -> Rank {
        let (nanos, bytes) = (u128::from(nanos), u128::from(bytes));
        match self.minimise {
            Minimise::Time => [nanos, money, bytes],
            Minimise::Bytes => [bytes, nanos, money],
            Minimise::Money => [money, nanos, bytes],
        }
    }

    /// The price of sending these bytes, in 10⁻¹⁵ of a unit of money.
    pub fn price(&self, from: PartyId, bytes: u64) -> u128 {
        u128::from(bytes) * u128::from(self.egress.get(&from).copied().unwrap_or(0))
    }

    /// The price of everything that a stage sends, in 10⁻¹⁵ of a unit of money.
    pub fn price_of(&self, cost: &StageCost) -> u128 {
        cost.bytes.iter().map(|((from, _), bytes)| self.price(*from, *bytes)).sum()
    }
}

/// `[availability]`: how long is waited for whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Availability {
    /// Seconds after which a query is given up, where its user names none.
    pub deadline_s: u64,
    /// Seconds for which a party that does not answer is tried again before a session.
    pub retry_s: u64,
}

impl Availability {
    /// Longest deadline, in seconds.
    pub const DEADLINE_S_MAX: u64 = 86_400;
    /// Longest retry, in seconds.
    pub const RETRY_S_MAX: u64 = 600;
}

impl Default for Availability {
    fn default() -> Self {
        Self { deadline_s: 600, retry_s: 5 }
    }
}

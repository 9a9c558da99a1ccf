//! What one batch makes, and how much it may leak.

use super::least;

/// The leakage that a batch may have: 2^-`rho_bits` / `shares`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Statistical security of all that shares it.
    pub rho_bits: u32,
    /// Number of equal shares.
    pub shares: u64,
}

impl Allowance {
    /// All of 2^-`rho_bits` for one batch.
    pub fn whole(rho_bits: u32) -> Self {
        Self { rho_bits, shares: 1 }
    }

    /// The least ℓ with 2^-B·ℓ^-(B−1) within the allowance, B being `bucket`.
    pub(super) fn least_batch(self, bucket: u32) -> usize {
        let power = 1u128.checked_shl(self.rho_bits.saturating_sub(bucket));
        let goal = power.and_then(|power| power.checked_mul(u128::from(self.shares)));
        let Some(goal) = goal else { return usize::MAX };
        let enough = |len: u64| u128::from(len).saturating_pow(bucket.saturating_sub(1)) >= goal;
        usize::try_from(least(1 << 63, enough)).unwrap_or(usize::MAX)
    }
}

/// How many triples a batch makes, and from how many leaky ones each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchShape {
    /// ℓ: triples of the batch.
    pub triples: usize,
    /// B: leaky triples per triple.
    pub bucket: usize,
}

impl BatchShape {
    /// The cheapest shape with at least `triples` triples that leaks no more than `allowance`.
    pub fn cheapest(triples: usize, allowance: Allowance) -> Self {
        let mut cheapest = Self::of(2, triples, allowance);
        for bucket in 3..=allowance.rho_bits {
            // All further ones take more.
            if triples.saturating_mul(bucket as usize) >= cheapest.leaky() {
                break;
            }
            let shape = Self::of(bucket, triples, allowance);
            if shape.leaky() < cheapest.leaky() {
                cheapest = shape;
            }
        }
        cheapest
    }

    /// At least `triples` triples from `bucket` leaky ones each.
    fn of(bucket: u32, triples: usize, allowance: Allowance) -> Self {
        let triples = triples.max(allowance.least_batch(bucket)).max(1);
        Self { triples, bucket: bucket as usize }
    }

    /// Leaky triples of the batch.
    pub fn leaky(&self) -> usize {
        self.triples.saturating_mul(self.bucket)
    }
}

//! Which refusals the audit log has one by one, and which it only counts: whoever proposes refused
//! queries in a loop must not fill it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Refusals of one side within [`WINDOW`] that are written one by one.
pub(super) const SINGLY_MAX: u32 = 10;
/// From a side's first refusal on; what is counted in it is written once it is over.
const WINDOW: Duration = Duration::from_mins(1);

/// Who has been refused lately.
#[derive(Default)]
pub(super) struct Refusals {
    windows: Mutex<BTreeMap<String, Window>>,
}

struct Window {
    begun: Instant,
    singly: u32,
    further: u64,
}

impl Window {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.begun) >= WINDOW
    }
}

impl Refusals {
    /// One more of `whose` queries is refused; says whether that is written by itself.
    pub(super) fn one_more(&self, whose: &str, now: Instant) -> bool {
        let mut windows = self.windows();
        let fresh = || Window { begun: now, singly: 0, further: 0 };
        let window = windows.entry(whose.to_owned()).or_insert_with(fresh);
        if window.singly < SINGLY_MAX {
            window.singly += 1;
            return true;
        }
        window.further = window.further.saturating_add(1);
        false
    }

    /// Gives `write` what has only been counted in windows that are over, or in all of them for no
    /// `now`, and forgets those windows. One that cannot be written stays for the next time.
    ///
    /// # Errors
    /// Of `write`.
    pub(super) fn settle<E>(
        &self,
        now: Option<Instant>,
        mut write: impl FnMut(&str, u64) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut windows = self.windows();
        let over = |window: &Window| now.is_none_or(|now| window.is_over(now));
        let mut outcome = Ok(());
        windows.retain(|whose, window| {
            if outcome.is_err() || !over(window) {
                return true;
            }
            if window.further > 0 {
                outcome = write(whose, window.further);
            }
            outcome.is_err()
        });
        outcome
    }

    fn windows(&self) -> MutexGuard<'_, BTreeMap<String, Window>> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(refusals: &Refusals, now: Option<Instant>) -> Vec<(String, u64)> {
        let mut written = Vec::new();
        let write = |whose: &str, further| {
            written.push((whose.to_owned(), further));
            Ok::<_, ()>(())
        };
        refusals.settle(now, write).unwrap();
        written
    }

    #[test]
    fn a_loop_of_refusals_is_counted_and_others_are_still_written() {
        let (refusals, start) = (Refusals::default(), Instant::now());
        let singly = (0..500).filter(|_| refusals.one_more("party b", start)).count();
        assert_eq!(singly, SINGLY_MAX as usize);
        assert!(refusals.one_more("party c", start));
        assert_eq!(settled(&refusals, Some(start + WINDOW / 2)), []);
        let after = start + WINDOW;
        let counted = [("party b".to_owned(), 500 - u64::from(SINGLY_MAX))];
        assert_eq!(settled(&refusals, Some(after)), counted);
        assert_eq!(settled(&refusals, Some(after)), []);
        assert!(refusals.one_more("party b", after), "a new minute");
    }

    #[test]
    fn what_cannot_be_written_is_not_forgotten() {
        let (refusals, start) = (Refusals::default(), Instant::now());
        for _ in 0..=SINGLY_MAX {
            refusals.one_more("party b", start);
        }
        assert_eq!(refusals.settle(None, |_, _| Err("full")), Err("full"));
        assert_eq!(settled(&refusals, None), [("party b".to_owned(), 1)]);
    }
}

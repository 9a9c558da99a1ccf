//! The process's heap, where mimalloc is its allocator.

use libmimalloc_sys::{mi_option_get, mi_option_set, mi_option_t};
use std::ffi::c_long;
use std::time::Duration;

/// `mi_option_purge_delay` of mimalloc 2 and 3, for which the bindings have no name: milliseconds
/// until freed memory goes back to the system.
const PURGE_DELAY: mi_option_t = 15;
/// What mimalloc 3 sets it to.
const USUAL: c_long = 1000;

/// Lets the process keep memory that it has freed for so long, instead of a second: batches and
/// stages follow each other and need as much again, and many systems take longer to provide fresh
/// pages than we to fill them. Holds for the rest of the process's life. Does nothing where
/// `MIMALLOC_PURGE_DELAY` asks for something else.
pub fn keep_freed(time: Duration) {
    let Ok(millis) = c_long::try_from(time.as_millis()) else { return };
    // SAFETY: an option is one aligned word, which mimalloc itself reads and writes at any time from
    // any thread: another thread sees the old delay or the new one. A number that is no option's is
    // ignored.
    unsafe {
        // Should the option have another number one day, it hardly has this value.
        if mi_option_get(PURGE_DELAY) == USUAL {
            mi_option_set(PURGE_DELAY, millis);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freed_memory_is_kept_unless_the_environment_says_otherwise() {
        // SAFETY: as above.
        let delay = || unsafe { mi_option_get(PURGE_DELAY) };
        let before = delay();
        keep_freed(Duration::from_secs(7));
        let kept = if std::env::var_os("MIMALLOC_PURGE_DELAY").is_some() { before } else { 7000 };
        assert_eq!(delay(), kept);
        // A value that is not the usual one is left alone.
        keep_freed(Duration::from_secs(9));
        assert_eq!(delay(), kept);
    }
}

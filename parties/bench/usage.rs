//! What this process has used so far, from the kernel's own accounts (Linux; elsewhere zero).

use std::fs;

/// Kernel clock ticks per second of `/proc/self/stat`: fixed by the Linux user interface.
const TICKS_PER_SECOND: f64 = 100.0;

/// Seconds of processor time of all threads.
pub fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Fields after the command's closing parenthesis; user and system time are numbers 14 and 15.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>()
        / TICKS_PER_SECOND
}

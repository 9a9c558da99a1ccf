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

/// Peak resident memory is measured from now on, where the kernel can do that (Linux).
pub fn forget_peak_rss() {
    // Elsewhere the peak stays that of the whole process, which is never less.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// Resident memory of this process now.
pub fn rss_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok());
    kilobytes.unwrap_or(0u64) * 1024
}

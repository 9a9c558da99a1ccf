//! A line on stdout, for whoever still listens.

/// As `println!`, but a reader that has gone (`senate explain … | head`) is no reason to panic: what a
/// command does beside its words goes on, and its exit code stands.
macro_rules! say {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($words)*);
    }};
}

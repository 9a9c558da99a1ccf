//! Running many independent cells on all cores.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{available_parallelism, scope};

/// `work` on every cell, each within one thread; a panic is a result like another.
pub(crate) fn each<C: Sync, R: Send>(
    cells: &[C],
    work: impl Fn(&C) -> R + Sync,
) -> Vec<Result<R, String>> {
    let next = AtomicUsize::new(0);
    let run = || {
        // The kernels' tasks stay on this thread: the cells are the parallelism.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread();
        let pool = pool.build().unwrap();
        let mut done = Vec::new();
        while let Some((at, cell)) = {
            let at = next.fetch_add(1, Ordering::Relaxed);
            cells.get(at).map(|cell| (at, cell))
        } {
            let result = catch_unwind(AssertUnwindSafe(|| pool.install(|| work(cell))));
            done.push((at, result.map_err(message)));
        }
        done
    };
    let threads = available_parallelism().map_or(2, usize::from);
    let mut all: Vec<_> = scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, result)| result).collect()
}

fn message(panic: Box<dyn std::any::Any + Send>) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

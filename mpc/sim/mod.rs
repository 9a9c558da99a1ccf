//! A federation on one thread: every party's script is polled in a seeded order, every frame
//! passes a hook that may tamper with it, and a deadlock ends as a deadline would.

mod tamper;

pub use tamper::{Action, Honest, Tamper, Tampering, Target};

use crate::entropy::Entropy;
use crate::error::Error;
use crate::mesh::{Frame, Link, Mesh};
use crate::party::ByParty;
use futures_channel::mpsc;
use futures_util::StreamExt;
use futures_util::task::{ArcWake, waker};
use senate_circuit::{PartyId, PartySet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

/// Frames that one link holds before its sender waits.
const LINK_FRAMES: usize = 64;

/// A federation of `n` parties on one thread.
#[derive(Debug)]
pub struct Federation {
    parties: PartySet,
    seed: u64,
}

impl Federation {
    /// `n` parties; `seed` fixes everybody's randomness and the schedule.
    pub fn new(n: usize, seed: u64) -> Self {
        Self { parties: PartySet::first(n), seed }
    }

    /// Runs `script` at every party and returns each party's result.
    pub fn run<F, T>(&self, script: impl Fn(Mesh, Entropy) -> F) -> Vec<Result<T, Error>>
    where
        F: Future<Output = Result<T, Error>>,
    {
        self.run_tampered(&mut Honest, script)
    }

    /// Like [`Federation::run`], with `tamper` between the parties.
    pub fn run_tampered<F, T>(
        &self,
        tamper: &mut dyn Tamper,
        script: impl Fn(Mesh, Entropy) -> F,
    ) -> Vec<Result<T, Error>>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut wires = Vec::new();
        let mut ends: Vec<Vec<(PartyId, Link)>> = self.parties.iter().map(|_| Vec::new()).collect();
        for from in self.parties.iter() {
            for to in self.parties.without(from).iter() {
                let (outgoing, network_in) = mpsc::channel(LINK_FRAMES);
                let (network_out, incoming) = mpsc::channel(LINK_FRAMES);
                wires.push(Wire { from, to, input: Some(network_in), output: Some(network_out) });
                ends[from.index()].push((to, Link { outgoing, incoming: mpsc::channel(0).1 }));
                ends[to.index()].push((from, Link { outgoing: mpsc::channel(0).0, incoming }));
            }
        }
        let tasks = self.parties.iter().map(|me| {
            let mesh = Mesh::new(me, merge_ends(self.parties.without(me), &mut ends[me.index()]));
            let entropy = Entropy::from_os_seed(self.entropy_seed(me));
            Task::new(Box::pin({
                let running = mesh.map(|mesh| (mesh.clone(), script(mesh, entropy)));
                async move {
                    let (mesh, script) = running?;
                    let result = script.await;
                    if let Err(error) = &result {
                        mesh.abort(error.class()).await;
                    }
                    result
                }
            }))
        });
        Schedule { wires, tasks: tasks.collect(), random: self.seed | 1 }.run(tamper)
    }

    fn entropy_seed(&self, party: PartyId) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"simulated party").update(&self.seed.to_le_bytes());
        hasher.update(&[party.index() as u8]);
        *hasher.finalize().as_bytes()
    }
}

fn merge_ends(peers: PartySet, halves: &mut Vec<(PartyId, Link)>) -> ByParty<Link> {
    ByParty::from_fn(peers, |peer| {
        let mut take = || {
            let position = halves.iter().position(|(party, _)| *party == peer).unwrap_or(0);
            halves.swap_remove(position).1
        };
        let (a, b) = (take(), take());
        // One half has the real sender, the other the real receiver; dummies are closed.
        if a.outgoing.is_closed() {
            Link { outgoing: b.outgoing, incoming: a.incoming }
        } else {
            Link { outgoing: a.outgoing, incoming: b.incoming }
        }
    })
}

struct Wire {
    from: PartyId,
    to: PartyId,
    input: Option<mpsc::Receiver<Frame>>,
    output: Option<mpsc::Sender<Frame>>,
}

struct Flag(AtomicBool);

impl ArcWake for Flag {
    fn wake_by_ref(arc_self: &Arc<Self>) {
        arc_self.0.store(true, Ordering::SeqCst);
    }
}

struct Task<'a, T> {
    future: Option<Pin<Box<dyn Future<Output = T> + 'a>>>,
    result: Option<T>,
    flag: Arc<Flag>,
}

impl<'a, T> Task<'a, T> {
    fn new(future: Pin<Box<dyn Future<Output = T> + 'a>>) -> Self {
        Self { future: Some(future), result: None, flag: Arc::new(Flag(AtomicBool::new(true))) }
    }

    /// Polls once if woken; true if anything happened.
    fn turn(&mut self) -> bool {
        if self.result.is_some() || !self.flag.0.swap(false, Ordering::SeqCst) {
            return false;
        }
        let waker = waker(self.flag.clone());
        if let Some(future) = &mut self.future
            && let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(&waker))
        {
            self.result = Some(result);
            self.future = None;
        }
        true
    }
}

struct Schedule<'a, T> {
    wires: Vec<Wire>,
    tasks: Vec<Task<'a, Result<T, Error>>>,
    random: u64,
}

impl<T> Schedule<'_, T> {
    fn run(mut self, tamper: &mut dyn Tamper) -> Vec<Result<T, Error>> {
        loop {
            let start = self.next_random() as usize;
            let count = self.tasks.len();
            let mut progress = false;
            for offset in 0..count {
                progress |= self.tasks[(start + offset) % count].turn();
            }
            for wire in &mut self.wires {
                progress |= wire.pump(tamper);
            }
            if self.tasks.iter().all(|task| task.result.is_some()) {
                break;
            }
            if !progress && !self.pass_deadline() {
                break;
            }
        }
        let lost = || Err(Error::Misuse("script neither finished nor waits for a peer"));
        self.tasks.into_iter().map(|task| task.result.unwrap_or_else(lost)).collect()
    }

    /// Closes every link, as a transport does when a deadline passes; false if all were closed.
    fn pass_deadline(&mut self) -> bool {
        let open = self.wires.iter().any(|wire| wire.output.is_some());
        self.wires.iter_mut().for_each(|wire| {
            wire.output = None;
            wire.input = None;
        });
        open
    }

    fn next_random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

impl Wire {
    /// Moves what is there; true if anything moved or the link closed.
    fn pump(&mut self, tamper: &mut dyn Tamper) -> bool {
        let mut progress = false;
        while let (Some(input), Some(output)) = (&mut self.input, &mut self.output) {
            let mut context = Context::from_waker(std::task::Waker::noop());
            match output.poll_ready(&mut context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => {
                    (self.input, self.output) = (None, None);
                    return true;
                }
                Poll::Pending => break,
            }
            match input.poll_next_unpin(&mut context) {
                Poll::Ready(Some(frame)) => {
                    for frame in tamper.on_frame(self.from, self.to, frame) {
                        let _ = output.clone().try_send(frame);
                    }
                    progress = true;
                }
                Poll::Ready(None) => {
                    (self.input, self.output) = (None, None);
                    return true;
                }
                Poll::Pending => break,
            }
        }
        progress
    }
}

#[cfg(test)]
mod tests;

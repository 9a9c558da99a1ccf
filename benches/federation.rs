//! A federation in one process, one thread per party, links in memory: what the figures are
//! measured on. Shared by the benches and by `senate bench`.

use futures_channel::mpsc;
use senate_circuit::{
    Bits, Builder, LEAKY_BYTES, PartyId, PartySet, Source, Stage, StageId, TreeDepth,
};
use senate_mpc::{
    ByParty, Entropy, Error, Link, Mesh, Outputs, Params, Session, SessionHost, execute,
};
use std::collections::BTreeMap;

/// Frames that one link holds before its sender waits.
const LINK_FRAMES: usize = 64;

/// What `[targets]` of a federation tell the engine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tuning {
    /// What the leaky triples of a large batch take at each party, at most.
    pub(crate) leaky_bytes: usize,
    /// Of the trees of oblivious transfer.
    pub(crate) tree_depth: TreeDepth,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { leaky_bytes: LEAKY_BYTES, tree_depth: TreeDepth::default() }
    }
}

/// What one party did.
pub(crate) struct Run {
    /// What it learnt.
    pub(crate) outputs: Outputs,
    /// Payload bytes it sent, to each peer.
    pub(crate) bytes_sent: ByParty<u64>,
}

impl Run {
    /// Payload bytes it sent, to all peers.
    pub(crate) fn all_bytes_sent(&self) -> u64 {
        self.bytes_sent.values().iter().sum()
    }
}

/// Runs `stages` among `parties` with everything that a query does after planning: session
/// set-up, binding, preprocessing, garbling, evaluation, all checks, release. `own` gives each
/// party's clear inputs by slot.
///
/// # Errors
/// The first party's error.
pub(crate) fn run(
    parties: PartySet,
    stages: &[Stage],
    own: &(dyn Fn(PartyId) -> BTreeMap<usize, Bits> + Sync),
) -> Result<ByParty<Run>, Error> {
    run_over(in_memory(parties), stages, Tuning::default(), own)
}

/// As [`run`], over these links and so tuned.
///
/// # Errors
/// As [`run`].
pub(crate) fn run_over(
    links: ByParty<ByParty<Link>>,
    stages: &[Stage],
    tuning: Tuning,
    own: &(dyn Fn(PartyId) -> BTreeMap<usize, Bits> + Sync),
) -> Result<ByParty<Run>, Error> {
    each_over(links, async |mesh| {
        let inputs = own(mesh.me());
        let session = open(&mesh, digest(stages), tuning).await?;
        let host = SessionHost::within(session, stages, tuning.leaky_bytes)?;
        let outputs = execute(&host, stages, &inputs).await?;
        Ok(Run { outputs, bytes_sent: mesh.bytes_sent() })
    })
}

/// Runs `script` at every party, each on its own thread.
///
/// # Errors
/// The first party's error.
pub(crate) fn each<T: Send>(
    parties: PartySet,
    script: impl AsyncFn(Mesh) -> Result<T, Error> + Sync,
) -> Result<ByParty<T>, Error> {
    each_over(in_memory(parties), script)
}

/// As [`each`], over these links.
fn each_over<T: Send>(
    links: ByParty<ByParty<Link>>,
    script: impl AsyncFn(Mesh) -> Result<T, Error> + Sync,
) -> Result<ByParty<T>, Error> {
    let (parties, script) = (links.parties(), &script);
    std::thread::scope(|scope| {
        let play = |(me, links)| move || futures_executor::block_on(script(Mesh::new(me, links)?));
        let threads: Vec<_> = links.into_iter().map(|seat| scope.spawn(play(seat))).collect();
        let mut results = Vec::new();
        for thread in threads {
            results.push(thread.join().map_err(|_| Error::Misuse("a party's thread panicked"))??);
        }
        let mut results = results.into_iter();
        let next = |_| results.next().ok_or(Error::Misuse("one result per party"));
        ByParty::try_from_fn(parties, next)
    })
}

/// A session with fresh randomness, bound to `digest`.
///
/// # Errors
/// Those of [`Session::open`] and [`Session::bind`].
pub(crate) async fn open(mesh: &Mesh, digest: [u8; 32], tuning: Tuning) -> Result<Session, Error> {
    let mut seed = [0; 32];
    rand::TryRngCore::try_fill_bytes(&mut rand::rngs::OsRng, &mut seed)
        .map_err(|_| Error::Misuse("the operating system gives no randomness"))?;
    let entropy = Entropy::from_os_seed(seed);
    let params = Params::new([0; 32]).with_tree_depth(tuning.tree_depth);
    let session = Session::open(mesh.clone(), params, entropy).await?;
    session.bind(&digest).await?;
    Ok(session)
}

fn digest(stages: &[Stage]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for stage in stages {
        hasher.update(&stage.program.digest_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// For each party its ends of links to all others.
pub(crate) fn in_memory(parties: PartySet) -> ByParty<ByParty<Link>> {
    let mut senders = BTreeMap::new();
    let mut receivers = BTreeMap::new();
    for from in parties.iter() {
        for to in parties.without(from).iter() {
            let (sender, receiver) = mpsc::channel(LINK_FRAMES);
            senders.insert((from, to), sender);
            receivers.insert((from, to), receiver);
        }
    }
    let closed = || mpsc::channel(1);
    ByParty::from_fn(parties, |me| {
        ByParty::from_fn(parties.without(me), |peer| Link {
            outgoing: senders.remove(&(me, peer)).unwrap_or_else(|| closed().0),
            incoming: receivers.remove(&(peer, me)).unwrap_or_else(|| closed().1),
        })
    })
}

/// Lanes of a plane of [`and_gates`].
const LANES: u32 = 1 << 12;

/// One stage of `parties` with `gates` AND gates in layers of 4 096 lanes, inputs from the first
/// party, output to it.
pub(crate) fn and_gates(parties: PartySet, gates: u64) -> Option<Stage> {
    layered(parties, gates, LANES)
}

/// As [`and_gates`], in layers of `width` lanes.
pub(crate) fn layered(parties: PartySet, gates: u64, width: u32) -> Option<Stage> {
    let owner = parties.leader()?;
    let mut builder = Builder::new();
    let inputs = builder.input(&[width, width]);
    let (mut left, mut right) = (*inputs.first()?, *inputs.get(1)?);
    let shift = builder.map((0..width).map(|lane| (lane * 5 + 1) % width).collect());
    let mut rest = gates;
    while rest > 0 {
        let lanes = rest.min(u64::from(width)) as u32;
        let (a, b) = (builder.slice(left, 0, lanes), builder.slice(right, 0, lanes));
        let product = builder.and(a, b);
        let kept = builder.slice(left, lanes, width - lanes);
        let product = builder.concat(&[product, kept]);
        let mixed = builder.gather(product, shift);
        (left, right) = (right, builder.xor(mixed, left));
        rest -= u64::from(lanes);
    }
    builder.output(&[left, right]);
    Some(Stage {
        id: StageId(0),
        parties,
        backend: senate_circuit::Backend::Garbled,
        evaluator: owner,
        program: builder.finish().ok()?,
        inputs: vec![Source::Owner { party: owner, slot: 0 }],
        ver: vec![],
        reveals: vec![senate_circuit::Reveal { bundle: 0, recipients: PartySet::only(owner) }],
    })
}

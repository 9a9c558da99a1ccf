//! A session: the keys, seeds and oblivious transfers of one query (PROTOCOL.md §1, §3, §4).

use crate::auth::{Delta, Member};
use crate::coin::echo;
use crate::domain::{Domain, SessionId};
use crate::entropy::Entropy;
use crate::error::{Error, Fault};
use crate::mesh::{Channel, Kind, Lane, Mesh};
use crate::ot::{Cots, TreeDepth};
use crate::pre::stock::Provisions;
use crate::pre::workbench::Workbench;
use crate::setup::delta_check::check_delta;
use crate::zero::ZeroShares;
use senate_circuit::{PartyId, PartySet};
use std::cell::Cell;
use std::rc::Rc;
use subtle::ConstantTimeEq;

/// Version of the messages of this crate; parties of different versions refuse each other.
pub const PROTOCOL_VERSION: u32 = 6;

/// Least statistical security, in bits.
const RHO_BITS_MIN: u32 = 40;
/// Most statistical security that the 64-bit residues of leaky AND support.
const RHO_BITS_MAX: u32 = 62;

/// What all parties of a session agree on before anything else; κ is fixed at 128.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    rho_bits: u32,
    tree_depth: TreeDepth,
    /// Digest of the federation: its list of parties and their identities.
    pub federation: [u8; 32],
    /// Digest of the federation and of what is made ahead, when the session is opened ahead.
    ahead: Option<[u8; 32]>,
}

impl Params {
    /// 40 bits of statistical security per attempt, k = 4.
    pub fn new(federation: [u8; 32]) -> Self {
        let tree_depth = TreeDepth::default();
        Self { rho_bits: RHO_BITS_MIN, tree_depth, federation, ahead: None }
    }

    /// Of a session that is opened ahead of its query, to make `provisions` first.
    #[must_use]
    pub fn opened_ahead(self, provisions: &Provisions) -> Self {
        Self { ahead: Some(provisions.digest(&self.federation)), ..self }
    }

    /// Other trees of oblivious transfer extension than k = 4.
    #[must_use]
    pub fn with_tree_depth(self, tree_depth: TreeDepth) -> Self {
        Self { tree_depth, ..self }
    }

    /// More statistical security than the default.
    ///
    /// # Errors
    /// [`Error::Misuse`] outside 40..=62.
    pub fn with_rho_bits(self, rho_bits: u32) -> Result<Self, Error> {
        if (RHO_BITS_MIN..=RHO_BITS_MAX).contains(&rho_bits) {
            Ok(Self { rho_bits, ..self })
        } else {
            Err(Error::Misuse("statistical security is 40 to 62 bits"))
        }
    }

    /// ρ.
    pub fn rho_bits(&self) -> u32 {
        self.rho_bits
    }

    fn encode(&self, parties: PartySet) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&PROTOCOL_VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.rho_bits.to_le_bytes());
        bytes.push(self.tree_depth.bits() as u8);
        bytes.extend_from_slice(&parties.mask().to_le_bytes());
        bytes.extend_from_slice(self.ahead.as_ref().unwrap_or(&self.federation));
        bytes
    }
}

/// One party's keys, seeds and oblivious transfers of one query. Cheap to clone; stays on one
/// thread. Secrets are zeroised when the last clone is dropped, which ends the session for good.
#[derive(Clone)]
pub struct Session {
    state: Rc<State>,
}

struct State {
    mesh: Mesh,
    params: Params,
    id: Cell<SessionId>,
    bound: Cell<Binding>,
    stocked: Cell<bool>,
    delta: Rc<Delta>,
    zero: Rc<ZeroShares>,
    cots: Rc<Cots>,
    entropy: Rc<Entropy>,
}

/// How far the session's one query has come. Every step is taken once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Binding {
    Unbound,
    Begun,
    Bound,
    Planned,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({} of {})", self.me(), self.parties())
    }
}

impl Session {
    /// Opens a session of all parties of `mesh`: agreement on parameters, session id, zero share
    /// seeds, oblivious transfer with every peer, Δ consistency. `entropy` serves this session
    /// only.
    ///
    /// # Errors
    /// [`Fault::Binding`] by a peer with other parameters, [`Fault::Echo`], and the faults of
    /// base oblivious transfers, trees, extension and Δ consistency.
    pub async fn open(mesh: Mesh, params: Params, entropy: Entropy) -> Result<Self, Error> {
        let (channel, agreed) = Agreed::new(mesh, params, entropy).await?;
        let depth = agreed.params.tree_depth;
        let cots = Cots::set_up(&channel, agreed.id, depth, &agreed.delta, &agreed.entropy).await?;
        agreed.check(cots).await
    }

    /// As [`Session::open`] with base oblivious transfers dealt instead of run; everything after
    /// them is real. Tests only.
    ///
    /// # Errors
    /// As [`Session::open`].
    #[cfg(any(test, feature = "sim"))]
    pub async fn open_dealt(mesh: Mesh, params: Params, entropy: Entropy) -> Result<Self, Error> {
        let (channel, agreed) = Agreed::new(mesh, params, entropy).await?;
        let depth = agreed.params.tree_depth;
        let cots =
            Cots::set_up_dealt(&channel, agreed.id, depth, &agreed.delta, &agreed.entropy).await?;
        agreed.check(cots).await
    }

    /// Binds the session to `digest`, which covers everything that is agreed on (query, plan,
    /// circuits, catalog, policies): every later tag contains it. Before any input, once.
    ///
    /// # Errors
    /// [`Fault::Binding`] by a peer with another digest, which ends the session; [`Error::Misuse`]
    /// when it was tried before.
    pub async fn bind(&self, digest: &[u8; 32]) -> Result<(), Error> {
        if self.state.bound.replace(Binding::Begun) != Binding::Unbound {
            return Err(Error::Misuse("a session serves one query"));
        }
        let channel = self.state.mesh.channel(Lane::SESSION, self.parties())?;
        let domain = self.domain(self.parties(), Lane::SESSION);
        let bound = self.state.mesh.or_fail(bind(&channel, &domain, digest)).await?;
        self.state.id.set(bound);
        self.state.bound.set(Binding::Bound);
        Ok(())
    }

    /// Whether [`Session::bind`] has succeeded.
    pub fn is_bound(&self) -> bool {
        matches!(self.state.bound.get(), Binding::Bound | Binding::Planned)
    }

    /// Takes the session for its one plan: batches and lanes are numbered within a plan, so a second
    /// one would use coins, tweaks and shares again.
    ///
    /// # Errors
    /// [`Error::Misuse`] unless the session is bound and not taken.
    pub(crate) fn take_for_plan(&self) -> Result<(), Error> {
        match self.state.bound.get() {
            Binding::Bound => {
                self.state.bound.set(Binding::Planned);
                Ok(())
            }
            Binding::Planned => Err(Error::Misuse("a session runs one plan")),
            _ => Err(Error::Misuse("stages run in a bound session")),
        }
    }

    /// Takes the session, which is not bound yet, for the one time that it makes `provisions`.
    ///
    /// # Errors
    /// [`Error::Misuse`] when it is bound, was opened with other provisions, or has been stocked.
    pub(crate) fn take_for_stock(&self, provisions: &Provisions) -> Result<(), Error> {
        let agreed = self.params().opened_ahead(provisions) == *self.params();
        let fits = agreed && provisions.parties() == self.parties();
        if !fits || self.state.bound.get() != Binding::Unbound || self.state.stocked.replace(true) {
            return Err(Error::Misuse("a session makes once, unbound, what it was opened with"));
        }
        Ok(())
    }

    /// Whether `other` is this session.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.state, &other.state)
    }

    /// Why the session has failed, if it has: then its keys are gone and every later call that
    /// would use them or send anything returns this error (PROTOCOL.md §1).
    pub fn failure(&self) -> Option<Error> {
        self.state.mesh.failure()
    }

    /// This party.
    pub fn me(&self) -> PartyId {
        self.state.mesh.me()
    }

    /// Everybody in the session.
    pub fn parties(&self) -> PartySet {
        self.state.mesh.parties()
    }

    /// The links.
    pub fn mesh(&self) -> &Mesh {
        &self.state.mesh
    }

    /// What was agreed on.
    pub fn params(&self) -> &Params {
        &self.state.params
    }

    /// The session's id: the bound one after [`Session::bind`].
    pub fn id(&self) -> SessionId {
        self.state.id.get()
    }

    /// Private randomness of this party.
    pub fn entropy(&self) -> &Rc<Entropy> {
        &self.state.entropy
    }

    /// Shares of zero.
    pub fn zero(&self) -> &Rc<ZeroShares> {
        &self.state.zero
    }

    /// This party as a member of `set`.
    ///
    /// # Errors
    /// As [`Member::new`]; [`Error::Misuse`] when `set` names a stranger; the failure of a session
    /// that has failed.
    pub fn member(&self, set: PartySet) -> Result<Member, Error> {
        if let Some(error) = self.failure() {
            return Err(error);
        }
        if !set.is_subset(self.parties()) {
            return Err(Error::Misuse("a party set within the session"));
        }
        Member::new(self.me(), set, self.state.delta.clone())
    }

    /// The hash domain of `set`'s conversation on `lane`, under the present id.
    pub fn domain(&self, set: PartySet, lane: Lane) -> Domain {
        Domain::new(self.id(), set, lane)
    }

    /// Gives memory that batches are done with back to the system.
    pub(crate) fn release_spare(&self) {
        self.state.cots.spare().release();
    }

    /// The tools of `set`'s conversation on `lane`.
    ///
    /// # Errors
    /// As [`Session::member`].
    pub fn workbench(&self, set: PartySet, lane: Lane) -> Result<Workbench<Cots>, Error> {
        Ok(Workbench {
            channel: self.state.mesh.channel(lane, set)?,
            member: self.member(set)?,
            domain: self.domain(set, lane),
            zero: self.state.zero.clone(),
            cots: self.state.cots.clone(),
            entropy: self.state.entropy.clone(),
        })
    }
}

/// A session before its oblivious transfers.
struct Agreed {
    mesh: Mesh,
    params: Params,
    id: SessionId,
    delta: Rc<Delta>,
    zero: Rc<ZeroShares>,
    entropy: Rc<Entropy>,
}

impl Agreed {
    async fn new(mesh: Mesh, params: Params, entropy: Entropy) -> Result<(Channel, Self), Error> {
        let channel = mesh.channel(Lane::SESSION, mesh.parties())?;
        let id = agree(&channel, &params, &entropy).await?;
        let entropy = Rc::new(entropy);
        let zero = Rc::new(ZeroShares::set_up(&channel, &entropy).await?);
        let delta = Rc::new(Delta::from_random(entropy.block("Δ")));
        Ok((channel, Self { mesh, params, id, delta, zero, entropy }))
    }

    /// The session, once everybody's Δ is known to be consistent.
    async fn check(self, cots: Cots) -> Result<Session, Error> {
        let Self { mesh, params, id, delta, zero, entropy } = self;
        let parties = mesh.parties();
        let (id, bound, cots) = (Cell::new(id), Cell::new(Binding::Unbound), Rc::new(cots));
        let stocked = Cell::new(false);
        let key = Rc::downgrade(&delta);
        mesh.wipe_on_failure(move || key.upgrade().iter().for_each(|delta| delta.wipe()));
        let state = State { mesh, params, id, bound, stocked, delta, zero, cots, entropy };
        let session = Session { state: Rc::new(state) };
        let bench = session.workbench(parties, Lane::SESSION)?;
        session.mesh().or_fail(check_delta(&bench)).await?;
        Ok(session)
    }
}

/// HELLO and SID: equal parameters, an id over everybody's nonce, echoed.
pub(crate) async fn agree(
    channel: &Channel,
    params: &Params,
    entropy: &Entropy,
) -> Result<SessionId, Error> {
    let agreed = params.encode(channel.set());
    let mut hello = agreed.clone();
    hello.extend_from_slice(&entropy.seed("session nonce"));
    let received = channel.exchange(Kind::Hello, &hello).await?;
    let mut hasher = blake3::Hasher::new_derive_key("senate 2026-11 session id");
    for party in channel.set().iter() {
        let theirs = received.at(party).map_or(&hello[..], Vec::as_slice);
        if !theirs.starts_with(&agreed) {
            return Err(Error::by(party, Fault::Binding));
        }
        hasher.update(theirs);
    }
    let id = *hasher.finalize().as_bytes();
    echo(channel, Kind::Sid, &id).await?;
    Ok(SessionId(id))
}

/// BIND: the id that covers `digest`, once everybody has shown the same.
pub(crate) async fn bind(
    channel: &Channel,
    domain: &Domain,
    digest: &[u8; 32],
) -> Result<SessionId, Error> {
    let bound = domain.tag("binding").bytes(digest).digest();
    let received = channel.exchange(Kind::Bind, &bound).await?;
    for (party, theirs) in received.iter() {
        if !bool::from(theirs.as_slice().ct_eq(&bound)) {
            return Err(Error::by(party, Fault::Binding));
        }
    }
    Ok(SessionId(bound))
}

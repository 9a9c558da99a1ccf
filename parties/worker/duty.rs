//! What a gateway and a worker say to each other.

use crate::config::Workspace;
use crate::failure::{Failure, Outcome};
use crate::messages::{Preparation, SessionId};
use crate::policies::Bundle;
use crate::query::agree_signed;
use crate::request::{Request, Stats};
use crate::session::Play;
use crate::transport::{Parcels, Speaking};
use senate_circuit::{Bits, PartySet};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// What the gateway asks of a worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Duty {
    /// A query in a session of its own. Answered by [`Word::Expecting`]; then its inputs follow as a byte
    /// string, answered by [`Word::Progress`]s, then [`Word::Done`] or [`Word::Failed`].
    Query(SessionId, Box<Order>),
    /// A session opened ahead. Answered by [`Word::Expecting`], then [`Word::Ready`].
    Ahead(Preparation),
    /// Queries run at this party: what is made ahead has to wait.
    Pause,
    /// No query runs.
    Resume,
    /// The session opened ahead serves the plan with this digest. Answered by [`Word::Bound`].
    Bind([u8; 32]),
    /// The query that it is bound to. Its inputs follow; answered as [`Duty::Query`].
    Play(Box<Order>),
}

/// What a worker answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Word {
    /// Lanes of the session may come.
    Expecting,
    /// What happens now, for people.
    Progress(String),
    /// The session opened ahead waits for a query.
    Ready,
    /// It is dead; `true` when a check failed.
    Ended(bool),
    /// Whether all parties have bound it.
    Bound(bool),
    /// It worked; if true, this party is a recipient, and an Arrow IPC stream with the rows follows.
    Done(Box<Stats>, bool),
    /// It did not.
    Failed(Failure),
}

/// A query as a worker needs it. The worker plans it anew, so that what it takes part in is what the
/// parties have agreed on and not what its gateway says it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    request: Request,
    policies: Bundle,
    /// Digest of the plan that all parties agreed on.
    digest: [u8; 32],
    /// Everybody in the session, as a mask of positions in the federation.
    participants: u64,
    /// Until it has to end, in ms.
    left_ms: u64,
    /// Slots of this party's encoded inputs, and how many bits each has.
    inputs: Vec<(usize, usize)>,
}

impl Order {
    /// What is to be played.
    pub(crate) fn of(play: &Play) -> Box<Self> {
        let Play { agreement, own, deadline, .. } = play;
        let left = deadline.saturating_duration_since(Instant::now());
        Box::new(Self {
            request: agreement.request.clone(),
            policies: agreement.policies.clone(),
            digest: agreement.plan.digest,
            participants: agreement.plan.participants.mask(),
            left_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
            inputs: own.iter().map(|(slot, bits)| (*slot, bits.len())).collect(),
        })
    }

    /// Says its inputs, which are dropped here one by one.
    ///
    /// # Errors
    /// Lost when the worker is gone.
    pub(crate) async fn give(
        inputs: BTreeMap<usize, Bits>,
        speaking: &mut Speaking,
    ) -> Outcome<()> {
        for (_, bits) in inputs {
            speaking.say_pieces(&bits.to_bytes()).await?;
        }
        speaking.say_end().await
    }

    /// Everybody in the session, as the gateway says.
    pub(crate) fn participants(&self) -> PartySet {
        PartySet::from_mask(self.participants)
    }

    /// Hears its inputs.
    ///
    /// # Errors
    /// Lost when the gateway is gone or they make no sense.
    pub(crate) async fn inputs(&self, parcels: &mut Parcels) -> Outcome<BTreeMap<usize, Bits>> {
        let sizes = self.inputs.iter().map(|(_, bits)| bits.div_ceil(8));
        let all = sizes.fold(0, usize::saturating_add);
        let bytes = parcels.hear_bytes(all).await?;
        let (mut rest, mut own) = (bytes.as_slice(), BTreeMap::new());
        let short = || Failure::lost("the daemon sent other inputs than it said");
        for (slot, bits) in &self.inputs {
            let (input, others) = rest.split_at_checked(bits.div_ceil(8)).ok_or_else(short)?;
            own.insert(*slot, Bits::from_bytes(input, *bits).ok_or_else(short)?);
            rest = others;
        }
        Ok(own)
    }

    /// The query with these inputs.
    ///
    /// # Errors
    /// Unexpected when its plan is another than the agreed one.
    pub(crate) async fn plan(
        &self,
        workspace: &Arc<Workspace>,
        own: BTreeMap<usize, Bits>,
        progress: watch::Sender<String>,
    ) -> Outcome<Play> {
        let deadline = Instant::now() + Duration::from_millis(self.left_ms);
        let (request, policies) = (self.request.clone(), self.policies.clone());
        let agreement = agree_signed(workspace, request, policies).await?;
        let plan = &agreement.plan;
        if plan.digest != self.digest || plan.participants != self.participants() {
            let why = "a session worker plans the query differently than its daemon";
            return Err(Failure::unexpected(why)
                .with_remedy("restart both: they run different binaries or read different files"));
        }
        Ok(Play { agreement, own, deadline, progress })
    }
}

//! A session that lives in a worker: the handles are those of one in this process, the work is asked
//! for and reported by message ([`crate::worker`]).

use super::early::{BIND_MAX, Take};
use super::{Early, EarlyState, Order as Playing, Play, Played, Running};
use crate::ahead::Calm;
use crate::failure::{Cause, Failure, Outcome};
use crate::ipc;
use crate::lanes::Registration;
use crate::messages::Preparation;
use crate::transport::Parcels;
use crate::worker::{Duty, Order, Word, Worker};
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep_until, timeout};

/// How long a worker may take to be ready for the lanes of its session.
const EXPECTING_MAX: Duration = Duration::from_secs(3);
/// How long a worker may take to say whether a session is bound.
const BOUND_MAX: Duration = BIND_MAX.saturating_add(Duration::from_secs(1));

/// How long after its deadline a worker may take to say how a query has ended.
const OVERTIME: Duration = Duration::from_secs(6);

/// A worker that is free for one session.
pub(crate) struct Hired {
    /// The worker.
    pub(crate) worker: Worker,
    /// The session's place among those whose lanes come to the gateway.
    pub(crate) registration: Registration,
}

impl Hired {
    /// Starts a query in a session of its own.
    pub(crate) fn start(self, play: Play) -> Running {
        let (done, result) = oneshot::channel();
        let (cancel, cancelled) = oneshot::channel();
        tokio::spawn(async move {
            let deadline = play.deadline;
            let played = self.run(play);
            let _ = done.send(unless_over(played, cancelled, deadline).await);
        });
        Running { result, cancel }
    }

    async fn run(mut self, play: Play) -> Outcome<Played> {
        let session = self.registration.session();
        let mut speaking = self.worker.parcels.speaking();
        speaking.say(&Duty::Query(session, Order::of(&play))).await.map_err(of_worker)?;
        self.expected().await?;
        let Play { own, progress, .. } = play;
        Order::give(own, &mut speaking).await.map_err(of_worker)?;
        follow(&mut self.worker.parcels, &progress).await
    }

    /// From the worker's word on, lanes are passed on to it.
    async fn expected(&mut self) -> Outcome<()> {
        let heard = timeout(EXPECTING_MAX, self.worker.parcels.hear::<Word>()).await;
        match heard.unwrap_or_else(|_| Err(Failure::lost("it does not answer"))) {
            Ok(Word::Expecting) => {
                self.registration.lives_at(self.worker.address);
                Ok(())
            }
            Ok(Word::Failed(failure)) => Err(failure),
            Ok(_) => Err(of_worker(Failure::lost("it speaks out of order"))),
            Err(failure) => Err(of_worker(failure)),
        }
    }

    /// Begins to open a session ahead of its query.
    pub(crate) fn open(self, preparation: Preparation, calm: Calm) -> Early {
        let (say, state) = watch::channel(EarlyState::Opening);
        let (take, taken) = oneshot::channel();
        tokio::spawn(async move {
            let failed_check = self.tend(preparation, calm, taken, &say).await;
            say.send_replace(EarlyState::Ended(failed_check == Ok(true)));
        });
        Early { state, take }
    }

    /// The whole life of a session opened ahead. Whether a check has failed in it.
    async fn tend(
        mut self,
        preparation: Preparation,
        mut calm: Calm,
        mut taken: oneshot::Receiver<Take>,
        state: &watch::Sender<EarlyState>,
    ) -> Outcome<bool> {
        let mut speaking = self.worker.parcels.speaking();
        speaking.say(&Duty::Ahead(preparation)).await?;
        self.expected().await?;
        if !calm.is_now() {
            speaking.say(&Duty::Pause).await?;
        }
        let Take { digest, bound, play: order } = loop {
            tokio::select! {
                word = self.worker.parcels.hear::<Word>() => match word? {
                    Word::Ready => drop(state.send_replace(EarlyState::Ready)),
                    Word::Ended(failed_check) => return Ok(failed_check),
                    _ => return Err(Failure::lost("the session worker speaks out of order")),
                },
                is_calm = calm.changes() => {
                    let duty = if is_calm { Duty::Resume } else { Duty::Pause };
                    speaking.say(&duty).await?;
                }
                take = &mut taken => match take {
                    Ok(take) => break take,
                    Err(_) => return Ok(false),
                },
            }
        };
        state.send_replace(EarlyState::Taken);
        self.worker.is_taken();
        speaking.say(&Duty::Bind(digest)).await?;
        let word = timeout(BOUND_MAX, self.worker.parcels.hear::<Word>()).await;
        match word.map_err(|_| Failure::lost("the session worker does not answer"))?? {
            Word::Bound(true) => {}
            Word::Ended(failed_check) => return Ok(failed_check),
            _ => return Ok(false),
        }
        let _ = bound.send(());
        let Ok(Playing { play, done, cancelled }) = order.await else { return Ok(false) };
        let deadline = play.deadline;
        let played = async {
            speaking.say(&Duty::Play(Order::of(&play))).await.map_err(of_worker)?;
            let Play { own, progress, .. } = play;
            Order::give(own, &mut speaking).await.map_err(of_worker)?;
            follow(&mut self.worker.parcels, &progress).await
        };
        let _ = done.send(unless_over(played, cancelled, deadline).await);
        Ok(false)
    }
}

/// Leaving a query early ends its session at this party, as does its deadline if the worker has not
/// noticed it.
async fn unless_over(
    played: impl Future<Output = Outcome<Played>>,
    cancelled: oneshot::Receiver<()>,
    deadline: Instant,
) -> Outcome<Played> {
    tokio::select! {
        played = played => played,
        _ = cancelled => Err(Failure::new(Cause::Interrupted, "cancelled by its user")),
        () = sleep_until((deadline + OVERTIME).into()) => {
            Err(of_worker(Failure::lost("it has not ended in time")))
        }
    }
}

/// Hears how a query goes on until it ends.
async fn follow(parcels: &mut Parcels, progress: &watch::Sender<String>) -> Outcome<Played> {
    loop {
        match parcels.hear::<Word>().await.map_err(of_worker)? {
            Word::Progress(what) => drop(progress.send(what)),
            Word::Done(stats, false) => return Ok(Played { answer: None, stats: *stats }),
            Word::Done(stats, true) => {
                let bytes = parcels.hear_bytes(ipc::BYTES_MAX).await.map_err(of_worker)?;
                return Ok(Played { answer: Some(ipc::decode(bytes)?), stats: *stats });
            }
            Word::Failed(failure) => return Err(failure),
            _ => return Err(of_worker(Failure::lost("it speaks out of order"))),
        }
    }
}

fn of_worker(failure: Failure) -> Failure {
    failure.at("the session worker").with_remedy("see its last log lines, then ask again")
}

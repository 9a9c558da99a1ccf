//! The queries of a daemon: those that run, those whose answers are kept for whoever asked, and a
//! bounded memory of the others.

mod job;
mod line;

pub(crate) use job::{Asked, End, Job, Keep, User};
pub(crate) use line::{JobLine, JobState};

use crate::config::Limits;
use crate::failure::{Failure, Outcome};
use crate::query::Answered;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Ended queries that are remembered without their answers.
const PAST_MAX: usize = 256;
/// Fewer digits of an id are too likely to be another's.
const ID_DIGITS_MIN: usize = 4;

/// All queries of one daemon.
pub(crate) struct Jobs {
    limits: Limits,
    state: Mutex<State>,
    running: watch::Sender<usize>,
}

#[derive(Default)]
struct State {
    running: Vec<Arc<Job>>,
    /// The oldest first.
    kept: VecDeque<Arc<Job>>,
    past: VecDeque<JobLine>,
}

/// What an id names.
pub(crate) enum Found {
    /// It runs, or its answer is there.
    Here(Arc<Job>),
    /// It is only remembered.
    Past(JobLine),
}

impl Jobs {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, state: Mutex::default(), running: watch::Sender::new(0) }
    }

    /// A query begins.
    ///
    /// # Errors
    /// Lost when as many as may run and wait are there already.
    pub(crate) fn open(&self, asked: Asked) -> Outcome<Arc<Job>> {
        let mut state = self.state();
        let most = self.limits.running.saturating_add(self.limits.queued);
        if state.running.len() >= most {
            return Err(Failure::lost(format!("{most} queries are already running or waiting"))
                .with_remedy("ask again later, or raise [limits] in party.toml"));
        }
        let job = Arc::new(Job::new(asked));
        state.running.push(Arc::clone(&job));
        self.running.send_replace(state.running.len());
        Ok(job)
    }

    /// The query has ended. Whoever waits for it hears so.
    pub(crate) fn close(&self, job: &Arc<Job>, outcome: Outcome<Answered>) {
        let mut state = self.state();
        state.running.retain(|other| other.id() != job.id());
        let end = job.end(outcome);
        let fits = end.bytes() <= self.limits.results.0;
        // Another party's question is kept for its answer only: whoever asks much keeps little here.
        let keep = match (job.user(), end.rows()) {
            (User::Party(_), None) => Keep::ForNobody,
            _ => job.keep(),
        };
        match keep {
            Keep::ForLater if fits => state.kept.push_back(Arc::clone(job)),
            Keep::ForLater => {
                tracing::warn!(session = %job.session(), "answer larger than [limits] results");
                state.remember(job.line().too_large());
            }
            Keep::ForNobody => state.remember(job.line().without_answer()),
        }
        state.prune(&self.limits);
        self.running.send_replace(state.running.len());
    }

    /// How many run, as it changes.
    pub(crate) fn running(&self) -> watch::Receiver<usize> {
        self.running.subscribe()
    }

    /// What `user` may see, the newest last.
    pub(crate) fn list(&self, user: &User) -> Vec<JobLine> {
        let mut state = self.state();
        state.prune(&self.limits);
        let here = state.kept.iter().chain(&state.running);
        let here = here.filter(|job| user.may_see(job.user())).map(|job| job.line());
        let past = state.past.iter().filter(|line| user.may_see(&line.user)).cloned();
        let mut lines: Vec<_> = past.chain(here).collect();
        lines.sort_by_key(|line| line.started_unix_s);
        lines
    }

    /// The one query that `user` may see whose id begins so.
    ///
    /// # Errors
    /// Usage when there is none, or more than one.
    pub(crate) fn find(&self, user: &User, id: &str) -> Outcome<Found> {
        if id.len() < ID_DIGITS_MIN {
            let why = format!("an ID has at least {ID_DIGITS_MIN} digits");
            return Err(Failure::usage(why).with_remedy("`senate jobs` lists them"));
        }
        let mut state = self.state();
        state.prune(&self.limits);
        let named = |other: &str| other.starts_with(id);
        let here = state.kept.iter().chain(&state.running);
        let here = here.filter(|job| named(job.id()) && user.may_see(job.user()));
        let past = state.past.iter().filter(|line| named(&line.id) && user.may_see(&line.user));
        let mut found: Vec<Found> = here.map(|job| Found::Here(Arc::clone(job))).collect();
        found.extend(past.map(|line| Found::Past(line.clone())));
        let shown: String = id.chars().filter(char::is_ascii_hexdigit).take(32).collect();
        match (found.pop(), found.pop()) {
            (Some(one), None) => Ok(one),
            (None, _) => Err(Failure::usage(format!("no query `{shown}` here"))
                .with_remedy("`senate jobs` lists them; answers are kept for a limited time")),
            _ => Err(Failure::usage(format!("more than one query begins with `{shown}`"))
                .with_remedy("give more digits")),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remember(&mut self, line: JobLine) {
        self.past.push_back(line);
        while self.past.len() > PAST_MAX {
            self.past.pop_front();
        }
    }

    /// Answers that are too old, and the oldest while they are too large together, are given up.
    fn prune(&mut self, limits: &Limits) {
        let bytes = |job: &Arc<Job>| job.ended().map_or(0, |end| end.bytes());
        let mut total: u64 = self.kept.iter().map(bytes).sum();
        while let Some(oldest) = self.kept.front() {
            let is_old = oldest.ended().is_some_and(|end| end.age() > limits.results_kept());
            if !is_old && total <= limits.results.0 && self.kept.len() <= PAST_MAX {
                return;
            }
            total = total.saturating_sub(bytes(oldest));
            if let Some(oldest) = self.kept.pop_front() {
                self.remember(oldest.line().without_answer());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Bytes;
    use crate::messages::SessionId;
    use crate::request::Stats;
    use datafusion::arrow::array::{ArrayRef, Int64Array};
    use datafusion::arrow::record_batch::RecordBatch;

    fn jobs() -> Jobs {
        Jobs::new(Limits { results: Bytes(20_000), running: 2, queued: 1, ..Limits::default() })
    }

    fn asked(id: u8, user: &User, keep: Keep) -> Asked {
        let (session, sql) = (SessionId([id; 16]), "SELECT 1".to_owned());
        Asked { session, user: user.clone(), party: "a".to_owned(), sql, keep }
    }

    fn answer(rows: usize) -> Answered {
        let column = Arc::new(Int64Array::from(vec![1; rows])) as ArrayRef;
        let rows = RecordBatch::try_from_iter([("n", column)]).unwrap();
        Answered { rows: Some(rows), stats: Stats::default() }
    }

    #[test]
    fn an_answer_is_kept_for_those_who_come_back_and_within_bounds() {
        let (jobs, user) = (jobs(), User::Operator);
        for id in 1..=3 {
            let job = jobs.open(asked(id, &user, Keep::ForLater)).unwrap();
            jobs.close(&job, Ok(answer(1000)));
        }
        let Found::Here(newest) = jobs.find(&user, "0303").unwrap() else { panic!("not kept") };
        assert_eq!(newest.ended().unwrap().rows().unwrap().num_rows(), 1000);
        assert!(matches!(jobs.find(&user, "0101").unwrap(), Found::Past(_)), "the oldest went");
        let large = jobs.open(asked(4, &user, Keep::ForLater)).unwrap();
        jobs.close(&large, Ok(answer(10_000)));
        let Found::Past(line) = jobs.find(&user, "0404").unwrap() else { panic!("too large") };
        assert!(matches!(line.state, JobState::TooLarge(_)), "{}", line.state);
        let seen = jobs.open(asked(5, &user, Keep::ForNobody)).unwrap();
        jobs.close(&seen, Ok(answer(1)));
        assert!(matches!(jobs.find(&user, "0505").unwrap(), Found::Past(_)), "delivered");
        assert_eq!(jobs.list(&user).len(), 5);
    }

    #[test]
    fn analysts_see_their_own_queries_and_the_operator_all() {
        let jobs = jobs();
        let [ann, bob] = ["ann", "bob"].map(|name| User::Analyst(name.to_owned()));
        let _job = jobs.open(asked(1, &ann, Keep::ForLater)).unwrap();
        for (user, sees) in [(&ann, 1), (&bob, 0), (&User::Operator, 1)] {
            assert_eq!(jobs.list(user).len(), sees);
            assert_eq!(jobs.find(user, "0101").is_ok(), sees == 1);
        }
        assert!(jobs.find(&ann, "01").is_err(), "two digits name nothing");
    }

    #[tokio::test]
    async fn a_cancelled_query_stops_and_says_why() {
        let (jobs, user) = (jobs(), User::Operator);
        let job = jobs.open(asked(1, &user, Keep::ForNobody)).unwrap();
        job.cancel("somebody left");
        let work = job.unless_cancelled(std::future::pending::<Outcome<()>>());
        let failure = work.await.unwrap_err();
        assert_eq!(
            (failure.cause.exit_code(), failure.to_string().as_str()),
            (130, "somebody left")
        );
        jobs.close(&job, Err(failure));
        assert!(job.wait().await.outcome().is_err());
    }

    #[test]
    fn only_so_many_queries_are_taken_in() {
        let (jobs, user) = (jobs(), User::Operator);
        let open: Vec<_> =
            (1..=3).map(|id| jobs.open(asked(id, &user, Keep::ForNobody)).unwrap()).collect();
        assert_eq!(jobs.open(asked(4, &user, Keep::ForNobody)).err().unwrap().cause.exit_code(), 4);
        assert_eq!(*jobs.running().borrow(), 3);
        jobs.close(&open[0], Err(Failure::lost("gone")));
        assert!(jobs.open(asked(5, &user, Keep::ForNobody)).is_ok());
    }
}

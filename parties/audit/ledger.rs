//! The log of a running daemon, and what it says about uses so far.

use super::chain::Head;
use super::entry::{Entry, Event, Subject};
use super::log::Tail;
use crate::failure::{Failure, Outcome};
use crate::identity::Identity;
use senate_planner::policy::Budget;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use time::OffsetDateTime;

/// Entries are appended by one thread at a time, and what they allow is counted under the same lock.
pub struct Ledger {
    party: String,
    book: Mutex<Book>,
}

struct Book {
    tail: Tail,
    hashes: Vec<[u8; 32]>,
    uses: Vec<Use>,
    heads: BTreeMap<String, Head>,
}

/// A query of another party that took this party's rows.
struct Use {
    seconds: i64,
    template: String,
    approvals: Vec<String>,
}

/// What an admission draws on.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    /// The policy's budget.
    pub budget: Option<Budget>,
    /// The approval that the query runs by, and how often it may be used.
    pub approval: Option<(String, Option<u32>)>,
}

impl Ledger {
    /// Opens the log of `party` in its folder and checks all of it.
    ///
    /// # Errors
    /// As [`super::read`]; usage when another process has it open.
    pub fn open(folder: &Path, party: &str, identity: &Identity) -> Outcome<Self> {
        let (tail, history) = Tail::open(folder, party, identity.fingerprint())?;
        let mut book =
            Book { tail, hashes: history.hashes, uses: Vec::new(), heads: BTreeMap::new() };
        history.entries.iter().for_each(|entry| book.note(entry));
        Ok(Self { party: party.to_owned(), book: Mutex::new(book) })
    }

    /// Where the log ends.
    pub fn head(&self) -> Head {
        self.book().tail.head
    }

    /// Hashes of all entries.
    pub fn hashes(&self) -> Vec<[u8; 32]> {
        self.book().hashes.clone()
    }

    /// Writes an event.
    ///
    /// # Errors
    /// Unexpected when it cannot be written: what it is about must not happen.
    pub fn record(&self, identity: &Identity, event: Event, subject: Subject) -> Outcome<Head> {
        self.book().record(identity, event, subject)
    }

    /// Writes that a query of another party takes this party's rows, if budget and approval allow
    /// one more.
    ///
    /// # Errors
    /// Refused when they do not; as [`Ledger::record`].
    pub fn admit(&self, identity: &Identity, subject: Subject, usage: &Usage) -> Outcome<Head> {
        let mut book = self.book();
        if let Some((id, Some(times))) = &usage.approval {
            let used = book.uses_of(id);
            if used >= *times as usize {
                let why = format!("approval {id} has been used {used} times, as often as it may");
                return Err(Failure::refused(why).with_remedy("approve the query again"));
            }
        }
        if let Some(budget) = usage.budget {
            book.within(budget, &subject.template).map_err(|why| {
                Failure::refused(format!(
                    "refused by the policy of party {}, rule budget: {why}",
                    self.party
                ))
                .with_remedy("ask again later")
            })?;
        }
        book.record(identity, Event::Admitted, subject)
    }

    /// How many queries have run by an approval.
    pub fn uses(&self, approval: &str) -> usize {
        self.book().uses_of(approval)
    }

    /// What is wrong with the head that a peer shows, compared with those it has shown before.
    pub fn compare(&self, peer: &str, head: Head) -> Option<String> {
        let known = self.book().heads.get(peer).copied()?;
        let (now, before) = (head.seq, known.seq);
        if now == before && head.link != known.link {
            return Some(format!(
                "the audit log of party {peer} has changed its past: entry {now} is another one now"
            ));
        }
        // Ends that were told while queries ran side by side may arrive in another order.
        (now < before).then(|| {
            format!(
                "the audit log of party {peer} has changed its past, or was told of in another \
                 order by queries at the same time: it ended at entry {before} and now ends at {now}"
            )
        })
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn record(&mut self, identity: &Identity, event: Event, subject: Subject) -> Outcome<Head> {
        let (entry, hash) = self.tail.append(identity, event, subject)?;
        self.hashes.push(hash);
        self.note(&entry);
        Ok(self.tail.head)
    }

    fn note(&mut self, entry: &Entry) {
        let subject = &entry.subject;
        for (peer, head) in &subject.heads {
            let known = self.heads.entry(peer.clone()).or_insert(*head);
            if head.seq > known.seq {
                *known = *head;
            }
        }
        if entry.event == Event::Admitted {
            self.uses.push(Use {
                seconds: entry.seconds(),
                template: subject.template.clone(),
                approvals: subject.approvals.clone(),
            });
        }
    }

    fn uses_of(&self, approval: &str) -> usize {
        self.uses.iter().filter(|used| used.approvals.iter().any(|id| id == approval)).count()
    }

    /// Whether one more query is within the budget.
    fn within(&self, budget: Budget, template: &str) -> Result<(), String> {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let counts = |used: &&Use| match budget.per.seconds() {
            Some(period) => now.saturating_sub(used.seconds) < period.cast_signed(),
            None => true,
        };
        let all = self.uses.iter().filter(counts).count();
        let same = self.uses.iter().filter(counts).filter(|used| used.template == template).count();
        let period = format!("{:?}", budget.per).to_ascii_lowercase();
        if all >= budget.queries as usize {
            return Err(format!("{} queries per {period} are used up", budget.queries));
        }
        match budget.per_template {
            Some(most) if same >= most as usize => {
                Err(format!("{most} queries of this kind per {period} are used up"))
            }
            _ => Ok(()),
        }
    }
}

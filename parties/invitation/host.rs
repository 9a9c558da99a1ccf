//! The host's side: gives out codes, lets their holders in, makes one federation.toml of what all
//! bring, and collects the signatures.

use super::proof::{Transcript, code_id, commitment};
use super::{
    Claim, Code, Completion, Consent, Greeting, NEXT, Offer, Proposal, Refusal, Submission,
    Written, expected, harmless,
};
use crate::config::FEDERATION_FILE;
use crate::draft::{BYTES_MAX, Draft, Member};
use crate::failure::{Failure, Outcome};
use crate::identity::{Fingerprint, Identity};
use crate::messages::Version;
use crate::prompt::confirmed;
use crate::roster::{self, Signed};
use crate::tls;
use crate::transport::Connection;
use futures_util::future::join_all;
use futures_util::stream;
use rand::TryRngCore;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;

/// Conversations at once.
const CONNECTIONS_MAX: usize = 64;
/// Wrong claims before the round ends.
const ATTEMPTS_MAX: usize = 16;
/// After a connection that could not be taken, before the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long a guest may take from the connection to a good claim.
const CLAIM_MAX: Duration = Duration::from_secs(20);

/// How long guests may take to write their files.
const WRITTEN_MAX: Duration = Duration::from_secs(10);
/// What is already said to somebody arrives before this process ends.
const LINGER: Duration = Duration::from_millis(300);

/// Who invites.
pub struct Host {
    /// Its workspace.
    pub folder: PathBuf,
    /// Its identity.
    pub identity: Identity,
    /// Its entry in the federation.
    pub member: Member,
    /// The federation as the host has it.
    pub draft: Draft,
    /// How many parties are new.
    pub newcomers: usize,
    /// How long the codes count.
    pub lasts: Duration,
    /// Certificates of guests that need no comparing of words.
    pub yes_if: Vec<String>,
}

/// A place in the round.
struct Seat {
    code: Code,
    /// The member that it is for; a newcomer otherwise.
    member: Option<Member>,
    is_taken: bool,
}

/// Seats, and how often somebody has failed to take one.
struct Door {
    seats: Vec<Seat>,
    /// Certificates that are in the federation already: no newcomer's.
    members: Vec<String>,
    attempts: usize,
}

/// A guest that has been let in and has said what it brings.
struct Arrival {
    submission: Submission,
    fingerprint: Fingerprint,
    words: String,
    is_new: bool,
    propose: oneshot::Sender<Proposal>,
    consent: oneshot::Receiver<Consent>,
    complete: oneshot::Sender<Completion>,
    finished: oneshot::Receiver<()>,
}

/// Holds a round; `show` gets every code with the name of the member that it is for.
///
/// # Errors
/// Usage when the port cannot be opened or the parts contradict each other; lost when a guest goes
/// away or the codes expire; refused when somebody declines.
pub async fn host(host: Host, mut show: impl FnMut(Option<&str>, &Code)) -> Outcome<()> {
    let address = host.member.address.as_str();
    let listener = TcpListener::bind(address).await.map_err(|error| {
        Failure::usage(format!("{address}: {error}")).with_remedy(
            "stop what uses the port; if it is this party's own daemon, start it again when \
                 all have signed",
        )
    })?;
    eprintln!("waiting at {address} for {} minutes", host.lasts.as_secs() / 60);
    let members = host.draft.members()?;
    let pinned = members.iter().map(|member| member.fingerprint.clone()).collect();
    let known = members.into_iter().filter(|member| member.name != host.member.name).map(Some);
    let mut seats = Vec::new();
    for member in known.chain(std::iter::repeat_n(None, host.newcomers)) {
        let code = Code::fresh(host.identity.fingerprint(), address, host.lasts)?;
        show(member.as_ref().map(|member| member.name.as_str()), &code);
        seats.push(Seat { code, member, is_taken: false });
    }
    let (guests, deadline) = (seats.len(), Instant::now() + host.lasts);
    let door = Arc::new(Mutex::new(Door { seats, members: pinned, attempts: 0 }));
    let acceptor = tls::acceptor_of_strangers(&host.identity)?;
    let own = host.identity.fingerprint();
    let (arrived, mut arrivals) = mpsc::channel(guests.max(1));
    let (failed, mut failures) = mpsc::channel(1);
    let desk = Arc::new(Desk { door, own, arrived, failed });
    let mut tasks = JoinSet::new();
    tasks.spawn(receive(listener, acceptor, desk));
    let round = async {
        tokio::select! {
            biased;
            Some(failure) = failures.recv() => Err(failure),
            done = agree(&host, guests, &mut arrivals) => done,
        }
    };
    let ended = timeout_at(deadline, round).await;
    ended.unwrap_or_else(|_| {
        Err(Failure::lost("the codes expired before all had signed")
            .with_remedy("invite again; --expires MINUTES allows more time"))
    })
}

/// From the guests' arrival to the files.
async fn agree(host: &Host, guests: usize, arrivals: &mut mpsc::Receiver<Arrival>) -> Outcome<()> {
    let mut present = Vec::with_capacity(guests);
    while present.len() < guests {
        let arrival = arrivals.recv().await;
        let arrival = arrival.ok_or_else(|| Failure::unexpected("nobody listens any more"))?;
        eprintln!(
            "{} is here, {} ({})",
            arrival.submission.member.name,
            arrival.fingerprint,
            arrival.fingerprint.words()
        );
        present.push(arrival);
    }
    let merged = merged(host, &present);
    let agreed = match merged {
        Ok(draft) => consent(host, &draft, &present).await.map(|()| draft),
        Err(failure) => Err(failure),
    };
    let draft = match agreed {
        Ok(draft) => draft,
        Err(failure) => {
            present.into_iter().for_each(|guest| drop(guest.propose.send(Proposal::None)));
            tokio::time::sleep(LINGER).await;
            return Err(failure);
        }
    };
    let text = draft.text();
    let signature = roster::sign(&host.identity, &text)?;
    let mut signed = vec![Signed { party: host.member.name.clone(), signature }];
    let mut waiting = Vec::new();
    for guest in present {
        let _ = guest.propose.send(Proposal::File(text.clone()));
        let ending = (guest.complete, guest.finished);
        waiting.push((guest.submission.member.name, guest.consent, ending));
    }
    let mut endings = Vec::new();
    for (party, consent, ending) in waiting {
        match consent.await {
            Ok(Consent::Signed(signature)) => signed.push(Signed { party, signature }),
            Ok(Consent::Declined) => {
                return Err(Failure::refused(format!(
                    "{party} does not sign; nothing was written"
                )));
            }
            Err(_) => return Err(Failure::lost_party(&party, format!("{party} went away"))),
        }
        endings.push(ending);
    }
    let members = draft.members()?;
    roster::verify(&members, blake3::hash(text.as_bytes()).as_bytes(), &signed)
        .map_err(|why| Failure::aborted(format!("a signature does not hold: {why}")))?;
    roster::write(&host.folder, &text, &signed)?;
    let finished = endings.into_iter().map(|(complete, finished)| {
        let _ = complete.send(Completion(signed.clone()));
        finished
    });
    let _ = timeout(WRITTEN_MAX, join_all(finished)).await;
    eprintln!("{} parties have signed {FEDERATION_FILE}; {NEXT}", members.len());
    Ok(())
}

/// One file of what all bring.
fn merged(host: &Host, present: &[Arrival]) -> Outcome<Draft> {
    let mut draft = host.draft.clone();
    for guest in present {
        let Submission { member, parts } = &guest.submission;
        if guest.is_new && draft.members()?.iter().any(|known| known.name == member.name) {
            return Err(Failure::usage(format!("a newcomer calls itself {:?}", member.name))
                .with_remedy("one of the two has to take another name"));
        }
        draft.put_party(member)?;
        for part in parts {
            draft
                .put_part(&member.name, part)
                .map_err(|failure| failure.at(format!("what {} publishes", member.name)))?;
        }
    }
    if draft.text().len() > BYTES_MAX {
        return Err(Failure::usage(format!(
            "{FEDERATION_FILE} becomes longer than {BYTES_MAX} bytes"
        )));
    }
    draft.federation().map(|_| draft)
}

/// The operator compares words and sees the file.
async fn consent(host: &Host, draft: &Draft, present: &[Arrival]) -> Outcome<()> {
    eprintln!("---- {FEDERATION_FILE}\n{}\n----", harmless(&draft.text()));
    let mut is_known = true;
    for guest in present {
        eprintln!("{} sees these words: {}", guest.submission.member.name, guest.words);
        is_known &= expected(&host.yes_if, guest.fingerprint)?;
    }
    if is_known
        || confirmed("Are the words the same there, and do you sign this federation?").await?
    {
        return Ok(());
    }
    Err(Failure::refused("the federation was not signed; nothing was written"))
}

/// Where the guests' tasks report.
struct Desk {
    door: Arc<Mutex<Door>>,
    own: Fingerprint,
    arrived: mpsc::Sender<Arrival>,
    failed: mpsc::Sender<Failure>,
}

async fn receive(listener: TcpListener, acceptor: TlsAcceptor, desk: Arc<Desk>) {
    let (slots, mut guests) = (Arc::new(Semaphore::new(CONNECTIONS_MAX)), JoinSet::new());
    loop {
        tokio::select! {
            Some(_) = guests.join_next() => {}
            incoming = listener.accept() => {
                let (Ok((tcp, _)), Ok(slot)) = (incoming, Arc::clone(&slots).try_acquire_owned())
                else {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                let (acceptor, desk) = (acceptor.clone(), Arc::clone(&desk));
                guests.spawn(async move {
                    let _slot = slot;
                    desk.attend(acceptor, tcp).await;
                });
            }
        }
    }
}

impl Desk {
    /// A stranger's attempt is only noted; a guest that was let in and fails ends the round.
    async fn attend(&self, acceptor: TlsAcceptor, tcp: TcpStream) {
        let claimed = timeout(CLAIM_MAX, self.claim(acceptor, tcp)).await;
        let claimed = claimed.unwrap_or_else(|_| Err(Failure::lost("took too long")));
        match claimed {
            Ok((connection, words, member)) => {
                if let Err(failure) = self.accompany(connection, words, member).await {
                    let _ = self.failed.send(failure).await;
                }
            }
            Err(failure) => {
                eprintln!("somebody was not let in: {failure}");
                let is_over = self.door().attempts > ATTEMPTS_MAX;
                if is_over {
                    let why = format!("more than {ATTEMPTS_MAX} wrong attempts; the round is over");
                    let failure = Failure::refused(why).with_remedy("invite again, with new codes");
                    let _ = self.failed.send(failure).await;
                }
            }
        }
    }

    fn door(&self) -> std::sync::MutexGuard<'_, Door> {
        self.door.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a seat for who proves to know its code.
    async fn claim(
        &self,
        acceptor: TlsAcceptor,
        tcp: TcpStream,
    ) -> Outcome<(Connection, String, Option<Member>)> {
        let mut connection = Connection::accept(acceptor, tcp).await?;
        let mut host_nonce = [0; 32];
        rand::rngs::OsRng
            .try_fill_bytes(&mut host_nonce)
            .map_err(|error| Failure::unexpected(format!("randomness: {error}")))?;
        let promised = commitment(&host_nonce);
        connection.send(&Offer { version: Version::own(), commitment: promised }).await?;
        let claim: Claim = connection.receive().await?;
        let seated = self.seat(&claim, connection.peer(), promised, &host_nonce);
        match seated {
            Ok((proof, words, member)) => {
                let welcome = Greeting::Welcome { nonce: host_nonce, proof: *proof.as_bytes() };
                connection.send(&welcome).await?;
                Ok((connection, words, member))
            }
            Err(refusal) => {
                let _ = connection.send(&Greeting::Refused(refusal)).await;
                Err(Failure::refused(match refusal {
                    Refusal::Unknown => "an unknown code",
                    Refusal::Used => "a code that has been used",
                    Refusal::Expired => "an expired code",
                    Refusal::Stranger => "a code with another party's identity",
                    Refusal::Version(_) => "another version of senate",
                }))
            }
        }
    }

    /// Checks a claim and takes its seat, in one step.
    fn seat(
        &self,
        claim: &Claim,
        guest: Fingerprint,
        promised: [u8; 32],
        host_nonce: &[u8; 32],
    ) -> Result<(blake3::Hash, String, Option<Member>), Refusal> {
        if claim.version != Version::own() {
            return Err(Refusal::Version(Version::own()));
        }
        let own = self.own;
        let mut door = self.door();
        let Door { seats, members, attempts } = &mut *door;
        let found = seats.iter_mut().find(|seat| code_id(seat.code.secret()) == claim.code);
        let Some(seat) = found else {
            *attempts += 1;
            return Err(Refusal::Unknown);
        };
        let transcript = Transcript {
            secret: seat.code.secret(),
            host: own,
            guest,
            commitment: promised,
            guest_nonce: claim.nonce,
        };
        if blake3::Hash::from_bytes(claim.proof) != transcript.guest_proof() {
            *attempts += 1;
            return Err(Refusal::Unknown);
        }
        if seat.is_taken {
            return Err(Refusal::Used);
        }
        if seat.code.remaining().is_none() {
            return Err(Refusal::Expired);
        }
        let is_stranger = match &seat.member {
            Some(member) => member.fingerprint != guest.to_string(),
            None => guest == own || members.contains(&guest.to_string()),
        };
        if is_stranger {
            return Err(Refusal::Stranger);
        }
        let (proof, words) = (transcript.host_proof(host_nonce), transcript.words(host_nonce));
        let member = seat.member.clone();
        seat.is_taken = true;
        Ok((proof, words, member))
    }

    /// A guest from its submission to its files.
    async fn accompany(
        &self,
        mut connection: Connection,
        words: String,
        member: Option<Member>,
    ) -> Outcome<()> {
        let fingerprint = connection.peer();
        eprintln!("a guest is comparing words: {words}");
        let gone = |failure: Failure| {
            failure.at("a guest went away").with_remedy("nothing was written; invite again")
        };
        let submission: Submission = connection.receive().await.map_err(gone)?;
        let name = submission.member.name.clone();
        let is_itself = submission.member.fingerprint == fingerprint.to_string()
            && member.as_ref().is_none_or(|member| *member == submission.member);
        if !is_itself {
            return Err(Failure::aborted(format!(
                "a guest says of itself what its certificate or {FEDERATION_FILE} does not: {name:?}"
            )));
        }
        let gone = |failure: Failure| Failure {
            lost: Some(name.clone()),
            ..failure
                .at(format!("party {name:?} went away"))
                .with_remedy("nothing was written; invite again")
        };
        let (propose, proposal) = oneshot::channel();
        let (consented, consent) = oneshot::channel();
        let (complete, completion) = oneshot::channel();
        let (finish, finished) = oneshot::channel();
        let is_new = member.is_none();
        let arrival = Arrival {
            submission,
            fingerprint,
            words,
            is_new,
            propose,
            consent,
            complete,
            finished,
        };
        let _ = self.arrived.send(arrival).await;
        let nothing = stream::pending::<()>;
        let Ok(proposal) = connection.alive_while(proposal, nothing()).await.map_err(gone)? else {
            return Ok(());
        };
        connection.send(&proposal).await.map_err(gone)?;
        if matches!(proposal, Proposal::None) {
            return Ok(());
        }
        let said: Consent = connection.receive().await.map_err(gone)?;
        let _ = consented.send(said);
        let Ok(completion) = connection.alive_while(completion, nothing()).await.map_err(gone)?
        else {
            return Ok(());
        };
        // Everybody has signed: the round does not depend on this guest any more.
        let written = async {
            connection.send(&completion).await?;
            connection.receive::<Written>().await
        };
        if written.await.is_err() {
            eprintln!("{name} may not have its files: senate invite --members gives them to it");
        }
        let _ = finish.send(());
        Ok(())
    }
}

use super::*;
use crate::error::{AbortClass, Fault};
use crate::mesh::{Kind, Lane};

async fn exchange(mesh: Mesh, entropy: Entropy) -> Result<u8, Error> {
    let channel = mesh.channel(Lane::SESSION, mesh.parties())?;
    let mine = entropy.seed("test")[0];
    let others = channel.exchange(Kind::Hello, &[mine]).await?;
    Ok(others.values().iter().fold(mine, |sum, payload| sum ^ payload[0]))
}

#[test]
fn everybody_receives_what_everybody_sent() {
    for n in 2..6 {
        let results = Federation::new(n, 7).run(exchange);
        assert!(results.iter().all(|result| result.is_ok() && *result == results[0]));
    }
}

fn tampered(action: Action) -> Vec<Result<u8, Error>> {
    let parties = PartySet::first(3);
    let from = PartyId::new(0).unwrap();
    let to = PartySet::only(PartyId::new(1).unwrap());
    assert!(to.is_subset(parties));
    let mut tamper = Tampering::new(Target { from, to, kind: Kind::Hello, skip: 0 }, action);
    Federation::new(3, 1).run_tampered(&mut tamper, exchange)
}

#[test]
fn a_dropped_message_ends_as_a_lost_peer_and_others_are_told() {
    let results = tampered(Action::Drop);
    assert_eq!(results[1], Err(Error::Lost { party: PartyId::new(0).unwrap() }));
}

#[test]
fn a_message_of_the_wrong_size_is_blamed_on_its_sender() {
    for action in [Action::Truncate, Action::Extend] {
        let results = tampered(action);
        let fault = Fault::Malformed(Kind::Hello);
        assert_eq!(results[1], Err(Error::by(PartyId::new(0).unwrap(), fault)));
    }
}

#[test]
fn an_abort_reaches_a_waiting_peer() {
    let results = Federation::new(2, 3).run(|mesh, _| async move {
        let channel = mesh.channel(Lane::SESSION, mesh.parties())?;
        if mesh.me().index() == 0 {
            return Err(Error::Misuse("stop"));
        }
        channel.recv(PartyId::new(0).unwrap(), Kind::Hello, 1).await.map(|_| ())
    });
    let by = PartyId::new(0).unwrap();
    assert_eq!(results[1], Err(Error::Aborted { by, class: AbortClass::Refused }));
}

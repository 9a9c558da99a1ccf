//! ABORT, which an honest run never sends: whatever happens to it, nobody goes on.

use super::scenario::PARTIES;
use crate::protocol::plans::party;
use senate_circuit::PartySet;
use senate_mpc::sim::{Action, Federation, Tampering, Target};
use senate_mpc::{AbortClass, Error, Kind, Lane};

fn ends(action: Action) -> Vec<Result<(), Error>> {
    let from = party(0);
    let to = PartySet::first(PARTIES).without(from);
    let mut tamper = Tampering::new(Target { from, to, kind: Kind::Abort, skip: 0 }, action);
    Federation::new(PARTIES, 2).run_tampered(&mut tamper, async |mesh, _| {
        if mesh.me() == from {
            return Err(Error::Lost { party: party(2) });
        }
        let channel = mesh.channel(Lane::SESSION, mesh.parties())?;
        channel.recv(from, Kind::Hello, 1).await.map(|_| ())
    })
}

#[test]
fn an_abort_ends_everybody_however_it_arrives() {
    for action in Action::ALL {
        let ends = ends(action);
        for victim in &ends[1..] {
            match action {
                // Never arrives, but the link of a party that ended closes.
                Action::Drop | Action::SwapWithNext => {
                    assert_eq!(*victim, Err(Error::Lost { party: party(0) }));
                }
                Action::FlipBit(_) | Action::Zero | Action::Random | Action::Truncate => {
                    let class = AbortClass::CheckFailed;
                    assert_eq!(*victim, Err(Error::Aborted { by: party(0), class }), "{action:?}");
                }
                Action::Extend | Action::Duplicate | Action::Replay => {
                    let class = AbortClass::Lost;
                    assert_eq!(*victim, Err(Error::Aborted { by: party(0), class }), "{action:?}");
                }
            }
        }
    }
}

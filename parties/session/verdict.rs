//! What the protocol's and control's endings mean to the user, with names and phase.

use super::Ended;
use crate::failure::Failure;
use senate_circuit::PartyId;
use senate_control::AbortClass;
use senate_mpc::Error;
use senate_planner::catalog::Federation;

/// A protocol error at this party.
pub(super) fn of_protocol(federation: &Federation, phase: &str, error: &Error) -> Ended {
    let (class, failure) = match error {
        Error::Cheating { party, fault } => {
            let who = party.map_or_else(String::new, |party| {
                format!(", by party {}", federation.party_name(party))
            });
            (
                AbortClass::CheckFailed,
                Failure::aborted(format!("{phase}: {}: {fault}{who}", fault.step())),
            )
        }
        Error::Lost { party } => {
            let name = federation.party_name(*party);
            let failure = format!("{phase}: party {name} was lost");
            (AbortClass::Lost, Failure::lost_party(&name, failure))
        }
        Error::Aborted { by, class } => {
            return of_control(federation, phase, control_class(*class), *by);
        }
        Error::Misuse(why) => {
            (AbortClass::Internal, Failure::unexpected(format!("{phase}: {why} (a bug)")))
        }
    };
    Ended { class, failure: with_remedy(class, failure) }
}

/// An abort that control reports.
pub(super) fn of_control(
    federation: &Federation,
    phase: &str,
    class: AbortClass,
    by: PartyId,
) -> Ended {
    let place = format!("{phase}: party {}", federation.party_name(by));
    let failure = match class {
        AbortClass::Refused => Failure::refused(format!("{place} refused")),
        AbortClass::Mismatch => {
            Failure::refused(format!("{place} does not agree on what is computed"))
        }
        AbortClass::Input => Failure::input(format!("{place}: input refused")),
        AbortClass::Lost => Failure::lost(format!("{place} was lost, or lost another party")),
        AbortClass::CheckFailed => Failure::aborted(format!("{place} reports a failed check")),
        AbortClass::Cancelled => Failure::lost(format!("{place} cancelled the query")),
        AbortClass::Internal => Failure::lost(format!("{place} failed")),
    };
    Ended { class, failure: with_remedy(class, failure) }
}

/// What peers are told in the protocol's own lane.
pub(super) fn protocol_class(class: AbortClass) -> senate_mpc::AbortClass {
    match class {
        AbortClass::CheckFailed => senate_mpc::AbortClass::CheckFailed,
        AbortClass::Lost | AbortClass::Cancelled | AbortClass::Internal => {
            senate_mpc::AbortClass::Lost
        }
        AbortClass::Refused | AbortClass::Mismatch | AbortClass::Input => {
            senate_mpc::AbortClass::Refused
        }
    }
}

fn control_class(class: senate_mpc::AbortClass) -> AbortClass {
    match class {
        senate_mpc::AbortClass::Lost => AbortClass::Lost,
        senate_mpc::AbortClass::Refused => AbortClass::Refused,
        senate_mpc::AbortClass::CheckFailed => AbortClass::CheckFailed,
    }
}

fn with_remedy(class: AbortClass, failure: Failure) -> Failure {
    match class {
        AbortClass::CheckFailed => failure
            .with_remedy("nothing was revealed; find out which party deviated before asking again"),
        AbortClass::Lost | AbortClass::Internal => {
            failure.with_remedy("nothing was revealed; see that its daemon runs, then ask again")
        }
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use senate_mpc::Fault;

    const FEDERATION: &str = "name = \"f\"\n[[party]]\nname = \"north\"\naddress = \"127.0.0.1:1\"\n\
        [[party]]\nname = \"south\"\naddress = \"127.0.0.1:2\"\n";

    #[test]
    fn an_ending_names_party_and_phase_and_has_its_exit_code() {
        let federation = Federation::parse(FEDERATION.as_bytes()).unwrap();
        let south = PartyId::new(1).unwrap();
        let class = senate_mpc::AbortClass::CheckFailed;
        for (error, exit) in [
            (Error::by(south, Fault::Flood), 5),
            (Error::Aborted { by: south, class }, 5),
            (Error::Lost { party: south }, 4),
        ] {
            let Failure { cause, message, remedy, .. } =
                of_protocol(&federation, "release", &error).failure;
            assert_eq!(cause.exit_code(), exit);
            assert!(
                message.starts_with("release: ") && message.contains("party south"),
                "{message}"
            );
            assert!(remedy.unwrap().starts_with("nothing was revealed"));
        }
        let nobody = of_protocol(&federation, "release", &Error::unattributed(Fault::Flood));
        assert_eq!(nobody.failure.cause.exit_code(), 5);
        assert!(!nobody.failure.message.contains("party"));
    }
}

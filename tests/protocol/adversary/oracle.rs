//! What a changed message must lead to, by kind and action.

use super::scenario::Ends;
use senate_circuit::{PartyId, PartySet};
use senate_mpc::sim::{Action, Target};
use senate_mpc::{AbortClass, Error, Fault, Kind, Step};

/// How a run with a cheater may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Somebody honest names exactly this error, and nobody honest accepts.
    Caught(Error),
    /// The cheater's own check names this fault (what it told others only spoils what they answer
    /// to it); everybody honest is told that a check failed.
    Alone(Fault),
    /// Everybody honest ends with the right outputs.
    Harmless,
}

use Verdict::{Alone, Caught, Harmless};

/// Whether `ends` is `verdict` on a run in which `target.from` cheated; `right` tells whether a
/// party's outputs are the reference's.
pub(crate) fn holds(
    verdict: Verdict,
    target: &Target,
    ends: &Ends,
    right: impl Fn(PartyId) -> bool,
) -> bool {
    let honest = PartySet::first(ends.len()).without(target.from);
    let end = |party: PartyId| &ends[party.index()];
    // A script that the passing deadline does not wake, or a defect on this side.
    if honest.iter().any(|party| matches!(end(party), Err(Error::Misuse(_)))) {
        return false;
    }
    match verdict {
        Caught(error) => {
            // After DONE to one party is lost, the others have everything and know it.
            let ended = |party| end(party).is_err() || target.kind == Kind::Done && right(party);
            honest.iter().any(|party| end(party) == &Err(error)) && honest.iter().all(ended)
        }
        Alone(fault) => {
            let told = |party: PartyId| {
                matches!(end(party), Err(Error::Aborted { class: AbortClass::CheckFailed, .. }))
            };
            let own = end(target.from).as_ref().err();
            let own = matches!(own, Some(Error::Cheating { fault: own, .. }) if *own == fault);
            own && honest.iter().all(told)
        }
        Harmless => honest.iter().all(right),
    }
}

/// The endings that `action` on `target` may have.
pub(crate) fn expected(target: &Target, action: Action) -> Vec<Verdict> {
    let (kind, from) = (target.kind, target.from);
    let malformed = Caught(Error::by(from, Fault::Malformed(kind)));
    let lost = Caught(Error::Lost { party: from });
    let mut verdicts = content(kind, from);
    match action {
        Action::Truncate | Action::Extend => vec![malformed],
        Action::Drop => vec![lost],
        Action::Duplicate => {
            // Read in place of the next message of the conversation, or never.
            verdicts.retain(|_| has_successor(kind));
            verdicts.push(Harmless);
            verdicts
        }
        Action::SwapWithNext => {
            verdicts.retain(|_| has_successor(kind));
            verdicts.push(lost);
            if matches!(kind, Kind::VerBits | Kind::VerMacs) {
                // The next is another stage's: conversations do not depend on each other's order.
                verdicts.push(Harmless);
            }
            verdicts
        }
        Action::Replay => {
            verdicts.push(malformed);
            verdicts
        }
        Action::FlipBit(bit) => {
            if packed_bits(kind) && bit > 0 {
                verdicts.push(malformed);
            }
            if selected(kind) {
                verdicts.push(Harmless);
            }
            // Another valid element only spoils the keys, as the tree check shows.
            match kind {
                Kind::BaseReceiver => verdicts.push(Alone(Fault::Pprf)),
                Kind::BaseSender => verdicts.push(Caught(Error::by(from, Fault::Pprf))),
                _ => {}
            }
            if kind == Kind::Hello {
                // A flip in the nonce instead of the parameters.
                verdicts.push(Caught(Error::unattributed(Fault::Echo(Step::Session))));
            }
            verdicts
        }
        Action::Random => {
            if packed_bits(kind) {
                verdicts.push(malformed);
            }
            verdicts
        }
        Action::Zero => verdicts,
    }
}

/// The endings that there are besides in a plan with interactive stages.
pub(crate) fn expected_in_rounds(target: &Target, action: Action) -> Vec<Verdict> {
    let mut verdicts = expected(target, action);
    let changes = !matches!(action, Action::Truncate | Action::Extend | Action::Drop);
    match target.kind {
        // Nothing is garbled from the product: where views part it fails the layers' MACs, else
        // its own.
        Kind::BeaverBits if changes => {
            for step in [Step::Interactive, Step::Beaver] {
                verdicts.push(Caught(Error::unattributed(Fault::OpenMac(step))));
                verdicts.push(Alone(Fault::OpenMac(step)));
            }
        }
        // The next layer's message comes in its place: of another size, or with other bits.
        Kind::Layer
            if matches!(action, Action::Drop | Action::Duplicate | Action::SwapWithNext) =>
        {
            verdicts.extend(content(target.kind, target.from));
            verdicts.push(Caught(Error::by(target.from, Fault::Malformed(target.kind))));
        }
        _ => {}
    }
    verdicts
}

/// The endings of a message of the right size with other contents.
fn content(kind: Kind, from: PartyId) -> Vec<Verdict> {
    let by = |fault| vec![Caught(Error::by(from, fault))];
    let somebody = |fault| vec![Caught(Error::unattributed(fault))];
    let step = kind.step();
    match kind {
        Kind::Hello | Kind::Bind => by(Fault::Binding),
        Kind::Zseed => somebody(Fault::DeltaConsistency),
        Kind::Coins | Kind::DeltaCommit | Kind::ZeroCommit => by(Fault::Commitment(step)),
        Kind::CoinOpen | Kind::DeltaOpen | Kind::ZeroOpen => by(Fault::Commitment(step)),
        Kind::BaseReceiver | Kind::BaseSender => by(Fault::BasePoint),
        Kind::Ggm | Kind::Pprf => by(Fault::Pprf),
        Kind::Corr => by(Fault::CotConsistency),
        // What is told to all alike is echoed, but for the session's own extensions.
        Kind::Resp => [by(Fault::CotConsistency), somebody(Fault::Echo(Step::Shares))].concat(),
        Kind::Chal => vec![Alone(Fault::CotConsistency)],
        Kind::Sid | Kind::DeltaY | Kind::DeltaEcho => somebody(Fault::Echo(step)),
        Kind::ShareEcho | Kind::Masked | Kind::InputEcho => somebody(Fault::Echo(step)),
        Kind::SolderBits | Kind::Lambda | Kind::LambdaHash | Kind::SolderEcho => {
            somebody(Fault::Echo(step))
        }
        Kind::LaandU | Kind::LaandD | Kind::ZeroCorr | Kind::ZeroOle => somebody(Fault::ZeroTest),
        Kind::BucketBits | Kind::BucketMacs | Kind::BeaverMacs => somebody(Fault::OpenMac(step)),
        Kind::InputBits | Kind::InputMacs | Kind::SolderMacs => somebody(Fault::OpenMac(step)),
        Kind::VerBits | Kind::VerMacs | Kind::OutputBits | Kind::OutputMacs => {
            somebody(Fault::OpenMac(step))
        }
        Kind::InputChi | Kind::OutputChi => vec![Alone(Fault::OpenMac(step))],
        // Labels that do not follow Λ: found by the garblers whose labels they are. The MAC check
        // of a wrong Beaver bit would come later; a cheater whose own labels are spoilt finds it.
        Kind::BeaverBits | Kind::Table | Kind::Color | Kind::InputLabels | Kind::SolderLabels => {
            [somebody(Fault::LabelHash), vec![Alone(Fault::LabelHash)]].concat()
        }
        // Λ and hash, or the challenge: with another one the garblers' answers do not add up.
        Kind::Eval => [somebody(Fault::LabelHash), vec![Alone(Fault::GateCheck)]].concat(),
        Kind::Z => somebody(Fault::GateCheck),
        // Whoever is told a wrong bit finds it, and so does who told it: the views part.
        Kind::Layer => {
            let fault = Fault::OpenMac(step);
            [somebody(fault), vec![Alone(fault)]].concat()
        }
        Kind::LayerMacs => somebody(Fault::OpenMac(step)),
        Kind::Abort | Kind::Done => vec![],
    }
}

/// Kinds whose last byte may have spare bits, which must be zero.
fn packed_bits(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::LaandD
            | Kind::BucketBits
            | Kind::BeaverBits
            | Kind::Color
            | Kind::Eval
            | Kind::Layer
            | Kind::VerBits
    )
}

/// Kinds of which a receiver uses only what its secret bits select: one side of each level of a
/// tree, corrections of trees with Δ_b ≠ 0, U of the triples with a^j = 1, the products with
/// α_t = 1, rows with Λ = 1. A change of what it does not use is harmless. What a cheater learns
/// by not being caught is accounted for: a guess of a few bits of Δ ([Roy22]), of a ([WRK17],
/// which is why triples are bucketed), of bits that are masked anyway.
fn selected(kind: Kind) -> bool {
    matches!(kind, Kind::Ggm | Kind::Corr | Kind::LaandU | Kind::ZeroOle | Kind::Table)
}

/// Kinds that one conversation sends several times in the scenario.
fn has_successor(kind: Kind) -> bool {
    let extension = [Kind::Corr, Kind::Chal, Kind::Resp];
    matches!(kind, Kind::CoinOpen | Kind::BucketBits) || extension.contains(&kind)
}

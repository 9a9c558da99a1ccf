//! What a party holds of a vector of wires between stages: its part of ⟨λ⟩, Λ, and labels.

use super::Run;
use crate::auth::AuthBits;
use crate::error::Error;
use crate::join::try_join_all;
use crate::mesh::Kind;
use senate_block::{Block, Prg, add_where};
use senate_circuit::{Backend, Bits};
use zeroize::Zeroize;

/// Labels of a vector of wires.
#[derive(Clone)]
pub(crate) enum Labels {
    /// A garbler's L_0.
    Zero(Vec<Block>),
    /// The evaluator's active labels, one plane per garbler ascending.
    Active(Vec<Vec<Block>>),
    /// An interactive stage has none.
    None,
}

/// Masks, Λ and labels of a vector of wires at one party. Labels are zeroised on drop.
pub struct Wires {
    pub(crate) masks: AuthBits,
    pub(crate) masked: Bits,
    pub(crate) labels: Labels,
}

impl std::fmt::Debug for Wires {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Wires({} wires)", self.len())
    }
}

impl Default for Wires {
    fn default() -> Self {
        Self { masks: AuthBits::default(), masked: Bits::default(), labels: Labels::None }
    }
}

impl Drop for Labels {
    fn drop(&mut self) {
        match self {
            Self::Zero(labels) => labels.zeroize(),
            Self::Active(planes) => planes.iter_mut().for_each(Zeroize::zeroize),
            Self::None => {}
        }
    }
}

impl Wires {
    /// Number of wires.
    pub fn len(&self) -> usize {
        self.masked.len()
    }

    /// True for no wires.
    pub fn is_empty(&self) -> bool {
        self.masked.is_empty()
    }

    /// No wires, with labels of the kind this party's role has.
    pub(crate) fn empty(run: &Run<'_>) -> Self {
        let labels = match run.stage.backend {
            Backend::Interactive => Labels::None,
            Backend::Garbled if run.is_evaluator() => {
                Labels::Active(vec![Vec::new(); run.garblers().len()])
            }
            Backend::Garbled => Labels::Zero(Vec::new()),
        };
        Self { masks: AuthBits::zeros(&run.member, 0), masked: Bits::default(), labels }
    }

    /// Its labels alone.
    pub(crate) fn take_labels(mut self) -> Labels {
        std::mem::replace(&mut self.labels, Labels::None)
    }

    /// The wires as an interactive stage takes them.
    pub(crate) fn without_labels(mut self) -> Self {
        self.labels = Labels::None;
        self
    }

    /// The wires `start .. start + len`.
    pub(crate) fn slice(&self, start: usize, len: usize) -> Self {
        let cut = |plane: &Vec<Block>| plane.iter().skip(start).take(len).copied().collect();
        let labels = match &self.labels {
            Labels::Zero(labels) => Labels::Zero(cut(labels)),
            Labels::Active(planes) => Labels::Active(planes.iter().map(cut).collect()),
            Labels::None => Labels::None,
        };
        Self { masks: self.masks.slice(start, len), masked: self.masked.slice(start, len), labels }
    }
}

/// Fresh labels for wires with these Λ: every garbler draws L_0 and sends the evaluator
/// L_0 ⊕ ΛΔ in one message of `kind`. Called once per wire, so no label is sent twice for one L_0.
/// An interactive stage has no labels and sends nothing.
///
/// # Errors
/// Those of the channel.
pub(crate) async fn fresh_labels(
    run: &Run<'_>,
    kind: Kind,
    masked: &Bits,
) -> Result<Labels, Error> {
    if run.stage.backend == Backend::Interactive {
        return Ok(Labels::None);
    }
    let count = masked.len();
    if run.is_evaluator() {
        let receive = |i| run.recv_long(i, kind, count);
        return Ok(Labels::Active(try_join_all(run.garblers().iter().map(receive)).await?));
    }
    let mut zeros = vec![Block::ZERO; count];
    Prg::new(run.entropy.block("labels")).fill(0, &mut zeros);
    let mut active = zeros.clone();
    add_where(&mut active, masked.words(), run.member.delta());
    run.send_long(run.evaluator(), kind, &active).await?;
    Ok(Labels::Zero(zeros))
}

//! The release rule (PROTOCOL.md §6 step 6): range checks and outputs are opened by a party only
//! when every check of every stage it took part in has passed, outputs only when all ranges hold.

use crate::auth::AuthBits;
use crate::error::{Error, Fault};
use crate::join::try_join_all;
use crate::mesh::{Kind, Lane, Mesh};
use crate::open::{OpenToKinds, Openings, open_to};
use crate::stage::{FinishedStage, StageContext, child_sources};
use senate_circuit::{Bits, PartyId, Stage, StageId};
use std::collections::BTreeMap;

/// What this party learns: clear bits of the output bundles revealed to it, by stage and bundle.
pub type Outputs = BTreeMap<(StageId, usize), Bits>;

/// Every stage of a plan in which this party takes part, all of them finished. Only this can be
/// released.
#[derive(Debug)]
pub struct AllFinished<'a> {
    stages: Vec<Ready<'a>>,
}

/// A finished stage and how far above the leaves of the whole plan it is.
#[derive(Debug)]
struct Ready<'a> {
    height: usize,
    stage: &'a Stage,
    run: FinishedStage,
}

impl<'a> AllFinished<'a> {
    /// Pairs every stage of `plan` that `me` is in with its finished run.
    ///
    /// # Errors
    /// [`Error::Misuse`] when one is missing.
    pub fn new(
        me: PartyId,
        plan: &'a [Stage],
        mut finished: BTreeMap<StageId, FinishedStage>,
    ) -> Result<Self, Error> {
        let heights = heights(plan);
        let mine = plan.iter().zip(heights).filter(|(stage, _)| stage.parties.contains(me));
        let stages = mine.map(|(stage, height)| {
            let run = finished.remove(&stage.id);
            let run = run.ok_or(Error::Misuse("release before a stage finished"))?;
            Ok(Ready { height, stage, run })
        });
        Ok(Self { stages: stages.collect::<Result<_, _>>()? })
    }

    /// Opens all range checks, those of earlier stages before those of later ones, then the outputs
    /// to their recipients, then waits until everybody in the session is done.
    ///
    /// # Errors
    /// [`Fault::Ver`] when a range check is 0, [`Fault::OpenMac`] when an opening is wrong, and
    /// those of the channel.
    pub async fn release(self, mesh: &Mesh) -> Result<Outputs, Error> {
        let highest = self.stages.iter().map(|ready| ready.height).max().unwrap_or(0);
        for height in 0..=highest {
            // What a stage says about an impossible input may depend on honest inputs: its range
            // check is opened only when those of the stages below have held.
            let ready = self.stages.iter().filter(|ready| ready.height == height);
            try_join_all(ready.map(|ready| range_checks(ready.stage, &ready.run))).await?;
        }
        let revealed = self.stages.iter().map(|ready| outputs(ready.stage, &ready.run));
        let revealed = try_join_all(revealed).await?.into_iter().flatten().collect();
        mesh.channel(Lane::SESSION, mesh.parties())?.exchange(Kind::Done, &[]).await?;
        Ok(revealed)
    }
}

/// Per stage of `plan`, the longest way down to a stage without earlier ones. It is taken from the
/// whole plan, so that no two parties order two common stages differently.
fn heights(plan: &[Stage]) -> Vec<usize> {
    let mut heights: BTreeMap<StageId, usize> = BTreeMap::new();
    for stage in plan {
        let below = child_sources(stage).filter_map(|(_, child, _)| heights.get(&child));
        let height = below.map(|height| height + 1).max().unwrap_or(0);
        heights.insert(stage.id, height);
    }
    plan.iter().map(|stage| heights.get(&stage.id).copied().unwrap_or(0)).collect()
}

/// OpenAll of a stage's Ver bits: checked, then all must be 1.
async fn range_checks(stage: &Stage, run: &FinishedStage) -> Result<(), Error> {
    let bundles: Vec<_> = stage.ver.iter().map(|ver| ver.bundle).collect();
    let (masks, masked) = together(run, &bundles)?;
    let StageContext { member, channel, domain, .. } = run.context();
    let mut openings = Openings::new(member.clone(), *domain, "range checks");
    let mut bits = openings.open(channel, Kind::VerBits, &masks).await?;
    openings.check(channel, Kind::VerMacs).await?;
    bits.xor_assign(&masked);
    match bits.count_ones() == bits.len() {
        true => Ok(()),
        false => Err(Error::unattributed(Fault::Ver)),
    }
}

/// OpenTo of everything a stage reveals, one conversation per recipient.
async fn outputs(stage: &Stage, run: &FinishedStage) -> Result<Outputs, Error> {
    let recipients = stage.parties.iter();
    let opened = try_join_all(recipients.map(|recipient| output_to(stage, run, recipient))).await?;
    Ok(opened.into_iter().flatten().collect())
}

async fn output_to(
    stage: &Stage,
    run: &FinishedStage,
    recipient: PartyId,
) -> Result<Outputs, Error> {
    let reveals = stage.reveals.iter().filter(|reveal| reveal.recipients.contains(recipient));
    let bundles: Vec<_> = reveals.map(|reveal| reveal.bundle).collect();
    let (masks, masked) = together(run, &bundles)?;
    let StageContext { member, channel, entropy, .. } = run.context();
    let kinds = OpenToKinds::OUTPUT;
    let Some(mut bits) = open_to(channel, member, recipient, kinds, &masks, entropy).await? else {
        return Ok(Outputs::new());
    };
    bits.xor_assign(&masked);
    let mut outputs = Outputs::new();
    let mut start = 0;
    for bundle in bundles {
        let len = run.output(bundle)?.len();
        outputs.insert((stage.id, bundle), bits.slice(start, len));
        start += len;
    }
    Ok(outputs)
}

/// Masks and Λ of several output bundles, one after the other.
fn together(run: &FinishedStage, bundles: &[usize]) -> Result<(AuthBits, Bits), Error> {
    let mut masks = AuthBits::zeros(&run.context().member, 0);
    let mut masked = Bits::default();
    for bundle in bundles {
        let wires = run.output(*bundle)?;
        masks.append(&wires.masks);
        masked.extend_from(&wires.masked);
    }
    Ok((masks, masked))
}

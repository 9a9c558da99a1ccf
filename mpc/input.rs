//! Clear inputs of their owners (PROTOCOL.md §6 step 5): the owner learns its masks, publishes
//! x ⊕ λ, everybody echoes, and only then labels are sent.

use crate::auth::AuthBits;
use crate::error::Error;
use crate::join::try_join_all;
use crate::mesh::Kind;
use crate::open::{OpenToKinds, open_to};
use crate::pre::Preprocessing;
use crate::stage::{Run, Wires, fresh_labels};
use crate::wire::{bit_bytes, to_bits};
use senate_circuit::{Bits, PartyId, Source};
use std::collections::BTreeMap;

/// The bundles of one owner, in order: input bundle and slot; their wires are one range.
struct Owned {
    party: PartyId,
    bundles: Vec<(usize, usize)>,
    start: usize,
    wires: usize,
}

/// Enters all bundles that have an owner; returns them by input bundle.
///
/// # Errors
/// [`Error::Misuse`] when this party's own bits are missing or of another length,
/// [`Fault::OpenMac`](crate::error::Fault::OpenMac) at an owner, [`Fault::Echo`](crate::error::Fault::Echo) when masked inputs were equivocated.
pub(crate) async fn enter<P: Preprocessing>(
    run: &Run<'_>,
    pre: &mut P,
    own: &BTreeMap<usize, Bits>,
) -> Result<BTreeMap<usize, Wires>, Error> {
    let owners = owners(run);
    let count = owners.iter().map(|owner| owner.wires).sum();
    if count == 0 {
        return empty(run, &owners);
    }
    let masks = pre.masks(count).await?;
    let published = owners.iter().map(|owner| publish(run, owner, &masks, own));
    let mut masked = Bits::default();
    try_join_all(published).await?.iter().for_each(|bits| masked.extend_from(bits));
    echo(run, &masked).await?;
    let labels = fresh_labels(run, Kind::InputLabels, &masked).await?;
    let all = Wires { masks, masked, labels };
    Ok(split(run, &owners, |start, len| all.slice(start, len)))
}

/// The owners in ascending order.
fn owners(run: &Run<'_>) -> Vec<Owned> {
    let mut start = 0;
    let of = |party: PartyId| {
        let bundles = run.stage.inputs.iter().enumerate().filter_map(|(at, source)| match source {
            Source::Owner { party: owner, slot } if *owner == party => Some((at, *slot)),
            _ => None,
        });
        let bundles: Vec<_> = bundles.collect();
        let wires = bundles.iter().map(|(at, _)| wires_of(run, *at)).sum();
        let owned = Owned { party, bundles, start, wires };
        start += wires;
        owned
    };
    run.stage.parties.iter().map(of).collect()
}

fn wires_of(run: &Run<'_>, bundle: usize) -> usize {
    run.stage.program.inputs.get(bundle).map_or(0, |b| run.stage.program.wires_of(b))
}

fn split(
    run: &Run<'_>,
    owners: &[Owned],
    slice: impl Fn(usize, usize) -> Wires,
) -> BTreeMap<usize, Wires> {
    let mut entered = BTreeMap::new();
    for owner in owners {
        let mut start = owner.start;
        for (bundle, _) in &owner.bundles {
            let len = wires_of(run, *bundle);
            entered.insert(*bundle, slice(start, len));
            start += len;
        }
    }
    entered
}

/// Bundles without wires need no message.
fn empty(run: &Run<'_>, owners: &[Owned]) -> Result<BTreeMap<usize, Wires>, Error> {
    Ok(split(run, owners, |_, _| Wires::empty(run)))
}

/// Λ of one owner's wires: OpenTo of the masks, then the owner's broadcast.
async fn publish(
    run: &Run<'_>,
    owner: &Owned,
    masks: &AuthBits,
    own: &BTreeMap<usize, Bits>,
) -> Result<Bits, Error> {
    if owner.wires == 0 {
        return Ok(Bits::default());
    }
    let masks = masks.slice(owner.start, owner.wires);
    let kinds = OpenToKinds::INPUT;
    let opened = open_to(&run.channel, &run.member, owner.party, kinds, &masks, &run.entropy);
    match opened.await? {
        Some(mut masked) => {
            masked.xor_assign(&clear_bits(run, owner, own)?);
            run.channel.send_all(Kind::Masked, &masked.to_bytes()).await?;
            Ok(masked)
        }
        None => {
            let size = bit_bytes(owner.wires);
            let bytes = run.channel.recv(owner.party, Kind::Masked, size).await?;
            to_bits(&bytes, owner.wires, owner.party, Kind::Masked)
        }
    }
}

/// This party's bits of all its bundles.
fn clear_bits(run: &Run<'_>, owner: &Owned, own: &BTreeMap<usize, Bits>) -> Result<Bits, Error> {
    let mut all = Bits::default();
    for (bundle, slot) in &owner.bundles {
        let bits = own.get(slot).ok_or(Error::Misuse("an input of this party is missing"))?;
        if bits.len() != wires_of(run, *bundle) {
            return Err(Error::Misuse("an input of this party has another length"));
        }
        all.extend_from(bits);
    }
    Ok(all)
}

/// Everybody received the same masked inputs.
///
/// # Errors
/// [`Fault::Echo`](crate::error::Fault::Echo) when not.
async fn echo(run: &Run<'_>, masked: &Bits) -> Result<(), Error> {
    let digest = run.domain.tag("masked inputs").bytes(&masked.to_bytes()).digest();
    crate::coin::echo(&run.channel, Kind::InputEcho, &digest).await
}

//! A party's contribution to a query, in the clear and on its own machine: the results of its local
//! tasks, checked against what the plan claims about them and encoded for the stages.

use crate::agreement::Agreement;
use crate::config::{PartyConfig, Workspace};
use crate::failure::{Failure, Outcome};
use crate::local::{self, Tables};
use crate::tables;
use datafusion::arrow::record_batch::RecordBatch;
use senate_circuit::{Bits, PartyId};
use senate_planner::encode::bits_of;
use std::collections::BTreeMap;

/// What a party's local tasks gave.
#[derive(Default)]
pub struct Inputs {
    /// Encoded inputs of stages, by slot.
    pub bits: BTreeMap<usize, Bits>,
    /// Results by slot that enter no stage: the whole answer, when nothing is joint.
    pub plain: BTreeMap<usize, RecordBatch>,
}

/// Reads the party's tables, checks them, and runs its local tasks.
///
/// # Errors
/// Input when a row violates the declared schema, a capacity or a bound.
pub async fn compute(
    workspace: &Workspace,
    config: &PartyConfig,
    me: PartyId,
    agreement: &Agreement,
) -> Outcome<Inputs> {
    let mut inputs = Inputs::default();
    let mut tasks =
        agreement.plan.locals.iter().enumerate().filter(|(_, task)| task.party == me).peekable();
    if tasks.peek().is_none() {
        return Ok(inputs);
    }
    let mut tables = Tables::new();
    for table in workspace.tables_of(me) {
        let rows = tables::load(&table, &config.source(&table.name)?)?;
        tables.insert((table.party, table.name), rows);
    }
    let name = workspace.federation.party_name(me);
    for (slot, task) in tasks {
        let batch = local::run(&task.plan, &tables).await?;
        match agreement.plan.layouts.get(&slot) {
            Some(layout) => {
                let bits = bits_of(layout, &task.schema, std::slice::from_ref(&batch));
                let bits = bits.map_err(|why| {
                    Failure::input(format!("party {name}, local result {slot}: {why}"))
                        .with_remedy("correct the data, or widen the declaration or --bound")
                })?;
                inputs.bits.insert(slot, bits);
            }
            None => {
                inputs.plain.insert(slot, batch);
            }
        }
    }
    Ok(inputs)
}

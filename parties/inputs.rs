//! A party's contribution to a query, in the clear and on its own machine: the results of its local
//! tasks, checked against what the plan claims about them and encoded for the stages.

use crate::agreement::Agreement;
use crate::config::{PartyConfig, Workspace};
use crate::failure::{Failure, Outcome};
use crate::local::{self, Tables};
use crate::tables;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::logical_expr::LogicalPlan;
use senate_circuit::{Bits, PartyId};
use senate_planner::encode::bits_of;
use senate_planner::sql::PlanOptions;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// Reads at a time, of queries that nobody waits for any more included: nothing stops a read half way,
/// so who announces queries and leaves again would have tables read without end.
static READS: Semaphore = Semaphore::const_new(16);

/// What a party's local tasks gave.
#[derive(Default)]
pub struct Inputs {
    /// Encoded inputs of stages, by slot.
    pub bits: BTreeMap<usize, Bits>,
    /// Results by slot that enter no stage: the whole answer, when nothing is joint.
    pub plain: BTreeMap<usize, RecordBatch>,
}

/// As [`compute`], on a thread of its own: who waits for a large table can show that it lives.
///
/// # Errors
/// Those of [`compute`].
pub async fn compute_aside(
    workspace: Arc<Workspace>,
    config: PartyConfig,
    me: PartyId,
    agreement: Arc<Agreement>,
) -> Outcome<Inputs> {
    let runtime = Handle::current();
    let turn = READS.acquire().await.map_err(|error| Failure::unexpected(error.to_string()))?;
    let computing = move || {
        let inputs = runtime.block_on(compute(&workspace, &config, me, &agreement));
        drop(turn);
        inputs
    };
    tokio::task::spawn_blocking(computing)
        .await
        .map_err(|error| Failure::unexpected(format!("reading tables: {error}")))?
}

/// Reads the tables that the party's local tasks name, checks them, and runs the tasks.
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
    let tasks: Vec<_> =
        agreement.plan.locals.iter().enumerate().filter(|(_, task)| task.party == me).collect();
    let name = workspace.federation.party_name(me);
    let needs = tables::needs(tasks.iter().map(|(_, task)| &*task.plan), &name)
        .map_err(|error| Failure::unexpected(format!("reading a plan: {error}")))?;
    let mut tables = Tables::new();
    for table in workspace.tables_of(me) {
        if let Some(need) = needs.get(&table.name) {
            let rows = tables::load_needed(&table, &config.source(&table.name)?, need).await?;
            tables.insert((table.party, table.name), rows);
        }
    }
    for (slot, task) in tasks {
        check_bounds(&agreement.bounds, me, &name, &task.plan, &tables).await?;
        let batch = local::run(&task.plan, &tables).await;
        let batch = batch.map_err(|failure| failure.at(format!("party {name}")))?;
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

/// The asker's tighter bounds hold for what passes this party's filters, also where an aggregate
/// above them would hide it.
async fn check_bounds(
    bounds: &PlanOptions,
    me: PartyId,
    name: &str,
    plan: &LogicalPlan,
    tables: &Tables,
) -> Outcome<()> {
    for ((_, table), bound) in bounds.bounds.iter().filter(|((party, _), _)| *party == me) {
        for rows in local::rows_passing(plan, name, table, tables).await? {
            if rows > *bound as usize {
                let why = format!(
                    "party {name}, table {table}: {rows} rows pass the query's filters, but the \
                     bound is {bound}"
                );
                return Err(Failure::input(why).with_remedy("widen --bound"));
            }
        }
    }
    Ok(())
}

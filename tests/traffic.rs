//! What `explain` says a plan sends is what the engine sends, to the byte, on every link.

#[expect(dead_code, reason = "shared with the benches")]
#[path = "../benches/federation.rs"]
mod federation;

use federation::{Tuning, in_memory};
use senate_circuit::{Backend, Bits, PartyId, PartySet, Source, TreeDepth};
use senate_planner::catalog::Federation;
use senate_planner::cost::LinkSnapshot;
use senate_planner::lower::{Backends, Decompose};
use senate_planner::plan::{Options, Plan, plan};
use senate_planner::sql::PlanOptions;
use std::collections::BTreeMap;
use std::fmt::Write;

fn planned(
    (parties, capacity): (usize, u32),
    sql: &str,
    (decompose, backends): (Decompose, Backends),
    depth: TreeDepth,
) -> Plan {
    let mut text = "name = \"unseen\"\n".to_owned();
    let mut holders = String::new();
    for party in 0..parties {
        let port = 7400 + party;
        writeln!(text, "[[party]]\nname = \"p{party}\"\naddress = \"127.0.0.1:{port}\"").unwrap();
        write!(holders, "{{ party = \"p{party}\", capacity = {capacity} }}, ").unwrap();
    }
    write!(
        text,
        "[[table]]\nname = \"t\"\ncolumns = [{{ name = \"k\", type = \"INT\", unique = true }}, \
         {{ name = \"v\", type = \"SMALLINT\", min = 0, max = 99 }}]\n\
         held_by = [{holders}]\n"
    )
    .unwrap();
    writeln!(text, "[targets]\nsoftspoken_k = {}", depth.bits()).unwrap();
    let federation = Federation::parse(text.as_bytes()).unwrap();
    let options = Options {
        recipients: PartySet::first(2),
        asker: PartyId::new(0).unwrap(),
        decompose,
        backends,
        bounds: PlanOptions::default(),
        links: LinkSnapshot { targets: federation.targets.clone(), ..LinkSnapshot::default() },
        policies: senate_planner::policy::Policies::in_one_process(),
    };
    plan(&federation, sql, &options).unwrap()
}

/// Runs the plan on tables without rows.
fn sent(plan: &Plan) -> BTreeMap<(PartyId, PartyId), u64> {
    let own = |party| {
        let mut inputs = BTreeMap::new();
        for stage in &plan.stages {
            for (bundle, source) in stage.program.inputs.iter().zip(&stage.inputs) {
                if let Source::Owner { party: owner, slot } = source
                    && *owner == party
                {
                    inputs.insert(*slot, Bits::zeros(stage.program.wires_of(bundle)));
                }
            }
        }
        inputs
    };
    let tree_depth = plan.links.targets.tree_depth;
    let tuning = Tuning { tree_depth, ..Tuning::default() };
    let links = in_memory(plan.participants);
    let runs = federation::run_over(links, &plan.stages, tuning, &own).unwrap();
    let links = runs
        .iter()
        .flat_map(|(from, run)| run.bytes_sent.iter().map(move |(to, bytes)| ((from, to), *bytes)));
    links.collect()
}

#[test]
fn predicted_bytes_are_the_bytes_on_every_link() {
    let join = "SELECT a.k, b.v FROM p0.t a JOIN p1.t b ON a.k = b.k JOIN p2.t c ON a.k = c.k \
                JOIN p3.t d ON a.k = d.k";
    use TreeDepth::{Eight, Four, Two};
    let [garbled, interactive] = [Backend::Garbled, Backend::Interactive].map(Backends::Only);
    let cases = [
        (2, 8, "SELECT k, v FROM t ORDER BY v DESC LIMIT 3", Decompose::Yes, garbled, Four),
        (2, 60, "SELECT v, COUNT(*), SUM(k) FROM t GROUP BY v", Decompose::Yes, garbled, Two),
        (3, 20, "SELECT v, COUNT(*), MAX(k) FROM t GROUP BY v", Decompose::Yes, interactive, Eight),
        (4, 6, join, Decompose::Yes, garbled, Four),
        (4, 6, join, Decompose::Yes, Backends::Cheapest, Two),
        (4, 6, "SELECT DISTINCT v FROM t", Decompose::No, garbled, Eight),
    ];
    for (parties, capacity, sql, decompose, backends, depth) in cases {
        let plan = planned((parties, capacity), sql, (decompose, backends), depth);
        let predicted = plan.traffic();
        assert_eq!(predicted.links(), &sent(&plan), "{sql}, {backends:?}, {depth:?}");
        let stages: u64 = plan.summaries.iter().map(|summary| summary.cost.total_bytes()).sum();
        let pre = plan.preprocessing.iter().flat_map(|batches| batches.traffic.links().values());
        assert_eq!(plan.total_bytes(), plan.setup.total_bytes() + stages + pre.sum::<u64>());
    }
}

/// Too large to run here: how large stages are cut is compared instead.
#[test]
fn windows_of_large_party_sets_are_those_of_the_plan() {
    for parties in 2..=PartySet::MAX {
        let planned = senate_planner::traffic::window_gates(parties);
        assert_eq!(senate_mpc::stage::window_gates(parties) as u64, planned, "{parties} parties");
    }
}

/// The paper's primitives at its sizes, too large to run here: what a tree of stages saves.
#[test]
fn one_circuit_of_sixteen_parties_sends_many_times_what_a_tree_of_stages_does() {
    let mut intersection = "SELECT p0.k FROM p0.t AS p0".to_owned();
    for party in 1..16 {
        write!(intersection, " JOIN p{party}.t AS p{party} ON p0.k = p{party}.k").unwrap();
    }
    let (sort, union) = ("SELECT k FROM t ORDER BY k", "SELECT DISTINCT k FROM t");
    for (capacity, sql, least) in
        [(1000, intersection.as_str(), 7.3), (600, sort, 2.6), (600, union, 2.5)]
    {
        let bytes = |decompose| {
            let how = (decompose, Backends::Cheapest);
            planned((16, capacity), sql, how, TreeDepth::Four).total_bytes() as f64
        };
        let ratio = bytes(Decompose::No) / bytes(Decompose::Yes);
        assert!(ratio >= least, "{sql}: {ratio}");
    }
}

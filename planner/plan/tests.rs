//! Whole queries over small federations: stages, digests, and answers in the clear.

mod placement;

use super::*;
use crate::clear;
use crate::encode::{Row, bits_of_rows, rows_of};
use crate::ir::Value;

fn federation(m: usize, columns: &str, capacity: u32) -> Federation {
    let parties: String = (0..m)
        .map(|i| format!("[[party]]\nname = \"p{i}\"\naddress = \"127.0.0.1:{}\"\n", 7400 + i))
        .collect();
    let holders: Vec<_> =
        (0..m).map(|i| format!("{{ party = \"p{i}\", capacity = {capacity} }}")).collect();
    let holders = holders.join(", ");
    let text = format!(
        "name = \"study\"\n{parties}[[table]]\nname = \"t\"\ncolumns = [{columns}]\nheld_by = [{holders}]\n"
    );
    Federation::parse(text.as_bytes()).unwrap()
}

fn options(m: usize) -> Options {
    Options {
        recipients: PartySet::first(m),
        asker: PartyId::new(0).unwrap(),
        decompose: Decompose::Yes,
        backends: Backends::Cheapest,
        bounds: PlanOptions::default(),
        links: LinkSnapshot::default(),
        policies: Policies::in_one_process(),
    }
}

const DIAGNOSES: &str = r#"{ name = "patient", type = "INT", min = 0 },
    { name = "diag", type = "INT", min = 0, max = 99 }, { name = "sick", type = "BOOLEAN" }"#;
const COHORT: &str = "SELECT diag, COUNT(*) AS n FROM t WHERE sick = TRUE GROUP BY diag \
                      ORDER BY n DESC, diag LIMIT 3";

/// Runs a plan in the clear on these local results.
fn answer(plan: &Plan, locals: &[Vec<Row>]) -> Vec<Row> {
    let encoded = plan.layouts.iter().map(|(slot, layout)| {
        (*slot, bits_of_rows(layout, &plan.locals[*slot].schema, &locals[*slot]).unwrap())
    });
    let opened = clear::run(&plan.stages, &encoded.collect()).unwrap();
    assert!(opened.accepted);
    rows_of(&plan.result, &opened.revealed[0].1).unwrap()
}

fn integers(rows: &[&[i128]]) -> Vec<Row> {
    rows.iter().map(|row| row.iter().map(|v| Some(Value::Integer(*v))).collect()).collect()
}

#[test]
fn a_cohort_query_runs_on_subsets_and_answers() {
    let plan = plan(&federation(4, DIAGNOSES, 20), COHORT, &options(4)).unwrap();
    assert_eq!(plan.locals.len(), 4);
    assert_eq!(plan.stages.len(), 3, "{}", plan.joint);
    assert_eq!(plan.root().unwrap().parties, PartySet::first(4));
    let locals = [
        integers(&[&[5, 2], &[7, 1]]),
        integers(&[&[7, 4]]),
        integers(&[]),
        integers(&[&[5, 3], &[9, 5], &[98, 1]]),
    ];
    assert_eq!(answer(&plan, &locals), integers(&[&[5, 5], &[7, 5], &[9, 5]]));
}

#[test]
fn digests_depend_on_everything_public_and_on_nothing_else() {
    let federation = federation(3, DIAGNOSES, 20);
    let base = plan(&federation, COHORT, &options(3)).unwrap().digest;
    assert_eq!(plan(&federation, COHORT, &options(3)).unwrap().digest, base);
    let mut other = options(3);
    other.recipients = PartySet::first(2);
    let mut flat = options(3);
    flat.decompose = Decompose::No;
    let mut rounds = options(3);
    rounds.backends = Backends::Only(Backend::Interactive);
    let mut bounded = options(3);
    bounded.bounds.bound("p1.t=7", &federation).unwrap();
    for options in [other, flat, rounds, bounded] {
        assert_ne!(plan(&federation, COHORT, &options).unwrap().digest, base);
    }
    let text = COHORT.replace("LIMIT 3", "LIMIT 4");
    assert_ne!(plan(&federation, &text, &options(3)).unwrap().digest, base);
}

#[test]
fn one_partys_query_needs_no_stage_unless_somebody_else_asks() {
    let federation = federation(2, DIAGNOSES, 20);
    let text = "SELECT diag, patient FROM p0.t ORDER BY patient";
    let mut alone = options(1);
    let plan_alone = plan(&federation, text, &alone).unwrap();
    assert!(plan_alone.stages.is_empty() && plan_alone.locals.len() == 1);
    alone.recipients = PartySet::only(PartyId::new(1).unwrap());
    let other = plan(&federation, text, &alone).unwrap();
    assert_eq!(other.stages.len(), 1);
    let rows = integers(&[&[7, 1], &[5, 2], &[9, 3]]);
    assert_eq!(answer(&other, std::slice::from_ref(&rows)), rows);
}

#[test]
fn recipients_are_parties() {
    let mut nobody = options(2);
    nobody.recipients = PartySet::EMPTY;
    let federation = federation(2, DIAGNOSES, 20);
    assert!(matches!(plan(&federation, COHORT, &nobody), Err(PlanError::Recipients)));
    assert!(matches!(plan(&federation, COHORT, &options(3)), Err(PlanError::Recipients)));
}

#[test]
fn more_rows_than_can_be_planned_are_refused_by_their_number() {
    let federation = federation(2, "{ name = \"v\", type = \"INT\" }", 200_000_000);
    let planned = |sql: &str| {
        let options = Options { recipients: PartySet::first(1), ..options(2) };
        plan(&federation, sql, &options).map_err(|error| error.to_string())
    };
    for sql in ["SELECT v, COUNT(*) FROM t GROUP BY v", "SELECT v FROM t", "SELECT v FROM p1.t"] {
        let error = planned(sql).unwrap_err();
        assert!(error.contains("00000000 rows at once") && error.contains("--bound"), "{error}");
    }
    // What owners bring together first is small.
    for sql in ["SELECT SUM(v) FROM t", "SELECT v FROM t ORDER BY v LIMIT 3"] {
        assert_eq!(planned(sql).map(|plan| plan.stages.len()), Ok(1), "{sql}");
    }
}

/// A row would come twice, or meet one partner or the other as the owner likes.
#[test]
fn an_owner_that_brings_a_key_twice_or_out_of_order_fails_in_every_lookup() {
    let columns = r#"{ name = "k", type = "INT", min = 0, max = 7, unique = true },
        { name = "v", type = "INT", min = 0, max = 9 }"#;
    let federation = federation(2, columns, 4);
    for sql in [
        "SELECT a.k, b.v FROM p0.t a LEFT JOIN p1.t b ON a.k = b.k",
        "SELECT a.k FROM p0.t a WHERE NOT EXISTS (SELECT 1 FROM p1.t b WHERE a.k = b.k)",
        "SELECT a.v, b.v FROM p0.t a JOIN p1.t b ON a.v = b.k",
    ] {
        let plan = plan(&federation, sql, &options(2)).unwrap();
        // The rows with `party`'s own, as it likes to order them.
        let accepts = |party: usize, rows: &[Row], is_sorted: bool| {
            let encoded = plan.layouts.iter().map(|(slot, layout)| {
                let schema = &plan.locals[*slot].schema;
                let width = schema.columns.len();
                let cut = |row: &Row| row[..width].to_vec();
                let honest: Vec<Row> = integers(&[&[1, 2], &[3, 4]]).iter().map(cut).collect();
                let mut layout = layout.clone();
                if layout.party.index() != party {
                    return (*slot, bits_of_rows(&layout, schema, &honest).unwrap());
                }
                // What the encoder would refuse.
                layout.shape.repeats = layout.shape.rows;
                if !is_sorted {
                    layout.shape.order.clear();
                }
                let rows: Vec<Row> = rows.iter().map(cut).collect();
                (*slot, bits_of_rows(&layout, schema, &rows).unwrap())
            });
            clear::run(&plan.stages, &encoded.collect()).unwrap().accepted
        };
        for party in [0, 1] {
            assert!(accepts(party, &integers(&[&[1, 2], &[3, 4]]), true), "{sql}");
            assert!(!accepts(party, &integers(&[&[3, 4], &[1, 2]]), false), "{sql}, {party}");
        }
        assert!(!accepts(1, &integers(&[&[1, 2], &[1, 5]]), true), "{sql}");
    }
}

use super::*;
use crate::cost::LinkSnapshot;
use crate::lower::{Backends, Decompose};
use crate::plan::{Options, Plan, plan};
use crate::policy::Policies;
use crate::sql::PlanOptions;
use senate_circuit::{Backend, PartyId};

fn planned(recipients: PartySet) -> (Federation, Plan) {
    planned_on(recipients, Backends::Cheapest)
}

fn planned_on(recipients: PartySet, backends: Backends) -> (Federation, Plan) {
    let text = r#"
name = "study"
[[party]]
name = "north"
address = "127.0.0.1:7401"
[[party]]
name = "south"
address = "127.0.0.1:7402"
[[party]]
name = "west"
address = "127.0.0.1:7403"
[[table]]
name = "visits"
columns = [ { name = "ward", type = "INT", min = 0, max = 63 } ]
held_by = [ { party = "north", capacity = 10 }, { party = "south", capacity = 10 },
            { party = "west", capacity = 10 } ]
"#;
    let federation = Federation::parse(text.as_bytes()).unwrap();
    let options = Options {
        recipients,
        asker: PartyId::new(0).unwrap(),
        decompose: Decompose::Yes,
        backends,
        bounds: PlanOptions::default(),
        links: LinkSnapshot::default(),
        policies: Policies::in_one_process(),
    };
    let sql = "SELECT ward, COUNT(*) AS n FROM visits GROUP BY ward";
    let plan = plan(&federation, sql, &options).unwrap();
    (federation, plan)
}

#[test]
fn text_names_parties_operators_costs_and_revelations() {
    let (federation, plan) = planned(PartySet::first(1));
    let text = text(&plan, &federation);
    for part in ["north", "group", "AND gates", "revealed", "at most 10 rows", "aborted"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert!(text.contains(&hex(&plan.digest)));
}

#[test]
fn only_recipients_learn_the_result() {
    let (federation, plan) = planned(PartySet::first(1));
    let items = revelations(&plan, &federation);
    assert_eq!(items[0].to, ["north"]);
    assert!(items.iter().skip(1).all(|item| item.to.len() == 3));
}

#[test]
fn json_and_dot_have_every_stage() {
    let (federation, plan) = planned(PartySet::first(3));
    let json = json(&plan, &federation);
    assert_eq!(json["stages"].as_array().unwrap().len(), plan.stages.len());
    assert!(json["stages"][0]["and_gates"].as_u64().unwrap() > 0);
    let dot = dot(&plan, &federation);
    let arrows = dot.matches("->").count();
    assert_eq!(arrows, plan.locals.len() + plan.stages.len());
}

#[test]
fn every_format_says_how_stages_are_run() {
    let ways = [(Backend::Garbled, "evaluated by"), (Backend::Interactive, "a round per layer")];
    let digests = ways.map(|(backend, words)| {
        let (federation, plan) = planned_on(PartySet::first(1), Backends::Only(backend));
        let text = text(&plan, &federation);
        assert_eq!(text.matches(words).count(), plan.stages.len(), "{text}");
        let json = json(&plan, &federation);
        assert_eq!(json["stages"][0]["backend"], backend.name());
        assert!(dot(&plan, &federation).contains(backend.name()));
        plan.digest
    });
    assert_ne!(digests[0], digests[1]);
}

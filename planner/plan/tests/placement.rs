//! Who evaluates, and who works with whom, follows from the agreed snapshot and the targets.

use super::*;
use crate::cost::Link;
use crate::explain;

const GROUPS: &str = "SELECT diag, COUNT(*) AS n FROM t GROUP BY diag";
const SLOW: Link = Link { latency_us: 64, mbit_per_s: 4 };

fn party(index: usize) -> PartyId {
    PartyId::new(index).unwrap()
}

/// Links that differ from those of one machine.
fn snapshot(slow: &[(usize, usize)]) -> LinkSnapshot {
    let links = slow.iter().map(|(from, to)| ((party(*from), party(*to)), SLOW)).collect();
    LinkSnapshot { links, ..LinkSnapshot::default() }
}

fn garbled_over(m: usize, links: LinkSnapshot) -> Plan {
    let backends = Backends::Only(Backend::Garbled);
    let options = Options { links, backends, ..options(m) };
    plan(&federation(m, DIAGNOSES, 40), GROUPS, &options).unwrap()
}

fn priced(m: usize, targets: &str) -> Plan {
    let text = format!(
        "name = \"study\"\n{}[[table]]\nname = \"t\"\ncolumns = [{DIAGNOSES}]\nheld_by = [{}]\n{targets}",
        (0..m)
            .map(|i| format!("[[party]]\nname = \"p{i}\"\naddress = \"127.0.0.1:{}\"\n", 7400 + i))
            .collect::<String>(),
        (0..m)
            .map(|i| format!("{{ party = \"p{i}\", capacity = 40 }}"))
            .collect::<Vec<_>>()
            .join(", "),
    );
    let backends = Backends::Only(Backend::Garbled);
    let federation = Federation::parse(text.as_bytes()).unwrap();
    plan(&federation, GROUPS, &Options { backends, ..options(m) }).unwrap()
}

#[test]
fn a_party_that_others_reach_slowly_does_not_evaluate() {
    let root = |links| garbled_over(3, links).root().unwrap().evaluator;
    assert_eq!(root(snapshot(&[])), party(0));
    assert_eq!(root(snapshot(&[(1, 0), (2, 0)])), party(1));
    // One that itself sends slowly does: it sends no tables then.
    assert_eq!(root(snapshot(&[(2, 0), (2, 1)])), party(2));
}

#[test]
fn the_dear_sender_evaluates_when_money_counts() {
    let prices = "egress_per_gb = { p0 = 0.01, p1 = 0.09, p2 = 0.01 }";
    let money = priced(3, &format!("[targets]\nminimise = \"money\"\n{prices}\n"));
    for stage in money.stages.iter().filter(|stage| stage.parties.contains(party(1))) {
        assert_eq!(stage.evaluator, party(1));
    }
    let price = |plan: &Plan| -> u128 {
        plan.summaries.iter().map(|s| money.links.targets.price_of(&s.cost)).sum()
    };
    let time = priced(3, "");
    assert_eq!(time.root().unwrap().evaluator, party(0));
    assert!(price(&money) < price(&time));
}

#[test]
fn near_parties_work_together_first() {
    let sets = |links| {
        let plan = garbled_over(4, links);
        let sets = plan.stages.iter().map(|stage| stage.parties);
        sets.filter(|set| set.len() == 2).collect::<Vec<_>>()
    };
    let pair = |a, b| -> PartySet { [party(a), party(b)].into_iter().collect() };
    let far = |a: usize, b: usize| a % 2 != b % 2;
    let pairs = (0..4).flat_map(|a| (0..4).map(move |b| (a, b)));
    let slow: Vec<_> = pairs.filter(|(a, b)| far(*a, *b)).collect();
    let near = sets(snapshot(&slow));
    assert!(near.contains(&pair(0, 2)) && near.contains(&pair(1, 3)), "{near:?}");
    assert!(!sets(snapshot(&[])).contains(&pair(0, 2)));
}

#[test]
fn the_snapshot_is_part_of_what_is_agreed() {
    let digest = |links| garbled_over(2, links).digest;
    assert_eq!(digest(snapshot(&[(0, 1)])), digest(snapshot(&[(0, 1)])));
    assert_ne!(digest(snapshot(&[(0, 1)])), digest(snapshot(&[(1, 0)])));
    let faster = LinkSnapshot { speeds: [(party(1), 200)].into(), ..snapshot(&[]) };
    assert_ne!(digest(faster.clone()), digest(snapshot(&[])));
    let slower = LinkSnapshot { speeds: [(party(1), 25)].into(), ..snapshot(&[]) };
    let nanos = |links| garbled_over(2, links).nanos();
    assert!(nanos(slower) > nanos(snapshot(&[])));
    // Everybody waits for the other one.
    assert_eq!(nanos(faster), nanos(snapshot(&[])));
}

#[test]
fn explain_says_by_what_a_plan_was_placed() {
    let plan = garbled_over(3, snapshot(&[(1, 0), (2, 0)]));
    let federation = federation(3, DIAGNOSES, 40);
    let text = explain::text(&plan, &federation);
    for part in ["placed to keep time small", "p1 to p0: 64 us, 4 Mbit/s", "(instead of p0: "] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let json = explain::json(&plan, &federation);
    assert_eq!(json["placement"]["links"][0]["mbit_per_s"], 4);
    let usual = explain::text(&garbled_over(3, snapshot(&[])), &federation);
    assert!(!usual.contains("placed") && !usual.contains("instead"), "{usual}");
}

#[test]
fn a_federation_bounds_the_memory_of_batches() {
    let (bounded, free) = (priced(4, "[targets]\nbatch_memory_mb = 128\n"), priced(4, ""));
    let text = |plan| explain::text(plan, &federation(4, DIAGNOSES, 40));
    assert!(text(&bounded).contains("leaky triples of a batch: at most 128 MiB at a party"));
    assert!(!text(&free).contains("MiB at a party"));
    assert_ne!(bounded.digest, free.digest);
    for (plan, bytes) in [(&bounded, 128 << 20), (&free, senate_circuit::LEAKY_BYTES)] {
        assert_eq!(plan.links.targets.batch_bytes, bytes);
        assert_eq!(plan.preprocessing, traffic::preprocessing(&plan.stages, &plan.links.targets));
    }
}

#[test]
fn a_federation_chooses_between_computation_and_bytes() {
    let [two, four, eight] =
        [2, 4, 8].map(|k| priced(3, &format!("[targets]\nsoftspoken_k = {k}\n")));
    assert_eq!(four.total_bytes(), priced(3, "").total_bytes());
    assert!(two.digest != four.digest && four.digest != eight.digest);
    assert!(two.total_bytes() > four.total_bytes() && four.total_bytes() > eight.total_bytes());
    assert!(two.nanos() < four.nanos() && four.nanos() < eight.nanos());
    let text = explain::text(&eight, &federation(3, DIAGNOSES, 40));
    assert!(text.contains("oblivious transfer: 16 bits per row, trees of 256 leaves"), "{text}");
}

#[test]
fn sections_that_do_not_make_sense_are_refused() {
    let parties = "name = \"s\"\n[[party]]\nname = \"p0\"\naddress = \"h:1\"\n\
                   [[party]]\nname = \"p1\"\naddress = \"h:2\"\n";
    let problem = |section: &str| {
        let parsed = Federation::parse(format!("{parties}{section}\n").as_bytes());
        parsed.map(drop).map_err(|error| error.to_string())
    };
    for good in [
        "[targets]\nminimise = \"money\"\negress_per_gb = { p1 = 0.09 }",
        "[availability]\ndeadline_s = 60\nretry_s = 0",
        "[consistency]\nsnapshot = \"table\"\ninvariants = \"before release\"",
    ] {
        assert_eq!(problem(good), Ok(()));
    }
    for (bad, word) in [
        ("[targets]\nminimise = \"speed\"", "none of time, bytes, money"),
        ("[targets]\nminimise = \"money\"", "nothing has a price"),
        ("[targets]\negress_per_gb = { p9 = 1 }", "no party"),
        ("[targets]\negress_per_gb = { p1 = -1 }", "is not in 0.."),
        ("[targets]\nbatch_memory_mb = 127", "is not in 128..65536"),
        ("[targets]\nsoftspoken_k = 3", "none of 2, 4 and 8"),
        ("[targets]\nlatency = 1", "unknown field"),
        ("[availability]\ndeadline_s = 0", "is not in 1.."),
        ("[availability]\nreplicas = 2", "unknown field"),
        ("[consistency]\nsnapshot = \"federation\"", "is not supported"),
    ] {
        let why = problem(bad).unwrap_err();
        assert!(why.contains(word), "{bad}: {why}");
    }
    let epoch = Federation::parse(format!("epoch = 0\n{parties}").as_bytes());
    assert!(epoch.unwrap_err().to_string().contains("counted from 1"));
}

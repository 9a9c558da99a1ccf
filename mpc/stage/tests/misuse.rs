//! What the caller gets wrong is refused before anything is sent.

use super::plans::{inputs_of, tree};
use super::{Inputs, own_inputs, run};
use crate::error::Error;
use crate::pre::ideal::Dealer;
use crate::sim::{Federation, Honest};
use crate::stage::Execution;
use crate::stage::ideal::IdealHost;
use senate_circuit::{Reveal, Source, Stage, StageId};

fn pair() -> (Vec<Stage>, Inputs) {
    let plan = tree(&[(&[0, 1], 0, &[0, 1], &[]), (&[0, 1], 1, &[0], &[0])], 3);
    let inputs = inputs_of(&plan, 1);
    (plan, inputs)
}

fn is_misuse<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::Misuse(_)))
}

#[test]
fn a_stage_runs_once_in_order_and_release_waits_for_all() {
    let (plan, inputs) = pair();
    let results = Federation::new(2, 3).run(|mesh, entropy| {
        let (plan, inputs) = (&plan, &inputs);
        async move {
            let own = own_inputs(plan, inputs, mesh.me());
            let host = IdealHost::open(mesh, entropy, Dealer::new(4)).await?;
            let early = Execution::new(&host, plan)?;
            assert!(is_misuse(&early.run(StageId(1), &own).await));
            assert!(is_misuse(&early.run(StageId(7), &own).await));
            let execution = Execution::new(&host, plan)?;
            execution.run(StageId(0), &own).await?;
            assert!(is_misuse(&execution.run(StageId(0), &own).await));
            assert!(is_misuse(&execution.release().await));
            Ok(())
        }
    });
    assert!(results.iter().all(Result::is_ok));
}

#[test]
fn malformed_plans_and_missing_inputs_are_refused() {
    let (good, inputs) = pair();
    let refused = |change: &dyn Fn(&mut Vec<Stage>)| {
        let mut plan = good.clone();
        change(&mut plan);
        let results = run(2, &plan, &inputs, &mut Honest);
        assert!(results.iter().all(is_misuse));
    };
    refused(&|plan| plan.swap(0, 1));
    refused(&|plan| plan[0].ver[0].bundle = 0);
    refused(&|plan| plan[1].reveals[0].recipients = senate_circuit::PartySet::first(3));
    refused(&|plan| plan[1].inputs[0] = plan[0].inputs[0]);
    let to_all = Reveal { bundle: 0, recipients: good[0].parties };
    refused(&|plan| plan[0].reveals.push(to_all.clone()));
    refused(&|plan| plan[1].id = StageId(0));
    refused(&|plan| plan[1].inputs[1] = Source::Child { stage: StageId(0), bundle: 9 });
    let mut short = inputs.clone();
    short.values_mut().for_each(|bits| *bits = bits.slice(0, 1));
    assert!(run(2, &good, &short, &mut Honest).iter().all(Result::is_err));
}

//! Honest runs of whole plans, recorded.

use crate::protocol::plans::{Inputs, own_inputs};
use crate::protocol::transcript::Transcript;
use senate_circuit::Stage;
use senate_mpc::sim::Federation;
use senate_mpc::{Outputs, Params, Session, SessionHost, execute};

/// Everybody's outputs of `plan` among `n` parties, and what crossed the links. Base oblivious
/// transfers are dealt.
pub(crate) fn record(
    n: usize,
    seed: u64,
    plan: &[Stage],
    inputs: &Inputs,
) -> (Vec<Outputs>, Transcript) {
    let mut transcript = Transcript::default();
    let results = Federation::new(n, seed).run_tampered(&mut transcript, async |mesh, entropy| {
        let session = Session::open_dealt(mesh, Params::new([4; 32]), entropy).await?;
        session.bind(&[5; 32]).await?;
        let own = own_inputs(plan, inputs, session.me());
        execute(&SessionHost::new(session, plan)?, plan, &own).await
    });
    (results.into_iter().map(Result::unwrap).collect(), transcript)
}

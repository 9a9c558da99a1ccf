//! A host whose preprocessing and seeds come from a trusted dealer. Tests only.

use super::{Host, StageContext};
use crate::domain::SessionId;
use crate::entropy::Entropy;
use crate::error::Error;
use crate::mesh::{Lane, Mesh};
use crate::pre::ideal::{Dealer, Ideal};
use crate::zero::ZeroShares;
use senate_circuit::Stage;
use std::rc::Rc;

/// One party of a session whose set-up a dealer has done.
#[derive(Debug)]
pub struct IdealHost {
    mesh: Mesh,
    dealer: Dealer,
    entropy: Rc<Entropy>,
    zero: Rc<ZeroShares>,
}

impl IdealHost {
    /// The party of `mesh`; all parties take the same dealer. Only the seeds of zero shares are
    /// agreed on between the parties.
    ///
    /// # Errors
    /// Those of the channel.
    pub async fn open(mesh: Mesh, entropy: Entropy, dealer: Dealer) -> Result<Self, Error> {
        let channel = mesh.channel(Lane::SESSION, mesh.parties())?;
        let zero = Rc::new(ZeroShares::set_up(&channel, &entropy).await?);
        Ok(Self { mesh, dealer, entropy: Rc::new(entropy), zero })
    }
}

impl Host for IdealHost {
    type Preprocessing = Ideal;

    fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    fn context(&self, stage: &Stage) -> Result<StageContext, Error> {
        let member = self.dealer.member(self.mesh.me(), stage.parties)?;
        let (entropy, zero) = (self.entropy.clone(), self.zero.clone());
        StageContext::new(&self.mesh, SessionId([9; 32]), member, stage, entropy, zero)
    }

    fn preprocessing(&self, stage: &Stage) -> Result<Ideal, Error> {
        Ok(self.dealer.stage(&self.dealer.member(self.mesh.me(), stage.parties)?, stage.id))
    }
}

//! Inner equi-joins.
use super::{Joint, Splitter};
use crate::sql::PlanError;
use datafusion_expr::Join;
impl Splitter<'_> {
    pub(super) fn join(&mut self, _node: &Join) -> Result<Joint, PlanError> {
        Err(PlanError::unsupported("joins"))
    }
}

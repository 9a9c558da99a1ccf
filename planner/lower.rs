//! From the joint plan to stages: the operator tree of [`physical`], its binary decomposition, and
//! one circuit per party set. One operator per file, each with its range and inverse.

mod arrange;
mod backend;
pub mod census;
mod emit;
mod error;
mod estimate;
mod expr;
mod group;
mod join;
mod layout;
pub mod physical;
mod place;
mod scalar;
mod scattered;
mod shape;
mod sort;
mod table;
mod tree;
mod ver;

pub use backend::Backends;
pub use emit::Decompose;
pub use error::LowerError;
pub use layout::LeafLayout;
pub use physical::LeafColumn;
pub use place::Ordering;
pub(crate) use shape::ascending;
pub use shape::{Field, Shape};

use crate::cost::LinkSnapshot;
use crate::ir::Node;
use senate_circuit::{PartySet, Stage};
use std::collections::BTreeMap;
use tree::Costing;

/// Public choices that the stages depend on besides the joint plan.
#[derive(Clone, Debug)]
pub struct Lowering<'a> {
    /// Who learns the result.
    pub recipients: PartySet,
    /// Subsets or everybody.
    pub decompose: Decompose,
    /// How stages may be run.
    pub backends: Backends,
    /// Whether the query orders the rows.
    pub ordering: Ordering,
    /// Prices of the links.
    pub links: &'a LinkSnapshot,
}

/// The stages of a joint plan, children before parents, the root last; none when the only
/// recipient holds the whole result.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// Circuits and who runs them.
    pub stages: Vec<Stage>,
    /// Names of the operators in each stage, in the order in which they are evaluated.
    pub operators: Vec<Vec<String>>,
    /// The layout of every local result that enters a stage.
    pub layouts: BTreeMap<usize, LeafLayout>,
    /// Encodings and capacity of the result, bundle 0 of the root stage.
    pub result: Shape,
    /// Whether the query orders the rows.
    pub ordering: Ordering,
    /// The root stage's output bundle that says that some value did not fit its type.
    pub overflow: Option<usize>,
    /// The root stage's output bundle with the number of suppressed groups.
    pub suppressed: Option<usize>,
}

/// Lowers a joint plan.
///
/// # Errors
/// [`LowerError`] when an operator has no circuit; it depends on public data only.
pub fn lower(node: &Node, lowering: &Lowering<'_>) -> Result<Lowered, LowerError> {
    let costing = Costing { links: lowering.links.clone() };
    let tree = place::root(node, lowering.ordering, &costing)?;
    let parties = tree.parties.union(lowering.recipients);
    let ordering = lowering.ordering;
    if parties.len() < 2 {
        if !only_leaf(node) {
            return Err(LowerError::malformed("one party's query was not left to that party"));
        }
        let (stages, operators, layouts) = (Vec::new(), Vec::new(), BTreeMap::new());
        let (result, overflow, suppressed) = (tree.shape, None, None);
        return Ok(Lowered { stages, operators, layouts, result, ordering, overflow, suppressed });
    }
    plannable(&tree)?;
    let mut emitter = emit::Emitter {
        decompose: lowering.decompose,
        backends: lowering.backends,
        links: lowering.links,
        stages: Vec::new(),
        operators: Vec::new(),
        layouts: BTreeMap::new(),
    };
    let opened = emitter.root(&tree, parties, lowering.recipients)?;
    let result = Shape { rows: opened.rows, ..tree.shape };
    let emit::Emitter { stages, operators, layouts, .. } = emitter;
    let emit::Opened { overflow, suppressed, .. } = opened;
    Ok(Lowered { stages, operators, layouts, result, ordering, overflow, suppressed })
}

/// Whether circuits over so many rows can be written in reasonable time and memory.
fn plannable(tree: &physical::Physical) -> Result<(), LowerError> {
    place::few_enough(tree.shape.rows.into())?;
    tree.inputs.iter().try_for_each(plannable)
}

/// Whether the joint part is one party's result as it is.
fn only_leaf(node: &Node) -> bool {
    match node {
        Node::Leaf(_) => true,
        Node::Project { input, .. } => only_leaf(input),
        _ => false,
    }
}

#[cfg(test)]
mod tests;

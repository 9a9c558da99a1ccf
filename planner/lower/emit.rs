//! Operator tree to stages: a circuit per party set, Ver on everything that enters one, children
//! before parents ([Senate] §4–5, PROTOCOL.md §7–8).

use super::arrange;
use super::backend::{Backends, Choice, Pricing};
use super::error::LowerError;
use super::expr::Evaluator;
use super::group::{self, Grouping};
use super::physical::{Operator, Physical};
use super::scattered::Scattered;
use super::shape::Shape;
use super::table::Table;
use super::{join, sort, ver};
use crate::cost::LinkSnapshot;
use crate::ir::Expr;
use crate::lower::layout::LeafLayout;
use senate_circuit::{
    Backend, Builder, Goal, PartyId, PartySet, PlaneId, Program, Reveal, Source, Stage, StageId,
    VerBit, Word,
};
use std::collections::BTreeMap;

/// Whether operators run among as few parties as they can.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Decompose {
    /// Every exactly verifiable operator on a proper subset of its consumer's parties is a stage.
    #[default]
    Yes,
    /// Everything in one circuit among all: the baseline of comparisons.
    No,
}

/// Writes the circuit of a stage; returns what it opens and something about it.
type Write<'a, E, T> = &'a dyn Fn(&mut E, &mut Writer) -> Result<(T, Vec<Reveal>), LowerError>;

/// Collects stages.
pub(super) struct Emitter<'a> {
    pub decompose: Decompose,
    pub backends: Backends,
    pub links: &'a LinkSnapshot,
    pub stages: Vec<Stage>,
    pub operators: Vec<Vec<String>>,
    pub layouts: BTreeMap<usize, LeafLayout>,
}

/// What the lanes without a row hold of a relation that crosses into a stage.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Padding {
    /// Zeros: the relation is canonical (unless it is scattered).
    Zero,
    /// Anything: valid rows are in front, and that is all.
    Any,
}

/// A stage being written.
struct Writer {
    builder: Builder,
    children: Children,
    parties: PartySet,
    sources: Vec<Source>,
    ver: Vec<PlaneId>,
    overflow: Vec<PlaneId>,
    suppressed: Vec<Word>,
    operators: Vec<String>,
}

/// The stages whose results a stage takes, in the order in which it asks for them.
enum Children {
    /// They are written as they are asked for.
    New(Vec<StageId>),
    /// The stage is written once more, with other gadgets.
    Known(std::vec::IntoIter<StageId>),
}

/// A stage that has been written, before it is decided how it runs.
pub(super) struct Draft {
    pub program: Program,
    pub sources: Vec<Source>,
    ver: Vec<VerBit>,
    reveals: Vec<Reveal>,
    operators: Vec<String>,
    children: Vec<StageId>,
}

/// What the root stage opens.
pub(super) struct Opened {
    /// Capacity of the result.
    pub rows: u32,
    /// Output bundle of the root stage with the overflow flag.
    pub overflow: Option<usize>,
    /// Output bundle of the root stage with the number of suppressed groups.
    pub suppressed: Option<usize>,
}

impl Emitter<'_> {
    /// The root stage, with all stages below it; the result goes to `recipients`.
    pub(super) fn root(
        &mut self,
        tree: &Physical,
        parties: PartySet,
        recipients: PartySet,
    ) -> Result<Opened, LowerError> {
        let (opened, _) =
            self.stage(parties, &|emitter, writer| emitter.write_root(tree, recipients, writer))?;
        Ok(opened)
    }

    fn write_root(
        &mut self,
        tree: &Physical,
        recipients: PartySet,
        writer: &mut Writer,
    ) -> Result<(Opened, Vec<Reveal>), LowerError> {
        let table = self.evaluate(tree, writer)?.canonical(&mut writer.builder);
        let bundle = writer.builder.output(&table.relation.planes());
        let mut reveals = vec![Reveal { bundle, recipients }];
        let overflow = writer.overflow_flag();
        if let Some(bundle) = overflow {
            reveals.push(Reveal { bundle, recipients });
        }
        let suppressed = writer.suppressed_groups();
        if let Some(bundle) = suppressed {
            reveals.push(Reveal { bundle, recipients });
        }
        Ok((Opened { rows: table.rows(), overflow, suppressed }, reveals))
    }

    /// A child stage; its one relation is output bundle 0.
    fn child(&mut self, tree: &Physical, padding: Padding) -> Result<StageId, LowerError> {
        let ((), id) = self.stage(tree.parties, &|emitter, writer| {
            emitter.write_child(tree, padding, writer).map(|()| ((), Vec::new()))
        })?;
        Ok(id)
    }

    fn write_child(
        &mut self,
        tree: &Physical,
        padding: Padding,
        writer: &mut Writer,
    ) -> Result<(), LowerError> {
        let table = self.operator(tree, writer)?;
        let table = match padding {
            _ if tree.is_scattered() => table,
            Padding::Zero => table.canonical(&mut writer.builder),
            Padding::Any => table.in_front(&mut writer.builder),
        };
        let opens = !writer.overflow.is_empty() || !writer.suppressed.is_empty();
        if opens || table.rows() != tree.shape.rows {
            return Err(LowerError::malformed("a stage whose range is not exact"));
        }
        writer.builder.output(&table.relation.planes());
        Ok(())
    }

    /// A stage of `parties` that `write` writes, on the backend and with the gadgets that are
    /// predicted to be the fastest. What it writes depends on nothing but the writer's goal.
    fn stage<T>(
        &mut self,
        parties: PartySet,
        write: Write<'_, Self, T>,
    ) -> Result<(T, StageId), LowerError> {
        let leader = parties.leader().ok_or_else(|| LowerError::malformed("a stage of nobody"))?;
        let mut writer = Writer::new(parties, Goal::Gates, Children::New(Vec::new()));
        let (result, reveals) = write(self, &mut writer)?;
        let draft = writer.draft(reveals)?;
        let pricing = Pricing { backends: self.backends, parties, leader, links: self.links };
        let mut choice = pricing.of_few_gates(draft);
        if pricing.depth_may_pay(&choice) {
            let children = Children::Known(choice.draft.children.clone().into_iter());
            let mut writer = Writer::new(parties, Goal::Depth, children);
            let (_, reveals) = write(self, &mut writer)?;
            choice = pricing.or_of_few_layers(choice, writer.draft(reveals)?);
        }
        let Choice { draft, backend, evaluator, .. } = choice;
        let program = match backend {
            Backend::Garbled => draft.program,
            Backend::Interactive => draft.program.in_layers(),
        };
        let too_many = |_| LowerError::malformed("too many stages");
        let id = StageId(u32::try_from(self.stages.len()).map_err(too_many)?);
        self.operators.push(draft.operators);
        let Draft { sources: inputs, ver, reveals, .. } = draft;
        self.stages.push(Stage { id, parties, backend, evaluator, program, inputs, ver, reveals });
        Ok((result, id))
    }

    /// The relation of a subtree in the writer's stage, canonical where others made it.
    fn evaluate(&mut self, tree: &Physical, writer: &mut Writer) -> Result<Table, LowerError> {
        match self.source(tree, Padding::Zero, writer)? {
            Some(source) => writer.enter(source, &tree.shape, Padding::Zero),
            None => self.operator(tree, writer),
        }
    }

    /// The relation of a subtree as merges and groups take it: valid rows in front, and exactly the
    /// lanes that the shape says.
    fn in_front(&mut self, tree: &Physical, writer: &mut Writer) -> Result<Table, LowerError> {
        let table = match self.source(tree, Padding::Any, writer)? {
            Some(source) => writer.enter(source, &tree.shape, Padding::Any)?,
            None => self.operator(tree, writer)?,
        };
        let table = table.in_front(&mut writer.builder);
        Ok(padded(writer, table, &tree.shape))
    }

    /// The relation of a subtree as an intersection on `keys` columns takes it.
    fn scattered(
        &mut self,
        tree: &Physical,
        keys: usize,
        writer: &mut Writer,
    ) -> Result<Scattered, LowerError> {
        if let Some(source) = self.source(tree, Padding::Zero, writer)? {
            return writer.enter_scattered(source, tree, keys);
        }
        let table = self.operator(tree, writer)?;
        if tree.is_scattered() {
            return Ok(Scattered::new(table));
        }
        let table = table.canonical(&mut writer.builder);
        let table = padded(writer, table, &tree.shape);
        Ok(Scattered::of_canonical(&mut writer.builder, table, keys))
    }

    /// Who makes a relation for the writer's stage: an owner, or a stage of its own where that is
    /// possible and has fewer parties.
    fn source(
        &mut self,
        tree: &Physical,
        padding: Padding,
        writer: &mut Writer,
    ) -> Result<Option<Source>, LowerError> {
        if let Operator::Leaf { party, slot, .. } = &tree.operator {
            return self.leaf(tree, (*party, *slot), writer).map(Some);
        }
        let own_stage = self.decompose == Decompose::Yes
            && tree.exact
            && matches!(
                tree.operator,
                Operator::Merge { .. } | Operator::Group { .. } | Operator::Intersect { .. }
            )
            && tree.parties.len() > 1
            && tree.parties != writer.parties
            && tree.parties.is_subset(writer.parties);
        if !own_stage {
            return Ok(None);
        }
        let stage = match &mut writer.children {
            Children::Known(children) => children.next(),
            Children::New(children) => {
                let stage = self.child(tree, padding)?;
                children.push(stage);
                Some(stage)
            }
        };
        let stage = stage.ok_or_else(|| LowerError::malformed("the stages below a stage"))?;
        Ok(Some(Source::Child { stage, bundle: 0 }))
    }

    /// The operator itself in the writer's stage.
    fn operator(&mut self, tree: &Physical, writer: &mut Writer) -> Result<Table, LowerError> {
        if let Operator::Intersect { keys, .. } = tree.operator {
            let inputs = tree.inputs.iter().map(|input| self.scattered(input, keys, writer));
            let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
            writer.note(&tree.operator);
            let [left, right] = inputs.as_slice() else {
                return Err(LowerError::malformed("an intersection's inputs"));
            };
            return Ok(join::intersect(&mut writer.builder, left, right, keys));
        }
        let inputs = tree.inputs.iter().map(|input| match tree.operator {
            Operator::Merge { .. } | Operator::Group { keys: 1.., .. } => {
                self.in_front(input, writer)
            }
            Operator::Lookup { .. } => {
                let table = self.evaluate(input, writer)?.canonical(&mut writer.builder);
                Ok(padded(writer, table, &input.shape))
            }
            _ => self.evaluate(input, writer),
        });
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        writer.note(&tree.operator);
        apply(tree, inputs, writer)
    }

    fn leaf(
        &mut self,
        tree: &Physical,
        (party, slot): (PartyId, usize),
        writer: &Writer,
    ) -> Result<Source, LowerError> {
        let layout = LeafLayout::of(tree);
        let layout = layout.ok_or_else(|| LowerError::malformed("an input's layout"))?;
        let before = self.layouts.insert(slot, layout);
        if before.is_some() && matches!(writer.children, Children::New(_)) {
            return Err(LowerError::malformed("a local result that is used twice"));
        }
        if !writer.parties.contains(party) {
            return Err(LowerError::malformed("an owner outside its stage"));
        }
        Ok(Source::Owner { party, slot })
    }
}

impl Writer {
    fn new(parties: PartySet, goal: Goal, children: Children) -> Self {
        Self {
            builder: Builder::with_goal(goal),
            children,
            parties,
            sources: Vec::new(),
            ver: Vec::new(),
            overflow: Vec::new(),
            suppressed: Vec::new(),
            operators: Vec::new(),
        }
    }

    /// The circuit, with one bit for everything that entered it.
    fn draft(mut self, reveals: Vec<Reveal>) -> Result<Draft, LowerError> {
        let b = &mut self.builder;
        let ok = b.all(&self.ver, 1);
        let ver = match self.ver.is_empty() {
            true => Vec::new(),
            false => vec![VerBit { bundle: b.output(&[ok]) }],
        };
        let children = match self.children {
            Children::New(children) => children,
            Children::Known(_) => Vec::new(),
        };
        let program = self.builder.finish()?;
        let (sources, operators) = (self.sources, self.operators);
        Ok(Draft { program, sources, ver, reveals, operators, children })
    }

    /// A relation that somebody else made, with its Ver.
    fn enter(
        &mut self,
        source: Source,
        shape: &Shape,
        padding: Padding,
    ) -> Result<Table, LowerError> {
        let b = &mut self.builder;
        let table = Table::input(b, &shape.fields, shape.rows);
        let zero = padding == Padding::Zero;
        let in_range = if zero { ver::in_range } else { ver::in_front_range };
        self.sources.push(source);
        self.ver.push(in_range(b, &table, shape)?);
        Ok(Table { zero, ..table })
    }

    /// A set that somebody else made, as an intersection on `keys` columns takes it, with its Ver.
    fn enter_scattered(
        &mut self,
        source: Source,
        tree: &Physical,
        keys: usize,
    ) -> Result<Scattered, LowerError> {
        let b = &mut self.builder;
        let table = Table::input(b, &tree.shape.fields, tree.shape.rows);
        let set = match tree.is_scattered() {
            true => Scattered::new(table),
            false => Scattered::of_canonical(b, table, keys),
        };
        self.sources.push(source);
        self.ver.push(ver::in_scattered_range(b, &set, &tree.shape, keys)?);
        Ok(set)
    }

    fn note(&mut self, operator: &Operator) {
        if !matches!(operator, Operator::Arrange { one_row: false, .. }) {
            self.operators.push(operator.name().to_owned());
        }
    }

    /// One lane: how many groups were suppressed in all.
    fn suppressed_groups(&mut self) -> Option<usize> {
        let b = &mut self.builder;
        let numbers = std::mem::take(&mut self.suppressed);
        let total = numbers.into_iter().reduce(|sum, number| b.add_wide(&sum, &number))?;
        Some(b.output(&total.bits))
    }

    /// One lane: whether some counting value did not fit.
    fn overflow_flag(&mut self) -> Option<usize> {
        if self.overflow.is_empty() {
            return None;
        }
        let flags = std::mem::take(&mut self.overflow);
        let flags: Vec<_> = flags.into_iter().map(|flag| self.builder.any_lane(flag)).collect();
        let any = self.builder.any(&flags, 1);
        Some(self.builder.output(&[any]))
    }
}

/// With exactly the lanes that the shape says.
fn padded(writer: &mut Writer, mut table: Table, shape: &Shape) -> Table {
    if table.rows() < shape.rows {
        table.relation = table.relation.pad(&mut writer.builder, shape.rows);
        table.limit = shape.rows;
    }
    table
}

fn apply(tree: &Physical, inputs: Vec<Table>, writer: &mut Writer) -> Result<Table, LowerError> {
    let missing = || LowerError::malformed("an operator's inputs");
    let b = &mut writer.builder;
    let mut inputs = inputs.into_iter();
    let first = inputs.next().ok_or_else(missing)?;
    Ok(match &tree.operator {
        Operator::Leaf { .. } | Operator::Intersect { .. } => return Err(missing()),
        Operator::Merge { keep } => {
            let second = inputs.next().ok_or_else(missing)?;
            sort::merge(b, &first, &second, &tree.shape.order, *keep)
        }
        Operator::Concat => {
            let all: Vec<_> = std::iter::once(first).chain(inputs).collect();
            Table::stacked(b, &all, &tree.shape.fields)
        }
        Operator::Group { keys, combine } => {
            let repeats = tree.inputs.iter().map(|input| repeats(input, *keys));
            let repeats = repeats.fold(0u32, u32::saturating_add);
            let groups = tree.shape.rows;
            let grouping = Grouping { keys: *keys, combine, repeats, groups };
            let all: Vec<_> = std::iter::once(first).chain(inputs).collect();
            group::group(b, &all, &grouping).ok_or_else(missing)?
        }
        Operator::Lookup { keys, found } => {
            let second = inputs.next().ok_or_else(missing)?;
            join::lookup(b, &first, &second, *keys, *found)
        }
        Operator::Broadcast => {
            let one = inputs.next().ok_or_else(missing)?.in_front(b);
            join::broadcast(b, first, &one).ok_or_else(missing)?
        }
        Operator::Arrange { columns, one_row } => {
            let (table, overflow) = arrange::arrange(b, first, columns, *one_row)?;
            writer.overflow.extend(overflow);
            table
        }
        Operator::Filter(predicate) => {
            let mut evaluator = Evaluator::over(b, &first);
            let holds = evaluator.evaluate(predicate)?;
            let holds = holds.is_true(evaluator.builder);
            let overflow = std::mem::take(&mut evaluator.overflow);
            writer.overflow.extend(overflow);
            let relation = first.relation.filter(&mut writer.builder, holds);
            Table { relation, prefix: false, zero: false, ..first }
        }
        Operator::Suppress(predicate) => suppress(first, predicate, writer)?,
        Operator::Project(exprs) => {
            let (table, overflow) = arrange::project(b, &first, exprs, &tree.shape.fields)?;
            writer.overflow.extend(overflow);
            table
        }
        Operator::Sort { order, keep } => sort::sort(b, first, order, *keep),
        Operator::First(rows) => sort::first(b, first, *rows),
        Operator::Skip(rows) => sort::skip(b, first, *rows),
    })
}

/// The rows for which the predicate is true; the others are counted.
fn suppress(table: Table, predicate: &Expr, writer: &mut Writer) -> Result<Table, LowerError> {
    let mut evaluator = Evaluator::over(&mut writer.builder, &table);
    let holds = evaluator.evaluate(predicate)?;
    let holds = holds.is_true(evaluator.builder);
    let overflow = std::mem::take(&mut evaluator.overflow);
    writer.overflow.extend(overflow);
    let b = &mut writer.builder;
    let fails = b.not(holds);
    let suppressed = b.and(table.relation.valid, fails);
    let number = b.sum_lanes(&Word::bit(suppressed, table.rows()));
    let relation = table.relation.filter(b, holds);
    writer.suppressed.push(number);
    Ok(Table { relation, prefix: false, zero: false, ..table })
}

/// Most rows of an input that agree on its first `keys` columns.
fn repeats(input: &Physical, keys: usize) -> u32 {
    let by_key = input.shape.order.iter().all(|key| key.column < keys);
    if by_key { input.shape.repeats } else { input.shape.rows }
}

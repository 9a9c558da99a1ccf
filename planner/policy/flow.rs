//! Provenance: which columns of which tables flow into every place of a plan where values decide
//! something. Aliases, subqueries, CASE, arithmetic and casts carry their operands along; an
//! aggregate ends the flow, and its function is what its operands were used for; a key of groups
//! goes on as such. What cannot be traced is reported, and nobody's policy allows it.

mod aggregate;
mod column;
mod expr;
mod fails;
mod repeat;
mod rows;

pub(super) use repeat::repeated;

use super::usage::Usage;
use column::{Column, Flow, Shape};
use datafusion_common::{Column as Name, TableReference};
use datafusion_expr::utils::split_conjunction;
use datafusion_expr::{
    Distinct, Expr, Filter, Join, JoinType, LogicalPlan, Projection, Sort, TableScan, Window,
};
use std::collections::BTreeSet;

/// A table by its name, and by its holder if the text names one.
pub(super) type Table = (Option<String>, String);

/// A column of a table as the text names it: of one holder, or of all.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Origin {
    pub(super) holder: Option<String>,
    pub(super) table: String,
    pub(super) column: String,
}

/// A use of a column.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Demand {
    pub(super) origin: Origin,
    pub(super) usage: Usage,
    /// The expression in which it is used.
    pub(super) through: String,
}

/// An aggregate over rows of a table of values that are not of it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Beside {
    pub(super) rows: Table,
    /// The table of the values; none if the text has made them.
    pub(super) values: Option<Table>,
    /// The aggregate.
    pub(super) through: String,
}

/// An expression that fails for some values of these columns.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Failing {
    pub(super) part: String,
    pub(super) origins: BTreeSet<Origin>,
    /// Only where there are more rows than so many.
    pub(super) rows: i128,
}

/// Everything that a plan does with its tables.
#[derive(Default)]
pub(super) struct Traced {
    /// In the order of the plan, each once.
    pub(super) demands: Vec<Demand>,
    /// Tables that are scanned, by holder if the text names one.
    pub(super) tables: BTreeSet<Table>,
    /// Aggregates that choose among the rows of their groups, with the tables whose rows they are.
    pub(super) choosing: BTreeSet<(Table, String)>,
    /// Aggregates of what other tables hold beside the rows of a table.
    pub(super) beside: BTreeSet<Beside>,
    /// Expressions that fail for some values.
    pub(super) failing: BTreeSet<Failing>,
    /// Constructs whose flow is not known.
    pub(super) unknown: Vec<String>,
}

/// Follows every column of the plan to where it is used.
pub(super) fn trace(plan: &LogicalPlan) -> Traced {
    let mut tracer = Tracer::default();
    let columns = tracer.relation(plan);
    for (column, field) in columns.iter().zip(plan.schema().fields()) {
        tracer.demand(column, &Usage::Output, &format!("result column {}", field.name()));
    }
    tracer.traced
}

#[derive(Default)]
struct Tracer {
    traced: Traced,
    scans: usize,
}

impl Tracer {
    /// What flows in the columns of the plan's result.
    fn relation(&mut self, plan: &LogicalPlan) -> Vec<Column> {
        match plan {
            LogicalPlan::TableScan(scan) => self.scan(scan),
            LogicalPlan::SubqueryAlias(alias) => self.relation(&alias.input),
            LogicalPlan::Projection(Projection { expr, input, .. }) => {
                let columns = self.relation(input);
                expr.iter().map(|expr| self.value(expr, input.schema(), &columns)).collect()
            }
            LogicalPlan::Filter(Filter { predicate, input, .. }) => {
                let columns = self.relation(input);
                self.condition(predicate, input.schema(), &columns);
                columns
            }
            LogicalPlan::Aggregate(node) => self.aggregate(node, &BTreeSet::new()),
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Union(union) => {
                let inputs: Vec<_> =
                    union.inputs.iter().map(|input| self.relation(input)).collect();
                self.union(&inputs)
            }
            LogicalPlan::Sort(Sort { expr, input, .. }) => {
                let columns = self.relation(input);
                for key in expr {
                    let value = self.value(&key.expr, input.schema(), &columns);
                    self.demand(&value, &Usage::Order, &format!("ORDER BY {}", key.expr));
                }
                columns
            }
            LogicalPlan::Limit(limit) => self.relation(&limit.input),
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let columns = self.relation(input);
                let scan = self.fresh();
                for (column, field) in columns.iter().zip(input.schema().fields()) {
                    self.demand(column, &Usage::GroupBy, &format!("DISTINCT {}", field.name()));
                }
                columns.into_iter().map(|column| column.grouped(scan)).collect()
            }
            LogicalPlan::Window(node) => self.window(node),
            LogicalPlan::EmptyRelation(_) | LogicalPlan::Values(_) => constant(plan),
            other => {
                for input in other.inputs() {
                    self.relation(input);
                }
                self.unknown(other.display().to_string());
                constant(plan)
            }
        }
    }

    fn scan(&mut self, scan: &TableScan) -> Vec<Column> {
        let (holder, table) = of_scan(scan);
        self.traced.tables.insert((holder.clone(), table.clone()));
        let at = self.fresh();
        let read = |column: &str| {
            let column = column.to_owned();
            let origin = Origin { holder: holder.clone(), table: table.clone(), column };
            let flows = BTreeSet::from([Flow { origin, grouped: false, tested: false }]);
            Column { flows, scans: BTreeSet::from([at]), ..Column::default() }
        };
        let schema = scan.source.schema();
        let all = 0..schema.fields().len();
        let projected = scan.projection.clone().unwrap_or_else(|| all.collect());
        let fields = projected.iter().filter_map(|index| schema.fields().get(*index));
        let columns: Vec<Column> = fields.map(|field| read(field.name())).collect();
        for column in &columns {
            self.demand(column, &Usage::Read, "the scan");
        }
        for predicate in scan.filters.iter().flat_map(split_conjunction) {
            let mut names: Vec<&Name> = predicate.column_refs().into_iter().collect();
            names.sort();
            let mut value = Column::default();
            names.into_iter().for_each(|name| value.merge(&read(&name.name)));
            self.traceable(predicate);
            self.demand(&value, &Usage::Filter, &predicate.to_string());
        }
        columns
    }

    fn join(&mut self, join: &Join) -> Vec<Column> {
        let (left, right) = (self.relation(&join.left), self.relation(&join.right));
        let mut mark = Column::made();
        for (own, other) in &join.on {
            let through = format!("{own} = {other}");
            let own = self.value(own, join.left.schema(), &left);
            let other = self.value(other, join.right.schema(), &right);
            // A key that meets what no table holds is chosen by the text of the query.
            let is_constant = own.scans.is_empty() || other.scans.is_empty();
            for key in [own, other] {
                self.demand(&key, &Usage::JoinKey, &through);
                if is_constant {
                    self.demand(&key, &Usage::Filter, &through);
                }
                mark.merge(&key);
            }
        }
        let both: Vec<Column> = left.iter().chain(&right).cloned().collect();
        if let Some(filter) = &join.filter {
            match join.left.schema().join(join.right.schema()) {
                Ok(schema) => mark.merge(&self.condition(filter, &schema, &both)),
                Err(_) => self.unknown(filter.to_string()),
            }
        }
        match join.join_type {
            JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => both,
            JoinType::LeftSemi | JoinType::LeftAnti => left,
            JoinType::RightSemi | JoinType::RightAnti => right,
            // Whether a partner exists tells about the keys.
            JoinType::LeftMark => left.into_iter().chain([mark]).collect(),
            JoinType::RightMark => right.into_iter().chain([mark]).collect(),
        }
    }

    fn union(&mut self, inputs: &[Vec<Column>]) -> Vec<Column> {
        let scan = self.fresh();
        let width = inputs.first().map_or(0, Vec::len);
        let mut columns = vec![Column::default(); width];
        for input in inputs {
            for (column, other) in columns.iter_mut().zip(input) {
                column.merge(other);
                // A constant in one branch tells it from the others.
                column.made |= other.flows.is_empty();
            }
        }
        columns.into_iter().map(|column| column.of_scan(scan)).collect()
    }

    /// A window function gives away what it sees, and a place among rows tells about all of them.
    fn window(&mut self, node: &Window) -> Vec<Column> {
        let mut columns = self.relation(&node.input);
        let mut rows = Column::default();
        columns.iter().for_each(|column| rows.merge(&column.tested()));
        let value = |expr| {
            let mut value = self.value(expr, node.input.schema(), &columns);
            value.merge(&rows);
            value
        };
        let values: Vec<Column> = node.window_expr.iter().map(value).collect();
        columns.extend(values);
        columns
    }

    fn demand(&mut self, column: &Column, usage: &Usage, through: &str) {
        for flow in &column.flows {
            let shows = matches!(usage, Usage::Output | Usage::Order);
            if shows && flow.grouped {
                continue;
            }
            self.note(flow, usage.clone(), through);
            // SUM(CASE WHEN x > 3 …) is an aggregate of rows that x has chosen, and a key made of
            // substr(x, 1, 1) spells x out, one join after the other.
            if flow.tested && matches!(usage, Usage::Aggregate(_) | Usage::JoinKey) {
                self.note(flow, Usage::Filter, through);
            }
        }
    }

    fn note(&mut self, flow: &Flow, usage: Usage, through: &str) {
        let demand = Demand { origin: flow.origin.clone(), usage, through: through.to_owned() };
        if !self.traced.demands.contains(&demand) {
            self.traced.demands.push(demand);
        }
    }

    fn unknown(&mut self, what: String) {
        self.traced.unknown.push(what);
    }

    fn fresh(&mut self) -> usize {
        self.scans += 1;
        self.scans
    }
}

/// Columns in which nothing of any table flows.
fn constant(plan: &LogicalPlan) -> Vec<Column> {
    vec![Column::made(); plan.schema().fields().len()]
}

fn of_scan(scan: &TableScan) -> Table {
    match &scan.table_name {
        TableReference::Bare { table } => (None, table.to_string()),
        TableReference::Partial { schema, table } | TableReference::Full { schema, table, .. } => {
            (Some(schema.to_string()), table.to_string())
        }
    }
}

/// The expression below its names.
fn plain(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => plain(&alias.expr),
        other => other,
    }
}

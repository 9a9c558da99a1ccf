//! Groups of too few entities, taken out of the answer by the circuit.
//!
//! The lowest aggregate above a table with `min_group` also counts the distinct entities of each
//! group, and only groups with enough of them go on: everything above computes on groups that may
//! be shown. For that the entity column travels with the rows up to the aggregate, whatever the
//! text selects in between. A query that would show rows, or whose entities cannot be followed, is
//! refused. The rewrite comes before the optimizer, which then finds nothing out of the ordinary
//! but the opaque predicate of [`threshold`].

mod predicate;

pub(crate) use predicate::threshold;

use super::MinGroup;
use super::verdict::{Finding, Refusal, Ruling};
use datafusion_common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion_common::{Column, DataFusionError, Result, TableReference};
use datafusion_expr::expr::AggregateFunction;
use datafusion_expr::{
    Aggregate, Distinct, Expr, Filter, JoinType, LogicalPlan, Projection, Subquery, SubqueryAlias,
    TableScan, Union,
};
use datafusion_functions_aggregate::count::count_udaf;
use predicate::enough;
use senate_circuit::PartyId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One owner's smallest group in one table.
#[derive(Clone, Debug)]
pub(crate) struct GroupRule {
    pub(crate) owner: PartyId,
    /// Its name: the schema under which SQL finds its part.
    pub(crate) holder: String,
    pub(crate) table: String,
    pub(crate) rule: MinGroup,
}

/// A plan that shows no group that is too small.
#[derive(Debug)]
pub(crate) enum Guarded {
    /// No rule applies.
    AsItWas,
    /// The rewritten plan, and what is counted.
    Plan(Box<LogicalPlan>, Vec<SmallestGroup>),
}

/// A size of groups that holds in a query.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct SmallestGroup {
    /// The table whose holders ask for it.
    pub table: String,
    /// Entity and size, the strictest of the holders of the rows.
    pub rule: MinGroup,
}

/// Applies the rules to a plan that has not been optimized, and says what each of them found.
///
/// # Errors
/// A plan that DataFusion does not accept.
pub(crate) fn guard(plan: LogicalPlan, rules: &[GroupRule]) -> Result<(Guarded, Vec<Finding>)> {
    let mut guard =
        Guard { rules, entities: 0, refused: None, applied: Vec::new(), touched: BTreeSet::new() };
    let lifted = guard.lift(plan);
    if let Some(entity) = lifted.iter().flat_map(|(_, open)| open).next() {
        guard.refuse(format!("rows of {} are shown one by one", entity.threshold.table));
    }
    let touched = guard.touched.iter().filter_map(|at| rules.get(*at));
    let findings = touched.map(|rule| rule.finding(guard.refused.as_deref())).collect();
    // What is refused need not be rewritten, so nothing is wrong if it cannot be.
    let guarded = match (guard.refused, guard.applied.is_empty()) {
        (Some(_), _) => Guarded::AsItWas,
        (None, true) => lifted.map(|_| Guarded::AsItWas)?,
        (None, false) => Guarded::Plan(Box::new(lifted?.0), guard.applied),
    };
    Ok((guarded, findings))
}

impl GroupRule {
    fn finding(&self, refused: Option<&str>) -> Finding {
        let MinGroup { entity, size } = &self.rule;
        let rule = format!("groups have at least {size} distinct {entity}");
        let ruling = match refused {
            None => Ruling::Allowed(format!("{rule}; smaller ones are suppressed and counted")),
            Some(why) => Ruling::Refused(Refusal {
                rule: "min_group",
                why: format!("by the policy of {}, {rule}; but {why}", self.holder),
                remedy: "ask for aggregates of groups of rows".to_owned(),
            }),
        };
        let (subject, usage) = (self.table.clone(), "is grouped".to_owned());
        Finding { owner: self.owner, subject, usage, ruling }
    }
}

/// A column that tells whom a row is about, on its way to the next aggregate.
#[derive(Clone)]
struct Entity {
    column: Column,
    threshold: SmallestGroup,
}

struct Guard<'a> {
    rules: &'a [GroupRule],
    entities: usize,
    refused: Option<String>,
    applied: Vec<SmallestGroup>,
    touched: BTreeSet<usize>,
}

impl Guard<'_> {
    /// The plan with entity columns added to its own columns.
    fn lift(&mut self, plan: LogicalPlan) -> Result<(LogicalPlan, Vec<Entity>)> {
        let plan = self.subqueries(plan)?;
        match plan {
            LogicalPlan::TableScan(scan) => self.scan(scan),
            LogicalPlan::SubqueryAlias(alias) => {
                let (input, open) = self.lift(Arc::unwrap_or_clone(alias.input))?;
                let name = alias.alias.clone();
                let plan = SubqueryAlias::try_new(Arc::new(input), alias.alias)?;
                let open = open.into_iter().map(|entity| Entity {
                    column: Column::new(Some(name.clone()), entity.column.name),
                    ..entity
                });
                Ok((LogicalPlan::SubqueryAlias(plan), open.collect()))
            }
            LogicalPlan::Projection(node) => {
                let (input, open) = self.lift(Arc::unwrap_or_clone(node.input))?;
                let mut exprs = node.expr;
                exprs.extend(open.iter().map(|entity| Expr::Column(entity.column.clone())));
                let plan = Projection::try_new(exprs, Arc::new(input))?;
                Ok((LogicalPlan::Projection(plan), open))
            }
            LogicalPlan::Filter(_) | LogicalPlan::Sort(_) | LogicalPlan::Limit(_) => {
                let (plan, mut open) = self.inputs(plan)?;
                Ok((plan, open.pop().unwrap_or_default()))
            }
            LogicalPlan::Join(_) => self.join(plan),
            LogicalPlan::Union(union) => self.union(union),
            LogicalPlan::Aggregate(node) => {
                let (input, open) = self.lift(Arc::unwrap_or_clone(node.input.clone()))?;
                let plan = self.grouped(input, node.group_expr, node.aggr_expr, &open)?;
                Ok((plan, Vec::new()))
            }
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let keys = input.schema().columns().into_iter().map(Expr::Column).collect();
                let (input, open) = self.lift(Arc::unwrap_or_clone(input))?;
                if open.is_empty() {
                    return Ok((LogicalPlan::Distinct(Distinct::All(Arc::new(input))), open));
                }
                Ok((self.grouped(input, keys, Vec::new(), &open)?, Vec::new()))
            }
            other => {
                let name = other.display().to_string();
                let (plan, open) = self.inputs(other)?;
                if open.iter().any(|open| !open.is_empty()) {
                    self.refuse(format!("rows are not grouped before {name}"));
                }
                Ok((plan, Vec::new()))
            }
        }
    }

    /// The node over its lifted inputs.
    fn inputs(&mut self, plan: LogicalPlan) -> Result<(LogicalPlan, Vec<Vec<Entity>>)> {
        let (mut inputs, mut open) = (Vec::new(), Vec::new());
        for input in plan.inputs() {
            let (input, entities) = self.lift(input.clone())?;
            inputs.push(input);
            open.push(entities);
        }
        Ok((plan.with_new_exprs(plan.expressions(), inputs)?, open))
    }

    /// Subqueries in expressions show their rows to the node that asks them.
    fn subqueries(&mut self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let lifted = plan.map_subqueries(|plan| match plan {
            LogicalPlan::Subquery(query) => {
                let Subquery { subquery, .. } = query.clone();
                let (inner, open) = self.lift(Arc::unwrap_or_clone(subquery))?;
                self.closed(&open, "a subquery");
                let query = query.with_plan(Arc::new(inner));
                Ok(Transformed::new(LogicalPlan::Subquery(query), true, TreeNodeRecursion::Jump))
            }
            other => Ok(Transformed::no(other)),
        })?;
        Ok(lifted.data)
    }

    fn scan(&mut self, scan: TableScan) -> Result<(LogicalPlan, Vec<Entity>)> {
        let mut sizes: BTreeMap<&str, u32> = BTreeMap::new();
        for (at, rule) in self.rules.iter().enumerate() {
            let holder = scan.table_name.schema();
            if rule.table == scan.table_name.table() && holder.is_none_or(|h| h == rule.holder) {
                self.touched.insert(at);
                let size = sizes.entry(&rule.rule.entity).or_default();
                *size = rule.rule.size.max(*size);
            }
        }
        let (table, name) = (scan.table_name.table().to_owned(), scan.table_name.clone());
        let plan = LogicalPlan::TableScan(scan);
        if sizes.is_empty() {
            return Ok((plan, Vec::new()));
        }
        let mut exprs: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
        let mut open = Vec::new();
        for (entity, size) in sizes {
            let column = Column::new(Some(name.clone()), self.fresh());
            let source = Expr::Column(Column::new(Some(name.clone()), entity));
            exprs.push(source.alias_qualified(Some(name.clone()), column.name.clone()));
            let rule = MinGroup { entity: entity.to_owned(), size };
            open.push(Entity { column, threshold: SmallestGroup { table: table.clone(), rule } });
        }
        let plan = Projection::try_new(exprs, Arc::new(plan))?;
        Ok((LogicalPlan::Projection(plan), open))
    }

    fn join(&mut self, plan: LogicalPlan) -> Result<(LogicalPlan, Vec<Entity>)> {
        let LogicalPlan::Join(join) = &plan else {
            return Err(DataFusionError::Internal("not a join".to_owned()));
        };
        let kind = join.join_type;
        let (plan, mut open) = self.inputs(plan)?;
        let (right, left) = (open.pop().unwrap_or_default(), open.pop().unwrap_or_default());
        let open = match kind {
            JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {
                left.into_iter().chain(right).collect()
            }
            JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => {
                self.closed(&right, "the far side of a semi-join");
                left
            }
            JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => {
                self.closed(&left, "the far side of a semi-join");
                right
            }
        };
        Ok((plan, open))
    }

    /// A union over rows of such a table is refused: where one branch brings the entities and another
    /// the values, groups have enough of the former and show a single one of the latter.
    fn union(&mut self, union: Union) -> Result<(LogicalPlan, Vec<Entity>)> {
        let mut inputs = Vec::new();
        for input in union.inputs {
            let columns = input.schema().columns().into_iter().map(Expr::Column).collect();
            let (input, open) = self.lift(Arc::unwrap_or_clone(input))?;
            let Some(entity) = open.first() else {
                inputs.push(Arc::new(input));
                continue;
            };
            let table = &entity.threshold.table;
            self.refuse(format!(
                "rows of {table} go through a union before they are grouped: group each branch, or \
                 write its conditions into one WHERE"
            ));
            let input = Projection::try_new(columns, Arc::new(input))?;
            inputs.push(Arc::new(LogicalPlan::Projection(input)));
        }
        Ok((LogicalPlan::Union(Union { inputs, schema: union.schema }), Vec::new()))
    }

    /// The aggregate, of which groups with enough entities are left.
    fn grouped(
        &mut self,
        input: LogicalPlan,
        keys: Vec<Expr>,
        mut aggregates: Vec<Expr>,
        open: &[Entity],
    ) -> Result<LogicalPlan> {
        let Some(entity) = open.first() else {
            let plan = Aggregate::try_new(Arc::new(input), keys, aggregates)?;
            return Ok(LogicalPlan::Aggregate(plan));
        };
        if open.len() > 1 {
            self.refuse("groups would be about several kinds of entities at once".to_owned());
        }
        if keys.iter().any(|key| matches!(key, Expr::GroupingSet(_))) {
            self.refuse("GROUPING SETS".to_owned());
        }
        let counted = Expr::Column(entity.column.clone());
        let count =
            AggregateFunction::new_udf(count_udaf(), vec![counted], true, None, Vec::new(), None);
        let name = self.fresh();
        aggregates.push(Expr::AggregateFunction(count).alias(&name));
        let plan = LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(input), keys, aggregates)?);
        let mut columns = plan.schema().columns();
        columns.pop();
        let number = Expr::Column(Column::new(None::<TableReference>, name));
        let predicate = enough(number, entity.threshold.rule.size);
        let filter = LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(plan))?);
        if !self.applied.contains(&entity.threshold) {
            self.applied.push(entity.threshold.clone());
        }
        let columns = columns.into_iter().map(Expr::Column).collect();
        Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(filter))?))
    }

    fn closed(&mut self, open: &[Entity], place: &str) {
        if let Some(entity) = open.first() {
            let table = &entity.threshold.table;
            self.refuse(format!("rows of {table} are looked at one by one in {place}"));
        }
    }

    fn refuse(&mut self, why: String) {
        self.refused.get_or_insert(why);
    }

    fn fresh(&mut self) -> String {
        self.entities += 1;
        format!("__entity_{}", self.entities)
    }
}

//! The allow-list over the syntax tree.
//!
//! DataFusion's SQL planner silently ignores some syntax (TABLESAMPLE, WITH ROLLUP, FOR UPDATE,
//! table hints), which would give wrong answers. So every syntax node is destructured in full here,
//! before planning: a field that is not known to be honoured must be empty.

mod scalar;

use super::{PlanError, bounds};
use datafusion_sql::sqlparser::ast::{
    Cte, Distinct, Fetch, GroupByExpr, JoinConstraint, JoinOperator, LimitClause, Offset, OrderBy,
    OrderByExpr, OrderByKind, Query, Select, SelectFlavor, SelectItem, SetExpr, SetOperator,
    SetQuantifier, Statement, TableAlias, TableFactor, TableWithJoins, Values,
    WildcardAdditionalOptions, With,
};
use datafusion_sql::sqlparser::dialect::GenericDialect;
use datafusion_sql::sqlparser::parser::Parser;
use scalar::expr;

type Checked = Result<(), PlanError>;

/// Parses one query and checks its syntax tree.
///
/// # Errors
/// [`PlanError::Sql`] when it does not parse, [`PlanError::Unsupported`] naming the construct.
pub(super) fn statement(sql: &str) -> Result<Statement, PlanError> {
    bounds::text(sql)?;
    let statements = Parser::parse_sql(&GenericDialect {}, sql)
        .map_err(|error| PlanError::Sql(error.to_string()))?;
    let mut statements = statements.into_iter();
    match (statements.next(), statements.next()) {
        (Some(Statement::Query(body)), None) => {
            query(&body)?;
            let statement = Statement::Query(body);
            bounds::statement(&statement)?;
            Ok(statement)
        }
        (Some(other), None) => {
            let text = other.to_string();
            let verb = text.split_whitespace().next().unwrap_or_default().to_owned();
            Err(PlanError::unsupported(format!("{verb}: only a query (SELECT) is accepted")))
        }
        (None, _) => Err(PlanError::Sql("no query in the text".to_owned())),
        (Some(_), Some(_)) => Err(PlanError::unsupported("more than one statement")),
    }
}

/// Refuses `what` when it is present.
fn absent(is_present: bool, what: &str) -> Checked {
    if is_present { Err(PlanError::unsupported(what)) } else { Ok(()) }
}

fn query(query: &Query) -> Checked {
    let Query {
        with,
        body,
        order_by,
        limit_clause,
        fetch,
        locks,
        for_clause,
        settings,
        format_clause,
        pipe_operators,
    } = query;
    absent(!locks.is_empty(), "FOR UPDATE or FOR SHARE")?;
    absent(for_clause.is_some(), "FOR XML, JSON or BROWSE")?;
    absent(settings.is_some(), "SETTINGS")?;
    absent(format_clause.is_some(), "FORMAT")?;
    absent(!pipe_operators.is_empty(), "pipe operators (|>)")?;
    if let Some(With { with_token: _, recursive, cte_tables }) = with {
        absent(*recursive, "WITH RECURSIVE")?;
        for Cte { alias: names, query: inner, from, materialized, closing_paren_token: _ } in
            cte_tables
        {
            alias(Some(names))?;
            absent(from.is_some(), "FROM in a common table expression")?;
            absent(materialized.is_some(), "MATERIALIZED")?;
            self::query(inner)?;
        }
    }
    set(body)?;
    if let Some(OrderBy { kind, interpolate }) = order_by {
        absent(interpolate.is_some(), "INTERPOLATE")?;
        match kind {
            OrderByKind::All(_) => return Err(PlanError::unsupported("ORDER BY ALL")),
            OrderByKind::Expressions(items) => items.iter().try_for_each(order_item)?,
        }
    }
    match limit_clause {
        None => {}
        Some(LimitClause::LimitOffset { limit, offset, limit_by }) => {
            absent(!limit_by.is_empty(), "LIMIT BY")?;
            limit.iter().try_for_each(expr)?;
            offset.iter().try_for_each(|Offset { value, rows: _ }| expr(value))?;
        }
        Some(LimitClause::OffsetCommaLimit { .. }) => {
            return Err(PlanError::unsupported("LIMIT offset, count (write LIMIT … OFFSET …)"));
        }
    }
    if let Some(Fetch { with_ties: _, percent: _, quantity: _ }) = fetch {
        return Err(PlanError::unsupported("FETCH FIRST (write LIMIT)"));
    }
    Ok(())
}

fn set(body: &SetExpr) -> Checked {
    match body {
        SetExpr::Select(body) => select(body),
        SetExpr::Query(body) => query(body),
        SetExpr::SetOperation { left, op, set_quantifier, right } => {
            match op {
                SetOperator::Union | SetOperator::Except | SetOperator::Intersect => {}
                SetOperator::Minus => return Err(PlanError::unsupported("MINUS")),
            }
            match set_quantifier {
                SetQuantifier::All | SetQuantifier::Distinct | SetQuantifier::None => {}
                SetQuantifier::ByName
                | SetQuantifier::AllByName
                | SetQuantifier::DistinctByName => {
                    return Err(PlanError::unsupported("set operation BY NAME"));
                }
            }
            set(left)?;
            set(right)
        }
        SetExpr::Values(Values { explicit_row, value_keyword, rows }) => {
            absent(*explicit_row || *value_keyword, "VALUES ROW")?;
            rows.iter().flat_map(|row| row.content.iter()).try_for_each(expr)
        }
        SetExpr::Insert(_)
        | SetExpr::Update(_)
        | SetExpr::Delete(_)
        | SetExpr::Merge(_)
        | SetExpr::Table(_) => Err(PlanError::unsupported("a query body that is not a SELECT")),
    }
}

fn select(select: &Select) -> Checked {
    let Select {
        select_token: _,
        optimizer_hints,
        distinct,
        select_modifiers,
        top,
        top_before_distinct: _,
        projection,
        exclude,
        into,
        from,
        lateral_views,
        prewhere,
        selection,
        connect_by,
        group_by,
        cluster_by,
        distribute_by,
        sort_by,
        having,
        named_window,
        qualify,
        window_before_qualify: _,
        value_table_mode,
        flavor,
    } = select;
    if projection.len() > bounds::COLUMNS_MAX {
        return Err(bounds::too_large("columns in a SELECT", bounds::COLUMNS_MAX));
    }
    absent(!optimizer_hints.is_empty(), "optimizer hints")?;
    absent(select_modifiers.is_some(), "MySQL's SELECT modifiers")?;
    absent(top.is_some(), "TOP (write LIMIT)")?;
    absent(exclude.is_some(), "EXCLUDE")?;
    absent(into.is_some(), "SELECT INTO")?;
    absent(!lateral_views.is_empty(), "LATERAL VIEW")?;
    absent(prewhere.is_some(), "PREWHERE")?;
    absent(!connect_by.is_empty(), "CONNECT BY")?;
    absent(!cluster_by.is_empty(), "CLUSTER BY")?;
    absent(!distribute_by.is_empty(), "DISTRIBUTE BY")?;
    absent(!sort_by.is_empty(), "SORT BY")?;
    absent(!named_window.is_empty(), "WINDOW")?;
    absent(qualify.is_some(), "QUALIFY")?;
    absent(value_table_mode.is_some(), "SELECT AS STRUCT or VALUE")?;
    absent(!matches!(flavor, SelectFlavor::Standard), "FROM-first SELECT")?;
    match distinct {
        None | Some(Distinct::All | Distinct::Distinct) => {}
        Some(Distinct::On(_)) => return Err(PlanError::unsupported("DISTINCT ON")),
    }
    match group_by {
        GroupByExpr::All(_) => return Err(PlanError::unsupported("GROUP BY ALL")),
        GroupByExpr::Expressions(keys, modifiers) => {
            absent(!modifiers.is_empty(), "GROUP BY … WITH ROLLUP, CUBE or TOTALS")?;
            keys.iter().try_for_each(expr)?;
        }
    }
    projection.iter().try_for_each(select_item)?;
    from.iter().try_for_each(joined)?;
    selection.iter().chain(having).try_for_each(expr)
}

fn select_item(item: &SelectItem) -> Checked {
    match item {
        SelectItem::UnnamedExpr(inner) | SelectItem::ExprWithAlias { expr: inner, alias: _ } => {
            expr(inner)
        }
        SelectItem::ExprWithAliases { .. } => Err(PlanError::unsupported("several aliases")),
        SelectItem::QualifiedWildcard(_, options) | SelectItem::Wildcard(options) => {
            let WildcardAdditionalOptions {
                wildcard_token: _,
                opt_ilike,
                opt_exclude,
                opt_except,
                opt_replace,
                opt_rename,
                opt_alias,
            } = options;
            let is_plain = opt_ilike.is_none()
                && opt_exclude.is_none()
                && opt_except.is_none()
                && opt_replace.is_none()
                && opt_rename.is_none()
                && opt_alias.is_none();
            absent(!is_plain, "* with ILIKE, EXCLUDE, EXCEPT, REPLACE or RENAME")
        }
    }
}

fn order_item(item: &OrderByExpr) -> Checked {
    let OrderByExpr { expr: key, options: _, with_fill } = item;
    absent(with_fill.is_some(), "WITH FILL")?;
    expr(key)
}

fn alias(alias: Option<&TableAlias>) -> Checked {
    let Some(TableAlias { explicit: _, name: _, columns, at }) = alias else { return Ok(()) };
    absent(at.is_some(), "AT in a table alias")?;
    absent(columns.iter().any(|c| c.data_type.is_some()), "types in a table alias")
}

fn joined(tables: &TableWithJoins) -> Checked {
    let TableWithJoins { relation, joins } = tables;
    table(relation)?;
    for join in joins {
        absent(join.global, "GLOBAL JOIN")?;
        table(&join.relation)?;
        let constraint = match &join.join_operator {
            JoinOperator::Join(on)
            | JoinOperator::Inner(on)
            | JoinOperator::Left(on)
            | JoinOperator::LeftOuter(on)
            | JoinOperator::Right(on)
            | JoinOperator::RightOuter(on)
            | JoinOperator::FullOuter(on)
            | JoinOperator::CrossJoin(on)
            | JoinOperator::LeftSemi(on)
            | JoinOperator::RightSemi(on)
            | JoinOperator::LeftAnti(on)
            | JoinOperator::RightAnti(on) => on,
            JoinOperator::Semi(_)
            | JoinOperator::Anti(_)
            | JoinOperator::CrossApply
            | JoinOperator::OuterApply
            | JoinOperator::AsOf { .. }
            | JoinOperator::StraightJoin(_)
            | JoinOperator::ArrayJoin
            | JoinOperator::LeftArrayJoin
            | JoinOperator::InnerArrayJoin => {
                return Err(PlanError::unsupported("a join of a kind that is not standard SQL"));
            }
        };
        match constraint {
            JoinConstraint::On(on) => expr(on)?,
            JoinConstraint::Using(_) | JoinConstraint::Natural | JoinConstraint::None => {}
        }
    }
    Ok(())
}

fn table(factor: &TableFactor) -> Checked {
    match factor {
        TableFactor::Table {
            name: _,
            alias: names,
            args,
            with_hints,
            version,
            with_ordinality,
            partitions,
            json_path,
            sample,
            index_hints,
        } => {
            absent(args.is_some(), "table functions")?;
            absent(!with_hints.is_empty() || !index_hints.is_empty(), "table hints")?;
            absent(version.is_some(), "FOR SYSTEM_TIME and other table versions")?;
            absent(*with_ordinality, "WITH ORDINALITY")?;
            absent(!partitions.is_empty(), "PARTITION")?;
            absent(json_path.is_some(), "a JSON path on a table")?;
            absent(sample.is_some(), "TABLESAMPLE")?;
            alias(names.as_ref())
        }
        TableFactor::Derived { lateral, subquery, alias: names, sample } => {
            absent(*lateral, "LATERAL")?;
            absent(sample.is_some(), "TABLESAMPLE")?;
            alias(names.as_ref())?;
            query(subquery)
        }
        TableFactor::NestedJoin { table_with_joins, alias: names } => {
            alias(names.as_ref())?;
            joined(table_with_joins)
        }
        TableFactor::TableFunction { .. }
        | TableFactor::Function { .. }
        | TableFactor::UNNEST { .. }
        | TableFactor::JsonTable { .. }
        | TableFactor::OpenJsonTable { .. }
        | TableFactor::Pivot { .. }
        | TableFactor::Unpivot { .. }
        | TableFactor::MatchRecognize { .. }
        | TableFactor::XmlTable { .. }
        | TableFactor::SemanticView { .. } => {
            Err(PlanError::unsupported("table functions, PIVOT, UNNEST and the like in FROM"))
        }
    }
}

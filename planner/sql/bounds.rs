//! How large a query may be. Everybody plans what anybody asks, and planners walk trees: what is
//! nested too deeply would end the process, and what is too large would keep it busy.

use super::PlanError;
use datafusion_sql::sqlparser::ast::{ObjectName, Query, Statement, Visit, Visitor};
use datafusion_sql::sqlparser::dialect::GenericDialect;
use datafusion_sql::sqlparser::keywords::Keyword;
use datafusion_sql::sqlparser::tokenizer::{Token, Tokenizer};
use std::collections::HashMap;
use std::ops::ControlFlow;

/// Bytes of a query's text.
pub const SQL_BYTES_MAX: usize = 1 << 16;
/// Stack of a thread that plans, lowers or runs the largest query that these bounds permit.
pub const STACK_BYTES: usize = 64 << 20;
/// Operators of a query: a chain of them is nested as deeply as it is long, and time to plan it grows
/// with its cube.
const OPERATORS_MAX: usize = 1_000;
/// Columns of a SELECT.
pub(super) const COLUMNS_MAX: usize = 400;
/// Operators in a row, like a + b + c + …
pub(super) const CHAIN_MAX: usize = 200;
/// Tables and subqueries of a query, each common table expression as often as it is used.
const RELATIONS_MAX: usize = 500;

/// Checks a text before it is parsed, without recursion.
///
/// # Errors
/// [`PlanError::Sql`] for what has no tokens, [`PlanError::Unsupported`] for what is too large.
pub(super) fn text(sql: &str) -> Result<(), PlanError> {
    if sql.len() > SQL_BYTES_MAX {
        return Err(too_large("bytes of text", SQL_BYTES_MAX));
    }
    let tokens = Tokenizer::new(&GenericDialect {}, sql)
        .tokenize()
        .map_err(|error| PlanError::Sql(error.to_string()))?;
    match tokens.iter().filter(|token| is_operator(token)).count() > OPERATORS_MAX {
        true => Err(too_large("operators", OPERATORS_MAX)),
        false => Ok(()),
    }
}

/// Checks a query that has been parsed, before it becomes a plan with its common table expressions in
/// place: they may double with every line.
///
/// # Errors
/// [`PlanError::Unsupported`] for what is too large.
pub(super) fn statement(statement: &Statement) -> Result<(), PlanError> {
    let mut sizes = Sizes { open: vec![Open::default()], named: HashMap::new() };
    match statement.visit(&mut sizes) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(too_large(
            "tables and subqueries, common table expressions in place",
            RELATIONS_MAX,
        )),
    }
}

/// Relations of queries whose common table expressions are in place.
struct Sizes {
    /// The queries around the place that is visited, the innermost last.
    open: Vec<Open>,
    /// Sizes of the common table expressions so far. One that another hides counts as that.
    named: HashMap<String, usize>,
}

#[derive(Default)]
struct Open {
    size: usize,
    /// Names of its common table expressions that are still to be visited, before all else, the next
    /// one last.
    names: Vec<String>,
}

impl Sizes {
    fn add(&mut self, size: usize) -> ControlFlow<()> {
        let Some(open) = self.open.last_mut() else { return ControlFlow::Break(()) };
        open.size = open.size.saturating_add(size);
        if open.size > RELATIONS_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

impl Visitor for Sizes {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let tables = query.with.iter().flat_map(|with| with.cte_tables.iter().rev());
        let names = tables.map(|table| table.alias.name.value.to_lowercase()).collect();
        self.open.push(Open { size: 1, names });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        let size = self.open.pop().map_or(0, |open| open.size);
        match self.open.last_mut().and_then(|around| around.names.pop()) {
            None => self.add(size),
            Some(name) => {
                // Whichever of two with one name is meant.
                let known = self.named.entry(name).or_default();
                *known = size.max(*known);
                ControlFlow::Continue(())
            }
        }
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let named = self.named.get(&relation.to_string().replace('"', "").to_lowercase());
        self.add(named.copied().unwrap_or(1))
    }
}

pub(super) fn too_large(what: &str, most: usize) -> PlanError {
    PlanError::unsupported(format!("a query with more than {most} {what}"))
}

/// What may nest without a parenthesis. Lists (IN, VALUES, columns) are flat and not counted.
fn is_operator(token: &Token) -> bool {
    match token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND
                | Keyword::OR
                | Keyword::NOT
                | Keyword::IS
                | Keyword::IN
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::BETWEEN
                | Keyword::COLLATE
                | Keyword::AT
                | Keyword::UNION
                | Keyword::EXCEPT
                | Keyword::INTERSECT
                | Keyword::JOIN
        ),
        Token::Whitespace(_)
        | Token::Number(..)
        | Token::Char(_)
        | Token::SingleQuotedString(_)
        | Token::DoubleQuotedString(_)
        | Token::Comma
        | Token::LParen
        | Token::RParen
        | Token::Period
        | Token::SemiColon
        | Token::Placeholder(_)
        | Token::EOF => false,
        _ => true,
    }
}

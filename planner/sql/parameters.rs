//! Parameters in a query's text: `?` in order, or `$1`, `$2`, … A text is planned, agreed on and
//! shown to other parties only with its parameters filled in.

use super::context::Catalog;
use super::{PlanError, bounds, optimize};
use crate::catalog::Federation;
use arrow_schema::DataType;
use datafusion_sql::sqlparser::dialect::GenericDialect;
use datafusion_sql::sqlparser::parser::Parser;
use datafusion_sql::sqlparser::tokenizer::{Location, Token, Tokenizer};

/// Most parameters of one text.
const PARAMETERS_MAX: usize = 64;

/// A query's text with places for parameters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Template {
    /// One more than there are places.
    pieces: Vec<String>,
    /// Which parameter goes between two pieces, from 0.
    places: Vec<usize>,
}

impl Template {
    /// Finds the places, outside of strings, names and comments.
    ///
    /// # Errors
    /// [`PlanError::Sql`] when the text is not made of SQL's tokens, mixes `?` and `$n`, or leaves
    /// out a number.
    pub fn parse(sql: &str) -> Result<Self, PlanError> {
        let wrong = |why: &str| PlanError::Sql(format!("parameters: {why}"));
        let tokens = Tokenizer::new(&GenericDialect {}, sql)
            .tokenize_with_location()
            .map_err(|error| PlanError::Sql(error.to_string()))?;
        let (mut pieces, mut places, mut done) = (Vec::new(), Vec::new(), 0);
        let mut marks = 0;
        for token in &tokens {
            let Token::Placeholder(name) = &token.token else { continue };
            let place = match name.strip_prefix('$') {
                None if name == "?" => {
                    marks += 1;
                    marks - 1
                }
                Some(digits) => {
                    let number = digits.parse::<usize>().ok().filter(|number| *number > 0);
                    number.ok_or_else(|| wrong("they are called ? or $1, $2, …"))? - 1
                }
                None => return Err(wrong("they are called ? or $1, $2, …")),
            };
            let start = offset(sql, token.span.start).ok_or_else(|| wrong("no such place"))?;
            let before = sql.get(done..start).ok_or_else(|| wrong("no such place"))?;
            pieces.push(before.to_owned());
            places.push(place);
            done = start + name.len();
        }
        pieces.push(sql.get(done..).unwrap_or_default().to_owned());
        let template = Self { pieces, places };
        let count = template.parameters();
        if marks != 0 && marks != template.places.len() {
            return Err(wrong("? and $n in one text"));
        }
        if count > PARAMETERS_MAX {
            return Err(wrong(&format!("more than {PARAMETERS_MAX}")));
        }
        match (0..count).find(|number| !template.places.contains(number)) {
            Some(missing) => Err(wrong(&format!("${} is missing", missing + 1))),
            None => Ok(template),
        }
    }

    /// How many parameters there are.
    pub fn parameters(&self) -> usize {
        self.places.iter().max().map_or(0, |last| last + 1)
    }

    /// The text with a literal in each place.
    ///
    /// # Errors
    /// [`PlanError::Sql`] when there are more or fewer literals than parameters.
    pub fn fill(&self, literals: &[String]) -> Result<String, PlanError> {
        if literals.len() != self.parameters() {
            let (given, wanted) = (literals.len(), self.parameters());
            return Err(PlanError::Sql(format!("{given} parameters for {wanted} places")));
        }
        let mut text = String::new();
        for (at, piece) in self.pieces.iter().enumerate() {
            text += piece;
            if let Some(literal) = self.places.get(at).and_then(|place| literals.get(*place)) {
                text += literal;
            }
        }
        Ok(text)
    }

    /// The parameters' types as their surroundings tell; `None` for those that may have any.
    ///
    /// # Errors
    /// [`PlanError::Sql`] when the text has no plan whatever the parameters are.
    pub fn types(&self, federation: &Federation) -> Result<Vec<Option<DataType>>, PlanError> {
        let names: Vec<String> =
            (1..=self.parameters()).map(|number| format!("${number}")).collect();
        let sql = self.fill(&names)?;
        bounds::text(&sql)?;
        let statement = Parser::parse_sql(&GenericDialect {}, &sql)
            .map_err(|error| PlanError::Sql(error.to_string()))?;
        let statement = statement.into_iter().next();
        let statement =
            statement.ok_or_else(|| PlanError::Sql("no query in the text".to_owned()))?;
        bounds::statement(&statement)?;
        let found = optimize::parameters(statement, &Catalog::new(federation))?;
        Ok(names.iter().map(|name| found.get(name).cloned().flatten()).collect())
    }
}

/// Where in the text a place is that the tokenizer counts in lines and characters from 1.
fn offset(sql: &str, place: Location) -> Option<usize> {
    let (line, column) = (usize::try_from(place.line).ok()?, usize::try_from(place.column).ok()?);
    let mut start = 0;
    for _ in 1..line {
        start += sql.get(start..)?.find('\n')? + 1;
    }
    let rest = sql.get(start..)?;
    let within = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
    Some(start + within.into_iter().nth(column.checked_sub(1)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(sql: &str, literals: &[&str]) -> Result<String, PlanError> {
        let literals: Vec<String> = literals.iter().map(|&literal| literal.to_owned()).collect();
        Template::parse(sql)?.fill(&literals)
    }

    #[test]
    fn marks_are_filled_in_their_order_and_numbers_by_number() {
        let text = filled("SELECT a\nFROM t -- ?\nWHERE a = ? AND é = '?' AND b<?", &["1", "(-2)"]);
        assert_eq!(text.unwrap(), "SELECT a\nFROM t -- ?\nWHERE a = 1 AND é = '?' AND b<(-2)");
        let text = filled("SELECT $2, $1, $2", &["1", "2"]);
        assert_eq!(text.unwrap(), "SELECT 2, 1, 2");
        assert_eq!(filled("SELECT 1", &[]).unwrap(), "SELECT 1");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for sql in ["SELECT ?, $1", "SELECT $2", "SELECT $0", "SELECT $x", "SELECT 'open"] {
            assert!(Template::parse(sql).is_err(), "{sql}");
        }
        assert!(filled("SELECT ?", &[]).is_err());
        assert!(filled("SELECT ?", &["1", "2"]).is_err());
        assert!(Template::parse(&"? ".repeat(PARAMETERS_MAX + 1)).is_err());
    }

    #[test]
    fn types_come_from_the_surroundings() {
        let text = "name = \"s\"\n[[party]]\nname = \"a\"\naddress = \"h:1\"\n\
                    [[party]]\nname = \"b\"\naddress = \"h:2\"\n\
                    [[table]]\nname = \"t\"\ncolumns = [{ name = \"n\", type = \"INT\" }, \
                    { name = \"s\", type = \"VARCHAR(4)\" }]\n\
                    held_by = [{ party = \"a\", capacity = 4 }]\n";
        let federation = Federation::parse(text.as_bytes()).unwrap();
        let types = |sql: &str| Template::parse(sql).unwrap().types(&federation);
        let found = types("SELECT COUNT(*) FROM t WHERE n = ? AND s > ? AND n IN (?, 2)").unwrap();
        let int = Some(DataType::Int32);
        assert_eq!(found, [int.clone(), Some(DataType::Utf8), int]);
        assert!(types("SELECT x FROM t WHERE n = ?").is_err());
        assert_eq!(types("SELECT n FROM t").unwrap(), []);
    }
}

//! The form of a query's text that an approval is about: without spelling, or without constants.

use super::PlanError;
use datafusion_sql::sqlparser::dialect::GenericDialect;
use datafusion_sql::sqlparser::keywords::Keyword;
use datafusion_sql::sqlparser::tokenizer::{Token, Tokenizer};

/// What stands for a constant.
const PARAMETER: &str = "?";

/// A query's text in two normal forms.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Form {
    /// Without comments, spacing and the case of what is not quoted.
    pub exact: String,
    /// The same with every constant a parameter: what queries that differ in constants only have in
    /// common.
    pub general: String,
}

impl Form {
    /// Of this text. Texts with the same form are the same query, but for constants in the general
    /// form; nothing is claimed of texts with different forms.
    ///
    /// # Errors
    /// [`PlanError::Sql`] for a text that has no tokens.
    pub fn of(sql: &str) -> Result<Self, PlanError> {
        let tokens = tokens(sql)?;
        let (mut exact, mut general) = (Vec::new(), Vec::new());
        let mut list = ByList::default();
        for token in &tokens {
            let (text, is_constant) = match token {
                Token::SemiColon => continue,
                Token::Word(word) if word.quote_style.is_some() => (token.to_string(), false),
                Token::Word(word) => {
                    let is_constant = matches!(word.keyword, Keyword::TRUE | Keyword::FALSE);
                    (word.value.to_lowercase(), is_constant)
                }
                other => (written(other), is_literal(other) && !list.is_position()),
            };
            list.pass(token);
            general.push(if is_constant { PARAMETER.to_owned() } else { text.clone() });
            exact.push(text);
        }
        let exact = exact.join(" ");
        // Whatever quotes and escapes it has, a form is the text of one query only.
        let meant = tokens.iter().filter(|token| **token != Token::SemiColon).map(folded);
        if !self::tokens(&exact)?.iter().map(folded).eq(meant) {
            return Err(PlanError::Sql(
                "its quotes have no normal form: write them otherwise".into(),
            ));
        }
        Ok(Self { exact, general: general.join(" ") })
    }
}

/// What counts of a text: strings and quoted names as they are written, with their escapes.
fn tokens(sql: &str) -> Result<Vec<Token>, PlanError> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql).with_unescape(false).tokenize();
    let mut tokens = tokens.map_err(|error| PlanError::Sql(error.to_string()))?;
    tokens.retain(|token| !matches!(token, Token::Whitespace(_) | Token::EOF));
    Ok(tokens)
}

/// A token as text that reads as it; the tokenizer has resolved the escapes of these two.
fn written(token: &Token) -> String {
    let escaped = |text: &str| text.replace('\\', "\\\\");
    match token {
        Token::EscapedStringLiteral(text) => format!("E'{}'", escaped(text).replace('\'', "\\'")),
        Token::UnicodeStringLiteral(text) => format!("U&'{}'", escaped(text).replace('\'', "''")),
        other => other.to_string(),
    }
}

/// The same for all ways to write a name without quotes.
fn folded(token: &Token) -> Token {
    match token {
        Token::Word(word) if word.quote_style.is_none() => {
            Token::make_word(&word.value.to_lowercase(), None)
        }
        other => other.clone(),
    }
}

/// Whether a number is a position in the list of GROUP BY or ORDER BY, where it says what the query
/// does, not with which values.
#[derive(Default)]
struct ByList {
    /// Parentheses that are open.
    depth: usize,
    /// Those that are open around each list, and how many of the list's own.
    lists: Vec<(usize, usize)>,
    begins: bool,
}

impl ByList {
    fn is_position(&self) -> bool {
        self.begins && self.lists.last().is_some_and(|(around, own)| self.depth == around + own)
    }

    fn pass(&mut self, token: &Token) {
        match token {
            Token::Word(word) if word.keyword == Keyword::BY => {
                self.end(self.depth);
                self.lists.push((self.depth, 0));
                self.begins = true;
            }
            Token::Word(word) => {
                let ends = [
                    Keyword::FROM,
                    Keyword::WHERE,
                    Keyword::HAVING,
                    Keyword::ORDER,
                    Keyword::LIMIT,
                    Keyword::OFFSET,
                    Keyword::UNION,
                    Keyword::EXCEPT,
                    Keyword::INTERSECT,
                ];
                if ends.contains(&word.keyword) {
                    self.end(self.depth);
                }
                self.begins = false;
            }
            Token::LParen => {
                // Around an item, not around a function's arguments.
                if self.is_position()
                    && let Some((_, own)) = self.lists.last_mut()
                {
                    *own += 1;
                }
                self.depth += 1;
            }
            Token::RParen => {
                self.depth = self.depth.saturating_sub(1);
                self.end(self.depth + 1);
                if let Some((around, own)) = self.lists.last_mut() {
                    *own = (*own).min(self.depth - *around);
                }
                self.begins = false;
            }
            Token::Comma => self.begins = true,
            _ => self.begins = false,
        }
    }

    /// Ends the lists inside so many parentheses.
    fn end(&mut self, depth: usize) {
        while self.lists.last().is_some_and(|(around, _)| *around >= depth) {
            self.lists.pop();
        }
    }
}

fn is_literal(token: &Token) -> bool {
    matches!(
        token,
        Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::DollarQuotedString(_)
            | Token::NationalStringLiteral(_)
            | Token::EscapedStringLiteral(_)
            | Token::UnicodeStringLiteral(_)
            | Token::HexStringLiteral(_)
            | Token::SingleQuotedByteStringLiteral(_)
            | Token::SingleQuotedRawStringLiteral(_)
            | Token::TripleSingleQuotedString(_)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sql: &str) -> Form {
        Form::of(sql).unwrap()
    }

    #[test]
    fn spelling_does_not_matter_and_constants_only_in_the_exact_form() {
        let one =
            of("SELECT Diag, COUNT(*) FROM t -- all\nWHERE ward = 'x' AND n > 3 AND acute = TRUE");
        let other =
            of("select diag,count( * )from T where WARD='Y' and n>17 /* more */ and acute=false;");
        assert_eq!(one.general, other.general);
        assert_ne!(one.exact, other.exact);
        assert_eq!(
            one.general,
            "select diag , count ( * ) from t where ward = ? and n > ? and acute = ?"
        );
        assert_eq!(
            one.exact,
            of("select diag, count(*) from t where ward='x' and n>3 and acute=true").exact
        );
    }

    #[test]
    fn quotes_inside_quotes_stay_quoted() {
        for (odd, plain) in [
            (
                r#"SELECT COUNT(*) AS "n"" , max ( cost ) as ""top" FROM t"#,
                r#"SELECT COUNT(*) AS "n" , max ( cost ) as "top" FROM t"#,
            ),
            ("SELECT 'a'' , x , ''b' FROM t", "SELECT 'a' , x , 'b' FROM t"),
            ("SELECT E'a\\' , x , E''b' FROM t", "SELECT E'a' , x , E'b' FROM t"),
            ("SELECT $$a$$ , $$b$$ FROM t", "SELECT $$a , b$$ FROM t"),
        ] {
            let (odd, plain) = (of(odd), of(plain));
            assert_ne!(odd.exact, plain.exact);
            assert_ne!(odd.general, plain.general);
        }
        for same in [r"SELECT E'it\'s \\ \n'", r"SELECT U&'\0041 '' \\ b'", "SELECT N'a''b', X'00'"]
        {
            assert_eq!(of(same), of(&of(same).exact));
        }
        let kept = of(r#"select "a""b" from t where x = 'it''s'"#);
        assert_eq!(kept.exact, r#"select "a""b" from t where x = 'it''s'"#);
        assert_eq!(kept.general, r#"select "a""b" from t where x = ?"#);
        assert_ne!(of("SELECT 'a b'").exact, of("SELECT 'a  b'").exact);
    }

    #[test]
    fn a_constant_never_stands_for_anything_else() {
        let base = of("SELECT x FROM t WHERE x = 1").general;
        for other in [
            "SELECT x FROM t WHERE x = y",
            "SELECT x FROM t WHERE x = NULL",
            "SELECT x FROM t WHERE x = 1 OR 1 = 1",
            "SELECT x FROM t WHERE x = (SELECT 1)",
            "SELECT x FROM t WHERE x = -1",
            "SELECT x FROM t WHERE x = \"1\"",
            "SELECT y FROM t WHERE x = 1",
        ] {
            assert_ne!(of(other).general, base, "{other}");
        }
        let by = |list: &str| of(&format!("SELECT x, y FROM t GROUP BY {list} LIMIT 3")).general;
        assert_ne!(by("1"), by("2"));
        assert_ne!(by("x, (1)"), by("x, (2)"));
        assert!(by("1, 2").ends_with("group by 1 , 2 limit ?"));
        assert!(Form::of("SELECT 'open").is_err());
        // A list ends with its parentheses, and what a function is given in it is no position.
        for one in [
            "SELECT SUM(c) FROM (SELECT g, COUNT(*) AS c FROM t GROUP BY g) q WHERE g IN (5)",
            "SELECT RANK() OVER (ORDER BY x), 5 FROM t WHERE v IN (5, 5)",
            "SELECT COUNT(*) FROM t GROUP BY COALESCE(g, 5), (h + 5), 1",
            "SELECT g FROM (SELECT g FROM t GROUP BY (g)) q WHERE f(5, 5) = (5)",
        ] {
            assert_eq!(of(one).general, of(&one.replace('5', "6")).general, "{one}");
        }
        assert_ne!(by("COALESCE(x, 1), 1"), by("COALESCE(x, 1), 2"));
        assert_ne!(by("((1)), 1"), by("((1)), 2"));
        assert_ne!(by("((1)), 1"), by("((2)), 1"));
    }
}

//! The roles of a column, as a list of words: `["join_key", "aggregate(sum, avg)"]`.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What a column may be used for. Nothing by default.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Roles {
    /// May not be read at all.
    pub never: bool,
    /// May be compared with columns of other tables.
    pub join_key: bool,
    /// May be the key of groups, and shown as such.
    pub group_by: bool,
    /// May decide which rows count.
    pub filter: bool,
    /// May be shown row by row.
    pub output: bool,
    /// Aggregate functions it may enter.
    pub aggregates: BTreeSet<String>,
}

/// What `aggregate` without a list means.
const COMMON: [&str; 5] = ["avg", "count", "max", "min", "sum"];

impl TryFrom<Vec<String>> for Roles {
    type Error = String;

    fn try_from(words: Vec<String>) -> Result<Self, String> {
        let mut roles = Self::default();
        for word in &words {
            let word = word.trim();
            match word {
                "never" => roles.never = true,
                "join_key" => roles.join_key = true,
                "group_by" => roles.group_by = true,
                "filter" => roles.filter = true,
                "output" => roles.output = true,
                "aggregate" => roles.aggregates.extend(COMMON.map(str::to_owned)),
                _ => {
                    let list = word.strip_prefix("aggregate(").and_then(|w| w.strip_suffix(')'));
                    let list = list.ok_or_else(|| unknown(word))?;
                    for function in list.split(',').map(str::trim) {
                        let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
                        if function.is_empty() || !function.chars().all(legal) {
                            return Err(unknown(word));
                        }
                        roles.aggregates.insert(function.to_ascii_lowercase());
                    }
                }
            }
        }
        let others = Self { never: false, ..roles.clone() };
        if roles.never && others != Self::default() {
            return Err("`never` stands alone".to_owned());
        }
        Ok(roles)
    }
}

fn unknown(word: &str) -> String {
    format!(
        "unknown role `{word}`; roles are never, join_key, group_by, filter, output, aggregate and \
         aggregate(fn, …)"
    )
}

impl From<Roles> for Vec<String> {
    fn from(roles: Roles) -> Self {
        let flags = [
            (roles.never, "never"),
            (roles.join_key, "join_key"),
            (roles.group_by, "group_by"),
            (roles.filter, "filter"),
            (roles.output, "output"),
        ];
        let mut words: Self =
            flags.iter().filter(|(has, _)| *has).map(|(_, word)| (*word).to_owned()).collect();
        if !roles.aggregates.is_empty() {
            let list: Vec<String> = roles.aggregates.into_iter().collect();
            words.push(format!("aggregate({})", list.join(", ")));
        }
        words
    }
}

impl std::fmt::Display for Roles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words: Vec<String> = self.clone().into();
        if words.is_empty() { f.write_str("no role") } else { f.write_str(&words.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(words: &[&str]) -> Result<Roles, String> {
        Roles::try_from(words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn words_become_roles_and_back() {
        let some = roles(&["join_key", "aggregate( SUM, avg)"]).unwrap();
        assert_eq!(some.to_string(), "join_key, aggregate(avg, sum)");
        assert_eq!(roles(&["aggregate"]).unwrap().aggregates.len(), 5);
        assert_eq!(roles(&[]).unwrap().to_string(), "no role");
        let words: Vec<String> = some.clone().into();
        assert_eq!(Roles::try_from(words).unwrap(), some);
    }

    #[test]
    fn a_word_that_is_no_role_is_refused() {
        for words in [&["read"][..], &["aggregate()"], &["aggregate(sum"], &["never", "filter"]] {
            assert!(roles(words).is_err(), "{words:?}");
        }
    }
}

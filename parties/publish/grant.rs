//! What others may do with a published table: the `[policy]` section of party.toml, written beside
//! what is there.

use crate::failure::{Failure, Outcome};
use senate_circuit::PartyId;
use senate_planner::catalog::Federation;
use senate_planner::policy::{MinGroup, Policy};
use serde::Deserialize;
use std::collections::BTreeMap;
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, Value};

/// Consent to the use of one table, as its holder words it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Grant {
    /// Roles by column.
    pub roles: BTreeMap<String, Vec<String>>,
    /// The smallest group that may be shown.
    pub min_group: Option<MinGroup>,
    /// Who may learn answers; everybody in the federation if nobody is named and nothing is said
    /// yet.
    pub recipients: Vec<String>,
}

/// What is shown of a party file.
#[derive(Deserialize)]
struct View {
    policy: Option<PolicyView>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PolicyView {
    recipients: Vec<String>,
    table: BTreeMap<String, TableView>,
}

#[derive(Deserialize)]
struct TableView {
    min_group: Option<MinGroup>,
    #[serde(default)]
    columns: BTreeMap<String, Vec<String>>,
}

impl Grant {
    /// Reads `COLUMN=ROLE,ROLE` and `ENTITY=SIZE`.
    ///
    /// # Errors
    /// Usage for another form.
    pub fn read(
        allowed: &[String],
        min_group: Option<&str>,
        recipients: &[String],
    ) -> Outcome<Self> {
        let mut roles: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for wish in allowed {
            let (column, words) = wish.split_once('=').ok_or_else(|| {
                Failure::usage(format!("--allow {wish}: write COLUMN=ROLE,…")).with_remedy(
                    "as in --allow diag=group_by,filter or --allow 'cost=aggregate(sum)'",
                )
            })?;
            roles.entry(column.to_owned()).or_default().extend(split(words));
        }
        let min_group = min_group.map(|wish| {
            let parts = wish.split_once('=');
            let size = parts.and_then(|(entity, size)| Some((entity, size.parse().ok()?)));
            let (entity, size) = size.ok_or_else(|| {
                Failure::usage(format!("--min-group {wish}: write ENTITY=SIZE, as in patient_id=5"))
            })?;
            Ok::<_, Failure>(MinGroup { entity: entity.to_owned(), size })
        });
        let (min_group, recipients) = (min_group.transpose()?, recipients.to_vec());
        Ok(Self { roles, min_group, recipients })
    }

    /// What a party file's text says of a table: what has been allowed before, too.
    ///
    /// # Errors
    /// Usage when the text is no party.toml.
    pub(crate) fn written(text: &str, table: &str) -> Outcome<Self> {
        let wrong = |error: &toml::de::Error| Failure::usage(error.message()).at("party.toml");
        let View { policy } = toml::from_str(text).map_err(|error| wrong(&error))?;
        let PolicyView { recipients, table: mut tables } = policy.unwrap_or_default();
        let found = tables.remove(table);
        Ok(found.map_or_else(Self::default, |TableView { min_group, columns: roles }| Self {
            roles,
            min_group,
            recipients,
        }))
    }

    /// Whether it says anything.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The party file's text with this consent.
    ///
    /// # Errors
    /// Usage when the text is no party.toml, or the policy would not make sense.
    pub(crate) fn put(
        &self,
        text: &str,
        table: &str,
        federation: &Federation,
        owner: PartyId,
    ) -> Outcome<String> {
        let wrong = |why: &str| Failure::usage(format!("party.toml: {why}"));
        let mut document: DocumentMut = text.parse().map_err(|error| wrong(&format!("{error}")))?;
        let policy = section(document.as_table_mut(), "policy", false)?;
        if !self.recipients.is_empty() || !policy.contains_key("recipients") {
            let everybody = [Policy::ANYONE.to_owned()];
            let names = match self.recipients.as_slice() {
                [] => everybody.iter(),
                names => names.iter(),
            };
            policy.insert("recipients", array(names));
        }
        let rules = section(section(policy, "table", true)?, table, true)?;
        if let Some(MinGroup { entity, size }) = &self.min_group {
            let mut rule = InlineTable::new();
            rule.insert("entity", entity.as_str().into());
            rule.insert("size", i64::from(*size).into());
            rules.set_implicit(false);
            rules.insert("min_group", Item::Value(Value::InlineTable(rule)));
        }
        let columns = section(rules, "columns", false)?;
        for (column, roles) in &self.roles {
            columns.insert(column, array(roles.iter()));
        }
        let text = document.to_string();
        let value: toml::Table = toml::from_str(&text).map_err(|error| wrong(error.message()))?;
        let policy = value.get("policy").cloned().ok_or_else(|| wrong("no [policy]"))?;
        Policy::parse(policy, federation, owner)
            .map_err(|error| Failure::usage(error.to_string()))?;
        Ok(text)
    }
}

impl std::fmt::Display for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let columns = self.roles.iter();
        let columns: Vec<String> =
            columns.map(|(column, roles)| format!("{column}: {}", roles.join(", "))).collect();
        let columns = columns.join("; ");
        f.write_str(if columns.is_empty() { "COUNT(*) only" } else { &columns })?;
        if let Some(MinGroup { entity, size }) = &self.min_group {
            write!(f, "; groups of at least {size} distinct {entity}")?;
        }
        match self.recipients.as_slice() {
            [] => Ok(()),
            names if names.iter().any(|name| name == Policy::ANYONE) => {
                f.write_str("; answers to every party")
            }
            names => write!(f, "; answers to {}", names.join(", ")),
        }
    }
}

/// Words between commas that are in no parentheses.
fn split(words: &str) -> Vec<String> {
    let (mut depth, mut found) = (0i32, vec![String::new()]);
    for letter in words.chars() {
        depth += i32::from(letter == '(') - i32::from(letter == ')');
        match (letter, found.last_mut()) {
            (',', _) if depth == 0 => found.push(String::new()),
            (letter, Some(word)) => word.push(letter),
            _ => {}
        }
    }
    found.into_iter().map(|word| word.trim().to_owned()).collect()
}

fn array<'a>(words: impl Iterator<Item = &'a String>) -> Item {
    Item::Value(Value::Array(words.map(String::as_str).collect::<Array>()))
}

fn section<'a>(parent: &'a mut Table, name: &str, is_implicit: bool) -> Outcome<&'a mut Table> {
    let fresh = || {
        let mut table = Table::new();
        table.set_implicit(is_implicit);
        Item::Table(table)
    };
    let entry = parent.entry(name).or_insert_with(fresh);
    let wrong = || Failure::usage(format!("party.toml: `{name}` is no section"));
    entry.as_table_mut().ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEDERATION: &str = "name = \"f\"\n[[party]]\nname = \"a\"\naddress = \"x:1\"\n\
        [[party]]\nname = \"b\"\naddress = \"x:2\"\n\
        [[table]]\nname = \"t\"\ncolumns = [{ name = \"id\", type = \"INT\" }, \
        { name = \"cost\", type = \"INT\" }]\nheld_by = [{ party = \"a\", capacity = 9 }]\n";

    fn put(text: &str, allowed: &[&str], min_group: Option<&str>) -> Outcome<String> {
        let allowed: Vec<String> = allowed.iter().map(|wish| (*wish).to_owned()).collect();
        let federation = Federation::parse(FEDERATION.as_bytes()).unwrap();
        let grant = Grant::read(&allowed, min_group, &[])?;
        grant.put(text, "t", &federation, PartyId::new(0).unwrap())
    }

    #[test]
    fn consent_is_written_beside_what_is_there() {
        let before = "# mine\n[accept]\nfrom = []\n";
        let allowed = ["id=join_key,filter", "cost=aggregate(sum, avg),filter"];
        let after = put(before, &allowed, Some("id=5")).unwrap();
        let policy = "\n[policy]\nrecipients = [\"*\"]\n\n[policy.table.t]\n\
            min_group = { entity = \"id\", size = 5 }\n\n[policy.table.t.columns]\n\
            cost = [\"aggregate(sum, avg)\", \"filter\"]\nid = [\"join_key\", \"filter\"]\n";
        assert_eq!(after, format!("{before}{policy}"));
        let own = after.replace("[\"*\"]", "[\"a\"]");
        let again = put(&own, &["id=output"], None).unwrap();
        let shown = Grant::written(&again, "t").unwrap().to_string();
        let expected = "cost: aggregate(sum, avg), filter; id: output; groups of at least 5 distinct id; \
                        answers to a";
        assert_eq!(shown, expected, "what was allowed before counts as well");
        assert!(Grant::written(&again, "other").unwrap().is_empty());
        assert_eq!(again, own.replace("[\"join_key\", \"filter\"]", "[\"output\"]"));
    }

    #[test]
    fn consent_to_what_is_not_there_is_refused() {
        for allowed in ["id", "id=read", "nothing=filter", "id=never,filter"] {
            assert_eq!(put("", &[allowed], None).unwrap_err().cause.exit_code(), 2, "{allowed}");
        }
        assert!(put("", &["id=filter"], Some("id=1")).is_err());
        assert!(put("", &["id=filter"], Some("id")).is_err());
        assert!(put("policy = 3\n", &["id=filter"], None).is_err());
    }
}

//! Declarations of columns as federation.toml spells them.

use serde::{Deserialize, Serialize};
use toml_edit::{Array, InlineTable, Value};

/// A column's declaration.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Column {
    /// Name.
    pub name: String,
    /// SQL type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether NULL can occur.
    #[serde(default)]
    pub nullable: bool,
    /// No value occurs twice at one holder.
    #[serde(default)]
    pub unique: bool,
    /// Smallest value.
    #[serde(default)]
    pub min: Option<Literal>,
    /// Largest value.
    #[serde(default)]
    pub max: Option<Literal>,
    /// The public dictionary.
    #[serde(default)]
    pub values: Option<Vec<Literal>>,
}

/// A constant; decimals, dates and bytes are texts.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Literal {
    /// true, false
    Boolean(bool),
    /// An integer.
    Integer(i64),
    /// A binary fraction, where somebody wrote a decimal without quotes.
    Float(f64),
    /// Text.
    Text(String),
}

impl From<&Literal> for Value {
    fn from(literal: &Literal) -> Self {
        match literal {
            Literal::Boolean(bit) => (*bit).into(),
            Literal::Integer(number) => (*number).into(),
            Literal::Float(number) => (*number).into(),
            Literal::Text(text) => text.as_str().into(),
        }
    }
}

/// `[ { name = …, type = … }, … ]`, a line each.
pub(super) fn written(columns: &[Column]) -> Value {
    let mut array = Array::new();
    for column in columns {
        let mut entry = InlineTable::new();
        entry.insert("name", column.name.as_str().into());
        entry.insert("type", column.kind.as_str().into());
        for (key, bit) in [("nullable", column.nullable), ("unique", column.unique)] {
            if bit {
                entry.insert(key, true.into());
            }
        }
        for (key, bound) in [("min", &column.min), ("max", &column.max)] {
            if let Some(bound) = bound {
                entry.insert(key, bound.into());
            }
        }
        if let Some(values) = &column.values {
            entry.insert("values", Value::Array(values.iter().map(Value::from).collect()));
        }
        let mut entry = Value::InlineTable(entry);
        entry.decor_mut().set_prefix("\n    ");
        array.push_formatted(entry);
    }
    array.set_trailing("\n");
    array.set_trailing_comma(true);
    Value::Array(array)
}

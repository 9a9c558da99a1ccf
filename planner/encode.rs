//! Between plaintext rows and the bits of input and output bundles.
//!
//! A bundle holds the valid plane and then every column's planes (`types::ColumnType`), each plane
//! one bit per row, the first row first.

mod arrow;
mod cell;
mod input;
mod result;

pub use input::{EncodeError, bits_of, bits_of_rows};
pub use result::{DecodeError, ResultSchema, batch_of, rows_of};

use crate::ir::Value;

/// A row in the clear; `None` is NULL.
pub type Row = Vec<Option<Value>>;

#[cfg(test)]
mod tests;

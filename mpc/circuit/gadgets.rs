//! Gadgets: arithmetic on words, all lanes at once. One file each; the AND counts in the docs are
//! per lane and are asserted by the tests.

mod add;
mod compare;
mod count;
mod divide;
mod lanes;
mod multiply;
mod select;
mod word;

pub use word::Word;

#[cfg(test)]
pub(crate) mod check;

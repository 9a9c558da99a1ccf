//! Gadgets: arithmetic on words, all lanes at once. One file each; the AND counts in the docs are
//! per lane and are asserted by the tests. They are those of a builder that spares gates;
//! `shallow` has what one does that spares depth.

mod add;
mod compact;
mod compare;
mod count;
mod divide;
mod lanes;
mod multiply;
mod network;
mod scan;
mod select;
mod shallow;
mod sort;
mod unary;
mod word;

pub use network::Network;
pub use sort::KeyBit;
pub use word::Word;

#[cfg(test)]
pub(crate) mod check;

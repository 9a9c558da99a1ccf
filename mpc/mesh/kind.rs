//! The message kinds of PROTOCOL.md §11. The tamper sweep enumerates [`Kind::ALL`].

use crate::error::Step;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal in $step:ident,)*) => {
        /// What a message is. A receiver asks for one kind; nothing else is handed to it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind { $($(#[$doc])* $name,)* }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Kind] = &[$(Kind::$name,)*];

            /// The code on the wire.
            pub fn code(self) -> u8 {
                match self { $(Kind::$name => $code,)* }
            }

            /// The kind with this code.
            pub fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Kind::$name),)* _ => None }
            }

            /// The phase in which this message is sent.
            pub fn step(self) -> Step {
                match self { $(Kind::$name => Step::$step,)* }
            }
        }
    };
}

kinds! {
    /// Version, parameters, nonce.
    Hello = 1 in Session,
    /// Echo of the session id.
    Sid = 2 in Session,
    /// Pairwise seed of the zero shares.
    Zseed = 3 in Session,
    /// Commitments to coins.
    Coins = 4 in Session,
    /// Digest of everything the session is bound to.
    Bind = 5 in Session,
    /// Opening of a coin.
    CoinOpen = 6 in Session,
    /// First message of the base oblivious transfers.
    BaseReceiver = 10 in Cot,
    /// Second message of the base oblivious transfers.
    BaseSender = 11 in Cot,
    /// Corrections of the punctured trees.
    Ggm = 12 in Cot,
    /// Check of the punctured trees.
    Pprf = 13 in Cot,
    /// Corrections of an extension.
    Corr = 14 in Cot,
    /// Challenge of an extension.
    Chal = 15 in Cot,
    /// Response of an extension.
    Resp = 16 in Cot,
    /// Masked column combinations of the Δ check.
    DeltaY = 20 in DeltaCheck,
    /// Echo of the Δ check.
    DeltaEcho = 21 in DeltaCheck,
    /// Commitment of the Δ check.
    DeltaCommit = 22 in DeltaCheck,
    /// Opening of the Δ check.
    DeltaOpen = 23 in DeltaCheck,
    /// Echo of the combinations of shared bits that responses contain.
    ShareEcho = 32 in Shares,
    /// Correction of a leaky AND.
    LaandU = 40 in LeakyAnd,
    /// Opened bits of a leaky AND.
    LaandD = 41 in LeakyAnd,
    /// Choice corrections of the zero test's products.
    ZeroCorr = 45 in ZeroTest,
    /// Products of the zero test.
    ZeroOle = 46 in ZeroTest,
    /// Commitment of the zero test.
    ZeroCommit = 47 in ZeroTest,
    /// Opening of the zero test.
    ZeroOpen = 48 in ZeroTest,
    /// Opened bits of bucketing.
    BucketBits = 50 in Bucketing,
    /// MAC combinations of bucketing.
    BucketMacs = 51 in Bucketing,
    /// Opened bits of Beaver multiplication.
    BeaverBits = 55 in Beaver,
    /// MAC combinations of Beaver multiplication.
    BeaverMacs = 56 in Beaver,
    /// Garbled tables.
    Table = 60 in Garbling,
    /// Colour bits of one garbler.
    Color = 61 in Garbling,
    /// Mask bits opened to an input's owner.
    InputBits = 70 in Input,
    /// The owner's challenge.
    InputChi = 71 in Input,
    /// MAC combinations for the owner.
    InputMacs = 72 in Input,
    /// Masked input bits.
    Masked = 73 in Input,
    /// Echo of the masked input bits.
    InputEcho = 74 in Input,
    /// Active labels of inputs.
    InputLabels = 75 in Input,
    /// Masked values, challenge and label hash of a chunk.
    Eval = 80 in Evaluation,
    /// A garbler's share of the gate check.
    Z = 81 in Evaluation,
    /// Mask differences at a stage boundary.
    SolderBits = 90 in Solder,
    /// Masked values carried to new parties.
    Lambda = 91 in Solder,
    /// Hash of the masked values.
    LambdaHash = 92 in Solder,
    /// Echo at a stage boundary.
    SolderEcho = 93 in Solder,
    /// Active labels at a stage boundary.
    SolderLabels = 94 in Solder,
    /// MAC combinations at a stage boundary.
    SolderMacs = 95 in Solder,
    /// One layer of the interactive backend.
    Layer = 100 in Interactive,
    /// MAC combinations of a block of layers.
    LayerMacs = 101 in Interactive,
    /// Range check bits.
    VerBits = 110 in Ver,
    /// MACs of range check bits.
    VerMacs = 111 in Ver,
    /// Output mask bits.
    OutputBits = 120 in Output,
    /// The recipient's challenge.
    OutputChi = 121 in Output,
    /// MAC combinations for the recipient.
    OutputMacs = 122 in Output,
    /// The session is over.
    Abort = 130 in Control,
    /// A party has everything it needs.
    Done = 131 in Control,
}

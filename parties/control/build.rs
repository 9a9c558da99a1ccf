//! Writes the module of re-exports that code generated from the dataflow refers to.

fn main() {
    stageleft_tool::gen_final!();
}

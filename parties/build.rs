//! Turns the Hydro program of `senate-control` into the Rust function that each party runs.

use std::error::Error;
use std::path::Path;

use hydro_lang::location::Location;
use hydro_lang::prelude::{FlowBuilder, TCP};
use senate_control::{CHANNEL, Party, life_of_query};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=parties/build.rs");
    let mut flow = FlowBuilder::new();
    let parties = flow.cluster::<Party>();
    let spec = parties.embedded_singleton_input("spec");
    let commands = parties.embedded_input("commands");
    let network = TCP.fail_stop().bincode().name(CHANNEL);
    life_of_query(spec, commands, network).embedded_output("actions");
    let code = flow.with_cluster(&parties, "party_control").generate_embedded("senate_control");
    let file = Path::new(&std::env::var("OUT_DIR")?).join("party_control.rs");
    std::fs::write(file, prettyplease::unparse(&code))?;
    Ok(())
}

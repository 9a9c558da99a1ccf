//! Turns the Hydro programs of `senate-control` into the Rust functions that each party runs.

use std::error::Error;
use std::path::Path;

use hydro_lang::location::Location;
use hydro_lang::prelude::{FlowBuilder, TCP};
use senate_control::{CHANNEL, GOSSIP_CHANNEL, Party, gossip_about_catalog, life_of_query};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=parties/build.rs");
    life()?;
    gossip()
}

fn life() -> Result<(), Box<dyn Error>> {
    let mut flow = FlowBuilder::new();
    let parties = flow.cluster::<Party>();
    let spec = parties.embedded_singleton_input("spec");
    let commands = parties.embedded_input("commands");
    let network = TCP.fail_stop().bincode().name(CHANNEL);
    life_of_query(spec, commands, network).embedded_output("actions");
    let code = flow.with_cluster(&parties, "party_control").generate_embedded("senate_control");
    write("party_control.rs", &prettyplease::unparse(&code))
}

fn gossip() -> Result<(), Box<dyn Error>> {
    let mut flow = FlowBuilder::new();
    let parties = flow.cluster::<Party>();
    let spec = parties.embedded_singleton_input("spec");
    let notices = parties.embedded_input("notices");
    let network = TCP.fail_stop().bincode().name(GOSSIP_CHANNEL);
    gossip_about_catalog(spec, notices, network).embedded_output("observations");
    let code = flow.with_cluster(&parties, "party_gossip").generate_embedded("senate_control");
    write("party_gossip.rs", &prettyplease::unparse(&code))
}

fn write(name: &str, code: &str) -> Result<(), Box<dyn Error>> {
    std::fs::write(Path::new(&std::env::var("OUT_DIR")?).join(name), code)?;
    Ok(())
}

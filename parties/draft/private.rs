//! A party's private file as it begins: nothing is allowed, and examples say how that is changed.

use crate::config::PARTY_FILE;
use crate::failure::{Failure, Outcome};
use std::io::{ErrorKind, Write as _};
use std::path::Path;

/// Stands for the party's name.
const PARTY: &str = "PARTY";
const TEXT: &str = include_str!("party.toml");

/// Begins the party.toml of `party` in a workspace; one that is there is kept.
///
/// # Errors
/// Usage when it cannot be written.
pub fn begin_private(folder: &Path, party: &str) -> Outcome<()> {
    let path = folder.join(party).join(PARTY_FILE);
    let fresh = crate::private::options().write(true).create_new(true).open(&path);
    let written = match fresh {
        Ok(mut file) => file.write_all(TEXT.replacen(PARTY, party, 1).as_bytes()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => Err(error),
    };
    written.map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    eprintln!("wrote {} (private): others may ask nothing yet", path.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{FEDERATION_FILE, Otherwise, PartyConfig, Workspace};

    const FEDERATION: &str = "name = \"f\"\n[[party]]\nname = \"hospital_a\"\naddress = \"x:1\"\n\
        [[party]]\nname = \"hospital_b\"\naddress = \"x:2\"\n[[table]]\nname = \"diagnoses\"\n\
        columns = [{ name = \"patient_id\", type = \"INT\" }, { name = \"diag\", type = \"INT\" }, \
        { name = \"cost\", type = \"INT\" }, { name = \"ssn\", type = \"INT\" }]\n\
        held_by = [{ party = \"hospital_a\", capacity = 9 }]\n";

    fn read(text: Option<&str>) -> PartyConfig {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FEDERATION_FILE), FEDERATION).unwrap();
        let own = folder.path().join("hospital_a");
        std::fs::create_dir(&own).unwrap();
        if let Some(text) = text {
            std::fs::write(own.join(PARTY_FILE), text).unwrap();
        }
        begin_private(folder.path(), "hospital_a").unwrap();
        let workspace = Workspace::open(folder.path()).unwrap();
        let me = workspace.party("hospital_a").unwrap();
        PartyConfig::read(&workspace, me).unwrap()
    }

    #[test]
    fn a_party_begins_by_denying_everything() {
        let config = read(None);
        assert_eq!((config.policy, config.otherwise), (None, Otherwise::Refuse));
        assert!(config.accept.is_empty());
    }

    #[test]
    fn its_examples_are_what_the_program_reads() {
        let bare: Vec<&str> = TEXT.lines().map(|line| line.trim_start_matches('#')).collect();
        let is_prose = |line: &&&str| line.starts_with(' ');
        let text: Vec<&str> = bare.iter().filter(|line| !is_prose(line)).copied().collect();
        let config = read(Some(&text.join("\n")));
        assert_eq!((config.accept.len(), config.otherwise), (1, Otherwise::Hold));
        let policy = config.policy.as_ref().unwrap();
        assert_eq!(policy.tables["diagnoses"].columns.len(), 4);
        assert!(policy.budget.is_some() && config.ports.flight.is_some());
        assert!(config.source("diagnoses").unwrap().to_string().contains("/data/diagnoses.csv"));
    }
}

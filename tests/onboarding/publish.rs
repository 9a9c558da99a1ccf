//! What `senate publish` shows, asks and writes.

use super::{Host, done, refused};
use std::fs;
use std::io::Write;
use std::process::Stdio;

const PEOPLE: &str = "id,name,born,income\n1,Zaphod,1980-02-03,100.50\n2,Trillian,1990-12-31,7\n";

#[test]
fn only_what_is_shown_leaves_and_nothing_is_written_before_a_yes() {
    let host = Host::new("org_a");
    host.put("people.csv", PEOPLE);
    let before = host.federation();
    let dry = host.senate(&["publish", "people", "--dry-run"]).output().unwrap();
    let said = String::from_utf8_lossy(&dry.stderr).into_owned() + &done(&dry);
    for words in ["name = \"people\"", "VARCHAR(8)", "DECIMAL(9,2)", "capacity = 64", "at most 64"]
    {
        assert!(said.contains(words), "{said}");
    }
    for cell in ["Zaphod", "1980", "100.5", "1990"] {
        assert!(!said.contains(cell), "{said}");
    }
    refused(&host.senate(&["publish", "people"]).output().unwrap(), 3);
    assert_eq!(host.federation(), before);
    let mut asked = host.senate(&["publish", "people", "--range", "born", "--unique", "id"]);
    let mut asked = asked.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    asked.stdin.take().unwrap().write_all(b"yes\n").unwrap();
    assert!(asked.wait().unwrap().success());
    let after = host.federation();
    assert!(after.starts_with(before.trim_end()), "{after}");
    assert!(after.contains("min = \"1980-02-03\", max = \"1990-12-31\""), "{after}");
    assert!(after.contains("{ name = \"id\", type = \"INT\", unique = true }"), "{after}");
    let private = fs::read_to_string(host.home().join("party.toml")).unwrap();
    assert!(!private.contains("\n[source"), "the file is found without a section");
}

#[test]
fn a_source_elsewhere_is_written_into_the_private_file() {
    let host = Host::new("org_a");
    let elsewhere = tempfile::tempdir().unwrap();
    let path = elsewhere.path().join("export.csv");
    fs::write(&path, PEOPLE).unwrap();
    host.put("party.toml", "# ours\n[accept]\nfrom = []\n");
    let file = path.display().to_string();
    let publish = ["publish", "people", "--csv", &file, "--exclude", "name", "--yes"];
    done(&host.senate(&publish).output().unwrap());
    let private = fs::read_to_string(host.home().join("party.toml")).unwrap();
    assert!(
        private.starts_with("# ours\n") && private.contains("ignore = [\"name\"]"),
        "{private}"
    );
    assert!(private.contains("export.csv") && !host.federation().contains("export"));
    assert!(!host.federation().contains("\"name\", type"), "{}", host.federation());
}

#[test]
fn a_column_of_a_file_that_is_found_by_its_name_can_be_left_out() {
    let host = Host::new("org_a");
    host.put("people.csv", PEOPLE);
    fs::remove_file(host.home().join("party.toml")).unwrap();
    done(&host.senate(&["publish", "people", "--exclude", "name", "--yes"]).output().unwrap());
    let path = host.home().join("party.toml");
    assert!(fs::read_to_string(&path).unwrap().contains("ignore = [\"name\"]"));
    assert!(!host.federation().contains("\"name\", type"), "{}", host.federation());
    let again = ["publish", "people", "--unique", "name", "--yes"];
    let stderr = refused(&host.senate(&again).output().unwrap(), 2);
    assert!(stderr.contains("column `name` is left out of the table"), "{stderr}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "it is made for its owner alone");
    }
}

#[test]
fn text_that_looks_like_something_else_is_pointed_out() {
    let host = Host::new("org_a");
    host.put("people.csv", "id,at,name\n1,2020-01-31T12:00:00+01:00,x\n");
    let said = host.senate(&["publish", "people", "--dry-run"]).output().unwrap();
    done(&said);
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("column \"at\" is declared as text, although it looks like a date"));
    assert_eq!(said.matches("is declared as text").count(), 1, "{said}");
}

#[test]
fn what_others_may_ask_is_said_and_written_or_nothing_is() {
    let host = Host::new("org_a");
    host.put("people.csv", PEOPLE);
    let publish = ["publish", "people", "--yes"];
    let said = host.senate(&publish).output().unwrap();
    assert!(String::from_utf8_lossy(&said.stderr).contains("by default nothing"));
    let allow = ["--allow", "income=aggregate(sum, avg),filter", "--allow", "born=group_by"];
    let more = ["--min-group", "id=5", "--to", "org_a"];
    let said = host.senate(&[&publish[..], &allow, &more].concat()).output().unwrap();
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("born: group_by; income: aggregate(sum, avg), filter"), "{said}");
    let private = fs::read_to_string(host.home().join("party.toml")).unwrap();
    for line in ["recipients = [\"org_a\"]", "min_group = { entity = \"id\", size = 5 }"] {
        assert!(private.contains(line), "{private}");
    }
    for wrong in ["born=everything", "nothing=filter", "born"] {
        let wrong = [&publish[..], &["--allow", wrong]].concat();
        refused(&host.senate(&wrong).output().unwrap(), 2);
    }
    assert_eq!(fs::read_to_string(host.home().join("party.toml")).unwrap(), private);
}

#[test]
fn rows_that_break_what_would_be_declared_are_refused() {
    let host = Host::new("org_a");
    host.put("people.csv", PEOPLE);
    for (words, exit, why) in [
        (["--capacity", "1"], 6, "2 rows exceed the declared capacity 1"),
        (["--range", "id=0..1"], 6, "column id: a value outside 0 to 1"),
        (["--column", "name=INT"], 6, "column \"name\": not a value of type INT"),
        (["--column", "name=FLOAT"], 2, "unknown type"),
        (["--unique", "nothing"], 2, "there is no column `nothing`"),
        (["--exclude", "nmae"], 2, "there is no column `nmae`"),
        (["--exclude", "nmae"], 2, "its columns are id, name, born, income"),
        (["--range", "id=5"], 2, "write NAME=LOW..HIGH"),
        (["--csv", "/no/such/file"], 2, "/no/such/file"),
        (["--postgres", "postgresql://u:secret@localhost/d"], 2, "a password in a connection URL"),
    ] {
        let publish = [&["publish", "people", "--yes"], words.as_slice()].concat();
        let stderr = refused(&host.senate(&publish).output().unwrap(), exit);
        assert!(stderr.contains(why) && !stderr.contains("secret@"), "{stderr}");
    }
    let stranger = Host { name: "nobody", ..host };
    let stderr = refused(&stranger.senate(&["publish", "people"]).output().unwrap(), 2);
    assert!(stderr.contains("senate init --as"), "{stderr}");
}

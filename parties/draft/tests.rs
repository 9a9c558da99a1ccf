//! Drafts of federation.toml.

use super::*;

fn member(name: &str) -> Member {
    let fingerprint = format!("sha256:{}", "ab".repeat(32));
    Member { name: name.to_owned(), address: format!("{name}.example.org:7401"), fingerprint }
}

fn column(name: &str, kind: &str) -> Column {
    let (name, kind) = (name.to_owned(), kind.to_owned());
    Column { name, kind, nullable: false, unique: false, min: None, max: None, values: None }
}

fn part(columns: Vec<Column>, capacity: u32) -> Part {
    Part { table: "t".to_owned(), columns, capacity }
}

#[test]
fn a_draft_of_one_grows_to_a_federation() {
    let mut draft = Draft::new("study", &member("a")).unwrap();
    draft.put_part("a", &part(vec![column("x", "INT")], 64)).unwrap();
    assert!(Federation::parse(draft.text().as_bytes()).is_err(), "one party is no federation");
    draft.put_party(&member("b")).unwrap();
    draft.put_part("b", &part(vec![column("x", "INT")], 128)).unwrap();
    let federation = Federation::parse(draft.text().as_bytes()).unwrap();
    assert_eq!((federation.parties.len(), federation.tables[0].holders[1].capacity), (2, 128));
    assert_eq!(Draft::parse(&draft.text()).unwrap().text(), draft.text());
}

#[test]
fn comments_and_unknown_keys_survive_edits() {
    let text = "# ours\nname = \"study\" # for now\n[[party]]\nname = \"a\"\naddress = \"h:1\" # a\n\
        [[table]]\nname = \"t\"\ncolumns = [ # all\n  { name = \"x\", type = \"INT\" }, # first\n]\n\
        held_by = [ { party = \"a\", capacity = 64 } ]\n";
    let mut draft = Draft::parse(text).unwrap();
    draft.put_party(&member("b")).unwrap();
    draft.put_part("b", &part(vec![column("x", "SMALLINT")], 32)).unwrap();
    let edited = draft.text();
    for comment in ["# ours", "# for now", "# a", "# all", "# first"] {
        assert!(edited.contains(comment), "{edited}");
    }
    assert_eq!(draft.holders("t").unwrap(), ["a", "b"]);
    draft.put_part("b", &part(vec![column("x", "SMALLINT")], 48)).unwrap();
    assert_eq!(draft.parts_of("b").unwrap()[0].capacity, 48);
}

#[test]
fn a_shared_table_becomes_wide_enough_for_all_holders() {
    let mut draft = Draft::new("study", &member("a")).unwrap();
    draft.put_party(&member("b")).unwrap();
    let ranged = |kind: &str, low, high| Column {
        min: Some(Literal::Integer(low)),
        max: Some(Literal::Integer(high)),
        unique: true,
        ..column("x", kind)
    };
    let own = vec![ranged("INT", 0, 9), column("y", "VARCHAR(8)"), column("z", "DECIMAL(9,2)")];
    draft.put_part("a", &part(own, 64)).unwrap();
    let nullable = Column { nullable: true, ..column("z", "DECIMAL(9,3)") };
    let theirs = vec![nullable, column("y", "VARCHAR(16)"), ranged("BIGINT", -5, 7)];
    draft.put_part("b", &part(theirs, 64)).unwrap();
    let merged = &draft.parts_of("a").unwrap()[0].columns;
    assert_eq!(merged[0], ranged("BIGINT", -5, 9));
    assert_eq!(merged[1].kind, "VARCHAR(16)");
    assert_eq!((merged[2].kind.as_str(), merged[2].nullable), ("DECIMAL(10,3)", true));
}

#[test]
fn bounds_are_compared_as_values_and_not_as_they_are_spelled() {
    let spanned = |kind: &str, low: &str, high: &str| Column {
        min: Some(Literal::Text(low.to_owned())),
        max: Some(Literal::Text(high.to_owned())),
        ..column("x", kind)
    };
    for (one, other, merged) in [
        (
            spanned("DECIMAL(9,2)", "-9.5", "10"),
            spanned("DECIMAL(9,3)", "-10.125", "9.99"),
            spanned("DECIMAL(10,3)", "-10.125", "10"),
        ),
        (
            spanned("TIMESTAMP(0)", "2020-01-01 10:00", "2020-12-31T23:59:59Z"),
            spanned("TIMESTAMP(3)", "2020-01-01T09:59:59.5", "2020-12-31"),
            spanned("TIMESTAMP(3)", "2020-01-01T09:59:59.5", "2020-12-31T23:59:59Z"),
        ),
        (
            spanned("DATE", "2020-01-31", "2021-01-01"),
            spanned("TIMESTAMP(0)", "2020-01-31T00:00:01", "2020-12-31T00:00:00"),
            spanned("TIMESTAMP(0)", "2020-01-31", "2021-01-01"),
        ),
    ] {
        let mut draft = Draft::new("study", &member("a")).unwrap();
        draft.put_party(&member("b")).unwrap();
        draft.put_part("a", &part(vec![one], 64)).unwrap();
        draft.put_part("b", &part(vec![other], 64)).unwrap();
        assert_eq!(draft.parts_of("a").unwrap()[0].columns, [merged]);
    }
}

#[test]
fn contradicting_declarations_are_named() {
    let mut draft = Draft::new("study", &member("a")).unwrap();
    draft.put_party(&member("b")).unwrap();
    draft.put_part("a", &part(vec![column("x", "INT")], 64)).unwrap();
    for (columns, words) in [
        (vec![column("x", "DATE")], "table t: column \"x\": declared as INT and as DATE"),
        (vec![column("x", "INT"), column("y", "INT")], "column \"y\": only one of the holders"),
        (vec![], "column \"x\": only one"),
        (vec![column("x", "FLOAT")], "unknown type"),
    ] {
        let failure = draft.clone().put_part("b", &part(columns, 64)).unwrap_err();
        assert!(failure.message.contains(words), "{failure}");
        assert_eq!(failure.cause.exit_code(), 2);
    }
    let nobody = Member { name: "no such/name".to_owned(), ..member("b") };
    assert!(Draft::new("study", &nobody).is_err());
}

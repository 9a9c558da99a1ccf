use super::*;

const STUDY: &str = r#"
name = "study"
[[party]]
name = "hospital_a"
address = "127.0.0.1:7401"
fingerprint = "sha256:00"
[[party]]
name = "hospital_b"
address = "127.0.0.1:7402"
[[table]]
name = "diagnoses"
columns = [ { name = "patient_id", type = "INT", unique = true },
            { name = "diag", type = "INT", min = 0, max = 999 },
            { name = "cost", type = "DECIMAL(9,2)", min = "-0.50", max = 100 },
            { name = "day", type = "DATE", min = "2019-01-01", max = 2019-12-31 },
            { name = "code", type = "SMALLINT", values = [7, 3, 5] },
            { name = "hash", type = "BINARY(2)", values = ["00ff"] },
            { name = "note", type = "VARCHAR(8)", nullable = true } ]
held_by = [ { party = "hospital_a", capacity = 1000 }, { party = "hospital_b", capacity = 50 } ]
"#;

#[test]
fn a_federation_file_parses_into_types() {
    let federation = Federation::parse(STUDY.as_bytes()).unwrap();
    let table = federation.table("diagnoses").unwrap();
    let kinds: Vec<String> =
        table.columns.iter().map(|c| format!("{} {}", c.name, c.kind)).collect();
    assert_eq!(
        kinds,
        [
            "patient_id INT",
            "diag INT[0..999]",
            "cost DECIMAL(9,2)[-50..10000]",
            "day DATE[17897..18261]",
            "code SMALLINT[3..7]",
            "hash BINARY(2)",
            "note VARCHAR(8)?",
        ]
    );
    assert!(table.columns[0].unique);
    assert_eq!(table.columns[5].values, Some(vec![Value::Bytes(vec![0, 255])]));
    let b = federation.party("hospital_b").unwrap();
    assert_eq!(table.holder(b).unwrap().capacity, 50);
    assert_eq!(federation.digest, *blake3::hash(STUDY.as_bytes()).as_bytes());
}

#[test]
fn mistakes_name_their_place() {
    let broken = |from: &str, to: &str| {
        assert!(STUDY.contains(from), "{from}");
        Federation::parse(STUDY.replace(from, to).as_bytes()).unwrap_err().to_string()
    };
    let cases = [
        ("\"DATE\"", "\"TIMESTAMP(2)\"", "TIMESTAMP(2): a second has 0, 3, 6 or 9 digits"),
        ("\"INT\", unique", "\"UUID\", unique", "column patient_id, type: unknown type \"UUID\""),
        ("max = 999", "max = -1", "column diag: min is larger than max"),
        ("max = 999", "max = 99999999999", "column diag, max: 99999999999 is outside INT"),
        ("\"-0.50\"", "\"0.505\"", "column cost, min: \"0.505\" is not a DECIMAL(9,2)"),
        ("2019-01-01", "2019-02-29", "column day, min: \"2019-02-29\" is not a DATE"),
        ("[7, 3, 5]", "[]", "column code, values: no values"),
        ("\"00ff\"", "\"0ff\"", "column hash, values: \"0ff\" is not a BINARY(2)"),
        ("VARCHAR(8)", "VARCHAR(0)", "column note, type: length 0 is not in 1..4096"),
        ("capacity = 50", "capacity = 0", "held_by, party hospital_b: capacity 0 is not in"),
        ("party = \"hospital_b\"", "party = \"x\"", "held_by: unknown party \"x\""),
        ("party = \"hospital_b\"", "party = \"hospital_a\"", "held_by: party hospital_a twice"),
        ("name = \"diag\"", "name = \"day\"", "column day: declared twice"),
        ("name = \"hospital_b\"", "name = \"hospital_a\"", "party \"hospital_a\": declared twice"),
        ("nullable = true", "null = true", "unknown field `null`"),
        ("127.0.0.1:7402", "127.0.0.1", "party \"hospital_b\": address \"127.0.0.1\" is no HOST"),
        ("127.0.0.1:7402", "127.0.0.1:7401", "7401 is that of party \"hospital_a\" already"),
        ("7402\"", "7402\"\nreplicas = [\"http://b:1\"]", "\"http://b:1\" is no HOST:PORT"),
        ("7402\"", "7402\"\nreplicas = [\"127.0.0.1:7402\"]", "of party \"hospital_b\" already"),
    ];
    for (from, to, message) in cases {
        let error = broken(from, to);
        assert!(error.contains(message), "{error:?} should say {message:?}");
    }
}

#[test]
fn a_federation_has_two_to_sixty_four_parties() {
    let one = "name = \"x\"\n[[party]]\nname = \"a\"\naddress = \"h:1\"\n";
    let error = Federation::parse(one.as_bytes()).unwrap_err().to_string();
    assert_eq!(error, "federation.toml: [[party]]: 1 party; a federation has 2 to 64");
}

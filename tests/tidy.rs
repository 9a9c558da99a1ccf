//! The tree keeps its shape: layers, file lengths, banned words, manifest rules.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files_below(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            found.extend(files_below(&path, ending));
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().to_string_lossy().into_owned()
}

/// Source text without the part from the first test module on, and without comments.
fn production_code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

fn is_test_code(path: &str) -> bool {
    path.starts_with("tests/")
        || path.starts_with("benches/")
        || path.contains("/tests")
        || path.contains("mpc/sim/")
        || path.ends_with("ideal.rs")
}

fn violations(folders: &[&str], banned: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for folder in folders {
        for path in files_below(&root().join(folder), ".rs") {
            let name = relative(&path);
            if is_test_code(&name) {
                continue;
            }
            let code = production_code(&path);
            for word in banned {
                if code.contains(word) {
                    found.push(format!("{name}: {word}"));
                }
            }
        }
    }
    found
}

#[test]
fn the_listing_is_the_design() {
    let mut names: Vec<String> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') && name != "target")
        .collect();
    names.sort();
    let expected = [
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE",
        "README.md",
        "SECURITY.md",
        "benches",
        "mpc",
        "parties",
        "planner",
        "queries",
        "tests",
    ];
    assert_eq!(names, expected);
    assert!(!files_below(&root(), ".rs").iter().any(|path| relative(path).contains("src/")));
}

#[test]
fn no_file_is_longer_than_500_lines() {
    let long: Vec<String> = files_below(&root(), ".rs")
        .iter()
        .filter_map(|path| {
            let lines = fs::read_to_string(path).unwrap().lines().count();
            (lines > 500).then(|| format!("{}: {lines}", relative(path)))
        })
        .collect();
    assert_eq!(long, Vec::<String>::new());
}

#[test]
fn only_the_block_crate_has_unsafe_code() {
    // Hydro generates code with allowances of its own: denied there, forbidden elsewhere.
    for (library, lint) in [
        ("mpc/circuit", "forbid"),
        ("mpc", "forbid"),
        ("planner", "forbid"),
        ("parties/control", "deny"),
        ("parties", "deny"),
    ] {
        let text = fs::read_to_string(root().join(library).join("lib.rs")).unwrap();
        assert!(text.contains(&format!("#![{lint}(unsafe_code)]")), "{library}");
    }
    let found: Vec<String> = violations(&["mpc", "planner", "parties", "queries"], &["unsafe {"])
        .into_iter()
        .filter(|name| !name.starts_with("mpc/block/"))
        .collect();
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn the_engine_names_no_socket_clock_thread_or_global_generator() {
    let banned = [
        "tokio",
        "std::net",
        "Instant::",
        "SystemTime",
        "thread::spawn",
        "thread_rng",
        "OsRng",
        "getrandom",
        "arrow::",
        "datafusion",
        "sqlparser",
        "println!",
    ];
    assert_eq!(violations(&["mpc"], &banned), Vec::<String>::new());
}

#[test]
fn the_planner_names_no_protocol_or_socket() {
    let banned = ["senate_mpc", "senate_block", "tokio", "std::net", "rustls", "thread::spawn"];
    assert_eq!(violations(&["planner"], &banned), Vec::<String>::new());
}

#[test]
fn only_the_flight_module_names_flight_s_types() {
    let found: Vec<String> =
        violations(&["planner", "parties", "queries"], &["arrow_flight", "tonic"])
            .into_iter()
            .filter(|name| !name.starts_with("parties/flight"))
            .collect();
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn no_check_vanishes_in_release_builds_and_nothing_is_left_unfinished() {
    let banned =
        ["debug_assert", "todo!(", "unimplemented!(", "#[allow(", "seed_from_u64", "StdRng"];
    let folders = ["mpc", "planner", "parties", "queries"];
    assert_eq!(violations(&folders, &banned), Vec::<String>::new());
}

#[test]
fn manifests_have_no_pins_and_no_git_dependencies() {
    for path in files_below(&root(), "Cargo.toml") {
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("\"="), "{} pins a version", relative(&path));
        assert!(!text.contains("git ="), "{} has a git dependency", relative(&path));
    }
    let circuit = fs::read_to_string(root().join("mpc/circuit/Cargo.toml")).unwrap();
    assert!(!circuit.contains("[dependencies]"), "the circuit crate depends on nothing");
}

#[test]
fn nothing_that_is_built_has_the_simulator() {
    for path in files_below(&root(), "Cargo.toml") {
        let manifest = fs::read_to_string(&path).unwrap();
        let enables = manifest.contains("senate-mpc/sim") || manifest.contains("\"sim\"]");
        // Hydro's simulator of control is a test dependency of its own.
        assert!(!enables || relative(&path) == "parties/control/Cargo.toml", "{}", relative(&path));
    }
}

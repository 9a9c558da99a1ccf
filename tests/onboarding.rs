//! From nothing to a first result: real processes in separate directories, joined by codes.

mod doctor;
mod network;
mod publish;
mod refusals;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use tempfile::TempDir;

/// A party with a directory of its own, as on a host of its own.
struct Host {
    name: &'static str,
    address: String,
    fingerprint: String,
    folder: TempDir,
    /// The namespace of its network, if it has one of its own.
    network: Option<String>,
}

/// A running `senate serve`.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Host {
    /// Makes the identity; nothing is published yet.
    fn new(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self::at(name, listener.local_addr().unwrap().to_string(), None)
    }

    /// At this address of a network.
    fn at(name: &'static str, address: String, network: Option<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut host = Self { name, address, fingerprint: String::new(), folder, network };
        let address = host.address.clone();
        let init = ["init", "--address", &address, "--federation", "study"];
        let stdout = done(&host.senate(&init).output().unwrap());
        host.fingerprint = stdout.split('"').nth(1).unwrap().to_owned();
        host
    }

    /// With visits(patient, diag) published.
    fn with_visits(name: &'static str, rows: &str) -> Self {
        let host = Self::new(name);
        host.publish_visits(rows);
        host
    }

    fn publish_visits(&self, rows: &str) {
        self.put("visits.csv", &format!("patient,diag\n{rows}"));
        let allow = ["--allow", "patient=join_key", "--allow", "diag=group_by,filter"];
        let publish = [&["publish", "visits", "--yes"][..], &allow].concat();
        done(&self.senate(&publish).output().unwrap());
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join(self.name)
    }

    fn put(&self, file: &str, text: &str) {
        fs::create_dir_all(self.home()).unwrap();
        fs::write(self.home().join(file), text).unwrap();
    }

    fn federation(&self) -> String {
        fs::read_to_string(self.folder.path().join("federation.toml")).unwrap()
    }

    fn senate(&self, words: &[&str]) -> Command {
        let program = env!("CARGO_BIN_EXE_senate");
        let mut command = match &self.network {
            None => Command::new(program),
            Some(network) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", network, program]);
                command
            }
        };
        command.arg(words[0]).arg("--workspace").arg(self.folder.path());
        command.args(["--as", self.name]).args(&words[1..]);
        command.stdin(Stdio::null());
        command
    }

    /// Begins a round; gives the process and its codes, members' first.
    fn invite(&self, words: &[&str], codes: usize) -> (Child, Vec<String>, BufReader<ChildStdout>) {
        let mut command = self.senate(&[&["invite"], words].concat());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let code = |lines: &mut BufReader<ChildStdout>| {
            let mut line = String::new();
            lines.read_line(&mut line).unwrap();
            line.split_whitespace().last().unwrap_or_default().to_owned()
        };
        let codes = (0..codes).map(|_| code(&mut lines)).collect();
        (child, codes, lines)
    }

    fn join(&self, words: &[&str]) -> Output {
        self.senate(&[&["join"], words].concat()).output().unwrap()
    }

    fn serve(&self) -> Served {
        let mut child = self.senate(&["serve"]).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let (mut line, mut said) = (String::new(), String::new());
        while !line.contains("listening on") {
            line.clear();
            assert!(lines.read_line(&mut line).unwrap() > 0, "{}: {said}", self.name);
            said += &line;
        }
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        Served(child)
    }

    fn accept(&self, others: &[&Host]) {
        let path = self.home().join("party.toml");
        let before = fs::read_to_string(&path).unwrap_or_default();
        let names: Vec<String> = others.iter().map(|other| format!("{:?}", other.name)).collect();
        fs::write(path, format!("{before}\n[accept]\nfrom = [{}]\n", names.join(", "))).unwrap();
    }
}

fn done(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn refused(output: &Output, exit: i32) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(exit), "{stderr}");
    stderr
}

const TOTAL: &str = "SELECT COUNT(*) AS n FROM visits";

#[test]
fn two_hosts_come_to_a_result_in_six_commands_each_and_a_third_joins() {
    from_nothing_to_a_result(&["org_a", "org_b", "org_c"].map(Host::new));
}

/// Gives the daemons of all three.
fn from_nothing_to_a_result([a, b, c]: &[Host; 3]) -> [Served; 3] {
    // Of each host: init, publish, invite or join, one line in party.toml, serve, query.
    a.publish_visits("1,2\n2,3\n");
    b.publish_visits("1,5000000000\n");
    let (invite, codes, _) = a.invite(&["--yes-if", &b.fingerprint], 1);
    let joined = b.join(&[&codes[0], "--yes-if", &a.fingerprint]);
    let stderr = String::from_utf8_lossy(&joined.stderr).into_owned();
    done(&joined);
    assert!(stderr.contains("2 parties have signed"), "{stderr}");
    done(&invite.wait_with_output().unwrap());
    assert_eq!(a.federation(), b.federation());
    assert!(a.federation().contains("type = \"BIGINT\""), "wide enough for both holders");
    a.accept(&[b]);
    b.accept(&[a]);
    let query = |host: &Host| {
        let query = host.senate(&["query", "--format", "csv", TOTAL]).output().unwrap();
        done(&query)
    };
    {
        let _daemons = (a.serve(), b.serve());
        assert_eq!((query(a), query(b)), ("n\n3\n".to_owned(), "n\n3\n".to_owned()));
        done(&a.senate(&["doctor"]).output().unwrap());
    }
    c.publish_visits("7,7\n8,8\n");
    let before = a.federation();
    let known = [&b.fingerprint, &c.fingerprint].map(String::as_str);
    let (invite, codes, _) = a.invite(&["--yes-if", known[0], "--yes-if", known[1]], 2);
    let joins: Vec<_> = [(b, &codes[0]), (c, &codes[1])]
        .map(|(host, code)| {
            let mut join = host.senate(&["join", code, "--yes-if", &a.fingerprint]);
            join.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .into_iter()
        .collect();
    for join in joins {
        done(&join.wait_with_output().unwrap());
    }
    done(&invite.wait_with_output().unwrap());
    assert!(a.federation() != before && a.federation() == c.federation());
    assert_eq!(a.federation(), b.federation());
    c.accept(&[a, b]);
    let daemons = [a, b, c].map(Host::serve);
    assert_eq!(query(a), "n\n5\n");
    daemons
}

#[test]
fn people_compare_words_and_sign() {
    let (a, b) = (Host::new("org_a"), Host::with_visits("org_b", "1,2\n"));
    let (mut invite, codes, _) = a.invite(&[], 1);
    let mut join = b.senate(&["join", &codes[0]]);
    let mut join = join.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let words = |child: &mut Child, mark: &str| {
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains(mark) {
            line.clear();
            assert!(lines.read_line(&mut line).unwrap() > 0, "no {mark:?}");
        }
        std::thread::spawn(move || lines.read_to_string(&mut String::new()));
        let words: Vec<&str> = line.split_whitespace().collect();
        words[words.len() - 3..].join(" ")
    };
    let theirs = words(&mut join, "Compare these words");
    join.stdin.as_mut().unwrap().write_all(b"yes\n").unwrap();
    let ours = words(&mut invite, "sees these words");
    assert_eq!(ours, theirs);
    invite.stdin.as_mut().unwrap().write_all(b"y\n").unwrap();
    join.stdin.as_mut().unwrap().write_all(b"y\n").unwrap();
    assert!(join.wait().unwrap().success() && invite.wait().unwrap().success());
    assert_eq!(a.federation(), b.federation());
    let signed = "federation.sig";
    assert_eq!(
        fs::read(a.folder.path().join(signed)).unwrap(),
        fs::read(b.folder.path().join(signed)).unwrap()
    );
    // A daemon starts with exactly what was signed.
    let path = b.folder.path().join("federation.toml");
    fs::write(&path, b.federation().replace("capacity = 64", "capacity = 65")).unwrap();
    let stderr = refused(&b.senate(&["serve"]).output().unwrap(), 2);
    assert!(stderr.contains("not what all parties have signed"), "{stderr}");
}

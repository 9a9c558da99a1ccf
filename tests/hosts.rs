//! A federation whose parties are processes with a directory each, as on separate hosts.

use crate::support::{EVERY_ROLE, party_name};
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A federation whose parties have a directory each, as on separate hosts.
pub(crate) struct Hosts {
    folder: TempDir,
    pub(crate) parties: usize,
    pub(crate) federation: String,
}

pub(crate) struct Daemon {
    process: Child,
    pub(crate) log: Arc<Mutex<String>>,
}

impl Daemon {
    /// Collects what it says, so that the pipe never fills up.
    pub(crate) fn new(process: Child, said: String, lines: impl BufRead + Send + 'static) -> Self {
        let (log, mut lines) = (Arc::new(Mutex::new(said)), lines);
        let kept = Arc::clone(&log);
        std::thread::spawn(move || {
            let mut line = String::new();
            while lines.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
                kept.lock().unwrap().push_str(&std::mem::take(&mut line));
            }
        });
        Self { process, log }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn signal(&self, signal: &str) {
        send(signal, &self.process);
    }

    /// Waits until it has ended by itself.
    pub(crate) fn ends(&mut self) -> ExitStatus {
        self.process.wait().unwrap()
    }

    /// The port that it has said to be open.
    pub(crate) fn port(&self, what: &str) -> u16 {
        let opened = format!("{what} is open");
        self.says(&opened);
        let log = self.log.lock().unwrap().clone();
        let line = log.lines().find(|line| line.contains(&opened)).unwrap().to_owned();
        let port = line.split("127.0.0.1:").nth(1).unwrap();
        port.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
    }

    /// Status and body of a page of its console.
    pub(crate) fn page(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port("console"))).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// A figure of its console.
    pub(crate) fn figure(&self, name: &str) -> f64 {
        let (status, text) = self.page("/metrics");
        assert_eq!(status, 200);
        let line = text.lines().find(|line| line.starts_with(&format!("{name}{{")));
        line.map_or(0.0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    }

    /// Waits until it has said this.
    pub(crate) fn says(&self, words: &str) {
        let start = Instant::now();
        while !self.log.lock().unwrap().contains(words) {
            let log = self.log.lock().unwrap().clone();
            assert!(start.elapsed() < Duration::from_secs(20), "no `{words}` in\n{log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn send(signal: &str, process: &Child) {
    let pid = process.id().to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
}

impl Hosts {
    /// `rows` gives each party's CSV of visits(patient, diag).
    pub(crate) fn new(
        parties: usize,
        capacity: usize,
        rows: &dyn Fn(usize) -> Vec<(i64, i64)>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut hosts = Self { folder, parties, federation: String::new() };
        let listeners: Vec<_> =
            (0..parties).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let mut text = "name = \"hosts\"\n".to_owned();
        let mut holders = Vec::new();
        for (party, listener) in listeners.iter().enumerate() {
            let name = party_name(party);
            let init = hosts.senate(party, &["init"]).output().unwrap();
            let fingerprint = String::from_utf8(init.stdout).unwrap();
            assert!(init.status.success() && fingerprint.starts_with("fingerprint = "));
            let address = listener.local_addr().unwrap();
            write!(text, "[[party]]\nname = \"{name}\"\naddress = \"{address}\"\n").unwrap();
            text += &fingerprint;
            holders.push(format!("{{ party = \"{name}\", capacity = {capacity} }}"));
            let everybody: Vec<_> =
                (0..parties).map(|p| format!("\"{}\"", party_name(p))).collect();
            let everybody = everybody.join(", ");
            let consent = format!("[accept]\nfrom = [{everybody}]\n{}", policy(&everybody));
            hosts.rewrite(party, &consent);
            let lines = rows(party).iter().map(|(p, d)| format!("{p},{d}\n")).collect::<String>();
            let csv = format!("patient,diag\n{lines}");
            fs::write(hosts.home(party).join(&name).join("visits.csv"), csv).unwrap();
        }
        write!(
            text,
            "[[table]]\nname = \"visits\"\ncolumns = [{{ name = \"patient\", type = \"INT\" }}, \
             {{ name = \"diag\", type = \"INT\", min = 0, max = 500 }}]\nheld_by = [{}]\n",
            holders.join(", ")
        )
        .unwrap();
        hosts.federation = text;
        (0..parties).for_each(|party| hosts.publish(party, &hosts.federation));
        hosts
    }

    /// Adds to every party's party.toml.
    pub(crate) fn configure_all(&self, toml: &str) {
        (0..self.parties).for_each(|party| self.configure(party, toml));
    }

    /// Adds to a party's party.toml.
    pub(crate) fn configure(&self, party: usize, toml: &str) {
        let path = self.home(party).join(party_name(party)).join("party.toml");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, text + toml).unwrap();
    }

    /// Writes a party's party.toml.
    pub(crate) fn rewrite(&self, party: usize, toml: &str) {
        fs::write(self.home(party).join(party_name(party)).join("party.toml"), toml).unwrap();
    }

    pub(crate) fn publish(&self, party: usize, federation: &str) {
        fs::write(self.home(party).join("federation.toml"), federation).unwrap();
    }

    pub(crate) fn home(&self, party: usize) -> PathBuf {
        let home = self.folder.path().join(format!("host_{party}"));
        fs::create_dir_all(home.join(party_name(party))).unwrap();
        home
    }

    pub(crate) fn senate(&self, party: usize, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_senate"));
        command.args(words).arg("--workspace").arg(self.home(party));
        command.args(["--as", &party_name(party)]);
        command
    }

    pub(crate) fn serve(&self, party: usize) -> Daemon {
        self.serve_with(party, &[])
    }

    fn serve_with(&self, party: usize, words: &[&str]) -> Daemon {
        let mut command = self.senate(party, &["serve"]);
        command.args(words);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("listening on") {
            let bytes = lines.read_line(&mut said).unwrap();
            assert!(bytes > 0, "{} did not start:\n{said}", party_name(party));
        }
        Daemon::new(child, said, lines)
    }

    pub(crate) fn serve_all(&self) -> Vec<Daemon> {
        (0..self.parties).map(|party| self.serve(party)).collect()
    }

    pub(crate) fn serve_all_with(&self, words: &[&str]) -> Vec<Daemon> {
        (0..self.parties).map(|party| self.serve_with(party, words)).collect()
    }

    pub(crate) fn query(&self, party: usize, sql: &str, more: &[&str]) -> Output {
        self.start(party, sql, more).wait_with_output().unwrap()
    }

    pub(crate) fn start(&self, party: usize, sql: &str, more: &[&str]) -> Child {
        let mut command = self.senate(party, &["query", "--format", "csv"]);
        command.args(more).arg(sql);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

impl Hosts {
    /// Daemons of all parties that are willing to start.
    pub(crate) fn serve_all_or_none(&self) -> Vec<Daemon> {
        let start = |party| {
            let command = self.senate(party, &["serve"]).stderr(Stdio::piped()).spawn();
            let mut child = command.unwrap();
            let mut lines = BufReader::new(child.stderr.take().unwrap());
            let mut line = String::new();
            let _ = lines.read_line(&mut line);
            Daemon::new(child, line, lines)
        };
        (0..self.parties).map(start).collect()
    }
}

/// An address at which nobody listens.
pub(crate) fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// A policy that lets these parties, as in TOML, ask everything.
pub(crate) fn policy(recipients: &str) -> String {
    format!(
        "[policy]\nrecipients = [{recipients}]\n[policy.table.visits.columns]\n\
         patient = {EVERY_ROLE}\ndiag = {EVERY_ROLE}\n"
    )
}

/// Rows that keep a query running for seconds.
pub(crate) fn many(party: usize) -> Vec<(i64, i64)> {
    (0..400).map(|row| (row, (row * 7 + party as i64) % 500)).collect()
}

pub(crate) fn few(party: usize) -> Vec<(i64, i64)> {
    (0..6).map(|row| (row, (row * (party as i64 + 1)) % 4)).collect()
}

pub(crate) const GROUPS: &str =
    "SELECT diag, COUNT(*) AS n FROM visits GROUP BY diag ORDER BY n DESC, diag";

pub(crate) fn answer(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn refusal(output: &Output, exit: i32) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(exit), "{stderr}");
    assert!(output.stdout.is_empty(), "nothing is printed when a query fails");
    stderr
}

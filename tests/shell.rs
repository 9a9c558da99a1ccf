//! The shell through a pipe and on a terminal: what it prints, how it ends, what it keeps.

use crate::support::{Table, Workspace};
use nix::pty::openpty;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const COUNT: &str = "SELECT diag, COUNT(*) AS n FROM visits GROUP BY diag ORDER BY diag";

/// visits(patient, diag) at two parties: rows (0..rows, row mod 3) at each.
fn workspace(rows: usize, capacity: usize) -> Workspace {
    let part = |party| {
        let rows = (0..rows).map(|row| vec![row.to_string(), (row % 3).to_string()]);
        (party, capacity, rows.collect())
    };
    Workspace::new(
        2,
        vec![Table {
            name: "visits",
            columns: vec![("patient", "INT", ""), ("diag", "INT", "min = 0, max = 9")],
            parts: vec![part(0), part(1)],
        }],
    )
}

fn shell(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_senate"));
    command.args(["shell", "--local"]).arg(folder);
    command
}

fn script(folder: &Path, text: &str) -> Output {
    let mut command = shell(folder);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A shell that has ended with an error reads no more.
    let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_script_of_statements_and_commands_prints_answers_only() {
    let workspace = workspace(4, 6);
    let folder = workspace.path();
    let kept = folder.join("kept.csv");
    let nested = folder.join("nested.sql");
    fs::write(&nested, format!("-- of a file\n{COUNT};\n")).unwrap();
    let text = format!(
        "\\format csv\n{COUNT};\nSELECT COUNT(*) AS n\n  FROM visits -- all; of them\n;\n\
         \\o {}\n\\i {}\n\\o\n\\timing on\nSELECT MAX(patient) AS m FROM visits;",
        kept.display(),
        nested.display()
    );
    let output = script(folder, &text);
    let (stdout, stderr) = said(&output);
    assert!(output.status.success(), "{stderr}");
    assert_eq!(stdout, "diag,n\n0,4\n1,2\n2,2\nn\n8\nm\n3\n");
    assert_eq!(fs::read_to_string(kept).unwrap(), "diag,n\n0,4\n1,2\n2,2\n");
    assert_eq!(stderr.matches("rows=").count(), 4, "{stderr}");
    assert_eq!(stderr.matches("Time: ").count(), 1, "{stderr}");
}

#[test]
fn errors_name_the_line_of_a_script_and_of_the_files_that_it_takes() {
    let workspace = workspace(4, 6);
    let nested = workspace.path().join("nested.sql");
    fs::write(&nested, "SELECT COUNT(*) FROM visits;\n\nSELECT nosuch\nFROM visits;\n").unwrap();
    let output = script(workspace.path(), &format!("-- first\n\\i {}\n", nested.display()));
    let stderr = said(&output).1;
    let place = format!("line 2: {}:4: ", nested.display());
    assert!(stderr.contains(&place) && stderr.contains("nosuch"), "{stderr}");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_script_may_begin_with_a_byte_order_mark() {
    let workspace = workspace(4, 6);
    let output =
        script(workspace.path(), "\u{feff}\\format csv\nSELECT COUNT(*) AS n FROM visits;");
    assert_eq!(said(&output).0, "n\n8\n", "{}", said(&output).1);
}

#[test]
fn tables_plans_and_settings_are_shown() {
    let workspace = workspace(4, 6);
    let text = format!(
        "\\d\n\\d visits\n\\d org_b.visits\nEXPLAIN {COUNT};\n\\explain {COUNT}\n\
         \\recipients org_b\n\\recipients\n\\timeout 77\n\\timeout\n\\?\n\\explain on\n{COUNT};\n\\q\nnonsense"
    );
    let output = script(workspace.path(), &text);
    let (stdout, stderr) = said(&output);
    assert!(output.status.success(), "{stderr}");
    for words in ["Held by", "org_a, org_b", "0 to 9", "held by org_b: at most 6 rows"] {
        assert!(stdout.contains(words), "no `{words}` in {stdout}");
    }
    assert_eq!(stdout.matches("AND gates, depth").count(), 2, "two plans: {stdout}");
    assert!(stdout.contains("recipients: org_b") && stdout.contains("timeout: 77 s"), "{stdout}");
    assert!(stdout.contains("\\recipients [P,Q|-]"), "{stdout}");
    assert!(stderr.contains("AND gates in") && stderr.contains("reveals the result"), "{stderr}");
}

#[test]
fn a_script_ends_with_its_first_error_and_that_errors_exit_code() {
    let workspace = workspace(4, 6);
    for (text, exit, words) in [
        ("SELECT * FROM nothing;\nSELECT 1;", 2, "nothing"),
        ("\\nothing\n", 2, "\\? lists the commands"),
        ("\\d nothing", 2, "no table nothing"),
        ("\\recipients org_z", 2, "no party `org_z`"),
        ("\\i nowhere.sql", 2, "nowhere.sql"),
        ("\\format parquet\nSELECT COUNT(*) FROM visits;", 2, "\\o FILE"),
    ] {
        let output = script(workspace.path(), &format!("{text}\n\\d\n"));
        let (stdout, stderr) = said(&output);
        assert_eq!(output.status.code(), Some(exit), "{text}: {stderr}");
        assert!(stderr.contains(words) && stdout.is_empty(), "{text}: {stdout}{stderr}");
    }
    fs::write(workspace.path().join("visits.csv"), "").unwrap();
    fs::write(workspace.path().join("org_b/visits.csv"), "patient,diag\n1,17\n").unwrap();
    let output = script(workspace.path(), "SELECT COUNT(*) FROM visits;");
    assert_eq!(output.status.code(), Some(6), "{}", said(&output).1);
}

#[test]
fn a_costly_query_is_not_run_when_nobody_can_be_asked() {
    let workspace = workspace(1, 20_000);
    let text = "\\explain on\nSELECT patient, diag FROM visits ORDER BY patient, diag;";
    let output = script(workspace.path(), text);
    let (stdout, stderr) = said(&output);
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(stdout.is_empty() && stderr.contains("costly"), "{stderr}");
}

#[test]
fn a_session_opened_while_the_user_thinks_serves_the_next_query() {
    let workspace = workspace(4, 6);
    let mut command = shell(workspace.path());
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut stdin, stderr) = (child.stdin.take().unwrap(), child.stderr.take().unwrap());
    let mut footers = BufReader::new(stderr).lines();
    let mut ask = |stdin: &mut std::process::ChildStdin| {
        writeln!(stdin, "{COUNT};").unwrap();
        footers.next().unwrap().unwrap()
    };
    let first = ask(&mut stdin);
    assert!(first.starts_with("rows=3 ") && !first.contains("session="), "{first}");
    let start = Instant::now();
    loop {
        std::thread::sleep(Duration::from_millis(400));
        let footer = ask(&mut stdin);
        let sent = |footer: &str| -> u64 {
            let sent = footer.split(' ').find_map(|field| field.strip_prefix("sent="));
            sent.unwrap().parse().unwrap()
        };
        if footer.contains("session=ahead") {
            assert!(footer.starts_with("rows=3 "), "{footer}");
            assert!(2 * sent(&footer) < sent(&first), "what was made ahead is not sent again");
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{footer}");
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

/// A shell whose user is this test.
struct Terminal {
    child: Child,
    keys: fs::File,
    screen: Arc<Mutex<String>>,
}

impl Terminal {
    fn open(folder: &Path, state: &Path) -> Self {
        let terminal = openpty(None, None).unwrap();
        let end = || Stdio::from(terminal.slave.try_clone().unwrap());
        let mut command = shell(folder);
        command.env("XDG_STATE_HOME", state).env("TERM", "xterm");
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let keys = fs::File::from(terminal.master);
        let (mut seen, screen) = (keys.try_clone().unwrap(), Arc::new(Mutex::new(String::new())));
        let kept = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = seen.read(&mut bytes) {
                kept.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        Self { child, keys, screen }
    }

    fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until this is on the screen, then forgets it and what is above.
    fn shows(&mut self, words: &str) {
        let start = Instant::now();
        loop {
            let mut screen = self.screen.lock().unwrap();
            if let Some(at) = screen.find(words) {
                screen.drain(..at + words.len());
                return;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "no `{words}` in\n{screen}");
            drop(screen);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn on_a_terminal_ctrl_c_cancels_the_query_and_history_has_no_answers() {
    let workspace = workspace(400, 400);
    let state = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::open(workspace.path(), state.path());
    terminal.shows("unseen=> ");
    terminal.types("SELECT\r");
    terminal.types("MAX(patient) + 1234 AS most FROM visits;\r");
    terminal.shows("1633");
    terminal.shows("unseen=> ");
    terminal.types("half a statement");
    terminal.shows("half a statement");
    terminal.types("\x03");
    terminal.shows("unseen=> ");
    terminal.types("\\nothing\r");
    terminal.shows("no command");
    terminal.shows("unseen=> ");
    terminal.types("SELECT patient, COUNT(*) FROM visits GROUP BY patient;\r");
    std::thread::sleep(Duration::from_millis(700));
    let pid = terminal.child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    terminal.shows("interrupted");
    terminal.shows("unseen=> ");
    terminal.types("SELECT COUNT(*) AS all_of_them FROM visits;\r");
    terminal.shows("800");
    terminal.shows("unseen=> ");
    terminal.types("\\q\r");
    assert!(terminal.child.wait().unwrap().success());
    let history = fs::read_to_string(state.path().join("senate/history")).unwrap();
    assert!(history.contains("MAX(patient) + 1234") && history.contains("all_of_them"));
    assert!(!history.contains("1633"), "answers are not kept: {history}");
}

#[test]
fn a_reader_that_has_gone_is_no_reason_to_panic() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_senate"));
    let ended =
        command.args(["demo", "--list"]).stdin(Stdio::null()).stdout(writer).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

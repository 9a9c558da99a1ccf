//! The packaged workspaces, for any number of parties and rows. The folders of `queries/` hold what
//! this writes at the default size. Data are random from a fixed seed: nobody's rows, the same ones
//! everywhere.

use std::fmt::Write;

/// A packaged question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Question {
    /// The ten commonest diagnoses of a cohort, over all hospitals.
    Medical,
    /// Users with one password at more than one site.
    Passwords,
    /// Customers about whom the agencies disagree.
    Credit,
}

/// One file of a workspace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct File {
    /// Path inside the workspace.
    pub path: String,
    /// Contents.
    pub text: String,
}

/// A generated workspace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packaged {
    /// The question in SQL.
    pub query: String,
    /// Names of the parties.
    pub parties: Vec<String>,
    /// What federation.toml says after the parties.
    pub tables: String,
    /// What every party lets the others do with its table.
    pub roles: String,
    /// The parties' rows.
    pub files: Vec<File>,
}

impl Question {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Medical, Self::Passwords, Self::Credit];
    /// Parties unless asked otherwise.
    pub const PARTIES: usize = 4;

    /// Name of its folder.
    pub fn name(self) -> &'static str {
        match self {
            Self::Medical => "medical",
            Self::Passwords => "passwords",
            Self::Credit => "credit",
        }
    }

    /// What is asked, in words.
    pub fn summary(self) -> &'static str {
        match self {
            Self::Medical => "the ten commonest diagnoses among c.diff patients of all hospitals",
            Self::Passwords => "users who have one password at more than one site",
            Self::Credit => "customers whose scores of 2019 differ widely between the agencies",
        }
    }

    /// Rows of the largest party unless asked otherwise.
    pub fn rows(self) -> usize {
        match self {
            Self::Medical => 200,
            Self::Passwords => 50,
            Self::Credit => 100,
        }
    }

    /// The workspace for this many parties, of which the largest has this many rows.
    pub fn generate(self, parties: usize, rows: usize) -> Packaged {
        match self {
            Self::Medical => medical(parties, rows),
            Self::Passwords => passwords(parties, rows),
            Self::Credit => credit(parties, rows),
        }
    }
}

impl Packaged {
    /// federation.toml, with an address and perhaps a pinned fingerprint for every party.
    pub fn federation(&self, name: &str, seats: &[(String, Option<String>)]) -> String {
        let mut text = format!("name = \"{name}\"\n");
        for (party, (address, fingerprint)) in self.parties.iter().zip(seats) {
            let _ = write!(text, "\n[[party]]\nname = \"{party}\"\naddress = \"{address}\"\n");
            if let Some(fingerprint) = fingerprint {
                let _ = writeln!(text, "fingerprint = \"{fingerprint}\"");
            }
        }
        text + &self.tables
    }

    /// What every party's party.toml says: whose queries run without asking, and within which
    /// limits.
    pub fn policy(&self) -> String {
        let Self { parties, roles, .. } = self;
        format!(
            "# Whose queries run without asking.\n[accept]\nfrom = {parties:?}\n\n\
             # What anybody may learn from this party's rows.\n[policy]\nrecipients = {parties:?}\n\n\
             {roles}"
        )
    }
}

fn medical(parties: usize, rows: usize) -> Packaged {
    const DIAGNOSES: u64 = 40;
    let parties = names("hospital", parties);
    let mut dice = Dice(1);
    let tables = table(
        "diagnoses",
        "{ name = \"patient_id\", type = \"INT\", min = 0 },\n            \
         { name = \"diag\", type = \"INT\", min = 0, max = 999 },\n            \
         { name = \"has_cdiff\", type = \"BOOLEAN\" }",
        &parties,
        rows,
    );
    let file = |(position, party): (usize, &String)| {
        let mut text = "patient_id,diag,has_cdiff\n".to_owned();
        for row in 0..share(rows, position) {
            // Low numbers are the common diagnoses.
            let diagnosis = dice.below(DIAGNOSES).min(dice.below(DIAGNOSES)) * 7 + 3;
            let patient = position as u64 * 1_000_000 + row as u64;
            let _ = writeln!(text, "{patient},{diagnosis},{}", dice.below(5) < 2);
        }
        File { path: format!("{party}/diagnoses.csv"), text }
    };
    let files = parties.iter().enumerate().map(file).collect();
    let query = "SELECT diag, COUNT(*) AS patients\nFROM diagnoses\nWHERE has_cdiff = TRUE\n\
                 GROUP BY diag\nORDER BY patients DESC, diag\nLIMIT 10\n";
    let roles = "[policy.table.diagnoses.columns]\n\
                 patient_id = [\"join_key\", \"aggregate(count)\"]\n\
                 diag = [\"group_by\", \"filter\"]\nhas_cdiff = [\"group_by\", \"filter\"]\n";
    Packaged { query: query.to_owned(), parties, tables, roles: roles.to_owned(), files }
}

fn passwords(parties: usize, rows: usize) -> Packaged {
    let parties = names("site", parties);
    let mut dice = Dice(2);
    let tables = table(
        "credentials",
        "{ name = \"user_id\", type = \"INT\", min = 0 },\n            \
         { name = \"hash\", type = \"BINARY(32)\" }",
        &parties,
        rows,
    );
    let users = 2 * rows as u64 + 1;
    let file = |(position, party): (usize, &String)| {
        let mut text = "user_id,hash\n".to_owned();
        let mut user = dice.below(2);
        for _ in 0..share(rows, position) {
            // One password in three is the same at every site.
            let site = if dice.below(3) == 0 { 0 } else { position as u64 + 1 };
            let mut hash = Dice(user * 1_000 + site);
            let scattered = user.wrapping_mul(2_654_435_761) % (1 << 31);
            let _ = write!(text, "{scattered},");
            (0..4).for_each(|_| {
                let _ = write!(text, "{:016x}", hash.next());
            });
            text.push('\n');
            user = (user + 1 + dice.below(2)) % users;
        }
        File { path: format!("{party}/credentials.csv"), text }
    };
    let files = parties.iter().enumerate().map(file).collect();
    let query = "SELECT user_id\nFROM credentials\nGROUP BY user_id, hash\nHAVING COUNT(*) > 1\n";
    let roles = "[policy.table.credentials.columns]\n\
                 user_id = [\"group_by\"]\nhash = [\"group_by\"]\n";
    Packaged { query: query.to_owned(), parties, tables, roles: roles.to_owned(), files }
}

fn credit(parties: usize, rows: usize) -> Packaged {
    let parties = names("agency", parties);
    let mut dice = Dice(3);
    let tables = table(
        "ratings",
        "{ name = \"customer_id\", type = \"INT\", min = 0, unique = true },\n            \
         { name = \"year\", type = \"SMALLINT\", min = 2000, max = 2030 },\n            \
         { name = \"score\", type = \"SMALLINT\", min = 300, max = 850 }",
        &parties,
        rows,
    );
    let file = |(position, party): (usize, &String)| {
        let mut text = "customer_id,year,score\n".to_owned();
        for customer in 0..share(rows, position) as u64 {
            let year = if dice.below(12) == 0 { 2018 } else { 2019 };
            let common = 400 + Dice(customer).below(350);
            let score = common + dice.below(100);
            let _ = writeln!(text, "{},{year},{score}", 70_000 + customer * 13);
        }
        File { path: format!("{party}/ratings.csv"), text }
    };
    let files = parties.iter().enumerate().map(file).collect();
    // Scores are compared between agencies: that is a join, of which the score is a key.
    let roles = "[policy.table.ratings.columns]\ncustomer_id = [\"join_key\", \"output\"]\n\
                 year = [\"filter\"]\nscore = [\"filter\", \"join_key\"]\n";
    let query = credit_query(&parties);
    Packaged { query, parties, tables, roles: roles.to_owned(), files }
}

fn credit_query(parties: &[String]) -> String {
    let aliases: Vec<String> = (1..=parties.len()).map(|number| format!("r{number}")).collect();
    let mut query = "SELECT r1.customer_id\nFROM ".to_owned();
    for (position, (party, alias)) in parties.iter().zip(&aliases).enumerate() {
        let _ = match position {
            0 => writeln!(query, "{party}.ratings AS {alias}"),
            _ => writeln!(
                query,
                "JOIN {party}.ratings AS {alias} ON r1.customer_id = {alias}.customer_id"
            ),
        };
    }
    let years: Vec<String> = aliases.iter().map(|alias| format!("{alias}.year = 2019")).collect();
    let scores: Vec<String> = aliases.iter().map(|alias| format!("{alias}.score")).collect();
    let (years, scores) = (years.join(" AND "), scores.join(", "));
    let _ = writeln!(query, "WHERE {years}");
    let _ = writeln!(query, "  AND GREATEST({scores}) - LEAST({scores}) > 75");
    query
}

fn names(kind: &str, parties: usize) -> Vec<String> {
    let letter = |position: usize| u8::try_from(position).ok().filter(|position| *position < 26);
    let name = |position: usize| match letter(position) {
        Some(position) => format!("{kind}_{}", char::from(b'a' + position)),
        None => format!("{kind}_{}", position + 1),
    };
    (0..parties).map(name).collect()
}

fn table(name: &str, columns: &str, parties: &[String], capacity: usize) -> String {
    let holders: Vec<String> = parties
        .iter()
        .map(|party| format!("{{ party = \"{party}\", capacity = {capacity} }}"))
        .collect();
    format!(
        "\n[[table]]\nname = \"{name}\"\ncolumns = [ {columns} ]\nheld_by = [ {} ]\n",
        holders.join(",\n            ")
    )
}

/// Later parties have fewer rows than they might.
fn share(rows: usize, position: usize) -> usize {
    rows - rows * position.min(5) / 10
}

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packaged_files_are_what_the_generator_writes() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("queries");
        for question in Question::ALL {
            let packaged = question.generate(Question::PARTIES, question.rows());
            let seats: Vec<_> = (0..packaged.parties.len())
                .map(|position| (format!("127.0.0.1:{}", 7401 + position), None))
                .collect();
            let mut files = packaged.files.clone();
            let (query, federation) =
                (packaged.query.clone(), packaged.federation(question.name(), &seats));
            files.push(File { path: "query.sql".into(), text: query });
            files.push(File { path: "federation.toml".into(), text: federation });
            for party in &packaged.parties {
                files.push(File { path: format!("{party}/party.toml"), text: packaged.policy() });
            }
            for file in files {
                let path = folder.join(question.name()).join(&file.path);
                if std::env::var_os("SENATE_WRITE_QUERIES").is_some() {
                    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                    std::fs::write(&path, &file.text).unwrap();
                }
                assert_eq!(std::fs::read_to_string(&path).unwrap(), file.text, "{path:?}");
            }
        }
    }

    #[test]
    fn any_number_of_parties_and_rows() {
        for question in Question::ALL {
            for (parties, rows) in [(2, 1), (3, 10), (30, 4)] {
                let packaged = question.generate(parties, rows);
                assert_eq!((packaged.parties.len(), packaged.files.len()), (parties, parties));
                let longest = packaged.files.iter().map(|file| file.text.lines().count());
                assert!(longest.max() == Some(rows + 1));
            }
        }
    }
}

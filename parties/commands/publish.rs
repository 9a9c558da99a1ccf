//! `senate publish`: a table's public declaration, from its source.

use crate::cli::Own;
use crate::config::{FEDERATION_FILE, PARTY_FILE, PartyConfig, Workspace};
use crate::draft::{Draft, Part, replace_private};
use crate::failure::{Failure, Outcome};
use crate::prompt::confirmed;
use crate::publish::{Grant, Wishes, entry, infer};
use crate::tables::postgres::Relation;
use crate::tables::{self, FileFormat, Source};
use clap::Args;
use std::path::{Path, PathBuf};

/// Arguments of `senate publish`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    senate publish diagnoses --workspace study --as hospital_a --csv /data/diagnoses.csv \
    --exclude name --allow diag=group_by,filter --allow 'cost=aggregate(sum, avg)' --min-group \
    patient_id=5\n  \
    senate publish visits --as hospital_a --postgres postgresql://reader@localhost/ehr --range \
    age=0..120 --dry-run\n\n\
    Shows what others will know of the table, asks, and writes it into federation.toml; where \
    the rows are and what others may ask of them is written into party.toml, which stays private. \
    Without --allow, nobody else's query can use the table until [policy] in party.toml says \
    so.")]
pub struct Options {
    /// The table's name in SQL
    #[arg(value_name = "TABLE")]
    table: String,
    /// Whose.
    #[command(flatten)]
    own: Own,
    /// Where the rows are.
    #[command(flatten)]
    origin: Origin,
    /// What others may know.
    #[command(flatten)]
    wanted: Wanted,
    /// What others may ask.
    #[command(flatten)]
    consent: Consent,
    /// Show what would be written, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
}

/// The source; by default the one that party.toml names, or PARTY/TABLE.csv or .parquet.
#[derive(Args, Debug)]
struct Origin {
    /// A CSV file with a header
    #[arg(long, value_name = "FILE", group = "origin")]
    csv: Option<PathBuf>,
    /// A Parquet file, or a directory of part files
    #[arg(long, value_name = "PATH", group = "origin")]
    parquet: Option<PathBuf>,
    /// A PostgreSQL database; the password comes from PGPASSWORD or ~/.pgpass
    #[arg(long, value_name = "URL", group = "origin")]
    postgres: Option<String>,
    /// The rows are those of this query, instead of the relation TABLE
    #[arg(long, value_name = "SQL", requires = "postgres")]
    query: Option<String>,
    /// The relation's name, where it is not TABLE
    #[arg(long, value_name = "NAME", requires = "postgres", conflicts_with = "query")]
    relation: Option<String>,
    /// Certificate of the authority that vouches for the database server
    #[arg(long, value_name = "FILE", requires = "postgres")]
    ca: Option<PathBuf>,
}

/// What the declaration says beyond names and types.
#[derive(Args, Debug)]
struct Wanted {
    /// Upper bound on the rows; by default the number of rows with room, in coarse steps
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    capacity: Option<u32>,
    /// Declare a column with this type instead of the inferred one
    #[arg(long = "column", value_name = "NAME=TYPE")]
    columns: Vec<String>,
    /// Leave a column out of the table
    #[arg(long, value_name = "NAME")]
    exclude: Vec<String>,
    /// Declare a column's range, or that of its values now
    #[arg(long = "range", value_name = "NAME[=LOW..HIGH]")]
    ranges: Vec<String>,
    /// Declare a column's values now as its public dictionary
    #[arg(long, value_name = "NAME")]
    values: Vec<String>,
    /// Declare that no value of a column occurs twice
    #[arg(long, value_name = "NAME")]
    unique: Vec<String>,
    /// Declare that a column may hold NULL
    #[arg(long, value_name = "NAME")]
    nullable: Vec<String>,
}

/// What others may do with the rows; written into [policy] of party.toml.
#[derive(Args, Debug)]
struct Consent {
    /// Let others use a column as join_key, group_by, filter, output, aggregate or aggregate(FN, …)
    #[arg(long = "allow", value_name = "COLUMN=ROLE,…")]
    allowed: Vec<String>,
    /// Leave groups of fewer distinct values of ENTITY out of answers
    #[arg(long, value_name = "ENTITY=SIZE", requires = "allowed")]
    min_group: Option<String>,
    /// Who may learn answers made of this party's rows; by default every party
    #[arg(long = "to", value_name = "PARTY,…", value_delimiter = ',', requires = "allowed")]
    recipients: Vec<String>,
}

/// Infers, checks, shows, asks, writes.
///
/// # Errors
/// Usage for wrong options; input when the rows break what would be declared; refused when the
/// answer is no.
pub async fn run(options: &Options) -> Outcome<()> {
    let Options { own: Own { workspace: folder, party }, table, .. } = options;
    let mut draft = Draft::read(folder)?.ok_or_else(|| {
        Failure::usage(format!("{} has no {FEDERATION_FILE}", folder.display()))
            .with_remedy(format!("begin one: senate init --as {party} --address HOST:PORT"))
    })?;
    draft.member(party)?;
    let wishes = options.wanted.wishes()?;
    let Consent { allowed, min_group, recipients } = &options.consent;
    let grant = Grant::read(allowed, min_group.as_deref(), recipients)?;
    let own = folder.join(party);
    let source = options.origin.source(&own, table)?;
    let source = match source {
        Some(source) => source,
        None => known_source(folder, &draft, party, table, &own)?,
    };
    let source = source.without(&wishes.excluded);
    let mut part = infer(table, &source, &wishes).await?;
    let mut others = draft.holders(table)?;
    others.retain(|holder| holder != party);
    if let Some(name) = part.columns.iter().map(|column| &column.name).find(|name| name.is_empty())
    {
        return Err(Failure::input(format!("{source}: a column without a name {name:?}"))
            .with_remedy("give every column of the source a name"));
    }
    draft.put_part(party, &part)?;
    let declared = draft.declared(folder, party, table)?;
    tables::load(&declared, &source).await?;
    // What is declared now may be wider than what was inferred here.
    if let Some(merged) = draft.parts_of(party)?.into_iter().find(|own| own.table == *table) {
        part = merged;
    }
    show(&part, party, &others, &wishes);
    let Private { text, is_changed } = private(options, &own, &source, &draft, &grant)?;
    let allowed = Grant::written(&text, table)?;
    if allowed.is_empty() {
        eprintln!(
            "What others may ask is left as [policy] in party.toml has it: by default nothing."
        );
    } else {
        eprintln!("Others may use: {allowed}.");
    }
    if options.dry_run {
        eprintln!("nothing was written");
        return Ok(());
    }
    if !options.yes && !confirmed("publish this?").await? {
        return Err(Failure::refused("not published; nothing was written")
            .with_remedy("answer y, or give --yes in a script"));
    }
    write(folder, &own, is_changed.then_some(text.as_str()), &draft)
}

/// What party.toml is to say.
struct Private {
    text: String,
    is_changed: bool,
}

/// The party file's text with the source and what others may ask.
fn private(
    options: &Options,
    own: &Path,
    source: &Source,
    draft: &Draft,
    grant: &Grant,
) -> Outcome<Private> {
    let Options { own: Own { workspace: folder, party }, table, .. } = options;
    let path = own.join(PARTY_FILE);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(Failure::usage(error.to_string()).at(path.display())),
    };
    let at = |failure: Failure| failure.at(path.display());
    let entry = entry::with_source(&text, own, table, source).map_err(at)?;
    let is_changed = entry.is_some();
    let text = entry.unwrap_or(text);
    if grant.is_empty() {
        return Ok(Private { text, is_changed });
    }
    let workspace = Workspace { folder: folder.clone(), federation: draft.federation()? };
    let me = workspace.party(party)?;
    let text = grant.put(&text, table, &workspace.federation, me).map_err(at)?;
    Ok(Private { text, is_changed: true })
}

/// The federation file last: it must not promise a table that has no source.
fn write(folder: &Path, own: &Path, private: Option<&str>, draft: &Draft) -> Outcome<()> {
    if let Some(text) = private {
        let path = own.join(PARTY_FILE);
        replace_private(&path, text)?;
        eprintln!("wrote {} (private)", path.display());
    }
    draft.write(folder)?;
    eprintln!("wrote the declaration into {}", folder.join(FEDERATION_FILE).display());
    if draft.members()?.len() > 1 {
        eprintln!(
            "the other parties' copies do not have it yet: senate invite --members lets all sign \
             it; then restart the daemons"
        );
    }
    Ok(())
}

fn known_source(
    folder: &Path,
    draft: &Draft,
    party: &str,
    table: &str,
    own: &Path,
) -> Outcome<Source> {
    if draft.parts_of(party)?.iter().any(|part| part.table == table) {
        let workspace = Workspace { folder: folder.to_owned(), federation: draft.federation()? };
        let me = workspace.party(party)?;
        return PartyConfig::read(&workspace, me)?.source(table);
    }
    Source::by_default(own, table).map_err(|failure| {
        Failure { remedy: None, ..failure }
            .with_remedy("name the source: --csv FILE, --parquet PATH or --postgres URL")
    })
}

/// Exactly what others will know.
fn show(part: &Part, party: &str, others: &[String], wishes: &Wishes) {
    say!("{}", part.shown(party));
    let parties = match others {
        [] => String::new(),
        others => format!(" The table is shared with {}.", others.join(", ")),
    };
    eprintln!(
        "This, and nothing else, is what the other parties will know of {party}'s table {}: names, \
         types, and at most {} rows (a rounded bound, not the count).{parties}",
        part.table, part.capacity
    );
    let from_data: Vec<&str> = wishes
        .ranges
        .iter()
        .filter(|(_, range)| range.is_none())
        .map(|(name, _)| name.as_str())
        .chain(wishes.values.iter().map(String::as_str))
        .collect();
    if !from_data.is_empty() {
        eprintln!("Ranges and values taken from the rows: {}.", from_data.join(", "));
    }
}

impl Origin {
    fn source(&self, own: &Path, table: &str) -> Outcome<Option<Source>> {
        let whole = |path: &Path| {
            std::fs::canonicalize(path)
                .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
        };
        // Spelled as the party's folder is, so that a file below it is recognised.
        let file = |path: &Path, format| {
            let absolute = whole(path)?;
            let home = std::fs::canonicalize(own).unwrap_or_else(|_| own.to_owned());
            let path = match absolute.strip_prefix(&home) {
                Ok(below) => own.join(below),
                Err(_) => absolute,
            };
            Ok(Some(Source::File { format, path, ignored: Vec::new() }))
        };
        match (&self.csv, &self.parquet, &self.postgres) {
            (Some(path), ..) => file(path, FileFormat::Csv),
            (_, Some(path), _) => file(path, FileFormat::Parquet),
            (.., Some(url)) => {
                let ca = self.ca.as_deref().map(whole).transpose()?;
                let relation = Relation {
                    url: url.clone(),
                    query: self.query.clone(),
                    table: self.relation.clone().unwrap_or_else(|| table.to_owned()),
                    ca,
                };
                relation.check()?;
                Ok(Some(Source::Postgres(relation)))
            }
            (None, None, None) => Ok(None),
        }
    }
}

impl Wanted {
    fn wishes(&self) -> Outcome<Wishes> {
        let set = |names: &[String]| names.iter().cloned().collect();
        let kinds = self.columns.iter().map(|wish| {
            let (name, kind) = wish.split_once('=').ok_or_else(|| {
                Failure::usage(format!("--column {wish}: write NAME=TYPE, as in id=BIGINT"))
            })?;
            Ok((name.to_owned(), kind.to_owned()))
        });
        let ranges = self.ranges.iter().map(|wish| {
            let Some((name, range)) = wish.split_once('=') else {
                return Ok((wish.clone(), None));
            };
            let (low, high) = range.split_once("..").ok_or_else(|| {
                Failure::usage(format!("--range {wish}: write NAME=LOW..HIGH, as in age=0..120"))
            })?;
            Ok((name.to_owned(), Some((low.to_owned(), high.to_owned()))))
        });
        Ok(Wishes {
            kinds: kinds.collect::<Outcome<_>>()?,
            excluded: set(&self.exclude),
            ranges: ranges.collect::<Outcome<_>>()?,
            values: set(&self.values),
            unique: set(&self.unique),
            nullable: set(&self.nullable),
            capacity: self.capacity,
        })
    }
}

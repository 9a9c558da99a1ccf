//! Connections to PostgreSQL: the server is verified, the password never stands in a file of ours.

use super::{Relation, explained};
use crate::failure::{Failure, Outcome};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

const CONNECT_MAX: Duration = Duration::from_secs(10);

/// An open connection; it ends when dropped.
pub(super) struct Link {
    pub(super) client: Client,
    driver: JoinHandle<()>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// How to connect, and with whose certificates the server is verified; without any it is not asked
/// for TLS.
pub(super) struct Settings {
    config: Config,
    tls: Option<ClientConfig>,
}

impl Link {
    /// Connects.
    ///
    /// # Errors
    /// Usage for wrong settings; lost when the server is unreachable, input when it refuses.
    pub(super) async fn open(relation: &Relation) -> Outcome<Self> {
        let Settings { mut config, tls } = settings(relation)?;
        if let Some(password) = password(&config, |name| std::env::var(name).ok())? {
            config.password(password);
        }
        let refused = |error: tokio_postgres::Error| refused(relation, &error);
        let (client, driver) = match tls {
            None => {
                let (client, connection) = config.connect(NoTls).await.map_err(refused)?;
                (client, tokio::spawn(async move { drop(connection.await) }))
            }
            Some(tls) => {
                let tls = MakeRustlsConnect::new(tls);
                let (client, connection) = config.connect(tls).await.map_err(refused)?;
                (client, tokio::spawn(async move { drop(connection.await) }))
            }
        };
        Ok(Self { client, driver })
    }
}

fn refused(relation: &Relation, error: &tokio_postgres::Error) -> Failure {
    let why = format!("{relation}: {}", explained(error));
    match error.as_db_error() {
        Some(refusal) if refusal.code().code().starts_with("28") => Failure::input(why)
            .with_remedy("give the password in PGPASSWORD or a password file (~/.pgpass)"),
        Some(_) => Failure::input(why),
        // The client library's words, before anything is sent.
        None if why.ends_with("password missing") => {
            Failure::input(format!("{relation}: the server asks for a password")).with_remedy(
                "set PGPASSWORD, or put it into a password file (~/.pgpass), for the daemon too",
            )
        }
        None => Failure::lost(why).with_remedy(
            "see that the server runs, is reachable from here, and, with TLS, that `ca` vouches \
             for the name in the URL",
        ),
    }
}

/// Settings from the URL and the environment's PGUSER.
///
/// # Errors
/// Usage for a malformed URL, a password in it, or a remote server without TLS.
pub(super) fn settings(relation: &Relation) -> Outcome<Settings> {
    // Not the parser's words: they can hold a part of the text.
    let mut config: Config = relation.url.parse().map_err(|_| {
        Failure::usage("`postgres` is no connection URL")
            .with_remedy("write postgresql://user@host:port/database?sslmode=require")
    })?;
    if config.get_password().is_some() {
        return Err(Failure::usage("a password in a connection URL")
            .with_remedy("give it in PGPASSWORD or a password file (~/.pgpass)"));
    }
    if let (None, Ok(user)) = (config.get_user(), std::env::var("PGUSER")) {
        config.user(user);
    }
    config.connect_timeout(CONNECT_MAX).application_name("senate");
    let tls = match (config.get_ssl_mode(), config.get_hosts().iter().all(is_local)) {
        (SslMode::Disable, _) | (SslMode::Prefer, true) => None,
        _ => {
            config.ssl_mode(SslMode::Require);
            let ca = relation.ca.as_deref().ok_or_else(|| {
                Failure::usage("a remote PostgreSQL server has to be verified").with_remedy(
                    "add ca = \"FILE\" with its authority's certificate, or sslmode=disable to the \
                     URL where the network itself is trusted",
                )
            })?;
            Some(verifying(ca)?)
        }
    };
    Ok(Settings { config, tls })
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost"
                || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        Host::Unix(_) => true,
    }
}

/// TLS that accepts what these authorities vouch for.
fn verifying(ca: &Path) -> Outcome<ClientConfig> {
    let wrong = |why: String| Failure::usage(format!("ca {}: {why}", ca.display()));
    let mut roots = RootCertStore::empty();
    let certificates =
        CertificateDer::pem_file_iter(ca).map_err(|error| wrong(error.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(wrong("no certificate".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// PGPASSWORD, else what the password file has for this server.
fn password(
    config: &Config,
    environment: impl Fn(&str) -> Option<String>,
) -> Outcome<Option<String>> {
    if let Some(password) = environment("PGPASSWORD") {
        return Ok(Some(password));
    }
    let path = match environment("PGPASSFILE") {
        Some(path) => PathBuf::from(path),
        None => match environment("HOME") {
            Some(home) => PathBuf::from(home).join(".pgpass"),
            None => return Ok(None),
        },
    };
    let Ok(text) = std::fs::read_to_string(&path) else { return Ok(None) };
    if !crate::identity::is_private(&path) {
        return Err(Failure::usage(format!("{}: others can read it", path.display()))
            .with_remedy(format!("chmod 600 {}", path.display())));
    }
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        _ => "localhost".to_owned(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432).to_string();
    let user = config.get_user().map(str::to_owned).or_else(|| environment("USER"));
    let user = user.unwrap_or_default();
    let database = config.get_dbname().unwrap_or(&user);
    Ok(text.lines().find_map(|line| matching(line, [&host, &port, database, &user])))
}

/// The password of a line `host:port:database:user:password` that matches; `*` matches anything.
fn matching(line: &str, wanted: [&str; 4]) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let mut fields = vec![String::new()];
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            ':' if fields.len() < 5 => fields.push(String::new()),
            letter => {
                let letter = if letter == '\\' { letters.next()? } else { letter };
                fields.last_mut()?.push(letter);
            }
        }
    }
    let password = fields.pop()?;
    let matches =
        fields.iter().zip(wanted).all(|(field, wanted)| field == "*" || field.as_str() == wanted);
    (fields.len() == 4 && matches).then_some(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> Outcome<Settings> {
        let table = "t".to_owned();
        settings(&Relation { url: url.to_owned(), query: None, table, ca: None })
    }

    #[test]
    fn passwords_and_unverified_remote_servers_are_refused() {
        assert!(of("postgresql://u@localhost/d").unwrap().tls.is_none());
        assert!(of("postgresql://u@db.example.org/d?sslmode=disable").unwrap().tls.is_none());
        for url in [
            "postgresql://u:secret@localhost/d",
            "postgresql://u@db.example.org/d",
            "postgresql://u@db.example.org/d?sslmode=require",
            "postgresql://u@localhost/d?sslmode=require",
            "mysql://u:secret@localhost/d",
        ] {
            let failure = of(url).err().unwrap();
            assert_eq!(failure.cause.exit_code(), 2, "{url}");
            assert!(!format!("{failure:?}").contains("secret"), "{failure}");
        }
    }

    #[test]
    fn a_password_comes_from_the_environment_or_the_first_line_that_matches() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pgpass");
        let lines = "# host:port\nother:*:*:u:no\nlocalhost:5432:d:u:p\\:q\\\\\n*:*:*:*:last\n";
        crate::identity::write_private(&path, lines).unwrap();
        let file = path.display().to_string();
        let config: Config = "postgresql://u@localhost/d".parse().unwrap();
        let from_file = |name: &str| (name == "PGPASSFILE").then(|| file.clone());
        assert_eq!(password(&config, from_file).unwrap().as_deref(), Some("p:q\\"));
        let given = |name: &str| (name == "PGPASSWORD").then(|| "given".to_owned());
        assert_eq!(password(&config, given).unwrap().as_deref(), Some("given"));
        let other: Config = "postgresql://v@localhost:1/d".parse().unwrap();
        assert_eq!(password(&other, from_file).unwrap().as_deref(), Some("last"));
        assert_eq!(password(&config, |_| None).unwrap(), None);
    }
}

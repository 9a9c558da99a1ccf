//! Reaching a peer step by step, so that one can say at which step it fails.

use super::{Connection, HANDSHAKE_MAX};
use crate::failure::Outcome;
use crate::identity::{Fingerprint, Identity};
use crate::tls;
use std::net::SocketAddr;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsStream;

/// The steps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hop {
    /// The host's name has an address.
    Name,
    /// Somebody listens at the port.
    Port,
    /// It is the holder of the pinned certificate.
    Tls,
}

/// How far one got.
pub struct Reached {
    /// Addresses of the name.
    pub addresses: Vec<SocketAddr>,
    /// The connection, or where and why there is none.
    pub connection: Result<Connection, Unreached>,
}

/// Why a step fails.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unreached {
    /// Which step.
    pub hop: Hop,
    /// Why.
    pub why: String,
    /// The certificate that was met instead of the pinned one.
    pub met: Option<Fingerprint>,
}

/// Tries to reach the holder of the pinned certificate.
///
/// # Errors
/// Usage when the identity cannot be used.
pub async fn reach(identity: &Identity, address: &str, pinned: Fingerprint) -> Outcome<Reached> {
    let (connector, seen) = tls::connector_that_tells(identity, pinned)?;
    let broken = |hop, why: String| Unreached { hop, why, met: None };
    let late = || "no answer".to_owned();
    let found = match timeout(HANDSHAKE_MAX, lookup_host(address)).await {
        Ok(Ok(found)) => Ok(found.collect::<Vec<_>>()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(late()),
    };
    let addresses = match found {
        Ok(addresses) if !addresses.is_empty() => addresses,
        found => {
            let why = found.err().unwrap_or_else(|| "the name has no address".to_owned());
            let connection = Err(broken(Hop::Name, why));
            return Ok(Reached { addresses: Vec::new(), connection });
        }
    };
    let opened = match timeout(HANDSHAKE_MAX, TcpStream::connect(addresses.as_slice())).await {
        Ok(opened) => opened.map_err(|error| error.to_string()),
        Err(_) => Err(late()),
    };
    let connection = match opened {
        Err(why) => Err(broken(Hop::Port, why)),
        Ok(tcp) => {
            let _ = tcp.set_nodelay(true);
            let shaken = timeout(HANDSHAKE_MAX, connector.connect(tls::no_name(), tcp));
            match shaken.await {
                Ok(Ok(stream)) => {
                    Ok(Connection { stream: TlsStream::Client(stream), peer: pinned })
                }
                Ok(Err(error)) => {
                    let met = seen.get().filter(|met| *met != pinned);
                    Err(Unreached { met, ..broken(Hop::Tls, error.to_string()) })
                }
                Err(_) => Err(broken(Hop::Tls, late())),
            }
        }
    };
    Ok(Reached { addresses, connection })
}

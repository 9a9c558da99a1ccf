//! Mutual TLS 1.3 in which both ends accept exactly the pinned certificates, and nothing else:
//! no certificate authority, no name, no clock decides, only the fingerprint.

use crate::failure::{Failure, Outcome};
use crate::identity::{Fingerprint, Identity};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    SignatureScheme,
};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Accepts connections from the holders of the pinned certificates.
///
/// # Errors
/// Usage when the identity's key does not fit its certificate.
pub fn acceptor(identity: &Identity, pinned: BTreeSet<Fingerprint>) -> Outcome<TlsAcceptor> {
    accepting(identity, Trust::Pinned(pinned), Showing::Must)
}

/// Accepts connections of HTTP/2 from anybody; whoever shows a certificate holds a pinned one.
///
/// # Errors
/// Usage when the identity's key does not fit its certificate.
pub fn client_acceptor(identity: &Identity, pinned: BTreeSet<Fingerprint>) -> Outcome<TlsAcceptor> {
    accepting(identity, Trust::Pinned(pinned), Showing::May)
}

fn accepting(identity: &Identity, trust: Trust, showing: Showing) -> Outcome<TlsAcceptor> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let shown = Shown::default();
    let pins = Arc::new(Pins { trust, showing, shown, provider: Arc::clone(&provider) });
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(configuration)?
        .with_client_cert_verifier(pins)
        .with_single_cert(vec![identity.certificate()], identity.key())
        .map_err(configuration)?;
    // A resumed session would not show its certificate again.
    config.send_tls13_tickets = 0;
    if showing == Showing::May {
        config.alpn_protocols = vec![b"h2".to_vec()];
    }
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Accepts connections from anybody who holds the key of the certificate they show. Who they are
/// has to be found out by other means before anything is said.
///
/// # Errors
/// Usage when the identity's key does not fit its certificate.
pub fn acceptor_of_strangers(identity: &Identity) -> Outcome<TlsAcceptor> {
    accepting(identity, Trust::Anybody, Showing::Must)
}

/// Connects to the holder of the pinned certificate.
///
/// # Errors
/// Usage when the identity's key does not fit its certificate.
pub fn connector(identity: &Identity, pinned: Fingerprint) -> Outcome<TlsConnector> {
    connector_that_tells(identity, pinned).map(|(connector, _)| connector)
}

/// As [`connector`], with the certificate that a server has shown, good or not.
///
/// # Errors
/// As [`connector`].
pub(crate) fn connector_that_tells(
    identity: &Identity,
    pinned: Fingerprint,
) -> Outcome<(TlsConnector, Shown)> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let (trust, shown) = (Trust::Pinned(BTreeSet::from([pinned])), Shown::default());
    let provided = Arc::clone(&provider);
    let pins = Pins { trust, showing: Showing::Must, shown: shown.clone(), provider: provided };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(configuration)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(pins))
        .with_client_auth_cert(vec![identity.certificate()], identity.key())
        .map_err(configuration)?;
    config.resumption = rustls::client::Resumption::disabled();
    Ok((TlsConnector::from(Arc::new(config)), shown))
}

/// The certificate that a peer has shown last, whether it was good or not.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown(Arc<Mutex<Option<Fingerprint>>>);

impl Shown {
    /// Its fingerprint.
    pub(crate) fn get(&self) -> Option<Fingerprint> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, fingerprint: Fingerprint) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(fingerprint);
    }
}

/// The name that connectors pass when none is to be said: an address, which TLS does not send.
pub(crate) fn no_name() -> ServerName<'static> {
    ServerName::IpAddress(std::net::IpAddr::from([127, 0, 0, 1]).into())
}

/// Fingerprint of the peer's certificate, known only after the handshake has verified it.
pub(crate) fn peer_fingerprint(chain: Option<&[CertificateDer<'_>]>) -> Option<Fingerprint> {
    chain.and_then(<[CertificateDer<'_>]>::first).map(Fingerprint::of)
}

fn configuration(error: Error) -> Failure {
    Failure::usage(format!("this identity cannot be used for TLS: {error}"))
}

/// Whose certificates are good.
#[derive(Debug)]
enum Trust {
    Pinned(BTreeSet<Fingerprint>),
    Anybody,
}

/// Verifies a peer by the fingerprint of its certificate and its possession of the key.
#[derive(Debug)]
struct Pins {
    trust: Trust,
    showing: Showing,
    shown: Shown,
    provider: Arc<CryptoProvider>,
}

/// Whether clients show a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Showing {
    Must,
    May,
}

impl Pins {
    fn verify(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
    ) -> Result<(), Error> {
        let fingerprint = Fingerprint::of(certificate);
        self.shown.put(fingerprint);
        let is_trusted = match &self.trust {
            Trust::Pinned(pinned) => pinned.contains(&fingerprint),
            Trust::Anybody => true,
        };
        if others.is_empty() && is_trusted {
            Ok(())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn old_version() -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only TLS 1.3 is spoken here".to_owned()))
    }
}

impl ServerCertVerifier for Pins {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify(certificate, intermediates).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::old_version()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Pins {
    fn client_auth_mandatory(&self) -> bool {
        self.showing == Showing::Must
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.verify(certificate, intermediates).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::old_version()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// One byte from client to server over a handshake between two in-memory ends.
    async fn handshake(
        server: (&Identity, Fingerprint),
        client: (&Identity, Fingerprint),
    ) -> (bool, bool) {
        let (near, far) = tokio::io::duplex(1 << 16);
        let acceptor = acceptor(server.0, BTreeSet::from([server.1])).unwrap();
        let connector = connector(client.0, client.1).unwrap();
        let accepting = async {
            let mut stream = acceptor.accept(near).await.ok()?;
            let peer = peer_fingerprint(stream.get_ref().1.peer_certificates())?;
            assert_eq!(peer, client.0.fingerprint());
            stream.read_u8().await.ok()
        };
        let connecting = async {
            let mut stream = connector.connect(no_name(), far).await.ok()?;
            stream.write_u8(7).await.ok()?;
            stream.shutdown().await.ok()
        };
        let (accepted, connected) = tokio::join!(accepting, connecting);
        (accepted == Some(7), connected.is_some())
    }

    #[tokio::test]
    async fn only_the_two_pinned_certificates_meet() {
        let [a, b, c] = ["a", "b", "c"].map(|party| Identity::generate(party).unwrap().0);
        let good = handshake((&a, b.fingerprint()), (&b, a.fingerprint())).await;
        assert_eq!(good, (true, true));
        let wrong_client = handshake((&a, b.fingerprint()), (&c, a.fingerprint())).await;
        assert!(!wrong_client.0);
        let wrong_server = handshake((&a, b.fingerprint()), (&b, c.fingerprint())).await;
        assert_eq!(wrong_server, (false, false));
    }

    #[tokio::test]
    async fn no_clock_decides_about_a_certificate() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut past = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        past.not_before = rcgen::date_time_ymd(2000, 1, 1);
        past.not_after = rcgen::date_time_ymd(2001, 1, 1);
        let pem = format!("{}{}", key.serialize_pem(), past.self_signed(&key).unwrap().pem());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity.pem");
        crate::identity::write_private(&path, &pem).unwrap();
        let expired = Identity::read(&path).unwrap();
        let now = Identity::generate("now").unwrap().0;
        let met = handshake((&expired, now.fingerprint()), (&now, expired.fingerprint())).await;
        assert_eq!(met, (true, true), "parties whose clocks differ still meet");
    }
}

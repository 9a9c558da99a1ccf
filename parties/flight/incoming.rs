//! Connections of Flight clients: TLS with the party's certificate; a client may show that it holds
//! the party's own identity.

use crate::failure::Outcome;
use crate::identity::{Fingerprint, Identity};
use crate::tls;
use futures_util::Stream;
use std::collections::BTreeSet;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

/// Clients at once.
const CONNECTIONS_MAX: usize = 128;
/// How long a handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// After a connection that could not be taken, before the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A client's connection, which counts until it is dropped.
pub(super) struct Incoming {
    stream: TlsStream<TcpStream>,
    peer: Peer,
    _slot: OwnedSemaphorePermit,
}

/// The other end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Peer {
    /// Tells connections of this process apart.
    pub(super) connection: u64,
    /// Of the certificate that the client has proved to hold.
    pub(super) identity: Option<Fingerprint>,
}

/// Connections whose handshakes are done.
pub(super) fn connections(
    listener: TcpListener,
    identity: &Identity,
) -> Outcome<impl Stream<Item = io::Result<Incoming>> + use<>> {
    let own = BTreeSet::from([identity.fingerprint()]);
    let acceptor = tls::client_acceptor(identity, own)?;
    let (done, connections) = mpsc::channel(1);
    // It ends when the server drops its end, at the latest with the next connection.
    tokio::spawn(accept(listener, acceptor, done));
    Ok(futures_util::stream::unfold(connections, |mut connections| async {
        let connection = connections.recv().await?;
        Some((Ok(connection), connections))
    }))
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, done: mpsc::Sender<Incoming>) {
    let (slots, count) = (Arc::new(Semaphore::new(CONNECTIONS_MAX)), AtomicU64::new(0));
    loop {
        let accepted = tokio::select! {
            () = done.closed() => return,
            accepted = listener.accept() => accepted,
        };
        let (Ok((tcp, _)), Ok(slot)) = (accepted, Arc::clone(&slots).try_acquire_owned()) else {
            tracing::warn!("a Flight connection could not be taken");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let connection = count.fetch_add(1, Ordering::Relaxed);
        let (acceptor, done) = (acceptor.clone(), done.clone());
        tokio::spawn(async move {
            let _ = tcp.set_nodelay(true);
            match timeout(HANDSHAKE_MAX, acceptor.accept(tcp)).await {
                Ok(Ok(stream)) => {
                    let identity = tls::peer_fingerprint(stream.get_ref().1.peer_certificates());
                    let peer = Peer { connection, identity };
                    let _ = done.send(Incoming { stream, peer, _slot: slot }).await;
                }
                Ok(Err(error)) => tracing::warn!(%error, "Flight handshake refused"),
                Err(_) => tracing::debug!("a Flight handshake took too long"),
            }
        });
    }
}

impl Connected for Incoming {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer
    }
}

impl AsyncRead for Incoming {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Incoming {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

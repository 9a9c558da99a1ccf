//! Who calls: checked for every call before anything of it is read.

use super::incoming::Peer;
use crate::daemon::{Daemon, User};
use crate::identity::Fingerprint;
use crate::token::Tokens;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use tonic::metadata::MetadataMap;
use tonic::{Request, Status};

/// ADBC leaves the padding of a Basic header out, others put it in.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Checks callers.
#[derive(Clone)]
pub(super) struct Authentication {
    own: Fingerprint,
    tokens: Tokens,
}

/// A caller whose right to ask has been checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Caller {
    pub(super) user: User,
    pub(super) connection: u64,
}

impl Caller {
    /// The caller of a request that has passed [`Authentication::checked`].
    pub(super) fn of<T>(request: &Request<T>) -> Result<Self, Status> {
        let caller = request.extensions().get::<Self>().cloned();
        caller.ok_or_else(|| Status::unauthenticated("nobody has been authenticated"))
    }
}

impl Authentication {
    pub(super) fn of(daemon: &Daemon) -> Self {
        let own = daemon.identity().fingerprint();
        Self { own, tokens: Tokens::of(daemon.config()) }
    }

    /// Puts the [`Caller`] into the request.
    pub(super) fn checked(&self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let peer = request.extensions().get::<Peer>().copied();
        let peer = peer.ok_or_else(|| Status::internal("a connection without an end"))?;
        let user = match password(request.metadata())? {
            Some((name, token)) => self.analyst(name.as_deref(), &token)?,
            // TLS lets no other certificate through.
            None if peer.identity == Some(self.own) => User::Operator,
            None => return Err(refused("a bearer token, or the party's own identity, is needed")),
        };
        request.extensions_mut().insert(Caller { user, connection: peer.connection });
        Ok(request)
    }

    fn analyst(&self, name: Option<&str>, token: &str) -> Result<User, Status> {
        let user = self.tokens.user_of(token).map_err(|failure| {
            tracing::error!(%failure, "tokens cannot be read");
            Status::internal("the daemon cannot read its tokens; its log says why")
        })?;
        match user {
            Some(user) if name.is_none_or(|name| name == user) => Ok(User::Analyst(user)),
            _ => Err(refused("the token is unknown, expired, revoked, or another user's")),
        }
    }
}

fn refused(why: &str) -> Status {
    tracing::warn!(why, "a Flight call is refused");
    Status::unauthenticated(format!("{why}; make one with `senate token create`"))
}

/// The bearer token, or the name and the token of Basic authentication.
fn password(metadata: &MetadataMap) -> Result<Option<(Option<String>, String)>, Status> {
    let Some(header) = metadata.get("authorization") else { return Ok(None) };
    let malformed = || refused("a malformed authorization header");
    let header = header.to_str().map_err(|_| malformed())?;
    let (scheme, rest) = header.split_once(' ').ok_or_else(malformed)?;
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Ok(Some((None, rest.trim().to_owned()))),
        "basic" => {
            let bytes = LENIENT.decode(rest.trim()).map_err(|_| malformed())?;
            let text = String::from_utf8(bytes).map_err(|_| malformed())?;
            let (name, token) = text.split_once(':').ok_or_else(malformed)?;
            Ok(Some((Some(name.to_owned()), token.to_owned())))
        }
        _ => Err(malformed()),
    }
}

/// The token that a handshake has been passed with, as later calls may send it.
pub(super) fn bearer(metadata: &MetadataMap) -> Result<Option<String>, Status> {
    Ok(password(metadata)?.map(|(_, token)| format!("Bearer {token}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> Result<Option<(Option<String>, String)>, Status> {
        let mut metadata = MetadataMap::new();
        metadata.insert("authorization", text.parse().unwrap());
        password(&metadata)
    }

    #[test]
    fn both_schemes_are_understood_with_and_without_padding() {
        let ann = Some((Some("ann".to_owned()), "tok".to_owned()));
        assert_eq!(header("Basic YW5uOnRvaw==").unwrap(), ann);
        assert_eq!(header("basic YW5uOnRvaw").unwrap(), ann);
        assert_eq!(header("Bearer tok").unwrap(), Some((None, "tok".to_owned())));
        assert_eq!(password(&MetadataMap::new()).unwrap(), None);
        for wrong in ["Basic", "Basic %%", "Basic YW5u", "Digest x", "tok"] {
            assert_eq!(header(wrong).unwrap_err().code(), tonic::Code::Unauthenticated, "{wrong}");
        }
    }
}

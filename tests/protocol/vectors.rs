//! Pinned bytes: what another implementation, or a later version of this one, must reproduce.

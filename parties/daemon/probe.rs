//! A member looks whether this daemon can be worked with: `senate doctor`.

use super::Daemon;
use crate::failure::Outcome;
use crate::messages::{Check, Condition, Echo, PROBE_BYTES, Version};
use crate::transport::Connection;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::timeout;

/// How long a look may take.
const PROBE_MAX: Duration = Duration::from_secs(60);
/// Checks in one look.
const CHECKS_MAX: usize = 16;

impl Daemon {
    /// Says what this daemon is, then echoes and counts bytes as asked, within bounds.
    pub(super) async fn probe(&self, mut connection: Connection) {
        let looked = timeout(PROBE_MAX, self.be_probed(&mut connection)).await;
        if let Ok(Err(failure)) = looked {
            tracing::debug!(%failure, "a look at this daemon ended");
        }
    }

    async fn be_probed(&self, connection: &mut Connection) -> Outcome<()> {
        let condition = Condition {
            version: Version::own(),
            federation: self.member.federation.digest,
            unix_ms: unix_ms(),
            is_draining: self.draining(),
        };
        connection.send(&condition).await?;
        for _ in 0..CHECKS_MAX {
            match connection.receive().await? {
                Check::Echo => connection.send(&Echo).await?,
                Check::Upload => {
                    connection.receive_bytes(PROBE_BYTES).await?;
                    connection.send(&Echo).await?;
                }
                Check::Snapshot => {
                    connection
                        .send(&self.measured.snapshot(self.member.me, &self.member.federation))
                        .await?;
                }
                Check::Catalog => {
                    connection.send(&self.bulletin.report(&self.member.federation)).await?
                }
                Check::Download => connection.send_bytes(&vec![0; PROBE_BYTES]).await?,
            }
        }
        Ok(())
    }
}

/// This machine's clock.
pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

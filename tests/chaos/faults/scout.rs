//! Who leads STATE, asked past all proxies around each hit on a server of the broker: a hit that neither took the leader
//! nor made the servers elect another excuses only those whose connections it reached.

use std::time::Duration;

use async_nats::jetstream::Context;
use schemas::subject;
use schemas::timestamp::Timestamp;
use tokio::time::{Instant, sleep};

/// How long the servers are given to catch up with each other.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(100);
/// For so long they must agree before they count as settled: a server that comes back may yet call an election.
const CALM: Duration = Duration::from_secs(1);

/// The instrument's own way to the broker.
#[derive(Debug)]
pub(super) struct Scout(Context);

/// Who leads, and since when; nobody is named where there is one server only.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Leader(Option<(String, Timestamp)>);

impl Leader {
    /// Whether a hit on this server stops every write.
    pub(super) fn is(&self, server: &str) -> bool {
        self.0.as_ref().is_none_or(|(leader, _)| leader == server)
    }
}

impl Scout {
    pub(super) const fn new(context: Context) -> Self {
        Self(context)
    }

    /// Who leads STATE, once all others have followed for a while. `None` when they do not: a server that is hit now would
    /// be the second of three.
    pub(super) async fn settled(&self) -> Option<Leader> {
        let deadline = Instant::now() + PATIENCE;
        let (mut leader, mut since) = (self.leader().await, Instant::now());
        while Instant::now() < deadline {
            if leader.is_some() && since.elapsed() >= CALM {
                return leader;
            }
            sleep(POLL).await;
            let now = self.leader().await;
            if now != leader {
                (leader, since) = (now, Instant::now());
            }
        }
        None
    }

    /// Who leads STATE while all others follow closely.
    async fn leader(&self) -> Option<Leader> {
        let stream = self.0.get_stream(subject::STATE).await.ok()?;
        let cluster = stream.cached_info().cluster.as_ref().filter(|cluster| !cluster.replicas.is_empty());
        let Some(cluster) = cluster else { return Some(Leader(None)) };
        let all_follow = cluster.replicas.iter().all(|replica| replica.current && !replica.offline);
        let since = cluster.leader_since.map(Timestamp::from)?;
        Some(Leader(Some((cluster.leader.clone().filter(|_| all_follow)?, since))))
    }
}

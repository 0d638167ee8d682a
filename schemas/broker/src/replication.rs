//! How the copies of our streams do, as the stream's leaders say: which server is away or behind, which stream has no
//! leader.

use schemas::stats::StreamCopies;
use serde::Deserialize;

use crate::broker::Broker;
use crate::error::BrokerError;
use crate::rpc;

/// Most pages of streams asked for, of 256 each.
const PAGES: usize = 8;
/// A copy that lags and was not heard of for so many nanoseconds is away.
const AWAY: u64 = 10_000_000_000;

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    total: usize,
    #[serde(default)]
    streams: Option<Vec<Info>>,
    /// Those that nobody answered for.
    #[serde(default)]
    missing: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Info {
    config: Named,
    #[serde(default)]
    cluster: Option<Group>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Group {
    #[serde(default)]
    leader: Option<String>,
    #[serde(default)]
    replicas: Option<Vec<Peer>>,
}

#[derive(Deserialize)]
struct Peer {
    name: String,
    #[serde(default)]
    current: bool,
    #[serde(default)]
    offline: bool,
    /// Nanoseconds since the leader last heard of it.
    #[serde(default)]
    active: u64,
}

impl Peer {
    /// A server that dies is not called offline for a long time; it is heard of every second while it lives.
    const fn is_away(&self) -> bool {
        self.offline || (!self.current && self.active >= AWAY)
    }
}

impl Broker {
    /// How the copies of every stream do. A server that stands alone has none.
    ///
    /// # Errors
    /// [`BrokerError`] when nobody can be asked.
    pub async fn replication(&self) -> Result<Vec<StreamCopies>, BrokerError> {
        let mut found = Vec::new();
        for _ in 0..PAGES {
            let api = "$JS.API.STREAM.LIST".to_owned();
            let asked = serde_json::json!({ "offset": found.len() }).to_string();
            let timeout = self.0.config.nats.request_timeout;
            let page: Page = rpc::request(&self.0.client, api, None, asked.into(), timeout).await?;
            let (before, total) = (found.len(), page.total);
            found.extend(page.streams.unwrap_or_default().into_iter().map(copies));
            found.extend(page.missing.unwrap_or_default().into_iter().map(leaderless));
            if found.len() >= total || found.len() == before {
                break;
            }
        }
        Ok(found)
    }
}

fn copies(info: Info) -> StreamCopies {
    let name = info.config.name;
    let Some(group) = info.cluster else { return StreamCopies { has_leader: true, ..leaderless(name) } };
    let peers = group.replicas.unwrap_or_default();
    let named = |of: fn(&Peer) -> bool| peers.iter().filter(|peer| of(peer)).map(|peer| peer.name.clone()).collect();
    StreamCopies {
        stream: name,
        has_leader: group.leader.is_some_and(|leader| !leader.is_empty()),
        offline: named(Peer::is_away),
        behind: named(|peer| !peer.is_away() && !peer.current),
    }
}

const fn leaderless(stream: String) -> StreamCopies {
    StreamCopies { stream, has_leader: false, offline: Vec::new(), behind: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_tells_who_is_away_and_who_is_behind() {
        let page = r#"{"total": 3, "offset": 0, "limit": 256, "missing": ["DEAD"], "streams": [
            {"config": {"name": "STATE", "num_replicas": 3}, "state": {"messages": 1}, "cluster": {
                "name": "c", "leader": "a", "replicas": [
                    {"name": "b", "current": false, "offline": true, "active": 9, "lag": 7},
                    {"name": "c", "current": false, "active": 1000000000, "lag": 2},
                    {"name": "d", "current": false, "active": 10000000000, "lag": 2},
                    {"name": "e", "current": true, "active": 10000000000}]}},
            {"config": {"name": "ALONE"}}]}"#;
        let page: Page = serde_json::from_str(page).unwrap();
        let mut all: Vec<_> = page.streams.unwrap().into_iter().map(copies).collect();
        all.extend(page.missing.unwrap().into_iter().map(leaderless));
        let told: Vec<_> = all.iter().map(|one| (one.stream.as_str(), one.has_leader, one.offline.len())).collect();
        assert_eq!(told, [("STATE", true, 2), ("ALONE", true, 0), ("DEAD", false, 0)]);
        assert_eq!((all[0].offline.join(" "), all[0].behind.join(" ")), ("b d".to_owned(), "c".to_owned()));
    }
}

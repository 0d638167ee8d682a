//! Who read or changed which session: one line each, with the digest of its name and never what it holds.

use schemas::id::JobId;
use schemas::session::SessionKey;

/// On whose behalf a session is read or changed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Actor<'a> {
    /// A client of this tenant.
    Client(&'a str),
    /// A turn.
    Turn(JobId),
}

/// Writes the line.
pub(super) fn record(action: &'static str, tenant: &str, key: &SessionKey, actor: Actor<'_>, revision: u64) {
    let actor = match actor {
        Actor::Client(tenant) => format!("client of {tenant}"),
        Actor::Turn(id) => id.job(),
    };
    tracing::info!(target: "audit", action, tenant, session = key.hash(), actor, revision, "session accessed");
}

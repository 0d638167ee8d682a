//! Every stream, subject, bucket and consumer name, in one place.

use crate::alert::{AlertKind, Severity};
use crate::id::JobId;
use crate::job::Lane;
use crate::state::Nonce;

/// Holder, lease, ledger and result of every job.
pub const STATE: &str = "STATE";
/// Jobs whose time has not come, and long parks.
pub const DELAYED: &str = "DELAYED";
/// Tokens of running jobs, in memory.
pub const DELTAS: &str = "DELTAS";
/// What failed for good, replayable.
pub const DEAD: &str = "DEAD";
/// Alert events.
pub const ALERTS: &str = "ALERTS";
/// Calls whose client lost its connection, for its retry to join; in memory.
pub const RETRIES: &str = "RETRIES";
/// Jobs that their client deleted.
pub const HIDDEN: &str = "HIDDEN";
/// Object store of bodies over the NATS limit.
pub const BODIES: &str = "BODIES";
/// Object store of such bodies of dead jobs, kept for as long as DEAD is.
pub const DEAD_BODIES: &str = "DEAD_BODIES";
/// KV bucket of breaker states, shared by the fleet.
pub const BREAKERS: &str = "BREAKERS";
/// KV bucket of open alerts, by fingerprint.
pub const INCIDENTS: &str = "INCIDENTS";
/// The workers' durable consumer, on each lane and on DELAYED.
pub const WORKERS: &str = "workers";
/// The recorder's durable consumer.
pub const RECORDER: &str = "recorder";
/// The sweeper's durable consumer, on STATE.
pub const SWEEPER: &str = "sweeper";
/// Alerting's durable consumer.
pub const ALERTING: &str = "alerting";

/// The stream of a lane's jobs.
#[must_use]
pub const fn jobs_stream(lane: Lane) -> &'static str {
    match lane {
        Lane::High => "JOBS_HIGH",
        Lane::Normal => "JOBS_NORMAL",
        Lane::Low => "JOBS_LOW",
    }
}

/// All subjects of a lane.
#[must_use]
pub fn jobs_filter(lane: Lane) -> String {
    format!("jobs.{lane}.>")
}

/// A job waiting in its lane.
#[must_use]
pub fn jobs(lane: Lane, tenant: &str, id: JobId) -> String {
    format!("jobs.{lane}.{}.{id}", token(tenant))
}

/// A job in its lane, whatever its tenant.
#[must_use]
pub fn jobs_any_tenant(lane: Lane, id: JobId) -> String {
    format!("jobs.{lane}.*.{id}")
}

/// A job's record.
#[must_use]
pub fn state(id: JobId) -> String {
    format!("state.{id}")
}

/// The schedule of one park or delay of a job.
#[must_use]
pub fn delayed(lane: Lane, tenant: &str, id: JobId, nonce: &Nonce) -> String {
    format!("delayed.{lane}.{}.{id}.{nonce}", token(tenant))
}

/// Where that schedule delivers the job.
#[must_use]
pub fn due(lane: Lane, tenant: &str, id: JobId, nonce: &Nonce) -> String {
    format!("due.{lane}.{}.{id}.{nonce}", token(tenant))
}

/// Tokens of a running job.
#[must_use]
pub fn deltas(id: JobId) -> String {
    format!("deltas.{id}")
}

/// A job that failed for good.
#[must_use]
pub fn dead(lane: Lane, tenant: &str, id: JobId) -> String {
    format!("dead.{lane}.{}.{id}", token(tenant))
}

/// The dead jobs of a lane and a tenant, or of all of them.
#[must_use]
pub fn dead_filter(lane: Option<Lane>, tenant: Option<&str>) -> String {
    let (lane, tenant) = (lane.map_or("*", Into::into), tenant.map(token));
    format!("dead.{lane}.{}.*", tenant.as_deref().unwrap_or("*"))
}

/// A dead job of a tenant, or of any, whatever its lane.
#[must_use]
pub fn dead_any_lane(tenant: Option<&str>, id: JobId) -> String {
    let tenant = tenant.map(token);
    format!("dead.*.{}.{id}", tenant.as_deref().unwrap_or("*"))
}

/// The note that a job is not to be shown any more.
#[must_use]
pub fn hidden(id: JobId) -> String {
    format!("hidden.{id}")
}

/// The note, in DEAD, that a dead job was replayed as another.
#[must_use]
pub fn replay(parent: JobId, child: JobId) -> String {
    format!("replays.{parent}.{child}")
}

/// Every such note of a dead job.
#[must_use]
pub fn replays(parent: JobId) -> String {
    format!("replays.{parent}.*")
}

/// An alert event.
#[must_use]
pub fn alert(severity: Severity, kind: AlertKind) -> String {
    format!("alerts.{severity}.{kind}")
}

/// Hint, in no stream: the job's record is terminal.
#[must_use]
pub fn done(id: JobId) -> String {
    format!("done.{id}")
}

/// Hint, in no stream: the job's record says cancelled.
#[must_use]
pub fn cancel(id: JobId) -> String {
    format!("cancel.{id}")
}

/// In no stream: a request asks whether any client still waits for the job, a plain message says that one does.
#[must_use]
pub fn waiting(id: JobId) -> String {
    format!("waiting.{id}")
}

/// The calls of one API key, route and body whose client lost its connection, by the digest of the three.
#[must_use]
pub fn retries(digest: &str) -> String {
    format!("retries.{digest}")
}

/// What all processes say of themselves.
pub const STATS: &str = "stats.*.*";

/// Hint, in no stream: what one process has done, every few seconds.
#[must_use]
pub fn stats(role: &str, instance: &str) -> String {
    format!("stats.{role}.{}", token(instance))
}

/// A tenant or instance name as one subject token: what may not stand in one becomes `%` and two hexadecimal digits.
#[must_use]
pub fn token(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    name.bytes().fold(String::with_capacity(name.len()), |mut token, byte| {
        if plain(byte) {
            token.push(char::from(byte));
        } else {
            token.push_str(&format!("%{byte:02x}"));
        }
        token
    })
}

/// The id that a subject of this file is about.
#[must_use]
pub fn job_id(subject: &str) -> Option<JobId> {
    let position = match subject.split('.').next()? {
        "state" | "deltas" | "done" | "cancel" | "waiting" | "hidden" => 1,
        "replays" => 2,
        "jobs" | "delayed" | "due" | "dead" => 3,
        _ => return None,
    };
    subject.split('.').nth(position)?.parse().ok()
}

/// The nonce at the end of a `due.` or `delayed.` subject.
#[must_use]
pub fn due_nonce(subject: &str) -> Option<Nonce> {
    let parked = subject.starts_with("due.") || subject.starts_with("delayed.");
    subject.split('.').nth(4).filter(|_| parked).map(Nonce::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timestamp::Timestamp;

    #[test]
    fn a_subject_leads_back_to_its_job() {
        let id = JobId::new(Timestamp::from_millis(1), 7);
        let nonce = Nonce::new(9);
        let lane = Lane::High;
        for subject in [jobs(lane, "a.b", id), state(id), due(lane, "a*", id, &nonce), dead(lane, "ü", id), cancel(id)]
        {
            assert_eq!(job_id(&subject), Some(id), "{subject}");
        }
        assert_eq!(due_nonce(&delayed(lane, "t", id, &nonce)), Some(nonce));
        assert_eq!(due_nonce(&jobs(lane, "t", id)), None);
        assert_eq!(job_id("alerts.info.test"), None);
        let child = JobId::new(Timestamp::from_millis(2), 7);
        assert_eq!(job_id(&replay(id, child)), Some(child));
    }

    #[test]
    fn dead_jobs_are_found_by_lane_and_tenant() {
        let id = JobId::new(Timestamp::from_millis(1), 7);
        assert_eq!(dead_filter(None, None), "dead.*.*.*");
        assert_eq!(dead_filter(Some(Lane::Low), Some("a.b")), "dead.low.a%2eb.*");
        assert_eq!(dead_any_lane(Some("a*"), id), format!("dead.*.a%2a.{id}"));
        assert_eq!(dead_any_lane(None, id), format!("dead.*.*.{id}"));
    }

    #[test]
    fn no_name_escapes_its_token() {
        assert_eq!(token("a.b*>c d"), "a%2eb%2a%3ec%20d");
    }
}

//! What every role is told: leases short enough that each minute sees many of them end, waits short enough that nobody
//! sits out the run.

use std::collections::BTreeMap;

use super::KEY;
use crate::history::RENEWALS;
use crate::options::Options;

/// The settings that all roles share.
pub(super) fn common(options: &Options) -> BTreeMap<String, String> {
    let milliseconds = |value: u64| format!("{value}ms");
    let keys = format!(r#"[{{key="{KEY}",tenant="chaos",admin=true}}]"#);
    let settings = [
        ("STREAMS__REPLICAS", options.nodes.to_string()),
        ("STREAMS__SWEEP_INTERVAL", "5s".to_owned()),
        ("STREAMS__SWEEP_PATIENCE", "20s".to_owned()),
        ("INGRESS__KEYS", keys),
        ("INGRESS__SUBMIT_TIMEOUT", "2s".to_owned()),
        ("INGRESS__LEAVE_GRACE", "2s".to_owned()),
        ("WORKER__LEASE", milliseconds(options.lease)),
        ("WORKER__RENEW_EVERY", milliseconds(options.lease / u64::from(RENEWALS))),
        ("WORKER__CLOCK_MARGIN", milliseconds(options.lease / 10)),
        ("WORKER__SHORT_PARK", "2s".to_owned()),
        ("WORKER__SLOTS", "100".to_owned()),
        ("WORKER__CONNECT_TIMEOUT", "2s".to_owned()),
        ("WORKER__CALL_TIMEOUT", "10s".to_owned()),
        ("WORKER__IDLE_TIMEOUT", "5s".to_owned()),
        ("WORKER__MAX_UNRESOLVED", "3".to_owned()),
        ("RETRY__MAX_ATTEMPTS", "8".to_owned()),
        ("RETRY__INITIAL", "100ms".to_owned()),
        ("RETRY__MAX", "2s".to_owned()),
        ("BREAKER__FAILURES", "20".to_owned()),
        ("BREAKER__OPEN_FOR", "2s".to_owned()),
        ("BREAKER__PROBE_TIMEOUT", "5s".to_owned()),
        // A summary is a job that no client wished for.
        ("SESSIONS__SUMMARY_AFTER", "0".to_owned()),
        ("HEALTH__TTL", "500ms".to_owned()),
        ("SHUTDOWN__GRACE", "5s".to_owned()),
        ("DISK__MIN_FREE_BYTES", "67108864".to_owned()),
        ("LOG__LEVEL", "info".to_owned()),
    ];
    settings.into_iter().map(|(name, value)| (format!("PORTBROKER_{name}"), value)).collect()
}

//! Events for the tests of this crate.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::alert::{AlertEvent, AlertKind, AlertState, Severity};
use schemas::timestamp::Timestamp;

/// 2026-01-31T12:00:00Z.
pub(crate) const NOON: Timestamp = Timestamp::from_millis(1_769_860_800_000);

/// A warning about `concern`, seen at noon.
pub(crate) fn firing(kind: AlertKind, concern: &str) -> AlertEvent {
    AlertEvent {
        kind,
        severity: Severity::Warning,
        state: AlertState::Firing,
        labels: BTreeMap::from([("provider".to_owned(), concern.to_owned())]),
        summary: format!("{concern} is unwell"),
        value: None,
        threshold: None,
        at: NOON,
        source: "test".to_owned(),
    }
}

/// The end of what [`firing`] begins.
pub(crate) fn resolved(kind: AlertKind, concern: &str) -> AlertEvent {
    AlertEvent { state: AlertState::Resolved, summary: format!("{concern} is well again"), ..firing(kind, concern) }
}

/// Telegram with one chat, and nothing that waits.
pub(crate) fn telegram() -> runtime::config::TelegramConfig {
    runtime::config::TelegramConfig {
        token: String::new().into(),
        chat_id: "-1".to_owned(),
        chat_id_critical: String::new(),
        chat_id_warning: String::new(),
        chat_id_info: String::new(),
        api_url: "http://127.0.0.1:1".to_owned(),
        messages_per_minute: 20,
        cooldown: Duration::from_secs(300),
        group_wait: Duration::from_secs(2),
        group_interval: Duration::ZERO,
        repeat_interval: Duration::from_secs(4 * 3600),
        acknowledge_timeout: Duration::from_secs(3600),
        timeout: Duration::from_secs(1),
        allowed_users: Vec::new(),
        poll_timeout: Duration::from_secs(1),
        portal_url: String::new(),
        utc_offset: runtime::config::hours::UtcOffset::default(),
        daily_digest: None,
        routes: Vec::new(),
    }
}

/// What [`telegram`] means for the book, with changes told at once.
pub(crate) fn policy() -> crate::incidents::Policy {
    crate::incidents::Policy {
        cooldown: Duration::from_secs(300),
        group_wait: Duration::ZERO,
        group_interval: Duration::ZERO,
        repeat_interval: Duration::from_secs(4 * 3600),
        acknowledge_timeout: Duration::from_secs(3600),
        max_age: Duration::from_secs(86_400),
        max_silences: 20,
        longest_silence: Duration::from_secs(86_400),
    }
}

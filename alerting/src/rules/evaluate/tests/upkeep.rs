//! What somebody has to look after.

use std::collections::BTreeMap;

use schemas::alert::{AlertKind, Severity};

use super::{Stage, at};
use crate::rules::facts::Facts;
use crate::rules::reading::Found;

#[test]
fn what_ends_soon_is_told_and_urgent_on_its_last_day() {
    let day = 86_400;
    let expiries = BTreeMap::from([("nats.cert_file".to_owned(), at(20 * day))]);
    let stage = Stage::with(Facts { expiries, ..Facts::default() });
    let found = |second| {
        let reading = &stage.of(AlertKind::CertificateExpiry, second)[0];
        (reading.result, reading.severity)
    };
    assert_eq!(found(6 * day), (Found::Clear, Severity::Warning));
    assert_eq!(found(6 * day + 1), (Found::Breached, Severity::Warning));
    assert_eq!(found(19 * day), (Found::Breached, Severity::Critical));
    let over = &stage.of(AlertKind::CertificateExpiry, 21 * day)[0];
    assert_eq!(over.summary, "what nats.cert_file names ended at 2026-02-20T12:00:00Z");
}

#[test]
fn news_that_is_stuck_and_a_broken_configuration_are_told() {
    let waiting_seconds = BTreeMap::from([("telegram".to_owned(), 301), ("webhook".to_owned(), 300)]);
    let config_error = Some("alerts.hold: found 5".to_owned());
    let stage = Stage::with(Facts { waiting_seconds, config_error, ..Facts::default() });
    let outbox: Vec<_> = stage.of(AlertKind::OutboxStuck, 0).into_iter().map(|one| one.result).collect();
    assert_eq!(outbox, [Found::Breached, Found::Clear]);
    let broken = &stage.of(AlertKind::ConfigInvalid, 0)[0];
    assert!(broken.result == Found::Breached && broken.summary.ends_with("stay: alerts.hold: found 5"));
}

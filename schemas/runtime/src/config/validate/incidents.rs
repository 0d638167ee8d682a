//! What becomes of alerts: leases of the replicas, and causes that keep others quiet.

use std::time::Duration;

use schemas::matcher::{MAX_MATCHER, Matcher};

use super::findings::Findings;
use crate::config::{Config, InhibitionConfig};

/// The leader looks this often whether its lease must be renewed, and a renewal takes a round trip.
const SHORTEST_LEASE: Duration = Duration::from_millis(900);
/// Each is looked at for every alert.
const MOST_INHIBITIONS: usize = 100;
/// Of the source, of the target, and of the labels that both have alike.
const MOST_MATCHERS: usize = 16;

pub(super) fn check(config: &Config, findings: &mut Findings) {
    let alerts = &config.alerts;
    let found = format!("{} ms", alerts.lease.as_millis());
    findings.unless(alerts.lease >= SHORTEST_LEASE, "alerts.lease", found, "write 1s or more");
    let count = alerts.inhibitions.len();
    let instead = format!("write at most {MOST_INHIBITIONS}: each is looked at for every alert");
    findings.unless(count <= MOST_INHIBITIONS, "alerts.inhibitions", count, instead);
    for (index, inhibition) in alerts.inhibitions.iter().enumerate() {
        check_one(&format!("alerts.inhibitions[{index}]"), inhibition, findings);
    }
}

fn check_one(field: &str, inhibition: &InhibitionConfig, findings: &mut Findings) {
    for (part, texts) in [("source", &inhibition.source), ("target", &inhibition.target)] {
        let field = format!("{field}.{part}");
        matchers(&field, texts, findings);
    }
    let (labels, field) = (&inhibition.equal, format!("{field}.equal"));
    let fine = labels.len() <= MOST_MATCHERS && labels.iter().all(|label| (1..=MAX_MATCHER).contains(&label.len()));
    findings.unless(fine, &field, format!("{labels:?}"), format!("write at most {MOST_MATCHERS} names of labels"));
}

/// At least one that does not hold for everything.
fn matchers(field: &str, texts: &[String], findings: &mut Findings) {
    let mut selects = false;
    for (index, text) in texts.iter().enumerate() {
        match text.parse::<Matcher>() {
            Ok(matcher) => selects |= !matcher.matches_nothing(),
            Err(error) => {
                selects = true;
                findings.unless(false, &format!("{field}[{index}]"), format!("{text:?}"), error.to_string());
            }
        }
    }
    let instead = format!("write 1 to {MOST_MATCHERS} matchers, for example \"kind=component_down\"");
    findings.unless(selects && texts.len() <= MOST_MATCHERS, field, format!("{texts:?}"), instead);
}

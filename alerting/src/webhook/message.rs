//! What is posted: alert events as JSON, repeats of one alert in one post, signed as Standard Webhooks has it
//! (standard-webhooks 1.0.0: `webhook-id`, `webhook-timestamp`, `webhook-signature`). Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use broker::StoredAlert;
use bytes::Bytes;
use ring::hmac;
use runtime::telemetry::Scrubber;
use schemas::alert::{AlertEvent, AlertState, Severity};
use schemas::timestamp::Timestamp;
use serde::Serialize;

use super::told::Told;
use crate::scrub::clean;

/// One post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Post {
    /// The same each time it is tried, also after a crash.
    pub(crate) id: String,
    /// Which run of its batch it tells: those that are held back count too, so that it is the same after a crash.
    pub(crate) run: usize,
    /// When its first event was stored, by the server's clock.
    pub(crate) stored_at: Timestamp,
    /// What is posted.
    pub(crate) body: Bytes,
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: String,
    timestamp: Timestamp,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    /// What repeats, ends and begins one alert has it in common.
    fingerprint: &'a str,
    /// Events that this post stands for.
    count: u64,
    #[serde(flatten)]
    event: &'a AlertEvent,
}

/// Events of one alert in one state.
struct Run {
    first: u64,
    stored_at: Timestamp,
    fingerprint: String,
    count: u64,
    last: AlertEvent,
}

/// The posts that tell `alerts`, in the order of the first event in each, but for those that `told` holds back for `every`.
/// What cannot be read is left out, and so are secrets.
pub(crate) fn posts(
    alerts: &[StoredAlert],
    scrubber: &Scrubber,
    told: &mut Told,
    every: Duration,
    now: Timestamp,
) -> Vec<Post> {
    let mut runs: Vec<Run> = Vec::new();
    // Of each alert the run that its next event may join: what came between the two belongs to others.
    let mut latest: BTreeMap<String, usize> = BTreeMap::new();
    for StoredAlert { seq, stored_at, event } in alerts {
        let Some(event) = event.clone().map(|event| clean(scrubber, event)) else { continue };
        let fingerprint = event.fingerprint();
        let joined = latest.get(&fingerprint).and_then(|index| runs.get_mut(*index));
        match joined.filter(|run| state(&run.last) == state(&event)) {
            Some(run) => {
                run.count += 1;
                run.last = event;
            }
            None => {
                latest.insert(fingerprint.clone(), runs.len());
                runs.push(Run { first: *seq, stored_at: *stored_at, fingerprint, count: 1, last: event });
            }
        }
    }
    let admit = |(number, run): (usize, Run)| {
        let count = told.admit(&run.fingerprint, state(&run.last), run.count, every, now)?;
        Run { count, ..run }.post(number)
    };
    runs.into_iter().enumerate().filter_map(admit).collect()
}

const fn state(event: &AlertEvent) -> (AlertState, Severity) {
    (event.state, event.severity)
}

impl Run {
    /// Nothing only if it could not be written as JSON, which an event always can.
    fn post(self, run: usize) -> Option<Post> {
        let Run { first, stored_at, fingerprint, count, last } = self;
        let data = Data { fingerprint: &fingerprint, count, event: &last };
        let body = Body { kind: format!("alert.{}", last.state), timestamp: last.at, data };
        let body = serde_json::to_vec(&body).ok()?.into();
        Some(Post { id: format!("alert_{first}_{}", stored_at.as_millis()), run, stored_at, body })
    }
}

/// The signature of one try: over id, time and body, with full stops between.
pub(crate) fn sign(key: &hmac::Key, id: &str, seconds: i64, body: &[u8]) -> String {
    let mut signing = hmac::Context::with_key(key);
    signing.update(format!("{id}.{seconds}.").as_bytes());
    signing.update(body);
    format!("v1,{}", STANDARD.encode(signing.sign()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use schemas::alert::AlertKind;
    use secrecy::SecretString;

    use super::*;
    use crate::fixture::{NOON, firing, resolved};

    fn stored(seq: u64, event: AlertEvent) -> StoredAlert {
        StoredAlert { seq, stored_at: NOON, event: Some(event) }
    }

    fn scrubber() -> Scrubber {
        Scrubber::new(&[SecretString::from("hunter2hunter2")]).unwrap()
    }

    fn all(alerts: &[StoredAlert]) -> Vec<Post> {
        posts(alerts, &scrubber(), &mut Told::default(), Duration::ZERO, NOON)
    }

    fn told(posts: &[Post]) -> Vec<(u64, String, u64)> {
        let told = posts.iter().map(|post| {
            let body: serde_json::Value = serde_json::from_slice(&post.body).unwrap();
            (
                post.id.split('_').nth(1).unwrap().parse().unwrap(),
                body["type"].as_str().unwrap().to_owned(),
                body["data"]["count"].as_u64().unwrap(),
            )
        });
        told.collect()
    }

    #[test]
    fn repeats_are_one_post_and_the_order_of_each_alert_stays() {
        let kind = AlertKind::Disk;
        let unreadable = StoredAlert { seq: 6, stored_at: NOON, event: None };
        let worse = AlertEvent { severity: Severity::Critical, ..firing(kind, "b") };
        let alerts = [
            stored(1, firing(kind, "a")),
            stored(2, firing(kind, "b")),
            stored(3, firing(kind, "a")),
            stored(4, resolved(kind, "a")),
            stored(5, worse),
            unreadable,
            stored(7, firing(kind, "a")),
        ];
        let (begins, ends) = ("alert.firing".to_owned(), "alert.resolved".to_owned());
        let expected =
            [(1, begins.clone(), 2), (2, begins.clone(), 1), (4, ends, 1), (5, begins.clone(), 1), (7, begins, 1)];
        assert_eq!(told(&all(&alerts)), expected);
    }

    #[test]
    fn a_body_tells_everything_of_its_last_event() {
        let [post] = &all(&[stored(7, firing(AlertKind::Disk, "a"))])[..] else { panic!() };
        assert_eq!(post.id, "alert_7_1769860800000");
        insta::assert_snapshot!(std::str::from_utf8(&post.body).unwrap(), @r#"{"type":"alert.firing","timestamp":"2026-01-31T12:00:00Z","data":{"fingerprint":"29495f79c358bae8","count":1,"kind":"disk","severity":"warning","state":"firing","labels":{"provider":"a"},"summary":"a is unwell","value":null,"threshold":null,"at":"2026-01-31T12:00:00Z","source":"test"}}"#);
    }

    #[test]
    fn no_secret_is_posted() {
        let mut event = firing(AlertKind::Disk, "sk-proj-abcdefgh1234");
        event.summary =
            "refused hunter2hunter2, see https://ann:s3cret@example.com/ with Bearer abcdefgh1234".to_owned();
        let [post] = &all(&[stored(1, event)])[..] else { panic!() };
        let body = std::str::from_utf8(&post.body).unwrap();
        for secret in ["hunter2hunter2", "sk-proj", "s3cret", "abcdefgh1234"] {
            assert!(!body.contains(secret), "{body}");
        }
    }

    /// The example of the Standard Webhooks libraries.
    #[test]
    fn a_signature_is_what_other_libraries_expect() {
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let signed = sign(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    proptest! {
        /// Counts add up, and each alert's states are told in the order in which they were.
        #[test]
        fn nothing_is_lost_or_reordered(events in prop::collection::vec((0_u8..4, any::<bool>()), 0..80)) {
            let of = |(name, ends): &(u8, bool)| {
                let make = if *ends { resolved } else { firing };
                make(AlertKind::Disk, &name.to_string())
            };
            let alerts: Vec<_> = (1_u64..).zip(&events).map(|(seq, event)| stored(seq, of(event))).collect();
            let posts = all(&alerts);
            prop_assert_eq!(told(&posts).iter().map(|(.., count)| count).sum::<u64>(), events.len() as u64);
            for name in 0..4 {
                let mut states: Vec<bool> = events.iter().filter(|(one, _)| *one == name).map(|(_, ends)| *ends).collect();
                states.dedup();
                let provider = format!("\"provider\":\"{name}\"");
                let own = posts.iter().filter(|post| std::str::from_utf8(&post.body).unwrap().contains(&provider));
                let kinds = own.map(|post| post.body.starts_with(br#"{"type":"alert.resolved""#));
                prop_assert_eq!(kinds.collect::<Vec<_>>(), states);
            }
        }
    }
}

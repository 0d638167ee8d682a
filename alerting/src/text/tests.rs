//! What people see, word for word.

use std::time::Duration;

use insta::assert_snapshot;
use schemas::alert::{AlertEvent, AlertKind, Severity};

use super::*;
use crate::fixture::{NOON, firing};
use crate::incidents::{Acknowledged, Silenced};
use crate::pages::pages;
use crate::scrub::clean;

fn told(event: &AlertEvent, count: u64) -> (Incident, Episode) {
    let episode = Episode { count, last_seen: NOON.after(Duration::from_secs(250)), ..Episode::new(0, event, NOON) };
    (Incident::new(event), episode)
}

fn borrow(told: &[(Incident, Episode)]) -> Vec<Told<'_>> {
    told.iter().map(|(incident, episode)| (incident, episode)).collect()
}

#[test]
fn one_alert() {
    let mut event = firing(AlertKind::ErrorRate, "a<b>&c");
    event.severity = Severity::Critical;
    event.value = Some(0.254_91);
    event.threshold = Some(0.1);
    assert_snapshot!(message(&borrow(&[told(&event, 37)])).html(), @r"
    <b>CRITICAL: error_rate</b>
    a&lt;b&gt;&amp;c is unwell

    provider: a&lt;b&gt;&amp;c
    Value: 0.255 (limit 0.1)
    Count: 37
    First seen: 2026-01-31 12:00:00 UTC
    Last seen: 2026-01-31 12:04:10 UTC
    ");
}

#[test]
fn one_alert_that_ended() {
    let mut ended = told(&firing(AlertKind::ComponentDown, "redis"), 1);
    ended.1.state = AlertState::Resolved;
    ended.1.resolved_at = Some(NOON.after(Duration::from_secs(300)));
    ended.1.summary = "redis answers again".to_owned();
    assert_snapshot!(message(&borrow(std::slice::from_ref(&ended))).html(), @r"
    <b>RESOLVED: component_down</b>
    redis answers again

    provider: redis
    Count: 1
    First seen: 2026-01-31 12:00:00 UTC
    Last seen: 2026-01-31 12:04:10 UTC
    Resolved: 2026-01-31 12:05:00 UTC
    ");
    assert_snapshot!(notice(&borrow(&[ended])).html(), @r"
    <b>RESOLVED</b>: component_down provider=redis
    redis answers again
    ");
}

#[test]
fn a_digest() {
    let mut several = vec![told(&firing(AlertKind::DeadLetter, "a&b"), 12), told(&firing(AlertKind::Disk, "b"), 30)];
    several[0].1.severity = Severity::Critical;
    several[1].1.superseded = true;
    assert_snapshot!(message(&borrow(&several)).html(), @r"
    <b>2 alerts, 42 events</b>
    <b>CRITICAL</b> dead_letter provider=a&amp;b: a&amp;b is unwell (count: 12, last: 2026-01-31 12:04:10 UTC)
    <b>WARNING</b> disk provider=b: b is unwell (count: 30, last: 2026-01-31 12:04:10 UTC) continued
    ");
    assert_snapshot!(notice(&borrow(&several)).plain(), @r"
    RESOLVED: 2 alerts
    - dead_letter provider=a&b
    - disk provider=b
    ");
}

#[test]
fn a_digest_too_long_sums_up_the_rest() {
    let several: Vec<_> = (0..500).map(|n| told(&firing(AlertKind::Disk, &n.to_string()), 3)).collect();
    for hostile in ["", "&<>"] {
        let mut several = several.clone();
        several.iter_mut().for_each(|(_, episode)| episode.summary = hostile.repeat(1000));
        let text = message(&borrow(&several));
        let last = text.plain().lines().last().unwrap();
        let shown = text.plain().matches("(count: 3,").count();
        assert!(shown > 2);
        assert_eq!(last, format!("… and {} more alerts, {} events", 500 - shown, (500 - shown) * 3));
        assert!(text.html().encode_utf16().count() <= LIMIT);
    }
}

/// The one alert of `event`, as it goes on.
fn live(event: &AlertEvent) -> Incident {
    let (mut incident, episode) = told(event, 2);
    incident.episodes.push(episode);
    incident
}

/// What the operator of a chat sees of `event`, which comes as anybody may have sent it.
fn seen(event: AlertEvent) -> Rich {
    let secret = secrecy::SecretString::from("7016423519:AAE9xq2Vd-0fTn3RzLw8sKmYbJ5uHcPGi1o");
    let scrubber = runtime::telemetry::Scrubber::new(&[secret]).unwrap();
    let incident = live(&clean(&scrubber, event));
    message(&[(&incident, &incident.episodes[0])])
}

fn said(summary: &str) -> AlertEvent {
    AlertEvent { summary: summary.to_owned(), ..firing(AlertKind::ProviderAuth, "p") }
}

#[test]
fn one_alert_with_all_that_is_known_of_it() {
    let mut event = firing(AlertKind::QueueBacklog, "p");
    (event.value, event.threshold) = (Some(712.0), Some(500.0));
    let mut incident = live(&event);
    incident.values.extend([100.0, 300.0, 712.0]);
    incident.acknowledged = Some(Acknowledged { by: "@ann".to_owned(), at: NOON });
    let until = NOON.after(Duration::from_secs(3600));
    incident.silenced = Some(Silenced { id: "s1".to_owned(), by: "@ann".to_owned(), since: NOON, until });
    let episode = &mut incident.episodes[0];
    (episode.earlier, episode.cause) = (40, Cause::Repeated);
    assert_snapshot!(message(&[(&incident, &incident.episodes[0])]).html(), @r"
    <b>WARNING: queue_backlog</b>
    It fires on.
    p is unwell

    provider: p
    Value: 712 (limit 500)
    Trend: ▁▃█
    Count: 2
    Told before: 40
    First seen: 2026-01-31 12:00:00 UTC
    Last seen: 2026-01-31 12:04:10 UTC
    Acknowledged: 2026-01-31 12:00:00 UTC by @ann
    Silenced: until 2026-01-31 13:00:00 UTC by @ann
    ");
    incident.episodes[0].state = AlertState::Resolved;
    incident.episodes[0].resolved_at = Some(NOON);
    incident.episodes[0].resolved_by = Some("<@ann>".to_owned());
    let text = message(&[(&incident, &incident.episodes[0])]);
    assert!(text.html().contains("\nResolved: 2026-01-31 12:00:00 UTC by &lt;@ann&gt;\n"), "{}", text.html());
}

#[test]
fn markup_is_shown_and_not_obeyed() {
    let text = seen(said("<b>bold</b> & <a href=\"https://evil.example\">click</a> &amp; </b><script>"));
    assert_snapshot!(text.html().lines().nth(1).unwrap(), @r#"&lt;b&gt;bold&lt;/b&gt; &amp; &lt;a href="https://evil.example"&gt;click&lt;/a&gt; &amp;amp; &lt;/b&gt;&lt;script&gt;"#);
    assert_snapshot!(text.plain().lines().nth(1).unwrap(), @r#"<b>bold</b> & <a href="https://evil.example">click</a> &amp; </b><script>"#);
}

#[test]
fn every_script_is_shown_as_it_is_written() {
    let text = seen(said("المزود رفض 👩‍🔧 🇩🇪 الطلب\u{202e}txt.exe \u{0}done\u{7}"));
    assert_snapshot!(text.plain(), @"
    WARNING: provider_auth
    المزود رفض 👩‍🔧 🇩🇪 الطلبtxt.exe  done 

    provider: p
    Count: 2
    First seen: 2026-01-31 12:00:00 UTC
    Last seen: 2026-01-31 12:04:10 UTC
    ");
}

#[test]
fn a_token_is_masked() {
    let bot = "https://api.telegram.org/bot7016423519:AAE9xq2Vd-0fTn3RzLw8sKmYbJ5uHcPGi1o/getMe";
    let mut event = said(&format!("{bot} refused sk-proj-abcdefgh1234, Bearer abcdefgh.1234"));
    event.labels.insert("url".to_owned(), "postgres://me:s3cret@db/jobs".to_owned());
    assert_snapshot!(seen(event).plain(), @r"
    WARNING: provider_auth
    https://api.telegram.org/bot***/getMe refused ***, Bearer ***

    provider: p
    url: postgres://me:***@db/jobs
    Count: 2
    First seen: 2026-01-31 12:00:00 UTC
    Last seen: 2026-01-31 12:04:10 UTC
    ");
}

#[test]
fn ten_thousand_characters_are_cut_and_lost_nowhere() {
    for unit in ["word ", "<&> ", "😀 ", "ع "] {
        let long = unit.repeat(10_000 / unit.chars().count());
        let text = seen(said(&long));
        assert!(text.is_cut() && text.html().encode_utf16().count() <= LIMIT - 100, "{unit}");
        assert!(text.plain().contains("…\n") && text.plain().contains("\nCount: 2\n"), "{unit}");
        let shown: String = pages("x", &long).iter().map(|page| page.plain().split_once('\n').unwrap().1).collect();
        assert_eq!(shown, long.trim_end(), "{unit}");
    }
    let mut event = said("short");
    event.labels = (0..200).map(|number| (format!("label{number:03}"), "&".repeat(5000))).collect();
    let text = seen(event);
    assert!(text.is_cut() && text.html().encode_utf16().count() <= LIMIT);
    assert!(text.plain().contains("\nshort\n") && text.plain().contains("\nCount: 2\n"));
}

//! Rules over what really happens, and the other ways that alerts come in and go out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use async_nats::jetstream;
use harness::api::prompt;
use harness::cluster::{Cluster, KEY_ADMIN, Plan};
use harness::nats::Nats;
use harness::paths;
use harness::process::{Process, Role};
use harness::provider::Provider;
use harness::telegram::Telegram;
use harness::wait::{check, until};
use harness::webhook::Receiver;
use rustix::process::Signal;
use schemas::alert::{AlertEvent, AlertKind, AlertState, Severity};
use schemas::timestamp::Timestamp;
use schemas::{envelope, subject};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(120);

/// Rules that do not wait for long, and messages that do not wait at all.
fn plan(telegram: &Telegram) -> Plan {
    let plan = Cluster::plan().telegram(telegram).set("TELEGRAM__GROUP_WAIT", "0s");
    plan.set("TELEGRAM__GROUP_INTERVAL", "0s").set("ALERTS__HOLD", "1s").set("ALERTS__INTERVAL", "500ms")
}

/// The rules of a configuration file: this many jobs are a backlog.
fn write_rules(file: &Path, backlog: &str) {
    fs::write(file, format!("[alerts.rules]\nqueue_backlog = {{ threshold = {backlog} }}\n")).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_are_read_again_when_their_file_changes() {
    let telegram = Telegram::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portbroker.toml");
    write_rules(&file, "1000");
    let plan = plan(&telegram).workers(0).set("CONFIG", &file.to_string_lossy());
    let cluster = plan.set("ALERTS__RULES__NO_WORKER__ENABLED", "false").start().await;
    let (api, alerting) = (cluster.api(), cluster.alerting.as_ref().unwrap());
    let reloads = |outcome: &str| format!("portbroker_alerts_rule_reloads_total{{outcome=\"{outcome}\"}}");
    alerting.counts(&reloads("unchanged"), 1).await;
    for _ in 0..3 {
        api.submit(&prompt("echo", "waiting")).await;
    }
    write_rules(&file, "2");
    telegram.says(&["queue_backlog", "limit 2"], LIMIT).await;

    write_rules(&file, "\"many\"");
    telegram.says(&["config_invalid", "alerts.rules.queue_backlog.threshold"], LIMIT).await;
    alerting.counts(&reloads("refused"), 1).await;
    alerting.child().signal(Signal::HUP);
    alerting.counts(&reloads("refused"), 2).await;
    write_rules(&file, "3");
    telegram.says(&["resolved", "config_invalid"], LIMIT).await;
    telegram.says(&["resolved", "queue_backlog"], LIMIT).await;
    alerting.counts(&reloads("applied"), 2).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_dies_is_missed_until_another_comes() {
    let telegram = Telegram::start().await;
    let mut cluster = plan(&telegram).workers(1).start().await;
    // A worker, ingress and alerting itself. Whoever comes after one was last heard could have replaced it.
    cluster.alerting.as_ref().unwrap().counts("portbroker_alerts_processes", 3).await;
    cluster.add_worker().await;
    let lost = cluster.workers.remove(1);
    let name = format!("-{}", lost.child().id());
    cluster.alerting.as_ref().unwrap().counts("portbroker_alerts_processes", 4).await;
    lost.kill9();
    let message = telegram.says(&["replica_lost", "worker", &name], LIMIT).await;
    assert!(message.contains("without saying goodbye"), "{message}");
    cluster.add_worker().await;
    telegram.says(&["resolved", "replica_lost", &name], LIMIT).await;
    // Whoever says goodbye is not missed.
    cluster.workers.remove(0).stop(LIMIT).await;
    cluster.workers.remove(0).stop(LIMIT).await;
    telegram.says(&["no_worker"], LIMIT).await;
    let missed = telegram.texts().into_iter().filter(|text| text.contains("without saying goodbye")).count();
    assert!(missed <= 1, "{:#?}", telegram.texts());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_has_a_budget() {
    let telegram = Telegram::start().await;
    let provider = Provider::start("fake").await;
    let plan = plan(&telegram).provider(&provider).set("ALERTS__RULES__BUDGET__DAILY_DOLLARS", "0.000001");
    let cluster = plan.start().await;
    assert_eq!(cluster.api().run(&prompt("fake", "costs something")).await["status"], "completed");
    telegram.says(&["critical", "budget", "is spent"], LIMIT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_loses_a_server_is_told() {
    let telegram = Telegram::start().await;
    let mut nats = Nats::cluster().await;
    let folder = tempfile::tempdir().unwrap();
    let url = nats.iter().map(Nats::url).collect::<Vec<_>>().join(",");
    let settings = [
        ("NATS__URL", url),
        ("STREAMS__REPLICAS", "3".to_owned()),
        ("DATA_DIR", folder.path().to_string_lossy().into_owned()),
        ("TELEGRAM__TOKEN", telegram.token().to_owned()),
        ("TELEGRAM__CHAT_ID", telegram.chat()),
        ("TELEGRAM__API_URL", telegram.url()),
        ("TELEGRAM__GROUP_WAIT", "0s".to_owned()),
        ("ALERTS__HOLD", "2s".to_owned()),
        ("ALERTS__RULES__NO_WORKER__ENABLED", "false".to_owned()),
    ];
    let environment: BTreeMap<_, _> =
        settings.into_iter().map(|(name, value)| (format!("PORTBROKER_{name}"), value)).collect();
    let _alerting = Process::start(Role::Alerting, &environment).await;
    nats[2].kill9();
    telegram.says(&["cluster_degraded", "nats-c", "is away"], LIMIT).await;
    nats[2].resurrect().await;
    telegram.says(&["resolved", "cluster_degraded", "nats-c"], LIMIT).await;
}

fn alertmanager(status: &str, instances: &[&str]) -> Value {
    let alert = |instance: &&str| {
        json!({
            "status": status,
            "labels": {"alertname": "HighLoad", "instance": instance, "severity": "critical"},
            "annotations": {"summary": "load of <all> is high"},
            "startsAt": "2026-01-31T11:00:00Z", "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus/graph", "fingerprint": "c1"
        })
    };
    json!({
        "version": "4", "groupKey": "{}:{}", "status": status, "receiver": "portbroker", "truncatedAlerts": 0,
        "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://alertmanager",
        "alerts": instances.iter().map(alert).collect::<Vec<_>>()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_of_alertmanager_reach_the_same_incidents() {
    let telegram = Telegram::start().await;
    let cluster = plan(&telegram).start().await;
    let (path, admin) = ("/v1/alerts/alertmanager", cluster.api_of(KEY_ADMIN));
    cluster.api().post(path, &alertmanager("firing", &["a"])).await.expect(403);
    admin.post(path, &json!({"version": "4"})).await.expect(400);
    let answer = admin.post(path, &alertmanager("firing", &["a:9100", "b:9100"])).await.expect(202);
    assert_eq!(answer.body["accepted"], 2);
    for instance in ["a:9100", "b:9100"] {
        let words = ["critical", "external", "alertname", "HighLoad", instance, "load of <all> is high"];
        telegram.says(&words, LIMIT).await;
    }
    admin.post(path, &alertmanager("resolved", &["a:9100"])).await.expect(202);
    telegram.says(&["resolved", "external", "a:9100"], LIMIT).await;
    let open = telegram.texts().into_iter().filter(|text| text.to_lowercase().contains("resolved"));
    assert!(open.into_iter().all(|text| !text.contains("b:9100")), "{:#?}", telegram.texts());
}

fn event(number: u64, state: AlertState) -> AlertEvent {
    AlertEvent {
        kind: AlertKind::External,
        severity: Severity::Warning,
        state,
        labels: BTreeMap::from([("alertname".to_owned(), format!("alert {number}"))]),
        summary: "it is so".to_owned(),
        value: None,
        threshold: None,
        at: Timestamp::from_millis(1_770_000_000_000),
        source: "test".to_owned(),
    }
}

async fn publish(cluster: &Cluster, events: impl IntoIterator<Item = AlertEvent>) {
    let stream = jetstream::new(cluster.nats.client().await);
    for event in events {
        let subject = subject::alert(event.severity, event.kind);
        stream.publish(subject, envelope::encode(&event).unwrap()).await.unwrap().await.unwrap();
    }
}

/// Every alert of these, with the states that it was told to be in, in their order; repeats of one post once.
fn told(receiver: &Receiver) -> BTreeMap<String, Vec<String>> {
    let (mut seen, mut told) = (BTreeSet::new(), BTreeMap::<_, Vec<String>>::new());
    for posted in receiver.taken().into_iter().filter(|posted| posted.body["data"]["source"] == "test") {
        let name = posted.body["data"]["labels"]["alertname"].as_str().unwrap().to_owned();
        if seen.insert(posted.id) {
            told.entry(name).or_default().push(posted.body["type"].as_str().unwrap().to_owned());
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_hears_of_everything_over_outages_and_crashes() {
    let telegram = Telegram::start().await;
    let receiver = Receiver::start().await;
    let plan = plan(&telegram).workers(0).set("WEBHOOK__URL", &receiver.hook());
    let plan = plan.set("WEBHOOK__SECRET", &receiver.secret()).set("WEBHOOK__RETRY_INITIAL", "50ms");
    let mut cluster = plan.set("WEBHOOK__RETRY_MAX", "200ms").start().await;
    // The rules' own first alert shows that the place in the stream is marked.
    until("a first post", LIMIT, async || check(!receiver.taken().is_empty(), "none came")).await;
    for round in 0..4 {
        receiver.refuse([503, 429, 500]);
        let alerts = round * 10..round * 10 + 10;
        publish(&cluster, alerts.clone().map(|number| event(number, AlertState::Firing))).await;
        // In the middle of it: some are posted, and whether all are nobody knows.
        let before = told(&receiver).len();
        until("a post of this round", LIMIT, async || check(told(&receiver).len() > before, "none came")).await;
        cluster.alerting.take().unwrap().kill9();
        publish(&cluster, alerts.map(|number| event(number, AlertState::Resolved))).await;
        cluster.start_alerting().await;
    }
    let both = vec!["alert.firing".to_owned(), "alert.resolved".to_owned()];
    until("forty alerts begun and ended", LIMIT, async || {
        let told = told(&receiver);
        check(told.len() == 40 && told.values().all(|states| *states == both), format!("{told:#?}"))
    })
    .await;
    assert_eq!(receiver.refused(), 12);
    let posts = receiver.taken().len();
    println!("{posts} posts for 80 changes and four crashes");
    let lines = cluster.alerting.as_ref().unwrap().child().lines();
    assert!(
        lines.iter().all(|line| !line.contains(&receiver.secret()) && !line.contains("/hook")),
        "a secret in a log"
    );
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_in_a_batch_of_posts_counts_no_event_twice() {
    let telegram = Telegram::start().await;
    let receiver = Receiver::start().await;
    let plan = plan(&telegram).workers(0).set("WEBHOOK__URL", &receiver.hook());
    let plan = plan.set("WEBHOOK__SECRET", &receiver.secret()).set("WEBHOOK__RETRY_INITIAL", "50ms");
    let mut cluster = plan.set("WEBHOOK__RETRY_MAX", "200ms").start().await;
    until("a first post", LIMIT, async || check(!receiver.taken().is_empty(), "none came")).await;
    cluster.alerting.take().unwrap().stop(LIMIT).await;
    // One batch of two runs that overlap.
    publish(&cluster, [1, 2, 1, 2, 1, 2].map(|number| event(number, AlertState::Firing))).await;
    receiver.take_only(1);
    cluster.start_alerting().await;
    until("a refused post", LIMIT, async || check(receiver.refused() > 0, "none came")).await;
    cluster.alerting.take().unwrap().kill9();
    receiver.take_only(None);
    cluster.start_alerting().await;
    publish(&cluster, [event(3, AlertState::Firing)]).await;
    until("all three", LIMIT, async || check(told(&receiver).len() == 3, format!("{:?}", told(&receiver)))).await;
    let taken = receiver.taken().into_iter().filter(|post| post.body["data"]["source"] == "test");
    let counts: BTreeMap<_, _> = taken.map(|post| (post.id, post.body["data"]["count"].as_u64().unwrap())).collect();
    assert_eq!(counts.values().sum::<u64>(), 7, "{counts:#?}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_heartbeat_comes_from_the_leader_and_only_while_it_is_well() {
    let telegram = Telegram::start().await;
    let receiver = Receiver::start().await;
    let plan = plan(&telegram).set("HEARTBEAT__URL", &receiver.heartbeat()).set("HEARTBEAT__INTERVAL", "200ms");
    let mut cluster = plan.start().await;
    until("heartbeats", LIMIT, async || check(receiver.beats() >= 5, receiver.beats())).await;
    let standby = Process::start(Role::Alerting, cluster.environment()).await;
    let seen = receiver.beats();
    until("further heartbeats", LIMIT, async || check(receiver.beats() >= seen + 5, receiver.beats())).await;
    standby.counts("portbroker_alerts_heartbeats_total{outcome=\"sent\"}", 0).await;
    cluster.nats.stop().await;
    let alerting = cluster.alerting.as_ref().unwrap();
    until("a heartbeat withheld", LIMIT, async || {
        let metrics = reqwest::get(format!("{}/metrics", alerting.base())).await.unwrap().text().await.unwrap();
        check(metrics.contains("portbroker_alerts_heartbeats_total{outcome=\"not_leading\"}"), "none")
    })
    .await;
    let silent = receiver.beats();
    cluster.nats.resurrect().await;
    until("heartbeats again", LIMIT, async || check(receiver.beats() > silent, receiver.beats())).await;
}

struct Shell(BTreeMap<String, String>);

impl Shell {
    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(paths::portbroker());
        command.env_clear().envs(&self.0).arg("alerts").args(arguments).output().unwrap()
    }

    fn prints(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_are_tried_from_a_shell() {
    let cluster = Cluster::plan().workers(0).start().await;
    for _ in 0..3 {
        cluster.api().submit(&prompt("echo", "waiting")).await;
    }
    let mut shell = Shell(cluster.environment().clone());
    let rules = shell.prints(&["check"]);
    assert!(rules.lines().any(|line| line.starts_with("queue_backlog") && line.contains("500")), "{rules}");

    shell.0.insert("PORTBROKER_ALERTS__INTERVAL".to_owned(), "500ms".to_owned());
    let recording = shell.prints(&["record", "--for", "8"]);
    assert!(recording.lines().count() > 10, "{recording}");
    let file = cluster.folder().join("night.jsonl");
    fs::write(&file, &recording).unwrap();
    shell.0.insert("PORTBROKER_ALERTS__HOLD".to_owned(), "1s".to_owned());
    let replayed = shell.prints(&["replay", file.to_str().unwrap()]);
    assert!(!replayed.contains("queue_backlog"), "{replayed}");
    shell.0.insert("PORTBROKER_ALERTS__RULES__QUEUE_BACKLOG__THRESHOLD".to_owned(), "2".to_owned());
    let replayed = shell.prints(&["replay", file.to_str().unwrap()]);
    assert!(replayed.contains("fires warning  queue_backlog: more jobs wait than configured (value 3, threshold 2)"));

    shell.0.insert("PORTBROKER_ALERTS__RULES__QUEUE_BACKLOG__FOR".to_owned(), "soon".to_owned());
    let refused = shell.run(&["check"]);
    assert!(!refused.status.success() && refused.stdout.is_empty());
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(told.contains("alerts.rules.queue_backlog.for") && told.contains("found \"soon\""), "{told}");
    let help = String::from_utf8(Command::new(paths::portbroker()).args(["alerts", "--help"]).output().unwrap().stdout);
    assert!(help.unwrap().contains("portbroker alerts replay night.jsonl"));
}

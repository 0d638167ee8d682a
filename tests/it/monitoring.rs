//! The files of `deploy/prometheus`, `deploy/alertmanager` and `deploy/grafana`, held against the real programs and real
//! runs: every rule and panel speaks of what is exported, and what Prometheus finds reaches operators.

mod expressions;
mod promql;

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::str::FromStr;
use std::time::Duration;

use harness::alertmanager::Alertmanager;
use harness::api::prompt;
use harness::cluster::{Cluster, KEY_ADMIN};
use harness::paths;
use harness::process::Process;
use harness::prometheus::{Prometheus, amtool, promtool};
use harness::provider::{Act, Provider, Speech};
use harness::telegram::Telegram;
use harness::wait::{check, until};
use schemas::alert::AlertKind;
use schemas::error::{Category, ErrorCode};
use serde_json::json;
use strum::IntoEnumIterator;

const LIMIT: Duration = Duration::from_secs(240);
const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// The files of a folder of `deploy/prometheus`, with their paths as promtool wants them.
fn files(folder: &str) -> Vec<(String, String)> {
    let entries = fs::read_dir(paths::repository().join("deploy/prometheus").join(folder)).unwrap().flatten();
    let read = entries.map(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        (format!("{folder}/{name}"), fs::read_to_string(entry.path()).unwrap())
    });
    read.collect()
}

fn alerts() -> Vec<String> {
    let rules = files("rules");
    let names =
        rules.iter().flat_map(|(_, text)| text.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")));
    names.map(str::to_owned).collect()
}

fn address(process: &Process) -> String {
    process.base().trim_start_matches("http://").to_owned()
}

#[test]
fn the_programs_take_their_files() {
    let (rules, tests) = (files("rules"), files("tests"));
    let with = |first: &[&'static str], files: &[(String, String)]| {
        first
            .iter()
            .map(|word| (*word).to_owned())
            .chain(files.iter().map(|(path, _)| path.clone()))
            .collect::<Vec<_>>()
    };
    let runs = [
        with(&["check", "config", "prometheus.yml"], &[]),
        with(&["check", "rules", "--lint=all", "--lint-fatal"], &rules),
        with(&["test", "rules"], &tests),
    ];
    for arguments in runs {
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        promtool(&arguments, "").unwrap_or_else(|fault| panic!("promtool {arguments:?}: {fault}"));
    }
    amtool(&["check-config", "../alertmanager/alertmanager.yml"]).unwrap();
}

#[test]
fn every_alert_is_tested_both_ways_and_has_its_place_in_the_runbook() {
    let tests: String = files("tests").into_iter().map(|(_, text)| text).collect();
    let runbook = fs::read_to_string(paths::repository().join("deploy/prometheus/runbook.md")).unwrap();
    let alerts = alerts();
    assert!(alerts.len() >= 20, "{alerts:?}");
    for alert in &alerts {
        assert!(tests.contains(&format!("alertname: {alert}, exp_alerts: [] }}")), "{alert} is never silent in a test");
        assert!(tests.contains(&format!("alertname: {alert}\n        exp_alerts:")), "{alert} never fires in a test");
        assert!(runbook.contains(&format!("\n## {alert}\n")), "{alert} is not in the runbook");
        let rules = files("rules");
        let link = format!("runbook: deploy/prometheus/runbook.md#{}\n", alert.to_lowercase());
        assert!(rules.iter().any(|(_, text)| text.contains(&link)), "{alert} does not name its place in the runbook");
    }
    let pages = runbook.lines().filter_map(|line| line.strip_prefix("## "));
    assert_eq!(pages.collect::<BTreeSet<_>>(), alerts.iter().map(String::as_str).collect());
}

#[test]
fn the_error_rate_leaves_out_exactly_the_clients_own_errors() {
    let rules: String = files("rules").into_iter().map(|(_, text)| text).collect();
    let named = rules.split(r#"portbroker_job_errors_total{code!~""#).nth(1).unwrap().split('"').next().unwrap();
    let clients = ErrorCode::iter().filter(|code| code.category() == Category::Client);
    assert_eq!(named.split('|').collect::<BTreeSet<_>>(), clients.map(<&str>::from).collect());
}

#[test]
fn what_only_alerting_sees_has_its_own_words() {
    let rules: String = files("rules").into_iter().map(|(_, text)| text).collect();
    let named = rules.split(r#"rule_evaluations_total{kind=~""#).nth(1).unwrap().split('"').next().unwrap();
    for kind in named.split('|') {
        assert!(AlertKind::from_str(kind).is_ok(), "{kind} is no kind of alert");
    }
}

#[test]
fn dashboards_are_in_order() {
    let boards = expressions::dashboards();
    let names: BTreeSet<_> = boards.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["alerts.json", "cost.json", "overview.json", "providers.json", "queue.json"].into());
    for (name, board) in &boards {
        assert_eq!(board["uid"], format!("portbroker-{}", name.trim_end_matches(".json")));
        let (mut ids, mut titles, mut cells) = (HashSet::new(), HashSet::new(), HashSet::new());
        for panel in board["panels"].as_array().unwrap() {
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{name}: {panel}");
            assert!(titles.insert(panel["title"].as_str().unwrap()), "{name}: {panel}");
            let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
            assert!(x + w <= 24, "{name}: {panel}");
            for cell in (x..x + w).flat_map(|column| (y..y + h).map(move |row| (column, row))) {
                assert!(cells.insert(cell), "{name}: a panel lies over another: {panel}");
            }
        }
    }
}

/// Brings about whatever the rules and the dashboards look at.
async fn everything_happens(cluster: &mut Cluster, telegram: &Telegram, providers: [&Provider; 2]) {
    let [fake, claude] = providers;
    fake.script("fake-500", [Act::Refuse(500, None)]);
    fake.script("fake-401", [Act::TellCredential]);
    fake.script("fake-busy", [Act::Refuse(429, Some(1)), Act::Answer]);
    claude.script("claude", [Act::Truncated]);
    telegram.says(&["no_worker"], LIMIT).await;
    cluster.add_worker().await;
    let api = cluster.api();
    for model in ["fake", "fake-401", "fake-busy", "fake-401"] {
        api.run(&prompt(model, "once")).await;
    }
    let mut streamed = prompt("fake", "word by word");
    streamed["stream"] = json!(true);
    api.post("/v1/chat/completions", &streamed).await.expect(200);
    api.submit(&prompt("fake-500", "again and again")).await;
    telegram.says(&["breaker_open", "fake-500"], LIMIT).await;
    // Breaks off when the provider has told its input's tokens: a cost for nothing.
    let mut wasted = prompt("claude", "never mind");
    wasted["stream"] = json!(true);
    assert_eq!(api.run(&wasted).await["status"], "failed");
    telegram.says(&["resolved", "no_worker"], LIMIT).await;
}

async fn metrics_of(process: &Process) -> String {
    reqwest::get(format!("{}/metrics", process.base())).await.unwrap().text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_expression_speaks_of_what_is_exported() {
    let telegram = Telegram::start().await;
    let fake = Provider::start("fake").await;
    let claude = Provider::speaking(Speech::Messages, "claude").await;
    let plan = Cluster::plan().workers(0).redis().provider(&fake).provider(&claude).telegram(&telegram);
    let plan = plan.set("ALERTS__HOLD", "1s").set("ALERTS__INTERVAL", "500ms").set("TELEGRAM__GROUP_WAIT", "500ms");
    // A budget of nothing is spent at once; nobody is at the address of heartbeat and webhook.
    let plan = plan.set("ALERTS__RULES__BUDGET__DAILY_DOLLARS", "0.000001").set("HEARTBEAT__INTERVAL", "1s");
    let plan =
        plan.set("HEARTBEAT__URL", &fake.base()).set("WEBHOOK__URL", &fake.base()).set("WEBHOOK__SECRET", SECRET);
    let mut cluster = plan.set("RETRY__INITIAL", "20ms").set("BREAKER__FAILURES", "3").start().await;
    everything_happens(&mut cluster, &telegram, [&fake, &claude]).await;
    let targets: Vec<_> = cluster.roles().map(address).collect();
    let prometheus = Prometheus::start(&targets, None).await;
    for role in cluster.roles() {
        promtool(&["check", "metrics"], &metrics_of(role).await).unwrap_or_else(|fault| panic!("{role:?}: {fault}"));
    }
    let mut expressions = expressions::of_rules(&prometheus).await;
    expressions.extend(expressions::of_dashboards());
    assert!(expressions.len() > 100, "{} expressions", expressions.len());
    until("series for every expression", LIMIT, async || {
        // A rate needs something that goes on.
        cluster.api().run(&prompt("fake", "once more")).await;
        let mut faults = BTreeSet::new();
        for expression in &expressions {
            faults.extend(expression.faults(&prometheus).await);
        }
        check(faults.is_empty(), format!("{faults:#?}"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_prometheus_finds_reaches_operators() {
    let telegram = Telegram::start().await;
    let provider = Provider::start("fake").await;
    provider.script("fake", [Act::Hold]);
    provider.script("fake-500", [vec![Act::Refuse(500, None); 3], vec![Act::Answer]].concat());
    let plan = Cluster::plan().telegram(&telegram).provider(&provider).set("WORKER__SLOTS", "5");
    let plan = plan.set("RETRY__INITIAL", "20ms").set("BREAKER__FAILURES", "3").set("BREAKER__OPEN_FOR", "15s");
    let mut cluster = plan.start().await;
    let alertmanager = Alertmanager::start(cluster.ingress.base(), KEY_ADMIN).await;
    let targets: Vec<_> = cluster.roles().map(address).collect();
    let lost = address(&cluster.workers[0]);
    let _prometheus = Prometheus::start(&targets, Some(alertmanager.address())).await;
    let api = cluster.api();
    let broken = api.submit(&prompt("fake-500", "x")).await;
    telegram.says(&["PortBrokerBreakerOpen", "fake-*"], LIMIT).await;

    for _ in 0..510 {
        api.submit(&prompt("fake", "waiting")).await;
    }
    telegram.says(&["PortBrokerQueueBacklog"], LIMIT).await;
    cluster.workers.remove(0).kill9();
    telegram.says(&["PortBrokerNoWorker"], LIMIT).await;
    telegram.says(&["PortBrokerReplicaLost", &lost], LIMIT).await;

    cluster.add_worker().await;
    provider.release();
    for alert in ["PortBrokerNoWorker", "PortBrokerQueueBacklog", "PortBrokerBreakerOpen"] {
        telegram.says(&["resolved", alert], LIMIT).await;
    }
    assert_eq!(api.ended(&broken).await["status"], "completed");
}

//! Summaries of sessions: one job a range, no turn that waits for it, and no harm when there is none.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use harness::api::{Api, JOB_LIMIT};
use harness::cluster::{Cluster, KEY_TWO, Plan};
use harness::provider::{Act, Call, Provider};
use harness::wait::{check, until};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::records::fixture;
use crate::sessions::{asked, holds, session, stored, turn};

const MODEL: &str = "summaries";

const ENCRYPTION_KEY: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";

/// A provider of `fake`, and of a model of the same prices that sums up as these acts say.
async fn provider(acts: impl Into<Vec<Act>>) -> Provider {
    let model = format!("name = \"{MODEL}\"\ninput_price = 2.0\noutput_price = 8.0");
    let provider = Provider::start("fake").await.serving(&model);
    provider.script(MODEL, acts);
    provider
}

/// A range is two turns, and one turn behind it.
fn plan(provider: &Provider) -> Plan {
    let plan = Cluster::plan().provider(provider).set("SESSIONS__SUMMARY_MODEL", MODEL);
    plan.set("SESSIONS__SUMMARY_AFTER", "4").set("SESSIONS__SUMMARY_KEEP", "2")
}

fn says(text: &str) -> Act {
    Act::Say(text.to_owned())
}

/// A turn of some 35 tokens, with room for so many.
fn long_turn(name: &str, number: usize, budget: u32) -> Value {
    let mut body = turn("fake", name, &format!("turn {number} of {name} {}", "word ".repeat(30)));
    body["context"] = json!({"budget": budget});
    body
}

async fn runs(api: &Api, name: &str, numbers: std::ops::RangeInclusive<usize>) {
    for number in numbers {
        assert_eq!(api.run(&long_turn(name, number, 4000)).await["status"], "completed");
    }
}

/// Waits until the session's summary covers its turns up to this one.
async fn covers(api: &Api, name: &str, turns: u64) -> Value {
    until("summary", JOB_LIMIT, async || {
        let read = api.get(&format!("/v1/sessions/{name}")).await;
        check(read.status == 200 && read.body["summary"]["covers_turns"] == turns, &read.text).map(|()| read.body)
    })
    .await
}

/// The summary jobs in the caller's history, newest first.
async fn jobs(api: &Api) -> Vec<Value> {
    let page = api.get("/v1/jobs?internal=true&limit=100").await.expect(200).body;
    let all = page["data"].as_array().unwrap().iter();
    all.filter(|job| job["summarizes"].is_object()).cloned().collect()
}

/// Waits until history has as many ended ones.
async fn ended_jobs(api: &Api, count: usize) -> Vec<Value> {
    until("summary jobs", JOB_LIMIT, async || {
        let found = jobs(api).await;
        let ended = found.iter().filter(|job| !job["finished_at"].is_null()).count();
        check(found.len() == count && ended == count, format!("{found:?}")).map(|()| found)
    })
    .await
}

fn outcome(word: &str) -> String {
    format!(r#"portbroker_session_summaries_total{{outcome="{word}"}}"#)
}

/// The texts of system messages.
fn standing(call: &Call) -> Vec<String> {
    asked(call).into_iter().filter(|(role, _)| role == "system").map(|(_, text)| text).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_long_session_drops_is_told_in_short() {
    let provider = provider([says("They counted to two."), says("They counted to four.")]).await;
    let cluster = plan(&provider).workers(2).start().await;
    let api = cluster.api();
    runs(&api, "s", 1..=3).await;
    let read = covers(&api, "s", 2).await;
    assert_eq!(read["summary"]["text"], "They counted to two.");

    let calls = provider.calls_of(MODEL);
    assert_eq!((calls.len(), &calls[0].body["max_completion_tokens"]), (1, &json!(1024)));
    let prompt = calls[0].prompt();
    let heard = |number: usize| prompt.contains(&format!("user: turn {number} of s"));
    assert!(heard(1) && heard(2) && !heard(3), "{prompt}");

    let job = api.run(&long_turn("s", 4, 200)).await;
    assert_eq!((&job["status"], &job["context"]["summary_used"]), (&json!("completed"), &json!(true)), "{job}");
    assert!(job["context"]["tokens_after"].as_u64() <= Some(200), "{job}");
    let told = standing(provider.calls_of("fake").last().unwrap());
    assert_eq!(told, ["Summary of the conversation before what follows:\nThey counted to two."]);
    runs(&api, "s", 5..=5).await;
    covers(&api, "s", 4).await;
    assert!(provider.calls_of(MODEL)[1].prompt().contains("They counted to two."), "the next one goes on from it");

    let mut plain = long_turn("s", 6, 200);
    plain["context"]["summarize"] = json!(false);
    let job = api.run(&plain).await;
    assert_eq!(job["context"]["summary_used"], false, "{job}");
    runs(&api, "s", 7..=9).await;
    assert_eq!(provider.calls_of(MODEL).len(), 2, "the session wants no more of them");
    let mut wanted = long_turn("s", 10, 200);
    wanted["context"]["summarize"] = json!(true);
    assert_eq!(api.run(&wanted).await["context"]["summary_used"], true);
    covers(&api, "s", 8).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_summary_is_its_sessions_tenants_to_pay_for_and_to_read() {
    let provider = provider([says("They counted to two.")]).await;
    let cluster = plan(&provider).set("SESSIONS__ENCRYPTION_KEY", ENCRYPTION_KEY).start().await;
    let (api, stranger) = (cluster.api(), cluster.api_of(KEY_TWO));
    runs(&api, "s", 1..=3).await;
    covers(&api, "s", 2).await;
    let found = ended_jobs(&api, 1).await;
    let (job, range) = (&found[0], &found[0]["summarizes"]);
    assert_eq!((&job["status"], &job["lane"], &job["model"]), (&json!("completed"), &json!("low"), &json!(MODEL)));
    assert_eq!((&range["session"], &range["after"], &range["up_to"]), (&json!("s"), &json!(0), &json!(2)), "{job}");
    let usage = |name: &str| job["usage"][name].as_i64().unwrap();
    let cost = 2 * usage("input_tokens") + 8 * usage("output_tokens");
    assert_eq!(job["attempts"][0]["cost_micros"], cost, "{job}");

    let id = job["id"].as_str().unwrap();
    assert_eq!(api.job(id).await["summarizes"], *range);
    let listed = api.get("/v1/jobs").await.expect(200).body;
    let listed: Vec<_> = listed["data"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap()).collect();
    assert!(listed.len() == 3 && !listed.contains(&id), "no client submitted it: {listed:?}");
    assert!(jobs(&stranger).await.is_empty());
    stranger.get(&format!("/v1/jobs/{id}")).await.expect(404);

    let store = fixture::open("", &cluster.folder().join("data"));
    let days = store.usage("one", "2000-01-01", "9999-12-31").await.unwrap();
    let paid: Vec<_> = days.iter().filter(|day| day.model == MODEL).map(|day| (day.jobs, day.input_tokens)).collect();
    assert_eq!(paid, [(1, usage("input_tokens"))]);
    let audited = cluster.workers[0].child().lines();
    assert!(audited.iter().any(|line| line.contains("\"target\":\"audit\"") && line.contains("\"summarize\"")));
    assert!(!audited.iter().any(|line| line.contains("They counted")));
    assert_eq!(session(&api, "s").await["summary"]["text"], "They counted to two.");
    assert!(!holds(&stored(&cluster).await, "They counted"), "it is encrypted like all of its session");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_turn_waits_for_a_summary() {
    let provider = provider([Act::Hold]).await;
    let cluster = plan(&provider).workers(2).start().await;
    let api = cluster.api();
    runs(&api, "s", 1..=3).await;
    provider.open(1).await;
    runs(&api, "s", 4..=5).await;
    let job = api.run(&long_turn("s", 6, 200)).await;
    assert_eq!((&job["status"], &job["context"]["summary_used"]), (&json!("completed"), &json!(false)), "{job}");
    assert_eq!(session(&api, "s").await["summary"], Value::Null);
    assert_eq!(provider.calls_of(MODEL).len(), 1, "one a range, however many turns there are meanwhile");
    provider.release();
    covers(&api, "s", 4).await;
    assert_eq!(provider.calls_of(MODEL).len(), 2);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_summary_turns_are_only_dropped() {
    let provider = provider([Act::Refuse(400, None)]).await;
    let cluster = plan(&provider).start().await;
    let api = cluster.api();
    runs(&api, "s", 1..=3).await;
    cluster.workers[0].counts(&outcome("failed"), 1).await;
    for number in 4..=6 {
        let job = api.run(&long_turn("s", number, 200)).await;
        assert_eq!((&job["status"], &job["context"]["summary_used"]), (&json!("completed"), &json!(false)), "{job}");
        let context = &job["context"];
        assert!(context["messages_after"].as_u64() < context["messages_before"].as_u64(), "{job}");
    }
    assert_eq!(provider.calls_of(MODEL).len(), 1, "not again within the hour");
    assert_eq!(ended_jobs(&api, 1).await[0]["status"], "failed");
    let status = api.get("/health/queue/status").await.expect(200).body;
    assert_eq!(status["total"]["dead_letters"], 0, "nobody would replay it: {status}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_failed_is_asked_for_again_later() {
    let provider = provider([Act::Refuse(400, None), says("At last.")]).await;
    let cluster = plan(&provider).set("SESSIONS__SUMMARY_TTL", "3s").start().await;
    let api = cluster.api();
    runs(&api, "s", 1..=3).await;
    until("summary", JOB_LIMIT, async || {
        runs(&api, "s", 4..=4).await;
        let read = session(&api, "s").await;
        check(read["summary"]["text"] == "At last.", &read["summary"])
    })
    .await;
    let found = jobs(&api).await;
    let ranges: Vec<_> = found.iter().map(|job| &job["summarizes"]["up_to"]).filter(|up_to| **up_to == 2).collect();
    assert!(ranges.len() >= 2, "{found:?}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_has_forgotten_takes_no_summary() {
    let provider = provider([Act::Hold]).await;
    let cluster = plan(&provider).start().await;
    let api = cluster.api();
    for name in ["cleared", "deleted"] {
        runs(&api, name, 1..=3).await;
    }
    provider.open(2).await;
    api.post("/v1/sessions/cleared/clear", &json!({})).await.expect(200);
    api.send(api.request(Method::DELETE, "/v1/sessions/deleted")).await.expect(204);
    runs(&api, "deleted", 4..=4).await;
    provider.release();
    cluster.workers[0].counts(&outcome("outdated"), 2).await;
    for name in ["cleared", "deleted"] {
        assert_eq!(session(&api, name).await["summary"], Value::Null, "{name}");
    }
    runs(&api, "cleared", 5..=7).await;
    covers(&api, "cleared", 5).await;
    cluster.stop().await;
}

const SESSIONS: usize = 5;
const TURNS: usize = 12;
/// More would leave a busy machine no worker that lives for long enough.
const DEATHS: usize = 8;

/// Every turn of one session, the next as soon as the one before is accepted.
async fn talk(api: Api, name: String) {
    let mut last = String::new();
    for number in 1..=TURNS {
        let (body, key) = (long_turn(&name, number, 4000), format!("{name}-{number}"));
        let accepted = until("an accepted turn", JOB_LIMIT, async || {
            let request = api.request(Method::POST, "/v1/jobs").header("idempotency-key", &key).json(&body);
            let answer = api.try_send(request).await.map_err(|error| error.to_string())?;
            check(answer.status == 202, &answer.text).map(|()| answer.body)
        });
        last = harness::api::job_id(&accepted.await);
    }
    api.ended(&last).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_is_one_job_whichever_workers_die() {
    let slow = Act::Slow(Duration::from_millis(50));
    let provider = provider([slow.clone()]).await;
    provider.script("fake", [slow]);
    let plan = plan(&provider).workers(3).short_leases().set("WORKER__MAX_UNRESOLVED", "1000");
    let mut cluster = plan.set("BREAKER__FAILURES", "100000").start().await;
    let (api, done) = (cluster.api(), CancellationToken::new());
    let names: Vec<_> = (0..SESSIONS).map(|number| format!("s{number}")).collect();
    let mut load = JoinSet::new();
    let (client, ended, all) = (api.clone(), done.clone(), names.clone());
    load.spawn(async move {
        join_all(all.into_iter().map(|name| talk(client.clone(), name))).await;
        ended.cancel();
    });
    let mut deaths = 0;
    while done.run_until_cancelled(tokio::time::sleep(Duration::from_secs(1))).await.is_some() {
        if deaths < DEATHS {
            cluster.workers.remove(0).kill9();
            deaths += 1;
            cluster.add_worker().await;
        }
    }
    load.join_next().await.unwrap().unwrap();
    // Whoever died may have been about to ask: the next turn does.
    for name in &names {
        runs(&api, name, TURNS + 1..=TURNS + 1).await;
        covers(&api, name, TURNS as u64).await;
    }
    let mut ranges: BTreeMap<String, Vec<(u64, u64)>> = BTreeMap::new();
    for job in ended_jobs(&api, SESSIONS * TURNS / 2).await {
        let range = &job["summarizes"];
        let ends = (range["after"].as_u64().unwrap(), range["up_to"].as_u64().unwrap());
        ranges.entry(range["session"].as_str().unwrap().to_owned()).or_default().push(ends);
    }
    for name in &names {
        ranges.get_mut(name).unwrap().sort_unstable();
        let expected: Vec<_> = (0..TURNS as u64 / 2).map(|range| (range * 2, range * 2 + 2)).collect();
        assert_eq!(ranges[name], expected, "{name}");
    }
    println!("{} summaries, each of one job: {deaths} deaths", SESSIONS * TURNS / 2);
    assert!(deaths >= 2, "only {deaths}");
}

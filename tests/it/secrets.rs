//! Keys, tokens and prompts are known strings here, and none of them may appear where it does not belong.

use harness::api::prompt;
use harness::cluster::{Cluster, KEY_ADMIN, KEY_ONE, KEY_TWO};
use harness::provider::{Act, Provider};
use harness::telegram::{Telegram, Trouble};
use reqwest::Method;
use serde_json::json;

const PROMPT: &str = "zebra-crossing-prompt-4711";
const STRANGER: &str = "stranger-key-that-nobody-knows";
const DATABASE_PASSWORD: &str = "Pa55-of-the-database";
const SAMPLE: usize = 1000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_log_line_tells_a_secret() {
    let telegram = Telegram::start().await;
    let provider = Provider::start("fake").await;
    let acts = [Act::TellCredential, Act::Refuse(500, None), Act::Refuse(400, None), Act::Die(2), Act::Garbage];
    for (number, act) in acts.into_iter().enumerate() {
        provider.script(&format!("fake-{number}"), [act, Act::Answer]);
    }
    let plan = Cluster::plan().provider(&provider).telegram(&telegram).redis();
    let plan = plan.set("LOG__LEVEL", "debug").set("RETRY__INITIAL", "20ms").set("TELEGRAM__GROUP_WAIT", "100ms");
    // A database that is not there: connecting to it fails again and again, with its address at hand.
    let database = format!("postgres://portbroker:{DATABASE_PASSWORD}@127.0.0.1:1/portbroker");
    let mut cluster = plan.set("DATABASE__URL", &database).start().await;
    let api = cluster.api();
    telegram.trouble([Trouble::Reset, Trouble::Fail(500)]);
    cluster.api_of(KEY_ADMIN).post("/v1/alerts/test", &json!({})).await.expect(202);
    let mut shown = Vec::new();
    for number in 0..60 {
        let model = if number % 2 == 0 { "echo".to_owned() } else { format!("fake-{}", number % 5) };
        let job = api.run(&prompt(&model, PROMPT)).await;
        shown.push(job["error"].to_string() + &job["attempts"].to_string());
        cluster.api_of(STRANGER).post("/v1/jobs", &prompt("echo", PROMPT)).await.expect(401);
        let broken = format!("{{\"model\": \"echo\", \"messages\": [{{\"role\": \"{PROMPT}\"");
        let request = api.request(Method::POST, "/v1/jobs").header("content-type", "application/json").body(broken);
        shown.push(api.send(request).await.expect(400).text);
        shown.push(cluster.api_of(KEY_TWO).post("/v1/jobs", &json!({"model": "x", PROMPT: 1})).await.expect(400).text);
    }
    telegram.says(&["test"], harness::api::JOB_LIMIT).await;
    cluster.redis.as_mut().unwrap().stop();
    api.run(&prompt("echo", PROMPT)).await;
    cluster.stop().await;

    let secrets = [KEY_ONE, KEY_TWO, KEY_ADMIN, STRANGER, DATABASE_PASSWORD, provider.credential(), telegram.token()];
    let lines: Vec<_> = cluster.roles().flat_map(|role| role.child().lines()).collect();
    assert!(lines.len() >= SAMPLE, "only {} lines to look at", lines.len());
    for line in &lines {
        let told = secrets.iter().chain([&PROMPT]).find(|secret| line.contains(**secret));
        assert_eq!(told, None, "in the log line {line}");
    }
    for text in shown.iter().chain(&telegram.texts()) {
        assert_eq!(secrets.iter().find(|secret| text.contains(**secret)), None, "in {text}");
    }
    for line in lines.iter().filter(|line| line.starts_with('{')) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
    }
}

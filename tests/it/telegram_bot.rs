//! Operators in their chats: buttons and commands do what they say, for those who may and nobody else; alerts go where
//! routes lead, wait through the night, and are summed up once a day.

mod day;
mod emptied;

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::jetstream;
use harness::api::prompt;
use harness::cluster::{Cluster, Plan};
use harness::process::{Process, Role};
use harness::provider::{Act, Provider};
use harness::telegram::{Chat, GROUP, Limits, Message, Telegram, Trouble, User};
use harness::wait::{check, until};
use runtime::clock;
use schemas::alert::{AlertEvent, AlertKind, AlertState, Severity};
use schemas::{envelope, subject};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(240);
const ANN: User = User { id: 7, name: "ann" };
const EVE: User = User { id: 666, name: "eve" };
const OTHER: i64 = GROUP - 7;
const TOPIC: i64 = 42;

fn event(kind: AlertKind, severity: Severity, concern: &str) -> AlertEvent {
    AlertEvent {
        kind,
        severity,
        state: AlertState::Firing,
        labels: BTreeMap::from([("concern".to_owned(), concern.to_owned())]),
        summary: format!("{concern} is unwell"),
        value: None,
        threshold: None,
        at: clock::now(),
        source: "test".to_owned(),
    }
}

async fn publish(cluster: &Cluster, event: &AlertEvent) {
    let stream = jetstream::new(cluster.nats.client().await);
    let subject = subject::alert(event.severity, event.kind);
    stream.publish(subject, envelope::encode(event).unwrap()).await.unwrap().await.unwrap();
}

/// A chat that takes a call a second for as long as it is asked, so that people need not wait.
async fn chatty() -> Telegram {
    let telegram =
        Telegram::with_limits(Limits { chat_per_second: 1, group_per_minute: 1000, overall_per_second: 30 }).await;
    telegram.set_chat(OTHER, Chat::Group);
    telegram
}

/// Ann may do what she likes; no rule of ours disturbs her.
fn plan(telegram: &Telegram) -> Plan {
    let plan = Cluster::plan().workers(0).telegram(telegram).set("ALERTS__HOLD", "1h");
    let plan = plan.set("TELEGRAM__ALLOWED_USERS", "[7]").set("TELEGRAM__GROUP_WAIT", "100ms");
    plan.set("TELEGRAM__MESSAGES_PER_MINUTE", "1000").set("TELEGRAM__DAILY_DIGEST", "")
}

/// The newest message that holds all of `words`, once it also has what `wanted` says.
async fn message(telegram: &Telegram, words: &[&str], wanted: impl Fn(&Message) -> bool) -> Message {
    until(&format!("message with {words:?}"), LIMIT, async || {
        let messages = telegram.messages();
        let holds = |message: &&Message| words.iter().all(|word| message.text().contains(word)) && wanted(message);
        messages.iter().rev().find(holds).cloned().ok_or_else(|| format!("the messages are {messages:#?}"))
    })
    .await
}

fn labels(message: &Message) -> Vec<&str> {
    message.buttons.iter().map(|(label, _)| label.as_str()).collect()
}

/// What a press is answered with.
async fn press(telegram: &Telegram, user: User, message: &Message, label: &str) -> String {
    let before = telegram.toasts().len();
    telegram.presses(user, message, label);
    until("answer to a press", LIMIT, async || {
        telegram.toasts().get(before).map(|toast| toast.text.clone()).ok_or("none")
    })
    .await
}

/// The first message that answers a command.
async fn command(telegram: &Telegram, text: &str) -> Message {
    let asked = telegram.writes(GROUP, None, ANN, text);
    message(telegram, &[], |message| message.reply_to == Some(asked)).await
}

#[tokio::test]
async fn the_bot_api_hands_out_updates_as_telegram_does() {
    let telegram = chatty().await;
    let ask = async |method: &str, body: Value| -> (u16, Value) {
        let url = format!("{}/bot{}/{method}", telegram.url(), telegram.token());
        let answer = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    };
    let button = |data: &str| json!({"inline_keyboard": [[{"text": "Press", "callback_data": data}]]});
    let send = |data: &str| json!({"chat_id": GROUP, "text": "x", "reply_markup": button(data)});
    assert_eq!(ask("sendMessage", send(&"x".repeat(65))).await.1["description"], "Bad Request: BUTTON_DATA_INVALID");
    assert_eq!(ask("sendMessage", send(&"x".repeat(64))).await.0, 200);
    telegram.writes(GROUP, None, ANN, "hello");
    telegram.presses(ANN, &telegram.messages()[0], "Press");
    let (_, first) = ask("getUpdates", json!({"limit": 1})).await;
    assert_eq!(first["result"][0]["message"]["text"], "hello");
    let again = ask("getUpdates", json!({})).await.1;
    assert_eq!((&again["result"][0], again["result"].as_array().unwrap().len()), (&first["result"][0], 2));
    let offset = first["result"][0]["update_id"].as_i64().unwrap() + 1;
    let press = ask("getUpdates", json!({"offset": offset})).await.1["result"][0]["callback_query"].clone();
    assert_eq!(press["data"], "x".repeat(64));
    let answer = json!({"callback_query_id": press["id"], "text": "done"});
    assert_eq!(ask("answerCallbackQuery", answer.clone()).await.0, 200);
    assert_eq!(ask("answerCallbackQuery", answer).await.0, 400, "a press is answered once");
    assert!(!telegram.is_settled(), "nobody has confirmed the press");
    let poll = || ask("getUpdates", json!({"offset": offset + 1, "timeout": 50}));
    let (first, second, ()) = tokio::join!(
        poll(),
        async {
            until("a poll that waits", LIMIT, async || check(telegram.is_settled(), "nothing is confirmed")).await;
            poll().await
        },
        async {
            let ended = || telegram.calls().iter().any(|call| call.status == 409);
            until("the end of the first poll", LIMIT, async || check(ended(), "it waits")).await;
            telegram.writes(GROUP, None, ANN, "news");
        },
    );
    assert_eq!((first.0, second.0, &second.1["result"][0]["message"]["text"]), (409, 200, &json!("news")));
    telegram.set_webhook(true);
    assert_eq!(ask("getUpdates", json!({})).await.0, 409);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn buttons_do_what_they_say() {
    let telegram = chatty().await;
    let mut cluster = plan(&telegram).start().await;
    publish(&cluster, &event(AlertKind::Disk, Severity::Warning, "a<b>&c")).await;
    let told = message(&telegram, &["WARNING: disk", "concern: a<b>&c"], |_| true).await;
    assert_eq!(labels(&told), ["Acknowledge", "Resolve", "Silence 1 h", "Silence 8 h", "Details"]);

    assert_eq!(press(&telegram, EVE, &told, "Resolve").await, "You may not do this here.");
    assert_eq!(press(&telegram, ANN, &told, "Acknowledge").await, "Acknowledged.");
    let told = message(&telegram, &["Acknowledged: ", " by @ann"], |_| true).await;
    assert_eq!(labels(&told)[0], "Unacknowledge");
    assert_eq!(press(&telegram, ANN, &told, "Unacknowledge").await, "Unacknowledged.");
    let told = message(&telegram, &["WARNING: disk"], |told| labels(told)[0] == "Acknowledge").await;
    assert!(!told.text().contains("Acknowledged"), "{}", told.text());

    let answer = press(&telegram, ANN, &told, "Silence 1 h").await;
    let id = answer.split_once("/unsilence ").unwrap().1.split(' ').next().unwrap().to_owned();
    message(&telegram, &["WARNING: disk", "Silenced: until ", " by @ann"], |_| true).await;
    assert!(command(&telegram, "/silences").await.text().contains(&format!("{id} until ")));
    assert_eq!(command(&telegram, &format!("/unsilence {id}")).await.text(), "The silence is over.");
    assert_eq!(command(&telegram, "/silences").await.text(), "Nothing is silenced.");
    message(&telegram, &["WARNING: disk", "Continued in a newer message."], |told| labels(told) == ["Details"]).await;

    // What was done outlives the process.
    cluster.alerting.take().unwrap().kill9();
    cluster.start_alerting().await;
    let told = message(&telegram, &["WARNING: disk", "its silence being over"], |told| labels(told).len() == 5).await;
    assert_eq!(press(&telegram, ANN, &told, "Resolve").await, "Resolved.");
    let told = message(&telegram, &["RESOLVED: disk", " by @ann"], |told| labels(told) == ["Details"]).await;
    let details = press(&telegram, ANN, &told, "Details").await;
    assert_eq!(details, "See the answer below.");
    let details = message(&telegram, &["Details of disk", "a<b>&c is unwell"], |_| true).await;
    assert_eq!(details.reply_to, Some(told.id));
    assert!(telegram.is_settled());
    let telling = |message: &&Message| message.text().contains(": disk") && message.text().contains("First seen: ");
    assert_eq!(
        telegram.messages().iter().filter(telling).count(),
        2,
        "one message of the alert, and one after its silence: {:#?}",
        telegram.texts()
    );

    let log = cluster.alerting.as_ref().unwrap().child().lines();
    let audited = |words: &[&str]| log.iter().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(audited(&["\"audit\"", "operator acted", "\"resolve\"", "\"user.id\":7", "\"done\""]), "{log:#?}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_are_answered_with_what_is_so() {
    let telegram = chatty().await;
    let provider = Provider::start("fake").await;
    provider.script("fake", [Act::Refuse(500, None), Act::Refuse(500, None), Act::Answer]);
    let plan = plan(&telegram).workers(1).provider(&provider).set("RETRY__MAX_ATTEMPTS", "2");
    let cluster =
        plan.set("RETRY__INITIAL", "20ms").set("BREAKER__FAILURES", "2").set("BREAKER__OPEN_FOR", "2s").start().await;
    let api = cluster.api();
    assert_eq!(api.run(&prompt("fake", "dies")).await["status"], "failed");
    let dead = api.get("/v1/dead").await.expect(200).body["data"][0]["id"].as_str().unwrap().to_owned();

    let help = command(&telegram, "/help").await;
    for word in ["/status", "/queue", "/incidents", "/silence", "/silences", "/dead", "/replay", "/breakers", "/test"] {
        assert!(help.text().contains(word), "{}", help.text());
    }
    let status = command(&telegram, "/status").await;
    assert!(status.text().contains("Queue: healthy, 0 waiting"), "{}", status.text());
    assert!(status.text().contains("Alerts open: "), "{}", status.text());
    let queue = until("a worker in the answer", LIMIT, async || {
        let queue = command(&telegram, "/queue@fake_bot").await;
        check(queue.text().contains("Workers: 1 alive, 0 of 100 slots in use"), queue.text())
    });
    queue.await;
    let list = command(&telegram, "/dead").await;
    assert!(list.text().contains(&format!("{dead} fake of one: provider_overloaded")), "{}", list.text());
    assert!(command(&telegram, "/breakers").await.text().contains("reaker"));
    message(&telegram, &[": dead_letter"], |_| true).await;
    assert!(command(&telegram, "/incidents").await.text().contains("dead_letter"));

    let replayed = command(&telegram, &format!("/replay {dead}")).await;
    let child = replayed.text().rsplit(' ').next().unwrap().to_owned();
    let job = api.ended(&child).await;
    assert_eq!((&job["status"], &job["parent"]), (&"completed".into(), &dead.clone().into()), "{job}");
    let nothing = command(&telegram, "/replay job_00000000000000000000000000").await;
    assert_eq!(nothing.text(), "There is no such dead job.");
    assert!(command(&telegram, "/replay").await.text().contains("Usage: /replay <id>"));
    assert!(command(&telegram, "/silence 2h").await.text().contains("Usage: /silence <time> <matcher>"));
    let silenced = command(&telegram, "/silence 2h kind=test -- quiet please").await;
    assert!(silenced.text().starts_with("Silenced until "), "{}", silenced.text());
    assert!(command(&telegram, "/silences").await.text().contains("kind=\"test\": quiet please"));
    let id = silenced.text().split_once("/unsilence ").unwrap().1.split(' ').next().unwrap().to_owned();
    command(&telegram, &format!("/unsilence {id}")).await;
    command(&telegram, "/test").await;
    message(&telegram, &["INFO: test", "the path from PortBroker to this chat works"], |_| true).await;
    assert!(telegram.calls().iter().all(|call| !call.early));
    assert!(telegram.messages().iter().all(|message| !message.text().contains(provider.credential())));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_else_is_listened_to() {
    let telegram = chatty().await;
    telegram.set_webhook(true);
    let cluster = plan(&telegram).start().await;
    let refused = || telegram.calls().iter().filter(|call| call.method == "getupdates" && call.status == 409).count();
    until("a refused poll", LIMIT, async || check(refused() > 0, "none")).await;
    telegram.set_webhook(false);
    telegram.writes(GROUP, None, EVE, "/status");
    telegram.writes(OTHER, None, ANN, "/status");
    telegram.writes(GROUP, None, ANN, "/status@other_bot");
    telegram.writes(GROUP, None, ANN, "good morning");
    let answer = command(&telegram, "/help").await;
    let answers: Vec<_> = telegram.messages().iter().filter_map(|message| message.reply_to).collect();
    assert_eq!(answers, [answer.reply_to.unwrap()], "only the last is answered");
    let log = cluster.alerting.as_ref().unwrap().child().lines();
    let refusals = |outcome: &str, user: &str| {
        let of = |line: &&String| line.contains("operator refused") && line.contains(outcome) && line.contains(user);
        log.iter().filter(of).count()
    };
    assert_eq!(refusals("\"stranger\"", "\"user.id\":666"), 1, "{log:#?}");
    assert_eq!(refusals("\"elsewhere\"", "\"user.id\":7"), 1, "{log:#?}");
    cluster.stop().await;
}

/// From an hour before now until one to two minutes from now.
fn until_soon() -> String {
    let minute = clock::now().as_secs().rem_euclid(86_400) / 60;
    let at = |minute: i64| format!("{:02}:{:02}", minute.rem_euclid(1440) / 60, minute.rem_euclid(60));
    format!("{}-{}", at(minute - 60), at(minute + 2))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn routes_lead_to_topics_and_keep_the_night_quiet() {
    let telegram = chatty().await;
    let mut cluster = plan(&telegram).start().await;
    cluster.alerting.take().unwrap().stop(LIMIT).await;
    for concern in ["a", "b"] {
        publish(&cluster, &event(AlertKind::Memory, Severity::Warning, concern)).await;
    }
    publish(&cluster, &event(AlertKind::Disk, Severity::Warning, "c")).await;
    publish(&cluster, &event(AlertKind::Memory, Severity::Critical, "d")).await;
    let topic = format!(r#"{{ matchers = ["kind=disk"], chat = "{OTHER}", topic = {TOPIC} }}"#);
    let routes = format!(r#"[{topic}, {{ matchers = ["kind=memory"], quiet = "{}" }}]"#, until_soon());
    let mut environment = cluster.environment().clone();
    environment.insert("PORTBROKER_TELEGRAM__ROUTES".to_owned(), routes);
    cluster.alerting = Some(Process::start(Role::Alerting, &environment).await);

    let disk = message(&telegram, &["WARNING: disk"], |_| true).await;
    assert_eq!((disk.chat, disk.topic), (OTHER, Some(TOPIC)));
    let critical = message(&telegram, &["CRITICAL: memory", "concern: d"], |_| true).await;
    assert_eq!((critical.chat, critical.topic), (GROUP, None));
    let asked = telegram.writes(OTHER, Some(TOPIC), ANN, "/incidents");
    // That alerting was away is one more alert, if anybody noticed.
    let open = ["Open alerts: ", "concern=a", "concern=b", "concern=c", "concern=d"];
    let answer = message(&telegram, &open, |message| message.reply_to == Some(asked)).await;
    assert_eq!((answer.chat, answer.topic), (OTHER, Some(TOPIC)));
    let waited = message(&telegram, &[" alerts, ", "concern=a", "concern=b"], |_| true).await;
    assert_eq!(waited.chat, GROUP);
    assert!(waited.id > critical.id && waited.id > disk.id);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_general_topic_closes_no_other_and_is_not_asked_twice() {
    let telegram = chatty().await;
    telegram.close_topic(OTHER, None);
    let routes = format!(r#"[{{ matchers = ["kind=disk"], chat = "{OTHER}", topic = {TOPIC} }}]"#);
    let plan = plan(&telegram).set("TELEGRAM__ROUTES", &routes).set("TELEGRAM__CHAT_ID_CRITICAL", &OTHER.to_string());
    let cluster = plan.start().await;
    let disk = event(AlertKind::Disk, Severity::Warning, "a");
    publish(&cluster, &disk).await;
    let told = message(&telegram, &["WARNING: disk"], |_| true).await;
    publish(&cluster, &AlertEvent { state: AlertState::Resolved, ..disk }).await;
    let answers = |notice: &Message| notice.reply_to == Some(told.id) && notice.topic == Some(TOPIC);
    message(&telegram, &[], answers).await;
    publish(&cluster, &event(AlertKind::Memory, Severity::Critical, "b")).await;
    let fallen_back = message(&telegram, &["CRITICAL: memory"], |_| true).await;
    assert_eq!((fallen_back.chat, fallen_back.topic), (GROUP, None));
    assert_eq!(telegram.calls().iter().filter(|call| call.chat == OTHER && call.status == 400).count(), 1);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_to_the_receiver_holds_everybody() {
    let telegram = chatty().await;
    telegram.trouble([Trouble::Throttle(4)]);
    let cluster = plan(&telegram).set("TELEGRAM__GROUP_WAIT", "500ms").start().await;
    until("a throttled call", LIMIT, async || check(telegram.calls().iter().any(|call| call.status == 429), "none"))
        .await;
    publish(&cluster, &event(AlertKind::Disk, Severity::Warning, "a")).await;
    message(&telegram, &["WARNING: disk"], |_| true).await;
    let calls = telegram.calls();
    assert_eq!((calls[0].method.as_str(), calls[0].status), ("getme", 429));
    assert!(calls.iter().all(|call| !call.early), "{calls:#?}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_text_is_cut_and_told_in_parts() {
    let telegram = chatty().await;
    let cluster = plan(&telegram).set("TELEGRAM__PORTAL_URL", "https://jobs.example.com/").start().await;
    let words: Vec<_> = (0..1500).map(|number| format!("w{number}<b>&")).collect();
    let secret = "sk-live-0123456789abcdef";
    let mut long = event(AlertKind::ErrorRate, Severity::Critical, "long");
    long.summary = format!("مرحبا \u{0} {secret} {} 😀", words.join(" "));
    publish(&cluster, &long).await;
    let told = message(&telegram, &["CRITICAL: error_rate", "مرحبا", "***"], |_| true).await;
    assert!(told.text().encode_utf16().count() <= 4096 && told.text().ends_with("All of it"), "{}", told.text());
    press(&telegram, ANN, &told, "Details").await;
    let last = words.last().unwrap();
    message(&telegram, &[last, "😀"], |part| part.reply_to == Some(told.id)).await;
    let parts: Vec<_> = telegram.messages().into_iter().filter(|part| part.reply_to == Some(told.id)).collect();
    let shown: Vec<_> = parts.iter().flat_map(|part| part.text().split_whitespace()).collect();
    for word in &words {
        assert!(shown.contains(&word.as_str()), "{word} is lost");
    }
    assert!(telegram.texts().iter().all(|text| !text.contains(secret)));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_told_once_or_not_at_all() {
    let telegram = chatty().await;
    let cluster = plan(&telegram).start().await;
    command(&telegram, "/help").await;
    telegram.trouble([Trouble::LostAnswer]);
    let first = command(&telegram, "/silences").await;
    let second = command(&telegram, "/silences").await;
    let answers = telegram.messages().iter().filter(|message| message.reply_to == first.reply_to).count();
    assert_eq!((answers, first.text()), (1, second.text()));
    cluster.stop().await;
}

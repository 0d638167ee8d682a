//! Streams when something dies: no client mistakes a broken stream for an answer, and each can go on.

use std::time::Duration;

use harness::api::{Api, prompt};
use harness::cluster::{Cluster, KEY_ONE};
use harness::process::{Process, Role};
use harness::provider::{Act, Ending, Provider};
use harness::wait::{check, until};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(60);
const TEXT: &str = "one two three four five six seven eight nine ten";
/// How far the provider comes before it waits.
const HEARD: &str = "fake: one two ";
const PAUSE: Act = Act::Pause(3);
/// The numbers of one run's events.
const RUN: u64 = 1_000_000;

/// A stream of events on its way.
struct Stream {
    response: Response,
    text: String,
}

impl Stream {
    async fn open(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        Self { response, text: String::new() }
    }

    /// Reads until all that the provider said before it paused has been heard.
    async fn heard(&mut self) {
        while said(&self.events()) != HEARD {
            let bytes = self.response.chunk().await.unwrap();
            let bytes = bytes.unwrap_or_else(|| panic!("it ended early: {}", self.text));
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    /// Reads to the end, or to where it breaks.
    async fn end(&mut self) -> Result<(), reqwest::Error> {
        while let Some(bytes) = self.response.chunk().await? {
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
        Ok(())
    }

    /// The whole events so far.
    fn events(&self) -> Vec<Value> {
        let whole = self.text.rsplit_once("\n\n").map_or("", |(whole, _)| whole);
        let data = whole.lines().filter_map(|line| line.strip_prefix("data: "));
        data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
    }
}

/// The text in the events of any of the APIs.
fn said(events: &[Value]) -> String {
    let piece = |event: &Value| match event["type"].as_str() {
        Some("response.output_text.delta") => event["delta"].as_str().map(str::to_owned),
        Some(_) => event["delta"]["text"].as_str().map(str::to_owned),
        None => event["choices"][0]["delta"]["content"].as_str().map(str::to_owned),
    };
    events.iter().filter_map(piece).collect()
}

fn number(event: &Value) -> u64 {
    event["sequence_number"].as_u64().unwrap()
}

/// The events are numbered from `first` on, say the whole answer and end with it.
#[track_caller]
fn whole_from(first: u64, events: &[Value]) {
    let numbers: Vec<_> = events.iter().map(number).collect();
    assert_eq!(numbers, (first..first + events.len() as u64).collect::<Vec<_>>());
    assert_eq!(said(events), format!("fake: {TEXT}"));
    let last = events.last().unwrap();
    assert_eq!((&last["type"], &last["response"]["status"]), (&json!("response.completed"), &json!("completed")));
}

/// A streamed request for a response.
fn ask(api: &Api, model: &str, background: bool) -> RequestBuilder {
    let body = json!({"model": model, "input": TEXT, "stream": true, "background": background});
    api.request(Method::POST, "/v1/responses").json(&body)
}

/// The events of a response, behind the one with the number `after`, to its end.
async fn read(api: &Api, id: &str, after: Option<u64>) -> Vec<Value> {
    let after = after.map(|number| format!("&starting_after={number}")).unwrap_or_default();
    let mut stream = Stream::open(api.request(Method::GET, &format!("/v1/responses/{id}?stream=true{after}"))).await;
    stream.end().await.unwrap();
    stream.events()
}

/// One more ingress, with a history of its own: two processes do not share a SQLite file.
async fn second_ingress(cluster: &Cluster) -> Process {
    let mut environment = cluster.environment().clone();
    let url = format!("sqlite:{}", cluster.folder().join("second.sqlite").display());
    environment.insert("PORTBROKER_DATABASE__URL".to_owned(), url);
    Process::start(Role::Ingress, &environment).await
}

/// Stops an ingress in the middle of a background response, goes on at another one, and reads all of it at the first one
/// once that is back. `ended` looks at how the first stream ended.
async fn goes_on(stop: fn(&Process), ended: fn(Result<(), reqwest::Error>, &mut Vec<Value>)) {
    let provider = Provider::start("fake").await;
    provider.script("fake", [PAUSE]);
    let cluster = Cluster::plan().provider(&provider).set("SHUTDOWN__GRACE", "2s").start().await;
    let other = second_ingress(&cluster).await;
    let mut stream = Stream::open(ask(&cluster.api(), "fake", true)).await;
    stream.heard().await;
    stop(&cluster.ingress);
    let end = stream.end().await;
    let mut seen = stream.events();
    let last = number(seen.last().unwrap());
    ended(end, &mut seen);
    let id = seen[0]["response"]["id"].as_str().unwrap();

    let api = Api::new(other.base(), KEY_ONE);
    let mut resumed =
        Stream::open(api.request(Method::GET, &format!("/v1/responses/{id}?stream=true&starting_after={last}"))).await;
    provider.release();
    resumed.end().await.unwrap();
    let whole = [seen.clone(), resumed.events()].concat();
    whole_from(0, &whole);

    cluster.ingress.child().end(LIMIT).await;
    let address = cluster.ingress.base().trim_start_matches("http://");
    let back = Process::launch_at(address, Role::Ingress, cluster.environment());
    until("ready ingress", LIMIT, async || check(back.is_ready().await, "not yet")).await;
    assert_eq!(read(&cluster.api(), id, None).await, whole);
    assert_eq!(read(&cluster.api(), id, Some(last)).await, resumed.events());
    assert_eq!(provider.calls().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_a_killed_ingress_goes_on_at_another() {
    goes_on(Process::kill9, |end, _seen| assert!(end.is_err(), "a clean end")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_a_stopped_ingress_goes_on_at_another() {
    goes_on(Process::terminate, |end, seen| {
        end.unwrap();
        let error = seen.pop().unwrap();
        assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!("unavailable")), "{error}");
        assert_eq!(number(&error), number(seen.last().unwrap()), "whoever goes on behind it loses nothing");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_a_killed_worker_is_no_answer_and_the_next_one_is_whole() {
    let provider = Provider::start("fake").await;
    let models = ["fake-chat", "fake-messages", "fake-response", "fake-background"];
    models.iter().for_each(|model| provider.script(model, [PAUSE, Act::Answer]));
    let mut cluster = Cluster::plan().short_leases().provider(&provider).start().await;
    let api = cluster.api();
    let mut body = prompt("fake-chat", TEXT);
    body["stream"] = json!(true);
    let chat = api.request(Method::POST, "/v1/chat/completions").json(&body);
    body["model"] = json!("fake-messages");
    body["max_tokens"] = json!(100);
    let message = api.request(Method::POST, "/v1/messages").json(&body);
    let asked = [chat, message, ask(&api, "fake-response", false), ask(&api, "fake-background", true)];
    let mut streams = Vec::new();
    for request in asked {
        let mut stream = Stream::open(request).await;
        stream.heard().await;
        streams.push(stream);
    }
    cluster.workers.remove(0).kill9();
    provider.open(0).await;
    cluster.add_worker().await;

    for (stream, model) in streams.iter_mut().zip(models) {
        stream.end().await.unwrap();
        let events = stream.events();
        let last = events.last().unwrap();
        assert!(last["error"]["message"].is_string() || last["type"] == "error", "{model}: {last}");
        assert_eq!(said(&events), HEARD, "{model}");
        for end in ["[DONE]", "finish_reason\":\"", "message_stop", "message_delta", "response.completed"] {
            assert!(!stream.text.contains(end), "{model}: {}", stream.text);
        }
    }
    let seen = streams.pop().unwrap().events();
    let id = seen[0]["response"]["id"].as_str().unwrap();
    let anew = read(&api, id, None).await;
    whole_from(RUN, &anew);
    assert_eq!(read(&api, id, Some(number(seen.last().unwrap()))).await, anew, "all of it is news");
    assert_eq!(read(&api, id, Some(RUN + 3)).await, anew[4..]);
    let endings = provider.calls_of("fake-background").iter().map(|call| call.ending).collect::<Vec<_>>();
    assert_eq!(endings, [Ending::Dropped, Ending::Answered]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_that_failed_says_so_to_whoever_goes_on() {
    let provider = Provider::start("fake").await;
    provider.script("fake", [Act::Stall(3)]);
    let plan = Cluster::plan().provider(&provider).set("WORKER__IDLE_TIMEOUT", "2s");
    let cluster = plan.start().await;
    let api = cluster.api();
    let mut stream = Stream::open(ask(&api, "fake", true)).await;
    stream.end().await.unwrap();
    let events = stream.events();
    let (id, last) = (events[0]["response"]["id"].as_str().unwrap(), events.last().unwrap());
    assert_eq!((&last["type"], said(&events).as_str()), (&json!("response.failed"), HEARD));
    for after in [None, Some(number(last) - 1), Some(number(last))] {
        let told = read(&api, id, after).await;
        let end = told.last().unwrap();
        assert_eq!((&end["type"], &end["response"]["error"]), (&last["type"], &last["response"]["error"]));
        assert!(after.is_none_or(|after| number(end) > after), "{end}");
    }
}

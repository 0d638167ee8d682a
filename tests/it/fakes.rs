//! The fakes themselves: they must refuse what the real ones refuse, or every other test means little.

use std::time::Duration;

use futures::StreamExt;
use harness::nats::Nats;
use harness::provider::{Act, Provider, Speech};
use harness::proxy::{Link, Proxy};
use harness::telegram::{Chat, GROUP, Limits, Telegram};
use harness::wait::{check, until};
use runtime::clock;
use serde_json::{Value, json};
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(60);

struct Asked {
    status: u16,
    body: Value,
}

async fn ask(url: &str, key: &str, body: &Value) -> Asked {
    let request = reqwest::Client::new().post(url).bearer_auth(key).json(body);
    let response = request.send().await.unwrap();
    Asked { status: response.status().as_u16(), body: response.json().await.unwrap_or(Value::Null) }
}

#[tokio::test]
async fn the_provider_refuses_what_openai_refuses() {
    let provider = Provider::start("fake").await.forgiving();
    let catalog = provider.catalog();
    let base = catalog.lines().find_map(|line| line.strip_prefix("base_url = ")).unwrap().trim_matches('"').to_owned();
    let url = format!("{base}/chat/completions");
    let user = json!({"role": "user", "content": "hi"});
    let call = json!({"role": "assistant", "content": null,
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
    let result = json!({"role": "tool", "tool_call_id": "c", "content": "x"});
    for bad in [
        json!({"messages": [user]}),
        json!({"model": "fake", "messages": []}),
        json!({"model": "fake", "messages": [user], "nonsense": 1}),
        json!({"model": "fake", "messages": [user], "stream_options": {"include_usage": true}}),
        json!({"model": "fake", "messages": [user], "max_tokens": 0}),
        json!({"model": "fake", "messages": [user], "temperature": 3}),
        json!({"model": "fake", "messages": [user], "tool_choice": "auto"}),
        json!({"model": "fake", "messages": [{"role": "user", "content": null}]}),
        json!({"model": "fake", "messages": [{"role": "user", "content": "x", "extra": {}}]}),
        json!({"model": "fake", "messages": [result]}),
        json!({"model": "fake", "messages": [user, call]}),
        json!({"model": "fake", "messages": [user, call, user]}),
        json!({"model": "fake", "messages": [user, call, result, result]}),
        json!({"model": "fake", "messages": [{"role": "assistant", "content": "x"}, user]}),
    ] {
        assert_eq!(ask(&url, provider.credential(), &bad).await.status, 400, "{bad}");
    }
    assert_eq!(ask(&url, "sk-wrong", &json!({"model": "fake", "messages": [user]})).await.status, 401);
    let good = ask(&url, provider.credential(), &json!({"model": "fake", "messages": [user, call, result]})).await;
    assert_eq!((good.status, &good.body["choices"][0]["message"]["content"]), (200, &json!("fake: hi")));
}

/// The status that a provider answers `body` with.
async fn status_of(provider: &Provider, path: &str, body: &Value) -> u16 {
    let catalog = provider.catalog();
    let base = catalog.lines().find_map(|line| line.strip_prefix("base_url = ")).unwrap().trim_matches('"').to_owned();
    let request = reqwest::Client::new().post(format!("{base}{path}")).bearer_auth(provider.credential());
    let request = request.header("x-api-key", provider.credential()).header("anthropic-version", "2023-06-01");
    request.json(body).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn the_provider_refuses_what_anthropic_refuses() {
    let provider = Provider::speaking(Speech::Messages, "fake").await.forgiving();
    let user = |content: Value| json!({"role": "user", "content": content});
    let call = json!({"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "f", "input": {}}]});
    let result = user(json!([{"type": "tool_result", "tool_use_id": "c", "content": "x"}]));
    let with = |more: Value| {
        let mut body = json!({"model": "fake", "max_tokens": 9, "messages": [user(json!("hi"))]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for bad in [
        json!({"max_tokens": null}),
        json!({"nonsense": 1}),
        json!({"temperature": 1.5}),
        json!({"system": ""}),
        json!({"messages": []}),
        json!({"messages": [call, result]}),
        json!({"messages": [user(json!("hi")), call]}),
        json!({"messages": [user(json!("hi")), result]}),
        json!({"messages": [{"role": "system", "content": "x"}]}),
        json!({"messages": [user(json!([{"type": "text", "text": " "}]))]}),
        json!({"messages": [user(json!([{"type": "input_text", "text": "x"}]))]}),
        json!({"tools": [{"name": "f"}]}),
        json!({"tool_choice": {"type": "any"}}),
        json!({"output_config": {"format": {"type": "json_schema", "name": "x", "schema": {}}}}),
    ] {
        assert_eq!(status_of(&provider, "/messages", &with(bad.clone())).await, 400, "{bad}");
    }
    let good = with(json!({"messages": [user(json!("hi")), call, result]}));
    assert_eq!(status_of(&provider, "/messages", &good).await, 200);
}

#[tokio::test]
async fn the_provider_refuses_what_the_responses_api_refuses() {
    let provider = Provider::speaking(Speech::Responses, "fake").await.forgiving();
    let user = json!({"role": "user", "content": "hi"});
    let call = json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"});
    let output = json!({"type": "function_call_output", "call_id": "c", "output": "x"});
    let with = |more: Value| {
        let mut body = json!({"model": "fake", "store": false, "input": [user]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for bad in [
        json!({"store": true}),
        json!({"messages": []}),
        json!({"input": []}),
        json!({"input": [user, call]}),
        json!({"input": [user, output]}),
        json!({"input": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}),
        json!({"input": [{"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}]}),
        json!({"max_output_tokens": 0}),
        json!({"tools": [{"type": "function", "function": {"name": "f"}}]}),
        json!({"text": {"format": {"type": "json_schema", "schema": {}}}}),
    ] {
        assert_eq!(status_of(&provider, "/responses", &with(bad.clone())).await, 400, "{bad}");
    }
    assert_eq!(status_of(&provider, "/responses", &with(json!({"input": [user, call, output]}))).await, 200);
}

#[tokio::test]
async fn the_bot_api_refuses_what_telegram_refuses() {
    let limits = Limits { chat_per_second: 100, group_per_minute: 6, overall_per_second: 100 };
    let telegram = Telegram::with_limits(limits).await;
    telegram.set_chat(-5, Chat::Forbidden);
    telegram.set_chat(-6, Chat::MovedTo(-7));
    let send = async |method: &str, body: Value| {
        ask(&format!("{}/bot{}/{method}", telegram.url(), telegram.token()), "", &body).await
    };
    let text = |text: &str| json!({"chat_id": GROUP, "text": text, "parse_mode": "HTML"});
    let sent = send("SendMessage", text("<b>one</b> &lt;")).await;
    assert_eq!((sent.status, &sent.body["result"]["text"]), (200, &json!("one <")));
    for (body, status, description) in [
        (text("a < b"), 400, "Bad Request: can't parse entities: Unsupported start tag \"\" at byte offset 2"),
        (text(&"é".repeat(4097)), 400, "Bad Request: message is too long"),
        (text(" "), 400, "Bad Request: message text is empty"),
        (json!({"chat_id": 99, "text": "x"}), 400, "Bad Request: chat not found"),
        (json!({"chat_id": -5, "text": "x"}), 403, "Forbidden: bot was kicked from the supergroup chat"),
    ] {
        let refused = send("sendMessage", body).await;
        assert_eq!((refused.status, refused.body["description"].as_str()), (status, Some(description)));
    }
    let moved = send("sendMessage", json!({"chat_id": "-6", "text": "x"})).await;
    assert_eq!(moved.body["parameters"]["migrate_to_chat_id"], -7);
    let mut edit = text("<b>one</b> &lt;");
    edit["message_id"] = sent.body["result"]["message_id"].clone();
    let unchanged = send("editMessageText", edit.clone()).await;
    assert!(unchanged.body["description"].as_str().unwrap().contains("message is not modified"));
    edit["text"] = json!("two");
    assert_eq!(send("editMessageText", edit).await.status, 200);
    assert_eq!(telegram.texts(), ["two"]);
    assert_eq!(send("sendMessage", text("😀".repeat(2048).as_str())).await.status, 200);
    let mut last = send("sendMessage", text("x")).await;
    for _ in 0..3 {
        last = send("sendMessage", text("x")).await;
    }
    assert_eq!(last.status, 429);
    assert!(last.body["parameters"]["retry_after"].as_u64() >= Some(50), "{}", last.body);
    assert!(telegram.calls().last().unwrap().early, "it came before retry_after had passed");
    let wrong = ask(&format!("{}/bot1:x/getMe", telegram.url()), "", &json!({})).await;
    assert_eq!(wrong.status, 401);
}

#[tokio::test]
async fn a_link_can_be_cut_and_mended() {
    let provider = Provider::start("fake").await;
    provider.script("fake-slow", [Act::Hold]);
    let catalog = provider.catalog();
    let start = catalog.find("127.0.0.1").unwrap();
    let proxy = Proxy::start(&catalog[start..start + catalog[start..].find('/').unwrap()]).await;
    let url = format!("http://{}/v1/chat/completions", proxy.address());
    let ask = async |model: &str| {
        let body = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
        let client = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
        client
            .post(&url)
            .bearer_auth(provider.credential())
            .json(&body)
            .send()
            .await
            .map(|answer| answer.status().as_u16())
    };
    assert_eq!(ask("fake").await.unwrap(), 200);
    let (broken, ()) = tokio::join!(ask("fake-slow"), async {
        provider.open(1).await;
        proxy.set(Link::Cut);
    });
    assert!(broken.is_err());
    let cut = clock::now();
    until("no connection", LIMIT, async || check(!proxy.was_used(clock::now(), clock::now()), "one stands")).await;
    assert!(ask("fake").await.is_err());
    assert!(proxy.was_used(cut, clock::now()), "a refused connection is in the book");
    proxy.set(Link::Up);
    assert_eq!(ask("fake").await.unwrap(), 200);
}

/// Whether what is published at one server is heard at another.
async fn crosses(from: &Nats, to: &Nats) -> Result<(), String> {
    let (sender, receiver) = (from.client().await, to.client().await);
    let mut heard = receiver.subscribe("across").await.unwrap();
    receiver.flush().await.unwrap();
    // The other server hears of the subscription only by the way that is asked about.
    for _ in 0..20 {
        sender.publish("across", "".into()).await.unwrap();
        sender.flush().await.unwrap();
        if timeout(Duration::from_millis(50), heard.next()).await.is_ok() {
            return Ok(());
        }
    }
    Err("nothing was heard".to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_cut_off_finds_no_way_round() {
    let ([a, b, c], routes) = Nats::cluster_of_proxies().await;
    let proxies = || routes.iter().filter(|(from, to, _)| *from == 0 || *to == 0).map(|(_, _, proxy)| proxy);
    until("a way from a to b", LIMIT, async || crosses(&a, &b).await).await;
    proxies().for_each(|proxy| proxy.set(Link::Cut));
    until("an end of it", LIMIT, async || check(crosses(&a, &b).await.is_err(), "it is still heard")).await;
    let cut = clock::now();
    // All have tried again meanwhile, and have not got through.
    until("another try", LIMIT, async || check(proxies().all(|proxy| proxy.was_used(cut, clock::now())), "none")).await;
    crosses(&a, &c).await.unwrap_err();
    crosses(&c, &b).await.unwrap();
    proxies().for_each(|proxy| proxy.set(Link::Up));
    until("a way from a to c", LIMIT, async || crosses(&a, &c).await).await;
}

//! Thousands of broken requests of a seeded generator: each gets a 4xx with our body, and memory stays where it was.

use std::sync::Arc;

use bytes::Bytes;
use harness::api::prompt;
use harness::cluster::{Cluster, KEY_ONE};
use harness::raw_http::{Body, Request, send};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// The long form is asked for by `PORTBROKER_TEST_LONG=1`.
const SHORT: usize = 1500;
const LONG: usize = 10_000;
const AT_ONCE: usize = 16;
const MOST_MEMORY: u64 = 64 << 20;

const NATIVE: &str = "/v1/jobs";
const OPENAI: &str = "/v1/chat/completions";

fn valid() -> Value {
    json!({
        "model": "echo", "temperature": 1, "max_tokens": 10, "stop": ["a"], "metadata": {"k": "v"},
        "messages": [{"role": "system", "content": "be"}, {"role": "user", "content": "well, hello there"}],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    })
}

fn wrong(rng: &mut StdRng) -> Value {
    let huge = "9".repeat(400);
    let values = [json!(["x"]), json!({"a": {}}), json!(-3.5), json!(true), json!(1e300), json!(huge)];
    values.choose(rng).unwrap().clone()
}

/// One field that cannot be what it is.
fn wrong_type(rng: &mut StdRng) -> Value {
    let mut body = valid();
    let paths = [
        "/messages",
        "/messages/0",
        "/messages/0/role",
        "/messages/1/role",
        "/model",
        "/temperature",
        "/max_tokens",
        "/stop/0",
        "/tools",
        "/tools/0",
        "/tools/0/function",
        "/tools/0/function/name",
        "/metadata",
    ];
    let path = paths.choose(rng).unwrap();
    let place = body.pointer_mut(path).unwrap();
    let before = place.clone();
    // A text is a wrong number, and everything but a text is a wrong text.
    *place = match before {
        Value::String(_) => [json!(7), json!(["x"]), json!({}), json!(false)].choose(rng).unwrap().clone(),
        Value::Number(_) => [json!("hot"), json!([1]), json!({}), json!(-1)].choose(rng).unwrap().clone(),
        Value::Array(_) => [json!(7), json!({"a": 1}), json!(true)].choose(rng).unwrap().clone(),
        _ => [json!(7), json!("x"), json!([[]]), json!(true)].choose(rng).unwrap().clone(),
    };
    body
}

fn native_only(rng: &mut StdRng) -> Value {
    let mut body = valid();
    let fields = ["lane", "not_before", "deadline", "session", "context", "on_ambiguous"];
    match rng.random_range(0..2) {
        0 => body[*fields.choose(rng).unwrap()] = wrong(rng),
        _ => body[format!("unknown_{}", rng.random::<u16>())] = wrong(rng),
    }
    body
}

fn nested(rng: &mut StdRng) -> Vec<u8> {
    let depth = rng.random_range(100..200_000);
    let (open, close) = if rng.random() { ("[", "]") } else { ("{\"a\":", "}") };
    format!("{{\"model\":\"echo\",\"messages\":{}1{}}}", open.repeat(depth), close.repeat(depth)).into_bytes()
}

fn bad_utf8(rng: &mut StdRng) -> Vec<u8> {
    let mut bytes = valid().to_string().into_bytes();
    let at = String::from_utf8_lossy(&bytes).find("hello").unwrap();
    let broken: [&[u8]; 5] = [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\xe2\x82"];
    bytes.splice(at..at, broken.choose(rng).unwrap().iter().copied());
    bytes
}

fn no_object(rng: &mut StdRng) -> Vec<u8> {
    let random: Vec<u8> = (0..rng.random_range(1..300)).map(|_| rng.random()).collect();
    let texts: [&[u8]; 8] = [b"", b"null", b"[]", b"\"text\"", b"17", b"{}", b"{\"model\":\"echo\"}", b"\x00\x00"];
    if rng.random() { random } else { texts.choose(rng).unwrap().to_vec() }
}

fn broken_bytes(rng: &mut StdRng) -> Vec<u8> {
    let whole = valid().to_string();
    match rng.random_range(0..5) {
        0 => whole.as_bytes()[..rng.random_range(1..whole.len())].to_vec(),
        1 => format!("{whole}{}", ["x", "{}", "]", "\u{0}"].choose(rng).unwrap()).into_bytes(),
        2 => nested(rng),
        3 => bad_utf8(rng),
        _ => no_object(rng),
    }
}

fn request(rng: &mut StdRng) -> Request {
    let path = *[NATIVE, OPENAI].choose(rng).unwrap();
    let mut headers = vec![format!("authorization: Bearer {KEY_ONE}"), "content-type: application/json".to_owned()];
    let (mut target, mut body) = (format!("POST {path}"), Body::Bytes(Bytes::from(valid().to_string())));
    match rng.random_range(0..150) {
        0 => body = Body::Long(100 << 20),
        1 => body = Body::Chunked(100 << 20),
        2..10 => headers[0] = "authorization: Bearer who-knows-this-key".to_owned(),
        10..20 => {
            headers[1] = format!(
                "content-type: {}",
                ["text/plain", "application/xml", "multipart/form-data"].choose(rng).unwrap()
            )
        }
        20..25 => target = format!("{} {path}", ["PUT", "DELETE", "PATCH"].choose(rng).unwrap()),
        25..30 => target = format!("POST {path}/nowhere/{}", rng.random::<u32>()),
        30..35 => headers.push(format!("idempotency-key: {}", "k".repeat(rng.random_range(256..2000)))),
        35..60 => {
            target = format!("POST {NATIVE}");
            body = Body::Bytes(Bytes::from(native_only(rng).to_string()));
        }
        60..100 => body = Body::Bytes(Bytes::from(wrong_type(rng).to_string())),
        _ => body = Body::Bytes(Bytes::from(broken_bytes(rng))),
    }
    Request { target, headers, body }
}

/// Our error body, in the words of the API that was called.
fn has_our_body(target: &str, text: &str) -> bool {
    let Ok(body) = serde_json::from_str::<Value>(text) else { return false };
    let openai = target.contains(OPENAI);
    let (object, fields): (&Value, &[&str]) = if openai {
        (&body["error"], &["message", "type"])
    } else {
        (&body, &["code", "message", "category", "trace_id"])
    };
    fields.iter().all(|field| object[field].is_string()) && (openai || body["retriable"].is_boolean())
}

fn summary(request: &Request) -> String {
    let body = match &request.body {
        Body::Bytes(bytes) => String::from_utf8_lossy(&bytes[..bytes.len().min(400)]).into_owned(),
        other => format!("{other:?}"),
    };
    format!("{} {:?} {body}", request.target, request.headers)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_requests_are_refused_and_cost_no_memory() {
    let cluster = Cluster::plan().start().await;
    let api = cluster.api();
    api.run(&prompt("echo", "warm")).await;
    let idle = cluster.ingress.peak_memory();
    let count = if std::env::var_os("PORTBROKER_TEST_LONG").is_some_and(|value| value == "1") { LONG } else { SHORT };
    let address: Arc<str> = cluster.ingress.base().trim_start_matches("http://").into();
    let (mut rng, room, mut sending) =
        (StdRng::seed_from_u64(20_260_131), Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
    for _ in 0..count {
        let (request, address) = (request(&mut rng), Arc::clone(&address));
        let permit = Arc::clone(&room).acquire_owned().await.unwrap();
        sending.spawn(async move {
            let answer = send(&address, &request).await;
            drop(permit);
            let Ok((status, body)) = answer else { panic!("{answer:?} to {}", summary(&request)) };
            assert!((400..500).contains(&status), "{status} {body} to {}", summary(&request));
            assert!(has_our_body(&request.target, &body), "{status} {body:?} to {}", summary(&request));
        });
        while sending.try_join_next().transpose().unwrap().is_some() {}
    }
    sending.join_all().await;

    let grown = cluster.ingress.peak_memory().saturating_sub(idle);
    println!("peak memory grew by {} MiB above {} MiB idle", grown >> 20, idle >> 20);
    assert!(grown <= MOST_MEMORY, "peak memory grew by {} MiB", grown >> 20);
    assert_eq!(api.run(&prompt("echo", "still here")).await["status"], "completed");
    let panics: Vec<_> = cluster.ingress.child().lines().into_iter().filter(|line| line.contains("panic")).collect();
    assert!(panics.is_empty(), "{panics:#?}");
    cluster.stop().await;
}

//! The table of fields against the code: each field is taken out of a body that has it, and what changes is what the
//! table says.

use serde_json::{Value, json};

use super::fixtures::{bytes, whole_request, whole_response, whole_stream};
use super::stream::{decode, encode_from, events, spoken, with_custom_tool};
use super::{generous, reply};
use crate::catalog::Quirks;
use crate::chat::{Block, ChatRequest, Message, Reasoning, Role, Sampling, ToolResult};
use crate::dialect::fields::{Field, Treatment};
use crate::dialect::openai_chat;
use crate::dialect::openai_responses::{
    Decoded, FIELDS, KNOWN_FIELDS, NAME, decode_request, decode_response, encode_request, encode_response,
};

/// Read and not kept: they say nothing to anybody behind us.
const SAY_NOTHING: [&str; 9] = [
    "response.output[].role",
    "input[].status",
    "input[].content[].logprobs",
    "response.object",
    "response.created_at",
    "response.completed_at",
    "response.output[].status",
    "response.usage.total_tokens",
    "response.instructions",
];

/// What only an answer that is not completed tells; the tests of whole answers and of streams have them.
const OF_OTHER_ENDS: [&str; 7] = [
    "response.status",
    "response.error",
    "response.incomplete_details.reason",
    "stream.response.incomplete",
    "stream.response.failed",
    "stream.error",
    "stream.obfuscation",
];

fn rows(prefix: &str) -> Vec<Field> {
    let others = ["response.", "stream.", "neutral."];
    let own = |field: &&Field| {
        let is_other = others.iter().any(|other| field.path.starts_with(other));
        if prefix.is_empty() { !is_other } else { field.path.starts_with(prefix) }
    };
    FIELDS.iter().filter(own).copied().collect()
}

/// Takes every field at `path` out of `value`; gives how many there were.
fn take_out(value: &mut Value, path: &str) -> usize {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let (name, is_list) = name.strip_suffix("[]").map_or((name, false), |name| (name, true));
    let Some(fields) = value.as_object_mut() else { return 0 };
    let Some(rest) = rest else { return usize::from(fields.shift_remove(name).is_some()) };
    match fields.get_mut(name) {
        Some(Value::Array(items)) if is_list => items.iter_mut().map(|item| take_out(item, rest)).sum(),
        Some(inner) if !is_list => take_out(inner, rest),
        _ => 0,
    }
}

/// `value` without what is only carried: fields under this dialect's name, and opaque blocks.
fn stripped(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(name, _)| *name != NAME && *name != "echo");
            let kept = kept.map(|(name, value)| (name.clone(), stripped(value)));
            kept.filter(|(name, value)| name != "extra" || *value != json!({})).collect()
        }
        Value::Array(items) => items.iter().filter(|item| item["type"] != "opaque").map(stripped).collect(),
        other => other.clone(),
    }
}

/// All that a request says, to the model and of its answer.
fn neutral(decoded: &Decoded) -> Value {
    json!([decoded.request, decoded.options])
}

fn to_provider(decoded: &Decoded) -> Value {
    encode_request(&decoded.request, "m", &generous()).0
}

/// A body that has the field at `path`, and the same without it.
fn with_and_without(path: &str) -> (Value, Value) {
    let item = |item: Value| json!({"model": "m", "input": [item, {"role": "user", "content": "hi"}]});
    let plain = |name: &str, value: Value| json!({"model": "m", "input": "hi", "tools": [{"type": "function", "name": "f"}], name: value});
    let body = match path {
        "include" => plain("include", json!(["file_search_call.results"])),
        "conversation" => plain("conversation", json!("conv_1")),
        "tool_choice" => plain("tool_choice", json!("required")),
        "tool_choice.allowed_tools" => {
            plain("tool_choice", json!({"type": "allowed_tools", "mode": "auto", "tools": []}))
        }
        "store" => plain("store", json!(false)),
        "reasoning.summary" | "reasoning.generate_summary" | "reasoning.context" | "reasoning.mode" => {
            plain("reasoning", json!({path.rsplit('.').next().unwrap(): "auto"}))
        }
        "input[].async" => {
            item(json!({"type": "function_call", "call_id": "a", "name": "f", "arguments": "", "async": true}))
        }
        "input[].content[].logprobs" => item(json!({"role": "assistant", "content": [
            {"type": "output_text", "text": "x", "annotations": [], "logprobs": [{"token": "x"}]}]})),
        "input[].content[].reasoning_text" => {
            item(json!({"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "x"}]}))
        }
        _ => whole_request(),
    };
    let mut without = body.clone();
    let taken = match path {
        "tools[].custom" => without["tools"].as_array_mut().map(|tools| tools.remove(1)).map_or(0, |_| 1),
        "tool_choice.allowed_tools" => take_out(&mut without, "tool_choice"),
        "input[].content[].reasoning_text" => take_out(&mut without, "input[].content"),
        path => take_out(&mut without, path),
    };
    assert!(taken > 0, "no body has {path}");
    (body, without)
}

#[test]
fn every_field_of_a_request_is_treated_as_the_table_says() {
    let mut wrong = Vec::new();
    for Field { path, treatment, .. } in rows("") {
        let seen = match treatment {
            Treatment::Refused => refused(path),
            Treatment::Warned => warned(path),
            Treatment::Carried => request_carries(path),
            Treatment::Mapped => request_maps(path),
        };
        if !seen {
            wrong.push(format!("{path} is not {treatment}"));
        }
    }
    assert_eq!(wrong, [""; 0]);
}

fn refused(path: &str) -> bool {
    let item = json!({"type": path.rsplit('.').next(), "id": "msg_1"});
    decode_request(json!({"model": "m", "input": [item]})).unwrap_err().param.as_deref() == Some("input[0]")
}

fn warned(path: &str) -> bool {
    let (object, name) = path.split_once('.').unwrap();
    let decoded = decode_request(json!({"model": "m", "input": "hi", object: {name: true}})).unwrap();
    decoded.warnings.iter().any(|warning| warning.param.as_deref() == Some(path))
}

fn request_maps(path: &str) -> bool {
    let (body, without) = with_and_without(path);
    let whole = decode_request(body).unwrap();
    assert_eq!(whole.warnings, [], "{path}");
    // What is read and missed was understood.
    let Ok(less) = decode_request(without) else { return true };
    (stripped(&neutral(&whole)) != stripped(&neutral(&less))) != SAY_NOTHING.contains(&path)
}

fn request_carries(path: &str) -> bool {
    let (body, without) = with_and_without(path);
    let whole = decode_request(body).unwrap();
    // Without its messages: only so many warnings are kept.
    let warned = |request: &ChatRequest| {
        let request = ChatRequest { messages: Vec::new(), ..request.clone() };
        openai_chat::encode_request(&request, "m", &Quirks::default()).1.len()
    };
    // A part without its file is none.
    let Ok(less) = decode_request(without) else {
        return to_provider(&whole).to_string().contains(path.rsplit('.').next().unwrap());
    };
    // That there is such a tool is neutral, what it is not.
    let said = |decoded: &Decoded| stripped(&json!(decoded.request));
    let same = path == "tools[].custom" || said(&whole) == said(&less);
    same
        && to_provider(&whole) != to_provider(&less)
        // Of what stands within messages, the other dialect's own tests see to the warnings.
        && (path.starts_with("input[]") || warned(&whole.request) > warned(&less.request))
}

#[test]
fn every_field_of_an_answer_is_treated_as_the_table_says() {
    let decode = |body: &Value| decode_response(body.to_string().as_bytes());
    let whole = decode(&whole_response()).unwrap();
    for Field { path, treatment, .. } in rows("response.").into_iter().filter(|row| !OF_OTHER_ENDS.contains(&row.path))
    {
        let mut without = whole_response();
        assert!(take_out(&mut without, path.strip_prefix("response.").unwrap()) > 0, "no body has {path}");
        let Ok(less) = decode(&without) else {
            assert_eq!(treatment, Treatment::Mapped, "{path}");
            continue;
        };
        let differs = stripped(&json!(whole)) != stripped(&json!(less));
        match treatment {
            Treatment::Mapped => assert_eq!(differs, !SAY_NOTHING.contains(&path), "{path}"),
            Treatment::Carried => {
                let told = |response| encode_response(response, &reply());
                assert!(!differs && told(&whole) != told(&less), "{path}");
            }
            other => panic!("{path} of an answer cannot be {other}"),
        }
    }
}

#[test]
fn what_this_api_cannot_say_is_warned_of_as_the_table_says() {
    for Field { path, treatment, .. } in rows("neutral.") {
        assert_eq!(treatment, Treatment::Warned, "{path}");
        let (_, warnings) = encode_request(&with_neutral(path), "m", &Quirks::default());
        assert_eq!(warnings.len(), 1, "{path}");
    }
}

fn with_neutral(path: &str) -> ChatRequest {
    let mut message = Message::text(Role::User, "hi");
    let mut sampling = Sampling::default();
    match path {
        "neutral.sampling.stop" => sampling.stop.push("END".to_owned()),
        "neutral.sampling.seed" => sampling.seed = Some(1),
        "neutral.sampling.presence_penalty" => sampling.presence_penalty = Some(1.0),
        "neutral.sampling.frequency_penalty" => sampling.frequency_penalty = Some(1.0),
        "neutral.sampling.top_k" => sampling.top_k = Some(1),
        "neutral.sampling.reasoning_budget" => sampling.reasoning_budget = Some(1),
        "neutral.messages[].name" => message.name = Some("ann".to_owned()),
        "neutral.messages[].content[].reasoning" => {
            message =
                Message { role: Role::Assistant, content: vec![Block::Reasoning(Reasoning::text("hm"))], ..message };
        }
        "neutral.messages[].content[].tool_result.is_error" => {
            let (tool_call_id, extra) = ("a".to_owned(), message.extra.clone());
            let result = ToolResult { tool_call_id, content: vec![Block::text("no")], is_error: true, extra };
            message = Message { role: Role::Tool, content: vec![Block::ToolResult(result)], ..message };
        }
        other => panic!("no request has {other}"),
    }
    ChatRequest { messages: vec![message], sampling, ..ChatRequest::default() }
}

#[test]
fn every_event_is_in_the_table() {
    let kinds = |events: &[Value]| -> Vec<String> {
        events.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    };
    assert!(decode(&[&bytes(&whole_stream())]).is_ok());
    let read = kinds(&whole_stream());
    let sent = kinds(&events(&encode_from(&spoken(), with_custom_tool(), None)));
    let table: Vec<_> = rows("stream.").iter().map(|row| row.path.strip_prefix("stream.").unwrap()).collect();
    for kind in read.iter().chain(&sent) {
        assert!(table.iter().any(|path| kind.starts_with(path)), "{kind} is not in the table");
    }
    for path in table.iter().filter(|path| !OF_OTHER_ENDS.contains(&format!("stream.{path}").as_str())) {
        assert!(read.iter().any(|kind| kind.starts_with(path)), "no stream has {path}");
        let only_read = ["queued", "reasoning_text", "web_search_call"].iter().any(|word| path.contains(word));
        assert_eq!(sent.iter().any(|kind| kind.starts_with(path)), !only_read, "{path}");
    }
}

#[test]
fn no_field_is_missing_from_the_table() {
    let is_known = |prefix: &str, path: &str| {
        let begins = |row: &Field| {
            row.path == path || row.path.starts_with(&format!("{path}.")) || row.path.starts_with(&format!("{path}[]"))
        };
        assert!(rows(prefix).iter().any(begins), "{path} is not in the table");
    };
    for name in KNOWN_FIELDS {
        is_known("", name);
    }
    let mapped = [
        "message",
        "reasoning",
        "function_call",
        "custom_tool_call",
        "function_call_output",
        "custom_tool_call_output",
    ];
    let check = |items: &Value, prefix: &str, list: &str| {
        let is_mapped = |item: &&Value| item["type"].as_str().is_none_or(|kind| mapped.contains(&kind));
        for item in items.as_array().unwrap().iter().filter(is_mapped) {
            for name in item.as_object().unwrap().keys() {
                is_known(prefix, &format!("{list}[].{name}"));
            }
            for part in item["content"].as_array().into_iter().flatten() {
                for name in part.as_object().unwrap().keys().filter(|name| *name != "type") {
                    is_known(prefix, &format!("{list}[].content[].{name}"));
                }
            }
        }
    };
    check(&whole_request()["input"], "", "input");
    check(&whole_response()["output"], "response.", "response.output");
}

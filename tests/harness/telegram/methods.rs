//! The methods of the Bot API that alerting may call.

use serde_json::{Value, json};

use super::chats::{Chats, Dress, Refusal};
use super::{html, updates};

/// In UTF-16 units, after parsing.
const MOST_UNITS: usize = 4096;

pub(super) fn run(chats: &mut Chats, method: &str, parameters: &Value) -> Result<Value, Refusal> {
    match method.to_lowercase().as_str() {
        "getme" => Ok(me()),
        "sendmessage" => send(chats, parameters),
        "editmessagetext" => edit(chats, parameters),
        _ => Err(Refusal::new(404, "Not Found")),
    }
}

pub(super) fn chat_id(parameters: &Value) -> i64 {
    let id = &parameters["chat_id"];
    id.as_i64().or_else(|| id.as_str()?.parse().ok()).unwrap_or_default()
}

fn send(chats: &mut Chats, parameters: &Value) -> Result<Value, Refusal> {
    let chat = chat_id(parameters);
    let (text, raw) = text(parameters)?;
    let buttons = updates::buttons(parameters)?;
    chats.admit(chat)?;
    let topic = parameters["message_thread_id"].as_i64();
    chats.admit_topic(chat, topic)?;
    let reply_to = parameters["reply_parameters"]["message_id"].as_i64();
    let id = chats.add(chat, text.clone(), raw, Dress { topic, reply_to, buttons });
    Ok(message(chat, id, &text))
}

fn edit(chats: &mut Chats, parameters: &Value) -> Result<Value, Refusal> {
    let chat = chat_id(parameters);
    let (text, raw) = text(parameters)?;
    let buttons = updates::buttons(parameters)?;
    chats.admit(chat)?;
    let id = parameters["message_id"].as_i64().unwrap_or_default();
    let known = chats.message(chat, id).ok_or_else(|| Refusal::bad("message to edit not found"))?;
    if known.raw == raw && known.buttons == buttons {
        return Err(Refusal::bad(
            "message is not modified: specified new message content and reply markup are exactly the same as a current \
             content and reply markup of the message",
        ));
    }
    (known.raw, known.buttons) = (raw, buttons);
    known.versions.push(text.clone());
    Ok(message(chat, id, &text))
}

/// The text as it is shown, and as it was sent.
fn text(parameters: &Value) -> Result<(String, String), Refusal> {
    let raw = parameters["text"].as_str().ok_or_else(|| Refusal::bad("message text is empty"))?;
    let shown = match parameters["parse_mode"].as_str() {
        None => raw.to_owned(),
        Some("HTML") => html::shown(raw).map_err(|fault| Refusal::bad(&format!("can't parse entities: {fault}")))?,
        Some(_) => return Err(Refusal::bad("unsupported parse_mode")),
    };
    let shown = shown.trim().to_owned();
    match shown.encode_utf16().count() {
        0 => Err(Refusal::bad("message text is empty")),
        1..=MOST_UNITS => Ok((shown, raw.to_owned())),
        _ => Err(Refusal::bad("message is too long")),
    }
}

fn message(chat: i64, id: i64, text: &str) -> Value {
    json!({
        "message_id": id, "date": 1_770_000_000, "text": text, "from": me(),
        "chat": {"id": chat, "type": "supergroup", "title": "operators"},
    })
}

fn me() -> Value {
    json!({
        "id": 7_016_423_519_i64, "is_bot": true, "first_name": "fake", "username": "fake_bot",
        "can_join_groups": true, "can_read_all_group_messages": false, "supports_inline_queries": false,
        "can_connect_to_business": false, "has_main_web_app": false,
    })
}

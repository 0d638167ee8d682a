//! The items that an assistant makes: what a provider answers, and what a client sends back of it.

use serde_json::{Map, Value};

use super::content::{self, Seen};
use super::{NAME, ids, reasoning};
use crate::chat::{Block, Extra, Role, ToolCall};
use crate::dialect::carry::carry;
use crate::dialect::read::{Fields, Mismatch, Path};

/// Under which name a call carries that it is of the kind with free text.
pub(super) const KIND: &str = "type";

/// The call with free text.
pub(super) const CUSTOM_CALL: &str = "custom_tool_call";

/// What a call may carry beyond the neutral form.
const OF_CALLS: [&str; 3] = ["namespace", "caller", "async"];

/// Items of hosted tools and of others that this dialect knows and only carries.
const CARRIED: [&str; 28] = [
    "additional_tools",
    "apply_patch_call",
    "apply_patch_call_output",
    "code_interpreter_call",
    "compaction",
    "compaction_summary",
    "compaction_trigger",
    "computer_call",
    "computer_call_output",
    "configuration_update",
    "context_compaction",
    "file_search_call",
    "image_generation_call",
    "local_shell_call",
    "local_shell_call_output",
    "mcp_approval_request",
    "mcp_approval_response",
    "mcp_call",
    "mcp_list_tools",
    "message",
    "program",
    "program_output",
    "shell_call",
    "shell_call_output",
    "tool_search_call",
    "tool_search_output",
    "web_search_call",
    "web_search_preview_call",
];

/// The blocks of one item of an assistant; `kind` was taken out of `fields`.
pub(super) fn decode(mut fields: Fields<'_>, kind: &str, seen: &mut Seen) -> Result<Vec<Block>, Mismatch> {
    match kind {
        "message" => message(fields, seen),
        "reasoning" => reasoning::decode(fields, seen),
        "function_call" | CUSTOM_CALL => Ok(vec![Block::ToolCall(call(fields, kind, seen)?)]),
        _ => {
            if !CARRIED.contains(&kind) {
                seen.notes.unknown(fields.at("type"));
            }
            fields.put("type", kind);
            let id = fields.take("id");
            let is_ours = id.as_ref().and_then(Value::as_str).is_some_and(ids::is_ours);
            fields.put_some("id", id.filter(|_| !is_ours));
            Ok(vec![opaque(Value::Object(fields.rest()))])
        }
    }
}

/// A whole item that only this dialect knows.
pub(super) fn opaque(value: Value) -> Block {
    Block::Opaque { dialect: NAME.to_owned(), value }
}

/// A message of an assistant: a text from a client, else a list of parts.
fn message(mut fields: Fields<'_>, seen: &mut Seen) -> Result<Vec<Block>, Mismatch> {
    let mut blocks = content::decode(fields.require("content")?, &fields.at("content"), Role::Assistant, seen)?;
    forget(&mut fields, &["id", "status", "role"]);
    if let Some(phase) = fields.string("phase")? {
        if !blocks.iter().any(|block| matches!(block, Block::Text { .. })) {
            seen.notes.unsupported(fields.at("phase").to_string(), "a message without a text has no phase: not sent");
        }
        content::set_phase(&mut blocks, &phase);
    }
    let path = fields.path;
    for name in fields.rest().keys() {
        let field = Path::Field(path, name);
        seen.notes.unknown(field);
        seen.notes.unsupported(field.to_string(), "an assistant's message has no such field: not sent");
    }
    Ok(blocks)
}

/// Ids and states of items say nothing to a provider that keeps no state.
pub(super) fn forget(fields: &mut Fields<'_>, names: &[&str]) {
    for name in names {
        fields.take(name);
    }
}

fn call(mut fields: Fields<'_>, kind: &str, seen: &mut Seen) -> Result<ToolCall, Mismatch> {
    let id = fields.required_text("call_id")?;
    let name = fields.required_text("name")?;
    let arguments = if kind == CUSTOM_CALL { "input" } else { "arguments" };
    let arguments = match fields.take(arguments) {
        // Some servers send it as an object, or leave it out for a function without parameters.
        Some(object @ Value::Object(_)) => object.to_string(),
        Some(other) => crate::dialect::read::string(other, &fields.at(arguments))?,
        None => String::new(),
    };
    let mut own = call_fields(&mut fields, kind);
    forget(&mut fields, &["id", "status"]);
    let path = fields.path;
    let rest = fields.rest();
    rest.keys().for_each(|name| seen.notes.unknown(Path::Field(path, name)));
    own.extend(rest);
    let mut extra = Extra::new();
    carry(&mut extra, NAME, own);
    Ok(ToolCall { id, name, arguments, extra })
}

/// What a call of `kind` has beyond the neutral form.
fn call_fields(fields: &mut Fields<'_>, kind: &str) -> Map<String, Value> {
    let names = OF_CALLS.iter().filter_map(|name| Some(((*name).to_owned(), fields.take(name)?)));
    let custom = (kind == CUSTOM_CALL).then(|| (KIND.to_owned(), Value::from(CUSTOM_CALL)));
    names.chain(custom).collect()
}

/// The same, as a call carries it.
pub(super) fn call_extra(fields: &mut Fields<'_>, kind: &str) -> Extra {
    let mut extra = Extra::new();
    carry(&mut extra, NAME, call_fields(fields, kind));
    extra
}

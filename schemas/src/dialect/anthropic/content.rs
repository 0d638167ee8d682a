//! What a message says: a text, or a list of blocks, taken apart. Those without a neutral form stay whole.

use serde_json::{Map, Value};

use super::{NAME, citations, source};
use crate::chat::{Block, Extra, Reasoning, Role, ToolCall, ToolResult};
use crate::delta::ANNOTATIONS;
use crate::dialect::carry::{Notes, carry};
use crate::dialect::proof;
use crate::dialect::read::{Fields, Mismatch, Path, array};

/// Block types of which the role of the message is known.
const PLACED: [&str; 6] = ["document", "image", "redacted_thinking", "thinking", "tool_result", "tool_use"];

/// Block types that this dialect knows and the neutral form does not.
const OPAQUE: [&str; 19] = [
    "advisor_tool_result",
    "bash_code_execution_tool_result",
    "browser_state",
    "code_execution_tool_result",
    "compaction",
    "container_upload",
    "fallback",
    "mcp_tool_listing",
    "mcp_tool_result",
    "mcp_tool_use",
    "search_result",
    "server_tool_use",
    "text_editor_code_execution_tool_result",
    "tool_addition",
    "tool_reference",
    "tool_removal",
    "tool_search_tool_result",
    "web_fetch_tool_result",
    "web_search_tool_result",
];

/// Fields of blocks that this dialect knows and only carries.
const CARRIED: [&str; 6] = ["cache_control", "caller", "citations", "context", "toolset_name", "transformations"];

/// Who wrote the blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writer {
    /// A client, in a message of this role. Proofs of other dialects come back wrapped from it.
    Client(Role),
    /// A provider, which proves its own reasoning only.
    Provider,
}

impl Writer {
    const fn role(self) -> Role {
        match self {
            Self::Client(role) => role,
            Self::Provider => Role::Assistant,
        }
    }
}

/// Reads content. An empty text is no block: the API takes none.
pub(super) fn decode(value: Value, path: &Path<'_>, writer: Writer, notes: &mut Notes) -> Result<Vec<Block>, Mismatch> {
    match value {
        Value::String(text) if text.is_empty() => Ok(Vec::new()),
        Value::String(text) => Ok(vec![Block::text(text)]),
        Value::Array(items) => {
            let mut blocks = Vec::with_capacity(items.len());
            for (index, item) in items.into_iter().enumerate() {
                blocks.extend(block(item, &Path::Index(path, index), writer, notes)?);
            }
            Ok(blocks)
        }
        other => Err(Mismatch::expected(path, "a string or an array of blocks", &other)),
    }
}

fn block(value: Value, path: &Path<'_>, writer: Writer, notes: &mut Notes) -> Result<Option<Block>, Mismatch> {
    let stays_whole = source::is_foreign(&value);
    let mut fields = Fields::of(value, path)?;
    let kind = fields.required_text("type")?;
    match (kind.as_str(), writer.role()) {
        ("text", _) => text(fields, writer, notes),
        ("image" | "document", Role::User | Role::Tool) if stays_whole => Ok(Some(opaque(fields, &kind))),
        ("image", Role::User | Role::Tool) => image(fields, notes).map(Some),
        ("document", Role::User | Role::Tool) => document(fields, notes).map(Some),
        ("tool_use", Role::Assistant) => tool_use(fields, notes).map(Some),
        ("thinking", Role::Assistant) => thinking(fields, writer, notes).map(Some),
        ("redacted_thinking", Role::Assistant) => redacted(fields, writer, notes).map(Some),
        ("tool_result", Role::User) => tool_result(fields, notes).map(Some),
        _ if !may_stand(&kind, writer) => {
            let message = format!("a block of type `{kind}` cannot stand in a message of this role");
            Err(if is_known(&kind) {
                Mismatch::at(&fields.at("type"), message)
            } else {
                Mismatch::word(&fields.at("type"), "`text`", &kind)
            })
        }
        _ => {
            if !is_known(&kind) {
                notes.unknown(fields.at("type"));
            }
            Ok(Some(opaque(fields, &kind)))
        }
    }
}

/// Whether a block that is not read may be carried. What a provider answers may be anything.
fn may_stand(kind: &str, writer: Writer) -> bool {
    match writer {
        Writer::Provider => true,
        Writer::Client(Role::System) => false,
        Writer::Client(_) => !PLACED.contains(&kind),
    }
}

fn is_known(kind: &str) -> bool {
    OPAQUE.contains(&kind) || PLACED.contains(&kind)
}

fn opaque(mut fields: Fields<'_>, kind: &str) -> Block {
    fields.put("type", kind);
    Block::Opaque { dialect: NAME.to_owned(), value: fields.into_value() }
}

/// What is left of a block, under this dialect's name.
pub(super) fn rest(fields: Fields<'_>, notes: &mut Notes) -> Map<String, Value> {
    let path = fields.path;
    let mut rest = fields.rest();
    // Whoever calls a tool does so directly unless said otherwise.
    rest.retain(|name, value| name != "caller" || value.get("type").is_none_or(|kind| kind != "direct"));
    for name in rest.keys().filter(|name| !CARRIED.contains(&name.as_str())) {
        notes.unknown(Path::Field(path, name));
    }
    rest
}

/// What is carried of a block.
pub(super) fn own(fields: Map<String, Value>) -> Extra {
    let mut extra = Extra::new();
    carry(&mut extra, NAME, fields);
    extra
}

fn text(mut fields: Fields<'_>, writer: Writer, notes: &mut Notes) -> Result<Option<Block>, Mismatch> {
    let text = fields.required_string("text")?;
    let path = fields.at("citations");
    let mut citations = fields.take("citations").map_or(Ok(Vec::new()), |value| array(value, &path))?;
    citations.retain(|citation| writer == Writer::Provider || !citations::is_ours(citation));
    let mut rest = rest(fields, notes);
    if text.is_empty() && citations.is_empty() {
        return Ok(None);
    }
    if !citations.is_empty() {
        rest.insert(ANNOTATIONS.to_owned(), Value::Array(citations));
    }
    Ok(Some(Block::Text { text, extra: own(rest) }))
}

fn image(mut fields: Fields<'_>, notes: &mut Notes) -> Result<Block, Mismatch> {
    let source = source::image(fields.require("source")?, &fields.at("source"), notes)?;
    Ok(Block::Image { source, detail: None, extra: own(rest(fields, notes)) })
}

fn document(mut fields: Fields<'_>, notes: &mut Notes) -> Result<Block, Mismatch> {
    let source = source::document(fields.require("source")?, &fields.at("source"), notes)?;
    let title = fields.string("title")?;
    Ok(Block::Document { source, title, extra: own(rest(fields, notes)) })
}

fn tool_use(mut fields: Fields<'_>, notes: &mut Notes) -> Result<Block, Mismatch> {
    let (id, name) = (fields.required_text("id")?, fields.required_text("name")?);
    let path = fields.at("input");
    let arguments = Fields::of(fields.require("input")?, &path)?.into_value().to_string();
    Ok(Block::ToolCall(ToolCall { id, name, arguments, extra: own(rest(fields, notes)) }))
}

fn tool_result(mut fields: Fields<'_>, notes: &mut Notes) -> Result<Block, Mismatch> {
    let tool_call_id = fields.required_text("tool_use_id")?;
    let content = match fields.take("content") {
        Some(value) => decode(value, &fields.at("content"), Writer::Client(Role::Tool), notes)?,
        None => Vec::new(),
    };
    let is_error = fields.boolean("is_error")?.unwrap_or(false);
    Ok(Block::ToolResult(ToolResult { tool_call_id, content, is_error, extra: own(rest(fields, notes)) }))
}

fn thinking(mut fields: Fields<'_>, writer: Writer, notes: &mut Notes) -> Result<Block, Mismatch> {
    let text = fields.required_string("thinking")?;
    let signature = fields.string("signature")?.unwrap_or_default();
    let extra = own(rest(fields, notes));
    Ok(Block::Reasoning(Reasoning { text, redacted: false, extra, ..read_proof(signature, writer) }))
}

fn redacted(mut fields: Fields<'_>, writer: Writer, notes: &mut Notes) -> Result<Block, Mismatch> {
    let data = fields.required_text("data")?;
    let extra = own(rest(fields, notes));
    Ok(Block::Reasoning(Reasoning { redacted: true, extra, ..read_proof(data, writer) }))
}

fn read_proof(slot: String, writer: Writer) -> Reasoning {
    match writer {
        Writer::Client(_) => proof::unwrap(slot, NAME),
        Writer::Provider if slot.is_empty() => Reasoning::default(),
        Writer::Provider => Reasoning { signature: Some(slot), dialect: Some(NAME.to_owned()), ..Reasoning::default() },
    }
}

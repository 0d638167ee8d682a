//! A provider's stream of events, to deltas.

use serde_json::Value;

use super::response::{End, end};
use super::stream_items::{Items, Kind, Place};
use crate::chat::Usage;
use crate::delta::Delta;
use crate::dialect::openai_chat::{told, within};
use crate::dialect::read::{Fields, Mismatch, Path, array};
use crate::dialect::stream::{Decoder, Events};
use crate::error::{ErrorCode, Failure};

/// A provider's stream, from bytes in any split to deltas.
pub type StreamDecoder = Decoder<Reading>;

/// What the events have told so far.
#[derive(Debug, Default)]
pub struct Reading {
    items: Items,
    started: bool,
    /// The terminal event was read.
    done: bool,
    usage: Option<Usage>,
}

impl Events for Reading {
    const LAST: &'static str = "its terminal event";

    fn take(&mut self, name: Option<&str>, value: Value, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        let kind = value.get("type").and_then(Value::as_str).or(name).unwrap_or_default().to_owned();
        match failure(&kind, &value) {
            Some(failure) => Err(failure),
            None => self.read(&kind, value, deltas).map_err(Mismatch::of_provider),
        }
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn usage(&self) -> Option<Usage> {
        self.usage
    }

    fn end(self) -> Option<Vec<Delta>> {
        self.done.then(Vec::new)
    }
}

impl Reading {
    fn read(&mut self, kind: &str, value: Value, deltas: &mut Vec<Delta>) -> Result<(), Mismatch> {
        let mut fields = Fields::of(value, &Path::Root)?;
        match kind {
            "response.created" | "response.queued" | "response.in_progress" => self.start(&mut fields, deltas),
            "response.completed" | "response.incomplete" => self.end(&mut fields, deltas),
            _ => self.item(kind, &mut fields, deltas),
        }
    }

    /// Events about items. Those that tell of the progress of a hosted tool say nothing that its item does not.
    fn item(&mut self, kind: &str, fields: &mut Fields<'_>, deltas: &mut Vec<Delta>) -> Result<(), Mismatch> {
        let place = |fields: &mut Fields<'_>, kind, part| Place::of(fields, kind, part);
        match kind {
            "response.output_item.added" => self.items.added(fields, deltas),
            "response.output_item.done" => self.items.done(fields, deltas),
            "response.content_part.done" => self.items.part_done(fields, deltas),
            "response.output_text.delta" => {
                let place = place(fields, Kind::Text, "content_index")?;
                self.items.text(place, fields, deltas)
            }
            "response.output_text.annotation.added" => {
                let place = place(fields, Kind::Text, "content_index")?;
                self.items.annotation(place, fields, deltas)
            }
            "response.refusal.delta" => {
                let place = place(fields, Kind::Refusal, "content_index")?;
                self.items.piece(place, fields.required_string("delta")?, deltas);
                Ok(())
            }
            "response.reasoning_summary_text.delta" => {
                let place = place(fields, Kind::Summary, "summary_index")?;
                self.items.piece(place, fields.required_string("delta")?, deltas);
                Ok(())
            }
            "response.reasoning_text.delta" => {
                let place = place(fields, Kind::Reasoning, "content_index")?;
                self.items.piece(place, fields.required_string("delta")?, deltas);
                Ok(())
            }
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                self.items.arguments(fields, deltas)
            }
            _ => Ok(()),
        }
    }

    fn start(&mut self, fields: &mut Fields<'_>, deltas: &mut Vec<Delta>) -> Result<(), Mismatch> {
        if self.started {
            return Ok(());
        }
        self.started = true;
        let path = fields.at("response");
        let mut response = Fields::of(fields.require("response")?, &path)?;
        let id = response.string("id")?.filter(|id| !id.is_empty());
        deltas.push(Delta::Start { id, model: response.string("model")?.unwrap_or_default() });
        fields.put("response", response.into_value());
        Ok(())
    }

    /// The end; with the items that no event told of before.
    fn end(&mut self, fields: &mut Fields<'_>, deltas: &mut Vec<Delta>) -> Result<(), Mismatch> {
        self.start(fields, deltas)?;
        let path = fields.at("response");
        let mut response = Fields::of(fields.require("response")?, &path)?;
        let at = response.at("output");
        let items = response.take("output").map_or(Ok(Vec::new()), |value| array(value, &at))?;
        let tokens = tokens(&items);
        for (index, item) in items.into_iter().enumerate() {
            self.items.whole(index, item, &Path::Index(&at, index), deltas)?;
        }
        self.items.late_tokens(tokens, deltas);
        let End { finish, usage, extra } = end(response, self.items.has_calls())?;
        self.usage = usage.or(self.usage);
        self.done = true;
        deltas.push(Delta::Finish { reason: finish, extra });
        deltas.extend(usage.map(|usage| Delta::Usage { usage }));
        Ok(())
    }
}

/// The log probabilities of all texts of an output.
fn tokens(items: &[Value]) -> Vec<Value> {
    let list = |value: &Value, name: &str| value.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let parts = items.iter().flat_map(|item| list(item, "content"));
    parts.flat_map(|part| list(&part, "logprobs")).collect()
}

/// The provider's own error, if an event is one.
fn failure(kind: &str, value: &Value) -> Option<Failure> {
    let response = value.get("response").unwrap_or(&Value::Null);
    match kind {
        "error" => Some(told(value).failure),
        "response.failed" => Some(told(response).failure),
        "response.cancelled" => {
            Some(Failure::new(ErrorCode::ProviderInvalidResponse, "the provider cancelled its answer"))
        }
        _ if value.get("type").is_none() => within(value).map(|classified| classified.failure),
        _ => None,
    }
}

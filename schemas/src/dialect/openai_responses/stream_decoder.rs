//! A provider's stream of events, to deltas.

use serde_json::Value;

use super::response::{End, end};
use super::stream_items::{Items, Kind, Place};
use crate::chat::Usage;
use crate::delta::Delta;
use crate::dialect::openai_chat::{told, within};
use crate::dialect::read::{Fields, Mismatch, Path, array};
use crate::dialect::sse::{Event, Parser, SseError};
use crate::error::{ErrorCode, Failure};

/// A provider's stream, from bytes in any split to deltas.
#[derive(Debug)]
pub struct StreamDecoder {
    parser: Parser,
    events: Events,
}

/// What the events have told so far.
#[derive(Debug, Default)]
struct Events {
    items: Items,
    started: bool,
    /// The terminal event was read.
    done: bool,
    usage: Option<Usage>,
}

impl StreamDecoder {
    /// A decoder that takes events of at most `max_event_bytes` (8 MiB in [`Default`]).
    #[must_use]
    pub fn new(max_event_bytes: usize) -> Self {
        Self { parser: Parser::new(max_event_bytes), events: Events::default() }
    }

    /// Takes the next bytes in and gives what became complete by them.
    ///
    /// # Errors
    /// `provider_invalid_response` on whatever is no such stream; the provider's own error if an event is one. The
    /// stream cannot be read on after it.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Delta>, Failure> {
        let (mut deltas, mut events) = (Vec::new(), Vec::new());
        if self.events.done {
            return Ok(deltas);
        }
        let read = self.parser.feed(bytes, &mut events);
        for event in &events {
            self.events.event(event, &mut deltas)?;
        }
        // Behind the end, nothing can spoil the answer any more.
        if self.events.done { Ok(deltas) } else { read.map(|()| deltas).map_err(broken) }
    }

    /// The terminal event was read: nothing more will come, so [`Self::finish`] need not wait for the connection's end.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.events.done
    }

    /// The tokens told so far, for the ledger of an attempt that broke off.
    #[must_use]
    pub const fn usage(&self) -> Option<Usage> {
        self.events.usage
    }

    /// The bytes have ended: gives the last deltas. To be called at the end of every stream.
    ///
    /// # Errors
    /// `provider_invalid_response` when no terminal event was seen: a cut stream is never an answer.
    pub fn finish(self) -> Result<Vec<Delta>, Failure> {
        let Self { parser, mut events } = self;
        let mut deltas = Vec::new();
        if !events.done
            && let Some(event) = parser.finish().map_err(broken)?
        {
            events.event(&event, &mut deltas)?;
        }
        if events.done {
            return Ok(deltas);
        }
        let message = "the provider's stream ended without its terminal event";
        Err(Failure::new(ErrorCode::ProviderInvalidResponse, message))
    }
}

impl Default for StreamDecoder {
    fn default() -> Self {
        Self::new(8 << 20)
    }
}

fn broken(fault: SseError) -> Failure {
    Failure::new(ErrorCode::ProviderInvalidResponse, format!("the provider's stream is broken: {fault}"))
}

impl Events {
    fn event(&mut self, event: &Event, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        let data = event.data.trim();
        // Some servers end with the mark of the other API.
        if self.done || data.is_empty() || data == "[DONE]" {
            return Ok(());
        }
        let value: Value = serde_json::from_str(data).map_err(|_| {
            Failure::new(ErrorCode::ProviderInvalidResponse, "the provider's stream holds an event that is not JSON")
        })?;
        let kind = value.get("type").and_then(Value::as_str).or(event.name.as_deref()).unwrap_or_default().to_owned();
        if let Some(failure) = failure(&kind, &value) {
            return Err(failure);
        }
        self.read(&kind, value, deltas).map_err(Mismatch::of_provider)
    }

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

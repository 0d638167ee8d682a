//! An answer's output while it is written: deltas in, items and their events out. A whole answer is written by the same
//! steps as a stream, so that both tell the same.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::citation;
use super::content::phase;
use super::output_item::{Event, Item, Kind, Part, State};
use super::write::is_custom;
use super::{NAME, Reply, ids};
use crate::chat::{Extra, FinishReason, Reasoning};
use crate::delta::Delta;

/// The output of one answer.
#[derive(Debug)]
pub(super) struct Output {
    suffix: String,
    custom: BTreeSet<String>,
    proofs: bool,
    items: Vec<Item>,
    /// The message or the reasoning that goes on.
    open: Option<usize>,
    /// The next piece begins a part of its own.
    broken: bool,
    /// Where each call is.
    calls: Vec<usize>,
    logprobs: Vec<Value>,
}

impl Output {
    /// The output of an answer to `reply`'s client.
    pub(super) fn new(reply: &Reply) -> Self {
        Self {
            suffix: ids::suffix(&reply.id).to_owned(),
            custom: reply.options.custom_tools().map(str::to_owned).collect(),
            proofs: reply.options.shows_proofs(),
            items: Vec::new(),
            open: None,
            broken: false,
            calls: Vec::new(),
            logprobs: Vec::new(),
        }
    }

    /// Takes the next piece in and adds the events that tell of it.
    pub(super) fn push(&mut self, delta: &Delta, events: &mut Vec<Event>) {
        match delta {
            Delta::Text { text } => self.text(text, events),
            Delta::Refusal { text } => self.refusal(text, events),
            Delta::Reasoning { text } => self.thought(text, events),
            Delta::ReasoningSignature { .. } => self.sign(delta, events),
            Delta::Break => self.broken = true,
            Delta::Logprobs { tokens } => self.tokens(tokens, events),
            Delta::Annotation { dialect, value } if dialect == NAME => self.annotate(value, events),
            Delta::Annotation { value, .. } => self.cite(value, events),
            Delta::Opaque { dialect, value } if dialect == NAME => self.opaque(value, events),
            // What another dialect alone knows cannot be said; texts around it stay apart.
            Delta::Opaque { .. } => self.broken = true,
            Delta::ToolCallStart { id, name, extra, .. } => self.call(id, name, extra, events),
            Delta::ToolCallArguments { index, text } => self.arguments(*index, text, events),
            Delta::Finish { reason, .. } => self.finish(*reason, events),
            Delta::Start { .. } | Delta::Usage { .. } => {}
        }
    }

    /// The whole output.
    pub(super) fn into_values(self) -> Vec<Value> {
        let last_text = self.items.iter().rposition(|item| item.last_text().is_some());
        let mut left = self.logprobs.as_slice();
        let mut write = |item: &Item| item.final_value(self.proofs, &mut left, Some(item.index) == last_text);
        self.items.iter().map(&mut write).collect()
    }

    /// What is not whole is cut: the answer failed.
    pub(super) fn cut(&mut self) {
        for item in self.items.iter_mut().filter(|item| item.state == State::InProgress) {
            item.state = State::Incomplete;
        }
    }

    fn opened(&mut self) -> Option<&mut Item> {
        self.items.get_mut(self.open?)
    }

    fn begin(&mut self, prefix: &str, kind: Kind, events: &mut Vec<Event>) -> usize {
        self.close(State::Completed, events);
        let index = self.items.len();
        let id = ids::of_output(prefix, &self.suffix, index);
        let item = Item { id, index, state: State::InProgress, kind };
        events.push(item.added());
        self.items.push(item);
        index
    }

    /// Ends the message or the reasoning that goes on.
    fn close(&mut self, state: State, events: &mut Vec<Event>) {
        let proofs = self.proofs;
        let Some(item) = self.open.take().and_then(|index| self.items.get_mut(index)) else { return };
        item.end_part(events);
        if let Kind::Thought { open, .. } = &mut item.kind {
            *open = false;
        }
        item.state = state;
        events.push(item.done(proofs));
    }

    fn begin_message(&mut self, phase: Option<String>, events: &mut Vec<Event>) {
        let index = self.begin("msg", Kind::Message { parts: Vec::new(), phase }, events);
        self.open = Some(index);
    }

    /// Makes the last part of a message one that a text or a refusal can go on in.
    fn part(&mut self, is_refusal: bool, anew: bool, events: &mut Vec<Event>) {
        let fits = match self.opened().map(|item| &item.kind) {
            // A text with a phase is a message of its own.
            Some(Kind::Message { phase: Some(_), parts }) if !is_refusal => {
                parts.last().is_none_or(|part| !part.is_refusal && !anew)
            }
            Some(Kind::Message { .. }) => true,
            _ => false,
        };
        if !fits {
            self.begin_message(None, events);
        }
        let Some(item) = self.opened() else { return };
        let Kind::Message { parts, .. } = &item.kind else { return };
        if !anew && parts.last().is_some_and(|part| part.is_refusal == is_refusal) {
            return;
        }
        item.end_part(events);
        if let Kind::Message { parts, .. } = &mut item.kind {
            parts.push(Part { is_refusal, ..Part::default() });
        }
        item.begin_part(events);
    }

    /// The last part of the message that goes on, and its place.
    fn last_part(&mut self) -> Option<(usize, &mut Part)> {
        let Kind::Message { parts, .. } = &mut self.opened()?.kind else { return None };
        let at = parts.len().checked_sub(1)?;
        parts.last_mut().map(|part| (at, part))
    }

    /// The last text, which may have ended.
    fn last_said(&mut self) -> Option<(&mut Item, usize)> {
        self.items.iter_mut().rev().find_map(|item| item.last_text().map(|at| (item, at)))
    }

    /// An event about the last part of the message that goes on.
    fn tell(&mut self, kind: &'static str, at: usize, fields: Value, events: &mut Vec<Event>) {
        events.extend(self.opened().map(|item| item.of_part(kind, at, fields)));
    }

    fn text(&mut self, piece: &str, events: &mut Vec<Event>) {
        if piece.is_empty() {
            // It begins a block all the same.
            let goes_on = match self.opened().map(|item| &item.kind) {
                Some(Kind::Message { parts, .. }) => parts.last().is_none_or(|part| !part.is_refusal),
                _ => false,
            };
            self.broken |= !goes_on;
            return;
        }
        let anew = std::mem::take(&mut self.broken);
        self.part(false, anew, events);
        if let Some((at, part)) = self.last_part() {
            part.text.push_str(piece);
            self.tell("response.output_text.delta", at, json!({"delta": piece, "logprobs": []}), events);
        }
    }

    fn refusal(&mut self, piece: &str, events: &mut Vec<Event>) {
        self.part(true, false, events);
        if let Some((at, part)) = self.last_part() {
            part.text.push_str(piece);
            self.tell("response.refusal.delta", at, json!({"delta": piece}), events);
        }
    }

    fn tokens(&mut self, tokens: &[Value], events: &mut Vec<Event>) {
        self.logprobs.extend_from_slice(tokens);
        let part = self.last_part().filter(|(_, part)| !part.is_refusal && !tokens.is_empty());
        if let Some((at, part)) = part {
            part.logprobs.extend_from_slice(tokens);
            self.tell("response.output_text.delta", at, json!({"delta": "", "logprobs": tokens}), events);
        }
    }

    fn annotate(&mut self, value: &Value, events: &mut Vec<Event>) {
        if let Some(name) = phase(value) {
            if std::mem::take(&mut self.broken) {
                self.begin_message(Some(name.to_owned()), events);
            } else if let Some(Kind::Message { phase, .. }) = self.last_said().map(|(item, _)| &mut item.kind) {
                // Behind its text it comes late, but not too late for the item's end.
                *phase = Some(name.to_owned());
            }
            return;
        }
        self.add_annotation(value.clone(), false, events);
    }

    /// A citation of another dialect.
    fn cite(&mut self, value: &Value, events: &mut Vec<Event>) {
        let is_new = self.broken;
        let text = self.last_said().and_then(|(item, at)| item.part_mut(at)).filter(|_| !is_new);
        let length = text.map_or(0, |part| part.text.chars().count());
        if let Some((citation, is_open)) = citation::of_foreign(value, length) {
            self.add_annotation(citation, is_open, events);
        }
    }

    /// Adds an annotation to the last text, whose end is its end when `is_open`. It may come first in a text, or behind.
    fn add_annotation(&mut self, annotation: Value, is_open: bool, events: &mut Vec<Event>) {
        let opened = self.opened().map(|item| &item.kind);
        let is_new = matches!(opened, Some(Kind::Message { parts, .. }) if parts.is_empty());
        if self.broken || is_new {
            let anew = std::mem::take(&mut self.broken);
            self.part(false, anew, events);
        }
        let Some((item, at)) = self.last_said() else { return };
        let Some(part) = item.part_mut(at) else { return };
        let index = part.annotations.len();
        part.annotations.push(annotation.clone());
        part.open_ends.extend(is_open.then_some(index));
        let fields = json!({"annotation_index": index, "annotation": annotation});
        events.push(item.of_part("response.output_text.annotation.added", at, fields));
    }

    /// The reasoning that goes on; another one begins behind a proof.
    fn thinking(&mut self, anew: bool, events: &mut Vec<Event>) {
        let goes_on = match self.opened().map(|item| &item.kind) {
            Some(Kind::Thought { proof, .. }) => !anew || proof.is_none(),
            _ => false,
        };
        if !goes_on {
            let kind = Kind::Thought { summary: Vec::new(), open: false, proof: None };
            let index = self.begin("rs", kind, events);
            self.open = Some(index);
        }
    }

    fn thought(&mut self, piece: &str, events: &mut Vec<Event>) {
        let anew = std::mem::take(&mut self.broken);
        self.thinking(anew, events);
        let Some(item) = self.opened() else { return };
        if anew {
            item.end_part(events);
        }
        let Kind::Thought { summary, open, .. } = &mut item.kind else { return };
        *open &= !anew;
        if piece.is_empty() {
            return;
        }
        if !std::mem::replace(open, true) {
            summary.push(String::new());
            item.begin_part(events);
        }
        let Kind::Thought { summary, .. } = &mut item.kind else { return };
        if let Some(last) = summary.last_mut() {
            last.push_str(piece);
        }
        let at = summary.len().saturating_sub(1);
        events.push(item.of_summary("response.reasoning_summary_text.delta", at, json!({"delta": piece})));
    }

    fn sign(&mut self, delta: &Delta, events: &mut Vec<Event>) {
        let Delta::ReasoningSignature { signature, dialect, id, redacted } = delta else { return };
        let anew = std::mem::take(&mut self.broken);
        if *redacted {
            self.close(State::Completed, events);
        }
        self.thinking(anew, events);
        if let Some(Kind::Thought { proof, .. }) = self.opened().map(|item| &mut item.kind) {
            let (signature, dialect) = (Some(signature.clone()), dialect.clone());
            let signed = Reasoning { signature, dialect, id: id.clone(), redacted: *redacted, ..Reasoning::default() };
            *proof = Some(Box::new(signed));
        }
    }

    fn opaque(&mut self, value: &Value, events: &mut Vec<Event>) {
        let mut value = value.clone();
        let id = ids::of_output("item", &self.suffix, self.items.len());
        if let Some(fields) = value.as_object_mut() {
            fields.entry("id").or_insert_with(|| json!(id));
        }
        let index = self.begin("item", Kind::Opaque(value), events);
        self.end_item(index, State::Completed, events);
    }

    fn call(&mut self, call_id: &str, name: &str, extra: &Extra, events: &mut Vec<Event>) {
        let custom = is_custom(extra) || self.custom.contains(name);
        let prefix = if custom { "ctc" } else { "fc" };
        let (call_id, name) = (call_id.to_owned(), name.to_owned());
        let kind = Kind::Call { call_id, name, arguments: String::new(), custom, extra: extra.clone() };
        let index = self.begin(prefix, kind, events);
        self.calls.push(index);
    }

    fn arguments(&mut self, call: u32, piece: &str, events: &mut Vec<Event>) {
        let index = usize::try_from(call).ok().and_then(|call| self.calls.get(call));
        let Some(item) = index.and_then(|index| self.items.get_mut(*index)) else { return };
        let Kind::Call { arguments, custom, .. } = &mut item.kind else { return };
        arguments.push_str(piece);
        let kind =
            if *custom { "response.custom_tool_call_input.delta" } else { "response.function_call_arguments.delta" };
        if !piece.is_empty() {
            events.push(item.of_call(kind, json!({"delta": piece})));
        }
    }

    fn end_item(&mut self, index: usize, state: State, events: &mut Vec<Event>) {
        let Some(item) = self.items.get_mut(index) else { return };
        item.state = state;
        if let Kind::Call { name, arguments, custom, .. } = &item.kind {
            events.push(if *custom {
                item.of_call("response.custom_tool_call_input.done", json!({"input": arguments}))
            } else {
                item.of_call("response.function_call_arguments.done", json!({"name": name, "arguments": arguments}))
            });
        }
        events.push(item.done(self.proofs));
    }

    /// Ends what goes on; calls only now, since pieces of any of them may come until the end. A cut answer was cut in
    /// its last item.
    fn finish(&mut self, reason: FinishReason, events: &mut Vec<Event>) {
        let cut = matches!(reason, FinishReason::Length | FinishReason::ContentFilter);
        let last = self.items.len().checked_sub(1);
        let state = |index| if cut && index == last { State::Incomplete } else { State::Completed };
        self.close(state(self.open), events);
        for index in std::mem::take(&mut self.calls) {
            self.end_item(index, state(Some(index)), events);
        }
    }
}

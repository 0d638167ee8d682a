//! The items of a provider's stream: what each event adds to what was told before. The whole items at their ends and in
//! the terminal event fill in what no event told.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::content::{self, Seen, phase_annotation};
use super::item::{self, CUSTOM_CALL, call_extra};
use super::{NAME, reasoning};
use crate::chat::{Block, Role, ToolCall};
use crate::delta::{self, Delta};
use crate::dialect::read::{Fields, Mismatch, Path, array};

/// What kind of text a piece belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Text,
    Refusal,
    /// In full.
    Reasoning,
    /// In summary.
    Summary,
}

/// Where a piece belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    item: i64,
    kind: Kind,
    part: i64,
}

impl Place {
    /// The place that an event speaks of, whose part the field `part` names.
    pub(super) fn of(fields: &mut Fields<'_>, kind: Kind, part: &'static str) -> Result<Self, Mismatch> {
        let item = item_index(fields)?;
        let path = fields.path;
        let part = fields.take(part).map(|value| index(&value, &Path::Field(path, part))).transpose()?;
        Ok(Self { item, kind, part: part.unwrap_or(0) })
    }
}

fn item_index(fields: &mut Fields<'_>) -> Result<i64, Mismatch> {
    let path = fields.path;
    let found = fields.take("output_index").map(|value| index(&value, &Path::Field(path, "output_index")));
    Ok(found.transpose()?.unwrap_or(0))
}

fn index(value: &Value, path: &Path<'_>) -> Result<i64, Mismatch> {
    value.as_i64().filter(|index| *index >= 0).ok_or_else(|| Mismatch::expected(path, "an index", value))
}

/// What was told of a part.
#[derive(Debug, Default)]
struct Told {
    annotations: usize,
    logprobs: bool,
}

/// A call that has begun.
#[derive(Debug)]
struct Call {
    index: u32,
    has_arguments: bool,
}

/// All that was told of the items.
#[derive(Debug, Default)]
pub(super) struct Items {
    /// Where the last piece belonged, unless something else came behind it.
    last: Option<Place>,
    /// Where the last text was.
    last_text: Option<Place>,
    parts: BTreeMap<Place, Told>,
    phases: BTreeMap<i64, String>,
    calls: BTreeMap<i64, Call>,
    done: BTreeSet<i64>,
    has_tokens: bool,
}

impl Items {
    /// Whether any tool is called.
    pub(super) fn has_calls(&self) -> bool {
        !self.calls.is_empty()
    }

    /// `response.output_item.added`
    pub(super) fn added(&mut self, fields: &mut Fields<'_>, deltas: &mut Vec<Delta>) -> Result<(), Mismatch> {
        let index = item_index(fields)?;
        let path = fields.at("item");
        // Some servers announce an item before they know it.
        let Some(value) = fields.take("item") else { return Ok(()) };
        let mut item = Fields::of(value, &path)?;
        let kind = item.required_text("type")?;
        match kind.as_str() {
            "message" => {
                self.phases.extend(item.string("phase")?.map(|phase| (index, phase)));
            }
            kind @ ("function_call" | CUSTOM_CALL) => {
                let (id, name) = (item.required_text("call_id")?, item.required_text("name")?);
                let extra = call_extra(&mut item, kind);
                self.begin_call(index, ToolCall { id, name, extra, ..ToolCall::default() }, deltas);
            }
            _ => {}
        }
        Ok(())
    }

    fn begin_call(&mut self, item: i64, call: ToolCall, deltas: &mut Vec<Delta>) -> &mut Call {
        let ToolCall { id, name, extra, .. } = call;
        let index = u32::try_from(self.calls.len()).unwrap_or(u32::MAX);
        self.calls.entry(item).or_insert_with(|| {
            self.last = None;
            deltas.push(Delta::ToolCallStart { index, id, name, extra });
            Call { index, has_arguments: false }
        })
    }

    /// The deltas before a piece at `place`.
    fn turn_to(&mut self, place: Place, deltas: &mut Vec<Delta>) {
        let is_thought = |kind| matches!(kind, Kind::Reasoning | Kind::Summary);
        let alike = |last: Place| last.kind == place.kind || (is_thought(last.kind) && is_thought(place.kind));
        if self.last.is_some_and(|last| last != place && alike(last)) && place.kind != Kind::Refusal {
            deltas.push(Delta::Break);
        }
        self.last = Some(place);
        self.last_text = self.last.filter(|last| last.kind == Kind::Text).or(self.last_text);
        if self.parts.contains_key(&place) {
            return;
        }
        self.parts.insert(place, Told::default());
        if let Some(phase) = self.phases.get(&place.item).filter(|_| place.kind == Kind::Text) {
            deltas.push(Delta::Text { text: String::new() });
            deltas.push(Delta::Annotation { dialect: NAME.to_owned(), value: phase_annotation(phase) });
        }
    }

    /// A piece of any text. Some servers announce a part by an empty piece.
    pub(super) fn piece(&mut self, place: Place, text: String, deltas: &mut Vec<Delta>) {
        if text.is_empty() {
            return;
        }
        self.turn_to(place, deltas);
        deltas.push(match place.kind {
            Kind::Text => Delta::Text { text },
            Kind::Refusal => Delta::Refusal { text },
            Kind::Reasoning | Kind::Summary => Delta::Reasoning { text },
        });
    }

    /// `response.output_text.delta`
    pub(super) fn text(
        &mut self,
        place: Place,
        fields: &mut Fields<'_>,
        deltas: &mut Vec<Delta>,
    ) -> Result<(), Mismatch> {
        self.piece(place, fields.required_string("delta")?, deltas);
        let path = fields.at("logprobs");
        let tokens = fields.take("logprobs").map_or(Ok(Vec::new()), |value| array(value, &path))?;
        self.tokens(place, tokens, deltas);
        Ok(())
    }

    fn tokens(&mut self, place: Place, tokens: Vec<Value>, deltas: &mut Vec<Delta>) {
        if !tokens.is_empty() {
            self.parts.entry(place).or_default().logprobs = true;
            self.has_tokens = true;
            deltas.push(Delta::Logprobs { tokens });
        }
    }

    /// The log probabilities of the whole answer, when no event before told any.
    pub(super) fn late_tokens(&mut self, tokens: Vec<Value>, deltas: &mut Vec<Delta>) {
        if !self.has_tokens && !tokens.is_empty() {
            deltas.push(Delta::Logprobs { tokens });
        }
    }

    /// `response.output_text.annotation.added`
    pub(super) fn annotation(
        &mut self,
        place: Place,
        fields: &mut Fields<'_>,
        deltas: &mut Vec<Delta>,
    ) -> Result<(), Mismatch> {
        let value = fields.require("annotation")?;
        // One about a text before the last one has no place any more.
        if self.last_text == Some(place) {
            self.parts.entry(place).or_default().annotations += 1;
            deltas.push(Delta::Annotation { dialect: NAME.to_owned(), value });
        }
        Ok(())
    }

    /// Arguments of a call. Those of a call that never began say nothing.
    pub(super) fn arguments(&mut self, fields: &mut Fields<'_>, deltas: &mut Vec<Delta>) -> Result<(), Mismatch> {
        let index = item_index(fields)?;
        let text = fields.required_string("delta")?;
        let Some(call) = self.calls.get_mut(&index) else {
            return Err(Mismatch::at(&fields.at("output_index"), "names no call that has begun"));
        };
        if !text.is_empty() {
            call.has_arguments = true;
            deltas.push(Delta::ToolCallArguments { index: call.index, text });
        }
        Ok(())
    }

    /// `response.content_part.done`
    pub(super) fn part_done(&mut self, fields: &mut Fields<'_>, deltas: &mut Vec<Delta>) -> Result<(), Mismatch> {
        let place = Place::of(fields, Kind::Text, "content_index")?;
        let path = fields.at("part");
        let Some(part) = fields.take("part") else { return Ok(()) };
        let mut seen = Seen::default();
        if part.get("type").and_then(Value::as_str).is_some_and(|kind| kind == "output_text" || kind == "refusal") {
            let block = content::part(part, &path, Role::Assistant, &mut seen)?;
            self.whole_part(place, block, seen.logprobs, deltas);
        }
        Ok(())
    }

    /// What of a whole part was not told.
    fn whole_part(&mut self, place: Place, block: Option<Block>, logprobs: Vec<Value>, deltas: &mut Vec<Delta>) {
        match block {
            Some(Block::Text { text, extra }) => {
                if !self.parts.contains_key(&place) {
                    self.piece(place, text, deltas);
                }
                let told = self.parts.get(&place).map_or(0, |told| told.annotations);
                if self.last_text == Some(place) {
                    let untold: Vec<_> = delta::annotations(&extra).skip(told).collect();
                    self.parts.entry(place).or_default().annotations += untold.len();
                    deltas.extend(untold);
                }
                if !self.parts.get(&place).is_some_and(|told| told.logprobs) {
                    self.tokens(place, logprobs, deltas);
                }
            }
            Some(Block::Refusal { text }) => {
                let place = Place { kind: Kind::Refusal, ..place };
                if !self.parts.contains_key(&place) {
                    self.piece(place, text, deltas);
                }
            }
            Some(block) => {
                self.last = None;
                delta::block_pieces(&block, 0, deltas);
            }
            None => {}
        }
    }

    /// `response.output_item.done`
    pub(super) fn done(&mut self, fields: &mut Fields<'_>, deltas: &mut Vec<Delta>) -> Result<(), Mismatch> {
        let index = item_index(fields)?;
        let path = fields.at("item");
        let item = fields.require("item")?;
        self.item(index, item, &path, deltas)
    }

    /// An item of the terminal event.
    pub(super) fn whole(
        &mut self,
        index: usize,
        item: Value,
        path: &Path<'_>,
        deltas: &mut Vec<Delta>,
    ) -> Result<(), Mismatch> {
        self.item(i64::try_from(index).unwrap_or(i64::MAX), item, path, deltas)
    }

    fn item(&mut self, index: i64, value: Value, path: &Path<'_>, deltas: &mut Vec<Delta>) -> Result<(), Mismatch> {
        if !self.done.insert(index) {
            return Ok(());
        }
        let mut fields = Fields::of(value, path)?;
        let kind = fields.required_text("type")?;
        match kind.as_str() {
            "message" => self.message(index, &mut fields, deltas),
            "reasoning" => self.reasoning(index, &mut fields, deltas),
            "function_call" | CUSTOM_CALL => self.call(index, fields, &kind, deltas),
            _ => {
                self.last = None;
                let blocks = item::decode(fields, &kind, &mut Seen::default())?;
                blocks.iter().for_each(|block| delta::block_pieces(block, 0, deltas));
                Ok(())
            }
        }
    }

    fn message(&mut self, index: i64, fields: &mut Fields<'_>, deltas: &mut Vec<Delta>) -> Result<(), Mismatch> {
        let phase = fields.string("phase")?;
        let is_late = phase.is_some() && !self.phases.contains_key(&index);
        let is_told = self.parts.keys().any(|place| place.item == index);
        self.phases.extend(phase.clone().filter(|_| !is_told).map(|phase| (index, phase)));
        let path = fields.at("content");
        for (part, value) in array(fields.require("content")?, &path)?.into_iter().enumerate() {
            let mut seen = Seen::default();
            let block = content::part(value, &Path::Index(&path, part), Role::Assistant, &mut seen)?;
            let place = Place { item: index, kind: Kind::Text, part: i64::try_from(part).unwrap_or(i64::MAX) };
            self.whole_part(place, block, seen.logprobs, deltas);
        }
        let on_text = self.last_text.is_some_and(|last| last.item == index);
        if let Some(phase) = phase.filter(|_| is_late && is_told && on_text) {
            deltas.push(Delta::Annotation { dialect: NAME.to_owned(), value: phase_annotation(&phase) });
        }
        Ok(())
    }

    fn reasoning(&mut self, index: i64, fields: &mut Fields<'_>, deltas: &mut Vec<Delta>) -> Result<(), Mismatch> {
        for (name, kind) in [("content", Kind::Reasoning), ("summary", Kind::Summary)] {
            for (part, text) in reasoning::parts(fields, name)?.into_iter().enumerate() {
                let place = Place { item: index, kind, part: i64::try_from(part).unwrap_or(i64::MAX) };
                if !self.parts.contains_key(&place) {
                    self.piece(place, text, deltas);
                }
            }
        }
        let is_thought = |place: Place| place.item == index && matches!(place.kind, Kind::Reasoning | Kind::Summary);
        let hidden = !self.parts.keys().any(|place| is_thought(*place));
        let Some(proof) = reasoning::signed(fields, hidden, false)? else { return Ok(()) };
        if !self.last.is_some_and(is_thought) {
            let end = Place { item: index, kind: Kind::Summary, part: i64::MAX };
            self.turn_to(end, deltas);
        }
        deltas.extend(delta::proof(&proof));
        Ok(())
    }

    fn call(&mut self, index: i64, fields: Fields<'_>, kind: &str, deltas: &mut Vec<Delta>) -> Result<(), Mismatch> {
        for block in item::decode(fields, kind, &mut Seen::default())? {
            let Block::ToolCall(mut found) = block else { continue };
            let text = std::mem::take(&mut found.arguments);
            let call = self.begin_call(index, found, deltas);
            if !call.has_arguments && !text.is_empty() {
                call.has_arguments = true;
                deltas.push(Delta::ToolCallArguments { index: call.index, text });
            }
        }
        Ok(())
    }
}

//! A provider's stream of events, to deltas.

use serde_json::{Map, Value};

use super::response::Head;
use super::stream_block::Blocks;
use super::usage::{self, USAGE};
use super::words::decode_stop;
use super::{NAME, error};
use crate::chat::{Extra, Usage};
use crate::delta::Delta;
use crate::dialect::carry::carry;
use crate::dialect::read::{Fields, Mismatch, Path};
use crate::dialect::stream::{Decoder, Events};
use crate::error::Failure;

/// A provider's stream, from bytes in any split to deltas.
pub type StreamDecoder = Decoder<Reading>;

/// What the events have told so far.
#[derive(Debug, Default)]
pub struct Reading {
    started: bool,
    blocks: Blocks,
    stop_reason: Option<String>,
    /// The counts, each as last told.
    counts: Map<String, Value>,
    usage: Option<Usage>,
    /// What is carried of the answer.
    own: Map<String, Value>,
    /// `message_stop` was read.
    done: bool,
}

impl Events for Reading {
    const LAST: &'static str = "message_stop";

    fn take(&mut self, _name: Option<&str>, value: Value, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        match error::within(&value) {
            Some(classified) => Err(classified.failure),
            None => self.read(value, deltas).map_err(Mismatch::of_provider),
        }
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn usage(&self) -> Option<Usage> {
        self.usage
    }

    fn end(self) -> Option<Vec<Delta>> {
        self.done.then(|| self.usage.map(|usage| Delta::Usage { usage }).into_iter().collect())
    }
}

impl Reading {
    fn read(&mut self, value: Value, deltas: &mut Vec<Delta>) -> Result<(), Mismatch> {
        let mut fields = Fields::of(value, &Path::Root)?;
        let kind = fields.required_text("type")?;
        let opens = kind == "message_start";
        let is_known = opens || kind.starts_with("content_block_") || kind.starts_with("message_");
        // The API adds kinds of events and asks its clients to pass over those that they do not know.
        if !is_known {
            return Ok(());
        }
        if opens == self.started {
            let fault = if opens { "a second message_start" } else { "an event before message_start" };
            return Err(Mismatch::at(&fields.at("type"), fault));
        }
        match kind.as_str() {
            "message_start" => self.start(&mut fields, deltas),
            "content_block_start" => {
                let path = fields.at("content_block");
                self.blocks.start(index(&mut fields)?, fields.require("content_block")?, &path, deltas)
            }
            "content_block_delta" => {
                let path = fields.at("delta");
                self.blocks.delta(index(&mut fields)?, fields.require("delta")?, &path, deltas)
            }
            "content_block_stop" => {
                self.blocks.stop(deltas);
                Ok(())
            }
            "message_delta" => self.message_delta(fields),
            "message_stop" => self.stop(deltas),
            _ => Ok(()),
        }
    }

    fn start(&mut self, fields: &mut Fields<'_>, deltas: &mut Vec<Delta>) -> Result<(), Mismatch> {
        let path = fields.at("message");
        let mut message = Fields::of(fields.require("message")?, &path)?;
        let Head { id, model } = Head::take(&mut message)?;
        let at = message.at("content");
        if message.take("content").is_some_and(|content| content.as_array().is_none_or(|blocks| !blocks.is_empty())) {
            return Err(Mismatch::at(&at, "expected no block yet"));
        }
        self.count(&mut message)?;
        self.own = message.rest();
        self.started = true;
        deltas.push(Delta::Start { id, model });
        Ok(())
    }

    fn message_delta(&mut self, mut fields: Fields<'_>) -> Result<(), Mismatch> {
        self.count(&mut fields)?;
        let path = fields.at("delta");
        if let Some(value) = fields.take("delta") {
            let mut delta = Fields::of(value, &path)?;
            self.stop_reason = delta.string("stop_reason")?.or_else(|| self.stop_reason.take());
            self.own.extend(delta.rest());
        }
        self.own.extend(fields.rest());
        Ok(())
    }

    fn count(&mut self, fields: &mut Fields<'_>) -> Result<(), Mismatch> {
        let path = fields.at(USAGE);
        let Some(value) = fields.take(USAGE) else { return Ok(()) };
        usage::merge(&mut self.counts, value, &path)?;
        self.usage = usage::decode(Value::Object(self.counts.clone()), &path, &mut Map::new())?;
        Ok(())
    }

    fn stop(&mut self, deltas: &mut Vec<Delta>) -> Result<(), Mismatch> {
        let Some(word) = self.stop_reason.take().filter(|word| !word.is_empty()) else {
            return Err(Mismatch::at(&Path::Root, "message_stop came without a stop_reason before it"));
        };
        self.blocks.stop(deltas);
        let mut own = std::mem::take(&mut self.own);
        let counts = Value::Object(std::mem::take(&mut self.counts));
        self.usage = usage::decode(counts, &Path::Field(&Path::Root, USAGE), &mut own)?;
        let reason = decode_stop(word, &mut own);
        let mut extra = Extra::new();
        carry(&mut extra, NAME, own);
        self.done = true;
        deltas.push(Delta::Finish { reason, extra });
        Ok(())
    }
}

fn index(fields: &mut Fields<'_>) -> Result<i64, Mismatch> {
    let found = fields.integer("index", 0..=i64::MAX)?;
    found.ok_or_else(|| Mismatch::at(&fields.at("index"), "required, but absent or null"))
}

//! Which call a streamed piece belongs to. Providers differ: an index for every piece, whole calls at once with an id
//! and no index, every call under index 0 with an id of its own, or the single `function_call`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::calls::{CUSTOM, arguments, call_extra};
use super::response::made_id;
use crate::chat::Extra;
use crate::delta::Delta;
use crate::dialect::read::{Fields, Mismatch, Path, array};

/// The calls that have begun.
#[derive(Debug, Default)]
pub(super) struct StreamCalls {
    /// The id of each, in our order.
    ids: Vec<String>,
    /// Our index of the call that the provider's index speaks of.
    by_index: BTreeMap<i64, usize>,
}

/// One piece as it came.
struct Piece {
    index: Option<i64>,
    id: Option<String>,
    name: Option<String>,
    arguments: String,
    extra: Extra,
}

impl StreamCalls {
    /// Takes `tool_calls` and `function_call` out of a chunk's delta. `response_id` helps to name calls without an id.
    pub(super) fn take(
        &mut self,
        fields: &mut Fields<'_>,
        response_id: Option<&str>,
        deltas: &mut Vec<Delta>,
    ) -> Result<(), Mismatch> {
        let path = fields.at("tool_calls");
        let items = fields.take("tool_calls").map_or(Ok(Vec::new()), |value| array(value, &path))?;
        for (position, item) in items.into_iter().enumerate() {
            let path = Path::Index(&path, position);
            self.push(piece(item, &path)?, &path, response_id, deltas)?;
        }
        let path = fields.at("function_call");
        if let Some(value) = fields.take("function_call") {
            let (name, arguments) = function(value, &path)?;
            let piece = Piece { index: Some(0), id: None, name, arguments, extra: Extra::new() };
            self.push(piece, &path, response_id, deltas)?;
        }
        Ok(())
    }

    fn push(
        &mut self,
        piece: Piece,
        path: &Path<'_>,
        response_id: Option<&str>,
        deltas: &mut Vec<Delta>,
    ) -> Result<(), Mismatch> {
        let call = match self.find(&piece) {
            Some(call) => call,
            None => self.begin(&piece, path, response_id, deltas)?,
        };
        if !piece.arguments.is_empty() {
            deltas.push(Delta::ToolCallArguments { index: wire(call), text: piece.arguments });
        }
        Ok(())
    }

    /// The call that a piece goes on with. An id that no call has begins one, whatever the index says.
    fn find(&self, piece: &Piece) -> Option<usize> {
        let by_index = piece.index.and_then(|index| self.by_index.get(&index).copied());
        match (&piece.id, piece.index) {
            (Some(id), _) => match self.ids.iter().position(|known| known == id) {
                Some(call) => Some(call),
                None if piece.name.is_some() => None,
                None => by_index,
            },
            (None, Some(_)) => by_index,
            (None, None) if piece.name.is_some() => None,
            (None, None) => self.ids.len().checked_sub(1),
        }
    }

    fn begin(
        &mut self,
        piece: &Piece,
        path: &Path<'_>,
        response_id: Option<&str>,
        deltas: &mut Vec<Delta>,
    ) -> Result<usize, Mismatch> {
        let call = self.ids.len();
        let name = piece.name.clone().ok_or_else(|| Mismatch::at(path, "a tool call begins without a name"))?;
        let id = piece.id.clone().unwrap_or_else(|| made_id(response_id, call));
        if let Some(index) = piece.index {
            self.by_index.insert(index, call);
        }
        self.ids.push(id.clone());
        deltas.push(Delta::ToolCallStart { index: wire(call), id, name, extra: piece.extra.clone() });
        Ok(call)
    }
}

fn wire(call: usize) -> u32 {
    u32::try_from(call).unwrap_or(u32::MAX)
}

fn piece(value: Value, path: &Path<'_>) -> Result<Piece, Mismatch> {
    let mut fields = Fields::of(value, path)?;
    let index = fields.integer("index", 0..=i64::MAX)?;
    let id = fields.string("id")?.filter(|id| !id.is_empty());
    fields.take("type");
    let kind = if fields.has(CUSTOM) { CUSTOM } else { "function" };
    let at = fields.at(kind);
    let (name, arguments) = match fields.take(kind) {
        Some(value) if kind == CUSTOM => custom(value, &at)?,
        Some(value) => function(value, &at)?,
        None => (None, String::new()),
    };
    Ok(Piece { index, id, name, arguments, extra: call_extra(kind, fields.rest()) })
}

fn function(value: Value, path: &Path<'_>) -> Result<(Option<String>, String), Mismatch> {
    let mut fields = Fields::of(value, path)?;
    let name = fields.string("name")?.filter(|name| !name.is_empty());
    Ok((name, arguments(&mut fields)?))
}

fn custom(value: Value, path: &Path<'_>) -> Result<(Option<String>, String), Mismatch> {
    let mut fields = Fields::of(value, path)?;
    let name = fields.string("name")?.filter(|name| !name.is_empty());
    Ok((name, fields.string("input")?.unwrap_or_default()))
}

//! The input of a request, as its client may ask for it again; and items that make no request.

use serde_json::Value;

use super::content::Seen;
use super::write::{Audience, Writer};
use super::{ClientOptions, ids, input};
use crate::chat::{Message, Tool};
use crate::dialect::carry::Notes;
use crate::dialect::read::{Mismatch, Path};
use crate::error::Failure;
use crate::warning::Warning;

/// `messages` less the instructions, which belong to one request alone: neither its input items nor what a later
/// request goes on from.
#[must_use]
pub fn without_instructions<'m>(messages: &'m [Message], options: &ClientOptions) -> &'m [Message] {
    messages.get(usize::from(options.instructions.is_some())..).unwrap_or_default()
}

/// The items of the input of the answer `response_id`, oldest first, with ids that are the same at every look.
/// `messages` are without instructions, `tools` those of the request.
#[must_use]
pub fn input_items(messages: &[Message], tools: &[Tool], response_id: &str) -> Vec<Value> {
    let mut notes = Notes::default();
    let mut writer = Writer::new(Audience::Client(ids::suffix(response_id)), tools, &mut notes);
    for (index, message) in messages.iter().enumerate() {
        writer.message(message, index);
    }
    writer.into_items()
}

/// The messages of a list of items that a client adds to a conversation under the name `param`, and what it should know.
///
/// # Errors
/// `invalid_request` whose `param` is the path of the item's field at fault.
pub fn decode_items(items: Value, param: &str) -> Result<(Vec<Message>, Vec<Warning>), Failure> {
    let mut seen = Seen { of_client: true, ..Seen::default() };
    let messages = input::decode(items, &Path::Field(&Path::Root, param), &mut seen).map_err(Mismatch::of_client)?;
    Ok((messages, seen.notes.warnings))
}

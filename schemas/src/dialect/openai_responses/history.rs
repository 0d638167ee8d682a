//! The input of a request, as its client may ask for it again.

use serde_json::Value;

use super::write::{Audience, Writer};
use super::{ClientOptions, ids};
use crate::chat::{Message, Tool};
use crate::dialect::carry::Notes;

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

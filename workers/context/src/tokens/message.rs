//! What of a message is counted, by the formula of OpenAI's cookbook ("How to count tokens with tiktoken"): three
//! tokens for each message beside its role (one) and content, one more for a name, three to start the reply.

use schemas::chat::{Block, DocumentSource, Message, Reasoning};

use super::part::Part;
use super::tokenizer::Tokenizer;
use super::{image, opaque};

/// Tokens that start the reply.
pub(super) const REPLY: u64 = 3;
/// A name costs this beside its text.
const NAME: u64 = 1;
/// A document of a few pages: what it is, only the provider sees.
const BY_ADDRESS: u64 = 3000;

/// Hands out what is counted of a message within a request.
pub(super) fn in_request(tokenizer: &Tokenizer, message: &Message, each: &mut impl FnMut(Part<'_>)) {
    each(Part::Tokens(u64::from(tokenizer.frame)));
    if let Some(name) = &message.name {
        each(Part::Text(name));
        each(Part::Tokens(NAME));
    }
    content(tokenizer, message, each);
}

/// Hands out what is counted of a message's content.
pub(super) fn content(tokenizer: &Tokenizer, message: &Message, each: &mut impl FnMut(Part<'_>)) {
    message.content.iter().for_each(|part| block(tokenizer, part, each));
}

/// OpenAI documents no cost of calls: name, arguments and a frame are counted. Reasoning is counted as its text, which
/// is more than a provider that drops it needs. Results nest no deeper than the codecs make them, one level.
fn block(tokenizer: &Tokenizer, block: &Block, each: &mut impl FnMut(Part<'_>)) {
    match block {
        Block::Text { text, .. } | Block::Reasoning(Reasoning { text, .. }) | Block::Refusal { text } => {
            each(Part::Text(text));
        }
        Block::Image { source, detail, .. } => {
            each(Part::Tokens(image::tokens(tokenizer.images, source, detail.as_deref())));
        }
        Block::ToolCall(call) => {
            each(Part::Tokens(u64::from(tokenizer.tool_call)));
            each(Part::Text(&call.name));
            each(Part::Text(&call.arguments));
        }
        Block::ToolResult(result) => result.content.iter().for_each(|part| self::block(tokenizer, part, each)),
        Block::Document { source, title, .. } => {
            title.iter().for_each(|title| each(Part::Text(title)));
            document(source, each);
        }
        Block::Opaque { value, .. } => opaque::parts(value, each),
    }
}

/// A document costs what its text does; one that is not text, what any embedded file does; one by address, a guess.
fn document(source: &DocumentSource, each: &mut impl FnMut(Part<'_>)) {
    each(match source {
        DocumentSource::Text { text } => Part::Text(text),
        DocumentSource::Base64 { data, .. } => Part::Tokens(opaque::encoded(data)),
        DocumentSource::Url { .. } => Part::Tokens(BY_ADDRESS),
    });
}

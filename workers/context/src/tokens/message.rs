//! What a message costs, by the formula of OpenAI's cookbook ("How to count tokens with tiktoken"): three tokens for
//! each message beside its role (one) and content, one more for a name, three to start the reply.

use schemas::chat::{Block, DocumentSource, Message, Reasoning};

use super::tokenizer::Tokenizer;
use super::{image, opaque};

/// Tokens that start the reply.
pub(super) const REPLY: u64 = 3;
/// A name costs this beside its text.
const NAME: u64 = 1;
/// A document of a few pages: what it is, only the provider sees.
const BY_ADDRESS: u64 = 3000;

/// Tokens of a message within a request.
pub(super) fn in_request(tokenizer: &Tokenizer, message: &Message) -> u64 {
    let name = message.name.as_ref().map_or(0, |name| tokenizer.text(name) + NAME);
    u64::from(tokenizer.frame) + name + content(tokenizer, message)
}

/// Tokens of a message's content alone.
pub(super) fn content(tokenizer: &Tokenizer, message: &Message) -> u64 {
    message.content.iter().map(|part| block(tokenizer, part)).sum()
}

/// OpenAI documents no cost of calls: name, arguments and a frame are counted. Reasoning is counted as its text, which
/// is more than a provider that drops it needs. Results nest no deeper than the codecs make them, one level.
fn block(tokenizer: &Tokenizer, block: &Block) -> u64 {
    match block {
        Block::Text { text, .. } | Block::Reasoning(Reasoning { text, .. }) | Block::Refusal { text } => {
            tokenizer.text(text)
        }
        Block::Image { source, detail, .. } => image::tokens(tokenizer.images, source, detail.as_deref()),
        Block::ToolCall(call) => {
            u64::from(tokenizer.tool_call) + tokenizer.text(&call.name) + tokenizer.text(&call.arguments)
        }
        Block::ToolResult(result) => result.content.iter().map(|part| self::block(tokenizer, part)).sum(),
        Block::Document { source, title, .. } => {
            let title = title.as_ref().map_or(0, |title| tokenizer.text(title));
            title + document(tokenizer, source)
        }
        Block::Opaque { value, .. } => opaque::tokens(tokenizer, value),
    }
}

/// A document costs what its text does; one that is not text, what any embedded file does; one by address, a guess.
fn document(tokenizer: &Tokenizer, source: &DocumentSource) -> u64 {
    match source {
        DocumentSource::Text { text } => tokenizer.text(text),
        DocumentSource::Base64 { data, .. } => opaque::encoded(data),
        DocumentSource::Url { .. } => BY_ADDRESS,
    }
}

//! What of a message is counted, by the formula of OpenAI's cookbook ("How to count tokens with tiktoken"): three
//! tokens for each message beside its role (one) and content, one more for a name, three to start the reply.

use schemas::chat::{Block, DocumentSource, Message, Reasoning};

use super::part::Part;
use super::tokenizer::Tokenizer;
use super::{file, image, opaque};

/// Tokens that start the reply.
pub(super) const REPLY: u64 = 3;
/// A name costs this beside its text.
const NAME: u64 = 1;
/// Characters of the proof of hidden reasoning for one token of it.
const PROOF: u64 = 4;
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
/// is more than a provider that drops it needs; hidden reasoning by the size of its proof, which holds it. Results nest no deeper than the codecs make them, one level.
fn block(tokenizer: &Tokenizer, block: &Block, each: &mut impl FnMut(Part<'_>)) {
    match block {
        Block::Reasoning(Reasoning { text, signature: Some(proof), .. }) if text.is_empty() => {
            each(Part::Tokens(proof.len() as u64 / PROOF));
        }
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
            document(tokenizer, source, each);
        }
        Block::Opaque { value, .. } => opaque::parts(tokenizer, value, each),
    }
}

/// A document costs what its text does; one that is not text, what any embedded file does; one by address, a guess.
fn document(tokenizer: &Tokenizer, source: &DocumentSource, each: &mut impl FnMut(Part<'_>)) {
    each(match source {
        DocumentSource::Text { text } => Part::Text(text),
        DocumentSource::Base64 { data, .. } => Part::Tokens(file::tokens(tokenizer.images, data, false)),
        DocumentSource::Url { .. } => Part::Tokens(BY_ADDRESS),
    });
}

#[cfg(test)]
mod tests {
    use schemas::chat::Role;

    use super::*;

    fn count(thought: Reasoning) -> u64 {
        let (tokenizer, mut sum) = (Tokenizer::of_name("claude-sonnet-4-5"), 0);
        let message = Message { content: vec![Block::Reasoning(thought)], ..Message::text(Role::Assistant, "") };
        content(&tokenizer, &message, &mut |part| sum += part.tokens(&tokenizer));
        sum
    }

    #[test]
    fn hidden_reasoning_is_counted_by_its_proof() {
        let proof = Some("c2ln".repeat(1000));
        let said = Reasoning { signature: proof.clone(), ..Reasoning::text("hm") };
        assert_eq!(count(said), count(Reasoning::text("hm")));
        assert_eq!(count(Reasoning { signature: proof, redacted: true, ..Reasoning::default() }), 1000);
        assert_eq!(count(Reasoning::default()), 0);
    }
}

//! What of an answer a client has had, and what is left of the whole: nothing twice, nothing lost. Pure. Keeps lengths
//! and digests instead of the text, so that a slow client of a long answer costs no memory.

use schemas::chat::{Block, ChatResponse};
use schemas::delta::Delta;
use sha2::{Digest, Sha256};

/// The client has had something that the whole answer does not begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer differs from what was sent of it")]
pub(super) struct Differs;

/// The part of one answer that a client has had.
#[derive(Debug, Clone, Default)]
pub(super) struct Emitted {
    started: bool,
    blocks: Vec<Piece>,
}

#[derive(Debug, Clone)]
struct Piece {
    kind: Kind,
    length: usize,
    digest: Sha256,
    /// Of reasoning: its proof was sent.
    signed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Text,
    Reasoning,
    Refusal,
    Call { id: String, name: String },
}

impl Emitted {
    /// Whether the client has had none of the answer's content.
    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Whether the answer's beginning was sent.
    pub(super) const fn started(&self) -> bool {
        self.started
    }

    /// The client gets `delta` now. The end of an answer is none of its content.
    pub(super) fn push(&mut self, delta: &Delta) {
        match delta {
            Delta::Start { .. } => self.started = true,
            Delta::Text { text } => self.extend(Kind::Text, text),
            Delta::Refusal { text } => self.extend(Kind::Refusal, text),
            Delta::Reasoning { text } => self.extend(Kind::Reasoning, text),
            Delta::ReasoningSignature { .. } => self.sign(),
            Delta::ToolCallStart { id, name, .. } => {
                self.blocks.push(Piece::new(Kind::Call { id: id.clone(), name: name.clone() }));
            }
            Delta::ToolCallArguments { index, text } => {
                let calls = self.blocks.iter_mut().filter(|piece| matches!(piece.kind, Kind::Call { .. }));
                if let Some(call) = calls.into_iter().nth(*index as usize) {
                    call.extend(text);
                }
            }
            Delta::Finish { .. } | Delta::Usage { .. } => {}
        }
    }

    /// What of the content of `whole` the client has not had, the beginning included, the end not.
    pub(super) fn rest(&self, whole: &ChatResponse) -> Result<Vec<Delta>, Differs> {
        let mut rest = Vec::new();
        if !self.started && self.is_empty() {
            rest.push(Delta::Start { id: whole.id.clone(), model: whole.model.clone() });
        }
        let blocks = joined(&whole.message.content);
        if blocks.len() < self.blocks.len() {
            return Err(Differs);
        }
        let mut calls = 0;
        for (position, block) in blocks.iter().enumerate() {
            let open = position + 1 >= self.blocks.len() || matches!(block.kind, Kind::Call { .. });
            match self.blocks.get(position) {
                None => block.whole(calls, &mut rest),
                Some(piece) => block.rest_after(piece, open, calls, &mut rest)?,
            }
            calls += u32::from(matches!(block.kind, Kind::Call { .. }));
        }
        Ok(rest)
    }

    fn extend(&mut self, kind: Kind, text: &str) {
        if text.is_empty() {
            return;
        }
        match self.blocks.last_mut() {
            Some(piece) if piece.kind == kind => {
                piece.extend(text);
                piece.signed = false;
            }
            _ => {
                let mut piece = Piece::new(kind);
                piece.extend(text);
                self.blocks.push(piece);
            }
        }
    }

    fn sign(&mut self) {
        match self.blocks.last_mut() {
            Some(piece) if piece.kind == Kind::Reasoning => piece.signed = true,
            _ => self.blocks.push(Piece { signed: true, ..Piece::new(Kind::Reasoning) }),
        }
    }
}

impl Piece {
    fn new(kind: Kind) -> Self {
        Self { kind, length: 0, digest: Sha256::new(), signed: false }
    }

    fn extend(&mut self, text: &str) {
        self.length += text.len();
        self.digest.update(text);
    }

    /// What of `text` comes after this piece, if `text` begins with it.
    fn after<'a>(&self, text: &'a str) -> Result<&'a str, Differs> {
        let (had, rest) = text.split_at_checked(self.length).ok_or(Differs)?;
        if Sha256::digest(had) == self.digest.clone().finalize() { Ok(rest) } else { Err(Differs) }
    }
}

/// A block of the whole answer, in the form in which pieces add up.
struct Joined {
    kind: Kind,
    text: String,
    signature: Option<String>,
}

impl Joined {
    fn whole(&self, calls: u32, rest: &mut Vec<Delta>) {
        if let Kind::Call { id, name } = &self.kind {
            rest.push(Delta::ToolCallStart { index: calls, id: id.clone(), name: name.clone() });
        }
        self.text_after(&self.text, calls, rest);
        rest.extend(self.signature.clone().map(|signature| Delta::ReasoningSignature { signature }));
    }

    /// What is left of this block after `piece`. Only an open one can still grow: the client has had later ones.
    fn rest_after(&self, piece: &Piece, open: bool, calls: u32, rest: &mut Vec<Delta>) -> Result<(), Differs> {
        if self.kind != piece.kind {
            return Err(Differs);
        }
        let text = piece.after(&self.text)?;
        let signature = self.signature.clone().filter(|_| !piece.signed);
        if !open && (!text.is_empty() || signature.is_some()) {
            return Err(Differs);
        }
        self.text_after(text, calls, rest);
        rest.extend(signature.map(|signature| Delta::ReasoningSignature { signature }));
        Ok(())
    }

    fn text_after(&self, text: &str, calls: u32, rest: &mut Vec<Delta>) {
        if text.is_empty() {
            return;
        }
        let text = text.to_owned();
        rest.push(match self.kind {
            Kind::Text => Delta::Text { text },
            Kind::Reasoning => Delta::Reasoning { text },
            Kind::Refusal => Delta::Refusal { text },
            Kind::Call { .. } => Delta::ToolCallArguments { index: calls, text },
        });
    }
}

/// The blocks that deltas can express: neighbours of one kind as one, empty ones left out.
fn joined(content: &[Block]) -> Vec<Joined> {
    let mut blocks: Vec<Joined> = Vec::new();
    for block in content {
        let (kind, text, signature) = match block {
            Block::Text { text, .. } => (Kind::Text, text, None),
            Block::Refusal { text } => (Kind::Refusal, text, None),
            Block::Reasoning { text, signature } => (Kind::Reasoning, text, signature.clone()),
            Block::ToolCall(call) => {
                (Kind::Call { id: call.id.clone(), name: call.name.clone() }, &call.arguments, None)
            }
            Block::Image { .. } | Block::ToolResult(_) | Block::Opaque { .. } => continue,
        };
        let is_call = matches!(kind, Kind::Call { .. });
        if text.is_empty() && signature.is_none() && !is_call {
            continue;
        }
        match blocks.last_mut() {
            Some(last) if last.kind == kind && !is_call => {
                last.text.push_str(text);
                last.signature = signature.or(last.signature.take());
            }
            _ => blocks.push(Joined { kind, text: text.clone(), signature }),
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use schemas::chat::{Extra, FinishReason, Message, Role, ToolCall, Usage};
    use schemas::delta::Assembly;

    fn answer(content: Vec<Block>) -> ChatResponse {
        ChatResponse {
            id: None,
            model: "m".to_owned(),
            message: Message { role: Role::Assistant, content, name: None, extra: Extra::new() },
            finish: FinishReason::Stop,
            usage: Some(Usage::default()),
            extra: Extra::new(),
        }
    }

    fn any_block() -> impl Strategy<Value = Block> {
        prop_oneof![
            ".{0,12}".prop_map(Block::text),
            ".{0,12}".prop_map(|text| Block::Reasoning { text, signature: None }),
            ".{1,12}".prop_map(|text| Block::Refusal { text }),
            (".{1,4}", ".{0,12}")
                .prop_map(|(id, arguments)| { Block::ToolCall(ToolCall { id, name: "tool".to_owned(), arguments }) }),
        ]
    }

    /// The answer's deltas, each text cut into pieces of `size` characters.
    fn stream(whole: &ChatResponse, size: usize) -> Vec<Delta> {
        let cut = |text: &str| {
            let letters: Vec<char> = text.chars().collect();
            letters.chunks(size).map(|piece| piece.iter().collect::<String>()).collect::<Vec<_>>()
        };
        schemas::delta::pieces(whole)
            .into_iter()
            .flat_map(|delta| match delta {
                Delta::Text { text } => cut(&text).into_iter().map(|text| Delta::Text { text }).collect(),
                Delta::Reasoning { text } => cut(&text).into_iter().map(|text| Delta::Reasoning { text }).collect(),
                Delta::ToolCallArguments { index, text } => {
                    cut(&text).into_iter().map(|text| Delta::ToolCallArguments { index, text }).collect()
                }
                other => vec![other],
            })
            .collect()
    }

    fn assembled(deltas: impl IntoIterator<Item = Delta>) -> Vec<Block> {
        let mut assembly = Assembly::default();
        deltas.into_iter().for_each(|delta| assembly.push(&delta));
        assembly.push(&Delta::Finish { reason: FinishReason::Stop });
        assembly.into_response().unwrap().message.content
    }

    proptest! {
        #[test]
        fn had_and_rest_are_the_whole(
            content in proptest::collection::vec(any_block(), 0..5), size in 1_usize..5, had in 0_usize..60,
        ) {
            let whole = answer(content);
            let deltas = stream(&whole, size);
            let had = had.min(deltas.len());
            let mut emitted = Emitted::default();
            deltas[..had].iter().for_each(|delta| emitted.push(delta));
            let rest = emitted.rest(&whole).unwrap();
            let sent = assembled(deltas[..had].iter().cloned().chain(rest));
            prop_assert_eq!(sent, assembled(deltas));
        }

        #[test]
        fn another_answer_is_noticed(one in ".{3,12}", two in ".{3,12}", had in 1_usize..3) {
            prop_assume!(!two.starts_with(&one.chars().take(had).collect::<String>()));
            let mut emitted = Emitted::default();
            stream(&answer(vec![Block::text(one)]), 1)[..=had].iter().for_each(|delta| emitted.push(delta));
            prop_assert_eq!(emitted.rest(&answer(vec![Block::text(two)])), Err(Differs));
        }
    }

    #[test]
    fn calls_made_at_the_same_time_are_completed_each() {
        let call = |id: &str, arguments: &str| {
            Block::ToolCall(ToolCall { id: id.to_owned(), name: "t".to_owned(), arguments: arguments.to_owned() })
        };
        let mut emitted = Emitted::default();
        for (index, id) in [(0, "a"), (1, "b")] {
            emitted.push(&Delta::ToolCallStart { index, id: id.to_owned(), name: "t".to_owned() });
            emitted.push(&Delta::ToolCallArguments { index, text: "{".to_owned() });
        }
        let rest = emitted.rest(&answer(vec![call("a", "{1}"), call("b", "{2}")])).unwrap();
        let arguments = |index: u32, text: &str| Delta::ToolCallArguments { index, text: text.to_owned() };
        assert_eq!(rest, [arguments(0, "1}"), arguments(1, "2}")]);
    }

    #[test]
    fn a_block_that_later_ones_followed_cannot_grow() {
        let mut emitted = Emitted::default();
        emitted.push(&Delta::Reasoning { text: "hm".to_owned() });
        emitted.push(&Delta::Text { text: "yes".to_owned() });
        let whole = answer(vec![Block::Reasoning { text: "hmm".to_owned(), signature: None }, Block::text("yes")]);
        assert_eq!(emitted.rest(&whole), Err(Differs));
    }
}

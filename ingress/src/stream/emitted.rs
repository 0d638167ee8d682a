//! What of an answer a client has had, and what is left of the whole: nothing twice, nothing lost. Pure. Keeps lengths
//! and digests instead of the text, so that a slow client of a long answer costs no memory.

use std::borrow::Cow;

use schemas::chat::{Block, ChatResponse, Extra};
use schemas::delta::{Delta, annotations, block_pieces, proof};
use sha2::{Digest, Sha256};

/// The client has had something that the whole answer does not begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer differs from what was sent of it")]
pub(super) struct Differs;

/// The part of one answer that a client has had.
#[derive(Debug, Clone, Default)]
pub(super) struct Emitted {
    started: bool,
    broken: bool,
    logprobs: usize,
    blocks: Vec<Piece>,
}

#[derive(Debug, Clone)]
struct Piece {
    kind: Kind,
    length: usize,
    digest: Sha256,
    /// Of reasoning: its proof was sent.
    signed: bool,
    /// Of text: how many annotations were sent.
    annotations: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Text,
    Reasoning,
    /// Reasoning of which the provider shows nothing.
    Hidden,
    Refusal,
    Call {
        id: String,
        name: String,
    },
    Opaque,
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
            Delta::ReasoningSignature { redacted, .. } => self.sign(*redacted),
            Delta::ToolCallStart { id, name, .. } => {
                self.blocks.push(Piece::new(Kind::Call { id: id.clone(), name: name.clone() }));
            }
            Delta::ToolCallArguments { index, text } => {
                let calls = self.blocks.iter_mut().filter(|piece| matches!(piece.kind, Kind::Call { .. }));
                if let Some(call) = calls.into_iter().nth(*index as usize) {
                    call.extend(text);
                }
            }
            Delta::Break => self.broken = true,
            Delta::Annotation { .. } => {
                if let Some(piece) = self.blocks.iter_mut().rev().find(|piece| piece.kind == Kind::Text) {
                    piece.annotations += 1;
                }
            }
            Delta::Logprobs { tokens } => self.logprobs += tokens.len(),
            Delta::Opaque { value, .. } => {
                self.blocks.push(Piece::new(Kind::Opaque));
                self.extend(Kind::Opaque, &value.to_string());
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
        let blocks: Vec<_> = whole.message.content.iter().filter_map(Part::of).collect();
        if blocks.len() < self.blocks.len() {
            return Err(Differs);
        }
        let (mut calls, mut before) = (0, None);
        for (position, part) in blocks.iter().enumerate() {
            let is_call = matches!(part.kind, Kind::Call { .. });
            match self.blocks.get(position) {
                None => part.whole(before, calls, &mut rest),
                Some(piece) => {
                    let open = position + 1 >= self.blocks.len() || is_call;
                    rest.extend(part.after(piece, open, calls)?);
                }
            }
            calls += u32::from(is_call);
            before = Some(&part.kind);
        }
        let logprobs = whole.logprobs.get(self.logprobs..).unwrap_or_default().to_vec();
        if !logprobs.is_empty() {
            rest.push(Delta::Logprobs { tokens: logprobs });
        }
        Ok(rest)
    }

    fn extend(&mut self, kind: Kind, text: &str) {
        if text.is_empty() {
            // An empty block of another kind says nothing, and parts those around it.
            self.broken |= self.blocks.last().is_some_and(|piece| piece.kind != kind);
            return;
        }
        let broken = std::mem::take(&mut self.broken);
        match self.blocks.last_mut().filter(|piece| !broken && piece.kind == kind) {
            Some(piece) => {
                piece.extend(text);
                piece.signed = false;
            }
            None => {
                let mut piece = Piece::new(kind);
                piece.extend(text);
                self.blocks.push(piece);
            }
        }
    }

    fn sign(&mut self, redacted: bool) {
        let broken = std::mem::take(&mut self.broken);
        match self.blocks.last_mut().filter(|_| !broken && !redacted) {
            Some(piece) if piece.kind == Kind::Reasoning => piece.signed = true,
            _ if redacted => self.blocks.push(Piece { signed: true, ..Piece::new(Kind::Hidden) }),
            _ => self.blocks.push(Piece { signed: true, ..Piece::new(Kind::Reasoning) }),
        }
    }
}

impl Piece {
    fn new(kind: Kind) -> Self {
        Self { kind, length: 0, digest: Sha256::new(), signed: false, annotations: 0 }
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

/// A block of the whole answer that deltas can express.
struct Part<'a> {
    block: &'a Block,
    kind: Kind,
    text: Cow<'a, str>,
    proof: Option<Delta>,
    extra: Option<&'a Extra>,
}

impl<'a> Part<'a> {
    /// `None` for an empty block, which no delta tells of, and for what no answer holds.
    fn of(block: &'a Block) -> Option<Self> {
        let part = |kind, text: &'a str| Self { block, kind, text: text.into(), proof: None, extra: None };
        let part = match block {
            Block::Text { text, extra } => Self { extra: Some(extra), ..part(Kind::Text, text) },
            Block::Refusal { text } => part(Kind::Refusal, text),
            Block::Reasoning(own) if own.redacted => Self { proof: proof(own), ..part(Kind::Hidden, "") },
            Block::Reasoning(own) => Self { proof: proof(own), ..part(Kind::Reasoning, &own.text) },
            Block::ToolCall(call) => part(Kind::Call { id: call.id.clone(), name: call.name.clone() }, &call.arguments),
            Block::Opaque { value, .. } => Self { text: value.to_string().into(), ..part(Kind::Opaque, "") },
            Block::Image { .. } | Block::Document { .. } | Block::ToolResult(_) => return None,
        };
        let said = !part.text.is_empty() || part.proof.is_some() || matches!(part.kind, Kind::Call { .. });
        said.then_some(part)
    }

    /// All of it, behind a block of the kind `before`.
    fn whole(&self, before: Option<&Kind>, calls: u32, rest: &mut Vec<Delta>) {
        if before == Some(&self.kind) {
            rest.push(Delta::Break);
        }
        block_pieces(self.block, calls, rest);
    }

    /// What is left of it after `piece`. Only an open one can still grow: the client has had later ones.
    fn after(&self, piece: &Piece, open: bool, calls: u32) -> Result<Vec<Delta>, Differs> {
        if self.kind != piece.kind {
            return Err(Differs);
        }
        let text = piece.after(&self.text)?;
        let mut rest: Vec<_> = self.piece(text, calls).into_iter().collect();
        rest.extend(self.extra.into_iter().flat_map(annotations).skip(piece.annotations));
        rest.extend(self.proof.clone().filter(|_| !piece.signed));
        if open || rest.is_empty() { Ok(rest) } else { Err(Differs) }
    }

    fn piece(&self, text: &str, calls: u32) -> Option<Delta> {
        let text = Some(text).filter(|text| !text.is_empty())?.to_owned();
        match self.kind {
            Kind::Text => Some(Delta::Text { text }),
            Kind::Reasoning => Some(Delta::Reasoning { text }),
            Kind::Refusal => Some(Delta::Refusal { text }),
            Kind::Call { .. } => Some(Delta::ToolCallArguments { index: calls, text }),
            // They go out in one piece, so there is no rest of them.
            Kind::Opaque | Kind::Hidden => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use schemas::chat::{Extra, FinishReason, Message, Reasoning, Role, ToolCall, Usage};
    use schemas::delta::Assembly;

    fn answer(content: Vec<Block>) -> ChatResponse {
        ChatResponse {
            id: None,
            model: "m".to_owned(),
            message: Message { role: Role::Assistant, content, name: None, extra: Extra::new() },
            finish: FinishReason::Stop,
            usage: Some(Usage::default()),
            logprobs: Vec::new(),
            extra: Extra::new(),
        }
    }

    fn any_block() -> impl Strategy<Value = Block> {
        prop_oneof![
            ".{0,12}".prop_map(Block::text),
            ".{0,12}".prop_map(|text| Block::Reasoning(Reasoning::text(text))),
            ".{1,12}".prop_map(|text| Block::Refusal { text }),
            (".{1,4}", ".{0,12}").prop_map(|(id, arguments)| {
                Block::ToolCall(ToolCall { id, name: "tool".to_owned(), arguments, extra: Extra::new() })
            }),
        ]
    }

    /// The answer's deltas, each text cut into pieces of `size` characters.
    fn stream(whole: &ChatResponse, size: usize) -> Vec<Delta> {
        let cut = |text: &str| {
            let letters: Vec<char> = text.chars().collect();
            let pieces = letters.chunks(size).map(|piece| piece.iter().collect::<String>()).collect::<Vec<_>>();
            if pieces.is_empty() { vec![String::new()] } else { pieces }
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
        assembly.push(&Delta::Finish { reason: FinishReason::Stop, extra: Extra::new() });
        let content = assembly.into_response().unwrap().message.content;
        // An empty block says nothing: it may be missing.
        content.into_iter().filter(|block| Part::of(block).is_some()).collect()
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
            Block::ToolCall(ToolCall {
                id: id.to_owned(),
                name: "t".to_owned(),
                arguments: arguments.to_owned(),
                extra: Extra::new(),
            })
        };
        let mut emitted = Emitted::default();
        for (index, id) in [(0, "a"), (1, "b")] {
            emitted.push(&Delta::ToolCallStart { index, id: id.to_owned(), name: "t".to_owned(), extra: Extra::new() });
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
        let whole = answer(vec![Block::Reasoning(Reasoning::text("hmm")), Block::text("yes")]);
        assert_eq!(emitted.rest(&whole), Err(Differs));
    }
}

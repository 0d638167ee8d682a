//! Where a streamed answer was cut: with it and the whole answer, the same deltas can be made again, long after they were
//! sent. A letter for each delta, with lengths in bytes where its text is a part of the whole: `ST5T12A0:7EU`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Delta, annotations, proof};
use crate::chat::{Block, ChatResponse, ToolCall};

/// The cuts of one answer, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Trace(String);

impl Trace {
    /// Notes the next delta.
    pub fn push(&mut self, delta: &Delta) {
        let note = match delta {
            Delta::Start { .. } => "S".to_owned(),
            Delta::Text { text } => format!("T{}", text.len()),
            Delta::Reasoning { text } => format!("R{}", text.len()),
            Delta::ReasoningSignature { redacted: false, .. } => "P".to_owned(),
            Delta::ReasoningSignature { redacted: true, .. } => "H".to_owned(),
            Delta::Refusal { text } => format!("F{}", text.len()),
            Delta::ToolCallStart { .. } => "C".to_owned(),
            Delta::ToolCallArguments { index, text } => format!("A{index}:{}", text.len()),
            Delta::Break => "B".to_owned(),
            Delta::Logprobs { tokens } => format!("L{}", tokens.len()),
            Delta::Annotation { .. } => "N".to_owned(),
            Delta::Opaque { .. } => "O".to_owned(),
            Delta::Finish { .. } => "E".to_owned(),
            Delta::Usage { .. } => "U".to_owned(),
        };
        self.0.push_str(&note);
    }

    /// Its size in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.len()
    }

    /// The deltas that were noted, cut anew from `whole`; `None` when it is not the answer that they added up to.
    #[must_use]
    pub fn replay(&self, whole: &ChatResponse) -> Option<Vec<Delta>> {
        let mut replay = Replay::new(whole);
        let mut rest = self.0.as_str();
        let mut deltas = Vec::new();
        while let Some(letter) = rest.chars().next() {
            let (_, behind) = rest.split_at(letter.len_utf8());
            let end = behind.find(|next: char| next.is_ascii_uppercase()).unwrap_or(behind.len());
            let (detail, next) = behind.split_at(end);
            deltas.push(replay.delta(letter, detail)?);
            rest = next;
        }
        replay.is_spent().then_some(deltas)
    }
}

/// How far the whole has been cut up. Goes from block to block exactly as `Assembly` does.
struct Replay<'a> {
    whole: &'a ChatResponse,
    /// The blocks begun so far.
    blocks: Vec<Begun<'a>>,
    logprobs: usize,
    broken: bool,
}

/// A block of which some was given out.
struct Begun<'a> {
    block: &'a Block,
    given: usize,
    annotations: usize,
}

impl<'a> Replay<'a> {
    const fn new(whole: &'a ChatResponse) -> Self {
        Self { whole, blocks: Vec::new(), logprobs: 0, broken: false }
    }

    fn delta(&mut self, letter: char, detail: &str) -> Option<Delta> {
        let whole = self.whole;
        Some(match letter {
            'S' => Delta::Start { id: whole.id.clone(), model: whole.model.clone() },
            'T' => Delta::Text { text: self.text(detail, |block| matches!(block, Block::Text { .. }))? },
            'R' => Delta::Reasoning { text: self.text(detail, is_open_reasoning)? },
            'F' => Delta::Refusal { text: self.text(detail, |block| matches!(block, Block::Refusal { .. }))? },
            'P' => self.proof(false)?,
            'H' => self.proof(true)?,
            'C' => self.call()?,
            'A' => self.arguments(detail)?,
            'B' => {
                self.broken = true;
                Delta::Break
            }
            'L' => self.logprobs(detail)?,
            'N' => self.annotation()?,
            'O' => self.opaque()?,
            'E' => Delta::Finish { reason: whole.finish, extra: whole.extra.clone() },
            'U' => Delta::Usage { usage: whole.usage? },
            _ => return None,
        })
    }

    fn begin(&mut self) -> Option<&mut Begun<'a>> {
        let block = self.whole.message.content.get(self.blocks.len())?;
        self.blocks.push(Begun { block, given: 0, annotations: 0 });
        self.blocks.last_mut()
    }

    /// The block that goes on if it is such a one, else the next.
    fn current(&mut self, is: impl Fn(&Block) -> bool) -> Option<&mut Begun<'a>> {
        let goes_on = !std::mem::take(&mut self.broken) && self.blocks.last().is_some_and(|last| is(last.block));
        let current = if goes_on { self.blocks.last_mut() } else { self.begin() };
        current.filter(|begun| is(begun.block))
    }

    fn text(&mut self, detail: &str, is: impl Fn(&Block) -> bool) -> Option<String> {
        self.current(is)?.take(detail.parse().ok()?)
    }

    fn proof(&mut self, redacted: bool) -> Option<Delta> {
        let begun = if redacted { self.begin()? } else { self.current(is_open_reasoning)? };
        match begun.block {
            Block::Reasoning(reasoning) if reasoning.redacted == redacted => proof(reasoning),
            _ => None,
        }
    }

    fn call(&mut self) -> Option<Delta> {
        let index = u32::try_from(self.blocks.iter().filter(|begun| begun.is_call()).count()).ok()?;
        let Block::ToolCall(call) = self.begin()?.block else { return None };
        let ToolCall { id, name, extra, .. } = call.clone();
        Some(Delta::ToolCallStart { index, id, name, extra })
    }

    fn arguments(&mut self, detail: &str) -> Option<Delta> {
        let (index, length) = detail.split_once(':')?;
        let index: u32 = index.parse().ok()?;
        let mut calls = self.blocks.iter_mut().filter(|begun| begun.is_call());
        let text = calls.nth(index as usize)?.take(length.parse().ok()?)?;
        Some(Delta::ToolCallArguments { index, text })
    }

    fn logprobs(&mut self, detail: &str) -> Option<Delta> {
        let end = self.logprobs.checked_add(detail.parse().ok()?)?;
        let tokens: Vec<Value> = self.whole.logprobs.get(self.logprobs..end)?.to_vec();
        self.logprobs = end;
        Some(Delta::Logprobs { tokens })
    }

    fn annotation(&mut self) -> Option<Delta> {
        let is_text = |begun: &&mut Begun<'_>| matches!(begun.block, Block::Text { .. });
        let begun = self.blocks.iter_mut().rev().find(is_text)?;
        let Block::Text { extra, .. } = begun.block else { return None };
        begun.annotations += 1;
        annotations(extra).nth(begun.annotations - 1)
    }

    fn opaque(&mut self) -> Option<Delta> {
        let Block::Opaque { dialect, value } = self.begin()?.block else { return None };
        Some(Delta::Opaque { dialect: dialect.clone(), value: value.clone() })
    }

    fn is_spent(&self) -> bool {
        let all = self.blocks.len() == self.whole.message.content.len();
        all && self.blocks.iter().all(|begun| begun.given == begun.text().len())
    }
}

const fn is_open_reasoning(block: &Block) -> bool {
    matches!(block, Block::Reasoning(reasoning) if !reasoning.redacted)
}

impl<'a> Begun<'a> {
    const fn is_call(&self) -> bool {
        matches!(self.block, Block::ToolCall(_))
    }

    fn text(&self) -> &'a str {
        match self.block {
            Block::Text { text, .. } | Block::Refusal { text } => text,
            Block::Reasoning(reasoning) => &reasoning.text,
            Block::ToolCall(call) => &call.arguments,
            Block::Image { .. } | Block::Document { .. } | Block::ToolResult(_) | Block::Opaque { .. } => "",
        }
    }

    fn take(&mut self, length: usize) -> Option<String> {
        let end = self.given.checked_add(length)?;
        let piece = self.text().get(self.given..end)?;
        self.given = end;
        Some(piece.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::chat::{Extra, FinishReason, Usage};
    use crate::delta::Assembly;

    fn piece() -> impl Strategy<Value = Delta> {
        let text = "[a-zé😀]{0,5}";
        prop_oneof![
            4 => text.prop_map(|text| Delta::Text { text }),
            2 => text.prop_map(|text| Delta::Reasoning { text }),
            1 => any::<bool>().prop_map(|redacted| Delta::ReasoningSignature {
                signature: "proof".to_owned(), dialect: Some("d".to_owned()), id: None, redacted,
            }),
            1 => text.prop_map(|text| Delta::Refusal { text }),
            1 => Just(Delta::Break),
            1 => Just(Delta::Opaque { dialect: "d".to_owned(), value: json!({"type": "search"}) }),
            1 => (1..4_usize).prop_map(|count| Delta::Logprobs { tokens: vec![json!({"token": "a"}); count] }),
            1 => any::<u8>().prop_map(|page| Delta::Annotation { dialect: "d".to_owned(), value: json!(page) }),
            3 => (0..3_u32, text).prop_map(|(index, text)| Delta::ToolCallArguments { index, text }),
        ]
    }

    /// Pieces in any order that a decoder may give: a call begins before its arguments, annotations stand behind text,
    /// and reasoning is signed once.
    fn sensible(pieces: Vec<Delta>) -> Vec<Delta> {
        let mut deltas = vec![Delta::Start { id: Some("r1".to_owned()), model: "m".to_owned() }];
        let mut calls = 0;
        for piece in pieces {
            let begin = |index: u32| Delta::ToolCallStart {
                index,
                id: format!("c{index}"),
                name: "f".to_owned(),
                extra: Extra::new(),
            };
            match &piece {
                Delta::ToolCallArguments { index, .. } if *index >= calls => {
                    deltas.push(begin(calls));
                    calls += 1;
                }
                Delta::Annotation { .. } if !deltas.iter().any(|delta| matches!(delta, Delta::Text { .. })) => {}
                Delta::ReasoningSignature { redacted: false, .. }
                    if !matches!(deltas.last(), Some(Delta::Reasoning { .. })) => {}
                Delta::Reasoning { .. } if matches!(deltas.last(), Some(Delta::ReasoningSignature { .. })) => {
                    deltas.extend([Delta::Break, piece]);
                }
                _ => deltas.push(piece),
            }
        }
        let extra = Extra::from_iter([("d".to_owned(), json!({"stop_sequence": "x"}))]);
        deltas.push(Delta::Finish { reason: FinishReason::Stop, extra });
        deltas.push(Delta::Usage { usage: Usage::default() });
        deltas
    }

    fn noted(deltas: &[Delta]) -> (Trace, ChatResponse) {
        let (mut trace, mut assembly) = (Trace::default(), Assembly::default());
        for delta in deltas {
            trace.push(delta);
            assembly.push(delta);
        }
        (trace, assembly.into_response().unwrap())
    }

    proptest! {
        #[test]
        fn the_same_deltas_again(pieces in prop::collection::vec(piece(), 0..30)) {
            let deltas = sensible(pieces);
            let (trace, whole) = noted(&deltas);
            prop_assert_eq!(trace.replay(&whole), Some(deltas));
        }

        #[test]
        fn another_answer_or_no_trace_is_none(pieces in prop::collection::vec(piece(), 0..9), nonsense: String) {
            let (trace, mut whole) = noted(&sensible(pieces));
            whole.message.content.push(Block::text("more"));
            prop_assert_eq!(trace.replay(&whole), None);
            let _ = Trace(nonsense).replay(&whole);
        }
    }

    #[test]
    fn it_is_short() {
        let text = |text: &str| Delta::Text { text: text.to_owned() };
        let (trace, _) = noted(&sensible(vec![text("hello"), text(" world")]));
        assert_eq!(trace, Trace("ST5T6EU".to_owned()));
        assert_eq!(serde_json::to_value(&trace).unwrap(), json!("ST5T6EU"));
    }
}

//! Streams in tests, whatever their dialect.

use crate::chat::ChatResponse;
use crate::delta::{Assembly, Delta};
use crate::dialect::stream::{Decoder, Events};
use crate::error::Failure;

/// The deltas of a stream whose bytes come in `pieces`.
pub(in crate::dialect) fn decode<E: Events>(mut decoder: Decoder<E>, pieces: &[&[u8]]) -> Result<Vec<Delta>, Failure> {
    let mut deltas = Vec::new();
    for piece in pieces {
        deltas.extend(decoder.feed(piece)?);
    }
    deltas.extend(decoder.finish()?);
    Ok(deltas)
}

/// The answer that they add up to.
pub(in crate::dialect) fn assemble(deltas: &[Delta]) -> Option<ChatResponse> {
    let mut assembly = Assembly::default();
    deltas.iter().for_each(|delta| assembly.push(delta));
    assembly.into_response()
}

/// The same in smaller pieces of `size` characters; the arguments of calls in turns, as parallel calls may stream.
pub(in crate::dialect) fn shatter(deltas: Vec<Delta>, size: usize) -> Vec<Delta> {
    let mut whole = Vec::new();
    let mut calls: Vec<Vec<Delta>> = Vec::new();
    let mut tail = Vec::new();
    for delta in deltas {
        match delta {
            Delta::Text { text } if !text.is_empty() => whole.extend(cut(&text, size).map(|text| Delta::Text { text })),
            Delta::Reasoning { text } if !text.is_empty() => {
                whole.extend(cut(&text, size).map(|text| Delta::Reasoning { text }));
            }
            Delta::Refusal { text } => whole.extend(cut(&text, size).map(|text| Delta::Refusal { text })),
            Delta::ToolCallArguments { index, text } => {
                calls.push(cut(&text, size).map(|text| Delta::ToolCallArguments { index, text }).collect());
            }
            Delta::Finish { .. } | Delta::Usage { .. } => tail.push(delta),
            other => whole.push(other),
        }
    }
    let longest = calls.iter().map(Vec::len).max().unwrap_or(0);
    whole.extend((0..longest).flat_map(|turn| calls.iter().filter_map(move |call| call.get(turn).cloned())));
    whole.extend(tail);
    whole
}

/// `text` in pieces of `size` characters.
pub(in crate::dialect) fn cut(text: &str, size: usize) -> impl Iterator<Item = String> {
    let chars: Vec<char> = text.chars().collect();
    chars.chunks(size).map(|chunk| chunk.iter().collect()).collect::<Vec<String>>().into_iter()
}

//! The built-in provider: no network, always the same answer to the same prompt, true token usage. Its model's name
//! can tell it to be slow, to fail, to be flaky or to die, so that a newcomer and a test see every path.

mod count;
pub mod name;
mod reply;
mod sample;

use std::time::Duration;

use schemas::chat::{Block, ChatRequest, ChatResponse, Extra, FinishReason, ToolCall, Usage};
use schemas::delta::Delta;
use schemas::dialect::classify::{Class, Classified};
use schemas::dialect::openai_chat;
use schemas::error::ErrorCode;
use schemas::id::JobId;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::call::{Call, Progress, broken};
pub(crate) use count::count_with;
pub use count::{CountTokens, Countable};
use name::Script;

/// The built-in provider.
#[derive(Clone)]
pub(super) struct Echo {
    count: CountTokens,
}

impl std::fmt::Debug for Echo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Echo").finish_non_exhaustive()
    }
}

/// Waits; for no time at all it does not, since the timer's shortest sleep is a millisecond.
async fn pause(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

impl Echo {
    pub(super) fn new(count: CountTokens) -> Self {
        Self { count }
    }

    pub(super) async fn call(&self, call: &Call<'_>, progress: &mut Progress<'_>) -> Result<ChatResponse, Classified> {
        let script = name::parse(call.upstream).map_err(|failure| Classified { failure, class: Class::Fatal })?;
        progress.sent = true;
        pause(script.slow).await;
        if script.hang {
            std::future::pending::<()>().await;
        }
        if let Some(refusal) = refusal(&script, call.job, call.attempt) {
            return Err(refusal);
        }
        let (pieces, finish) = self.pieces(call.request, &script);
        let id = Some(format!("echo-{}-{}", call.job, call.attempt));
        progress.push(vec![Delta::Start { id, model: call.upstream.to_owned() }]).await;
        let said = pieces.iter().filter_map(text_of).collect::<String>();
        self.speak(pieces, &script, progress).await?;
        let usage = self.usage(call.request, &said);
        progress.push(vec![Delta::Finish { reason: finish, extra: Extra::new() }, Delta::Usage { usage }]).await;
        progress.assembled()
    }

    /// Says one piece after the other; told to die, it stops half way.
    async fn speak(&self, pieces: Vec<Delta>, script: &Script, progress: &mut Progress<'_>) -> Result<(), Classified> {
        let end = if script.die { pieces.len() / 2 } else { pieces.len() };
        for piece in pieces.into_iter().take(end) {
            pause(script.pace).await;
            progress.push(vec![piece]).await;
        }
        if script.die {
            return Err(broken(ErrorCode::ProviderInvalidResponse, "the stream ended without a finish reason"));
        }
        Ok(())
    }

    fn pieces(&self, request: &ChatRequest, script: &Script) -> (Vec<Delta>, FinishReason) {
        match reply::reply(request) {
            Block::ToolCall(call) => (call_pieces(call), FinishReason::ToolCalls),
            block => {
                let words: Vec<_> = block.as_text().unwrap_or_default().split_inclusive(char::is_whitespace).collect();
                let fitting = match request.sampling.max_tokens {
                    Some(most) => self.fitting(&words, u64::from(most)),
                    None => words.len(),
                };
                let kept = if script.length { fitting.min(words.len() / 2) } else { fitting };
                let cut = script.length || kept < words.len();
                let text = |word: &&str| Delta::Text { text: (*word).to_owned() };
                let finish = if cut { FinishReason::Length } else { FinishReason::Stop };
                (words[..kept].iter().map(text).collect(), finish)
            }
        }
    }

    /// How many of the first words are at most `most` tokens together.
    fn fitting(&self, words: &[&str], most: u64) -> usize {
        let fits = |count: usize| (self.count)(Countable::Text(&words[..count].concat())) <= most;
        if fits(words.len()) {
            return words.len();
        }
        let (mut fitting, mut too_many) = (0, words.len());
        while fitting + 1 < too_many {
            let middle = usize::midpoint(fitting, too_many);
            if fits(middle) { fitting = middle } else { too_many = middle }
        }
        fitting
    }

    fn usage(&self, request: &ChatRequest, said: &str) -> Usage {
        let output_tokens = (self.count)(Countable::Text(said));
        Usage { input_tokens: (self.count)(Countable::Request(request)), output_tokens, ..Usage::default() }
    }
}

fn call_pieces(call: ToolCall) -> Vec<Delta> {
    let mut pieces = vec![Delta::ToolCallStart { index: 0, id: call.id, name: call.name, extra: call.extra }];
    let arguments = call.arguments.split_inclusive(',');
    pieces.extend(arguments.map(|text| Delta::ToolCallArguments { index: 0, text: text.to_owned() }));
    pieces
}

/// What of a piece the model wrote.
fn text_of(piece: &Delta) -> Option<&str> {
    match piece {
        Delta::Text { text } | Delta::ToolCallArguments { text, .. } => Some(text),
        Delta::ToolCallStart { name, .. } => Some(name),
        _ => None,
    }
}

/// The failure that the name asks for in this attempt, classified as if a provider had answered so.
fn refusal(script: &Script, job: JobId, attempt: u32) -> Option<Classified> {
    let status = match script.fail {
        Some(status) => status,
        None if script.retry_after.is_some() && attempt <= 1 => 429,
        None if chance(job, attempt) < script.flaky => 500,
        None => return None,
    };
    let body = json!({ "error": { "message": format!("echo was told to answer {status}") } });
    Some(openai_chat::classify(status, script.retry_after, body.to_string().as_bytes()))
}

/// 0 to 99, always the same for one attempt of one job.
fn chance(job: JobId, attempt: u32) -> u8 {
    let digest = Sha256::new().chain_update(job.to_string()).chain_update(attempt.to_be_bytes()).finalize();
    digest.first_chunk().map_or(0, |bits| (u16::from_be_bytes(*bits) % 100) as u8)
}

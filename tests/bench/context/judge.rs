//! Whether providers would take what was made of a conversation.

use context::{Counter, Tokenizer};
use schemas::catalog::Quirks;
use schemas::chat::{ChatRequest, Role};
use schemas::dialect::{anthropic as messages_api, openai_chat};
use serde_json::json;

use crate::{Call, anthropic, openai};

/// The results of one trimmer.
#[derive(Default)]
pub(crate) struct Verdict {
    /// So many would be refused.
    pub(crate) refused: usize,
    /// So many are larger than allowed.
    pub(crate) over: usize,
    /// Tokens of one, on average.
    pub(crate) tokens: f64,
    /// Why the first that would be refused would be.
    pub(crate) example: Option<String>,
}

/// The middle one of the calls' times, in milliseconds.
pub(crate) fn median(calls: &[Call]) -> f64 {
    let mut times: Vec<_> = calls.iter().map(|call| call.milliseconds).collect();
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Judges every result.
pub(crate) fn verdict(calls: &[Call], budget: u32) -> Verdict {
    let counter = Counter::new(16_384);
    let mut verdict = Verdict::default();
    for call in calls {
        let request = match taken(call) {
            Ok(request) => request,
            Err(complaint) => {
                verdict.refused += 1;
                verdict.example.get_or_insert(complaint);
                continue;
            }
        };
        let tokens = counter.meter(Tokenizer::of_name("gpt-4o")).request(&request);
        verdict.over += usize::from(tokens > u64::from(budget));
        verdict.tokens += tokens as f64;
    }
    verdict.tokens /= (calls.len() - verdict.refused).max(1) as f64;
    verdict
}

/// The conversation, if both APIs take it.
fn taken(call: &Call) -> Result<ChatRequest, String> {
    let body = json!({"model": "gpt-4o", "max_tokens": 100, "messages": call.messages});
    if let Some(complaint) = openai::complaint(&body) {
        return Err(format!("OpenAI: {complaint}"));
    }
    let request = openai_chat::decode_request(body).map_err(|failure| failure.to_string())?.request;
    let first = request.messages.first().map(|message| message.role);
    if first != Some(Role::System) {
        return Err(format!("the system prompt is lost: it begins with {first:?}"));
    }
    let (sent, _) = messages_api::encode_request(&request, "m", &Quirks::default());
    match anthropic::complaint(&sent) {
        Some(complaint) => Err(format!("Anthropic: {complaint}")),
        None => Ok(request),
    }
}

//! What the provider does with each call: drawn from the seed, the job and the number of the call, so that a repeated run
//! meets the same provider.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use super::NAME;
use crate::options::Options;

/// A few calls take this many times the mean: renewals happen, and leases are outlived.
const TAIL: [(f64, f64); 2] = [(0.01, 12.0), (0.06, 5.0)];

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Act {
    /// A whole answer.
    Answer,
    /// This status, and `Retry-After` in seconds.
    Refuse(u16, Option<u64>),
    /// Half an answer, then the connection breaks.
    Cut,
    /// Half an answer, then a clean end.
    Truncate,
}

/// One step of writing an answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// Wait.
    Wait(Duration),
    /// Send this.
    Send(String),
    /// Send this, which makes the answer whole.
    Last(String),
    /// Break the connection.
    Cut,
    /// End in good order, the answer not whole.
    End,
}

/// The odds.
#[derive(Debug, Clone)]
pub(super) struct Script {
    seed: u64,
    mean: Duration,
    failures: f64,
}

impl Script {
    pub(super) fn new(options: &Options) -> Self {
        let mean = Duration::from_millis(options.provider_latency);
        Self { seed: options.seed, mean, failures: options.provider_failures }
    }

    /// How long the `number`th call for `marker` takes, and what becomes of it.
    pub(super) fn draw(&self, marker: &str, number: u32) -> (Duration, Act) {
        let mut rng = StdRng::seed_from_u64(self.seed ^ fnv(marker) ^ (u64::from(number) << 48));
        let luck = rng.random::<f64>();
        let tail = TAIL.iter().find(|(share, _)| luck < *share).map_or(1.0, |(_, factor)| *factor);
        let latency = self.mean.mul_f64(tail * rng.random_range(0.3..1.7));
        (latency, self.act(&mut rng))
    }

    fn act(&self, rng: &mut StdRng) -> Act {
        if rng.random::<f64>() >= self.failures {
            return Act::Answer;
        }
        match rng.random_range(0..6) {
            0 => Act::Refuse(429, Some(1)),
            1 => Act::Refuse(429, Some(4)),
            2 => Act::Refuse(500, None),
            3 => Act::Refuse(503, Some(1)),
            4 => Act::Cut,
            _ => Act::Truncate,
        }
    }
}

/// What the `number`th call for `marker` answers: no other call says the same.
pub(super) fn text(marker: &str, number: u32) -> String {
    format!("{marker} call {number} says alpha beta gamma delta epsilon zeta eta theta omega")
}

/// An answer of `text`, taking `latency` altogether.
pub(super) fn steps(text: &str, act: Act, streamed: bool, include_usage: bool, latency: Duration) -> Vec<Step> {
    let parts = if streamed { events(text, include_usage) } else { halves(&whole(text)) };
    let pause = latency / u32::try_from(parts.len()).unwrap_or(1);
    let kept = if act == Act::Answer { parts.len() } else { parts.len() / 2 };
    let mut steps = Vec::new();
    for (index, part) in parts.iter().take(kept).enumerate() {
        steps.push(Step::Wait(pause));
        let last = index + 1 == parts.len();
        steps.push(if last { Step::Last(part.clone()) } else { Step::Send(part.clone()) });
    }
    steps.extend(match act {
        Act::Cut => Some(Step::Cut),
        Act::Truncate => Some(Step::End),
        _ => None,
    });
    steps
}

fn halves(text: &str) -> Vec<String> {
    let (first, second) = text.split_at(text.len() / 2);
    vec![first.to_owned(), second.to_owned()]
}

fn whole(text: &str) -> String {
    let message = json!({"role": "assistant", "content": text, "refusal": null});
    json!({
        "id": "chatcmpl-chaos", "object": "chat.completion", "created": 1_770_000_000, "model": NAME,
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": "stop"}],
        "usage": usage(text),
    })
    .to_string()
}

fn events(text: &str, include_usage: bool) -> Vec<String> {
    let event = |delta: Value, finish: Value| {
        let choices = json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]);
        chunk(&choices, &Value::Null)
    };
    let mut events = vec![event(json!({"role": "assistant", "content": ""}), Value::Null)];
    events.extend(text.split_inclusive(' ').map(|word| event(json!({"content": word}), Value::Null)));
    let mut end = event(json!({}), json!("stop"));
    if include_usage {
        end.push_str(&chunk(&json!([]), &usage(text)));
    }
    // With the finish in hand an answer is whole: nothing that matters may come in a later piece.
    end.push_str("data: [DONE]\n\n");
    events.push(end);
    events
}

fn chunk(choices: &Value, usage: &Value) -> String {
    let value = json!({
        "id": "chatcmpl-chaos", "object": "chat.completion.chunk", "created": 1_770_000_000, "model": NAME,
        "choices": choices, "usage": usage,
    });
    format!("data: {value}\n\n")
}

fn usage(text: &str) -> Value {
    let written = text.split(' ').count();
    json!({"prompt_tokens": 9, "completion_tokens": written, "total_tokens": 9 + written})
}

/// FNV-1a: a hash that is the same in every run.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_call_meets_the_same_fate() {
        let script = Script { seed: 7, mean: Duration::from_millis(100), failures: 0.5 };
        let fates: Vec<_> = (0..100).map(|number| script.draw("m", number)).collect();
        assert_eq!(fates, (0..100).map(|number| script.draw("m", number)).collect::<Vec<_>>());
        assert!(fates.iter().any(|(_, act)| *act == Act::Answer) && fates.iter().any(|(_, act)| *act == Act::Cut));
    }

    #[test]
    fn only_a_whole_answer_has_its_last_part() {
        for streamed in [false, true] {
            for act in [Act::Answer, Act::Cut, Act::Truncate] {
                let steps = steps("some words here", act, streamed, true, Duration::from_millis(10));
                let whole = steps.iter().any(|step| matches!(step, Step::Last(_)));
                assert_eq!(whole, act == Act::Answer, "{act:?}");
            }
        }
    }
}

//! From a job's frames to what its client gets. Pure. Frames go out as they come, but the end of the answer only once
//! the job itself has ended: a client never reads a finish reason that the record does not bear out.

use schemas::chat::ChatResponse;
use schemas::delta::{Delta, Frame};
use schemas::error::{ErrorCode, Failure};

use super::emitted::Emitted;
use super::follow::Replay;

/// One answer on its way to one client.
#[derive(Debug, Default)]
pub(super) struct Relay {
    attempt: u32,
    next: u64,
    /// A frame is missing: the rest comes from the record.
    gap: bool,
    /// The beginning, kept back until there is content: an attempt that fails before that leaves no trace.
    start: Option<Delta>,
    emitted: Emitted,
}

impl Relay {
    /// Whether the client has had any content.
    pub(super) fn has_sent(&self) -> bool {
        !self.emitted.is_empty()
    }

    /// One that hears nothing of the attempts before `attempt`, which are known to be over.
    pub(super) fn of_attempt(attempt: u32) -> Self {
        Self { attempt, ..Self::default() }
    }

    /// What the client gets of `frame`.
    ///
    /// # Errors
    /// When the job was run again from its start and the client has had content of the earlier run.
    pub(super) fn frame(&mut self, frame: Frame) -> Result<Vec<Delta>, Failure> {
        if frame.attempt > self.attempt {
            if self.has_sent() {
                return Err(begun_again());
            }
            let emitted = std::mem::take(&mut self.emitted);
            *self = Self { attempt: frame.attempt, emitted, ..Self::default() };
        }
        if frame.attempt < self.attempt || frame.index < self.next || self.gap {
            return Ok(Vec::new());
        }
        if frame.index > self.next {
            self.gap = true;
            return Ok(Vec::new());
        }
        self.next += 1;
        Ok(self.forward(frame.delta))
    }

    /// What the client has not had of the whole answer, its end included: cut as the frames were, where `replay` has them.
    ///
    /// # Errors
    /// When the answer is not the one that the client has had the beginning of.
    pub(super) fn end(&mut self, whole: &ChatResponse, replay: Replay) -> Result<Vec<Delta>, Failure> {
        let mut deltas: Vec<_> = match replay.filter(|frames| self.goes_on_in(frames)) {
            Some(frames) => {
                let missed: Vec<_> = frames.into_iter().skip_while(|frame| frame.index < self.next).collect();
                missed.into_iter().flat_map(|frame| self.forward(frame.delta)).collect()
            }
            None => self.emitted.rest(whole).map_err(|_| begun_again())?,
        };
        deltas.push(Delta::Finish { reason: whole.finish, extra: whole.extra.clone() });
        deltas.extend(whole.usage.map(|usage| Delta::Usage { usage }));
        Ok(deltas)
    }

    /// Whether these are the frames of the attempt that the client hears, or it has heard none.
    fn goes_on_in(&self, frames: &[Frame]) -> bool {
        frames.first().is_some_and(|first| first.attempt == self.attempt || (self.next == 0 && !self.has_sent()))
    }

    fn forward(&mut self, delta: Delta) -> Vec<Delta> {
        match delta {
            Delta::Start { .. } => {
                self.start = Some(delta).filter(|_| !self.emitted.started());
                Vec::new()
            }
            Delta::Finish { .. } | Delta::Usage { .. } => Vec::new(),
            content => {
                let sent: Vec<Delta> = self.start.take().into_iter().chain([content]).collect();
                sent.iter().for_each(|delta| self.emitted.push(delta));
                sent
            }
        }
    }
}

fn begun_again() -> Failure {
    let message = "the provider broke off in the middle of its answer and the job was run again: \
                   what was sent so far is not part of the result";
    Failure::new(ErrorCode::ProviderInvalidResponse, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use schemas::chat::{Block, Extra, FinishReason, Message, Role, Usage};

    fn whole(words: &[String]) -> ChatResponse {
        ChatResponse {
            id: None,
            model: "m".to_owned(),
            message: Message::text(Role::Assistant, words.concat()),
            finish: FinishReason::Stop,
            usage: Some(Usage { output_tokens: words.len() as u64, ..Usage::default() }),
            logprobs: Vec::new(),
            extra: Extra::new(),
        }
    }

    fn frames(attempt: u32, words: &[String]) -> Vec<Frame> {
        let start = Delta::Start { id: None, model: "m".to_owned() };
        let words = words.iter().map(|word| Delta::Text { text: word.clone() });
        let end = [
            Delta::Finish { reason: FinishReason::Stop, extra: Extra::new() },
            Delta::Usage { usage: Usage::default() },
        ];
        let deltas = [start].into_iter().chain(words).chain(end);
        deltas.enumerate().map(|(index, delta)| Frame { attempt, generation: 0, index: index as u64, delta }).collect()
    }

    fn text(deltas: &[Delta]) -> String {
        deltas
            .iter()
            .filter_map(|delta| if let Delta::Text { text } = delta { Some(text.as_str()) } else { None })
            .collect()
    }

    fn is_start(delta: &Delta) -> bool {
        matches!(delta, Delta::Start { .. })
    }

    fn words() -> impl Strategy<Value = Vec<String>> {
        proptest::collection::vec("[a-z]{1,4} ", 1..8)
    }

    proptest! {
        #[test]
        fn whatever_is_lost_or_repeated_the_client_gets_it_once(
            words in words(), kept in proptest::collection::vec(0_u8..4, 11), heard in 0_usize..12,
        ) {
            let mut relay = Relay::default();
            let mut sent = Vec::new();
            for (frame, copies) in frames(1, &words).into_iter().zip(kept).take(heard) {
                for _ in 0..copies {
                    sent.extend(relay.frame(frame.clone()).unwrap());
                }
            }
            prop_assert!(!sent.iter().any(|delta| matches!(delta, Delta::Finish { .. })), "no end before the record");
            sent.extend(relay.end(&whole(&words), None).unwrap());
            prop_assert_eq!(text(&sent), words.concat());
            let starts: Vec<usize> = sent.iter().enumerate().filter(|(_, delta)| is_start(delta)).map(|(at, _)| at).collect();
            prop_assert_eq!(starts, [0]);
            let ends = matches!(sent[sent.len() - 2..], [Delta::Finish { .. }, Delta::Usage { .. }]);
            prop_assert!(ends);
        }

        #[test]
        fn with_a_replay_it_is_cut_as_it_was(
            words in words(), lost in proptest::collection::vec(any::<bool>(), 11), heard in 0_usize..12,
        ) {
            let (mut relay, mut sent) = (Relay::default(), Vec::new());
            for (frame, lost) in frames(1, &words).into_iter().zip(lost).take(heard) {
                if !lost {
                    sent.extend(relay.frame(frame).unwrap());
                }
            }
            sent.extend(relay.end(&whole(&words), Some(frames(1, &words))).unwrap());
            let mut expected: Vec<_> = frames(1, &words).into_iter().map(|frame| frame.delta).collect();
            expected.pop();
            expected.extend(whole(&words).usage.map(|usage| Delta::Usage { usage }));
            prop_assert_eq!(sent, expected);
        }

        #[test]
        fn an_attempt_that_failed_before_its_first_word_leaves_no_trace(words in words()) {
            let mut relay = Relay::default();
            prop_assert_eq!(relay.frame(frames(1, &words).remove(0)), Ok(Vec::new()));
            let mut sent = Vec::new();
            for frame in frames(2, &words) {
                sent.extend(relay.frame(frame).unwrap());
            }
            sent.extend(relay.end(&whole(&words), None).unwrap());
            prop_assert_eq!(text(&sent), words.concat());
        }
    }

    #[test]
    fn an_answer_begun_again_is_an_error() {
        let words = ["one ", "two "].map(str::to_owned);
        let mut relay = Relay::default();
        for frame in frames(1, &words).into_iter().take(2) {
            relay.frame(frame).unwrap();
        }
        assert!(relay.has_sent());
        let failure = relay.frame(frames(2, &words).remove(0)).unwrap_err();
        assert_eq!(failure.code, ErrorCode::ProviderInvalidResponse);
        assert!(relay.frame(frames(1, &words).remove(2)).is_ok());
    }

    #[test]
    fn a_run_that_is_known_to_be_over_is_not_heard() {
        let words = ["one ", "two "].map(str::to_owned);
        let late = |relay: &mut Relay| relay.frame(frames(1, &words).remove(1));
        let mut relay = Relay::of_attempt(2);
        assert_eq!(late(&mut relay), Ok(Vec::new()));
        let sent: Vec<_> = frames(2, &words).into_iter().flat_map(|frame| relay.frame(frame).unwrap()).collect();
        assert_eq!(text(&sent), "one two ");
        assert_eq!(late(&mut relay), Ok(Vec::new()));
        // Its result may come all the same, before a word of the other run.
        let told = Relay::of_attempt(2).end(&whole(&words), Some(frames(1, &words))).unwrap();
        assert_eq!(text(&told), "one two ");
    }

    #[test]
    fn another_answer_than_the_one_begun_is_an_error() {
        let mut relay = Relay::default();
        for frame in frames(1, &["one ".to_owned()]) {
            relay.frame(frame).unwrap();
        }
        let mut other = whole(&["two ".to_owned()]);
        assert!(relay.end(&other, None).is_err());
        other.message.content = vec![Block::text("one "), Block::text("and two")];
        assert_eq!(text(&relay.end(&other, None).unwrap()), "and two");
    }
}

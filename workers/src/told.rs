//! Which summary a turn's prompt is told: the one that the cut before was made with, for as long as the cut stays, and the
//! newest one from the next cut on. So a summary that was made meanwhile spoils no provider's prompt cache.

use context::{Budget, Meter, Pruned, Refusal, Summary, prune};
use schemas::chat::ChatRequest;
use schemas::job::ContextOptions;
use schemas::session::{self, History};

/// The summaries that a prompt may be told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Told {
    /// That of the cut before.
    standing: Option<Known>,
    /// The newest.
    newest: Option<Known>,
}

/// A summary of the session's turns up to one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    summary: Summary,
    turns: u64,
}

impl Told {
    /// Those of `history`, for a turn with these options.
    pub(crate) fn of(history: &History, options: &ContextOptions) -> Self {
        if !options.summarize.unwrap_or(!history.unsummarized) {
            return Self::default();
        }
        let known = |known: &session::Summary| Known {
            summary: Summary {
                text: known.text.clone(),
                covers: history.messages_up_to(known.covers_turns),
                covers_lost: history.has_lost_turns(),
            },
            turns: known.covers_turns,
        };
        Self { standing: history.cut_summary.as_ref().map(known), newest: history.summary.as_ref().map(known) }
    }

    /// Fits `request` into `budget`. Also the number of the last turn that the summary in it covers, if there is one in it.
    pub(crate) fn prune<'a>(
        &self,
        request: &'a ChatRequest,
        budget: &Budget,
        meter: &Meter<'_>,
    ) -> Result<(Pruned<'a>, Option<u64>), Refusal> {
        let prune = |known: Option<&Known>| -> Result<(Pruned<'a>, Option<u64>), Refusal> {
            let pruned = prune(request, budget, meter, known.map(|known| &known.summary))?;
            let turns = known.map(|known| known.turns).filter(|_| pruned.report.summary_used);
            Ok((pruned, turns))
        };
        let stood = prune(self.standing.as_ref())?;
        let is_kept = stood.1.is_some() && stood.0.report.prefix_stable;
        if is_kept || self.newest == self.standing {
            return Ok(stood);
        }
        let (mut pruned, turns) = prune(self.newest.as_ref())?;
        if turns.is_none() {
            return Ok(stood);
        }
        pruned.report.prefix_stable = false;
        Ok((pruned, turns))
    }
}

#[cfg(test)]
mod tests {
    use context::{Counter, Room, Tokenizer};
    use schemas::chat::{Message, Role};
    use schemas::context::ContextStrategy;
    use schemas::timestamp::Timestamp;

    use super::*;

    fn talk(turns: usize) -> ChatRequest {
        let turn = |number: usize| {
            let text = |who: &str| format!("{who} number {number} {}", "word ".repeat(20));
            [Message::text(Role::User, text("question")), Message::text(Role::Assistant, text("answer"))]
        };
        let mut messages: Vec<_> = (0..turns).flat_map(turn).collect();
        messages.push(Message::text(Role::User, "and now"));
        ChatRequest { messages, ..ChatRequest::default() }
    }

    fn known(text: &str, turns: u64) -> Known {
        let covers = usize::try_from(turns).unwrap() * 2;
        Known { summary: Summary { text: text.to_owned(), covers, covers_lost: false }, turns }
    }

    fn budget(limit: u32) -> Budget {
        Budget::of(Room { window: limit, reserve_output: 0, cap: None, strategy: ContextStrategy::Auto })
    }

    /// A session goes on turn by turn while newer summaries come: each prompt begins as the one before as long as its cut
    /// stays, and tells the newest summary of the time of its cut.
    #[test]
    fn a_newer_summary_waits_for_the_next_cut() {
        let (counter, tokenizer) = (Counter::new(1024), Tokenizer::of_name("gpt-4o"));
        let (meter, budget) = (counter.meter(tokenizer), budget(1000));
        let mut told = Told::default();
        let (mut before, mut changed, mut used): (Vec<Message>, _, Vec<u64>) = (Vec::new(), 0, Vec::new());
        for turns in 1..60 {
            let number = turns as u64;
            if turns % 3 == 0 {
                told.newest = Some(known(&format!("summary {number}"), number));
            }
            let request = talk(turns);
            let (pruned, turns) = told.prune(&request, &budget, &meter).unwrap();
            assert_eq!(turns.is_some(), pruned.report.summary_used);
            let sent = pruned.request.messages.clone();
            let begins_alike = before.is_empty() || sent.starts_with(&before[..before.len() - 1]);
            assert!(begins_alike || !pruned.report.prefix_stable, "{number}");
            changed += usize::from(!begins_alike);
            if let Some(turns) = turns {
                assert!(sent[0].joined_text().ends_with(&format!("summary {turns}")));
                let newest = told.newest.as_ref().map(|known| known.turns);
                assert!(pruned.report.prefix_stable || Some(turns) == newest, "a new cut tells the newest");
                told.standing = if Some(turns) == newest { told.newest.clone() } else { told.standing.clone() };
                used.push(turns);
            }
            before = sent;
        }
        used.dedup();
        assert!(used.len() > 3 && changed <= used.len() + 1, "{used:?}, {changed} changes");
    }

    #[test]
    fn the_first_summary_does_not_wait() {
        let (counter, tokenizer) = (Counter::new(1024), Tokenizer::of_name("gpt-4o"));
        let (meter, budget) = (counter.meter(tokenizer), budget(1000));
        let told = Told { standing: None, newest: Some(known("they met", 3)) };
        let request = talk(40);
        let (pruned, turns) = told.prune(&request, &budget, &meter).unwrap();
        assert_eq!((turns, pruned.report.prefix_stable), (Some(3), false));
        let request = talk(2);
        assert_eq!(told.prune(&request, &budget, &meter).unwrap().1, None, "nothing is dropped");
    }

    #[test]
    fn a_session_or_a_turn_may_want_none() {
        let summary = session::Summary { text: "s".to_owned(), covers_turns: 1, made_at: Timestamp::default() };
        let history = History { summary: Some(summary), ..History::new("s", Timestamp::default()) };
        let off = History { unsummarized: true, ..history.clone() };
        let told = |history: &History, summarize| {
            Told::of(history, &ContextOptions { summarize, ..ContextOptions::default() }) != Told::default()
        };
        assert!(told(&history, None) && told(&off, Some(true)));
        assert!(!told(&history, Some(false)) && !told(&off, None));
    }
}

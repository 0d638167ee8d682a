//! Tokens on their way to whoever listens: text is gathered for a few milliseconds, the first piece never, and every
//! frame carries the job's own gapless index.

use std::time::Duration;

use broker::Broker;
use schemas::delta::{Delta, Frame, Trace};
use schemas::id::JobId;
use schemas::state::{Attempt, generation};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::flight::Flight;

/// Whose deltas they are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    /// The job.
    pub(crate) id: JobId,
    /// The number of the attempt.
    pub(crate) attempt: u32,
    /// How many attempts before it may have published deltas.
    pub(crate) generation: u32,
}

impl Origin {
    /// The newest attempt, the last of `ledger`.
    pub(crate) fn of(id: JobId, ledger: &[Attempt]) -> Self {
        let attempt = ledger.last().map_or(1, |attempt| attempt.number);
        Self { id, attempt, generation: generation(ledger) }
    }
}

/// Publishes one attempt's deltas, `first` before the rest, until their sender is dropped. Tells how they were cut, and
/// `flight` what tokens they speak of.
pub(crate) async fn emit(
    broker: &Broker,
    origin: Origin,
    coalesce: Duration,
    flight: &Flight,
    mut first: Option<Delta>,
    mut deltas: mpsc::Receiver<Delta>,
) -> Trace {
    let mut emitter = Emitter { broker, origin, index: 0, trace: Trace::default() };
    let mut gathered: Option<Delta> = None;
    let mut due = Instant::now();
    loop {
        let next = tokio::select! {
            next = next(&mut first, &mut deltas) => next,
            () = sleep_until(due), if gathered.is_some() => {
                emitter.publish(gathered.take()).await;
                continue;
            }
        };
        let Some(next) = next else { break };
        if let Delta::Usage { usage } = &next {
            flight.told(origin.attempt, *usage);
        }
        let leading = emitter.index == 0;
        if gathered.is_none() {
            due = Instant::now() + coalesce;
        }
        if let Some(complete) = gather(&mut gathered, next) {
            emitter.publish(Some(complete)).await;
        }
        if leading || !gathered.as_ref().is_some_and(is_text) {
            emitter.publish(gathered.take()).await;
        }
    }
    emitter.publish(gathered).await;
    emitter.trace
}

async fn next(first: &mut Option<Delta>, deltas: &mut mpsc::Receiver<Delta>) -> Option<Delta> {
    match first.take() {
        Some(first) => Some(first),
        None => deltas.recv().await,
    }
}

struct Emitter<'a> {
    broker: &'a Broker,
    origin: Origin,
    index: u64,
    trace: Trace,
}

impl Emitter<'_> {
    async fn publish(&mut self, delta: Option<Delta>) {
        let Some(delta) = delta else { return };
        self.trace.push(&delta);
        let Origin { id, attempt, generation } = self.origin;
        let frame = Frame { attempt, generation, index: self.index, delta };
        self.index += 1;
        if let Err(error) = self.broker.publish_frame(id, &frame).await {
            tracing::debug!(error = %error, "a delta was not published");
        }
    }
}

const fn is_text(delta: &Delta) -> bool {
    matches!(delta, Delta::Text { .. } | Delta::Reasoning { .. } | Delta::ToolCallArguments { .. })
}

/// Adds `next` to what is gathered; what does not go on in `next` is complete and comes back.
fn gather(gathered: &mut Option<Delta>, next: Delta) -> Option<Delta> {
    match (&mut *gathered, &next) {
        (Some(Delta::Text { text }), Delta::Text { text: more })
        | (Some(Delta::Reasoning { text }), Delta::Reasoning { text: more }) => text.push_str(more),
        (Some(Delta::ToolCallArguments { index, text }), Delta::ToolCallArguments { index: same, text: more })
            if index == same =>
        {
            text.push_str(more);
        }
        _ => return gathered.replace(next),
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use schemas::delta::Assembly;

    fn text(text: &str) -> Delta {
        Delta::Text { text: text.to_owned() }
    }

    #[test]
    fn text_is_gathered_until_something_else_comes() {
        let mut gathered = None;
        assert_eq!(gather(&mut gathered, text("a")), None);
        assert_eq!(gather(&mut gathered, text("b")), None);
        let other = Delta::Reasoning { text: "c".to_owned() };
        assert_eq!(gather(&mut gathered, other.clone()), Some(text("ab")));
        assert_eq!(gathered, Some(other));
    }

    proptest! {
        #[test]
        fn gathering_never_changes_the_whole(kinds in prop::collection::vec((0_u8..4, "[a-z]{0,3}"), 0..40)) {
            let mut deltas: Vec<_> = (0..2)
                .map(|index| Delta::ToolCallStart {
                    index,
                    id: format!("c{index}"),
                    name: "tool".to_owned(),
                    extra: schemas::chat::Extra::new(),
                })
                .collect();
            deltas.extend(kinds.into_iter().map(|(kind, text)| match kind {
                0 => Delta::Text { text },
                1 => Delta::Reasoning { text },
                index => Delta::ToolCallArguments { index: u32::from(index - 2), text },
            }));
            deltas.push(Delta::Finish { reason: schemas::chat::FinishReason::Stop, extra: schemas::chat::Extra::new() });
            let (mut plain, mut packed, mut gathered) = (Assembly::default(), Assembly::default(), None);
            for delta in deltas {
                plain.push(&delta);
                if let Some(complete) = gather(&mut gathered, delta) {
                    packed.push(&complete);
                }
            }
            packed.push(&gathered.unwrap());
            prop_assert_eq!(plain.into_response(), packed.into_response());
        }
    }
}

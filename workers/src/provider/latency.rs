//! How long providers take until they speak, as this process saw it lately: an exponentially weighted mean for each
//! provider and model. Pure but for its lock.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use schemas::catalog::Candidate;
use schemas::timestamp::Timestamp;

use super::breaker::Verdict;
use super::call::{Answer, CallError};

/// The share of the newest observation in the mean.
const NEWEST: f64 = 0.2;
/// A failure counts as an answer that took this long, or as long as it took.
const FAILED: Duration = Duration::from_secs(30);
/// A mean that is not renewed halves in this time, so that whoever was slow is tried again before long.
const HALF_LIFE: Duration = Duration::from_secs(300);
/// Means kept at most: clients choose model names where a provider serves `*`. The stalest goes first.
const MOST_KEPT: usize = 4096;

/// The means.
#[derive(Debug, Default)]
pub struct Latencies(Mutex<HashMap<(String, String), Mean>>);

#[derive(Debug, Clone, Copy, PartialEq)]
struct Mean {
    seconds: f64,
    at: Timestamp,
}

impl Latencies {
    /// The mean of `candidate` as it stands at `now`; `None` before the first observation.
    #[must_use]
    pub fn mean(&self, candidate: &Candidate<'_>, now: Timestamp) -> Option<Duration> {
        self.lock().get(&place(candidate)).map(|mean| mean.at_time(now))
    }

    /// Takes in how a call went that ended at `now`, `took` after it was sent. What is the client's own fault, or a wish
    /// for patience, says nothing of speed.
    pub fn observe(
        &self,
        candidate: &Candidate<'_>,
        outcome: &Result<Answer, CallError>,
        took: Duration,
        now: Timestamp,
    ) {
        let seen = match outcome {
            Ok(answer) => answer.first_delta.unwrap_or(took),
            Err(error) if Verdict::of(error.failure.code) == Verdict::Sick => took.max(FAILED),
            Err(_) => return,
        };
        let mut means = self.lock();
        let place = place(candidate);
        if means.len() >= MOST_KEPT && !means.contains_key(&place) {
            let stalest = means.iter().min_by_key(|(_, mean)| mean.at).map(|(place, _)| place.clone());
            stalest.and_then(|place| means.remove(&place));
        }
        let mean = means.get(&place).copied();
        means.insert(place, Mean::with(mean, seen, now));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, String), Mean>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mean {
    fn with(mean: Option<Self>, seen: Duration, now: Timestamp) -> Self {
        let seen = seen.as_secs_f64();
        let seconds = mean.map_or(seen, |mean| mean.seconds + NEWEST * (seen - mean.seconds));
        Self { seconds, at: now }
    }

    fn at_time(self, now: Timestamp) -> Duration {
        let halvings = now.since(self.at).as_secs_f64() / HALF_LIFE.as_secs_f64();
        Duration::try_from_secs_f64(self.seconds * (-halvings).exp2()).unwrap_or(Duration::MAX)
    }
}

fn place(candidate: &Candidate<'_>) -> (String, String) {
    (candidate.provider.name.clone(), candidate.upstream.clone())
}

#[cfg(test)]
mod tests {
    use schemas::catalog::Catalog;
    use schemas::catalog_file;
    use schemas::chat::{ChatResponse, FinishReason, Message, Role};
    use schemas::dialect::classify::Class;
    use schemas::error::{ErrorCode, Failure};

    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_000_000);

    fn catalog() -> Catalog {
        catalog_file::parse(catalog_file::DEFAULT, |_| None).unwrap()
    }

    fn answered(first_delta: Option<u64>) -> Answer {
        let response = ChatResponse {
            id: None,
            model: "m".to_owned(),
            message: Message::text(Role::Assistant, "hi"),
            finish: FinishReason::Stop,
            usage: None,
            logprobs: Vec::new(),
            extra: schemas::chat::Extra::new(),
        };
        Answer { response, warnings: Vec::new(), first_delta: first_delta.map(Duration::from_millis) }
    }

    fn failed(code: ErrorCode) -> CallError {
        let failure = Failure::new(code, "x");
        CallError { failure, class: Class::of(code), sent: true, emitted: false, usage: None }
    }

    fn millis(latencies: &Latencies, now: Timestamp) -> Option<u128> {
        let catalog = catalog();
        let latency = latencies.mean(&catalog.candidates("echo")[0], now)?;
        Some((latency.as_secs_f64() * 1000.0).round() as u128)
    }

    fn observe(latencies: &Latencies, outcome: &Result<Answer, CallError>, took: u64, now: Timestamp) {
        let catalog = catalog();
        latencies.observe(&catalog.candidates("echo")[0], outcome, Duration::from_millis(took), now);
    }

    #[test]
    fn the_first_piece_counts_where_there_is_one() {
        let latencies = Latencies::default();
        assert_eq!(millis(&latencies, START), None);
        observe(&latencies, &Ok(answered(Some(100))), 5_000, START);
        assert_eq!(millis(&latencies, START), Some(100));
        observe(&latencies, &Ok(answered(None)), 600, START);
        assert_eq!(millis(&latencies, START), Some(200), "a fifth of the way to 600");
    }

    #[test]
    fn failures_are_slow_and_refusals_say_nothing() {
        let latencies = Latencies::default();
        observe(&latencies, &Err(failed(ErrorCode::ProviderRateLimited)), 1, START);
        observe(&latencies, &Err(failed(ErrorCode::ProviderRejected)), 1, START);
        assert_eq!(millis(&latencies, START), None);
        observe(&latencies, &Err(failed(ErrorCode::ProviderOverloaded)), 1, START);
        assert_eq!(millis(&latencies, START), Some(30_000));
    }

    #[test]
    fn what_was_slow_is_tried_again() {
        let latencies = Latencies::default();
        observe(&latencies, &Err(failed(ErrorCode::ProviderTimeout)), 120_000, START);
        assert_eq!(millis(&latencies, START.after(HALF_LIFE)), Some(60_000));
        assert_eq!(millis(&latencies, START.after(HALF_LIFE * 10)), Some(117));
    }

    #[test]
    fn the_stalest_makes_room() {
        let latencies = Latencies::default();
        let catalog = catalog();
        for number in 0..=MOST_KEPT as i64 {
            let candidates = catalog.candidates(&format!("echo-{number}"));
            let now = START.after(Duration::from_secs(number as u64));
            latencies.observe(&candidates[0], &Ok(answered(Some(1))), Duration::ZERO, now);
        }
        let known = |name: &str| latencies.mean(&catalog.candidates(name)[0], START).is_some();
        assert_eq!((known("echo-0"), known("echo-1")), (false, true));
        assert_eq!(latencies.lock().len(), MOST_KEPT);
    }
}

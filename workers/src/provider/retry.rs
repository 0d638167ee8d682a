//! What follows a provider's failure: another candidate, another round, a park, or the end. Pure but for the jitter.
//! The only file that knows the crate `backoff`.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;
use runtime::config::RetryConfig;
use schemas::dialect::classify::Class;
use schemas::error::{ErrorCode, Failure};
use schemas::state::{Attempt, Outcome};
use schemas::timestamp::Timestamp;

use super::breaker::Verdict;
use super::limit::LONGEST_PAUSE;
use super::route::WaitReason;

/// Doublings after which a wait has long reached its maximum.
const MOST_DOUBLINGS: u32 = 32;

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Ask the next candidate of this round, at once.
    NextCandidate,
    /// Route again after this short wait, in the slot.
    Again {
        /// How long to sleep.
        after: Duration,
    },
    /// Give the slot up and come back.
    Park {
        /// When.
        until: Timestamp,
        /// Why.
        reason: WaitReason,
    },
    /// No provider will take it.
    Fail(Failure),
}

/// What one pass over the candidates has met so far.
#[derive(Debug, Default)]
pub struct Round {
    waits: Vec<Wait>,
    last: Option<Failure>,
    fatal: bool,
}

/// When one candidate may be asked again.
#[derive(Debug, Clone, Copy)]
struct Wait {
    not_before: Timestamp,
    /// It was asked and failed: whatever it says, the wait is not shorter than the pause between rounds.
    back_off: bool,
    reason: WaitReason,
}

impl Round {
    /// A candidate failed.
    pub fn fail(&mut self, failure: &Failure, class: Class, now: Timestamp) {
        self.last = Some(failure.clone());
        match class {
            Class::Fatal => self.fatal = true,
            Class::Failover => {}
            Class::Retry { after } => {
                let limited = failure.code == ErrorCode::ProviderRateLimited;
                self.waits.push(Wait {
                    not_before: now.after(after.unwrap_or_default().min(LONGEST_PAUSE)),
                    back_off: true,
                    reason: if limited { WaitReason::RateLimited } else { WaitReason::Retry },
                });
            }
        }
    }

    /// A candidate could not be asked: its limit is reached or its breaker is open.
    pub fn refuse(&mut self, until: Timestamp, reason: WaitReason) {
        self.waits.push(Wait { not_before: until, back_off: false, reason });
    }
}

/// The rules, from configuration.
#[derive(Debug, Clone)]
pub struct Retries {
    config: RetryConfig,
    longest_park: Duration,
}

impl Retries {
    /// Rules that never park a job for longer than `longest_park`, whatever a provider asks for.
    #[must_use]
    pub const fn new(config: RetryConfig, longest_park: Duration) -> Self {
        Self { config, longest_park }
    }

    /// What follows after a candidate of `round` failed or could not be asked, with `left` more to ask. `ledger` holds
    /// the job's attempts, that of this failure included, each ended.
    #[must_use]
    pub fn next(&self, round: &Round, ledger: &[Attempt], left: usize, now: Timestamp) -> Next {
        let failed = ledger.iter().filter(|attempt| attempt.outcome == Some(Outcome::Failed)).count();
        if round.last.is_some() && failed >= self.config.max_requests as usize {
            return fail(round);
        }
        if !round.fatal && left > 0 {
            return Next::NextCandidate;
        }
        let tally = Tally::of(ledger);
        let faults_only = round.waits.iter().all(|wait| wait.reason == WaitReason::Retry);
        if round.fatal || faults_only && tally.failed >= self.config.max_attempts {
            return fail(round);
        }
        let pause = self.pause(tally.rounds);
        let ready = |wait: &Wait| {
            if wait.back_off { wait.not_before.max(now.after(pause)) } else { wait.not_before }
        };
        match round.waits.iter().min_by_key(|wait| ready(wait)) {
            Some(first) => self.wait(ready(first), first.reason, now),
            None => fail(round),
        }
    }

    /// Waits until `at`: in the slot when that is short, else parked.
    #[must_use]
    pub fn wait(&self, at: Timestamp, reason: WaitReason, now: Timestamp) -> Next {
        let wait = at.since(now).min(self.longest_park);
        if wait <= self.config.inline_max {
            Next::Again { after: wait }
        } else {
            Next::Park { until: now.after(wait), reason }
        }
    }

    /// The wait before round `rounds + 1`: doubling, jittered by half in either direction, never below the first wait and
    /// never above the maximum.
    fn pause(&self, rounds: u32) -> Duration {
        let RetryConfig { initial, max, .. } = self.config;
        let mut backoff = ExponentialBackoff {
            current_interval: initial,
            initial_interval: initial,
            randomization_factor: 0.5,
            multiplier: 2.0,
            max_interval: max,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        let doublings = rounds.clamp(1, MOST_DOUBLINGS);
        (0..doublings).fold(initial, |_, _| backoff.next_backoff().unwrap_or(max)).clamp(initial.min(max), max)
    }
}

fn fail(round: &Round) -> Next {
    let unasked = || Failure::new(ErrorCode::ProviderOverloaded, "no provider could be asked");
    Next::Fail(round.last.clone().unwrap_or_else(unasked))
}

/// The rounds that a ledger holds. Within a round each candidate is asked once, by one delivery.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    rounds: u32,
    /// Of them, those in which a provider was at fault and did not merely ask for patience.
    failed: u32,
}

impl Tally {
    fn of(ledger: &[Attempt]) -> Self {
        let mut tally = Self::default();
        let mut round: Vec<&Attempt> = Vec::new();
        for attempt in ledger.iter().filter(|attempt| attempt.outcome == Some(Outcome::Failed)) {
            let next_round = round.iter().any(|earlier| {
                earlier.nonce != attempt.nonce
                    || (&earlier.provider, &earlier.model) == (&attempt.provider, &attempt.model)
            });
            if next_round {
                tally.close(&round);
                round.clear();
            }
            round.push(attempt);
        }
        tally.close(&round);
        tally
    }

    fn close(&mut self, round: &[&Attempt]) {
        let at_fault = |attempt: &&&Attempt| {
            attempt.error.as_ref().is_some_and(|failure| Verdict::of(failure.code) == Verdict::Sick)
        };
        self.rounds += u32::from(!round.is_empty());
        self.failed += u32::from(round.iter().any(|attempt| at_fault(&attempt)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use schemas::state::Nonce;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);
    const RETRY: Class = Class::Retry { after: None };

    fn retries() -> Retries {
        let config = RetryConfig {
            max_attempts: 3,
            max_requests: 300,
            initial: Duration::from_millis(500),
            max: Duration::from_secs(30),
            inline_max: Duration::from_secs(2),
        };
        Retries::new(config, Duration::from_secs(86_400))
    }

    fn attempt(provider: &str, delivery: u128, code: ErrorCode) -> Attempt {
        Attempt {
            number: 1,
            nonce: Nonce::new(delivery),
            provider: provider.to_owned(),
            model: "m".to_owned(),
            started_at: NOW,
            ended_at: Some(NOW),
            outcome: Some(Outcome::Failed),
            error: Some(Failure::new(code, "x")),
            usage: None,
            cost_micros: None,
            hedge: false,
        }
    }

    fn round(failures: &[(ErrorCode, Class)]) -> Round {
        let mut round = Round::default();
        for (code, class) in failures {
            round.fail(&Failure::new(*code, code.to_string()), *class, NOW);
        }
        round
    }

    fn after(seconds: u64) -> Class {
        Class::Retry { after: Some(Duration::from_secs(seconds)) }
    }

    #[test]
    fn another_candidate_goes_before_any_wait() {
        for class in [RETRY, after(30), Class::Failover] {
            let round = round(&[(ErrorCode::ProviderRateLimited, class)]);
            assert_eq!(retries().next(&round, &[], 1, NOW), Next::NextCandidate);
        }
    }

    #[test]
    fn the_clients_own_error_ends_it_at_once() {
        let round = round(&[(ErrorCode::ProviderRejected, Class::Fatal)]);
        let next = retries().next(&round, &[], 3, NOW);
        assert_eq!(next, Next::Fail(Failure::new(ErrorCode::ProviderRejected, "provider_rejected")));
    }

    #[test]
    fn a_long_retry_after_parks_and_a_short_one_is_slept() {
        let limited = ErrorCode::ProviderRateLimited;
        let until = NOW.after(Duration::from_secs(30));
        let next = retries().next(&round(&[(limited, after(30))]), &[], 0, NOW);
        assert_eq!(next, Next::Park { until, reason: WaitReason::RateLimited });
        let next = retries().next(&round(&[(limited, after(30)), (limited, after(1))]), &[], 0, NOW);
        assert_eq!(next, Next::Again { after: Duration::from_secs(1) });
        let next = retries().next(&round(&[(limited, after(1_000_000))]), &[], 0, NOW);
        assert!(matches!(next, Next::Park { until, .. } if until == NOW.after(Duration::from_secs(3600))));
    }

    #[test]
    fn failed_rounds_are_bounded_and_rate_limits_are_not() {
        let sick = ErrorCode::ProviderOverloaded;
        let ledger: Vec<_> = (0..3).map(|delivery| attempt("a", delivery, sick)).collect();
        let failing = round(&[(sick, RETRY)]);
        assert!(matches!(retries().next(&failing, &ledger[..2], 0, NOW), Next::Again { .. } | Next::Park { .. }));
        assert!(matches!(retries().next(&failing, &ledger, 0, NOW), Next::Fail(_)));
        let limited = ErrorCode::ProviderRateLimited;
        let ledger: Vec<_> = (0..50).map(|delivery| attempt("a", delivery, limited)).collect();
        let next = retries().next(&round(&[(limited, RETRY)]), &ledger, 0, NOW);
        assert!(matches!(next, Next::Park { reason: WaitReason::RateLimited, .. }), "{next:?}");
    }

    #[test]
    fn a_provider_cannot_ask_to_be_asked_at_once() {
        let limited = ErrorCode::ProviderRateLimited;
        let wait = |rounds: u128| {
            let ledger: Vec<_> = (0..rounds).map(|delivery| attempt("a", delivery, limited)).collect();
            match retries().next(&round(&[(limited, after(0))]), &ledger, 0, NOW) {
                Next::Again { after } => after,
                Next::Park { until, .. } => until.since(NOW),
                other => panic!("{other:?}"),
            }
        };
        assert!(wait(1) >= Duration::from_millis(500), "{:?}", wait(1));
        assert!(wait(9) >= Duration::from_secs(15), "{:?}", wait(9));
    }

    #[test]
    fn a_ledger_does_not_grow_without_end() {
        let limited = ErrorCode::ProviderRateLimited;
        let ledger: Vec<_> = (0..300).map(|delivery| attempt("a", delivery, limited)).collect();
        let failed = round(&[(limited, after(9))]);
        assert!(matches!(retries().next(&failed, &ledger[1..], 0, NOW), Next::Park { .. }));
        let spent = Next::Fail(Failure::new(limited, limited.to_string()));
        assert_eq!(retries().next(&failed, &ledger, 0, NOW), spent);
        assert_eq!(retries().next(&failed, &ledger, 2, NOW), spent, "nobody else is asked either");
        let mut unasked = Round::default();
        unasked.refuse(NOW.after(Duration::from_secs(9)), WaitReason::BreakerOpen);
        assert!(matches!(retries().next(&unasked, &ledger, 0, NOW), Next::Park { .. }), "a wait costs nothing");
    }

    #[test]
    fn an_open_breaker_beside_a_failure_is_waited_for() {
        let sick = ErrorCode::ProviderTimeout;
        let ledger: Vec<_> = (0..9).map(|delivery| attempt("a", delivery, sick)).collect();
        let mut round = round(&[(sick, RETRY)]);
        let until = NOW.after(Duration::from_secs(5));
        round.refuse(until, WaitReason::BreakerOpen);
        let next = retries().next(&round, &ledger, 0, NOW);
        assert_eq!(next, Next::Park { until, reason: WaitReason::BreakerOpen });
    }

    #[test]
    fn a_refused_key_everywhere_is_the_end() {
        let round = round(&[(ErrorCode::ProviderAuth, Class::Failover); 2]);
        assert!(
            matches!(retries().next(&round, &[], 0, NOW), Next::Fail(failure) if failure.code == ErrorCode::ProviderAuth)
        );
    }

    #[test]
    fn a_ledger_tells_its_rounds() {
        let (sick, limited) = (ErrorCode::ProviderTimeout, ErrorCode::ProviderRateLimited);
        let mut ledger = vec![
            attempt("a", 1, sick),
            attempt("b", 1, limited),
            attempt("a", 1, limited),
            attempt("b", 1, limited),
            attempt("b", 2, sick),
        ];
        assert_eq!(Tally::of(&ledger), Tally { rounds: 3, failed: 2 });
        ledger[4].outcome = Some(Outcome::Ambiguous);
        assert_eq!(Tally::of(&ledger), Tally { rounds: 2, failed: 1 });
    }

    proptest! {
        #[test]
        fn pauses_double_within_their_jitter(rounds in 0..100_u32) {
            let base = Duration::from_millis(500) * 2_u32.pow(rounds.clamp(1, 7) - 1);
            let pause = retries().pause(rounds);
            prop_assert!(pause >= (base.min(Duration::from_secs(30)) / 2).max(Duration::from_millis(500)), "{pause:?}");
            prop_assert!(pause <= (base * 3 / 2).min(Duration::from_secs(30)) + Duration::from_millis(1), "{pause:?}");
        }

        /// One provider that answers as it likes, asked by one job for an hour: never oftener than the waits allow, and
        /// never more than the ledger may hold.
        #[test]
        fn no_answers_make_a_job_ask_without_bound(
            answers in prop::collection::vec((any::<bool>(), prop::option::of(0..3_u64)), 1..40),
        ) {
            let (mut now, mut ledger) = (NOW, Vec::new());
            for (is_limit, asked) in answers.iter().cycle() {
                let code = if *is_limit { ErrorCode::ProviderRateLimited } else { ErrorCode::ProviderOverloaded };
                ledger.push(attempt("a", ledger.len() as u128, code));
                let mut round = Round::default();
                round.fail(&Failure::new(code, "x"), Class::Retry { after: asked.map(Duration::from_secs) }, now);
                now = match retries().next(&round, &ledger, 0, now) {
                    Next::Again { after } => now.after(after),
                    Next::Park { until, .. } => until,
                    Next::Fail(_) => break,
                    Next::NextCandidate => panic!("there is none"),
                };
                if now.since(NOW) > Duration::from_secs(3600) {
                    break;
                }
            }
            // The first waits double to half of the longest within seven; after that each takes at least 15 s.
            let elapsed = now.since(NOW).as_secs() as usize;
            prop_assert!(ledger.len() <= 8 + elapsed / 15, "{} attempts in {elapsed} s", ledger.len());
            prop_assert!(ledger.len() <= 300);
        }
    }
}

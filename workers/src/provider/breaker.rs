//! The circuit breaker of one provider and model: closed, open after failures in a row, half-open for one probe. Pure:
//! it says what should change; [`super::breaker_share`] makes the change for the whole fleet.

use runtime::config::BreakerConfig;
use schemas::breaker::BreakerPhase;
use schemas::error::ErrorCode;
use schemas::timestamp::Timestamp;

/// One breaker as this process sees it: the shared phase, and failures in a row counted here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Breaker {
    phase: BreakerPhase,
    failures: u32,
}

/// Whether a call may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Pass,
    /// It may as the probe, once `claim` has become the phase.
    Probe {
        /// The phase to enter first.
        claim: BreakerPhase,
    },
    /// It may not.
    Refuse {
        /// When to ask again.
        until: Timestamp,
    },
}

/// How a call was admitted; its outcome is told with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ticket {
    /// Through a closed breaker.
    Ordinary,
    /// As the probe of this number.
    Probe(u64),
}

/// What a call's outcome says of the provider's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It answered.
    Healthy,
    /// It failed, timed out or talked nonsense.
    Sick,
    /// It refused: a wrong request, a wrong key, too many requests. It is alive, and no healthier than before.
    Alive,
}

impl Verdict {
    /// What a failure with this code says.
    #[must_use]
    pub const fn of(code: ErrorCode) -> Self {
        use ErrorCode as E;
        match code {
            E::ProviderTimeout | E::ProviderOverloaded | E::ProviderInvalidResponse => Self::Sick,
            _ => Self::Alive,
        }
    }
}

impl Breaker {
    /// Where it stands.
    #[must_use]
    pub const fn phase(&self) -> BreakerPhase {
        self.phase
    }

    /// Whether it is as new: forgetting it changes nothing.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        *self == Self::default()
    }

    /// Enters the phase that the fleet agreed on. Failures counted under another phase are forgotten.
    pub fn enter(&mut self, phase: BreakerPhase) {
        if self.phase != phase {
            *self = Self { phase, failures: 0 };
        }
    }

    /// Whether a call may pass at `now`; `probe` is random and names the probe that it may become.
    #[must_use]
    pub fn admit(&self, now: Timestamp, probe: u64, config: &BreakerConfig) -> Admission {
        match self.phase {
            BreakerPhase::Closed => Admission::Pass,
            BreakerPhase::Open { until } | BreakerPhase::HalfOpen { until, .. } if now < until => {
                Admission::Refuse { until }
            }
            BreakerPhase::Open { .. } | BreakerPhase::HalfOpen { .. } => {
                Admission::Probe { claim: BreakerPhase::HalfOpen { probe, until: now.after(config.probe_timeout) } }
            }
        }
    }

    /// Takes an outcome in and gives the phase that should follow, if another one should.
    pub fn judge(
        &mut self,
        ticket: Ticket,
        verdict: Verdict,
        now: Timestamp,
        config: &BreakerConfig,
    ) -> Option<BreakerPhase> {
        match (self.phase, ticket) {
            (BreakerPhase::Closed, _) => self.judge_closed(verdict, now, config),
            (BreakerPhase::HalfOpen { probe, .. }, Ticket::Probe(mine)) if probe == mine => {
                Some(if verdict == Verdict::Sick { open(now, config) } else { BreakerPhase::Closed })
            }
            // Calls admitted before it opened, and probes that were given up, say nothing of now.
            (BreakerPhase::Open { .. } | BreakerPhase::HalfOpen { .. }, _) => None,
        }
    }

    fn judge_closed(&mut self, verdict: Verdict, now: Timestamp, config: &BreakerConfig) -> Option<BreakerPhase> {
        match verdict {
            Verdict::Alive => None,
            Verdict::Healthy => {
                self.failures = 0;
                None
            }
            Verdict::Sick => {
                self.failures = self.failures.saturating_add(1);
                (self.failures >= config.failures).then(|| open(now, config))
            }
        }
    }
}

fn open(now: Timestamp, config: &BreakerConfig) -> BreakerPhase {
    BreakerPhase::Open { until: now.after(config.open_for) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn config() -> BreakerConfig {
        BreakerConfig { failures: 5, open_for: Duration::from_secs(60), probe_timeout: Duration::from_secs(30) }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    /// A breaker that opened at second 0.
    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..5 {
            if let Some(phase) = breaker.judge(Ticket::Ordinary, Verdict::Sick, at(0), &config()) {
                breaker.enter(phase);
            }
        }
        assert_eq!(breaker.phase(), BreakerPhase::Open { until: at(60) });
        breaker
    }

    fn probing() -> Breaker {
        let mut breaker = opened();
        let Admission::Probe { claim } = breaker.admit(at(60), 7, &config()) else { panic!("no probe") };
        breaker.enter(claim);
        breaker
    }

    #[test]
    fn a_success_between_failures_starts_the_count_again() {
        let mut breaker = Breaker::default();
        for verdict in [Verdict::Sick; 4].into_iter().chain([Verdict::Healthy]).chain([Verdict::Sick; 4]) {
            assert_eq!(breaker.judge(Ticket::Ordinary, verdict, at(0), &config()), None);
        }
    }

    #[test]
    fn a_refusal_neither_counts_nor_heals() {
        let mut breaker = Breaker::default();
        for verdict in [Verdict::Sick; 4].into_iter().chain([Verdict::Alive; 9]) {
            assert_eq!(breaker.judge(Ticket::Ordinary, verdict, at(0), &config()), None);
        }
        assert!(breaker.judge(Ticket::Ordinary, Verdict::Sick, at(0), &config()).is_some());
    }

    #[test]
    fn nothing_passes_until_the_time_is_up_and_then_one_probe() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(at(59), 7, &config()), Admission::Refuse { until: at(60) });
        let Admission::Probe { claim } = breaker.admit(at(60), 7, &config()) else { panic!("no probe") };
        breaker.enter(claim);
        assert_eq!(breaker.admit(at(61), 8, &config()), Admission::Refuse { until: at(90) });
    }

    #[test]
    fn only_its_own_probe_moves_it() {
        let mut breaker = probing();
        for (ticket, verdict) in
            [(Ticket::Ordinary, Verdict::Healthy), (Ticket::Probe(8), Verdict::Sick), (Ticket::Ordinary, Verdict::Sick)]
        {
            assert_eq!(breaker.judge(ticket, verdict, at(61), &config()), None);
        }
        let mut other = breaker;
        let open = Some(BreakerPhase::Open { until: at(121) });
        assert_eq!(breaker.judge(Ticket::Probe(7), Verdict::Sick, at(61), &config()), open);
        assert_eq!(other.judge(Ticket::Probe(7), Verdict::Alive, at(61), &config()), Some(BreakerPhase::Closed));
    }

    #[test]
    fn a_lost_probe_makes_room_for_another() {
        let breaker = probing();
        assert!(matches!(breaker.admit(at(90), 8, &config()), Admission::Probe { .. }));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Wait(u16),
        Call,
        End(usize, u8),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0..40_u16).prop_map(Step::Wait),
            Just(Step::Call),
            (any::<usize>(), 0..3_u8).prop_map(|(call, verdict)| Step::End(call, verdict)),
        ];
        prop::collection::vec(step, 0..200)
    }

    proptest! {
        /// Against a plain count of sick outcomes: it opens exactly at the fifth in a row, lets nothing through before
        /// its time, and never has two probes on their way within one probe's time.
        #[test]
        fn no_history_breaks_its_promise(steps in steps()) {
            let (mut breaker, mut now, mut number) = (Breaker::default(), 0_i64, 0_u64);
            let mut calls = Vec::new();
            let (mut in_a_row, mut opened_at, mut probed_at) = (0, None, None);
            for step in steps {
                match step {
                    Step::Wait(seconds) => now += i64::from(seconds),
                    Step::Call => match breaker.admit(at(now), number, &config()) {
                        Admission::Pass => {
                            prop_assert_eq!(opened_at, None);
                            calls.push(Ticket::Ordinary);
                        }
                        Admission::Probe { claim } => {
                            prop_assert!(opened_at.is_some_and(|opened| now >= opened + 60));
                            prop_assert!(probed_at.is_none_or(|probed| now >= probed + 30));
                            probed_at = Some(now);
                            breaker.enter(claim);
                            calls.push(Ticket::Probe(number));
                            number += 1;
                        }
                        Admission::Refuse { until } => {
                            prop_assert!(opened_at.is_some());
                            prop_assert!(until > at(now));
                        }
                    },
                    Step::End(which, verdict) if !calls.is_empty() => {
                        let ticket = calls.swap_remove(which % calls.len());
                        let verdict = [Verdict::Healthy, Verdict::Sick, Verdict::Alive][usize::from(verdict)];
                        let closed = breaker.phase() == BreakerPhase::Closed;
                        let next = breaker.judge(ticket, verdict, at(now), &config());
                        if closed {
                            match verdict {
                                Verdict::Healthy => in_a_row = 0,
                                Verdict::Sick => in_a_row += 1,
                                Verdict::Alive => {}
                            }
                            prop_assert_eq!(next.is_some(), in_a_row == 5);
                        }
                        if let Some(phase) = next {
                            breaker.enter(phase);
                            in_a_row = 0;
                            probed_at = None;
                            opened_at = (phase != BreakerPhase::Closed).then_some(now);
                        }
                    }
                    Step::End(..) => {}
                }
            }
        }
    }
}

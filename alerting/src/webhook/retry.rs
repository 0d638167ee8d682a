//! When a post is tried again, and when it is left out. Pure.

use std::time::Duration;

use runtime::config::WebhookConfig;

/// What came of one try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It was taken.
    Taken,
    /// It was refused with this status: another try will hardly help.
    Refused(u16),
    /// Something is away or too busy; the receiver may have said for how long.
    Away(Option<Duration>),
}

impl Answer {
    /// What a status means.
    pub(crate) const fn of(status: u16, retry_after: Option<Duration>) -> Self {
        match status {
            200..=299 => Self::Taken,
            408 | 425 | 429 | 500.. => Self::Away(retry_after),
            // A redirect is not followed: it would take the event to where nobody configured it.
            _ => Self::Refused(status),
        }
    }
}

/// What to do after a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// It is told.
    Told,
    /// It is left out, since it is refused.
    Refused,
    /// It is left out, since it is too old.
    Expired,
    /// It is tried again after this long.
    Again(Duration),
}

/// What to do after the `tries`th try of a post as old as `age`, of which `refusals` were refused.
pub(crate) fn next(answer: Answer, tries: u32, refusals: u32, age: Duration, config: &WebhookConfig) -> Next {
    let doubled = config.retry_initial.saturating_mul(1 << tries.saturating_sub(1).min(30));
    let wait = match answer {
        Answer::Taken => return Next::Told,
        Answer::Refused(410) => return Next::Refused,
        Answer::Refused(_) if refusals >= config.max_refusals => return Next::Refused,
        Answer::Away(Some(asked)) => asked,
        Answer::Refused(_) | Answer::Away(None) => doubled,
    };
    if age >= config.give_up_after { Next::Expired } else { Next::Again(wait.min(config.retry_max)) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use runtime::config::Source;

    use super::*;

    fn config() -> WebhookConfig {
        Source::new(None, BTreeMap::new()).load().unwrap().webhook
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let config = config();
        let waits = |tries| next(Answer::Away(None), tries, 0, Duration::ZERO, &config);
        assert_eq!(waits(1), Next::Again(Duration::from_secs(1)));
        assert_eq!(waits(5), Next::Again(Duration::from_secs(16)));
        assert_eq!(waits(50), Next::Again(Duration::from_secs(300)));
    }

    #[test]
    fn a_receiver_that_names_a_time_is_obeyed_within_bounds() {
        let asked = |seconds| next(Answer::Away(Some(Duration::from_secs(seconds))), 1, 0, Duration::ZERO, &config());
        assert_eq!(asked(42), Next::Again(Duration::from_secs(42)));
        assert_eq!(asked(86_400), Next::Again(Duration::from_secs(300)));
    }

    #[test]
    fn what_is_refused_holds_nothing_up_for_long() {
        let refused = |refusals| next(Answer::of(401, None), refusals, refusals, Duration::ZERO, &config());
        assert!(matches!(refused(4), Next::Again(_)));
        assert_eq!(refused(5), Next::Refused);
        assert_eq!(next(Answer::of(410, None), 1, 1, Duration::ZERO, &config()), Next::Refused);
        assert_eq!(Answer::of(302, None), Answer::Refused(302));
    }

    #[test]
    fn an_outage_is_outwaited_until_the_event_is_old() {
        let day = Duration::from_secs(86_400);
        assert!(matches!(next(Answer::of(503, None), 400, 0, day - Duration::from_secs(1), &config()), Next::Again(_)));
        assert_eq!(next(Answer::of(503, None), 401, 0, day, &config()), Next::Expired);
        assert_eq!(next(Answer::of(204, None), 401, 0, day, &config()), Next::Told);
    }

    proptest! {
        #[test]
        fn every_wait_is_bounded(tries in any::<u32>(), after in any::<Option<u32>>(), refused in any::<bool>()) {
            let after = after.map(|seconds| Duration::from_secs(seconds.into()));
            let answer = if refused { Answer::Refused(400) } else { Answer::Away(after) };
            if let Next::Again(wait) = next(answer, tries, 0, Duration::ZERO, &config()) {
                prop_assert!(wait <= config().retry_max);
            }
        }
    }
}

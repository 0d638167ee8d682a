//! Who is to be asked, in which order, or when to come back. Pure.

use schemas::catalog::Candidate;
use schemas::error::{ErrorCode, Failure};
use schemas::timestamp::Timestamp;
use strum::{Display, IntoStaticStr};

/// Why nobody can be asked now: the `reason` of a parked job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum WaitReason {
    /// A provider, or our own limit for it, asks for fewer requests.
    RateLimited,
    /// A breaker is open, or its probe is on its way.
    BreakerOpen,
    /// As many requests are running as the provider may have.
    ProviderBusy,
    /// Every candidate failed; the next round begins later.
    Retry,
}

impl WaitReason {
    /// What to tell the client when the wait cannot be afforded.
    #[must_use]
    pub fn failure(self, model: &str) -> Failure {
        let (code, why) = match self {
            Self::RateLimited => (ErrorCode::ProviderRateLimited, "accepts no more requests for now"),
            Self::BreakerOpen => (ErrorCode::BreakerOpen, "failed repeatedly and is left alone for a while"),
            Self::ProviderBusy => (ErrorCode::ProviderOverloaded, "has as many requests running as it may"),
            Self::Retry => (ErrorCode::ProviderOverloaded, "failed"),
        };
        Failure::new(code, format!("every provider of the model {model} {why}"))
    }
}

/// Whether a candidate can be asked now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// It can.
    Free,
    /// All its places are taken; one may become free at any moment.
    Busy,
    /// Not before `at`.
    Shut {
        /// When to ask again.
        at: Timestamp,
        /// Why.
        reason: WaitReason,
    },
}

/// What to do with a job.
#[derive(Debug, Clone)]
pub enum Route<'a> {
    /// Ask these, in this order.
    Go(Vec<Candidate<'a>>),
    /// Nobody can be asked now.
    ParkUntil {
        /// When the first of them may be.
        at: Timestamp,
        /// What that one waits for.
        reason: WaitReason,
    },
    /// Nobody serves this model.
    Unknown,
}

/// Orders `candidates`, best first: those that can be asked now, then those that are busy. One that cannot be asked
/// is left out.
pub fn route<'a>(candidates: Vec<Candidate<'a>>, gate: impl Fn(&Candidate<'a>) -> Gate) -> Route<'a> {
    let (mut free, mut busy) = (Vec::new(), Vec::new());
    let mut soonest: Option<(Timestamp, WaitReason)> = None;
    for candidate in candidates {
        match gate(&candidate) {
            Gate::Free => free.push(candidate),
            Gate::Busy => busy.push(candidate),
            Gate::Shut { at, reason } if soonest.is_none_or(|(best, _)| at < best) => soonest = Some((at, reason)),
            Gate::Shut { .. } => {}
        }
    }
    free.append(&mut busy);
    match soonest {
        Some((at, reason)) if free.is_empty() => Route::ParkUntil { at, reason },
        None if free.is_empty() => Route::Unknown,
        _ => Route::Go(free),
    }
}

#[cfg(test)]
mod tests {
    use schemas::catalog::Catalog;
    use schemas::catalog_file;

    use super::*;

    const FILE: &str = r#"
        provider = [
            { name = "late", dialect = "echo", priority = 30, model = [{ name = "m" }] },
            { name = "first", dialect = "echo", priority = 10, model = [{ name = "m" }] },
            { name = "second", dialect = "echo", priority = 20, model = [{ name = "m*", upstream = "big" }] },
            { name = "tiered", dialect = "echo", tiers = { big = "x" }, model = [{ name = "x" }] },
        ]
    "#;

    fn catalog() -> Catalog {
        catalog_file::parse(FILE, |_| None).unwrap()
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn names(catalog: &Catalog, model: &str, gate: impl Fn(&str) -> Gate) -> Vec<String> {
        match route(catalog.candidates(model), |candidate| gate(&candidate.provider.name)) {
            Route::Go(found) => {
                found.iter().map(|found| format!("{}/{}", found.provider.name, found.upstream)).collect()
            }
            Route::ParkUntil { at, reason } => vec![format!("{} {reason}", at.as_millis())],
            Route::Unknown => vec!["unknown".to_owned()],
        }
    }

    #[test]
    fn best_first_and_busy_ones_last() {
        let catalog = catalog();
        assert_eq!(names(&catalog, "m", |_| Gate::Free), ["first/m", "second/big", "late/m"]);
        let busy = |name: &str| if name == "first" { Gate::Busy } else { Gate::Free };
        assert_eq!(names(&catalog, "m", busy), ["second/big", "late/m", "first/m"]);
        assert_eq!(names(&catalog, "claude-opus-4", |_| Gate::Free), ["tiered/x"]);
        assert_eq!(names(&catalog, "other", |_| Gate::Free), ["unknown"]);
    }

    #[test]
    fn shut_ones_are_left_out_and_all_shut_means_wait_for_the_first() {
        let catalog = catalog();
        let shut = |millis, reason| Gate::Shut { at: at(millis), reason };
        let one = |name: &str| if name == "first" { shut(9, WaitReason::BreakerOpen) } else { Gate::Free };
        assert_eq!(names(&catalog, "m", one), ["second/big", "late/m"]);
        let all = |name: &str| match name {
            "first" => shut(9, WaitReason::BreakerOpen),
            "second" => shut(5, WaitReason::RateLimited),
            _ => shut(7, WaitReason::BreakerOpen),
        };
        assert_eq!(names(&catalog, "m", all), ["5 rate_limited"]);
        let but_one = |name: &str| if name == "late" { Gate::Busy } else { all(name) };
        assert_eq!(names(&catalog, "m", but_one), ["late/m"]);
    }
}

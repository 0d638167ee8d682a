//! How much a provider may be asked: requests at once over one worker, requests a minute over the fleet with Redis and
//! over one worker without, and the pauses that providers themselves asked for.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota};
use schemas::catalog::{Candidate, Catalog, Provider};
use schemas::timestamp::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::limit_shared::SharedMinute;
use super::metrics::ProviderMetrics;
use super::redis_link::RedisLink;
use super::route::{Gate, WaitReason};

/// A job that found no place comes back after this long.
const COME_BACK: Duration = Duration::from_secs(5);
/// The longest that a provider is left alone because it says so: what asks for more is a mistake, and is asked again then.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// Pauses remembered at most; those that have passed go first.
const MOST_PAUSES: usize = 4096;

/// The limits of every provider.
#[derive(Debug)]
pub struct Limits {
    providers: HashMap<String, Limit>,
    /// Until when a model of a provider is left alone, because the provider said so.
    pauses: Mutex<HashMap<(String, String), Pause>>,
    metrics: ProviderMetrics,
}

#[derive(Debug, Clone, Copy)]
struct Pause {
    /// When it was last asked for.
    since: Timestamp,
    until: Timestamp,
}

#[derive(Debug)]
struct Limit {
    places: Option<Arc<Semaphore>>,
    minute: Option<Minute>,
}

#[derive(Debug)]
struct Minute {
    local: DefaultDirectRateLimiter,
    shared: Option<SharedMinute>,
    /// Milliseconds since the Unix epoch: no request fits before.
    full_until: AtomicI64,
}

/// A place at a provider, taken before it is known what will be sent.
#[derive(Debug)]
pub struct Place {
    provider: String,
    permit: Option<OwnedSemaphorePermit>,
}

/// The right to send one request; its place is free again when this is dropped.
#[derive(Debug)]
pub struct Permit {
    _place: Option<OwnedSemaphorePermit>,
}

/// No request may be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// When to ask again.
    pub until: Timestamp,
    /// Why.
    pub reason: WaitReason,
}

impl Limits {
    /// The limits that `catalog` sets, those a minute shared through `redis` when there is one.
    #[must_use]
    pub fn new(catalog: &Catalog, redis: Option<&Arc<RedisLink>>, metrics: ProviderMetrics) -> Self {
        let limits = catalog.providers.iter().map(|provider| (provider.name.clone(), Limit::new(provider, redis)));
        Self { providers: limits.collect(), pauses: Mutex::default(), metrics }
    }

    /// Whether a request could be sent at `now`. Takes nothing and asks nobody.
    #[must_use]
    pub fn gate(&self, candidate: &Candidate<'_>, now: Timestamp) -> Gate {
        let shut = |at| Gate::Shut { at, reason: WaitReason::RateLimited };
        let pause = self.pauses().get(&place(candidate)).map(|pause| pause.until).filter(|until| now < *until);
        let Some(limit) = self.providers.get(&candidate.provider.name) else {
            return pause.map_or(Gate::Free, shut);
        };
        match pause.max(limit.minute.as_ref().and_then(|minute| minute.full_at(now))) {
            Some(at) => shut(at),
            None if limit.places.as_ref().is_some_and(|places| places.available_permits() == 0) => Gate::Busy,
            None => Gate::Free,
        }
    }

    /// Takes a place at `candidate`'s provider if one is free.
    #[must_use]
    pub fn place(&self, candidate: &Candidate<'_>) -> Option<Place> {
        let name = &candidate.provider.name;
        let permit = match self.providers.get(name).and_then(|limit| limit.places.as_ref()) {
            Some(places) => Some(Arc::clone(places).try_acquire_owned().ok()?),
            None => None,
        };
        Some(Place { provider: name.clone(), permit })
    }

    /// Takes one request of this minute, in `place` if that is one of this provider, else in another one, waited for up to
    /// `patience`.
    ///
    /// # Errors
    /// When to ask again.
    pub async fn acquire(
        &self,
        candidate: &Candidate<'_>,
        place: Option<Place>,
        patience: Duration,
        now: Timestamp,
    ) -> Result<Permit, Held> {
        let Some(limit) = self.providers.get(&candidate.provider.name) else {
            return Ok(Permit { _place: None });
        };
        let started = Instant::now();
        let place = match place.filter(|place| place.provider == candidate.provider.name) {
            Some(place) => Ok(place.permit),
            None => limit.place(patience).await,
        };
        let Ok(place) = place else {
            self.count(candidate, "concurrency");
            let until = now.after(started.elapsed()).after(COME_BACK);
            return Err(Held { until, reason: WaitReason::ProviderBusy });
        };
        if let Some(minute) = &limit.minute
            && let Err(wait) = minute.take().await
        {
            self.count(candidate, "requests_per_minute");
            let until = now.after(started.elapsed()).after(wait);
            minute.full_until.fetch_max(until.as_millis(), Ordering::Relaxed);
            return Err(Held { until, reason: WaitReason::RateLimited });
        }
        Ok(Permit { _place: place })
    }

    /// The provider asked to be left alone until then. It is, for [`LONGEST_PAUSE`] at most.
    pub fn pause(&self, candidate: &Candidate<'_>, until: Timestamp, now: Timestamp) {
        self.count(candidate, "retry_after");
        let mut pauses = self.pauses();
        if pauses.len() >= MOST_PAUSES {
            pauses.retain(|_, pause| now < pause.until);
        }
        if pauses.len() < MOST_PAUSES {
            let until = until.min(now.after(LONGEST_PAUSE));
            let pause = pauses.entry(place(candidate)).or_insert(Pause { since: now, until });
            *pause = Pause { since: now, until: until.max(pause.until) };
        }
    }

    /// A request that was sent at `sent` was answered: a pause that was asked for before is over.
    pub fn lift(&self, candidate: &Candidate<'_>, sent: Timestamp) {
        let (mut pauses, place) = (self.pauses(), place(candidate));
        if pauses.get(&place).is_some_and(|pause| pause.since < sent) {
            pauses.remove(&place);
        }
    }

    fn count(&self, candidate: &Candidate<'_>, limit: &str) {
        self.metrics.held_back.with_label_values(&[candidate.provider.name.as_str(), limit]).inc();
    }

    fn pauses(&self) -> MutexGuard<'_, HashMap<(String, String), Pause>> {
        self.pauses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Limit {
    fn new(provider: &Provider, redis: Option<&Arc<RedisLink>>) -> Self {
        let places = (provider.max_concurrency > 0).then(|| {
            let places = usize::try_from(provider.max_concurrency).unwrap_or(usize::MAX);
            Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)))
        });
        let minute = NonZeroU32::new(provider.requests_per_minute).map(|requests| Minute {
            local: DefaultDirectRateLimiter::direct(Quota::per_minute(requests)),
            shared: redis.map(|redis| SharedMinute::new(redis.clone(), &provider.name, requests)),
            full_until: AtomicI64::new(i64::MIN),
        });
        Self { places, minute }
    }

    /// # Errors
    /// When none became free in time.
    async fn place(&self, patience: Duration) -> Result<Option<OwnedSemaphorePermit>, ()> {
        let Some(places) = &self.places else {
            return Ok(None);
        };
        match tokio::time::timeout(patience, places.clone().acquire_owned()).await {
            Ok(Ok(place)) => Ok(Some(place)),
            Ok(Err(_)) | Err(_) => Err(()),
        }
    }
}

impl Minute {
    fn full_at(&self, now: Timestamp) -> Option<Timestamp> {
        Some(Timestamp::from_millis(self.full_until.load(Ordering::Relaxed))).filter(|until| now < *until)
    }

    /// # Errors
    /// How long to wait.
    async fn take(&self) -> Result<(), Duration> {
        if let Some(shared) = &self.shared
            && let Some(answer) = shared.take().await
        {
            return answer;
        }
        self.local.check().map_err(|refused| refused.wait_time_from(DefaultClock::default().now()))
    }
}

fn place(candidate: &Candidate<'_>) -> (String, String) {
    (candidate.provider.name.clone(), candidate.upstream.clone())
}

//! Limits of one worker, of a fleet through a real Redis, and what is left of them while it is away.

use std::sync::Arc;
use std::time::Duration;

use schemas::catalog::Catalog;
use schemas::id::JobId;
use schemas::timestamp::Timestamp;

use super::super::limit::{Held, Limits};
use super::super::redis_link::RedisLink;
use super::super::route::{Gate, WaitReason};
use super::super::seen::Seen;
use super::servers::Redis;
use super::{best, catalog, config, metrics, until};

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

fn limited(limits: &str) -> Catalog {
    catalog(&format!("[[provider]]\nname = \"p\"\ndialect = \"echo\"\n{limits}\n[[provider.model]]\nname = \"m*\"\n"))
}

fn link(redis: &Redis) -> Arc<RedisLink> {
    let config = config(&[("PORTBROKER_REDIS__URL", &redis.url()), ("PORTBROKER_REDIS__TIMEOUT", "5s")]);
    Arc::new(RedisLink::new(&config.redis, metrics()).unwrap().unwrap())
}

async fn take(limits: &Limits, catalog: &Catalog) -> Result<(), Held> {
    limits.acquire(&best(catalog, "m"), None, Duration::ZERO, NOW).await.map(drop)
}

#[tokio::test]
async fn a_place_is_free_again_when_its_permit_is_dropped() {
    let catalog = limited("max_concurrency = 2");
    let limits = Limits::new(&catalog, None, metrics());
    let candidate = best(&catalog, "m");
    let first = limits.acquire(&candidate, None, Duration::ZERO, NOW).await.unwrap();
    let _second = limits.acquire(&candidate, None, Duration::ZERO, NOW).await.unwrap();
    assert_eq!(limits.gate(&candidate, NOW), Gate::Busy);
    let held = limits.acquire(&candidate, None, Duration::ZERO, NOW).await.unwrap_err();
    assert_eq!(held.reason, WaitReason::ProviderBusy);
    assert!(held.until > NOW);
    drop(first);
    assert_eq!(limits.gate(&candidate, NOW), Gate::Free);
}

#[tokio::test]
async fn a_place_that_was_taken_before_is_the_requests_own() {
    let catalog = limited("max_concurrency = 1");
    let limits = Limits::new(&catalog, None, metrics());
    let candidate = best(&catalog, "m");
    let place = limits.place(&candidate).unwrap();
    assert!(limits.place(&candidate).is_none());
    assert_eq!(limits.gate(&candidate, NOW), Gate::Busy);
    let permit = limits.acquire(&candidate, Some(place), Duration::ZERO, NOW).await.unwrap();
    assert!(limits.place(&candidate).is_none());
    drop(permit);
    assert!(limits.place(&candidate).is_some());
}

#[tokio::test(start_paused = true)]
async fn who_is_patient_gets_the_next_place() {
    let catalog = limited("max_concurrency = 1");
    let limits = Limits::new(&catalog, None, metrics());
    let candidate = best(&catalog, "m");
    let first = limits.acquire(&candidate, None, Duration::ZERO, NOW).await.unwrap();
    let release = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(first);
    };
    let (second, ()) = tokio::join!(limits.acquire(&candidate, None, Duration::from_secs(2), NOW), release);
    assert!(second.is_ok());
}

#[tokio::test]
async fn a_full_minute_tells_when_it_has_room() {
    let catalog = limited("requests_per_minute = 2");
    let limits = Limits::new(&catalog, None, metrics());
    for _ in 0..2 {
        take(&limits, &catalog).await.unwrap();
    }
    let held = take(&limits, &catalog).await.unwrap_err();
    assert_eq!(held.reason, WaitReason::RateLimited);
    let wait = held.until.since(NOW);
    assert!(wait > Duration::from_secs(20) && wait <= Duration::from_secs(31), "{wait:?}");
    let shut = Gate::Shut { at: held.until, reason: WaitReason::RateLimited };
    assert_eq!(limits.gate(&best(&catalog, "m"), NOW), shut);
    assert_eq!(limits.gate(&best(&catalog, "m"), held.until), Gate::Free);
}

#[tokio::test]
async fn a_pause_that_the_provider_asked_for_holds_its_model_only() {
    let catalog = limited("");
    let limits = Limits::new(&catalog, None, metrics());
    let until = NOW.after(Duration::from_secs(30));
    limits.pause(&best(&catalog, "m1"), until, NOW);
    limits.pause(&best(&catalog, "m1"), NOW.after(Duration::from_secs(3)), NOW);
    let shut = Gate::Shut { at: until, reason: WaitReason::RateLimited };
    assert_eq!(limits.gate(&best(&catalog, "m1"), NOW), shut);
    assert_eq!(limits.gate(&best(&catalog, "m1"), until), Gate::Free);
    assert_eq!(limits.gate(&best(&catalog, "m2"), NOW), Gate::Free);
}

#[tokio::test]
async fn a_pause_is_bounded_and_over_with_the_next_answer() {
    let catalog = limited("");
    let limits = Limits::new(&catalog, None, metrics());
    let model = best(&catalog, "m1");
    limits.pause(&model, NOW.after(Duration::from_secs(1_754_000_000)), NOW);
    let hour = NOW.after(Duration::from_secs(3600));
    assert_eq!(limits.gate(&model, NOW), Gate::Shut { at: hour, reason: WaitReason::RateLimited });
    assert_eq!(limits.gate(&model, hour), Gate::Free);
    limits.lift(&best(&catalog, "m2"), NOW.after(Duration::from_secs(1)));
    limits.lift(&model, NOW);
    assert_ne!(limits.gate(&model, NOW), Gate::Free, "what was sent before says nothing");
    limits.lift(&model, NOW.after(Duration::from_millis(1)));
    assert_eq!(limits.gate(&model, NOW), Gate::Free);
}

#[tokio::test]
async fn a_fleet_shares_its_minute_through_redis() {
    let redis = Redis::start();
    let catalog = limited("requests_per_minute = 10");
    let workers: Vec<_> = (0..3).map(|_| Limits::new(&catalog, Some(&link(&redis)), metrics())).collect();
    let mut taken = 0;
    for turn in 0..30 {
        match take(&workers[turn % 3], &catalog).await {
            Ok(()) => taken += 1,
            Err(held) => {
                let wait = held.until.since(NOW);
                assert!(wait > Duration::ZERO && wait <= Duration::from_secs(7), "{wait:?}");
            }
        }
    }
    // One more every six seconds, should the machine be that slow.
    assert!((10..=12).contains(&taken), "{taken}");
}

#[tokio::test]
async fn without_redis_each_worker_keeps_the_limit_by_itself_and_shares_again_later() {
    let mut redis = Redis::start();
    let link = link(&redis);
    let catalog = limited("requests_per_minute = 4");
    let limits = Limits::new(&catalog, Some(&link), metrics());
    for _ in 0..4 {
        take(&limits, &catalog).await.unwrap();
    }
    take(&limits, &catalog).await.unwrap_err();
    redis.kill();
    // Its own count starts full: nothing was taken from it so far.
    for _ in 0..4 {
        take(&limits, &catalog).await.unwrap();
    }
    assert_eq!(take(&limits, &catalog).await.unwrap_err().reason, WaitReason::RateLimited);
    redis.resurrect();
    // The shared minute is as new, Redis having kept nothing.
    until("a request of the shared minute", async || take(&limits, &catalog).await.is_ok()).await;
}

#[tokio::test]
async fn an_id_is_seen_once_asked_about_by_anyone() {
    let mut redis = Redis::start();
    let minute = Duration::from_secs(60);
    let (one, two) = (Seen::new(Some(link(&redis)), minute), Seen::new(Some(link(&redis)), minute));
    let (id, other) = (JobId::new(NOW, 1), JobId::new(NOW, 2));
    assert_eq!(one.seen(id).await, Some(false));
    assert_eq!(two.seen(id).await, Some(true));
    assert_eq!(two.seen(other).await, Some(false));
    redis.kill();
    assert_eq!(one.seen(id).await, None);
    assert_eq!(Seen::new(None, minute).seen(id).await, None);
}

#[tokio::test]
async fn a_redis_url_that_is_none_is_refused_without_being_shown() {
    let mut config = config(&[]);
    assert!(RedisLink::new(&config.redis, metrics()).unwrap().is_none());
    config.redis.url = "redis://user:hidden@[".into();
    let error = RedisLink::new(&config.redis, metrics()).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hidden"));
}

//! Health under paused time.

use std::sync::atomic::AtomicU32;

use futures::FutureExt;
use tokio::sync::Barrier;
use tokio::sync::broadcast::error::TryRecvError;

use super::*;

const TTL: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(1);

/// A component that a test takes down and up, and how often it was looked at.
#[derive(Clone, Default)]
struct Switch {
    down: Arc<AtomicBool>,
    looks: Arc<AtomicU32>,
}

impl Switch {
    fn register(&self, health: &Health, name: &'static str, required: bool) {
        let switch = self.clone();
        health.register(name, required, move || {
            switch.looks.fetch_add(1, Ordering::SeqCst);
            let down = switch.down.load(Ordering::SeqCst);
            async move { if down { Err("refused".to_owned()) } else { Ok("fine".to_owned()) } }.boxed()
        });
    }

    fn turn(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    fn looks(&self) -> u32 {
        self.looks.load(Ordering::SeqCst)
    }
}

#[tokio::test(start_paused = true)]
async fn the_worst_component_decides() {
    let (health, nats, redis) = (Health::new(TTL, TIMEOUT), Switch::default(), Switch::default());
    nats.register(&health, "nats", true);
    redis.register(&health, "redis", false);
    for (nats_down, redis_down, status) in [
        (false, false, Status::Healthy),
        (false, true, Status::Degraded),
        (true, false, Status::Unhealthy),
        (true, true, Status::Unhealthy),
    ] {
        nats.turn(nats_down);
        redis.turn(redis_down);
        tokio::time::advance(TTL).await;
        assert_eq!(health.report().await.status, status);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_kept_for_its_time_and_shared() {
    let (health, nats) = (Health::new(TTL, TIMEOUT), Switch::default());
    nats.register(&health, "nats", true);
    join_all((0..100).map(|_| health.report())).await;
    assert_eq!(nats.looks(), 1);
    tokio::time::advance(TTL - Duration::from_millis(1)).await;
    health.report().await;
    assert_eq!(nats.looks(), 1);
    tokio::time::advance(Duration::from_millis(1)).await;
    health.report().await;
    assert_eq!(nats.looks(), 2);
}

#[tokio::test(start_paused = true)]
async fn components_are_checked_in_parallel_and_within_their_timeout() {
    let health = Health::new(TTL, TIMEOUT);
    let met = Arc::new(Barrier::new(2));
    for name in ["first", "second"] {
        let met = Arc::clone(&met);
        // Each waits for the other: one after the other they would never end.
        health.register(name, true, move || {
            let met = Arc::clone(&met);
            async move { Ok(format!("{}", met.wait().await.is_leader())) }.boxed()
        });
    }
    health.register("hung", false, || std::future::pending().boxed());
    let report = health.report().await;
    assert!(report.components["first"].up && report.components["second"].up);
    assert_eq!(report.components["hung"].detail, "no answer within 1000 ms");
    assert_eq!(report.components["hung"].latency, TIMEOUT);
    assert_eq!(report.status, Status::Degraded);
}

#[tokio::test(start_paused = true)]
async fn each_transition_is_told_once() {
    let (health, nats) = (Health::new(TTL, TIMEOUT), Switch::default());
    nats.register(&health, "nats", true);
    let mut transitions = health.watch();
    health.report().await;
    assert_eq!(transitions.try_recv().unwrap_err(), TryRecvError::Empty);
    for (down, told) in [(true, true), (true, false), (false, true), (false, false)] {
        nats.turn(down);
        tokio::time::advance(TTL).await;
        let since = health.report().await.components["nats"].since;
        if told {
            let transition = transitions.try_recv().unwrap();
            assert_eq!((transition.component, transition.up, transition.at), ("nats", !down, since));
        }
        assert_eq!(transitions.try_recv().unwrap_err(), TryRecvError::Empty);
    }
}

#[tokio::test(start_paused = true)]
async fn it_watches_unasked_until_shutdown_and_then_leaves() {
    let (health, nats) = (Health::new(TTL, TIMEOUT), Switch::default());
    nats.turn(true);
    nats.register(&health, "nats", true);
    let mut transitions = health.watch();
    let shutdown = CancellationToken::new();
    let scenario = async {
        assert!(!transitions.recv().await.unwrap().up, "down at first sight");
        nats.turn(false);
        assert!(transitions.recv().await.unwrap().up, "seen at the next round");
        assert!(!health.leaving());
        shutdown.cancel();
    };
    tokio::join!(health.run(shutdown.clone()), scenario);
    assert!(health.leaving());
}

#[tokio::test(start_paused = true)]
async fn the_gauge_follows_the_component() {
    let registry = Registry::new();
    let health = Health::of_role("worker", TTL, TIMEOUT, &registry).unwrap();
    let redis = Switch::default();
    redis.register(&health, "redis", false);
    for down in [false, true, false] {
        redis.turn(down);
        tokio::time::advance(TTL).await;
        health.report().await;
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        let line = format!("portbroker_component_up{{component=\"redis\",role=\"worker\"}} {}", u8::from(!down));
        assert!(text.contains(&line), "{line} is not in {text}");
    }
    assert!(Health::of_role("worker", TTL, TIMEOUT, &registry).is_err());
    assert!(Health::of_role("ingress", TTL, TIMEOUT, &registry).is_ok());
}

//! How long operators wait to hear of a breaker: from the provider's last failing answer before it opens to the message
//! in the chat, through the worker's alert event, ALERTS, alerting and a Bot API with Telegram's own limits.

use std::time::{Duration, Instant};

use harness::api::prompt;
use harness::cluster::Cluster;
use harness::provider::{Act, Provider};
use harness::telegram::Telegram;
use harness::wait::until;
use tokio::time::{MissedTickBehavior, interval};

/// Failures in a row that open a breaker.
const FAILURES: usize = 3;
const LIMIT: Duration = Duration::from_secs(60);

/// Seconds from each opening to its message, sorted: `count` breakers, one `every` so often, with these settings.
pub(crate) async fn breakers(count: usize, every: Duration, settings: &[(String, String)]) -> Vec<f64> {
    let (telegram, provider) = (Telegram::start().await, Provider::start("down").await);
    // One attempt more than opens it: the job then waits, and no breaker is probed within this run.
    let plan = Cluster::plan().telegram(&telegram).provider(&provider).set("LOG__LEVEL", "warn");
    let plan = plan.set("BREAKER__FAILURES", &FAILURES.to_string()).set("BREAKER__OPEN_FOR", "1h");
    let plan = plan.set("RETRY__INITIAL", "10ms").set("RETRY__MAX_ATTEMPTS", "10");
    let plan = settings.iter().fold(plan, |plan, (name, value)| plan.set(name, value));
    let cluster = plan.start().await;
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seconds = Vec::with_capacity(count);
    for number in 0..count {
        ticks.tick().await;
        let model = format!("down-{number}x");
        provider.script(&model, [Act::Refuse(500, None)]);
        cluster.api().submit(&prompt(&model, "Is anybody there?")).await;
        telegram.says(&["breaker_open", &model], LIMIT).await;
        let told = Instant::now();
        let opened = until("failures", LIMIT, async || {
            provider.calls_of(&model).get(FAILURES - 1).map(|call| call.at).ok_or("too few")
        });
        seconds.push(told.duration_since(opened.await).as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    seconds
}

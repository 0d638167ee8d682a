//! How long operators wait to hear of a breaker: from the provider's failing answer that opens it to the message in the
//! chat, through the worker's alert event, ALERTS, alerting and a Bot API with Telegram's own limits.

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

/// Seconds from each opening to its message, sorted: `count` breakers, one `every` so often, with these settings. Each
/// closes again soon, so that the chat is quiet when the next one opens.
pub(crate) async fn breakers(count: usize, every: Duration, settings: &[(String, String)]) -> Vec<f64> {
    let (telegram, provider) = (Telegram::start().await, Provider::start("down").await);
    let plan = Cluster::plan().telegram(&telegram).provider(&provider).set("LOG__LEVEL", "warn");
    let plan = plan.set("BREAKER__FAILURES", &FAILURES.to_string()).set("BREAKER__OPEN_FOR", "4s");
    let plan = plan.set("RETRY__INITIAL", "10ms");
    let plan = settings.iter().fold(plan, |plan, (name, value)| plan.set(name, value));
    let cluster = plan.start().await;
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seconds = Vec::with_capacity(count);
    for number in 0..count {
        ticks.tick().await;
        let model = format!("down-{number}x");
        provider.script(&model, [vec![Act::Refuse(500, None); FAILURES], vec![Act::Answer]].concat());
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

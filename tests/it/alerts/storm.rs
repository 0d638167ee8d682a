//! A storm over a minute in a group that takes 20 calls a minute, with a Bot API that throttles, hangs and fails.

use std::time::{Duration, Instant};

use futures::future::join_all;
use harness::telegram::{Telegram, Trouble};
use harness::wait::{check, until};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use schemas::alert::{AlertEvent, Severity};

use super::{FINGERPRINTS, LIMIT, event, is_long, nothing_was_hurried, plan, publish, told};

/// Alerts a second.
const RATE: u64 = 167;
/// Sends in a storm of a minute.
const MOST_SENDS: usize = 60;
/// From the first alert of a critical fingerprint to its first message.
const CRITICAL_WITHIN: Duration = Duration::from_secs(15);

/// One in five fingerprints is critical.
fn alarm(concern: u64) -> AlertEvent {
    let severity = if concern.is_multiple_of(5) { Severity::Critical } else { Severity::Warning };
    let labels = [("alarm".to_owned(), name(concern))].into();
    AlertEvent { severity, labels, ..event(concern) }
}

fn name(concern: u64) -> String {
    format!("alarm<{concern:02}>&")
}

/// Troubles at any call, none of which loses an answer: then nothing may stand twice in the chat.
fn trouble(rng: &mut StdRng) -> Trouble {
    match rng.random_range(0..6) {
        0 => Trouble::Reset,
        1 => Trouble::Fail(502),
        2 => Trouble::Hang,
        _ => Trouble::Throttle(rng.random_range(1..5)),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_is_told_in_time_and_within_the_limits() {
    let telegram = Telegram::start().await;
    let seconds = if is_long() { 60 } else { 12 };
    let (events, plan) = (if is_long() { 10_000 } else { seconds * RATE }, plan(&telegram).set("ALERTS__HOLD", "1h"));
    let cluster = plan.set("TELEGRAM__TIMEOUT", "1s").start().await;
    let mut rng = StdRng::seed_from_u64(20_260_131);
    let mut first = vec![None; usize::try_from(FINGERPRINTS).unwrap()];
    let began = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    for second in 0..seconds {
        tick.tick().await;
        // Half of the fingerprints are there from the beginning, the others join one by one.
        let known = (FINGERPRINTS / 2 + second * FINGERPRINTS / seconds).clamp(1, FINGERPRINTS);
        let count = if second + 1 == seconds { events - second * RATE } else { RATE };
        let concerns: Vec<_> =
            (0..count).map(|nth| if nth < known { nth } else { rng.random_range(0..known) }).collect();
        concerns.iter().for_each(|concern| {
            first[usize::try_from(*concern).unwrap()].get_or_insert_with(Instant::now);
        });
        publish(&cluster, concerns.into_iter().map(alarm)).await;
        if second % 6 == 3 {
            telegram.trouble([trouble(&mut rng)]);
        }
    }
    let published = began.elapsed();
    until("counts that add up", LIMIT, async || check(told(&telegram) == events, format!("{:#?}", telegram.texts())))
        .await;

    let calls = telegram.calls();
    let sends = calls.iter().filter(|call| call.method == "sendmessage").count();
    let throttled = calls.iter().filter(|call| call.status == 429).count();
    let messages = telegram.messages();
    let waits = join_all((0..FINGERPRINTS).step_by(5).map(async |concern| {
        let tells = messages.iter().find(|message| message.versions[0].contains(&name(concern)));
        let tells = tells.unwrap_or_else(|| panic!("no message first told of {}", name(concern)));
        tells.at.saturating_duration_since(first[usize::try_from(concern).unwrap()].unwrap())
    }))
    .await;
    let worst = waits.iter().max().copied().unwrap_or_default();
    println!(
        "{events} alerts of {FINGERPRINTS} fingerprints in {published:.1?}: {} messages by {sends} sends and {} edits, \
         {throttled} throttled, worst first message of a critical one after {worst:.1?}",
        messages.len(),
        calls.len() - sends,
    );
    assert!(sends <= MOST_SENDS, "{sends} sends");
    assert!(worst <= CRITICAL_WITHIN, "the first messages of critical alerts came after {waits:?}");
    nothing_was_hurried(&telegram);
    cluster.stop().await;
}

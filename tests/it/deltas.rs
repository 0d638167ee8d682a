//! Deltas are read back to the last one, however many there are.

use std::collections::BTreeMap;
use std::time::Duration;

use broker::Broker;
use harness::nats::Nats;
use harness::wait::{check, until};
use runtime::metrics::Metrics;
use schemas::delta::{Delta, Frame};
use schemas::id::JobId;
use schemas::subject;

const LIMIT: Duration = Duration::from_secs(60);
/// More than are read back at once.
const MANY: u64 = 5000;

fn frame(index: u64) -> Frame {
    Frame { attempt: 1, generation: 0, index, delta: Delta::Break }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_comes_late_hears_every_delta() {
    let nats = Nats::start().await;
    let environment = BTreeMap::from([("PORTBROKER_NATS__URL".to_owned(), nats.url())]);
    let config = runtime::config::load(None, &environment).unwrap();
    let broker = Broker::connect(&config, "test", &Metrics::new().unwrap().registry).await.unwrap();
    let id = JobId::new(broker.now(), 1);
    for index in 0..MANY {
        broker.publish_frame(id, &frame(index)).await.unwrap();
    }
    let context = async_nats::jetstream::new(nats.client().await);
    until("deltas", LIMIT, async || {
        let mut stream = context.get_stream(subject::DELTAS).await.map_err(|error| error.to_string())?;
        let stored = stream.info().await.map_err(|error| error.to_string())?.state.messages;
        check(stored == MANY, stored)
    })
    .await;

    let mut frames = broker.frames(id).await.unwrap();
    frames.catch_up().await;
    broker.publish_frame(id, &frame(MANY)).await.unwrap();
    let all = async {
        for index in 0..=MANY {
            assert_eq!(frames.next().await.map(|frame| frame.index), Some(index));
        }
    };
    tokio::time::timeout(LIMIT, all).await.unwrap();
}

//! What raw JetStream takes: small messages to a stream of the same kind as STATE, acknowledged once on disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, stream};
use async_nats::{Client, HeaderMap};
use bytes::Bytes;
use tokio::task::JoinSet;

const PAYLOAD: usize = 600;

/// Messages a second when each is published and acknowledged by itself, `at_once` on their way.
pub(crate) async fn singly(client: &Client, at_once: usize, span: Duration) -> f64 {
    prepare(client).await;
    let sent = Arc::new(AtomicU64::new(0));
    let (started, mut publishers) = (Instant::now(), JoinSet::new());
    for publisher in 0..at_once {
        let (client, sent) = (client.clone(), Arc::clone(&sent));
        publishers.spawn(async move {
            while started.elapsed() < span {
                let subject = format!("floor.{publisher}.{}", sent.fetch_add(1, Ordering::Relaxed));
                client.request(subject, Bytes::from_static(&[b'x'; PAYLOAD])).await.expect("an acknowledgement");
            }
        });
    }
    publishers.join_all().await;
    sent.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64()
}

/// Messages a second in atomic batches of `size`, one after the other.
pub(crate) async fn batched(client: &Client, size: u64, span: Duration) -> f64 {
    prepare(client).await;
    let (started, mut sent) = (Instant::now(), 0_u64);
    while started.elapsed() < span {
        for position in 1..=size {
            let mut headers = HeaderMap::new();
            headers.insert("Nats-Batch-Id", format!("batch-{}", sent / size).as_str());
            headers.insert("Nats-Batch-Sequence", position.to_string().as_str());
            let subject = format!("floor.batch.{sent}");
            let payload = Bytes::from_static(&[b'x'; PAYLOAD]);
            if position < size {
                client.publish_with_headers(subject, headers, payload).await.expect("a connection");
            } else {
                headers.insert("Nats-Batch-Commit", "1");
                client.request_with_headers(subject, headers, payload).await.expect("an acknowledgement");
            }
            sent += 1;
        }
    }
    sent as f64 / started.elapsed().as_secs_f64()
}

async fn prepare(client: &Client) {
    let js = jetstream::new(client.clone());
    drop(js.delete_stream("FLOOR").await);
    let config = stream::Config {
        name: "FLOOR".to_owned(),
        subjects: vec!["floor.>".to_owned()],
        max_messages_per_subject: 1,
        allow_atomic_publish: true,
        ..stream::Config::default()
    };
    js.create_stream(config).await.expect("a stream");
}

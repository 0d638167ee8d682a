//! Where the messages of jobs are that have not ended, for the story of each: what should have moved them on?

use std::collections::BTreeMap;

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::{Consumer, pull};
use async_nats::jetstream::stream::Stream;
use schemas::id::JobId;
use schemas::job::Lane;
use schemas::subject;
use strum::IntoEnumIterator;

/// The streams whose messages carry jobs.
fn streams() -> impl Iterator<Item = &'static str> {
    Lane::iter().map(subject::jobs_stream).chain([subject::DELAYED])
}

/// What the broker says of each of `jobs`.
pub(crate) async fn of(context: &Context, jobs: impl Iterator<Item = JobId>) -> BTreeMap<JobId, String> {
    let mut told = BTreeMap::new();
    for id in jobs {
        let mut words = Vec::new();
        for name in streams() {
            match found(context, name, id).await {
                Ok(None) => {}
                Ok(Some(what)) => words.push(what),
                Err(error) => words.push(format!("{name}: {error}")),
            }
        }
        let words = if words.is_empty() { "no message carries it".to_owned() } else { words.join(", ") };
        told.insert(id, format!("({words})"));
    }
    told
}

/// The job's message in a stream, beside what the workers' consumer knows.
async fn found(context: &Context, name: &str, id: JobId) -> Result<Option<String>, async_nats::Error> {
    let stream = context.get_stream(name).await?;
    let Some(seq) = message(&stream, id).await else { return Ok(None) };
    let mut consumer: Consumer<pull::Config> = stream.get_consumer(subject::WORKERS).await?;
    let info = consumer.info().await?;
    Ok(Some(format!(
        "{name} has it at {seq}; its consumer has delivered up to {}, all acknowledged up to {}, {} not acknowledged, {} to come",
        info.delivered.stream_sequence, info.ack_floor.stream_sequence, info.num_ack_pending, info.num_pending
    )))
}

async fn message(stream: &Stream, id: JobId) -> Option<u64> {
    for filter in [format!("*.*.*.{id}"), format!("*.*.*.{id}.*")] {
        if let Ok(message) = stream.get_last_raw_message_by_subject(&filter).await {
            return Some(message.sequence);
        }
    }
    None
}

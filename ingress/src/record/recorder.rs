//! Folds what JOBS and STATE say into SQL, and deletes what is over. Replicas share one durable consumer: what another
//! one wrote before, or writes again, changes nothing. A batch is acknowledged once it is committed.

use broker::{Broker, BrokerError, Folded, Receipt};
use runtime::config::DatabaseConfig;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::error::Chain;
use super::fold::Entry;
use super::metrics::RecorderMetrics;
use super::store::Store;
use super::writer::{Writer, prune, slept, wait_after};

/// Records until `shutdown`. Neither the broker nor the database need be there: it waits for both.
pub async fn run(
    broker: Broker,
    store: Store,
    config: &DatabaseConfig,
    metrics: RecorderMetrics,
    shutdown: CancellationToken,
) {
    let writer = Writer { store, metrics };
    tokio::join!(record(&broker, &writer, config.batch, &shutdown), keep_pruned(&writer, config, &shutdown));
}

/// Follows the feed, from its start again after each failure.
async fn record(broker: &Broker, writer: &Writer, batch: usize, shutdown: &CancellationToken) {
    let mut failures = 0;
    while let Err(error) = follow(broker, writer, batch, shutdown, &mut failures).await {
        if failures == 0 {
            warn!(error = %Chain(&error), "records cannot be read, trying again");
        }
        failures += 1;
        if !slept(wait_after(failures), shutdown).await {
            return;
        }
    }
}

/// Writes one batch after the other, until the feed fails or shutdown comes.
async fn follow(
    broker: &Broker,
    writer: &Writer,
    batch: usize,
    shutdown: &CancellationToken,
    failures: &mut u32,
) -> Result<(), BrokerError> {
    let Some(feed) = shutdown.run_until_cancelled(broker.recorder(batch)).await else { return Ok(()) };
    let mut feed = feed?;
    while let Some(folded) = shutdown.run_until_cancelled(feed.next_batch()).await {
        *failures = 0;
        let (entries, receipts) = split(folded);
        if !writer.write(&entries, shutdown).await {
            return Ok(());
        }
        // A lost acknowledgement only means that the record comes again.
        for receipt in receipts {
            receipt.ack().await;
        }
    }
    Ok(())
}

fn split(folded: Vec<Folded>) -> (Vec<Entry>, Vec<Receipt>) {
    folded.into_iter().map(|one| (Entry { tenant: one.tenant, seq: one.seq, view: one.view }, one.receipt)).unzip()
}

async fn keep_pruned(writer: &Writer, config: &DatabaseConfig, shutdown: &CancellationToken) {
    let batch = u32::try_from(config.batch).unwrap_or(u32::MAX);
    loop {
        match shutdown.run_until_cancelled(prune(writer, runtime::clock::now(), batch)).await {
            None => return,
            Some(Ok(())) => {}
            Some(Err(error)) => info!(error = %Chain(&error), "history is pruned later"),
        }
        if !slept(config.prune_interval, shutdown).await {
            return;
        }
    }
}

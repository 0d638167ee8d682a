//! Looking at what the rules judge beside what processes say of themselves. Whatever cannot be looked at in time is left
//! out, and the rest is judged.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use broker::{Broker, BrokerError};
use prometheus::IntGauge;
use runtime::config::Config;
use schemas::timestamp::Timestamp;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout};

use super::expiry;
use super::facts::Facts;

/// How long one look at one thing may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often files are read again.
const FILES: Duration = Duration::from_secs(60);
/// Most bytes of a file that are read.
const FILE_BYTES: u64 = 1 << 20;

/// Where things are looked at.
pub(crate) struct Lookout {
    broker: Broker,
    /// Files of certificates and credentials, by the setting that names them.
    files: Vec<(&'static str, PathBuf)>,
    expiries: BTreeMap<String, Timestamp>,
    read_at: Option<Instant>,
    /// What tells for how many seconds the oldest news has been waiting, by where it goes.
    waiting: Vec<(&'static str, IntGauge)>,
}

impl Lookout {
    /// Looks with this connection, at the files of this configuration and at these gauges.
    pub(crate) fn new(broker: Broker, config: &Config, waiting: Vec<(&'static str, IntGauge)>) -> Self {
        let nats = &config.nats;
        let files = [
            ("nats.ca_file", &nats.ca_file),
            ("nats.cert_file", &nats.cert_file),
            ("nats.credentials_file", &nats.credentials_file),
        ];
        let named = files.into_iter().filter(|(_, file)| !file.as_os_str().is_empty());
        let files = named.map(|(setting, file)| (setting, file.clone())).collect();
        Self { broker, files, expiries: BTreeMap::new(), read_at: None, waiting }
    }

    /// One look at everything.
    pub(crate) async fn look(&mut self) -> Facts {
        self.read_files().await;
        let (depth, streams, breakers) = tokio::join!(
            bounded("queue depth", self.broker.depth()),
            bounded("streams", self.broker.replication()),
            bounded("breakers", self.broker.open_breakers()),
        );
        let seconds = |gauge: &IntGauge| u64::try_from(gauge.get()).unwrap_or_default();
        let waiting = self.waiting.iter().map(|(outlet, gauge)| ((*outlet).to_owned(), seconds(gauge)));
        let waiting_seconds = waiting.collect();
        Facts { depth, streams, breakers, waiting_seconds, expiries: self.expiries.clone(), config_error: None }
    }

    async fn read_files(&mut self) {
        if self.read_at.is_some_and(|at| at.elapsed() < FILES) {
            return;
        }
        self.read_at = Some(Instant::now());
        let mut expiries = BTreeMap::new();
        for (setting, file) in &self.files {
            if let Some(ends) = read(file).await.as_deref().and_then(expiry::ends) {
                expiries.insert((*setting).to_owned(), ends);
            }
        }
        self.expiries = expiries;
    }
}

async fn read(file: &Path) -> Option<String> {
    let read = async {
        let mut text = String::new();
        tokio::fs::File::open(file).await?.take(FILE_BYTES).read_to_string(&mut text).await?;
        Ok::<_, std::io::Error>(text)
    };
    match timeout(PATIENCE, read).await {
        Ok(Ok(text)) => Some(text),
        Ok(Err(error)) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "a certificate or credential cannot be read");
            None
        }
        Err(_) => None,
    }
}

async fn bounded<T>(what: &'static str, look: impl Future<Output = Result<T, BrokerError>>) -> Option<T> {
    match timeout(PATIENCE, look).await {
        Ok(Ok(found)) => Some(found),
        Ok(Err(error)) => {
            tracing::debug!(error = &error as &dyn std::error::Error, what, "not known to the rules");
            None
        }
        Err(_) => {
            tracing::debug!(what, "not known to the rules in time");
            None
        }
    }
}

//! The providers: their data, and a client for each.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

use runtime::config::WorkerConfig;
use schemas::catalog::{Candidate, Catalog, Provider};
use schemas::catalog_file;
use schemas::delta::Delta;
use schemas::dialect::wire::Wire;
use schemas::error::ErrorCode;
use tokio::sync::mpsc;

use super::call::{Answer, Call, CallError, Progress, broken};
use super::echo::{CountTokens, Echo};
use super::http::Http;
use super::metrics::ProviderMetrics;
use super::transport::TransportError;

/// Why there are no providers.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The file cannot be read.
    #[error("the providers file {} cannot be read", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file is wrong: every fault, one a line.
    #[error("the providers file is wrong:\n{}", .0.join("\n"))]
    Invalid(Vec<String>),
    /// A provider's client cannot be made.
    #[error("provider {provider}")]
    Client {
        /// Its name.
        provider: String,
        /// Why not.
        source: TransportError,
    },
}

/// Every provider and its client.
#[derive(Debug)]
pub struct Registry {
    catalog: Catalog,
    clients: HashMap<String, Client>,
    call_timeout: Duration,
}

/// The way to one provider.
#[derive(Debug)]
enum Client {
    Echo(Echo),
    Http(Box<Http>),
}

/// Reads the providers file with its keys; without a file, the embedded default.
///
/// # Errors
/// When the file cannot be read, or with all of its faults.
pub fn load(file: Option<&Path>, env: &BTreeMap<String, String>) -> Result<Catalog, RegistryError> {
    let text = match file {
        None => catalog_file::DEFAULT.to_owned(),
        Some(path) => std::fs::read_to_string(path)
            .map_err(|source| RegistryError::Unreadable { path: path.to_owned(), source })?,
    };
    catalog_file::parse(&text, |name| env.get(name).cloned()).map_err(RegistryError::Invalid)
}

impl Registry {
    /// Makes a client for each provider of `catalog`. `count` counts tokens for echo.
    ///
    /// # Errors
    /// When a provider's client cannot be made.
    pub fn new(
        catalog: Catalog,
        config: &WorkerConfig,
        count: &CountTokens,
        metrics: &ProviderMetrics,
    ) -> Result<Self, RegistryError> {
        let client = |provider: &Provider| match Client::new(provider, config, count, metrics) {
            Ok(client) => Ok((provider.name.clone(), client)),
            Err(source) => Err(RegistryError::Client { provider: provider.name.clone(), source }),
        };
        let clients = catalog.providers.iter().map(client).collect::<Result<_, _>>()?;
        Ok(Self { catalog, clients, call_timeout: config.call_timeout })
    }

    /// The providers' data.
    #[must_use]
    pub const fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Sends one request to `candidate`'s provider. A streamed answer's pieces go to `sink` as they come. Dropping the
    /// future ends the request.
    ///
    /// # Errors
    /// When there is no whole answer, the configured call timeout included.
    pub async fn call(
        &self,
        candidate: &Candidate<'_>,
        call: &Call<'_>,
        sink: Option<&mpsc::Sender<Delta>>,
    ) -> Result<Answer, CallError> {
        let mut progress = Progress::new(sink);
        let Some(client) = self.clients.get(&candidate.provider.name) else {
            return Err(progress.error(broken(ErrorCode::Internal, "the provider has no client")));
        };
        let work = async {
            match client {
                Client::Echo(echo) => echo.call(call, &mut progress).await.map(|response| (response, Vec::new())),
                Client::Http(provider) => provider.call(call, &mut progress).await,
            }
        };
        match tokio::time::timeout(self.call_timeout, work).await {
            Ok(Ok((response, warnings))) => Ok(progress.answer(response, warnings)),
            Ok(Err(failure)) => Err(progress.error(failure)),
            Err(_) => {
                let message = format!("no whole answer within {:?}", self.call_timeout);
                Err(progress.error(broken(ErrorCode::ProviderTimeout, message)))
            }
        }
    }
}

impl Client {
    fn new(
        provider: &Provider,
        config: &WorkerConfig,
        count: &CountTokens,
        metrics: &ProviderMetrics,
    ) -> Result<Self, TransportError> {
        Ok(match Wire::of(provider.dialect) {
            None => Self::Echo(Echo::new(count.clone())),
            Some(wire) => Self::Http(Box::new(Http::new(provider, wire, config, metrics.clone())?)),
        })
    }
}

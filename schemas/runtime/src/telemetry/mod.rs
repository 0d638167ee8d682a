//! Logs on standard error: JSON lines, or text for people, with every configured secret blotted out.

mod json;
mod panic;
mod scrub;

use std::io::{self, IsTerminal};

use secrecy::SecretString;
use tracing::Subscriber;
use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, Registry};

use self::json::JsonLayer;
use self::scrub::Scrubbing;
pub use self::scrub::{MASK, Scrubber};
use crate::config::LogConfig;

/// Why logs could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter does not parse.
    #[error("log.level is not a filter")]
    Filter(#[source] ParseError),
    /// The secrets make too large a pattern.
    #[error("there are too many secrets to look for in logs")]
    Secrets,
    /// Logs were set up before.
    #[error("logs are set up already")]
    Again(#[source] TryInitError),
}

/// Sends this process's logs, and its panics, to standard error, without any of `secrets`. Call it once.
///
/// # Errors
/// When the filter does not parse, or logs were set up before.
pub fn init(config: &LogConfig, secrets: &[SecretString]) -> Result<(), TelemetryError> {
    let scrubber = Scrubber::new(secrets)?;
    subscriber(config, scrubber, io::stderr)?.try_init().map_err(TelemetryError::Again)?;
    panic::install();
    Ok(())
}

fn subscriber<W>(
    config: &LogConfig,
    scrubber: Scrubber,
    output: W,
) -> Result<impl Subscriber + Send + Sync + 'static, TelemetryError>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder().parse(&config.level).map_err(TelemetryError::Filter)?;
    let output = Scrubbing::new(scrubber, output);
    let lines = if config.format == "text" { text(output) } else { JsonLayer::new(output).boxed() };
    Ok(Registry::default().with(lines).with(filter))
}

fn text<S, W>(output: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let colours = io::stderr().is_terminal();
    tracing_subscriber::fmt::layer().with_ansi(colours).with_writer(output).boxed()
}

#[cfg(test)]
mod tests;

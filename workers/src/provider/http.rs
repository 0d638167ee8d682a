//! A provider behind HTTP: encode in its dialect, send, read, decode. What an answer is, whole or streamed,
//! is told by its first byte: content types lie.

use std::time::Duration;

use futures::FutureExt;
use reqwest::Response;
use runtime::config::WorkerConfig;
use schemas::catalog::{Provider, Quirks};
use schemas::chat::ChatResponse;
use schemas::dialect::classify::{Class, Classified, retry_after};
use schemas::dialect::wire::{StreamDecoder, Wire};
use schemas::error::{ErrorCode, Failure};
use schemas::warning::Warning;

use super::call::{Call, Progress, broken};
use super::metrics::ProviderMetrics;
use super::transport::{Outgoing, Transport, TransportError, chunk, redirected};

/// Most bytes of an error answer that are read.
const MOST_ERROR_BYTES: usize = 64 * 1024;

/// The client of one such provider.
#[derive(Debug)]
pub(super) struct Http {
    name: String,
    wire: Wire,
    transport: Transport,
    quirks: Quirks,
    idle: Duration,
    most_bytes: usize,
    metrics: ProviderMetrics,
}

/// An answer while it is read.
struct Incoming {
    wire: Wire,
    received: Received,
}

/// What has come of it.
enum Received {
    /// Nothing but blanks so far.
    Blank,
    Whole(Vec<u8>),
    Stream(StreamDecoder),
}

impl Http {
    pub(super) fn new(
        provider: &Provider,
        wire: Wire,
        config: &WorkerConfig,
        metrics: ProviderMetrics,
    ) -> Result<Self, TransportError> {
        Ok(Self {
            name: provider.name.clone(),
            wire,
            transport: Transport::new(provider, wire.path(), config)?,
            quirks: provider.quirks.clone(),
            idle: config.idle_timeout,
            most_bytes: config.max_answer_bytes,
            metrics,
        })
    }

    pub(super) async fn call(
        &self,
        call: &Call<'_>,
        progress: &mut Progress<'_>,
    ) -> Result<(ChatResponse, Vec<Warning>), Classified> {
        let quirks = Quirks { max_output: call.max_output, ..self.quirks.clone() };
        let (body, warnings) = self.wire.encode_request(call.request, call.upstream, &quirks);
        let body = serde_json::to_vec(&body)
            .map_err(|_| broken(ErrorCode::Internal, "the provider request could not be encoded"))?;
        let idempotency_key = self.quirks.idempotency_key.then_some(call.idempotency_key.as_str());
        progress.sent = true;
        let outgoing = Outgoing { body, model: call.upstream, stream: call.request.stream, idempotency_key };
        let response = self.transport.send(outgoing).await.map_err(|(failure, sent)| {
            progress.sent = sent;
            failure
        })?;
        let answer = match response.status() {
            status if status.is_success() => self.read(response, call.request.stream, progress).await,
            status if status.is_redirection() => Err(redirected(status.as_u16())),
            _ => Err(self.refused(response).await),
        };
        answer.map(|answer| (answer, warnings)).map_err(|failure| self.transport.scrub(failure))
    }

    /// A connection that breaks, or falls silent, behind a whole answer does it no harm.
    async fn read(
        &self,
        mut response: Response,
        stream: bool,
        progress: &mut Progress<'_>,
    ) -> Result<ChatResponse, Classified> {
        let mut incoming = Incoming { wire: self.wire, received: Received::Blank };
        let received = self.receive(&mut response, stream, &mut incoming, progress).await;
        match (incoming.end(progress).await, received) {
            (Err(_), Err(fault)) => Err(fault),
            (answer, _) => answer,
        }
    }

    async fn receive(
        &self,
        response: &mut Response,
        stream: bool,
        incoming: &mut Incoming,
        progress: &mut Progress<'_>,
    ) -> Result<(), Classified> {
        let idle = stream.then_some(self.idle);
        let mut total = 0_usize;
        while let Some(bytes) = chunk(response, idle).await? {
            total = total.saturating_add(bytes.len());
            self.metrics.answer_bytes.with_label_values(&[&self.name]).inc_by(bytes.len() as u64);
            if total > self.most_bytes {
                let message = format!("truncated: the answer is larger than {} bytes", self.most_bytes);
                return Err(broken(ErrorCode::ProviderInvalidResponse, message));
            }
            incoming.feed(&bytes, progress).await?;
            if matches!(&incoming.received, Received::Stream(decoder) if decoder.is_done()) {
                // Its end is mostly there already; having read it, the connection can be used again.
                let _ = chunk(response, None).now_or_never();
                break;
            }
        }
        Ok(())
    }

    /// What an error answer means. Its body is read as far as it goes.
    async fn refused(&self, mut response: Response) -> Classified {
        let status = response.status().as_u16();
        let header = |name: &str| response.headers().get(name)?.to_str().ok();
        let after = retry_after(header, runtime::clock::now());
        let mut body = Vec::new();
        while let Ok(Some(bytes)) = chunk(&mut response, Some(self.idle)).await {
            body.extend_from_slice(&bytes[..bytes.len().min(MOST_ERROR_BYTES - body.len())]);
            if body.len() == MOST_ERROR_BYTES {
                break;
            }
        }
        self.wire.classify(status, after, &body)
    }
}

impl Incoming {
    async fn feed(&mut self, bytes: &[u8], progress: &mut Progress<'_>) -> Result<(), Classified> {
        if let Received::Blank = self.received {
            let bytes = bytes.trim_ascii_start();
            match bytes.first() {
                None => return Ok(()),
                Some(b'{' | b'[' | b'<' | b'"') => self.received = Received::Whole(Vec::new()),
                Some(_) => self.received = Received::Stream(self.wire.stream_decoder()),
            }
        }
        match &mut self.received {
            Received::Blank => {}
            Received::Whole(body) => body.extend_from_slice(bytes),
            Received::Stream(decoder) => {
                let decoded = decoder.feed(bytes);
                progress.usage = decoder.usage().or(progress.usage);
                progress.push(decoded.map_err(classified)?).await;
            }
        }
        Ok(())
    }

    async fn end(self, progress: &mut Progress<'_>) -> Result<ChatResponse, Classified> {
        match self.received {
            Received::Blank => Err(broken(ErrorCode::ProviderInvalidResponse, "the answer is empty")),
            Received::Whole(body) => {
                let response = self.wire.decode_response(&body).map_err(classified)?;
                progress.usage = response.usage;
                Ok(progress.whole(response).await)
            }
            Received::Stream(decoder) => {
                progress.usage = decoder.usage().or(progress.usage);
                progress.push(decoder.finish().map_err(classified)?).await;
                progress.assembled()
            }
        }
    }
}

fn classified(failure: Failure) -> Classified {
    Classified { class: Class::of(failure.code), failure }
}

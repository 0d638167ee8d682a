//! A record has to fit into a message: what of a result is too large goes to the object store. The names bear the nonce,
//! so that a worker that was thought lost changes nothing of what another stored.

use schemas::envelope;
use schemas::id::JobId;
use schemas::state::{Aside, JobResult, Nonce};
use serde::Serialize;

use crate::broker::Broker;
use crate::error::BrokerError;

/// What a message takes beside the result: the job's head, its attempts, headers.
const BESIDE: usize = 256 * 1024;

impl Broker {
    /// Moves what is large of `result` to the object store, and what fits even then in no record.
    ///
    /// # Errors
    /// [`BrokerError`] when it cannot be encoded, or the object store takes it in no way.
    pub(crate) async fn make_room(&self, id: JobId, nonce: &Nonce, result: &mut JobResult) -> Result<(), BrokerError> {
        let inline = self.0.config.ingress.inline_max_bytes;
        let room = self.0.client.server_info().max_payload.saturating_sub(BESIDE);
        self.move_output(id, nonce, result, inline / 2).await?;
        self.move_aside(id, nonce, result, inline / 8).await?;
        if envelope::encode(result)?.len() > room {
            // Replayed block by block then.
            result.trace = None;
            self.move_output(id, nonce, result, 0).await?;
            self.move_aside(id, nonce, result, 0).await?;
        }
        Ok(())
    }

    async fn move_output(
        &self,
        id: JobId,
        nonce: &Nonce,
        result: &mut JobResult,
        most: usize,
    ) -> Result<(), BrokerError> {
        let Some(output) = &result.output else { return Ok(()) };
        if let Some(name) = self.store_large(output, format!("{id}.{nonce}.output"), most).await? {
            (result.output, result.stored_output) = (None, Some(name));
        }
        Ok(())
    }

    async fn move_aside(
        &self,
        id: JobId,
        nonce: &Nonce,
        result: &mut JobResult,
        most: usize,
    ) -> Result<(), BrokerError> {
        if result.logprobs.is_empty() && result.extra.is_empty() {
            return Ok(());
        }
        let mut aside = Aside::default();
        std::mem::swap(&mut aside.logprobs, &mut result.logprobs);
        std::mem::swap(&mut aside.extra, &mut result.extra);
        result.stored_aside = self.store_large(&aside, format!("{id}.{nonce}.aside"), most).await?;
        if result.stored_aside.is_none() {
            (result.logprobs, result.extra) = (aside.logprobs, aside.extra);
        }
        Ok(())
    }

    /// The name of a value that is stored since it takes more than `most` bytes.
    async fn store_large(
        &self,
        value: &impl Serialize,
        name: String,
        most: usize,
    ) -> Result<Option<String>, BrokerError> {
        let body = envelope::encode(value)?;
        if body.len() <= most {
            return Ok(None);
        }
        self.put_at_last(&name, body).await?;
        Ok(Some(name))
    }
}

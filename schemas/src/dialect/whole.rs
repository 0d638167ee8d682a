//! A provider's whole answer, before its dialect takes it apart.

use serde_json::Value;

use super::classify::Classified;
use super::read::Mismatch;
use crate::error::{ErrorCode, Failure};

/// What `decode` makes of the answer in `body`, unless that is an error of the provider's own, which `refused` finds.
pub(super) fn answer<T>(
    body: &[u8],
    refused: impl FnOnce(&Value) -> Option<Classified>,
    decode: impl FnOnce(Value) -> Result<T, Mismatch>,
) -> Result<T, Failure> {
    let value: Value = serde_json::from_slice(body).map_err(|fault| {
        let message = format!("the provider's answer is not JSON: line {}, column {}", fault.line(), fault.column());
        Failure::new(ErrorCode::ProviderInvalidResponse, message)
    })?;
    match refused(&value) {
        Some(classified) => Err(classified.failure),
        None => decode(value).map_err(Mismatch::of_provider),
    }
}

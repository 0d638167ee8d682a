//! How every value is stored in JetStream: one version byte, then MessagePack with named fields. Old bytes decode for
//! ever: fields are only added, always with a default. The golden tests below hold bytes of every version.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The version written today.
pub const VERSION: u8 = 1;

/// Why stored bytes could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// There is not even a version byte.
    #[error("the stored value is empty")]
    Empty,
    /// Written by a newer release than this one.
    #[error("the stored value has version {0}, this release reads up to {VERSION}: upgrade it")]
    Newer(u8),
    /// The bytes are not the MessagePack of this type.
    #[error("the stored value cannot be decoded")]
    Decode(#[from] rmp_serde::decode::Error),
    /// The value cannot be written as MessagePack.
    #[error("the value cannot be encoded")]
    Encode(#[from] rmp_serde::encode::Error),
}

/// Encodes `value` behind today's version byte.
///
/// # Errors
/// [`EnvelopeError::Encode`] when the value's `Serialize` fails.
pub fn encode<T: Serialize>(value: &T) -> Result<Bytes, EnvelopeError> {
    let mut buffer = vec![VERSION];
    let mut serializer = rmp_serde::Serializer::new(&mut buffer).with_struct_map();
    value.serialize(&mut serializer)?;
    Ok(buffer.into())
}

/// Decodes what [`encode`] of this or an earlier release wrote.
///
/// # Errors
/// Every variant of [`EnvelopeError`] but `Encode`.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, EnvelopeError> {
    match bytes.split_first() {
        None => Err(EnvelopeError::Empty),
        Some((&version, rest)) if version <= VERSION => Ok(rmp_serde::from_slice(rest)?),
        Some((&version, _)) => Err(EnvelopeError::Newer(version)),
    }
}

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod samples_session;
#[cfg(test)]
mod samples_wide;
#[cfg(test)]
mod tests;

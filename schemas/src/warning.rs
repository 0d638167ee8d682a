//! What a client hears of a request that was carried out, and not quite as it was written.

use serde::{Deserialize, Serialize};

/// Something the client should know about how its request was carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// A stable word, for example `unsupported_field`.
    pub code: String,
    /// The request's field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
    /// A sentence.
    pub message: String,
}

//! What a provider says of a request that is wrong, and the checks that every API has.

use serde_json::Value;

/// A sentence about the first thing wrong.
pub(super) type Complaint = String;

pub(super) fn ensure(holds: bool, complaint: impl FnOnce() -> Complaint) -> Result<(), Complaint> {
    if holds { Ok(()) } else { Err(complaint()) }
}

/// Whether `object` has no other fields than these.
pub(super) fn known(object: &Value, fields: &[&str]) -> Result<(), Complaint> {
    let unknown = object.as_object().and_then(|object| object.keys().find(|name| !fields.contains(&name.as_str())));
    ensure(object.is_object() && unknown.is_none(), || format!("unknown field {unknown:?} in {object}"))
}

pub(super) fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=64).contains(&text.len()) && text.bytes().all(plain)
}

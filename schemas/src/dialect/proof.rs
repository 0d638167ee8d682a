//! Proofs of reasoning (signatures, encrypted forms) on their way through a client that speaks another dialect than the
//! provider that made them. Such a client gets them wrapped in its own dialect's slot, as
//! `pb1.<dialect>.<base64url of JSON {signature, id, redacted}>`, and sends them back as it does its own.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::chat::Reasoning;

/// What a wrapped proof begins with: the version of the form.
const PREFIX: &str = "pb1.";

/// What is inside the base64.
#[derive(Debug, Serialize, Deserialize)]
struct Wrapped {
    signature: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    redacted: bool,
}

/// The proof of `reasoning` for the slot that `client_dialect` has for proofs: its own unchanged, another's wrapped.
/// `None` when there is no proof, or none that says whose it is: no provider could read it.
#[must_use]
pub fn wrap(reasoning: &Reasoning, client_dialect: &str) -> Option<String> {
    let Reasoning { signature, dialect, id, redacted, .. } = reasoning;
    let (signature, dialect) = (signature.as_ref()?, dialect.as_ref()?);
    // What looks wrapped (its provider is a PortBroker too) would be opened on its way back: it is wrapped once more.
    if dialect == client_dialect && !signature.starts_with(PREFIX) {
        return Some(signature.clone());
    }
    let inner = Wrapped { signature: signature.clone(), id: id.clone(), redacted: *redacted };
    let json = serde_json::to_vec(&inner).ok()?;
    Some(format!("{PREFIX}{dialect}.{}", URL_SAFE_NO_PAD.encode(json)))
}

/// Reads a slot that a client of `client_dialect` sent back: reasoning without a text, with the proof and whose it is.
/// What was never wrapped is the client dialect's own; that it is redacted, its slot tells and not its text. An empty
/// slot proves nothing.
#[must_use]
pub fn unwrap(slot: String, client_dialect: &str) -> Reasoning {
    if slot.is_empty() {
        return Reasoning::default();
    }
    open(&slot).unwrap_or_else(|| Reasoning {
        signature: Some(slot),
        dialect: Some(client_dialect.to_owned()),
        ..Reasoning::default()
    })
}

fn open(slot: &str) -> Option<Reasoning> {
    let (dialect, data) = slot.strip_prefix(PREFIX)?.split_once('.')?;
    let Wrapped { signature, id, redacted } = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(data).ok()?).ok()?;
    Some(Reasoning {
        signature: Some(signature),
        dialect: Some(dialect.to_owned()),
        id,
        redacted,
        ..Reasoning::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn proof(dialect: &str, signature: &str) -> Reasoning {
        let (signature, dialect) = (Some(signature.to_owned()), Some(dialect.to_owned()));
        Reasoning { signature, dialect, ..Reasoning::default() }
    }

    #[test]
    fn ones_own_stays_as_it_is() {
        assert_eq!(wrap(&proof("anthropic", "sig=="), "anthropic").as_deref(), Some("sig=="));
        assert_eq!(unwrap("sig==".to_owned(), "anthropic"), proof("anthropic", "sig=="));
    }

    #[test]
    fn the_form_is_fixed() {
        let reasoning = Reasoning { id: Some("rs_1".to_owned()), ..proof("openai_responses", "enc") };
        let slot = wrap(&reasoning, "anthropic").unwrap();
        insta::assert_snapshot!(slot, @"pb1.openai_responses.eyJzaWduYXR1cmUiOiJlbmMiLCJpZCI6InJzXzEifQ");
        assert_eq!(unwrap(slot, "anthropic"), reasoning);
    }

    #[test]
    fn what_proves_nothing_is_no_proof() {
        assert_eq!(wrap(&Reasoning::text("hm"), "anthropic"), None);
        assert_eq!(wrap(&Reasoning { dialect: None, ..proof("", "sig") }, "anthropic"), None);
        assert_eq!(unwrap(String::new(), "anthropic"), Reasoning::default());
    }

    #[test]
    fn a_wrapped_proof_is_wrapped_again() {
        let inner = proof("anthropic", "pb1.openai_responses.eyJzaWduYXR1cmUiOiJlbmMifQ");
        let slot = wrap(&inner, "anthropic").unwrap();
        assert_ne!(Some(&slot), inner.signature.as_ref());
        assert_eq!(unwrap(slot, "anthropic"), inner);
    }

    #[test]
    fn what_only_looks_wrapped_is_the_clients_own() {
        for slot in ["pb1.", "pb1.x", "pb1.x.", "pb1.x.!!", "pb1.x.e30", "pb2.x.eyJzaWduYXR1cmUiOiJlIn0"] {
            assert_eq!(unwrap(slot.to_owned(), "anthropic"), proof("anthropic", slot), "{slot}");
        }
    }

    proptest! {
        #[test]
        fn every_proof_comes_back(
            signature in ".{1,40}", id in proptest::option::of(".{0,8}"), redacted: bool, own: bool,
        ) {
            let dialect = if own { "anthropic" } else { "openai_responses" };
            // Ones own slot tells the rest itself.
            let reasoning = Reasoning { id: id.filter(|_| !own), redacted: redacted && !own, ..proof(dialect, &signature) };
            prop_assert_eq!(unwrap(wrap(&reasoning, "anthropic").unwrap(), "anthropic"), reasoning);
        }

        #[test]
        fn any_slot_is_read(slot in "(pb1\\.)?.{0,40}") {
            let signature = unwrap(slot.clone(), "anthropic").signature;
            prop_assert_eq!(signature.is_some(), !slot.is_empty());
        }
    }
}

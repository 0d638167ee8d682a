//! A job as tests of the protocol know it.

use std::collections::BTreeMap;

use schemas::job::{JobHead, Lane, OnAmbiguous};
use schemas::state::Carrier;
use schemas::timestamp::Timestamp;

/// What its records carry.
pub(super) fn head(created_at: Timestamp) -> JobHead {
    JobHead {
        tenant: "t".to_owned(),
        lane: Lane::Normal,
        model: "m".to_owned(),
        created_at,
        not_before: None,
        deadline: None,
        session: None,
        metadata: BTreeMap::new(),
        on_ambiguous: OnAmbiguous::Retry,
        stream: false,
        synchronous: false,
        body_hash: "h".to_owned(),
        trace_id: String::new(),
        parent: None,
        provider: None,
        summarizes: None,
    }
}

/// Its message in the stream.
pub(super) fn lane() -> Carrier {
    Carrier::Stream("JOBS_NORMAL".to_owned())
}

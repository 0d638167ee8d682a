//! What a round of checks found, and how it reads in JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::timestamp::Timestamp;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use strum::{Display, IntoStaticStr};

/// A role as a whole. Ordered: the worst of its components decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Display, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Status {
    /// Everything is up.
    Healthy,
    /// Something that it can do without is down.
    Degraded,
    /// Something that it needs is down.
    Unhealthy,
}

/// One component as last seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Component {
    /// Whether it answers.
    pub up: bool,
    /// Whether the role needs it.
    pub required: bool,
    /// What it said when up, else why it counts as down.
    pub detail: String,
    /// How long the check took.
    pub latency: Duration,
    /// When it came to be as it is.
    pub since: Timestamp,
    /// When it was looked at.
    pub checked_at: Timestamp,
}

/// All components of a role.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthReport {
    /// The role as a whole.
    pub status: Status,
    /// By name.
    pub components: BTreeMap<&'static str, Component>,
}

/// A component went down or came back.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// Its name.
    pub component: &'static str,
    /// Whether the role needs it.
    pub required: bool,
    /// Back, or down.
    pub up: bool,
    /// What it said when up, else why it counts as down.
    pub detail: String,
    /// When it was seen.
    pub at: Timestamp,
}

impl Component {
    fn status(&self) -> Status {
        match (self.up, self.required) {
            (true, _) => Status::Healthy,
            (false, false) => Status::Degraded,
            (false, true) => Status::Unhealthy,
        }
    }
}

impl HealthReport {
    pub(super) fn new(components: BTreeMap<&'static str, Component>) -> Self {
        let status = components.values().map(Component::status).max().unwrap_or(Status::Healthy);
        Self { status, components }
    }
}

/// `{status: up|down, required, detail or reason, latency_ms, since, checked_at}`.
impl Serialize for Component {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (status, text) = if self.up { ("up", "detail") } else { ("down", "reason") };
        let mut object = serializer.serialize_struct("Component", 6)?;
        object.serialize_field("status", status)?;
        object.serialize_field("required", &self.required)?;
        object.serialize_field(text, &self.detail)?;
        object.serialize_field("latency_ms", &u64::try_from(self.latency.as_millis()).unwrap_or(u64::MAX))?;
        object.serialize_field("since", &self.since)?;
        object.serialize_field("checked_at", &self.checked_at)?;
        object.end()
    }
}

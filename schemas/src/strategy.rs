//! Strategies, named in the providers file: each orders those providers of a model that are of equal priority.

use serde::Deserialize;
use strum::{Display, EnumString, IntoStaticStr};

/// Who of equal priority is asked first. Whoever fails is followed by the next, whatever the strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize, Display, EnumString, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Strategy {
    /// Whoever comes first in the file.
    #[default]
    Priority,
    /// By chance, as often as its `weight` says.
    Weighted,
    /// Whoever answered fastest lately.
    LeastLatency,
    /// Whoever has the lowest prices.
    Cheapest,
    /// Whoever comes first in the file; the next one too, if that one has said nothing after `hedge_after`.
    Race,
}

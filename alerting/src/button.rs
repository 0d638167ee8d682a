//! The buttons under a message. A press carries a verb and the incident's fingerprint, within the 64 bytes that Telegram
//! allows; everything else about it is ours to know. Pure.

use std::time::Duration;

use strum::{EnumString, IntoStaticStr};

const HOUR: Duration = Duration::from_secs(3600);
/// In place of a fingerprint: all that the message tells.
const ALL: &str = "*";

/// What a press asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Act {
    /// Somebody looks after it.
    Acknowledge,
    /// Nobody does any more.
    Unacknowledge,
    /// Keep it quiet for an hour.
    Silence1h,
    /// Keep it quiet for eight.
    Silence8h,
    /// It is over.
    Resolve,
    /// Tell everything.
    Details,
}

/// Which incidents it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// The one of this fingerprint.
    One(String),
    /// All that the message tells.
    All,
}

/// A button: what stands on it, and what a press carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Button {
    pub(crate) label: &'static str,
    pub(crate) data: String,
}

/// Rows of buttons.
pub(crate) type Keyboard = Vec<Vec<Button>>;

impl Act {
    /// How long it keeps quiet, for one that does.
    pub(crate) fn silence(self) -> Option<Duration> {
        match self {
            Self::Silence1h => Some(HOUR),
            Self::Silence8h => Some(8 * HOUR),
            Self::Acknowledge | Self::Unacknowledge | Self::Resolve | Self::Details => None,
        }
    }

    /// That it was done.
    pub(crate) const fn past(self) -> &'static str {
        match self {
            Self::Acknowledge => "Acknowledged",
            Self::Unacknowledge => "Unacknowledged",
            Self::Silence1h | Self::Silence8h => "Silenced",
            Self::Resolve => "Resolved",
            Self::Details => "Told",
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Acknowledge => "Acknowledge",
            Self::Unacknowledge => "Unacknowledge",
            Self::Silence1h => "Silence 1 h",
            Self::Silence8h => "Silence 8 h",
            Self::Resolve => "Resolve",
            Self::Details => "Details",
        }
    }

    fn on(self, key: &str) -> Button {
        Button { label: self.label(), data: format!("{}:{key}", <&str>::from(self)) }
    }
}

/// What a press carries.
pub(crate) fn decode(data: &str) -> Option<(Act, Target)> {
    let (act, key) = data.split_once(':')?;
    let is_key = !key.is_empty() && key.len() <= 32 && key.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let target = match key {
        ALL => Target::All,
        _ if is_key => Target::One(key.to_owned()),
        _ => return None,
    };
    Some((act.parse().ok()?, target))
}

/// Under a message that tells the one incident of fingerprint `key`, which fires.
pub(crate) fn of_one(key: &str, acknowledged: bool) -> Keyboard {
    let acknowledge = if acknowledged { Act::Unacknowledge } else { Act::Acknowledge };
    vec![
        vec![acknowledge.on(key), Act::Resolve.on(key)],
        vec![Act::Silence1h.on(key), Act::Silence8h.on(key), Act::Details.on(key)],
    ]
}

/// Under a message about one incident that is over, or goes on in another message.
pub(crate) fn of_past(key: &str) -> Keyboard {
    vec![vec![Act::Details.on(key)]]
}

/// Under a message that tells several.
pub(crate) fn of_several() -> Keyboard {
    vec![vec![Act::Acknowledge.on(ALL), Act::Resolve.on(ALL)], vec![Act::Silence1h.on(ALL), Act::Details.on(ALL)]]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_press_carries_what_its_button_says() {
        let key = "fa05e21e3c099a66";
        for button in
            [of_one(key, false), of_one(key, true), of_past(key), of_several()].into_iter().flatten().flatten()
        {
            assert!(button.data.len() <= 64);
            let (act, target) = decode(&button.data).unwrap();
            assert_eq!(act.label(), button.label);
            assert!(target == Target::One(key.to_owned()) || target == Target::All);
        }
    }

    proptest! {
        #[test]
        fn no_data_breaks_the_reader(data in "(acknowledge|resolve)?:?\\PC{0,80}") {
            if let Some((_, Target::One(key))) = decode(&data) {
                prop_assert!(key.len() <= 32);
            }
        }
    }
}

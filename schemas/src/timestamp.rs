//! One moment, in milliseconds since the Unix epoch. Written as RFC 3339 in JSON that people read.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Milliseconds since the Unix epoch, UTC. Times outside the years 0 to 9999 are clamped when printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// The first and the last moment that RFC 3339 can write: the years have four digits.
const FIRST: i64 = -62_167_219_200_000;
const LAST: i64 = 253_402_300_799_999;

impl Timestamp {
    /// The moment `milliseconds` after the Unix epoch.
    #[must_use]
    pub const fn from_millis(milliseconds: i64) -> Self {
        Self(milliseconds)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, as OpenAI's `created` fields have them.
    #[must_use]
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This moment moved forward by `duration`, saturating.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// This moment moved back by `duration`, saturating.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }

    /// How long after `earlier` this moment is; zero when it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Parses RFC 3339 (`2026-01-31T12:00:00Z`), or whole seconds since the Unix epoch.
    ///
    /// # Errors
    /// A sentence naming the accepted forms when `text` is neither.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Ok(seconds) = text.parse::<i64>() {
            return Ok(Self(seconds.saturating_mul(1000)));
        }
        let moment = OffsetDateTime::parse(text, &Rfc3339)
            .map_err(|_| "expected RFC 3339 like 2026-01-31T12:00:00Z, or Unix seconds".to_owned())?;
        Ok(moment.into())
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl From<OffsetDateTime> for Timestamp {
    fn from(moment: OffsetDateTime) -> Self {
        Self(i64::try_from(moment.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX))
    }
}

impl From<Timestamp> for OffsetDateTime {
    fn from(moment: Timestamp) -> Self {
        let moment = moment.0.clamp(FIRST, LAST);
        Self::from_unix_timestamp_nanos(i128::from(moment) * 1_000_000).unwrap_or(Self::UNIX_EPOCH)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = OffsetDateTime::from(*self).format(&Rfc3339).map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
}

/// A number in binary formats, RFC 3339 in readable ones.
impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_i64(self.0) }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Readable {
            Seconds(i64),
            Text(String),
        }
        if !deserializer.is_human_readable() {
            return i64::deserialize(deserializer).map(Self);
        }
        match Readable::deserialize(deserializer) {
            Ok(Readable::Seconds(seconds)) => Ok(Self(seconds.saturating_mul(1000))),
            Ok(Readable::Text(text)) => Self::parse(&text).map_err(serde::de::Error::custom),
            Err(_) => Err(serde::de::Error::custom("expected RFC 3339 text or Unix seconds")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_forms_and_prints_one() {
        let moment: Timestamp = serde_json::from_str("\"2026-01-31T12:00:00.250Z\"").unwrap();
        assert_eq!(moment.as_millis(), 1_769_860_800_250);
        assert_eq!(moment.to_string(), "2026-01-31T12:00:00.25Z");
        assert_eq!(serde_json::from_str::<Timestamp>("1769860800").unwrap().as_secs(), 1_769_860_800);
        assert!(serde_json::from_str::<Timestamp>("\"tomorrow\"").is_err());
        assert!(serde_json::from_str::<Timestamp>("[1]").is_err());
    }

    #[test]
    fn what_has_no_name_prints_as_the_nearest_that_has() {
        let printed = |milliseconds| Timestamp::from_millis(milliseconds).to_string();
        assert_eq!(printed(FIRST), "0000-01-01T00:00:00Z");
        assert_eq!(printed(FIRST - 1), printed(FIRST));
        assert_eq!(printed(i64::MIN), printed(FIRST));
        assert_eq!(printed(LAST), "9999-12-31T23:59:59.999Z");
        assert_eq!(printed(i64::MAX), printed(LAST));
    }
}

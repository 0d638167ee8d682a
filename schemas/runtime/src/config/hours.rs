//! Times of day as operators write them: `08:30`, `22:00-07:00`, `+02:00`. Pure: the moment is an argument.

use std::fmt;
use std::str::FromStr;

use schemas::timestamp::Timestamp;
use serde::{Deserialize, Serialize};

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// The text is no time of day, no span of such, or no offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct InvalidHours(&'static str);

/// A time of day, to the minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay(u16);

/// From one time of day to another, past midnight when the second is the earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hours {
    from: TimeOfDay,
    to: TimeOfDay,
}

/// How far local time is ahead of UTC, in minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UtcOffset(i16);

impl TimeOfDay {
    /// 00:00.
    pub const MIDNIGHT: Self = Self(0);

    /// Which day `moment` belongs to, counted from the epoch, when days begin at this time.
    #[must_use]
    pub fn day_of(self, moment: Timestamp, offset: UtcOffset) -> i64 {
        (offset.local(moment) - i64::from(self.0) * MINUTE).div_euclid(DAY)
    }

    /// When such a day begins.
    #[must_use]
    pub fn begin_of(self, day: i64, offset: UtcOffset) -> Timestamp {
        let local = day.saturating_mul(DAY) + i64::from(self.0) * MINUTE;
        Timestamp::from_millis(local - i64::from(offset.0) * MINUTE)
    }
}

impl Hours {
    /// Whether `moment` lies within them.
    #[must_use]
    pub fn contain(self, moment: Timestamp, offset: UtcOffset) -> bool {
        let minute = offset.local(moment).rem_euclid(DAY) / MINUTE;
        let (from, to) = (i64::from(self.from.0), i64::from(self.to.0));
        if from <= to { (from..to).contains(&minute) } else { minute >= from || minute < to }
    }
}

impl UtcOffset {
    /// The moment at which clocks in UTC show what clocks there show at `moment`.
    #[must_use]
    pub fn shown(self, moment: Timestamp) -> Timestamp {
        Timestamp::from_millis(self.local(moment))
    }

    fn local(self, moment: Timestamp) -> i64 {
        moment.as_millis().saturating_add(i64::from(self.0) * MINUTE)
    }
}

impl FromStr for TimeOfDay {
    type Err = InvalidHours;

    fn from_str(text: &str) -> Result<Self, InvalidHours> {
        minutes(text).filter(|minutes| *minutes < 24 * 60).map(Self).ok_or(InvalidHours("a time like \"08:30\""))
    }
}

impl FromStr for Hours {
    type Err = InvalidHours;

    fn from_str(text: &str) -> Result<Self, InvalidHours> {
        let span =
            text.split_once('-').and_then(|(from, to)| Some((from.trim().parse().ok()?, to.trim().parse().ok()?)));
        let (from, to): (TimeOfDay, TimeOfDay) = span.ok_or(InvalidHours("hours like \"22:00-07:00\""))?;
        Ok(Self { from, to })
    }
}

impl FromStr for UtcOffset {
    type Err = InvalidHours;

    fn from_str(text: &str) -> Result<Self, InvalidHours> {
        let (sign, rest) = match text.as_bytes().first() {
            Some(b'+') => (1, &text[1..]),
            Some(b'-') => (-1, &text[1..]),
            _ => return Err(InvalidHours("an offset from UTC like \"+02:00\"")),
        };
        let offset =
            minutes(rest).filter(|minutes| *minutes <= 14 * 60).and_then(|minutes| i16::try_from(minutes).ok());
        offset.map(|minutes| Self(sign * minutes)).ok_or(InvalidHours("an offset from UTC like \"+02:00\""))
    }
}

/// `HH:MM` in minutes.
fn minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |digits: &str| -> Option<u16> {
        let plain = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse().ok()).flatten()
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (minutes < 60).then_some(hours * 60 + minutes)
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.from, self.to)
    }
}

impl fmt::Display for UtcOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { '-' } else { '+' };
        write!(f, "{sign}{:02}:{:02}", self.0.unsigned_abs() / 60, self.0.unsigned_abs() % 60)
    }
}

/// As text in files and variables.
macro_rules! as_text {
    ($($name:ty),*) => {$(
        impl TryFrom<String> for $name {
            type Error = InvalidHours;

            fn try_from(text: String) -> Result<Self, InvalidHours> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    )*};
}

as_text!(TimeOfDay, Hours, UtcOffset);

/// A setting that may be left empty.
pub(super) mod or_empty {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(in crate::config) fn serialize<T: Display, S: Serializer>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.collect_str(value),
            None => serializer.serialize_str(""),
        }
    }

    pub(in crate::config) fn deserialize<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(de::Error::custom) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-31 at this minute of the day, UTC.
    fn at(hour: i64, minute: i64) -> Timestamp {
        Timestamp::from_millis(1_769_817_600_000 + (hour * 60 + minute) * MINUTE)
    }

    fn offset(text: &str) -> UtcOffset {
        text.parse().unwrap()
    }

    #[test]
    fn hours_may_pass_midnight() {
        let night: Hours = "22:00-07:00".parse().unwrap();
        let noon: Hours = "11:30-13:00".parse().unwrap();
        for (moment, at_night, at_noon) in [
            (at(22, 0), true, false),
            (at(6, 59), true, false),
            (at(7, 0), false, false),
            (at(11, 30), false, true),
            (at(13, 0), false, false),
        ] {
            assert_eq!(night.contain(moment, UtcOffset::default()), at_night);
            assert_eq!(noon.contain(moment, UtcOffset::default()), at_noon);
        }
        assert!(night.contain(at(20, 0), offset("+02:00")));
        assert!(!night.contain(at(22, 0), offset("-05:30")));
    }

    #[test]
    fn a_day_begins_at_its_time_everywhere() {
        let morning: TimeOfDay = "08:00".parse().unwrap();
        for offset in ["+00:00", "+05:30", "-11:00"].map(offset) {
            let day = morning.day_of(at(12, 0), offset);
            let begin = morning.begin_of(day, offset);
            assert_eq!(morning.day_of(begin, offset), day);
            assert_eq!(morning.day_of(Timestamp::from_millis(begin.as_millis() - 1), offset), day - 1);
        }
        assert_eq!(morning.begin_of(morning.day_of(at(12, 0), offset("+02:00")), offset("+02:00")), at(6, 0));
    }

    #[test]
    fn what_is_written_reads_back_and_nothing_else_does() {
        for text in ["00:00", "23:59"] {
            assert_eq!(text.parse::<TimeOfDay>().unwrap().to_string(), text);
        }
        assert_eq!("22:00 - 07:30".parse::<Hours>().unwrap().to_string(), "22:00-07:30");
        for text in ["+00:00", "-09:30", "+14:00"] {
            assert_eq!(offset(text).to_string(), text);
        }
        assert!(
            ["24:00", "8:00", "08:60", "0800", "+8:00", "é8:00"].iter().all(|text| text.parse::<TimeOfDay>().is_err())
        );
        assert!(["22:00", "22-07", "a-b"].iter().all(|text| text.parse::<Hours>().is_err()));
        assert!(["02:00", "+15:00", "+2", "é"].iter().all(|text| text.parse::<UtcOffset>().is_err()));
    }
}

//! Where a page of history ended. Opaque to clients, and stable while newer jobs arrive.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemas::id::JobId;
use schemas::timestamp::Timestamp;

/// The last job of a page: the next page begins behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// When that job was accepted.
    pub created_at: Timestamp,
    /// Its id, which orders jobs of one millisecond.
    pub id: JobId,
}

/// The text is no cursor of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a cursor that this API gave: pass next_cursor of the page before, or nothing to begin with the newest job"
)]
pub struct InvalidCursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(format!("{}.{}", self.created_at.as_millis(), self.id)))
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidCursor)?;
        let (millis, id) = str::from_utf8(&bytes).ok().and_then(|text| text.split_once('.')).ok_or(InvalidCursor)?;
        let created_at = millis.parse().map(Timestamp::from_millis).map_err(|_| InvalidCursor)?;
        let cursor = Self { created_at, id: id.parse().map_err(|_| InvalidCursor)? };
        // One job has one cursor: other spellings of the same place are none.
        if cursor.to_string() == text { Ok(cursor) } else { Err(InvalidCursor) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn leads_back_to_its_place(millis: i64, time in 0_i64..1 << 47, random: u128) {
            let id = JobId::new(Timestamp::from_millis(time), random);
            let cursor = Cursor { created_at: Timestamp::from_millis(millis), id };
            prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }

        #[test]
        fn any_text_is_a_cursor_or_an_error(text: String) {
            if let Ok(cursor) = text.parse::<Cursor>() {
                prop_assert_eq!(cursor.to_string(), text);
            }
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        let id = "00000000000000000000000001";
        for text in [format!("+7.{id}"), format!("07.{id}"), format!("7.job_{id}"), format!("7.{id}.")] {
            assert_eq!(URL_SAFE_NO_PAD.encode(&text).parse::<Cursor>(), Err(InvalidCursor), "{text}");
        }
    }
}

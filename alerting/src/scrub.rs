//! Makes an event fit to be kept and shown: without secrets, and of bounded size, so that what is kept of an alert fits
//! into a message of the broker. Pure.

use std::collections::BTreeMap;

use runtime::telemetry::Scrubber;
use schemas::alert::AlertEvent;

/// Most bytes of a summary: ten thousand characters of any script. Sixteen of them are kept of one alert.
const SUMMARY: usize = 40_000;
/// Most labels of an event.
const LABELS: usize = 64;
/// Most bytes of a label's name, and of its value.
const LABEL: usize = 1000;
/// Most bytes of the name of who saw it.
const SOURCE: usize = 200;

/// The event without secrets and bounded.
pub(crate) fn clean(scrubber: &Scrubber, event: AlertEvent) -> AlertEvent {
    let short = |text: &str, most: usize| shortened(&scrubber.clean(text), most);
    let labels: BTreeMap<String, String> =
        event.labels.iter().take(LABELS).map(|(name, value)| (short(name, LABEL), short(value, LABEL))).collect();
    AlertEvent { summary: short(&event.summary, SUMMARY), source: short(&event.source, SOURCE), labels, ..event }
}

/// At most so many bytes, cut between characters.
fn shortened(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let room = most.saturating_sub('…'.len_utf8());
    let end = (0..=room).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use schemas::alert::AlertKind;
    use secrecy::SecretString;

    use super::*;
    use crate::fixture::firing;

    fn scrubber() -> Scrubber {
        Scrubber::new(&[SecretString::from("hunter2hunter2")]).unwrap()
    }

    #[test]
    fn no_secret_is_kept() {
        let mut event = firing(AlertKind::ProviderAuth, "sk-proj-abcdefgh1234");
        event.summary = "refused hunter2hunter2 and 123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw".to_owned();
        let event = clean(&scrubber(), event);
        assert_eq!((event.summary.as_str(), event.labels["provider"].as_str()), ("refused *** and ***", "***"));
    }

    #[test]
    fn what_needs_no_cleaning_stays_as_it_is() {
        let event = firing(AlertKind::Disk, "openai");
        assert_eq!(clean(&scrubber(), event.clone()), event);
    }

    proptest! {
        #[test]
        fn every_event_is_bounded(summary in "\\PC{0,60}", times in 0_usize..2000, labels in 0_usize..200) {
            let mut event = firing(AlertKind::Disk, "x");
            event.summary = summary.repeat(times);
            event.labels = (0..labels).map(|number| (number.to_string(), summary.repeat(40))).collect();
            let event = clean(&scrubber(), event);
            prop_assert!(event.summary.len() <= SUMMARY && event.labels.len() <= LABELS);
            prop_assert!(event.labels.values().all(|value| value.len() <= LABEL));
        }
    }
}

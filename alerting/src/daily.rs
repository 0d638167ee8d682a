//! The daily digest: what happened in the days that are over and not told yet. What is counted lies in each incident, by
//! day, and so is kept with it; a day is told once it is over, so that nothing can be counted into it any more. Pure.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use runtime::config::TelegramConfig;
use runtime::config::hours::{TimeOfDay, UtcOffset};
use schemas::timestamp::Timestamp;

use crate::incidents::{Incident, Tally};
use crate::pages::list;
use crate::rich::{LIMIT, Rich};
use crate::text::{local, title};

/// How many of the noisiest are named.
const NOISIEST: usize = 8;

/// When a day begins, and whether days are told at all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Calendar {
    begin: Option<TimeOfDay>,
    offset: UtcOffset,
}

impl Calendar {
    /// As configured.
    pub(crate) const fn new(config: &TelegramConfig) -> Self {
        Self { begin: config.daily_digest, offset: config.utc_offset }
    }

    /// The day of `now`; none when days are not told.
    pub(crate) fn day(self, now: Timestamp) -> Option<i64> {
        self.begin.map(|begin| begin.day_of(now, self.offset))
    }

    /// Whether days are told to nobody.
    pub(crate) const fn is_off(self) -> bool {
        self.begin.is_none()
    }

    /// The days that are over, when those up to `told` have been told.
    pub(crate) fn due(self, told: i64, now: Timestamp) -> Option<RangeInclusive<i64>> {
        let last = self.day(now)? - 1;
        (last > told).then_some(told + 1..=last)
    }

    /// What to tell of `days`.
    pub(crate) fn digest(self, days: &RangeInclusive<i64>, incidents: &BTreeMap<String, Incident>) -> Rich {
        let tallies = incidents.values().map(|incident| {
            let mut tally = Tally::default();
            // Older days than asked for were not told either, whatever the clock did meanwhile.
            incident.days.range(..=days.end()).for_each(|(_, day)| tally += *day);
            (incident, tally)
        });
        let mut noisiest: Vec<(&Incident, Tally)> = tallies.filter(|(_, tally)| *tally != Tally::default()).collect();
        noisiest.sort_by_key(|(incident, tally)| (Reverse(tally.events), title(incident)));
        let firing = incidents.values().filter(|incident| incident.is_firing()).count();
        self.write(days, &noisiest, firing)
    }

    fn write(self, days: &RangeInclusive<i64>, noisiest: &[(&Incident, Tally)], firing: usize) -> Rich {
        let mut total = Tally::default();
        noisiest.iter().for_each(|(_, tally)| total += *tally);
        let mut rich = Rich::new(LIMIT);
        let begin = self.begin.unwrap_or(TimeOfDay::MIDNIGHT);
        let moment = |day| local(begin.begin_of(day, self.offset), self.offset);
        rich.bold("Daily digest").text(&format!(": {} to {}", moment(*days.start()), moment(days.end() + 1)));
        let Tally { events, critical, warning, info, resolved } = total;
        let opened = total.opened();
        rich.text(&format!("\nOpened: {opened} ({critical} critical, {warning} warning, {info} info)"));
        rich.text(&format!("\nResolved: {resolved}\nOpen now: {firing}\nEvents: {events}"));
        let (named, others) = noisiest.split_at(noisiest.len().min(NOISIEST));
        if !named.is_empty() {
            rich.text("\n").bold("Noisiest");
            list(
                &mut rich,
                named.iter().map(|(incident, tally)| format!("{}: {}", title(incident), plural(tally.events))),
            );
        }
        if !others.is_empty() {
            let rest = others.iter().map(|(_, tally)| tally.events).sum();
            rich.text(&format!("\n{} others: {}", others.len(), plural(rest)));
        }
        rich
    }
}

fn plural(events: u64) -> String {
    if events == 1 { "1 event".to_owned() } else { format!("{events} events") }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use insta::assert_snapshot;
    use proptest::prelude::*;
    use schemas::alert::AlertKind;

    use super::*;
    use crate::fixture::{self, NOON};
    use crate::incidents::count;

    const DAY: Duration = Duration::from_secs(86_400);

    fn calendar() -> Calendar {
        let mut config = fixture::telegram();
        config.daily_digest = Some("08:00".parse().unwrap());
        config.utc_offset = "+02:00".parse().unwrap();
        Calendar::new(&config)
    }

    fn incidents(tallies: impl IntoIterator<Item = Tally>) -> BTreeMap<String, Incident> {
        let today = calendar().day(NOON).unwrap();
        let incident = |(number, tally): (usize, Tally)| {
            let name = format!("p{number}&");
            let mut incident = Incident::new(&fixture::firing(AlertKind::BreakerOpen, &name));
            count(&mut incident.days, today - 1, tally);
            (name, incident)
        };
        tallies.into_iter().enumerate().map(incident).collect()
    }

    #[test]
    fn a_day_is_told_once_it_is_over() {
        let (calendar, today) = (calendar(), calendar().day(NOON).unwrap());
        assert_eq!(calendar.due(today - 1, NOON), None);
        assert_eq!(calendar.due(today - 1, NOON.after(DAY)), Some(today..=today));
        assert_eq!(calendar.due(today - 3, NOON), Some(today - 2..=today - 1));
        assert_eq!(calendar.due(today + 5, NOON), None, "a clock that went back tells nothing twice");
        assert_eq!(Calendar::new(&fixture::telegram()).day(NOON), None);
    }

    #[test]
    fn a_day_in_words() {
        let today = calendar().day(NOON).unwrap();
        let tallies = [
            Tally { events: 800, warning: 2, resolved: 1, ..Tally::default() },
            Tally { events: 1, critical: 1, resolved: 2, ..Tally::default() },
        ];
        assert_snapshot!(calendar().digest(&(today - 1..=today - 1), &incidents(tallies)).html(), @r"
        <b>Daily digest</b>: 2026-01-30 08:00 to 2026-01-31 08:00
        Opened: 3 (1 critical, 2 warning, 0 info)
        Resolved: 3
        Open now: 0
        Events: 801
        <b>Noisiest</b>
        breaker_open provider=p0&amp;: 800 events
        breaker_open provider=p1&amp;: 1 event
        ");
        assert_snapshot!(calendar().digest(&(today - 1..=today - 1), &incidents([])).plain(), @r"
        Daily digest: 2026-01-30 08:00 to 2026-01-31 08:00
        Opened: 0 (0 critical, 0 warning, 0 info)
        Resolved: 0
        Open now: 0
        Events: 0
        ");
    }

    /// The numbers in front of `event`.
    fn told(text: &str) -> u64 {
        let lines = text.lines().skip_while(|line| *line != "Noisiest").skip(1);
        let numbers = lines.filter_map(|line| line.rsplit(": ").next()?.split(' ').next()?.parse::<u64>().ok());
        numbers.sum()
    }

    proptest! {
        #[test]
        fn counts_add_up(events in prop::collection::vec(0_u64..1000, 0..200)) {
            let today = calendar().day(NOON).unwrap();
            let tallies = events.iter().map(|events| Tally { events: *events, info: 1, ..Tally::default() });
            let text = calendar().digest(&(today - 1..=today - 1), &incidents(tallies));
            prop_assert!(!text.is_cut());
            let sum = events.iter().sum::<u64>();
            let total = format!("\nEvents: {sum}");
            prop_assert!(text.plain().contains(&total));
            prop_assert_eq!(told(text.plain()), sum);
        }
    }
}

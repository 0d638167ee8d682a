//! Recorded statistics, and what the rules would have raised over them. A line of a recording is one frame as JSON.

use std::collections::BTreeMap;
use std::sync::Arc;

use broker::{Broker, BrokerError, StatsFeed};
use runtime::clock;
use runtime::config::{AlertsConfig, Config};
use schemas::alert::{AlertEvent, AlertState, Severity};
use schemas::stats::ProcessStats;
use schemas::subject;
use schemas::timestamp::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::{Interval, interval};

use super::cost::Costs;
use super::engine::Engine;
use super::facts::Facts;
use super::ledger::{Ledger, LedgerError};
use super::look::Lookout;
use super::reading::Concern;

/// What can be recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Seen {
    /// What days had cost when the recording began.
    Costs(Costs),
    /// What a process said of itself.
    Heard(Box<ProcessStats>),
    /// What was looked at.
    Looked(Box<Facts>),
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Frame {
    /// When it was seen.
    at: Timestamp,
    seen: Seen,
}

/// Why a recording cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A line is no frame.
    #[error("line {line} is not what `portbroker alerts record` writes")]
    Line {
        /// From 1.
        line: u64,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// Time goes back.
    #[error("line {line} is older than the one before it")]
    Order {
        /// From 1.
        line: u64,
    },
}

/// Why nothing can be recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The broker cannot be asked.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The connection is closed.
    #[error("the connection to the broker is closed")]
    Closed,
    /// What days cost cannot be read.
    #[error("the costs of days cannot be read")]
    Costs(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A frame cannot be written.
    #[error("a frame cannot be written")]
    Frame(#[from] serde_json::Error),
}

/// Plays a recording, as a leader that raised all of it.
pub struct Player {
    config: Arc<AlertsConfig>,
    engine: Option<Engine>,
    /// What fires, and how bad it was told to be.
    firing: BTreeMap<Concern, Severity>,
    last: Timestamp,
    lines: u64,
}

impl Player {
    /// With these rules.
    #[must_use]
    pub fn new(config: AlertsConfig) -> Self {
        Self { config: Arc::new(config), engine: None, firing: BTreeMap::new(), last: Timestamp::default(), lines: 0 }
    }

    /// Lines played so far.
    #[must_use]
    pub const fn lines(&self) -> u64 {
        self.lines
    }

    /// Alerts that still fire, by kind and labels.
    #[must_use]
    pub fn firing(&self) -> usize {
        self.firing.len()
    }

    /// Plays one line, and tells the events that the rules raise at it, but for those that say again what was said. Empty
    /// lines are passed over.
    ///
    /// # Errors
    /// [`ReplayError`] when it is no line of a recording.
    pub fn play(&mut self, line: &str) -> Result<Vec<AlertEvent>, ReplayError> {
        self.lines += 1;
        if line.trim().is_empty() {
            return Ok(Vec::new());
        }
        let Frame { at, seen } =
            serde_json::from_str(line).map_err(|source| ReplayError::Line { line: self.lines, source })?;
        if at < self.last {
            return Err(ReplayError::Order { line: self.lines });
        }
        self.last = at;
        let engine = self.engine.get_or_insert_with(|| Engine::new(Arc::clone(&self.config), at));
        match seen {
            Seen::Costs(costs) => engine.set_costs(Some(costs)),
            Seen::Heard(stats) => {
                engine.hear(*stats, at);
            }
            Seen::Looked(facts) => return Ok(judge(engine, &mut self.firing, &facts, at)),
        }
        Ok(Vec::new())
    }
}

fn judge(
    engine: &mut Engine,
    firing: &mut BTreeMap<Concern, Severity>,
    facts: &Facts,
    at: Timestamp,
) -> Vec<AlertEvent> {
    let known: Vec<Concern> = firing.keys().cloned().collect();
    let judged = engine.judge(facts, &known, at);
    let mut events = Vec::new();
    for (index, state) in judged.news {
        let Some(reading) = judged.readings.get(index) else { continue };
        engine.told(reading, state, at);
        let concern = (reading.kind, reading.labels.clone());
        let before = match state {
            AlertState::Firing => firing.insert(concern, reading.severity),
            AlertState::Resolved => firing.remove(&concern),
        };
        if state == AlertState::Resolved || before < Some(reading.severity) {
            events.push(reading.event(state, "replay", at));
        }
    }
    events
}

/// Records what the rules of a leader would see.
pub struct Recorder {
    broker: Broker,
    lookout: Lookout,
    stats: StatsFeed,
    tick: Interval,
    begun: bool,
}

impl Recorder {
    /// Listens from now on.
    ///
    /// # Errors
    /// [`RecordError`] when the broker cannot be asked.
    pub async fn new(broker: Broker, config: &Config) -> Result<Self, RecordError> {
        let stats = broker.stats().await?;
        let lookout = Lookout::new(broker.clone(), config, Vec::new());
        Ok(Self { broker, lookout, stats, tick: interval(config.alerts.interval), begun: false })
    }

    /// The next line, without its end; waits for it.
    ///
    /// # Errors
    /// [`RecordError`] when nothing can be recorded any more.
    pub async fn next(&mut self) -> Result<String, RecordError> {
        let seen = if self.begun {
            tokio::select! {
                heard = self.stats.next() => Seen::Heard(Box::new(heard.ok_or(RecordError::Closed)?)),
                _ = self.tick.tick() => Seen::Looked(Box::new(self.lookout.look().await)),
            }
        } else {
            self.begun = true;
            let bucket = self.broker.kv(subject::INCIDENTS).await?;
            let (_, costs) =
                Ledger::load(bucket).await.map_err(|error: LedgerError| RecordError::Costs(error.into()))?;
            Seen::Costs(costs)
        };
        Ok(serde_json::to_string(&Frame { at: clock::now(), seen })?)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use runtime::config::Source;
    use schemas::alert::AlertKind;
    use schemas::job::Lane;
    use schemas::stats::{LaneDepth, QueueDepth};

    use super::*;
    use crate::fixture::NOON;

    fn rules() -> AlertsConfig {
        Source::new(None, BTreeMap::new()).load().unwrap().alerts
    }

    fn line(second: u64, seen: Seen) -> String {
        serde_json::to_string(&Frame { at: NOON.after(Duration::from_secs(second)), seen }).unwrap()
    }

    fn heard(role: &str) -> Seen {
        let (role, instance) = (role.to_owned(), "x-1".to_owned());
        Seen::Heard(Box::new(ProcessStats { role, instance, cost_micros: 5, ..ProcessStats::default() }))
    }

    fn looked(pending: u64) -> Seen {
        let lane = LaneDepth { pending, ..LaneDepth::default() };
        let depth = Some(QueueDepth { lanes: BTreeMap::from([(Lane::Low, lane)]) });
        Seen::Looked(Box::new(Facts {
            depth,
            streams: Some(Vec::new()),
            breakers: Some(Vec::new()),
            ..Facts::default()
        }))
    }

    #[test]
    fn a_recording_tells_what_would_have_fired_and_when() {
        let mut player = Player::new(rules());
        let mut told = Vec::new();
        let mut lines = vec![line(0, Seen::Costs(Costs::default()))];
        for second in (0..180).step_by(5) {
            lines.push(line(second, heard("alerting")));
            lines.push(line(second, heard("worker")));
            lines.push(line(second, looked(if (20..100).contains(&second) { 501 } else { 0 })));
        }
        lines.push(String::new());
        for line in &lines {
            told.extend(player.play(line).unwrap());
        }
        let told: Vec<_> = told.iter().map(|event| (event.at.since(NOON).as_secs(), event.kind, event.state)).collect();
        let kind = AlertKind::QueueBacklog;
        assert_eq!(told, [(35, kind, AlertState::Firing), (115, kind, AlertState::Resolved)]);
        assert_eq!((player.lines(), player.firing()), (lines.len() as u64, 0));
    }

    #[test]
    fn what_is_no_recording_is_told_with_its_line() {
        let mut player = Player::new(rules());
        player.play(&line(1, looked(0))).unwrap();
        assert!(matches!(player.play("{}"), Err(ReplayError::Line { line: 2, .. })));
        assert!(matches!(player.play(&line(0, looked(0))), Err(ReplayError::Order { line: 3 })));
    }

    #[test]
    fn a_line_reads_back_as_it_was() {
        let mut costs = Costs::default();
        let Seen::Heard(stats) = heard("worker") else { unreachable!() };
        costs.hear(&stats, NOON);
        for seen in [Seen::Costs(costs), heard("worker"), looked(7)] {
            let text = line(3, seen.clone());
            assert_eq!(serde_json::from_str::<Frame>(&text).unwrap().seen, seen, "{text}");
        }
    }
}

//! What the broker holds of one session, and what was seen of it on the way.

use schemas::id::JobId;
use schemas::timestamp::Timestamp;

/// One session.
#[derive(Debug, Clone, Default)]
pub(crate) struct Session {
    /// Its history after everything had come to rest.
    pub(crate) turns: Vec<Turn>,
    /// How many turns it says there ever were.
    pub(crate) appended: u64,
    /// Who stands in its line after everything had come to rest.
    pub(crate) line: Vec<JobId>,
    /// The versions of its line that were seen while they were written, oldest first.
    pub(crate) lines: Vec<Jobs>,
    /// The turns of each version of its history, likewise.
    pub(crate) histories: Vec<Jobs>,
}

/// One turn of a history.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Turn {
    /// The job that it was.
    pub(crate) id: JobId,
    /// Its number.
    pub(crate) number: Option<u64>,
    /// The text of each of its messages.
    pub(crate) said: Vec<String>,
}

/// Some jobs in order, as one version of a value had them.
#[derive(Debug, Clone)]
pub(crate) struct Jobs {
    /// When it was stored, by the server.
    pub(crate) written: Timestamp,
    /// They.
    pub(crate) jobs: Vec<JobId>,
}

impl Session {
    /// How `job` came forward in the line and into the history.
    pub(crate) fn story(&self, job: JobId) -> Vec<(Timestamp, String)> {
        let moves = |what: &'static str, versions: &[Jobs]| {
            let mut last = None;
            let mut moved = Vec::new();
            for version in versions {
                let place = version.jobs.iter().position(|one| *one == job);
                if place != last {
                    let told =
                        place.map_or("gone".to_owned(), |place| format!("{} of {}", place + 1, version.jobs.len()));
                    moved.push((version.written, format!("{what} {told}")));
                }
                last = place;
            }
            moved
        };
        [moves("line   ", &self.lines), moves("session", &self.histories)].concat()
    }
}

//! All that is known of one job, gathered from every witness.

use std::collections::BTreeMap;

use schemas::id::JobId;
use schemas::state::{Attempt, Nonce};
use schemas::timestamp::Timestamp;

use crate::history::{Call, Client, Fault, History, Record, Version};

/// One job's papers.
#[derive(Debug, Default)]
pub(crate) struct Dossier<'a> {
    /// Who was given its id.
    pub(crate) clients: Vec<&'a Client>,
    /// Its last record.
    pub(crate) record: Option<&'a Record>,
    /// The versions of it that passed by.
    pub(crate) versions: &'a [Version],
    /// Its calls, oldest first.
    pub(crate) calls: Vec<&'a Call>,
}

impl<'a> Dossier<'a> {
    /// The papers of every job that any witness knows.
    pub(crate) fn all(history: &'a History) -> BTreeMap<JobId, Self> {
        let mut all: BTreeMap<JobId, Self> = BTreeMap::new();
        for client in &history.clients {
            for id in client.ids() {
                all.entry(id).or_default().clients.push(client);
            }
        }
        for (id, record) in &history.records {
            all.entry(*id).or_default().record = Some(record);
        }
        for (id, versions) in &history.versions {
            all.entry(*id).or_default().versions = versions;
        }
        for call in &history.calls {
            if let Some(id) = call.id {
                all.entry(id).or_default().calls.push(call);
            }
        }
        for dossier in all.values_mut() {
            dossier.calls.sort_by_key(|call| call.started);
        }
        all
    }

    /// The ledger as it stands in the end.
    pub(crate) fn attempts(&self) -> &'a [Attempt] {
        self.record.map_or(&[], |record| &record.attempts)
    }

    /// The worker that held the job under `nonce`, where a witness saw it.
    pub(crate) fn holder(&self, nonce: &Nonce) -> Option<&'a str> {
        let seen = self.versions.iter().find(|version| version.nonce == *nonce).map(|version| version.holder.as_str());
        seen.or_else(|| self.record.filter(|record| record.nonce == *nonce).map(|record| record.holder.as_str()))
    }

    /// When the broker first had this attempt, where a witness saw it.
    pub(crate) fn recorded(&self, attempt: &Attempt) -> Option<Timestamp> {
        let has = |version: &&Version| version.attempts.contains(&(attempt.number, attempt.nonce.clone()));
        self.versions.iter().find(has).map(|version| version.written)
    }

    /// The attempt that each call belongs to: the newest one of its worker that was on record when it came.
    pub(crate) fn attempt_of(&self, call: &Call) -> Option<&'a Attempt> {
        let of_holder = |attempt: &&Attempt| self.holder(&attempt.nonce).is_none_or(|holder| holder == call.holder);
        let begun = |attempt: &&Attempt| self.begun_by(attempt, call.started);
        self.attempts().iter().filter(of_holder).rfind(begun)
    }

    /// Whether the attempt was on record at `moment`. The server's own time is exact, the worker's estimate of it is not.
    fn begun_by(&self, attempt: &Attempt, moment: Timestamp) -> bool {
        match self.recorded(attempt) {
            Some(recorded) => recorded <= moment,
            None => attempt.started_at.before(super::ESTIMATE) <= moment,
        }
    }
}

/// The first fault that could make `holder` lose a lease within these moments. An unseen holder could be anyone.
pub(crate) fn disturbance<'a>(
    faults: &'a [Fault],
    holder: Option<&str>,
    from: Timestamp,
    to: Timestamp,
) -> Option<&'a Fault> {
    let disturbs = |fault: &Fault| holder.map_or(fault.peer.is_none(), |holder| fault.disturbs(holder));
    faults.iter().find(|fault| disturbs(fault) && fault.overlaps(from, to))
}

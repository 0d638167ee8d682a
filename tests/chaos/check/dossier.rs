//! All that is known of one job, gathered from every witness.

use std::collections::{BTreeMap, HashMap};

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
    /// Where each of them belongs.
    pub(crate) matches: Vec<Match<'a>>,
    /// When the broker first had each attempt, where that is certain.
    recorded: HashMap<(u32, &'a Nonce), Timestamp>,
    /// What was last heard of each attempt's holder.
    signs: HashMap<(u32, &'a Nonce), Sign>,
}

/// The last that was heard of an attempt's holder: its last write of the record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sign {
    /// When it was stored.
    pub(crate) at: Timestamp,
    /// When somebody else's write followed.
    pub(crate) taken: Option<Timestamp>,
    /// No later one of it can have been missed.
    pub(crate) surely_last: bool,
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
        let sight = Sight::of(history);
        for dossier in all.values_mut() {
            dossier.calls.sort_by_key(|call| call.started);
            dossier.recorded = dossier.record_times(&sight);
            dossier.signs = dossier.last_signs(&sight);
            dossier.matches = dossier.matched();
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

    /// When the broker first had this attempt, where that is certain.
    pub(crate) fn recorded(&self, attempt: &Attempt) -> Option<Timestamp> {
        self.recorded.get(&(attempt.number, &attempt.nonce)).copied()
    }

    /// An attempt was recorded by the first version that has it, unless an earlier one may have been missed.
    fn record_times(&self, sight: &Sight) -> HashMap<(u32, &'a Nonce), Timestamp> {
        let first = |attempt: &Attempt| {
            let name = (attempt.number, attempt.nonce.clone());
            let version = self.versions.iter().find(|version| version.attempts.contains(&name))?;
            let whole = sight.unbroken(attempt.started_at.before(super::ESTIMATE), version.seq);
            whole.then_some(version.written)
        };
        self.attempts().iter().filter_map(|one| Some(((one.number, &one.nonce), first(one)?))).collect()
    }

    /// What was last heard of this attempt's holder, if a witness heard of it at all.
    pub(crate) fn last_sign(&self, attempt: &Attempt) -> Option<Sign> {
        self.signs.get(&(attempt.number, &attempt.nonce)).copied()
    }

    fn last_signs(&self, sight: &Sight) -> HashMap<(u32, &'a Nonce), Sign> {
        let sign = |attempt: &Attempt| {
            let name = (attempt.number, attempt.nonce.clone());
            let is_its = |version: &Version| version.nonce == attempt.nonce && version.attempts.contains(&name);
            let last = self.versions.iter().rposition(is_its)?;
            let (at, next) = (self.versions[last].written, self.versions.get(last + 1));
            let surely_last = next.is_some_and(|next| sight.unbroken(at, next.seq));
            Some(Sign { at, taken: next.map(|next| next.written), surely_last })
        };
        self.attempts().iter().filter_map(|one| Some(((one.number, &one.nonce), sign(one)?))).collect()
    }

    /// The worker that made this attempt: as a witness saw it written, or by the link on which its call came.
    pub(crate) fn maker(&self, attempt: &Attempt) -> Option<&'a str> {
        self.holder(&attempt.nonce).or_else(|| self.call_of(attempt).map(|call| call.holder.as_str()))
    }

    /// The call that this attempt made, if one reached the provider.
    pub(crate) fn call_of(&self, attempt: &Attempt) -> Option<&'a Call> {
        let is_it = |one: &&Match<'_>| matches!(one, Match::Attempt(of) if std::ptr::eq(*of, attempt));
        self.matches.iter().position(|one| is_it(&one)).map(|index| self.calls[index])
    }

    /// Each call belongs to the newest attempt of its worker that was on record when it came, and to no other's.
    fn matched(&self) -> Vec<Match<'a>> {
        let mut taken: Vec<&Attempt> = Vec::new();
        let mut matches = Vec::new();
        for call in &self.calls {
            let found = self.best(call, &taken);
            if let Match::Attempt(attempt) = found {
                taken.push(attempt);
            }
            matches.push(found);
        }
        matches
    }

    fn best(&self, call: &Call, taken: &[&Attempt]) -> Match<'a> {
        let of_holder = |attempt: &&Attempt| self.holder(&attempt.nonce).is_none_or(|holder| holder == call.holder);
        let mine: Vec<_> = self.attempts().iter().filter(of_holder).collect();
        let free = |attempt: &&&Attempt| !taken.iter().any(|one| std::ptr::eq(*one, **attempt));
        let surely = |attempt: &&&Attempt| self.recorded(attempt).unwrap_or(attempt.started_at) <= call.started;
        // The server's own time is exact, the worker's estimate of it is not.
        let likely = |attempt: &&&Attempt| {
            self.recorded(attempt).is_none() && attempt.started_at.before(super::ESTIMATE) <= call.started
        };
        let attempt = mine.iter().filter(free).rfind(surely).or_else(|| mine.iter().filter(free).find(likely));
        match (attempt, mine.iter().rfind(surely)) {
            (Some(attempt), _) => Match::Attempt(attempt),
            (None, Some(attempt)) => Match::Taken(attempt),
            (None, None) => Match::Nothing,
        }
    }
}

/// Where a call belongs.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Match<'a> {
    /// To this attempt.
    Attempt(&'a Attempt),
    /// To this one, which had made a call already.
    Taken(&'a Attempt),
    /// Nowhere.
    Nothing,
}

/// Which of STATE's sequences were seen, and when each was stored. One that was written over while nobody could look is
/// missing.
struct Sight(Vec<(u64, Timestamp)>);

impl Sight {
    fn of(history: &History) -> Self {
        let mut seen: Vec<_> =
            history.versions.values().flatten().map(|version| (version.seq, version.written)).collect();
        seen.sort_unstable();
        Self(seen)
    }

    /// Whether everything stored from `moment` on up to the sequence `last` was seen.
    fn unbroken(&self, moment: Timestamp, last: u64) -> bool {
        let first = self.0.partition_point(|(_, written)| *written < moment);
        let end = self.0.partition_point(|(seq, _)| *seq <= last);
        // One more behind, so that a gap right before the first is seen too.
        let first = first.saturating_sub(1);
        self.0.get(first..end).and_then(|seen| Some(last - seen.first()?.0 + 1 == seen.len() as u64)).unwrap_or(false)
    }
}

/// The first fault that could make `holder` lose a lease within these moments. An unseen holder could be anyone.
pub(crate) fn disturbance<'a>(
    faults: &'a [Fault],
    holder: Option<&str>,
    from: Timestamp,
    to: Timestamp,
) -> Option<&'a Fault> {
    let disturbs = |fault: &Fault| holder.map_or(fault.disturbs_anyone(), |holder| fault.disturbs(holder));
    faults.iter().find(|fault| disturbs(fault) && fault.overlaps(from, to))
}

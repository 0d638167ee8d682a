//! Breaking the protocol on purpose, as a test of the checker: every worker's way to the broker changes what it says, so
//! that the very binary that is shipped behaves like one with the fault in its code.

mod line;
mod wire;

use std::collections::HashSet;
use std::sync::Arc;

use harness::proxy::{Tamper, Tampering};
use serde_json::{Value, json};

use crate::check::Rule;
use wire::{Frame, Frames};

const EXPECTED: &str = "Nats-Expected-Last-Subject-Sequence";
/// JetStream's codes for an expectation that failed.
const WRONG_SEQUENCE: [u64; 2] = [10_071, 10_164];

/// What is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, clap::ValueEnum)]
#[strum(serialize_all = "snake_case")]
#[clap(rename_all = "snake_case")]
pub(crate) enum Mutant {
    /// A message is acknowledged with its claim, not with its job's end: the workers' acks come early.
    AckBeforeResult,
    /// Records are written whatever stands there: the expected sequence is taken off each write.
    ClaimWithoutFence,
    /// The provider is called whoever holds the job: each refused claim is answered as won.
    CallWithoutLook,
    /// The last of a session's line has its turn first: each line is told the other way round.
    ClaimOutOfLine,
}

impl Mutant {
    /// The rules of which at least one must be seen broken. None of them is broken by anything milder.
    pub(crate) const fn breaks(self) -> &'static [Rule] {
        match self {
            // Nobody is given again what its holder dropped.
            Self::AckBeforeResult => &[Rule::Lost, Rule::Stuck, Rule::MessageLost],
            // A second claim starts a ledger of its own, over the first one's and over an end.
            Self::ClaimWithoutFence => &[Rule::LedgerShrank, Rule::EndReplaced],
            // The call of one whose claim was refused is in no record.
            Self::CallWithoutLook => &[Rule::WrongHolder, Rule::CallBeforeRecord, Rule::LedgerShrank],
            // Whoever joins is first, beside whoever runs.
            Self::ClaimOutOfLine => &[Rule::TurnsInterleaved, Rule::TurnOutOfOrder],
        }
    }

    /// Whether it works with Redis there, which warns workers of a job that was seen: they then read before they claim.
    pub(crate) fn allows_redis(self) -> bool {
        self != Self::CallWithoutLook
    }

    /// What it makes of each connection.
    pub(crate) fn tampering(self) -> Tampering {
        Arc::new(move || Box::new(Changed { mutant: self, ..Changed::default() }))
    }
}

/// One connection of a worker to the broker.
struct Changed {
    mutant: Mutant,
    there: Frames,
    back: Frames,
    /// Deliveries to be acknowledged.
    delivered: Vec<String>,
    /// Where the answers go that are to be changed.
    asked: HashSet<String>,
}

impl Default for Changed {
    fn default() -> Self {
        let mutant = Mutant::AckBeforeResult;
        let (there, back) = (Frames::default(), Frames::default());
        Self { mutant, there, back, delivered: Vec::new(), asked: HashSet::new() }
    }
}

impl Tamper for Changed {
    fn to_server(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.there.push(bytes);
        let mut changed = Vec::new();
        while let Some(mut frame) = self.there.next() {
            let writes = frame.is_publish() && frame.subject().starts_with("state.");
            if writes {
                self.written(&mut frame);
            } else if self.mutant == Mutant::ClaimOutOfLine && line::is_asked(&frame) {
                self.asked.extend(frame.reply().map(str::to_owned));
            }
            frame.write(&mut changed);
            for reply in self.delivered.drain(..).filter(|_| writes) {
                Frame::publish(&reply, b"+ACK").write(&mut changed);
            }
        }
        changed
    }

    fn to_client(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.back.push(bytes);
        let mut changed = Vec::new();
        while let Some(mut frame) = self.back.next() {
            if frame.is_message() {
                self.received(&mut frame);
            }
            frame.write(&mut changed);
        }
        changed
    }
}

impl Changed {
    /// A worker writes a record.
    fn written(&mut self, frame: &mut Frame) {
        match self.mutant {
            Mutant::AckBeforeResult | Mutant::ClaimOutOfLine => {}
            Mutant::ClaimWithoutFence => frame.remove_header(EXPECTED),
            Mutant::CallWithoutLook => {
                let claims = frame.header(EXPECTED).as_deref() == Some("0");
                if let Some(reply) = frame.reply().filter(|_| claims) {
                    self.asked.insert(reply.to_owned());
                }
            }
        }
    }

    /// A worker is told something.
    fn received(&mut self, frame: &mut Frame) {
        match self.mutant {
            Mutant::AckBeforeResult => {
                let reply = frame.reply().filter(|reply| reply.starts_with("$JS.ACK."));
                let is_job = frame.subject().starts_with("jobs.") || frame.subject().starts_with("due.");
                self.delivered.extend(reply.filter(|_| is_job).map(str::to_owned));
            }
            Mutant::ClaimWithoutFence => {}
            Mutant::CallWithoutLook => self.answered(frame, as_won),
            Mutant::ClaimOutOfLine => self.answered(frame, line::reversed),
        }
    }
    /// A worker is answered what it had asked: something else, if that can be made of it.
    fn answered(&mut self, frame: &mut Frame, other: fn(&[u8]) -> Option<Vec<u8>>) {
        if self.asked.remove(frame.subject())
            && let Some(payload) = other(frame.payload())
        {
            frame.set_payload(&payload);
        }
    }
}

/// What a refused claim would have been told, had it been stored as what stands there.
fn as_won(answer: &[u8]) -> Option<Vec<u8>> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let error = answer
        .get("error")
        .filter(|error| error["err_code"].as_u64().is_some_and(|code| WRONG_SEQUENCE.contains(&code)))?;
    let description = error["description"].as_str().unwrap_or_default();
    let stands: u64 = description.rsplit(' ').next().and_then(|word| word.parse().ok()).unwrap_or(1);
    Some(json!({"stream": schemas::subject::STATE, "seq": stands}).to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(mutant: Mutant) -> Box<dyn Tamper> {
        (mutant.tampering())()
    }

    fn text(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    const CLAIM: &[u8] =
        b"HPUB state.x _INBOX.1.a 52 57\r\nNATS/1.0\r\nNats-Expected-Last-Subject-Sequence: 0\r\n\r\nstate\r\n";

    #[test]
    fn a_delivery_is_acknowledged_with_its_claim() {
        let mut tamper = changed(Mutant::AckBeforeResult);
        let message = b"MSG jobs.high.t.x 3 $JS.ACK.J.w.1.2.3.4.5 3\r\njob\r\n";
        assert_eq!(tamper.to_client(message), message);
        assert_eq!(text(&tamper.to_server(CLAIM)), text(CLAIM) + "PUB $JS.ACK.J.w.1.2.3.4.5 4\r\n+ACK\r\n");
        assert_eq!(text(&tamper.to_server(CLAIM)), text(CLAIM));
    }

    #[test]
    fn a_write_loses_its_fence_and_nothing_else() {
        let mut tamper = changed(Mutant::ClaimWithoutFence);
        // In two pieces, as a network may bring it.
        let (first, second) = CLAIM.split_at(40);
        assert_eq!(tamper.to_server(first), b"");
        let plain = "HPUB state.x _INBOX.1.a 12 17\r\nNATS/1.0\r\n\r\nstate\r\n";
        assert_eq!(text(&tamper.to_server(second)), plain);
        let other = b"PING\r\nSUB done.* 1\r\nPUB done.x 2\r\nhi\r\n";
        assert_eq!(tamper.to_server(other), other);
    }

    #[test]
    fn a_refused_claim_looks_won() {
        let mut tamper = changed(Mutant::CallWithoutLook);
        let refused = r#"{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 17"}}"#;
        let answer = format!("MSG _INBOX.1.a 1 {}\r\n{refused}\r\n", refused.len());
        assert_eq!(text(&tamper.to_client(answer.as_bytes())), answer, "nobody asked");
        assert_eq!(tamper.to_server(CLAIM), CLAIM);
        let won = r#"{"stream":"STATE","seq":17}"#;
        let expected = format!("MSG _INBOX.1.a 1 {}\r\n{won}\r\n", won.len());
        assert_eq!(text(&tamper.to_client(answer.as_bytes())), expected);
    }
    #[test]
    fn a_line_is_told_the_other_way_round() {
        use base64::Engine;
        use base64::engine::general_purpose::STANDARD;
        let answer = |ids: [u128; 2]| {
            let waiting = ids.map(|id| schemas::id::JobId::new(schemas::timestamp::Timestamp::default(), id)).to_vec();
            let line = schemas::envelope::encode(&schemas::session::TurnQueue { waiting }).unwrap();
            let told = json!({"message": {"data": STANDARD.encode(line), "seq": 7}}).to_string();
            format!("MSG _INBOX.1.a 1 {}\r\n{told}\r\n", told.len())
        };
        let mut tamper = changed(Mutant::ClaimOutOfLine);
        let asked = r#"{"last_by_subj":"$KV.SESSIONS.t.x.queue"}"#;
        let ask = format!("PUB $JS.API.STREAM.MSG.GET.KV_SESSIONS _INBOX.1.a {}\r\n{asked}\r\n", asked.len());
        assert_eq!(text(&tamper.to_client(answer([1, 2]).as_bytes())), answer([1, 2]), "nobody asked");
        assert_eq!(text(&tamper.to_server(ask.as_bytes())), ask);
        assert_eq!(text(&tamper.to_client(answer([1, 2]).as_bytes())), answer([2, 1]));
    }
}

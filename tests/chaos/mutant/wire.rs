//! The NATS client protocol, as far as a frame's subject, reply, headers and payload.

const LINE_END: &[u8] = b"\r\n";

/// Cuts a stream of bytes into frames.
#[derive(Debug, Default)]
pub(super) struct Frames(Vec<u8>);

impl Frames {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next frame, once it is whole.
    pub(super) fn next(&mut self) -> Option<Frame> {
        let end = self.0.windows(2).position(|pair| pair == LINE_END)?;
        let line = String::from_utf8_lossy(&self.0[..end]).into_owned();
        let words: Vec<_> = line.split_ascii_whitespace().map(str::to_owned).collect();
        let size = |word: Option<&String>| word.and_then(|word| word.parse::<usize>().ok()).unwrap_or_default();
        let (headers, total) = match words.first().map(String::as_str) {
            Some("HPUB" | "HMSG") => (size(words.iter().nth_back(1)), size(words.last())),
            Some("PUB" | "MSG") => (0, size(words.last())),
            _ => {
                self.0.drain(..end + 2);
                return Some(Frame { line, words, ..Frame::default() });
            }
        };
        let body = end + 2;
        if self.0.len() < body + total + 2 {
            return None;
        }
        let frame = Frame {
            headers: self.0[body..body + headers].to_vec(),
            payload: self.0[body + headers..body + total].to_vec(),
            line,
            words,
        };
        self.0.drain(..body + total + 2);
        Some(frame)
    }
}

/// One frame.
#[derive(Debug, Default)]
pub(super) struct Frame {
    line: String,
    words: Vec<String>,
    headers: Vec<u8>,
    payload: Vec<u8>,
}

impl Frame {
    /// A plain publish.
    pub(super) fn publish(subject: &str, payload: &[u8]) -> Self {
        let words = ["PUB", subject, "0"].map(str::to_owned).to_vec();
        Self { words, payload: payload.to_vec(), ..Self::default() }
    }

    pub(super) fn is_publish(&self) -> bool {
        self.words.first().is_some_and(|verb| verb == "PUB" || verb == "HPUB")
    }

    pub(super) fn is_message(&self) -> bool {
        self.words.first().is_some_and(|verb| verb == "MSG" || verb == "HMSG")
    }

    pub(super) fn subject(&self) -> &str {
        self.words.get(1).map_or("", String::as_str)
    }

    /// Where an answer is wanted: between what every such frame has before and behind it.
    pub(super) fn reply(&self) -> Option<&str> {
        let before = if self.is_message() { 3 } else { 2 };
        (self.words.len() > before + self.sizes()).then(|| self.words[before].as_str())
    }

    pub(super) fn payload(&self) -> &[u8] {
        &self.payload
    }

    pub(super) fn set_payload(&mut self, payload: &[u8]) {
        self.payload = payload.to_vec();
    }

    pub(super) fn header(&self, name: &str) -> Option<String> {
        let text = String::from_utf8_lossy(&self.headers);
        let line = text.lines().find(|line| is_header(line, name))?;
        line.split_once(':').map(|(_, value)| value.trim().to_owned())
    }

    pub(super) fn remove_header(&mut self, name: &str) {
        let text = String::from_utf8_lossy(&self.headers);
        let kept = text.split_inclusive("\r\n").filter(|line| !is_header(line, name));
        self.headers = kept.collect::<String>().into_bytes();
    }

    /// The frame as it goes out, its sizes set anew.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        if !self.is_publish() && !self.is_message() {
            out.extend_from_slice(self.line.as_bytes());
            out.extend_from_slice(LINE_END);
            return;
        }
        let mut words = self.words[..self.words.len() - self.sizes()].to_vec();
        if self.sizes() == 2 {
            words.push(self.headers.len().to_string());
        }
        words.push((self.headers.len() + self.payload.len()).to_string());
        out.extend_from_slice(words.join(" ").as_bytes());
        for part in [LINE_END, &self.headers, &self.payload, LINE_END] {
            out.extend_from_slice(part);
        }
    }

    /// How many sizes end the first line.
    fn sizes(&self) -> usize {
        if self.words.first().is_some_and(|verb| verb.starts_with('H')) { 2 } else { 1 }
    }
}

fn is_header(line: &str, name: &str) -> bool {
    line.split_once(':').is_some_and(|(field, _)| field.eq_ignore_ascii_case(name))
}

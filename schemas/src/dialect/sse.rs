//! Server-sent events, from bytes in any split to whole events: `\n`, `\r\n` and `\r` line ends, comments, data of
//! several lines, a byte order mark. By the WHATWG HTML standard, section "Server-sent events", except where said.

use std::mem;

/// One event that carries data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its `event:` name; `None` is the standard's `message`.
    pub name: Option<String>,
    /// Its `data:` lines, joined by line feeds.
    pub data: String,
}

/// Why bytes are no such events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    /// A line, or all data of an event, is longer than allowed.
    #[error("an event of the stream is longer than {0} bytes")]
    TooLong(usize),
    /// The standard would replace such bytes; a model's answer must not be changed silently.
    #[error("the stream is not UTF-8")]
    NotUtf8,
}

/// A parser of one stream.
#[derive(Debug)]
pub struct Parser {
    limit: usize,
    line: Vec<u8>,
    data: Option<Vec<u8>>,
    name: Option<String>,
    /// The last byte was `\r`: a `\n` now belongs to it.
    after_cr: bool,
    /// No line has ended yet: the next may start with a byte order mark.
    at_start: bool,
}

impl Parser {
    /// A parser that takes lines and events of at most `limit` bytes.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { limit, line: Vec::new(), data: None, name: None, after_cr: false, at_start: true }
    }

    /// Takes the next bytes in and adds the events that became whole by them, also those before a fault.
    ///
    /// # Errors
    /// [`SseError`]; the stream cannot be read on after it.
    pub fn feed(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), SseError> {
        let mut rest = bytes;
        loop {
            rest = self.skip_line_feed(rest);
            let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else { break };
            self.grow_line(&rest[..end])?;
            self.after_cr = rest[end] == b'\r';
            rest = &rest[end + 1..];
            events.extend(self.end_line()?);
        }
        self.grow_line(rest)
    }

    /// The bytes have ended. An event whose last blank line is missing is given all the same, unlike in the standard:
    /// several providers close the connection right after `data: [DONE]`.
    ///
    /// # Errors
    /// [`SseError`]
    pub fn finish(mut self) -> Result<Option<Event>, SseError> {
        if !self.line.is_empty() {
            self.end_line()?;
        }
        self.dispatch()
    }

    fn skip_line_feed<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        match bytes.split_first() {
            Some((b'\n', rest)) if mem::take(&mut self.after_cr) => rest,
            Some(_) => {
                self.after_cr = false;
                bytes
            }
            None => bytes,
        }
    }

    fn grow_line(&mut self, bytes: &[u8]) -> Result<(), SseError> {
        if bytes.len() > self.limit - self.line.len() {
            return Err(SseError::TooLong(self.limit));
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self) -> Result<Option<Event>, SseError> {
        let line = mem::take(&mut self.line);
        let start = if mem::take(&mut self.at_start) { line.strip_prefix(b"\xef\xbb\xbf") } else { None };
        let result = match start.unwrap_or(&line) {
            [] => self.dispatch(),
            text => self.field(text).map(|()| None),
        };
        // Its memory serves the next line.
        self.line = line;
        self.line.clear();
        result
    }

    fn field(&mut self, line: &[u8]) -> Result<(), SseError> {
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &line[..colon] {
            b"data" => self.grow_data(value),
            b"event" => {
                self.name = Some(text(value.to_vec())?);
                Ok(())
            }
            // A comment has no name; `id` and `retry` are for browsers that reconnect.
            _ => Ok(()),
        }
    }

    fn grow_data(&mut self, value: &[u8]) -> Result<(), SseError> {
        let Some(data) = &mut self.data else {
            self.data = Some(value.to_vec());
            return Ok(());
        };
        if value.len() >= self.limit - data.len() {
            return Err(SseError::TooLong(self.limit));
        }
        data.push(b'\n');
        data.extend_from_slice(value);
        Ok(())
    }

    fn dispatch(&mut self) -> Result<Option<Event>, SseError> {
        let name = self.name.take().filter(|name| !name.is_empty());
        let Some(data) = self.data.take() else { return Ok(None) };
        Ok(Some(Event { name, data: text(data)? }))
    }
}

fn text(bytes: Vec<u8>) -> Result<String, SseError> {
    String::from_utf8(bytes).map_err(|_| SseError::NotUtf8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What is read before the end or a fault, and the fault.
    fn read_all(pieces: &[&[u8]]) -> (Vec<Event>, Option<SseError>) {
        let mut parser = Parser::new(64);
        let mut events = Vec::new();
        for piece in pieces {
            if let Err(fault) = parser.feed(piece, &mut events) {
                return (events, Some(fault));
            }
        }
        match parser.finish() {
            Ok(last) => events.extend(last),
            Err(fault) => return (events, Some(fault)),
        }
        (events, None)
    }

    fn read(pieces: &[&[u8]]) -> Result<Vec<Event>, SseError> {
        let (events, fault) = read_all(pieces);
        fault.map_or(Ok(events), Err)
    }

    fn data(events: &[Event]) -> Vec<&str> {
        events.iter().map(|event| event.data.as_str()).collect()
    }

    #[test]
    fn reads_every_line_end_comment_and_field() {
        let stream = "\u{feff}data: a\r\n\r\n: ping\n\nevent: x\rdata:b\rdata:  c\r\rid: 7\nretry: 1\ndata\n\nevent: y\n\ndata: [DONE]";
        let events = read(&[stream.as_bytes()]).unwrap();
        assert_eq!(data(&events), ["a", "b\n c", "", "[DONE]"]);
        assert_eq!(events[1].name.as_deref(), Some("x"));
        assert_eq!(events[3].name, None);
    }

    #[test]
    fn refuses_what_is_too_long_or_not_text() {
        assert_eq!(read(&[&[b'a'; 65]]), Err(SseError::TooLong(64)));
        assert_eq!(read(&[b"data: ", &[b'a'; 59]]), Err(SseError::TooLong(64)));
        let lines = "data: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n".repeat(2);
        assert_eq!(read(&[lines.as_bytes()]), Err(SseError::TooLong(64)));
        assert_eq!(read(&[b"data: \xff\n\n"]), Err(SseError::NotUtf8));
    }

    proptest! {
        #[test]
        fn no_split_matters(
            stream in proptest::collection::vec(
                prop_oneof![
                    Just(b"\n".to_vec()), Just(b"\r".to_vec()), Just(b"data: \xc3\xa9".to_vec()),
                    Just(b"data:".to_vec()), Just(b":".to_vec()), Just(b"event: e".to_vec()),
                    proptest::collection::vec(any::<u8>(), 0..12),
                ],
                0..30,
            ),
            at in any::<prop::sample::Index>(),
        ) {
            let bytes = stream.concat();
            let at = at.index(bytes.len() + 1);
            let whole = read_all(&[&bytes]);
            prop_assert_eq!(&read_all(&[&bytes[..at], &bytes[at..]]), &whole);
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(&read_all(&single), &whole);
        }
    }
}

//! Frames that were heard or read back and not given out yet. Pure.

use std::collections::BTreeMap;

use schemas::delta::Frame;

/// The frames of one job that come next, in order, each once.
#[derive(Debug, Default)]
pub(crate) struct HeardFrames {
    ready: BTreeMap<(u32, u64), Frame>,
    next: (u32, u64),
}

impl HeardFrames {
    /// Whether nothing is missing before `frame`.
    pub(crate) fn expects(&self, frame: &Frame) -> bool {
        position(frame) <= self.next || frame.index == 0
    }

    /// To be given out, unless it was or a later one has been.
    pub(crate) fn push(&mut self, frame: Frame) {
        if position(&frame) >= self.next {
            self.ready.insert(position(&frame), frame);
        }
    }

    /// The next one.
    pub(crate) fn take(&mut self) -> Option<Frame> {
        let ((attempt, index), frame) = self.ready.pop_first()?;
        self.next = (attempt, index + 1);
        Some(frame)
    }

    /// How many places behind `frame` of the stream the next one to be given out stands at least: an attempt's frames
    /// stand there in order, each in a place of its own.
    pub(crate) fn distance(&self, frame: &Frame) -> u64 {
        let (attempt, index) = self.next;
        if frame.attempt == attempt { index.saturating_sub(frame.index).max(1) } else { 1 }
    }
}

fn position(frame: &Frame) -> (u32, u64) {
    (frame.attempt, frame.index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::delta::Delta;

    fn frame(attempt: u32, index: u64) -> Frame {
        Frame { attempt, generation: 0, index, delta: Delta::Break }
    }

    fn taken(heard: &mut HeardFrames) -> Vec<(u32, u64)> {
        std::iter::from_fn(|| heard.take()).map(|frame| position(&frame)).collect()
    }

    #[test]
    fn each_is_given_out_once_and_in_order() {
        let mut heard = HeardFrames::default();
        [frame(1, 1), frame(1, 0), frame(1, 1)].into_iter().for_each(|frame| heard.push(frame));
        assert_eq!(taken(&mut heard), [(1, 0), (1, 1)]);
        [frame(1, 1), frame(2, 0), frame(1, 2)].into_iter().for_each(|frame| heard.push(frame));
        assert_eq!(taken(&mut heard), [(1, 2), (2, 0)]);
        heard.push(frame(1, 3));
        assert_eq!(taken(&mut heard), [], "of an attempt that is over");
    }

    #[test]
    fn what_is_missing_is_known_and_where_it_stands_at_the_earliest() {
        let mut heard = HeardFrames::default();
        (0..10).for_each(|index| heard.push(frame(1, index)));
        taken(&mut heard);
        assert!(heard.expects(&frame(1, 10)) && heard.expects(&frame(2, 0)) && !heard.expects(&frame(1, 11)));
        assert_eq!(heard.distance(&frame(1, 4)), 6);
        assert_eq!((heard.distance(&frame(1, 12)), heard.distance(&frame(2, 3))), (1, 1));
    }
}

//! The memory that request bodies may take together. Small bodies have a share of their own, so that they never wait
//! behind large ones. What is built of bodies has another, half as large again: whoever holds a part of one share waits
//! only for the next, so that nobody waits in a circle.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Memory is counted in pieces of this many bytes.
const PIECE: usize = 1024;
/// Bodies up to this many bytes are small.
pub(crate) const SMALL: usize = 64 * 1024;

/// A budget of bytes in three shares.
#[derive(Debug)]
pub(crate) struct BodyMemory {
    small: Share,
    large: Share,
    built: Share,
}

#[derive(Debug)]
struct Share {
    room: Arc<Semaphore>,
    pieces: u32,
}

/// Bytes set aside for one body until it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Hold {
    /// Only held, never looked at.
    _permits: Option<OwnedSemaphorePermit>,
}

impl BodyMemory {
    /// A budget of `bytes`, an eighth of it for small bodies alone.
    pub(crate) fn new(bytes: usize) -> Self {
        Self { small: Share::new(bytes / 8), large: Share::new(bytes - bytes / 8), built: Share::new(bytes / 2) }
    }

    /// Waits until there is room for a body of `bytes`. One larger than the whole share waits for all of it.
    pub(crate) async fn hold(&self, bytes: usize) -> Hold {
        let share = if bytes <= SMALL { &self.small } else { &self.large };
        share.hold(bytes).await
    }

    /// Waits until there is room for what is built of a body, `bytes` of it. Of a small one it never waits.
    pub(crate) async fn hold_built(&self, bytes: usize) -> Hold {
        if bytes <= SMALL { Hold::default() } else { self.built.hold(bytes).await }
    }

    /// Bytes held now.
    pub(crate) fn used(&self) -> usize {
        self.small.used() + self.large.used() + self.built.used()
    }
}

impl Share {
    fn new(bytes: usize) -> Self {
        let pieces = u32::try_from(bytes.div_ceil(PIECE)).unwrap_or(u32::MAX).max(1);
        Self { room: Arc::new(Semaphore::new(pieces as usize)), pieces }
    }

    async fn hold(&self, bytes: usize) -> Hold {
        let pieces = u32::try_from(bytes.div_ceil(PIECE)).unwrap_or(u32::MAX).clamp(1, self.pieces);
        // The semaphore is never closed, so this is always a permit.
        Hold { _permits: Arc::clone(&self.room).acquire_many_owned(pieces).await.ok() }
    }

    fn used(&self) -> usize {
        (self.pieces as usize).saturating_sub(self.room.available_permits()) * PIECE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn small_bodies_pass_while_large_ones_wait() {
        let memory = BodyMemory::new(8 << 20);
        let first = memory.hold(7 << 20).await;
        assert!(memory.hold(SMALL + 1).now_or_never().is_none(), "no room for a second large body");
        assert!(memory.hold(SMALL).now_or_never().is_some());
        drop(first);
        assert!(memory.hold(SMALL + 1).now_or_never().is_some());
    }

    #[tokio::test]
    async fn what_is_built_has_room_of_its_own() {
        let memory = BodyMemory::new(8 << 20);
        let _body = memory.hold(7 << 20).await;
        let _built = memory.hold_built(7 << 20).now_or_never().unwrap();
        assert!(memory.hold_built(SMALL + 1).now_or_never().is_none());
        assert!(memory.hold_built(SMALL).now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_body_larger_than_the_budget_takes_all_of_it() {
        let memory = BodyMemory::new(1 << 20);
        let hold = memory.hold(64 << 20).await;
        assert_eq!(memory.used(), (1 << 20) - (1 << 17));
        drop(hold);
        assert_eq!(memory.used(), 0);
    }
}

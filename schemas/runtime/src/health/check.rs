//! Checks of what every role has: a disk and memory.

use std::path::{Path, PathBuf};

use futures::FutureExt;
use futures::future::BoxFuture;

use super::Finding;
use crate::system;

/// Down while the file system of `path` has fewer than `min_free` bytes left for us.
pub fn disk(path: PathBuf, min_free: u64) -> impl Fn() -> BoxFuture<'static, Finding> + Send + Sync + 'static {
    move || {
        let path = path.clone();
        // A network file system may hang: not on a thread that others need.
        let look = tokio::task::spawn_blocking(move || free(&path, min_free));
        async { look.await.unwrap_or_else(|_| Err("the check died".to_owned())) }.boxed()
    }
}

/// Down while this process uses more than `limit` bytes of memory.
pub fn memory(limit: u64) -> impl Fn() -> BoxFuture<'static, Finding> + Send + Sync + 'static {
    move || std::future::ready(used(system::resident_bytes(), limit)).boxed()
}

fn free(path: &Path, min_free: u64) -> Finding {
    match system::free_bytes(path) {
        Ok(free) if free < min_free => Err(format!("{} MiB free, below {} MiB", mebibytes(free), mebibytes(min_free))),
        Ok(free) => Ok(format!("{} MiB free", mebibytes(free))),
        Err(error) => Err(format!("free space is unknown: {error}")),
    }
}

fn used(resident: Option<u64>, limit: u64) -> Finding {
    match resident {
        Some(used) if used > limit => Err(format!("{} MiB used, above {} MiB", mebibytes(used), mebibytes(limit))),
        Some(used) => Ok(format!("{} MiB used", mebibytes(used))),
        None => Ok("not told by this system".to_owned()),
    }
}

const fn mebibytes(bytes: u64) -> u64 {
    bytes >> 20
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_limit_decides() {
        let folder = tempfile::tempdir().unwrap();
        assert!(disk(folder.path().to_owned(), 1)().await.unwrap().ends_with("MiB free"));
        let full = disk(folder.path().to_owned(), u64::MAX)().await.unwrap_err();
        assert!(full.contains("MiB free, below 17592186044415 MiB"), "{full}");
        assert_eq!(used(Some(3 << 20), 4 << 20), Ok("3 MiB used".to_owned()));
        assert_eq!(used(Some(5 << 20), 4 << 20), Err("5 MiB used, above 4 MiB".to_owned()));
        assert!(memory(u64::MAX)().await.is_ok());
    }
}

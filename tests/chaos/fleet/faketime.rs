//! Wall clocks that can be set while a process runs, by Debian's `libfaketime`. Monotonic clocks go on as they were.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// What the library keeps in shared memory for a process; one that is killed leaves it behind.
const LEFT_BEHIND: [&str; 2] = ["faketime_shm_", "sem.faketime_sem_"];

/// The wall clock of one role, for all its lives.
#[derive(Debug)]
pub(crate) struct WallClock {
    file: PathBuf,
}

impl WallClock {
    /// A true clock, kept in `folder`, and what a process must be told to go by it; `None` without the library.
    pub(crate) fn new(folder: &Path) -> Option<(Self, [(String, String); 4])> {
        let library = library()?;
        let clock = Self { file: folder.join("clock") };
        clock.set(0);
        let told = [
            ("LD_PRELOAD", library.to_string_lossy().into_owned()),
            ("FAKETIME_TIMESTAMP_FILE", clock.file.to_string_lossy().into_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            // Seconds until a new setting is looked for.
            ("FAKETIME_CACHE_DURATION", "1".to_owned()),
        ];
        Some((clock, told.map(|(name, value)| (name.to_owned(), value))))
    }

    /// Sets it this many seconds off.
    ///
    /// # Panics
    /// When its file cannot be written.
    pub(crate) fn set(&self, shift: i64) {
        let new = self.file.with_extension("new");
        let set = fs::write(&new, format!("{shift:+}\n")).and_then(|()| fs::rename(&new, &self.file));
        set.expect("a temporary folder is writable");
    }
}

/// Removes what the library left of a process that was killed.
pub(super) fn clean_up(process: u32) {
    for name in LEFT_BEHIND {
        // Mostly there is none.
        let _ = fs::remove_file(format!("/dev/shm/{name}{process}"));
    }
}

/// The library: `PORTBROKER_LIBFAKETIME`, else where Debian puts it.
pub(crate) fn library() -> Option<&'static Path> {
    static FOUND: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
        let named = std::env::var_os("PORTBROKER_LIBFAKETIME").map(PathBuf::from);
        let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|folder| folder.path());
        let usual = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1"));
        named.into_iter().chain(usual).find(|file| file.is_file())
    });
    FOUND.as_deref()
}

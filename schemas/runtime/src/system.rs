//! What the operating system says of this process and of a disk.

use std::io;
use std::path::{Path, PathBuf};

/// Resident memory of this process in bytes, where the system tells (Linux: `VmRSS` of `/proc/self/status`).
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    kilobytes.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Bytes that we may still write on the file system of `path`, or of its nearest parent that exists.
///
/// # Errors
/// What the system says when it cannot tell.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let free = rustix::fs::statvfs(&existing(path)?)?;
    Ok(free.f_bavail.saturating_mul(free.f_frsize))
}

fn existing(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    Ok(path.ancestors().find(|path| path.exists()).unwrap_or(&path).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_there_yet_is_on_its_parents_disk() {
        let folder = tempfile::tempdir().unwrap();
        assert!(free_bytes(&folder.path().join("not/yet")).unwrap() > 0);
        assert!(free_bytes(Path::new("./not/yet")).unwrap() > 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn memory_in_use_is_counted_in_bytes() {
        let held = vec![1u8; 32 << 20];
        assert!(resident_bytes().unwrap() > held.iter().map(|byte| u64::from(*byte)).sum::<u64>());
    }
}

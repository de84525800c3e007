//! The file of a loaded script, and its changes. Two parties look at it: each request before it is answered, and the main
//! thread of the process now and then, which reports a change.

use gk_sys::clock::Moment;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::SystemTime;

/// Nanoseconds between two looks of requests: a look is a system call of more than a microsecond.
const LOOK: u64 = 250_000;
/// The same for requests that follow each other without a pause: no client can have waited for an answer between them.
const LOOK_IN_A_ROW: u64 = 2_000_000;

/// A file, and the versions of it that matter, as modification times in nanoseconds since 1970 (0: unknown).
pub struct WatchedFile {
    path: PathBuf,
    /// The version that answers requests: the loaded one, or a later one whose reload was refused.
    serving: AtomicU64,
    /// The last version that was reported.
    reported: AtomicU64,
    /// The script's `reload_required` was true; not reported yet.
    asked: AtomicBool,
    /// Moment of the last look for a request that found the serving version; 0: none yet.
    looked: AtomicU64,
}

impl WatchedFile {
    /// `read`: its modification time when it was read.
    pub(crate) fn new(path: PathBuf, read: Option<SystemTime>) -> Self {
        let read = read.map_or(0, nanos);
        Self {
            path,
            serving: AtomicU64::new(read),
            reported: AtomicU64::new(read),
            asked: AtomicBool::new(false),
            looked: AtomicU64::new(0),
        }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether another version is on the disk than the one that serves, for a request taken at `now`, `in_a_row` with the one
    /// before it. A file that is missing for a moment (an editor, a deploy) is no other version.
    #[inline]
    pub(crate) fn outdated(&self, now: Moment, in_a_row: bool) -> bool {
        let looked = self.looked.load(Ordering::Relaxed);
        let bound = if in_a_row { LOOK_IN_A_ROW } else { LOOK };
        if looked != 0 && now.nanos().saturating_sub(looked) < bound {
            return false;
        }
        self.look(now)
    }

    fn look(&self, now: Moment) -> bool {
        let outdated = self.on_disk().is_some_and(|version| version != self.serving.load(Ordering::Relaxed));
        // The next request looks again at a file that is outdated.
        self.looked.store(if outdated { 0 } else { now.nanos() }, Ordering::Relaxed);
        outdated
    }

    fn on_disk(&self) -> Option<u64> {
        modified(&self.path).map(nanos)
    }

    /// The script asks for its reload, without a change of the file.
    pub(crate) fn ask(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Returns true once for each change, and for each time that the script asked.
    pub fn take_change(&self) -> bool {
        let asked = self.asked.swap(false, Ordering::Relaxed);
        let version = self.on_disk();
        version.is_some_and(|version| self.reported.swap(version, Ordering::Relaxed) != version) || asked
    }

    /// The reload that followed the last report was refused: the code that is loaded answers on.
    pub fn keep(&self) {
        self.serving.store(self.reported.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

fn nanos(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(1, |since| (since.as_nanos() as u64).max(1))
}

/// Modification time of a file, to compare with a later one.
pub fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|m| m.modified()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_change_is_seen_by_every_request_until_it_is_loaded_or_refused_and_reported_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("site.wsgi");
        let touch = |seconds| {
            let file = std::fs::File::options().create(true).append(true).open(&path).unwrap();
            file.set_modified(at(seconds)).unwrap();
        };
        touch(100);
        let file = WatchedFile::new(path.clone(), Some(at(100)));
        assert!(!file.outdated(Moment::now(), false) && !file.take_change());
        touch(50);
        assert!(file.look(Moment::now()), "an older file is another version, too");
        assert!(file.outdated(Moment::now(), false) && file.take_change() && !file.take_change());
        assert!(file.outdated(Moment::now(), false), "also after the report");
        file.keep();
        assert!(!file.outdated(Moment::now(), false));
        file.ask();
        assert!(file.take_change() && !file.take_change());
        std::fs::remove_file(&path).unwrap();
        assert!(!file.look(Moment::now()) && !file.take_change(), "a missing file is no change");
        touch(200);
        assert!(file.look(Moment::now()) && file.take_change());
    }
}

//! Changes on disk of imported modules' source files (`reload-on-changes`). A thread checks once a second and never calls
//! Python: the Python thread sends the names. The supervisor decides what follows.

use crate::serve::engine::Engine;
use crate::watch::python_thread::Order;
use crate::watch::script_changes;
use gk_sys::descriptors;
use gk_sys::fork::Withheld;
use gk_sys::log::plain;
use gk_wire::control::{self, FromWorker, SourceFile};
use gk_wire::log::Level;
use gk_wsgi::watched_file::modified;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, SystemTime};

/// Most files reported by a worker with failed imports, and most bytes of their names. The file at fault is among the last
/// ones read.
const MOST_TOLD: usize = 200;
const MOST_BYTES: usize = control::MAX_PACKET / 4;

/// Files with the modification time last seen, `None` for a missing file.
#[derive(Default)]
struct ModuleFiles(HashMap<PathBuf, Option<SystemTime>>);

impl ModuleFiles {
    /// Adds files to watch. If several interpreters read a file, the first reading counts: if the second one found another
    /// time, the first interpreter is out of date.
    fn add(&mut self, imported: Vec<SourceFile>, now: impl Fn(&Path) -> Option<SystemTime>) {
        for file in imported {
            let read = file.read.map(|nanos| SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos));
            if let Entry::Vacant(new) = self.0.entry(PathBuf::from(file.path)) {
                let time = read.or_else(|| now(new.key()));
                new.insert(time);
            }
        }
    }

    /// Files with another modification time than when last seen, sorted; each change once.
    fn changed(&mut self, now: impl Fn(&Path) -> Option<SystemTime>) -> Vec<PathBuf> {
        let mut changed = Vec::new();
        for (file, seen) in &mut self.0 {
            let now = now(file);
            // A file that is missing for a moment (an editor, a deploy) is no change; its return is.
            if now.is_some() && now != *seen {
                *seen = now;
                changed.push(file.clone());
            }
        }
        changed.sort();
        changed
    }
}

/// The files read last, each with its modification time when read.
pub(crate) fn read_last(imported: &[SourceFile]) -> Vec<SourceFile> {
    let mut bytes = 0;
    let read = imported.iter().rev().filter(|file| file.read.is_some());
    let last = read.take(MOST_TOLD).take_while(|file| {
        bytes += file.path.len();
        bytes <= MOST_BYTES
    });
    last.cloned().collect()
}

/// Starts the thread with these files; returns a sender for further ones. It ends with the thread that receives `orders`.
/// `control`: a second descriptor of the socket to the supervisor.
pub(crate) fn watch(
    engine: &Arc<Engine>,
    orders: Sender<Order>,
    control: OwnedFd,
    imported: Vec<SourceFile>,
) -> std::io::Result<Sender<Vec<SourceFile>>> {
    let engine = Arc::clone(engine);
    let (told, more) = channel();
    let run = move || {
        let mut files = ModuleFiles::default();
        files.add(imported, modified);
        let _withheld = Withheld::descriptor(&control);
        run(&engine, files, &more, &orders, &control);
    };
    let builder = std::thread::Builder::new().name("gk-changes".to_owned()).stack_size(256 << 10);
    builder.spawn(run).map(|_| told)
}

fn run(
    engine: &Engine,
    mut files: ModuleFiles,
    more: &Receiver<Vec<SourceFile>>,
    orders: &Sender<Order>,
    control: &OwnedFd,
) {
    // One question at a time: an interpreter may take long to answer.
    let mut asked: Option<Receiver<Vec<SourceFile>>> = None;
    loop {
        let answer = match asked.take() {
            Some(answer) => answer,
            None => {
                let (told, answer) = channel();
                if orders.send(Order::Imported(told)).is_err() {
                    return;
                }
                answer
            }
        };
        match answer.recv_timeout(to_the_next_second()) {
            Ok(imported) => {
                files.add(imported, modified);
                std::thread::sleep(to_the_next_second());
            }
            Err(RecvTimeoutError::Timeout) => asked = Some(answer),
            Err(RecvTimeoutError::Disconnected) => return,
        }
        for read in more.try_iter() {
            files.add(read, modified);
        }
        for file in files.changed(modified) {
            if script_changes::is_watched_script(engine, &file) {
                continue;
            }
            let script = file.display().to_string();
            plain(Level::Info, "wsgi", None, &format!("Module file '{script}' has changed"));
            let _ =
                descriptors::send(control, &gk_messages::encode(&FromWorker::ScriptChanged { script }), &[]);
        }
    }
}

/// The processes of a group check at the same moment, so that one change is one reload, also one that is refused.
fn to_the_next_second() -> Duration {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Duration::from_secs(1) - Duration::from_nanos(now.subsec_nanos().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Option<SystemTime> {
        Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }

    fn file(path: &str, seconds: Option<u64>) -> SourceFile {
        SourceFile { path: path.to_owned(), read: seconds.map(|s| s * 1_000_000_000) }
    }

    #[test]
    fn a_failed_start_tells_what_it_read_last() {
        let mut imported: Vec<SourceFile> = (0..1000).map(|n| file(&format!("/{n}.py"), Some(1))).collect();
        imported.push(file("/before.py", None));
        let told = read_last(&imported);
        assert_eq!((told.len(), told[0].path.as_str()), (MOST_TOLD, "/999.py"));
        imported.push(file(&"/long".repeat(MOST_BYTES), Some(1)));
        assert!(read_last(&imported).is_empty());
    }

    #[test]
    fn each_change_is_told_once_and_a_missing_file_is_none() {
        let mut files = ModuleFiles::default();
        files.add(vec![file("/a.py", None), file("/b.py", Some(5))], |_| at(1));
        let a = |time: Option<SystemTime>| {
            move |file: &Path| if file == Path::new("/a.py") { time } else { at(5) }
        };
        let none: Vec<PathBuf> = Vec::new();
        assert_eq!(files.changed(a(at(1))), none);
        assert_eq!(files.changed(a(at(2))), [Path::new("/a.py")]);
        assert_eq!(files.changed(a(at(2))), none);
        // Gone, then back as it was, then gone and back as another one; an older file is another one, too.
        assert_eq!(files.changed(a(None)), none);
        assert_eq!(files.changed(a(at(2))), none);
        assert_eq!(files.changed(a(None)), none);
        assert_eq!(files.changed(a(at(1))), [Path::new("/a.py")]);
    }

    #[test]
    fn a_change_between_reading_and_the_first_look_counts() {
        let mut files = ModuleFiles::default();
        files.add(vec![file("/read.py", Some(1)), file("/found.py", None)], |_| at(2));
        // Read again by another interpreter, after the change.
        files.add(vec![file("/read.py", Some(2))], |_| at(2));
        assert_eq!(files.changed(|_| at(2)), [Path::new("/read.py")]);
        assert_eq!(files.changed(|_| at(3)), [Path::new("/found.py"), Path::new("/read.py")]);
    }

    #[test]
    fn a_file_that_was_not_there_at_first_counts_when_it_comes() {
        let mut files = ModuleFiles::default();
        files.add(vec![file("/late.py", None)], |_| None);
        assert!(files.changed(|_| None).is_empty());
        assert_eq!(files.changed(|_| at(1)), [Path::new("/late.py")]);
    }
}

//! The logs with real files and pipes; a process is the writing end of a pipe.

use super::*;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::sync::atomic::Ordering;

/// Longest wait for an event.
const PATIENCE: Duration = Duration::from_secs(20);

/// The parts of the logs, with an error log in a file. (`Logs::start` takes the lines of the whole process.)
struct Kept {
    folder: tempfile::TempDir,
    error: Arc<Sink>,
    reader: Reader,
    hosts: HostLogs,
    lost: Arc<SharedWords>,
}

impl Kept {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fd = SharedWords::create("test", gk_wire::setup::LOST_LINES).unwrap();
        let lost = Arc::new(SharedWords::map(&fd).unwrap());
        let place = Place::File(folder.path().join("error.log"));
        let error = Arc::new(Sink::start(place, Role::Error, Arc::clone(&lost)).unwrap());
        Self { folder, error, reader: Reader::start().unwrap(), hosts: HostLogs::default(), lost }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("error.log")
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.path()).unwrap_or_default()
    }

    /// A process that writes to the error log.
    fn process(&self) -> File {
        File::from(self.reader.pipe(&self.error, Some(&self.hosts)).unwrap())
    }

    fn other(&self, name: &str, role: Role) -> Arc<Sink> {
        let place = Place::File(self.folder.path().join(name));
        Arc::new(Sink::start(place, role, Arc::clone(&self.lost)).unwrap())
    }

    /// Everything is written.
    fn finish(self) -> (tempfile::TempDir, Arc<SharedWords>) {
        self.reader.finish();
        self.error.finish(Instant::now() + PATIENCE);
        (self.folder, self.lost)
    }
}

fn until(mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "the condition did not come true in time");
        std::thread::yield_now();
    }
}

#[test]
fn lines_of_several_processes_do_not_mix() {
    let kept = Kept::new();
    let (mut one, mut two) = (kept.process(), kept.process());
    one.write_all(b"the beginning, ").unwrap();
    two.write_all(b"another line\nand ").unwrap();
    one.write_all(b"and the end\n").unwrap();
    two.write_all(b"one without an end").unwrap();
    // A process that ends in the middle of a line leaves what there is of it.
    drop(two);
    until(|| kept.text().lines().count() == 3);
    let path = kept.path();
    drop(one);
    let (_folder, _) = kept.finish();
    let mut lines: Vec<String> = std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["and one without an end", "another line", "the beginning, and the end"]);
}

/// Reported: a line without its end, such as a prompt, must not stay away for ever.
#[test]
fn the_beginning_of_a_line_is_written_after_a_while() {
    let kept = Kept::new();
    let mut process = kept.process();
    process.write_all(b"name: ").unwrap();
    until(|| kept.text() == "name: \n");
}

/// Reported: with standard output or standard error in a pipe that nobody reads, every request timed out. Met with
/// `gilkeeper serve 2>&1 | sleep 1000`.
#[test]
fn a_log_that_nobody_reads_stops_no_process_and_tells_of_the_loss() {
    let kept = Kept::new();
    // A named pipe, opened before there is a reader.
    let fifo = kept.folder.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
    let sink = kept.other("fifo", Role::Error);
    let mut process = File::from(kept.reader.pipe(&sink, None).unwrap());
    let line = |number: usize| format!("{number:0>1023}\n");
    let lines = 3 * sink::MOST / 1024;
    for number in 0..lines {
        process.write_all(line(number).as_bytes()).unwrap();
    }
    drop(process);
    let lost = || kept.lost[gk_wire::setup::LOST_ERROR_LINES].load(Ordering::Relaxed);
    until(|| lost() > 0);
    // Another log goes on meanwhile.
    kept.process().write_all(b"alive\n").unwrap();
    until(|| kept.text() == "alive\n");
    let mut reader = BufReader::new(File::open(&fifo).unwrap());
    let (mut found, mut told) = (0, 0);
    while found + told < lines as u64 {
        let mut text = String::new();
        reader.read_line(&mut text).unwrap();
        let words =
            text.split_once("GK0016: ").and_then(|(_, text)| text.split_once(" lines of the error log"));
        match words {
            Some((number, _)) => told += number.parse::<u64>().unwrap(),
            None => found += 1,
        }
    }
    assert_eq!((found + told, told), (lines as u64, lost()));
}

/// Reported: after `logrotate` the error log went on in the renamed file. Met by every server with rotated logs.
#[test]
fn a_reopened_log_is_the_new_file_for_processes_that_run() {
    let kept = Kept::new();
    let mut process = kept.process();
    process.write_all(b"before\n").unwrap();
    until(|| kept.text() == "before\n");
    let aside = kept.folder.path().join("error.log.1");
    std::fs::rename(kept.path(), &aside).unwrap();
    process.write_all(b"between\n").unwrap();
    until(|| std::fs::read_to_string(&aside).unwrap() == "before\nbetween\n");
    kept.error.reopen();
    until(|| kept.path().exists());
    process.write_all(b"after\n").unwrap();
    until(|| kept.text() == "after\n");
    // A file that cannot be opened leaves the log where it was.
    kept.error.move_to(Place::File("/nowhere/at/all".into()));
    process.write_all(b"still\n").unwrap();
    until(|| kept.text() == "after\nstill\n");
    kept.error.move_to(Place::File(kept.folder.path().join("moved.log")));
    process.write_all(b"moved\n").unwrap();
    until(|| {
        std::fs::read_to_string(kept.folder.path().join("moved.log")).is_ok_and(|text| text == "moved\n")
    });
}

#[test]
fn an_access_log_without_room_loses_lines_and_nothing_else() {
    let kept = Kept::new();
    let full = Place::File("/dev/full".into());
    let sink = Sink::start(full, Role::Access("of the test".into()), Arc::clone(&kept.lost)).unwrap();
    sink.push(1, b"one\ntwo\n");
    let lost = || kept.lost[gk_wire::setup::LOST_ACCESS_LINES].load(Ordering::Relaxed);
    until(|| lost() == 2);
    sink.move_to(Place::File(kept.folder.path().join("access.log")));
    sink.push(1, b"three\n");
    sink.finish(Instant::now() + PATIENCE);
    let text = std::fs::read_to_string(kept.folder.path().join("access.log")).unwrap();
    assert_eq!((text.as_str(), lost()), ("three\n", 2));
}

/// Reported: a worker that was taken over filled the log. It loses its own lines, and those of the others come.
#[test]
fn a_process_that_floods_leaves_room_to_the_others() {
    let kept = Kept::new();
    let fifo = kept.folder.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
    let sink = kept.other("fifo", Role::Error);
    let mut floods = File::from(kept.reader.pipe(&sink, None).unwrap());
    for _ in 0..4 * sink::MOST / 1024 {
        floods.write_all(&[b'x'; 1023]).unwrap();
        floods.write_all(b"\n").unwrap();
    }
    let lost = || kept.lost[gk_wire::setup::LOST_ERROR_LINES].load(Ordering::Relaxed);
    until(|| lost() > 1000);
    let mut another = File::from(kept.reader.pipe(&sink, None).unwrap());
    another.write_all(b"of another process\n").unwrap();
    let mut lines = BufReader::new(File::open(&fifo).unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "of another process"));
}

#[test]
fn the_last_words_of_every_process_are_written() {
    let kept = Kept::new();
    let path = kept.path();
    let mut processes: Vec<File> = (0..20).map(|_| kept.process()).collect();
    for (number, process) in processes.iter_mut().enumerate() {
        process.write_all(format!("{number}\n").as_bytes()).unwrap();
    }
    // Held open: a process that outlives the server.
    let (_folder, lost) = kept.finish();
    let mut text = String::new();
    File::open(path).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!((text.lines().count(), lost[0].load(Ordering::Relaxed)), (20, 0));
}

/// Reported: the lines of every virtual host stood in one log. Met by every configuration that names an ErrorLog in its hosts.
#[test]
fn a_line_goes_to_the_log_that_it_is_addressed_to() {
    let kept = Kept::new();
    let log = |name: &str| (name.as_bytes().to_vec(), kept.other(name, Role::Host(name.into())));
    let text = |name: &str| std::fs::read_to_string(kept.folder.path().join(name)).unwrap_or_default();
    kept.hosts.follow([log("one"), log("two")].into());
    let addressed = gk_wire::log::addressed;
    let mut process = kept.process();
    let lines =
        [&addressed("one", "a\n  b\n"), "own\n", &addressed("two", "c\n"), &addressed("three", "d\n")];
    process.write_all(lines.concat().as_bytes()).unwrap();
    until(|| (text("one"), text("two"), kept.text()) == ("a\n  b\n".into(), "c\n".into(), "own\nd\n".into()));
    // A line that is cut stays in one log.
    let long = "x".repeat(200 << 10);
    process.write_all(addressed("two", &format!("{long}\n")).as_bytes()).unwrap();
    until(|| text("two").bytes().filter(|byte| *byte == b'x').count() == long.len());
    // Requests of the configuration before are still under way.
    kept.hosts.follow([log("two")].into());
    process.write_all(addressed("one", "late\n").as_bytes()).unwrap();
    until(|| text("one").ends_with("late\n"));
    assert_eq!(kept.text(), "own\nd\n");
}

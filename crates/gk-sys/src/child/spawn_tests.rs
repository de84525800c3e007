//! Tests of [`super`]: real children of `/bin/sh`.

use super::*;
use crate::child::reap::{self, Exit};
use crate::descriptors::{memory_file, read_memory_file};
use std::fs::File;

fn shell<'a>(args: &'a [OsString], fds: &'a [BorrowedFd<'a>], out: &'a File) -> Spawn<'a> {
    Spawn {
        program: Path::new("/bin/sh"),
        args,
        env: &[],
        fds,
        stdout: out.as_fd(),
        stderr: out.as_fd(),
        identity: None,
        chroot: None,
        directory: None,
        umask: None,
        no_new_privileges: false,
        limits: &[],
        nice: 0,
    }
}

fn script(text: &str) -> Vec<OsString> {
    vec!["-c".into(), text.into()]
}

/// Waits for the end of a child without a sleep: the blocking form of the same question.
fn wait(pid: u32) -> Exit {
    let raw = rustix::process::Pid::from_raw(pid as i32).unwrap();
    let options = rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
    rustix::process::waitid(rustix::process::WaitId::Pid(raw), options).unwrap();
    reap::ended(pid).unwrap().unwrap()
}

#[test]
fn descriptors_arrive_at_their_numbers_and_no_others() {
    let mut out = memory_file("out", b"").unwrap();
    let (a, b) = (memory_file("a", b"first").unwrap(), memory_file("b", b"second").unwrap());
    let fds = [b.as_fd(), a.as_fd()];
    let args = script("cat <&3; cat <&4; ls /proc/$$/fd; read x || echo eof");
    let pid = spawn(&shell(&args, &fds, &out)).unwrap();
    assert_eq!(wait(pid), Exit::Status(0));
    let text = String::from_utf8(read_memory_file(&mut out).unwrap()).unwrap();
    // Not through a pipe: the shell itself might still have its ends. 10 is where it reads the script from.
    assert_eq!(text.replace("10\n", ""), "secondfirst0\n1\n2\n3\n4\neof\n");
}

#[test]
fn new_privileges_are_renounced_when_asked() {
    for (asked, expected) in [(false, "NoNewPrivs:\t0\n"), (true, "NoNewPrivs:\t1\n")] {
        let mut out = memory_file("out", b"").unwrap();
        let args = script("grep NoNewPrivs /proc/$$/status");
        let what = Spawn { no_new_privileges: asked, ..shell(&args, &[], &out) };
        let pid = spawn(&what).unwrap();
        assert_eq!(wait(pid), Exit::Status(0));
        let text = String::from_utf8(read_memory_file(&mut out).unwrap()).unwrap();
        // Whoever runs the tests may have renounced them already.
        let inherited = std::fs::read_to_string("/proc/self/status").unwrap().contains("NoNewPrivs:\t1");
        assert!(text == expected || inherited, "{asked}: {text}");
    }
}

#[test]
fn a_missing_program_is_an_error_of_the_start() {
    let out = memory_file("out", b"").unwrap();
    let mut what = shell(&[], &[], &out);
    what.program = Path::new("/no/such/program");
    let error = spawn(&what).unwrap_err();
    assert_eq!((error.step, error.error.kind()), (Step::Start, io::ErrorKind::NotFound));
}

#[test]
fn a_failing_step_is_named() {
    let out = memory_file("out", b"").unwrap();
    let fds = [out.as_fd(), out.as_fd(), out.as_fd(), out.as_fd(), out.as_fd(), out.as_fd()];
    let mut what = shell(&[], &fds, &out);
    what.directory = Some(Path::new("/no/such/directory"));
    let error = spawn(&what).unwrap_err();
    assert_eq!((error.step, error.error.kind()), (Step::Directory, io::ErrorKind::NotFound));
    assert!(error.to_string().starts_with("its working directory could not be entered: "));
}

#[test]
fn limits_mask_and_priority_are_set() {
    let mut out = memory_file("out", b"").unwrap();
    let args = script("ulimit -St; ulimit -Ht; umask; nice");
    let mut what = shell(&args, &[], &out);
    let limits = [(Limit::Cpu, 7, 13)];
    what.limits = &limits;
    what.umask = Some(0o027);
    what.nice = 3;
    let path = [("PATH".into(), "/bin:/usr/bin".into())];
    what.env = &path;
    assert_eq!(wait(spawn(&what).unwrap()), Exit::Status(0));
    let text = String::from_utf8(read_memory_file(&mut out).unwrap()).unwrap();
    assert_eq!(text, "7\n13\n0027\n3\n");
}

#[test]
fn a_child_is_in_its_own_process_group_with_a_clean_mask() {
    let mut signals = crate::signal::Signals::new(&[libc::SIGTERM, libc::SIGCHLD]).unwrap();
    let out = memory_file("out", b"").unwrap();
    let args = script("kill -TERM $$; exit 1");
    let pid = spawn(&shell(&args, &[], &out)).unwrap();
    assert_eq!(wait(pid), Exit::Signal(libc::SIGTERM));
    assert!(signals.take().unwrap().iter().all(|s| *s == libc::SIGCHLD));
}

#[test]
fn root_becomes_somebody_else() {
    if crate::child::identity::effective_uid() != 0 {
        return;
    }
    let mut out = memory_file("out", b"").unwrap();
    let nobody = crate::child::identity::user("nobody").unwrap();
    let identity =
        Identity { uid: nobody.uid, gid: nobody.gid, groups: vec![nobody.gid, 12], name: None, home: None };
    let args = script("id -u; id -g; id -G");
    let mut what = shell(&args, &[], &out);
    what.identity = Some(&identity);
    assert_eq!(wait(spawn(&what).unwrap()), Exit::Status(0));
    let text = String::from_utf8(read_memory_file(&mut out).unwrap()).unwrap();
    let (uid, gid) = (nobody.uid, nobody.gid);
    assert_eq!(text, format!("{uid}\n{gid}\n{gid} 12\n"));
}

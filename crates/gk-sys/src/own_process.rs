//! The process that calls: its name, its end. Nothing here touches another process.

use std::io;

/// Sets what `ps` shows: the thread name (15 bytes) and the command line, which is overwritten in place and therefore
/// cut to the bytes the original command line takes.
///
/// Call it only when nothing reads the original `argv` any more; CPython copies it at start-up.
pub fn set_title(title: &str) -> io::Result<()> {
    let short: Vec<u8> = title.bytes().filter(|b| *b != 0).take(15).collect();
    let short = std::ffi::CString::new(short).expect("NUL bytes were filtered out");
    rustix::thread::set_name(&short)?;
    let (start, end) = argument_area()?;
    let room = end - start;
    let mut area: Vec<u8> = title.bytes().filter(|b| *b != 0).take(room.saturating_sub(1)).collect();
    area.resize(room, 0);
    // SAFETY: the kernel named this range as this process's argument strings, which live in the writable stack pages
    // for as long as the process; `area` has exactly that length and lies elsewhere.
    unsafe { std::ptr::copy_nonoverlapping(area.as_ptr(), start as *mut u8, room) };
    Ok(())
}

/// Ends the process without running anything more: no destructors, no exit functions, no interpreter finalisation. For a
/// process in which other threads may be inside code that must not see those.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: ends the process; nothing of it is used afterwards.
    unsafe { libc::_exit(code) }
}

/// Address range of the argument strings (`arg_start`, `arg_end` of proc(5)).
fn argument_area() -> io::Result<(usize, usize)> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let bad =
        || io::Error::new(io::ErrorKind::InvalidData, "/proc/self/stat does not name the argument area");
    // Field 2, the command, may hold blanks and parentheses; field 3 follows the last closing one.
    let after = stat.rsplit_once(") ").ok_or_else(bad)?.1;
    let field = |n: usize| after.split(' ').nth(n - 3)?.trim().parse::<usize>().ok();
    let (start, end) = field(48).zip(field(49)).ok_or_else(bad)?;
    if start == 0 || end <= start || end - start > 1 << 20 { Err(bad()) } else { Ok((start, end)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_title_shows_in_the_command_line() {
        // Under cargo-nextest each test has its own process; the test harness no longer reads its arguments here.
        set_title("(t:x)").unwrap();
        let line = std::fs::read("/proc/self/cmdline").unwrap();
        assert!(line.starts_with(b"(t:x)\0"), "{line:?}");
    }
}

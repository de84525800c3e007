//! The pages of this library's own machine code. Nothing here changes what the process does, only what it keeps mapped.

use std::io;

/// Lets go of the code pages that are mapped, and comes back to each when it runs again.
///
/// Start-up runs much code that serving does not, and the kernel maps sixteen pages around each one touched. The pages
/// stay in the page cache, so that coming back costs a minor fault each.
pub fn forget() -> io::Result<()> {
    let here = forget as fn() -> io::Result<()> as usize;
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let Some((start, end)) =
        maps.lines().filter_map(code).find(|(start, end)| (*start..*end).contains(&here))
    else {
        return Ok(());
    };
    // SAFETY: a mapping of a file that is executable and was never writable, as `code` made sure: it holds nothing but the
    // file's bytes, which the kernel reads again at the next touch, also of the code that runs right now.
    let status = unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED) };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Start and end of a mapping of proc(5)'s `maps`, if it is code that comes from a file.
fn code(line: &str) -> Option<(usize, usize)> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let file = fields.next()? == "r-xp" && fields.nth(2)? != "0";
    let number = |text| usize::from_str_radix(text, 16).ok();
    if file { number(start).zip(number(end)) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_from_a_file_is_let_go() {
        let line = "7f00-7f10 r-xp 00001000 08:01 42 /usr/lib/x.so";
        assert_eq!(code(line), Some((0x7f00, 0x7f10)));
        for other in [line.replace("r-xp", "r--p"), line.replace("r-xp", "rwxp"), line.replace(" 42 ", " 0 ")]
        {
            assert_eq!(code(&other), None);
        }
    }

    #[test]
    fn the_code_still_runs_afterwards() {
        forget().unwrap();
        forget().unwrap();
    }
}

//! Colours of a log at a terminal: the level of a line of the error log, the status of one of the access log.

use super::terminal::parts;

const RESET: &str = "\x1b[0m";
const DIM: &str = "\x1b[2m";

/// Whether a person at this terminal wants colours: not with `NO_COLOR`, and not where the terminal has none.
pub(super) fn wanted() -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    set("NO_COLOR").is_none() && set("TERM").is_some_and(|term| term != "dumb")
}

/// Lines with colours. They hold no control characters before.
pub(super) fn paint(lines: &str) -> String {
    let mut out = String::with_capacity(lines.len() + lines.len() / 2);
    for line in lines.split_inclusive('\n') {
        match (parts(line), status(line)) {
            (Some((_, source, text)), _) => error_line(line, source, text, &mut out),
            (None, Some(at)) => {
                let (before, rest) = line.split_at(at);
                let (status, after) = rest.split_at(3);
                out.push_str(&[before, of_status(status), status, RESET, after].concat());
            }
            (None, None) => out.push_str(line),
        }
    }
    out
}

fn error_line(line: &str, source: &str, text: &str, out: &mut String) {
    let brackets = line.strip_suffix(text).unwrap_or(line);
    let level = source.split_once(']').map_or(source, |(module, _)| module);
    let level = level.rsplit_once(':').map_or(level, |(_, level)| level);
    let Some(colour) = of_level(level) else { return out.push_str(line) };
    // `[time] [module:level] [pid …] …`: the second pair of brackets has the colour.
    let (time, rest) = brackets.split_once("] [").unwrap_or((brackets, ""));
    let (module, rest) = rest.split_once(']').unwrap_or((rest, ""));
    out.push_str(
        &[DIM, time, "]", RESET, " ", colour, "[", module, "]", RESET, DIM, rest, RESET, text].concat(),
    );
}

fn of_level(name: &str) -> Option<&'static str> {
    match name {
        "emerg" | "alert" | "crit" => Some("\x1b[1;31m"),
        "error" => Some("\x1b[31m"),
        "warn" => Some("\x1b[33m"),
        "notice" => Some("\x1b[36m"),
        "info" => Some("\x1b[32m"),
        "debug" | "trace" => Some(DIM),
        _ => None,
    }
}

/// Place of the status in a line of an access log: three digits behind the quoted request, or where `gilkeeper dev` has them.
fn status(line: &str) -> Option<usize> {
    // A quote in the request has a backslash before it.
    let quotes = line.match_indices("\" ").filter(|(at, _)| !line[..*at].ends_with('\\'));
    quotes.map(|(at, _)| at + 2).find(|at| is_status(&line[*at..])).or_else(|| status_of_dev(line))
}

fn is_status(text: &str) -> bool {
    let text = text.as_bytes();
    text.len() > 3
        && (b'1'..=b'5').contains(&text[0])
        && text[1..3].iter().all(u8::is_ascii_digit)
        && matches!(text[3], b' ' | b'\n')
}

/// `METHOD URL STATUS N bytes N ms`.
fn status_of_dev(line: &str) -> Option<usize> {
    let mut before = line.strip_suffix(" ms\n")?;
    for end in ["", " bytes"] {
        let number = before.strip_suffix(end)?.rsplit_once(' ')?;
        before = number.1.bytes().all(|byte| byte.is_ascii_digit()).then_some(number.0)?;
    }
    let at = before.rfind(' ')? + 1;
    is_status(&line[at..]).then_some(at)
}

fn of_status(status: &str) -> &'static str {
    match status.as_bytes().first() {
        Some(b'5') => "\x1b[1;31m",
        Some(b'4') => "\x1b[33m",
        Some(b'3') => "\x1b[36m",
        _ => "\x1b[32m",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn level_and_status_have_colours_and_nothing_else_changes() {
        let head = "[Sun Nov 29 16:00:00.000001 2026]";
        for (line, colour, part) in [
            (
                format!("{head} [wsgi:error] [pid 7:tid 1] [client ::1:9] [request a1] WSGI0174: no\n"),
                "\x1b[31m",
                "[wsgi:error]",
            ),
            (format!("{head} [front:warn] [pid 7] slow\n"), "\x1b[33m", "[front:warn]"),
            (
                "127.0.0.1 - - [29/Nov/2026:16:00:00 +0000] \"GET / HTTP/1.1\" 200 12\n".to_owned(),
                "\x1b[32m",
                "200",
            ),
            ("::1 - - [x] \"GET /\\\" 404 HTTP/1.1\" 503 - \"-\" \"curl\"\n".to_owned(), "\x1b[1;31m", "503"),
            // Reported: the lines of `gilkeeper dev` had no colour.
            ("GET /a 100 bytes 404 12 bytes 0 ms\n".to_owned(), "\x1b[33m", "404"),
            ("it took 200 12 bytes of 9 ms\n".to_owned(), "", ""),
            ("  File \"x.py\", line 200, in f\n".to_owned(), "", ""),
            ("{\"time\":\"x\",\"status\":200}\n".to_owned(), "", ""),
            ("time=x level=error status=200\n".to_owned(), "", ""),
        ] {
            let painted = paint(&line);
            let mut bare = painted.clone();
            for escape in [RESET, DIM, "\x1b[31m", "\x1b[33m", "\x1b[32m", "\x1b[1;31m"] {
                bare = bare.replace(escape, "");
            }
            assert_eq!(bare, line);
            assert!(
                painted.contains(&format!("{colour}{part}{}", if colour.is_empty() { "" } else { RESET })),
                "{painted:?}"
            );
            assert_eq!(painted == line, colour.is_empty(), "{painted:?}");
        }
    }
}

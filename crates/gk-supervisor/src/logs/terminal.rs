//! Lines of a log as a person reads them at a terminal: the words in brackets stand before the first line of a message only.

/// First line of a traceback.
const TRACEBACK: &str = "Traceback (most recent call last):";

/// The last words in brackets that were written.
#[derive(Debug, Default)]
pub(super) struct Folding {
    /// Time, and the rest: module, level, process and thread.
    last: Option<(String, String)>,
    /// Lines of a traceback are being written. Its last one is not indented.
    in_traceback: bool,
}

impl Folding {
    /// Lines without the brackets that repeat those before: of one message; of indented lines that a thread writes one after the other;
    /// and of a traceback that the application prints line by line.
    pub(super) fn fold(&mut self, lines: &str) -> String {
        let mut out = String::with_capacity(lines.len());
        for line in lines.split_inclusive('\n') {
            let Some((time, source, text)) = parts(line) else {
                self.last = None;
                self.in_traceback = false;
                out.push_str(line);
                continue;
            };
            let is_indented = text.starts_with("  ");
            let repeats = self.last.as_ref().is_some_and(|(last_time, last_source)| {
                last_source == source && (last_time == time || is_indented || self.in_traceback)
            });
            self.in_traceback = text.starts_with(TRACEBACK) || self.in_traceback && repeats && is_indented;
            if repeats {
                out.push_str(text);
                continue;
            }
            self.last = Some((time.to_owned(), source.to_owned()));
            out.push_str(line);
        }
        out
    }
}

/// Time, source and text of a line in Apache's form. Client and request are parts of the source.
pub(super) fn parts(line: &str) -> Option<(&str, &str, &str)> {
    let rest = line.strip_prefix('[')?;
    let (time, rest) = rest.split_once("] [")?;
    let pid = rest.find("] [pid ")?;
    let mut end = pid + 1 + rest[pid + 1..].find(']')?;
    for more in ["] [client ", "] [request "] {
        if rest[end..].starts_with(more) {
            end = end + 1 + rest[end + 1..].find(']')?;
        }
    }
    Some((time, &rest[..end], rest[end + 1..].strip_prefix(' ')?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reported: at a terminal each line of a traceback had a hundred characters before it.
    #[test]
    fn only_the_first_line_of_a_message_has_its_brackets() {
        let head = |micros: u32, tid: u32| {
            format!("[Sun Nov 29 16:00:00.{micros:06} 2026] [wsgi:error] [pid 7:tid {tid}]")
        };
        let (a, b, c, other) = (head(1, 1), head(2, 1), head(3, 1), head(3, 2));
        let lines = format!(
            "{a} [WSGI0174] Traceback (most recent call last):\n{a}   File \"x.py\", line 1\n{a} ValueError: no\n\
             {b} Traceback\n{c}   File\n{other}   elsewhere\nno form\n{other} last\n\
             {a} [client ::1:9] one\n{a} [client ::1:9] two\n{a} [client ::1:8] three\n\
             {a} [client ::1:8] [request a1] four\n{a} [client ::1:8] [request a1] five\n"
        );
        let wanted = format!(
            "{a} [WSGI0174] Traceback (most recent call last):\n  File \"x.py\", line 1\nValueError: no\n\
             {b} Traceback\n  File\n{other}   elsewhere\nno form\n{other} last\n\
             {a} [client ::1:9] one\ntwo\n{a} [client ::1:8] three\n\
             {a} [client ::1:8] [request a1] four\nfive\n"
        );
        assert_eq!(Folding::default().fold(&lines), wanted);
        // Reported: the last line of a traceback had its brackets again. Met with `traceback.print_exc()`, which writes line by line.
        let printed = format!(
            "{a} {TRACEBACK}\n{b}   File\n{c} ValueError: no\n{b} next\n{c} {TRACEBACK}\n{other} elsewhere\n"
        );
        let folded = format!(
            "{a} {TRACEBACK}\n  File\nValueError: no\n{b} next\n{c} {TRACEBACK}\n{other} elsewhere\n"
        );
        assert_eq!(Folding::default().fold(&printed), folded);
        // In pieces as well.
        let mut folding = Folding::default();
        let pieces: String = lines.split_inclusive('\n').map(|line| folding.fold(line)).collect();
        assert_eq!(pieces, wanted);
    }
}

//! Tracebacks as a person reads them at a terminal: without the frames in which the server and the import system load an application.

/// Files of such frames.
const OWN: [&str; 4] = ["\"<gilkeeper>\"", "\"<frozen importlib", "\"<frozen runpy", "\"<frozen zipimport"];
/// Ends of the names of files whose frames are left out, too: the import system in the standard library, and `gilkeeper dev`.
const ENDS: [&str; 2] = ["/importlib/__init__.py\", line ", "/gilkeeper/dev.py\", line "];

/// The filter of one log.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    /// Spaces before the last frame, which was left out, and so are its lines of source.
    skipped: Option<usize>,
}

impl Frames {
    /// Whole lines without the frames that are left out.
    pub(crate) fn without_own(&mut self, lines: &str) -> String {
        let mut out = String::with_capacity(lines.len());
        for line in lines.split_inclusive('\n') {
            // Within a message of the supervisor a traceback is indented further.
            let text = line.trim_start_matches(' ');
            let indent = line.len() - text.len();
            self.skipped = match text.strip_prefix("File ") {
                Some(file) => {
                    let is_own = OWN.iter().any(|own| file.starts_with(own))
                        || ENDS.iter().any(|end| file.contains(end));
                    Some(indent).filter(|_| is_own && indent >= 2)
                }
                None => self.skipped.filter(|frame| indent > *frame),
            };
            if self.skipped.is_none() {
                out.push_str(line);
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reported: five frames of the server and of importlib stood before the first of the application. Met by everybody whose
    /// application cannot be imported.
    #[test]
    fn frames_of_the_application_stay() {
        let text = "Traceback (most recent call last):\n  File \"<gilkeeper>\", line 26, in import_module\n\
            \x20 File \"/usr/lib/python3.14/importlib/__init__.py\", line 88, in import_module\n\
            \x20   return _bootstrap._gcd_import(name[level:], package, level)\n           ~~~~^^^^\n\
            \x20 File \"<frozen importlib._bootstrap>\", line 1398, in _gcd_import\n\
            \x20 File \"/srv/app.py\", line 1, in <module>\n    import gone\n\
            ModuleNotFoundError: No module named 'gone'\n    not a frame\n";
        let wanted = "Traceback (most recent call last):\n  File \"/srv/app.py\", line 1, in <module>\n    import gone\n\
            ModuleNotFoundError: No module named 'gone'\n    not a frame\n";
        assert_eq!(Frames::default().without_own(text), wanted);
        let deeper = |text: &str| text.lines().map(|line| format!("    {line}\n")).collect::<String>();
        assert_eq!(Frames::default().without_own(&deeper(text)), deeper(wanted));
        let mut frames = Frames::default();
        let pieces: String = text.split_inclusive('\n').map(|line| frames.without_own(line)).collect();
        assert_eq!(pieces, wanted);
    }
}

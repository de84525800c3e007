//! Results on disk, one line of JSON each, written at once, so that a killed run loses one trial. The first line identifies the
//! plan.

use crate::plan::Plan;
use crate::trial::machine::Machine;
use crate::trial::sample::Sample;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// One line of a results file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SavedLine {
    /// The first line.
    Plan(ResultsHeader),
    /// A trial.
    Sample(Box<Sample>),
    /// A variant that could not be measured.
    Problem(Problem),
}

/// The plan that results belong to, and the machine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ResultsHeader {
    /// The plan's file name.
    pub name: String,
    /// Hash of everything that decides what is measured.
    pub fingerprint: String,
    /// The machine it runs on.
    pub machine: Machine,
    /// Epoch seconds.
    pub begun: f64,
}

/// A variant that could not be measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// Its name.
    pub variant: String,
    /// In one sentence.
    pub why: String,
}

/// The results of one plan.
#[derive(Debug)]
pub struct Saved {
    path: PathBuf,
    file: File,
    /// The first line.
    pub header: ResultsHeader,
    /// Trials so far.
    pub samples: Vec<Sample>,
    /// Variants that could not be measured in this run.
    pub problems: Vec<Problem>,
}

/// FNV-1a over everything that decides what is measured, as hexadecimal digits.
pub fn fingerprint(parts: &[impl AsRef<[u8]>]) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for part in parts.iter().map(AsRef::as_ref) {
        let length = (part.len() as u64).to_le_bytes();
        for byte in part.iter().chain(&length) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    format!("{hash:016x}")
}

impl ResultsHeader {
    /// For a plan, its text, and the other arguments of the command. Machine and files are in the fingerprint: results from another
    /// machine or from files that changed since do not count. The number of rounds is not: more rounds continue the same results.
    pub fn of(plan: &Plan, name: &str, text: &str, more: &[String]) -> Result<Self, String> {
        let machine = Machine::this();
        let mut parts = vec![text.as_bytes().to_vec(), format!("{machine:?}").into_bytes()];
        parts.extend(more.iter().map(|text| text.as_bytes().to_vec()));
        for path in plan.files() {
            let bytes = gk_sys::whole_file::read(&path);
            parts.push(bytes.map_err(|why| format!("{} cannot be read: {why}", path.display()))?);
        }
        let begun = gk_sys::clock::epoch_seconds();
        Ok(Self { name: name.to_owned(), fingerprint: fingerprint(&parts), machine, begun })
    }
}

impl Saved {
    /// Opens the results at `path` and keeps those of the same plan; with `again` none. Results of another plan are an error.
    pub fn open(path: &Path, header: ResultsHeader, again: bool) -> Result<Self, String> {
        let shown = path.display();
        let there = match gk_sys::whole_file::read(path) {
            _ if again => None,
            Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            Err(why) if why.kind() == ErrorKind::NotFound => None,
            Err(why) => return Err(format!("{shown} cannot be read: {why}")),
        };
        let mut samples = Vec::new();
        if let Some(text) = there.as_deref().filter(|text| !text.is_empty()) {
            let mut lines = text.lines();
            match lines.next().map(serde_json::from_str::<SavedLine>) {
                Some(Ok(SavedLine::Plan(old))) if old.fingerprint == header.fingerprint => {}
                Some(Ok(SavedLine::Plan(_))) => {
                    return Err(format!(
                        "{shown} holds results of another plan or machine, or of this plan before it or one of its files changed: \
                         --again starts over, --out names another file"
                    ));
                }
                _ => return Err(format!("{shown} is there and holds no results; --out names another file")),
            }
            // The last line may be cut off: the run was killed while it was written.
            samples.extend(lines.filter_map(|line| match serde_json::from_str(line) {
                Ok(SavedLine::Sample(sample)) => Some(*sample),
                _ => None,
            }));
        }
        let failed = |why: std::io::Error| format!("{shown} cannot be written: {why}");
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        // The file is rewritten: a cut-off line goes, and variants with problems are tried again. The new file replaces the old one
        // when it is complete; a pipe or device is written directly.
        let plain = std::fs::metadata(path).is_ok_and(|found| found.is_file());
        let real = path.canonicalize().ok().filter(|_| plain);
        let new = real.as_deref().map(|real| {
            let mut name = real.as_os_str().to_owned();
            name.push(".new");
            PathBuf::from(name)
        });
        let file = File::create(new.as_deref().unwrap_or(path)).map_err(failed)?;
        let mut saved =
            Self { path: path.to_owned(), file, header, samples: Vec::new(), problems: Vec::new() };
        saved.write(&SavedLine::Plan(saved.header.clone()))?;
        for sample in samples {
            saved.add(sample)?;
        }
        if let (Some(new), Some(real)) = (new, real) {
            saved.file.sync_all().and_then(|()| std::fs::rename(new, real)).map_err(failed)?;
        }
        Ok(saved)
    }

    fn write(&mut self, line: &SavedLine) -> Result<(), String> {
        let mut text = serde_json::to_string(line).map_err(|why| why.to_string())?;
        text.push('\n');
        let failed = |why: std::io::Error| format!("{} cannot be written: {why}", self.path.display());
        self.file.write_all(text.as_bytes()).map_err(failed)
    }

    /// Saves a trial.
    pub fn add(&mut self, sample: Sample) -> Result<(), String> {
        self.write(&SavedLine::Sample(Box::new(sample.clone())))?;
        self.samples.push(sample);
        Ok(())
    }

    /// Saves the reason why a variant cannot be measured.
    pub fn complain(&mut self, variant: &str, why: &str) -> Result<(), String> {
        let problem = Problem { variant: variant.into(), why: why.into() };
        self.write(&SavedLine::Problem(problem.clone()))?;
        self.problems.push(problem);
        Ok(())
    }

    /// Whether this trial has a result.
    pub fn has(&self, round: u32, variant: &str, form: &str) -> bool {
        self.samples.iter().any(|s| s.round == round && s.variant == variant && s.form == form)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_run_is_resumed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/r.jsonl");
        let header =
            |text: &str| ResultsHeader { fingerprint: fingerprint(&[text]), ..ResultsHeader::default() };
        let sample = |round| Sample { round, variant: "a".into(), form: "f".into(), ..Sample::default() };
        let mut saved = Saved::open(&path, header("plan"), false).unwrap();
        saved.add(sample(1)).unwrap();
        saved.complain("b", "no").unwrap();
        saved.add(sample(2)).unwrap();
        drop(saved);
        // Killed in the middle of a line.
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();
        let saved = Saved::open(&path, header("plan"), false).unwrap();
        assert!(saved.has(1, "a", "f") && !saved.has(2, "a", "f") && !saved.has(1, "b", "f"));
        assert!(saved.problems.is_empty());
        let other = Saved::open(&path, header("another"), false).unwrap_err();
        assert!(other.contains("--again") && !other.contains('\n'), "{other}");
        assert!(Saved::open(&path, header("another"), true).unwrap().samples.is_empty());
        std::fs::write(&path, "junk\n").unwrap();
        assert!(Saved::open(&path, header("plan"), false).unwrap_err().contains("holds no results"));
    }

    #[test]
    fn results_stay_when_they_cannot_be_read_or_rewritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.jsonl");
        let mut saved = Saved::open(&path, ResultsHeader::default(), false).unwrap();
        saved.add(Sample { round: 1, ..Sample::default() }).unwrap();
        drop(saved);
        let before = std::fs::read(&path).unwrap();
        // A folder at the place of the new file makes writing fail.
        std::fs::create_dir(folder.path().join("r.jsonl.new")).unwrap();
        assert!(
            Saved::open(&path, ResultsHeader::default(), false).unwrap_err().contains("cannot be written")
        );
        assert_eq!(std::fs::read(&path).unwrap(), before);
        std::fs::remove_dir(folder.path().join("r.jsonl.new")).unwrap();
        assert_eq!(Saved::open(&path, ResultsHeader::default(), false).unwrap().samples.len(), 1);
        assert!(!folder.path().join("r.jsonl.new").exists());
        // An unreadable file is not treated as a missing one.
        let why = Saved::open(folder.path(), ResultsHeader::default(), false).unwrap_err();
        assert!(why.contains("cannot be read"), "{why}");
    }

    #[test]
    fn results_belong_to_the_machine_and_the_contents_of_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let text = "[workload]\nscript = 'app.py:make'\n[[workload.request]]\npath = '/'\nbody-file = 'b'\n\
                    [[variant]]\nname = 'a'\n";
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("app.py", "1");
        write("b", "1");
        let plan = Plan::parse(text, "p.toml", folder.path()).unwrap();
        let print = |more: &[String]| ResultsHeader::of(&plan, "p.toml", text, more).unwrap().fingerprint;
        let first = print(&[]);
        assert_eq!(first, print(&[]));
        assert_ne!(first, print(&["short".into()]));
        for name in ["app.py", "b"] {
            write(name, "2");
            assert_ne!(first, print(&[]), "{name}");
            write(name, "1");
        }
        assert_eq!(first, print(&[]));
        assert_ne!(fingerprint(&["a", "b"]), fingerprint(&["ab", ""]));
    }
}

//! Results on disk: one line of JSON each, written as soon as there is one, so that a run that is killed loses one trial. The
//! first line says which plan they belong to.

use crate::machine::Machine;
use crate::sample::Sample;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Line {
    /// The first one.
    Plan(Header),
    /// A trial.
    Sample(Box<Sample>),
    /// A variant that could not be measured.
    Problem(Problem),
}

/// Which plan, and where.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The plan's file name.
    pub name: String,
    /// Tells plans apart.
    pub fingerprint: String,
    /// What it runs on.
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
    pub header: Header,
    /// Trials so far.
    pub samples: Vec<Sample>,
    /// Variants that could not be measured in this run.
    pub problems: Vec<Problem>,
}

/// A short text that two plans hardly share: FNV-1a over everything that decides what is measured.
pub fn fingerprint(texts: &[&str]) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in texts.iter().flat_map(|text| text.bytes().chain([0])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{hash:016x}")
}

impl Saved {
    /// Opens the results at `path`: those that are there are taken up if they are of the same plan, unless `again` asks for new
    /// ones.
    pub fn open(path: &Path, header: Header, again: bool) -> Result<Self, String> {
        let shown = path.display();
        let there = if again { None } else { std::fs::read_to_string(path).ok() };
        let mut samples = Vec::new();
        if let Some(text) = there.as_deref().filter(|text| !text.is_empty()) {
            let mut lines = text.lines();
            match lines.next().map(serde_json::from_str::<Line>) {
                Some(Ok(Line::Plan(old))) if old.fingerprint == header.fingerprint => {}
                Some(Ok(Line::Plan(_))) => {
                    return Err(format!(
                        "{shown} holds results of another plan, or of this one before it was changed: --again measures \
                         anew, --out names another file"
                    ));
                }
                _ => return Err(format!("{shown} is there and holds no results; --out names another file")),
            }
            // The last line may be cut off: the run was killed while it was written.
            samples.extend(lines.filter_map(|line| match serde_json::from_str(line) {
                Ok(Line::Sample(sample)) => Some(*sample),
                _ => None,
            }));
        }
        let failed = |why: std::io::Error| format!("{shown} cannot be written: {why}");
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        // Written anew: what was cut off goes, and problems are tried again.
        let begun = File::create(path).map_err(failed)?;
        drop(begun);
        let file = OpenOptions::new().append(true).open(path).map_err(failed)?;
        let mut saved =
            Self { path: path.to_owned(), file, header, samples: Vec::new(), problems: Vec::new() };
        saved.write(&Line::Plan(saved.header.clone()))?;
        for sample in samples {
            saved.add(sample)?;
        }
        Ok(saved)
    }

    fn write(&mut self, line: &Line) -> Result<(), String> {
        let mut text = serde_json::to_string(line).map_err(|why| why.to_string())?;
        text.push('\n');
        let failed = |why: std::io::Error| format!("{} cannot be written: {why}", self.path.display());
        self.file.write_all(text.as_bytes()).map_err(failed)
    }

    /// Keeps a trial.
    pub fn add(&mut self, sample: Sample) -> Result<(), String> {
        self.write(&Line::Sample(Box::new(sample.clone())))?;
        self.samples.push(sample);
        Ok(())
    }

    /// Keeps what went wrong.
    pub fn complain(&mut self, variant: &str, why: &str) -> Result<(), String> {
        let problem = Problem { variant: variant.into(), why: why.into() };
        self.write(&Line::Problem(problem.clone()))?;
        self.problems.push(problem);
        Ok(())
    }

    /// This trial is there.
    pub fn has(&self, round: u32, variant: &str, form: &str) -> bool {
        self.samples.iter().any(|s| s.round == round && s.variant == variant && s.form == form)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_run_is_taken_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/r.jsonl");
        let header = |text: &str| Header { fingerprint: fingerprint(&[text]), ..Header::default() };
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
}

//! An application's folder for the tests of `doctor`, with installed packages beside it whose extension modules are compiled on the spot.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub fn python() -> PathBuf {
    std::env::var_os("PYO3_PYTHON").unwrap_or_else(|| "python3".into()).into()
}

/// What the tests must know of it.
pub struct Build {
    pub minor: u32,
    pub free_threaded: bool,
    pub include: String,
    pub suffix: String,
}

pub fn build() -> Build {
    let question = "import sys, sysconfig as c; print(sys.version_info[1], 't' in sys.abiflags, \
                    c.get_path('include'), c.get_config_var('EXT_SUFFIX'))";
    let output = Command::new(python()).args(["-I", "-c", question]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let words: Vec<&str> = text.split_whitespace().collect();
    Build {
        minor: words[0].parse().unwrap(),
        free_threaded: words[1] == "True",
        include: words[2].to_owned(),
        suffix: words[3].to_owned(),
    }
}

/// An application's folder with installed packages beside it.
pub struct Site {
    pub dir: tempfile::TempDir,
    pub build: Build,
}

impl Site {
    pub fn new(script: &str) -> Self {
        let site = Self { dir: tempfile::tempdir().unwrap(), build: build() };
        fs::create_dir(site.installed()).unwrap();
        fs::write(site.dir.path().join("wsgi.py"), script).unwrap();
        site
    }

    pub fn installed(&self) -> PathBuf {
        self.dir.path().join("site-packages")
    }

    /// Compiles one extension module into the installed packages; `at` is its path there without the suffix.
    pub fn extension(&self, at: &str, flags: &[&str]) {
        let target = self.installed().join(format!("{at}{}", self.build.suffix));
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        let name = at.rsplit('/').next().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/extensions/kinds.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O0", "-I", &self.build.include, &format!("-DNAME={name}")]);
        compiler.args(flags.iter().map(|flag| format!("-D{flag}")));
        let output = compiler.arg("-o").arg(&target).arg(source).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// A package with an extension module `_speed`, installed as a distribution; `text` is its `__init__.py`.
    pub fn package(&self, name: &str, flags: &[&str], text: &str) {
        self.extension(&format!("{name}/_speed"), flags);
        let write = |name: &str, text: &str| {
            let path = self.installed().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(&format!("{name}/__init__.py"), text);
        let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: 2.5\n");
        write(&format!("{name}-2.5.dist-info/METADATA"), &metadata);
        let record = format!("{name}/__init__.py,,\n{name}/_speed{},,\n", self.build.suffix);
        write(&format!("{name}-2.5.dist-info/RECORD"), &record);
    }

    /// A package whose C part is optional.
    pub fn package_with_fallback(&self) {
        let text = "try:\n    from . import _speed\nexcept ImportError:\n    _speed = None\n";
        self.package("pack", &[], text);
    }

    pub fn doctor(&self, more: &[&str]) -> Output {
        self.ask(&[&["--format", "json"], more].concat())
    }

    pub fn ask(&self, more: &[&str]) -> Output {
        self.without_script(&[&["wsgi.py", "--python-path", "site-packages"], more].concat())
    }

    /// The doctor with these words alone.
    pub fn without_script(&self, words: &[&str]) -> Output {
        let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../python/gilkeeper");
        let mut command = Command::new(env!("CARGO_BIN_EXE_gilkeeper"));
        command.arg("doctor").args(words);
        command
            .current_dir(self.dir.path())
            .env("GILKEEPER_DEV_PYTHON", python())
            .env("GILKEEPER_DEV_PACKAGE", package);
        command.env_remove("PYTHON_GIL").output().unwrap()
    }

    pub fn report(&self, more: &[&str]) -> (Value, Option<i32>) {
        let output = self.doctor(more);
        let report = serde_json::from_slice(&output.stdout);
        (report.unwrap_or_else(|e| panic!("{e}: {}", text(&output.stderr))), output.status.code())
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

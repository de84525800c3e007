//! Reads a configuration from the real file system and prints the report: `cargo run -p gk-config --example check --
//! FILE [--json]`. The product's own command is `gilkeeper check`; this one needs nothing but this crate.

use gk_config::source::Source;
use gk_config::{Surroundings, load, report};
use std::path::{Path, PathBuf};

struct Disk;

impl Source for Disk {
    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        std::fs::read(path).map_err(|why| why.to_string())
    }

    fn glob(&self, pattern: &Path) -> Result<Vec<PathBuf>, String> {
        gk_config::source::expand(pattern, &|folder| {
            let entries = std::fs::read_dir(folder).map_err(|why| why.to_string())?;
            Ok(entries.flatten().map(|entry| (entry.file_name(), entry.path().is_dir())).collect())
        })
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(file) = arguments.first() else {
        eprintln!("give the path of a configuration file");
        return;
    };
    let directory = std::env::current_dir().expect("there is a working directory");
    let surroundings =
        Surroundings { directory, environment: std::env::vars().collect(), ..Surroundings::default() };
    let loaded = load(Path::new(file), &Disk, &surroundings);
    let json = arguments.iter().any(|a| a == "--json");
    println!("{}", if json { report::json(&loaded) } else { report::text(&loaded) });
}

//! What the disk has at a path, as routing asks it.

use gk_config::place::{Files, Kind};
use gk_rules::content::served::Links;
use std::path::Path;

use crate::answer::files::links::{self, Blocked};

/// Files on disk.
pub struct FileSystem;

impl Files for FileSystem {
    fn kind(&self, path: &Path) -> Kind {
        match std::fs::metadata(path) {
            Ok(meta) if meta.is_file() => Kind::File,
            Ok(meta) if meta.is_dir() => Kind::Directory,
            _ => Kind::Missing,
        }
    }

    fn refuses_link(&self, path: &Path, follows: &dyn Fn(&Path) -> Links) -> bool {
        matches!(links::reach(path, follows), Err(Blocked::Link(_)))
    }
}

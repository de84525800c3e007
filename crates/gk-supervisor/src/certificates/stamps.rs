//! Which files there are, and as what they are there: whether one of them has changed.

use super::files;
use gk_config::site::Site;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A file's device, number, length and time of its last change in nanoseconds, behind all links.
type Stamp = (u64, u64, u64, i128);

/// The files of a site's certificates with their stamps; `None`: not there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stamps(Vec<(PathBuf, Option<Stamp>)>);

impl Stamps {
    /// As the files are now.
    pub fn of(site: &Site) -> Self {
        let mut all: Vec<PathBuf> = Vec::new();
        for tls in site.hosts.iter().filter_map(|host| host.tls.as_ref()) {
            for one in &tls.certificates {
                all.push(one.certificate.clone());
                all.extend(one.key.clone());
                all.extend(one.chain.clone());
            }
            for (places, mark) in [(&tls.clients.authorities, ""), (&tls.clients.revocation, "r")] {
                for place in places {
                    all.extend(files::hashed(place, mark).unwrap_or_default());
                    all.push(place.clone());
                }
            }
            all.extend(tls.stapling.clone());
            all.extend(tls.ticket_key.clone());
        }
        all.sort();
        all.dedup();
        Self(all.into_iter().map(|path| (stamp(&path), path)).map(|(stamp, path)| (path, stamp)).collect())
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let meta = path.metadata().ok()?;
    let changed = i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec());
    Some((meta.dev(), meta.ino(), meta.len(), changed))
}

//! Descriptors for the connections of a load: the soft limit is raised while it runs; a load beyond the hard limit is refused before
//! it begins.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors needed beside the connections: epoll and timer of each thread, and those that `watch` opens.
const BESIDE: u64 = 64;

/// The raised limit. Dropping it restores the old one, because children inherit the limit.
#[derive(Debug)]
pub struct RaisedLimit(Option<Rlimit>);

impl RaisedLimit {
    /// Raises the limit for this many connections.
    pub fn make(connections: usize) -> Result<Self, String> {
        let limit = getrlimit(Resource::Nofile);
        let open = std::fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64);
        let Some(wanted) = raised(limit.current, limit.maximum, open, connections as u64)? else {
            return Ok(Self(None));
        };
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit })
            .map_err(|why| format!("{connections} connections want {wanted} open descriptors: {why}"))?;
        Ok(Self(Some(limit)))
    }
}

impl Drop for RaisedLimit {
    fn drop(&mut self) {
        if let Some(before) = self.0.take() {
            // Lowering a soft limit cannot fail.
            let _ = setrlimit(Resource::Nofile, before);
        }
    }
}

/// The soft limit that is needed, if it has to be raised. In the arguments `None` means no limit.
fn raised(soft: Option<u64>, hard: Option<u64>, open: u64, connections: u64) -> Result<Option<u64>, String> {
    let wanted = connections + open + BESIDE;
    match (soft, hard) {
        (Some(soft), _) if soft >= wanted => Ok(None),
        (None, _) => Ok(None),
        (_, Some(hard)) if hard < wanted => Err(format!(
            "{connections} connections want {wanted} open descriptors, and this process may have {hard}: raise the hard \
             limit (ulimit -Hn), or take fewer --connections"
        )),
        _ => Ok(Some(wanted)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_only_as_far_as_it_may() {
        assert_eq!(raised(Some(1024), Some(4096), 10, 900), Ok(None));
        assert_eq!(raised(Some(1024), Some(4096), 10, 2000), Ok(Some(2074)));
        assert_eq!(raised(Some(1024), None, 10, 2000), Ok(Some(2074)));
        assert_eq!(raised(None, None, 10, 2000), Ok(None));
        let why = raised(Some(1024), Some(1024), 10, 2000).unwrap_err();
        assert!(
            why.starts_with("2000 connections want 2074 open descriptors, and this process may have 1024")
        );
    }

    #[test]
    fn the_limit_is_restored_afterwards() {
        let before = getrlimit(Resource::Nofile);
        drop(RaisedLimit::make(1).unwrap());
        assert_eq!(getrlimit(Resource::Nofile), before);
    }
}

//! Division of the cores between generator and server. With fewer than four they are shared.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Smallest number of cores that is divided.
const DIVIDED: usize = 4;

/// The cores this thread may use.
pub fn allowed() -> Vec<usize> {
    match sched_getaffinity(None) {
        Ok(set) => (0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect(),
        Err(_) => Vec::new(),
    }
}

/// Divides the cores: (generator's, server's).
pub fn divide(cpus: &[usize], threads: usize) -> Option<(Vec<usize>, Vec<usize>)> {
    let threads = threads.max(1);
    if cpus.len() < DIVIDED || threads * 2 > cpus.len() {
        return None;
    }
    let (server, generator) = cpus.split_at(cpus.len() - threads);
    Some((generator.to_vec(), server.to_vec()))
}

/// The same with at most `server` cores for the server; the generator gets the rest.
pub fn share(cpus: &[usize], threads: usize, server: Option<usize>) -> Option<(Vec<usize>, Vec<usize>)> {
    match server.filter(|server| (1..cpus.len()).contains(server)) {
        None => divide(cpus, threads),
        Some(server) => {
            let (server, rest) = cpus.split_at(server);
            let mine = rest.len().saturating_sub(threads.max(1));
            Some((rest[mine..].to_vec(), server.to_vec()))
        }
    }
}

/// Pins the calling thread, and the threads and processes it starts later, to these cores. `false`: the kernel refuses.
pub fn keep_to(cpus: &[usize]) -> bool {
    let mut set = CpuSet::new();
    cpus.iter().filter(|cpu| **cpu < CpuSet::MAX_CPU).for_each(|cpu| set.set(*cpu));
    sched_setaffinity(None, &set).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_cores_are_shared_and_many_divided() {
        assert_eq!(divide(&[0, 1], 1), None);
        assert_eq!(divide(&[0, 1, 2, 5], 1), Some((vec![5], vec![0, 1, 2])));
        assert_eq!(divide(&[0, 1, 2, 3], 3), None);
        assert_eq!(share(&[0, 1], 1, Some(1)), Some((vec![1], vec![0])));
        assert_eq!(share(&[0, 1, 2, 5], 1, Some(2)), Some((vec![5], vec![0, 1])));
        assert_eq!(share(&[0, 1, 2, 5], 3, Some(2)), Some((vec![2, 5], vec![0, 1])));
        for all in [None, Some(0), Some(4), Some(9)] {
            assert_eq!(share(&[0, 1, 2, 5], 1, all), divide(&[0, 1, 2, 5], 1));
        }
        let mine = allowed();
        assert!(!mine.is_empty() && keep_to(&mine));
        assert_eq!(allowed(), mine);
    }
}

//! The control group of this process, of version 1 or 2: how many CPUs and how much memory it may use, what it uses, how often it was
//! held back, and how many of its processes the kernel killed for want of memory.
//!
//! A container sees its own group as the top one, a service of systemd its group below slices, and old runtimes the names of the
//! machine that are nowhere in the container. So the files are found by `/proc/self/cgroup` and `/proc/self/mountinfo` together. A
//! limit of a group above counts, too. The files are read below a root, which tests replace.

use std::fs;
use std::path::{Path, PathBuf};

/// Version 1 writes "no limit" as a number that is nearly the largest one.
const NO_LIMIT: u64 = 1 << 60;

/// The control group of a process, as the folders in which the kernel shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ControlGroup {
    cpu: Option<Levels>,
    memory: Option<Levels>,
}

/// The folders of one kind of limit.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Levels {
    /// Of version 2.
    unified: bool,
    /// The group's own folder first, then those above it, as far as they can be seen.
    folders: Vec<PathBuf>,
}

/// The limits of a control group, and what it has used.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Limits {
    /// CPUs that may be used: of the control group, or of the machine.
    pub cpus: f64,
    /// Bytes; `None` without a limit.
    pub memory: Option<u64>,
    /// Bytes used of that limit, without files that the kernel would drop first; `None` without a limit.
    pub memory_used: Option<u64>,
    /// Processes that the kernel has killed for want of memory, in this group and below it.
    pub memory_kills: Option<u64>,
    /// Periods in which the control group was throttled, and seconds for which.
    pub throttled: Option<(u64, f64)>,
}

/// The limits of this process's control group.
pub fn limits() -> Limits {
    ControlGroup::find(Path::new("/")).limits(processors())
}

/// Processors that this process may run on (`taskset`, a cpuset).
pub fn processors() -> usize {
    use rustix::thread::{CpuSet, sched_getaffinity};
    let allowed = |set: CpuSet| (0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).count();
    let known = sched_getaffinity(None).map(allowed).ok().filter(|count| *count > 0);
    known.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |count| count.get()))
}

impl ControlGroup {
    /// The control group of the calling process, with the files below `root`. One that cannot be found has no limits.
    pub fn find(root: &Path) -> Self {
        let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
        let (groups, mounts) = (read("proc/self/cgroup"), read("proc/self/mountinfo"));
        let levels = |controller: &str| {
            let (unified, mount, below) = folder(&groups, &mounts, controller)?;
            let top = root.join(mount.trim_start_matches('/'));
            let own = top.join(&below);
            // A group outside of the mount: its own folder is the mount.
            let own = if own.is_dir() { own } else { top.clone() };
            let folders = own.ancestors().take_while(|folder| folder.starts_with(&top)).map(Path::to_owned);
            Some(Levels { unified, folders: folders.collect() })
        };
        Self { cpu: levels("cpu"), memory: levels("memory") }
    }

    /// The limits and uses now. `processors`: those that the process may run on.
    pub fn limits(&self, processors: usize) -> Limits {
        let (memory, memory_used) = self.memory.as_ref().and_then(Levels::memory).unzip();
        let quota = self.cpu.as_ref().and_then(Levels::quota);
        Limits {
            cpus: quota.map_or(processors as f64, |quota| quota.min(processors as f64)),
            memory,
            memory_used: memory_used.flatten(),
            memory_kills: self.memory.as_ref().and_then(Levels::kills),
            throttled: self.cpu.as_ref().and_then(Levels::throttled),
        }
    }

    /// Processes that the kernel has killed for want of memory, in this group and below it.
    pub fn memory_kills(&self) -> Option<u64> {
        self.memory.as_ref()?.kills()
    }
}

impl Limits {
    /// As many processes as there are CPUs: a part of a CPU counts as one.
    pub fn whole_cpus(&self) -> u32 {
        (self.cpus.ceil() as u32).max(1)
    }
}

impl Levels {
    /// The narrowest quota, in CPUs.
    fn quota(&self) -> Option<f64> {
        let of = |folder: &PathBuf| match self.unified {
            true => quota(&text(folder, "cpu.max")?),
            false => {
                let (quota, period) = (text(folder, "cpu.cfs_quota_us")?, text(folder, "cpu.cfs_period_us")?);
                self::quota(&format!("{} {}", quota.trim(), period.trim()))
            }
        };
        self.folders.iter().filter_map(of).min_by(f64::total_cmp)
    }

    /// The narrowest limit in bytes, and how much of it is used.
    fn memory(&self) -> Option<(u64, Option<u64>)> {
        let (limit, used, dropped) = match self.unified {
            true => ("memory.max", "memory.current", "inactive_file"),
            false => ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        };
        let of = |folder: &PathBuf| {
            let limit = text(folder, limit)?.trim().parse().ok().filter(|limit| *limit < NO_LIMIT)?;
            Some((limit, folder.clone()))
        };
        let (limit, folder) = self.folders.iter().filter_map(of).min()?;
        let files = text(&folder, "memory.stat").and_then(|stat| field(&stat, dropped)).unwrap_or(0);
        let used = text(&folder, used).and_then(|used| used.trim().parse::<u64>().ok());
        Some((limit, used.map(|used| used.saturating_sub(files))))
    }

    fn kills(&self) -> Option<u64> {
        let name = if self.unified { "memory.events" } else { "memory.oom_control" };
        field(&text(self.folders.first()?, name)?, "oom_kill")
    }

    fn throttled(&self) -> Option<(u64, f64)> {
        let stat = text(self.folders.first()?, "cpu.stat")?;
        let seconds = match self.unified {
            true => field(&stat, "throttled_usec")? as f64 / 1e6,
            false => field(&stat, "throttled_time")? as f64 / 1e9,
        };
        Some((field(&stat, "nr_throttled")?, seconds))
    }
}

/// The folder of the controller's group: whether it is of version 2, the mount point, and the path below it. `groups` is
/// `/proc/self/cgroup`, `mounts` `/proc/self/mountinfo`. A controller that a hierarchy of version 1 has is not in version 2.
fn folder(groups: &str, mounts: &str, controller: &str) -> Option<(bool, String, PathBuf)> {
    let named = |list: &str| list.split(',').any(|name| name == controller);
    let lines = || groups.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
    let found = lines().find(|(controllers, _)| named(controllers));
    let unified = found.is_none();
    let (_, path) = found.or_else(|| lines().find(|(controllers, _)| controllers.is_empty()))?;
    let mount = mounts.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let [kind, _, options, ..] = right.split(' ').collect::<Vec<_>>()[..] else { return None };
        let fits = if unified { kind == "cgroup2" } else { kind == "cgroup" && named(options) };
        let mut words = left.split(' ').skip(3);
        fits.then_some((words.next()?, words.next()?))
    });
    let (root, point) = mount?;
    let below = Path::new(path).strip_prefix(root).unwrap_or(Path::new(""));
    let inside = below.components().all(|part| matches!(part, std::path::Component::Normal(_)));
    let below = if inside { below.to_owned() } else { PathBuf::new() };
    // The kernel writes a blank in a path as an octal number.
    Some((unified, point.replace("\\040", " "), below))
}

fn text(folder: &Path, name: &str) -> Option<String> {
    fs::read_to_string(folder.join(name)).ok()
}

/// CPUs of a quota: microseconds, or `max` or -1 for none, and the period.
fn quota(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    let (quota, period) = (quota.parse::<f64>().ok()?, period.parse::<f64>().ok()?);
    (quota > 0.0 && period > 0.0).then_some(quota / period)
}

/// The number of a line `name number`.
fn field(text: &str, name: &str) -> Option<u64> {
    let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok();
    text.lines().find_map(value)
}

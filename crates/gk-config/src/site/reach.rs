//! Which hosts may use a process group, and which group serves the requests that select none.

use super::{ProcessGroup, Site};

impl Site {
    /// Whether requests of the host may run in the group.
    pub fn reaches(&self, host: usize, group: &ProcessGroup) -> bool {
        reaches(host, group, |index| self.hosts.get(index)?.server_name.as_deref())
    }

    /// The group of a host's requests that select none.
    pub fn default_group(&self, host: usize) -> Option<&ProcessGroup> {
        default_group(self.groups.iter(), |group| self.reaches(host, group))
    }
}

/// A group is for every host if it is declared outside of the virtual hosts, else for its own and those of the same name.
pub(crate) fn reaches<'h>(
    host: usize,
    group: &ProcessGroup,
    name: impl Fn(usize) -> Option<&'h str>,
) -> bool {
    let Some(owner) = group.host.filter(|owner| *owner != host) else { return true };
    name(owner).is_some_and(|of_owner| name(host) == Some(of_owner))
}

/// The first group with request threads that the host may use. If it may use none, the first: a request for it is refused with its
/// name.
pub(crate) fn default_group<'g>(
    groups: impl Iterator<Item = &'g ProcessGroup> + Clone,
    reached: impl Fn(&ProcessGroup) -> bool,
) -> Option<&'g ProcessGroup> {
    let mut serving = groups.filter(|group| !group.service() && !group.is_front());
    serving.clone().find(|group| reached(group)).or_else(|| serving.next())
}

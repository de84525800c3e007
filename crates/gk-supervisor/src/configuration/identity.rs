//! The user and the groups that a process becomes, looked up by name in the parent, before anything is started.

use crate::StartError;
use gk_sys::child::identity::{self as system, Identity};

/// User and groups of a process; `None`: ours. `what`: the process, for messages.
pub fn resolve(
    what: &str,
    user: Option<&str>,
    group: Option<&str>,
    supplementary: Option<&[String]>,
) -> Result<Option<Identity>, StartError> {
    if user.is_none() && group.is_none() && supplementary.is_none() {
        return Ok(None);
    }
    let known = user.map(system::user);
    let (uid, name, home, primary) = match (known, user) {
        (Some(Some(u)), _) => (u.uid, Some(u.name), Some(u.home), u.gid),
        // An unknown user id is allowed, an unknown name is not.
        (Some(None), Some(text)) => match text.strip_prefix('#').and_then(|n| n.parse().ok()) {
            Some(uid) => (uid, None, None, system::effective_gid()),
            None => return Err(StartError(format!("{what}: there is no user '{text}'"))),
        },
        _ => {
            let uid = system::effective_uid();
            let own = system::user_by_id(uid);
            let home = own.as_ref().map(|u| u.home.clone());
            (uid, own.map(|u| u.name), home, system::effective_gid())
        }
    };
    if user.is_some() && uid == 0 {
        return Err(StartError(format!("{what}: user root is refused; name another user")));
    }
    let number = |text: &str| {
        system::group(text).ok_or_else(|| StartError(format!("{what}: there is no group '{text}'")))
    };
    let gid = group.map(number).transpose()?.unwrap_or(primary);
    let groups = match supplementary {
        Some(list) => list.iter().map(|text| number(text)).collect::<Result<_, _>>()?,
        None => name.as_ref().map_or_else(|| vec![gid], |name| system::groups_of(name, gid)),
    };
    if system::effective_uid() != 0 {
        // As in mod_wsgi: only root can change the user; other users keep theirs without an error.
        return Ok(None);
    }
    Ok(Some(Identity { uid, gid, groups, name, home }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_looked_up_and_bad_ones_refused() {
        assert_eq!(resolve("x", None, None, None), Ok(None));
        let unknown = resolve("process group 'x'", Some("no-such-user-here"), None, None).unwrap_err();
        assert_eq!(unknown.0, "process group 'x': there is no user 'no-such-user-here'");
        assert!(resolve("x", Some("root"), None, None).unwrap_err().0.contains("root is refused"));
        let group = resolve("x", Some("nobody"), Some("no-such-group-here"), None).unwrap_err();
        assert!(group.0.contains("there is no group 'no-such-group-here'"));
    }
}

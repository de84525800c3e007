//! What the options about who, where and which Python check and set.

use super::Given;
use crate::diagnostic::Complaint;
use crate::directive::Applied;
use crate::site::ProcessGroup;
use crate::values;

pub(super) fn user(group: &mut ProcessGroup, given: &Given) -> Applied {
    if given.text == "root" || given.text == "#0" {
        let message = "user= may not be root";
        return Err(Complaint::error(message)
            .at(given.word)
            .hint("name the user the application belongs to"));
    }
    group.user = Some(values::identity(&given.what, given.word, given.text)?);
    Ok(())
}

pub(super) fn group(group: &mut ProcessGroup, given: &Given) -> Applied {
    group.group = Some(values::identity(&given.what, given.word, given.text)?);
    Ok(())
}

pub(super) fn supplementary_groups(group: &mut ProcessGroup, given: &Given) -> Applied {
    let names = given.text.split(',').map(str::trim).filter(|name| !name.is_empty());
    let names = names.map(|name| values::identity(&given.what, given.word, name));
    group.supplementary_groups = Some(names.collect::<Result<_, _>>()?);
    Ok(())
}

pub(super) fn umask(group: &mut ProcessGroup, given: &Given) -> Applied {
    let mask = u32::from_str_radix(given.text, 8).ok().filter(|mask| *mask <= 0o777);
    let message = || format!("umask= takes an octal number from 0 to 0777, not `{}`", given.text);
    group.umask = Some(mask.ok_or_else(|| Complaint::error(message()).at(given.word))?);
    Ok(())
}

pub(super) fn chroot(group: &mut ProcessGroup, given: &Given) -> Applied {
    group.chroot = Some(given.absolute()?);
    Ok(())
}

pub(super) fn home(group: &mut ProcessGroup, given: &Given) -> Applied {
    group.home = Some(given.absolute()?);
    Ok(())
}

pub(super) fn python(group: &mut ProcessGroup, given: &Given) -> Applied {
    // A name without a slash is looked for on PATH when the process is started.
    group.python = Some(if given.text.contains('/') { given.path() } else { given.text.into() });
    Ok(())
}

pub(super) fn python_home(group: &mut ProcessGroup, given: &Given) -> Applied {
    group.python_home = Some(given.path());
    Ok(())
}

pub(super) fn python_path(group: &mut ProcessGroup, given: &Given) -> Applied {
    group.python_path = given.paths();
    Ok(())
}

pub(super) fn python_eggs(group: &mut ProcessGroup, given: &Given) -> Applied {
    group.python_eggs = Some(given.path());
    Ok(())
}

pub(super) fn lang(group: &mut ProcessGroup, given: &Given) -> Applied {
    group.lang = Some(given.text.to_owned());
    Ok(())
}

pub(super) fn locale(group: &mut ProcessGroup, given: &Given) -> Applied {
    group.locale = Some(given.text.to_owned());
    Ok(())
}

pub(super) fn script_user(group: &mut ProcessGroup, given: &Given) -> Applied {
    if group.script_group.is_some() {
        return Err(Complaint::error("script-user= and script-group= exclude each other").at(given.word));
    }
    group.script_user = Some(values::identity(&given.what, given.word, given.text)?);
    Ok(())
}

pub(super) fn script_group(group: &mut ProcessGroup, given: &Given) -> Applied {
    if group.script_user.is_some() {
        return Err(Complaint::error("script-user= and script-group= exclude each other").at(given.word));
    }
    group.script_group = Some(values::identity(&given.what, given.word, given.text)?);
    Ok(())
}

pub(super) fn socket_user(group: &mut ProcessGroup, given: &Given) -> Applied {
    values::identity(&given.what, given.word, given.text).map(|_| ())?;
    let _ = group;
    Ok(())
}

pub(super) fn display_name(group: &mut ProcessGroup, given: &Given) -> Applied {
    group.display_name = Some(given.text.to_owned());
    Ok(())
}

pub(super) fn switch_interval(group: &mut ProcessGroup, given: &Given) -> Applied {
    group.switch_interval = Some(values::positive_seconds(&given.what, given.word, given.text)?);
    Ok(())
}

pub(super) fn free_threading(group: &mut ProcessGroup, given: &Given) -> Applied {
    let mode = values::one_of(&given.what, given.word, given.text, &["on", "off", "required"])?;
    group.free_threading = Some(mode);
    Ok(())
}

pub(super) fn server_metrics(group: &mut ProcessGroup, given: &Given) -> Applied {
    group.server_metrics = values::switch(&given.what, given.word, given.text)?;
    Ok(())
}

pub(super) fn reload_on_changes(group: &mut ProcessGroup, given: &Given) -> Applied {
    group.reload_on_changes = values::switch(&given.what, given.word, given.text)?;
    Ok(())
}

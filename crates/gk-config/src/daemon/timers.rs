//! What the timer options of WSGIDaemonProcess check and set: seconds, all of them.

use super::Given;

use crate::directive::Applied;
use crate::site::ProcessGroup;
use crate::values;

pub(super) fn restart_interval(group: &mut ProcessGroup, given: &Given) -> Applied {
    group.restart_interval = values::seconds(&given.what, given.word, given.text)?;
    Ok(())
}

pub(super) fn startup_timeout(group: &mut ProcessGroup, given: &Given) -> Applied {
    group.startup_timeout = values::seconds(&given.what, given.word, given.text)?;
    Ok(())
}

pub(super) fn shutdown_timeout(group: &mut ProcessGroup, given: &Given) -> Applied {
    group.shutdown_timeout = values::seconds(&given.what, given.word, given.text)?;
    Ok(())
}

pub(super) fn graceful_timeout(group: &mut ProcessGroup, given: &Given) -> Applied {
    group.graceful_timeout = values::seconds(&given.what, given.word, given.text)?;
    Ok(())
}

pub(super) fn eviction_timeout(group: &mut ProcessGroup, given: &Given) -> Applied {
    group.eviction_timeout = values::seconds(&given.what, given.word, given.text)?;
    Ok(())
}

pub(super) fn deadlock_timeout(group: &mut ProcessGroup, given: &Given) -> Applied {
    group.deadlock_timeout = values::seconds(&given.what, given.word, given.text)?;
    Ok(())
}

pub(super) fn inactivity_timeout(group: &mut ProcessGroup, given: &Given) -> Applied {
    group.inactivity_timeout = values::seconds(&given.what, given.word, given.text)?;
    Ok(())
}

pub(super) fn request_timeout(group: &mut ProcessGroup, given: &Given) -> Applied {
    group.request_timeout = values::seconds(&given.what, given.word, given.text)?;
    Ok(())
}

pub(super) fn interrupt_timeout(group: &mut ProcessGroup, given: &Given) -> Applied {
    group.interrupt_timeout = values::seconds(&given.what, given.word, given.text)?;
    Ok(())
}

pub(super) fn connect_timeout(group: &mut ProcessGroup, given: &Given) -> Applied {
    group.connect_timeout = values::seconds(&given.what, given.word, given.text)?;
    Ok(())
}

pub(super) fn socket_timeout(group: &mut ProcessGroup, given: &Given) -> Applied {
    group.socket_timeout = values::seconds(&given.what, given.word, given.text)?;
    Ok(())
}

pub(super) fn queue_timeout(group: &mut ProcessGroup, given: &Given) -> Applied {
    group.queue_timeout = values::seconds(&given.what, given.word, given.text)?;
    Ok(())
}

pub(super) fn response_socket_timeout(group: &mut ProcessGroup, given: &Given) -> Applied {
    group.response_socket_timeout = values::seconds(&given.what, given.word, given.text)?;
    Ok(())
}

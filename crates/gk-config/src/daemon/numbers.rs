//! What the counts and sizes among the options of WSGIDaemonProcess check and set.

use super::Given;
use crate::diagnostic::Complaint;
use crate::directive::Applied;
use crate::site::ProcessGroup;
use crate::values;

pub(super) fn processes(group: &mut ProcessGroup, given: &Given) -> Applied {
    let number = values::whole(&given.what, given.word, given.text, 1..=10_000, "processes")?;
    group.processes = u32::try_from(number).unwrap_or(u32::MAX);
    group.multiprocess = true;
    Ok(())
}

pub(super) fn threads(group: &mut ProcessGroup, given: &Given) -> Applied {
    let number = values::whole(&given.what, given.word, given.text, 0..=65533, "threads")?;
    group.threads = u32::try_from(number).unwrap_or(u32::MAX);
    Ok(())
}

pub(super) fn stack_size(group: &mut ProcessGroup, given: &Given) -> Applied {
    let bytes = values::whole(&given.what, given.word, given.text, 65536..=1 << 34, "bytes")?;
    group.stack_size = Some(bytes);
    Ok(())
}

pub(super) fn cpu_priority(group: &mut ProcessGroup, given: &Given) -> Applied {
    let number = given.text.parse::<i32>().ok().filter(|n| (-20..=19).contains(n));
    let message = || format!("cpu-priority= takes a whole number from -20 to 19, not `{}`", given.text);
    group.cpu_priority = number.ok_or_else(|| Complaint::error(message()).at(given.word))?;
    Ok(())
}

pub(super) fn cpu_time_limit(group: &mut ProcessGroup, given: &Given) -> Applied {
    group.cpu_time_limit = values::whole(&given.what, given.word, given.text, 0..=u64::MAX, "seconds")?;
    Ok(())
}

pub(super) fn memory_limit(group: &mut ProcessGroup, given: &Given) -> Applied {
    group.memory_limit = values::whole(&given.what, given.word, given.text, 0..=u64::MAX, "bytes")?;
    Ok(())
}

pub(super) fn virtual_memory_limit(group: &mut ProcessGroup, given: &Given) -> Applied {
    group.virtual_memory_limit = values::whole(&given.what, given.word, given.text, 0..=u64::MAX, "bytes")?;
    Ok(())
}

pub(super) fn interpreters(group: &mut ProcessGroup, given: &Given) -> Applied {
    let number = values::whole(&given.what, given.word, given.text, 1..=256, "interpreters")?;
    group.interpreters = u32::try_from(number).unwrap_or(u32::MAX);
    Ok(())
}

pub(super) fn maximum_requests(group: &mut ProcessGroup, given: &Given) -> Applied {
    group.maximum_requests = values::whole(&given.what, given.word, given.text, 0..=u64::MAX, "requests")?;
    Ok(())
}

pub(super) fn maximum_requests_jitter(group: &mut ProcessGroup, given: &Given) -> Applied {
    group.maximum_requests_jitter =
        values::whole(&given.what, given.word, given.text, 0..=u64::MAX, "requests")?;
    Ok(())
}

pub(super) fn listen_backlog(group: &mut ProcessGroup, given: &Given) -> Applied {
    let number = values::whole(&given.what, given.word, given.text, 1..=1_000_000, "requests")?;
    group.listen_backlog = u32::try_from(number).unwrap_or(u32::MAX);
    Ok(())
}

pub(super) fn send_buffer_size(group: &mut ProcessGroup, given: &Given) -> Applied {
    values::size(&given.what, given.word, given.text, 512)?;
    let _ = group;
    Ok(())
}

pub(super) fn receive_buffer_size(group: &mut ProcessGroup, given: &Given) -> Applied {
    values::size(&given.what, given.word, given.text, 512)?;
    let _ = group;
    Ok(())
}

pub(super) fn header_buffer_size(group: &mut ProcessGroup, given: &Given) -> Applied {
    let bytes = values::size(&given.what, given.word, given.text, 8192)?;
    group.header_buffer_size = if bytes == 0 { 32768 } else { bytes };
    Ok(())
}

pub(super) fn response_buffer_size(group: &mut ProcessGroup, given: &Given) -> Applied {
    values::size(&given.what, given.word, given.text, 65536)?;
    let _ = group;
    Ok(())
}

pub(super) fn response_flush_delay(group: &mut ProcessGroup, given: &Given) -> Applied {
    values::whole(&given.what, given.word, given.text, 0..=u64::MAX, "milliseconds")?;
    let _ = group;
    Ok(())
}

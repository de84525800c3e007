//! Texts that rules match and make: regular expressions, patterns with `*`, networks, escapes of URLs.

pub(crate) mod escape;
pub(crate) mod glob;
pub(crate) mod network;
pub(crate) mod regexp;

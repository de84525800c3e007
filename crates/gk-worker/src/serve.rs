//! Serving requests.
//!
//! * [`thread`]: a request thread.
//! * [`intake`]: where request threads get their requests; [`link`]: the stream to the front that all request threads share;
//!   [`links`]: those to several fronts; [`outbox`]: the sending half of one.
//! * [`streams`]: one request's body and response on that stream; [`exchange`]: the same, as the application's conversation
//!   sees it.
//! * [`groups`]: application group to interpreters; [`group_options`]: their options in the configuration.
//! * [`profiles`]: profiles that the front sent.
//! * [`reload_gate`]: requests that wait for new code.
//! * [`engine`]: values shared by all threads of the process; [`ticker`]: when the link is checked from outside.

pub(crate) mod engine;
pub(crate) mod exchange;
pub(crate) mod group_options;
pub(crate) mod groups;
pub(crate) mod intake;
pub(crate) mod link;
pub(crate) mod links;
pub(crate) mod outbox;
pub(crate) mod profiles;
pub(crate) mod reload_gate;
pub(crate) mod streams;
mod sync;
pub(crate) mod thread;
pub(crate) mod ticker;

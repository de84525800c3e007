//! What a format asks of one request for its line: headers, variables, facts of TLS.

use super::{Entry, Log};
use crate::client::tls::facts;
use crate::log::format::Lookup;

/// The headers of a request that was not understood.
pub(super) struct NoHeaders;

impl Lookup for NoHeaders {
    fn request_header(&self, _: usize) -> Option<&[u8]> {
        None
    }

    fn response_header(&self, _: usize) -> Option<&[u8]> {
        None
    }

    fn variable(&self, _: &str) -> Option<&[u8]> {
        None
    }

    fn tls(&self, letter: char, name: &str) -> Option<String> {
        facts::log_text(None, letter, name)
    }
}

/// The headers of an entry by the numbers of one format.
pub(super) struct EntryHeaders<'a> {
    pub(super) entry: &'a Entry,
    pub(super) log: &'a Log,
}

impl Lookup for EntryHeaders<'_> {
    fn request_header(&self, index: usize) -> Option<&[u8]> {
        Some(self.entry.requests.get(*self.log.request_at.get(index)?)?.as_ref()?.as_bytes())
    }

    fn response_header(&self, index: usize) -> Option<&[u8]> {
        Some(self.entry.responses.get(*self.log.response_at.get(index)?)?.as_ref()?.as_bytes())
    }

    fn variable(&self, name: &str) -> Option<&[u8]> {
        let set = self.entry.target.as_ref().and_then(|target| target.settings.env.get(name));
        set.map(String::as_bytes).or_else(|| self.entry.variables.get(name))
    }

    fn tls(&self, letter: char, name: &str) -> Option<String> {
        facts::log_text(self.entry.connection.endpoints().tls(), letter, name)
    }
}

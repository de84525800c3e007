//! A connection that goes to another process of embedded mode, or comes from one ([`crate::client::accept::moving`]).

use crate::client::connection::Conn;

impl Conn {
    /// It comes from another process, where it had so many requests.
    pub fn arrive(&self, requests: u64) {
        self.requests.set(requests);
        self.arrived.set(Some(requests));
    }

    /// Whether nothing but its socket and the number of its requests is to be known of it: it is between two requests, and everything is sent.
    pub fn may_be_passed_on(&self) -> bool {
        self.is_idle()
            && self.is_plain()
            && !self.endpoints.proxied
            && !self.is_stalled()
            && !self.is_behind_hyper()
            && self.arrived.get() != Some(self.requests.get())
    }
}

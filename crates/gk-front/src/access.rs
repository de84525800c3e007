//! Who is served: the decision about one request, with what it may need — password and group files, hashes of passwords, Digest's
//! nonces, scripts. The rules themselves are in `gk_rules::access`. Every failure closes.

pub mod basic;
pub mod decision;
pub mod digest;
pub mod files;
pub mod hook;
pub mod passwords;
pub mod verified;

use std::cell::OnceCell;

use crate::access::digest::Nonces;
use crate::access::files::{Groups, Kept, Users};
use crate::access::verified::Verified;

/// What access control keeps between requests.
#[derive(Default)]
pub struct AccessMemory {
    /// Password files.
    pub users: Kept<Users>,
    /// Group files.
    pub groups: Kept<Groups>,
    /// Passwords that were right.
    pub verified: OnceCell<Verified>,
    /// Nonces for Digest.
    pub nonces: OnceCell<Nonces>,
}

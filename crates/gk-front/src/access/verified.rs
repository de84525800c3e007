//! Checks of passwords, off the event loop: hashes for passwords are slow on purpose. A few run at once, more of them wait, and a
//! password that was right is believed for a while. What is kept of it is a keyed digest.

use sha1::{Digest, Sha1};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

use crate::access::basic::Credentials;
use crate::access::passwords;

/// Threads that check passwords at once.
const THREADS: usize = 2;
/// Checks that may wait for a thread; further ones are refused with 503.
const WAITING: usize = 64;
/// Time for which a password that was right is believed.
const BELIEVED: Duration = Duration::from_secs(300);
/// Most users that are remembered.
const MOST: usize = 1024;

/// Why a password was not checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unchecked {
    /// Too many checks wait.
    Busy,
    /// The stored form cannot be checked here.
    Unknown(&'static str),
}

/// Passwords that were right.
pub struct Verified {
    secret: [u8; 32],
    /// By user and stored form, so that a changed file counts at once.
    known: RefCell<HashMap<(String, String), Proof>>,
    threads: Arc<Semaphore>,
    waiting: Cell<usize>,
}

struct Proof {
    digest: [u8; 20],
    at: Instant,
}

/// A place among the checks that wait.
struct Place<'v>(&'v Cell<usize>);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Verified {
    /// `secret` is random.
    pub fn new(secret: [u8; 32]) -> Self {
        let threads = Arc::new(Semaphore::new(THREADS));
        Self { secret, known: RefCell::default(), threads, waiting: Cell::new(0) }
    }

    /// Whether the password is the stored one.
    pub async fn check(&self, credentials: &Credentials, stored: &str) -> Result<bool, Unchecked> {
        let key = (credentials.name(), stored.to_owned());
        let digest = self.digest(&credentials.password);
        if self.knows(&key, &digest) {
            return Ok(true);
        }
        if self.waiting.get() >= WAITING {
            return Err(Unchecked::Busy);
        }
        self.waiting.set(self.waiting.get() + 1);
        let place = Place(&self.waiting);
        let thread = Arc::clone(&self.threads).acquire_owned().await.map_err(|_| Unchecked::Busy)?;
        drop(place);
        // Others of the same user may have waited for the same check.
        if self.knows(&key, &digest) {
            return Ok(true);
        }
        let (password, stored) = (credentials.password.clone(), stored.to_owned());
        let checked = tokio::task::spawn_blocking(move || {
            // Released when the check has ended, also where nobody waits for it any more.
            let _thread = thread;
            passwords::matches(&password, &stored)
        });
        let right = checked
            .await
            .map_err(|_| Unchecked::Unknown("the check ended early"))?
            .map_err(Unchecked::Unknown)?;
        if right {
            self.keep(key, digest);
        }
        Ok(right)
    }

    fn digest(&self, password: &[u8]) -> [u8; 20] {
        Sha1::new().chain_update(self.secret).chain_update(password).finalize().into()
    }

    fn knows(&self, key: &(String, String), digest: &[u8; 20]) -> bool {
        let known = self.known.borrow();
        known.get(key).is_some_and(|proof| proof.at.elapsed() < BELIEVED && proof.digest.ct_eq(digest).into())
    }

    fn keep(&self, key: (String, String), digest: [u8; 20]) {
        let mut known = self.known.borrow_mut();
        if known.len() >= MOST {
            known.retain(|_, proof| proof.at.elapsed() < BELIEVED);
        }
        if known.len() >= MOST
            && let Some(oldest) = known.iter().min_by_key(|(_, proof)| proof.at).map(|(key, _)| key.clone())
        {
            known.remove(&oldest);
        }
        known.insert(key, Proof { digest, at: Instant::now() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(password: &str) -> Credentials {
        Credentials { user: b"bob".to_vec(), password: password.as_bytes().to_vec() }
    }

    #[tokio::test]
    async fn only_what_was_right_is_remembered() {
        let verified = Verified::new([7; 32]);
        let stored = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=";
        assert_eq!(verified.check(&credentials("wrong"), stored).await, Ok(false));
        assert!(verified.known.borrow().is_empty());
        assert_eq!(verified.check(&credentials("secret"), stored).await, Ok(true));
        assert_eq!(verified.known.borrow().len(), 1);
        let key = ("bob".to_owned(), stored.to_owned());
        assert!(verified.knows(&key, &verified.digest(b"secret")));
        assert!(!verified.knows(&key, &verified.digest(b"wrong")));
        assert!(!verified.knows(&("bob".to_owned(), "{SHA}x".to_owned()), &verified.digest(b"secret")));
        for user in 0..MOST {
            verified.keep((user.to_string(), String::new()), [0; 20]);
        }
        assert_eq!(verified.known.borrow().len(), MOST);
        assert_eq!(verified.waiting.get(), 0);
    }
}

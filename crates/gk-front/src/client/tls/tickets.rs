//! Tickets of sessions. Their keys come from the supervisor, so that a session is resumed after this front's end, too. A ticket
//! holds the client's certificate as it was accepted: each way to judge certificates has keys of its own, made from those.

use gk_wire::certificates::TicketKey;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use rustls::server::ProducesTickets;
use std::fmt;

/// Seconds that a client may keep a ticket. It is of no use when its key is gone.
const LIFETIME: u32 = 12 * 60 * 60;
/// Bytes of a key's name.
const NAME: usize = 16;
/// Longest ticket that is looked at; one with a long chain of the client's certificates has some thousand bytes.
const LONGEST: usize = 64 * 1024;

/// Makes and opens tickets.
pub struct Tickets {
    /// New tickets are made with the first.
    keys: Vec<(Vec<u8>, LessSafeKey)>,
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tickets of {} keys", self.keys.len())
    }
}

impl Tickets {
    /// `purpose`: tickets of another one cannot be opened. `None`: there is no key.
    pub fn new(keys: &[TicketKey], purpose: &[u8]) -> Option<Self> {
        let keys: Vec<_> = keys.iter().filter_map(|key| own_key(key, purpose)).collect();
        (!keys.is_empty()).then_some(Self { keys })
    }
}

fn own_key(key: &TicketKey, purpose: &[u8]) -> Option<(Vec<u8>, LessSafeKey)> {
    let made = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.key.as_ref()), purpose);
    let made = UnboundKey::new(&CHACHA20_POLY1305, made.as_ref()).ok()?;
    (key.name.0.len() == NAME).then(|| (key.name.0.clone(), LessSafeKey::new(made)))
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        LIFETIME
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let (name, key) = self.keys.first()?;
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).ok()?;
        let mut ticket = [name, &nonce[..], plain].concat();
        let start = NAME + NONCE_LEN;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = key.seal_in_place_separate_tag(nonce, Aad::from(name), &mut ticket[start..]).ok()?;
        ticket.extend_from_slice(tag.as_ref());
        Some(ticket)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        if ticket.len() > LONGEST {
            return None;
        }
        let (name, rest) = ticket.split_at_checked(NAME)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN)?;
        let (_, key) = self.keys.iter().find(|(known, _)| known == name)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut plain = sealed.to_vec();
        let length = key.open_in_place(nonce, Aad::from(name), &mut plain).ok()?.len();
        plain.truncate(length);
        Some(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gk_wire::certificates::Octets;

    fn key(number: u8) -> TicketKey {
        TicketKey { name: Octets(vec![number; 16]), key: Octets(vec![number; 32]) }
    }

    #[test]
    fn a_ticket_is_opened_with_its_key_for_its_purpose_and_no_other() {
        let ticket = Tickets::new(&[key(1)], b"a").unwrap().encrypt(b"session").unwrap();
        let table: &[(&[TicketKey], &[u8], bool)] = &[
            (&[key(1)], b"a", true),
            (&[key(2), key(1)], b"a", true),
            (&[key(2)], b"a", false),
            (&[key(1)], b"b", false),
        ];
        for (keys, purpose, opened) in table {
            let plain = Tickets::new(keys, purpose).unwrap().decrypt(&ticket);
            assert_eq!(plain, opened.then(|| b"session".to_vec()), "{keys:?} for {purpose:?}");
        }
        let tickets = Tickets::new(&[key(1)], b"a").unwrap();
        for end in 0..ticket.len() {
            assert_eq!(tickets.decrypt(&ticket[..end]), None);
            let mut bent = ticket.clone();
            bent[end] ^= 1;
            assert_eq!(tickets.decrypt(&bent), None, "a changed byte {end}");
        }
        assert!(Tickets::new(&[], b"a").is_none());
    }
}

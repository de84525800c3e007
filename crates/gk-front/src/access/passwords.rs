//! The stored forms of passwords that `htpasswd` writes. Pure, and slow on purpose: called on a thread of its own.

use md5::{Digest, Md5};
use sha1::Sha1;
use std::ffi::CString;
use subtle::ConstantTimeEq;

use crate::access::basic;

const LETTERS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const APR1: &str = "$apr1$";

/// Whether a password is the stored one. `Err`: nobody can say.
pub fn matches(password: &[u8], stored: &str) -> Result<bool, &'static str> {
    if password.len() > basic::LONGEST || password.contains(&0) {
        return Ok(false);
    }
    if let Some(hash) = stored.strip_prefix("{SHA}") {
        let hash = basic::decode(hash.as_bytes());
        return Ok(hash.len() == 20 && Sha1::digest(password).ct_eq(&hash).into());
    }
    if let Some(salt) = stored.strip_prefix(APR1) {
        let salt = salt.split('$').next().unwrap_or_default();
        return Ok(apr1(password, salt).as_bytes().ct_eq(stored.as_bytes()).into());
    }
    if ["$2a$", "$2b$", "$2x$", "$2y$"].iter().any(|form| stored.starts_with(form)) {
        return Ok(bcrypt::verify(password, stored).unwrap_or(false));
    }
    let (Ok(key), Ok(setting)) = (CString::new(password), CString::new(stored)) else { return Ok(false) };
    let made = gk_sys::crypt::crypt(&key, &setting)?;
    // An unknown setting gives none, or one that begins with `*`.
    Ok(made.is_some_and(|made| !made.starts_with(b"*") && made.ct_eq(stored.as_bytes()).into()))
}

/// Apache's own form of MD5: a thousand rounds.
fn apr1(password: &[u8], salt: &str) -> String {
    let salt = &salt.as_bytes()[..salt.len().min(8)];
    let mut sum: [u8; 16] =
        Md5::new().chain_update(password).chain_update(salt).chain_update(password).finalize().into();
    let mut first = Md5::new().chain_update(password).chain_update(APR1).chain_update(salt);
    for at in (0..password.len()).step_by(16) {
        first.update(&sum[..(password.len() - at).min(16)]);
    }
    let mut length = password.len();
    while length != 0 {
        first.update(if length & 1 == 1 { &[0][..] } else { &password[..1] });
        length >>= 1;
    }
    sum = first.finalize().into();
    for round in 0..1000 {
        let mut next = Md5::new();
        next.update(if round & 1 == 1 { password } else { &sum });
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(password);
        }
        next.update(if round & 1 == 1 { &sum } else { password });
        sum = next.finalize().into();
    }
    let mut out = format!("{APR1}{}$", String::from_utf8_lossy(salt));
    let mut put = |mut value: u32, letters: usize| {
        for _ in 0..letters {
            out.push(char::from(LETTERS[(value & 0x3f) as usize]));
            value >>= 6;
        }
    };
    for [a, b, c] in [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]] {
        put(u32::from(sum[a]) << 16 | u32::from(sum[b]) << 8 | u32::from(sum[c]), 4);
    }
    put(sum[11].into(), 2);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `htpasswd` of Apache 2.4 and by `openssl passwd`, for `secret`.
    #[test]
    fn what_htpasswd_writes() {
        let table = [
            "$apr1$Zr7p3dQ1$DTr16lHzpQjwjMoMltY7q.",
            "$apr1$ab$jiiV6N7hIIuIoJbc1hxOE/",
            "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
            "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a",
            "$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a",
            "$1$ab12$ZZ3vPZQ4md6WP3koVoEBO/",
            "$5$rounds=1000$ab12cd$81wZHb7wlfsdEVmvn.Q2MdyE.hZ30/SydvQbUv8M2a1",
            "$6$ab12cd$lkMTLhJzj1rfVcCDXezGEdorc.1IAZjHFaqQKfvk9QxQmJMi3CGVz7yExzqhNlJZcmogM28VhF3pwTOKZ/NjG1",
            "abNANd1rDfiNc",
            "$y$j75$abcdefgh$uMUXG79B2cFpoAYyDccUnsaH/aGTyBYMlnQidzyag01",
        ];
        for stored in table {
            assert_eq!(matches(b"secret", stored), Ok(true), "{stored}");
            for wrong in ["Secret", "", "secret ", "secre"] {
                assert_eq!(matches(wrong.as_bytes(), stored), Ok(false), "{stored} {wrong}");
            }
        }
        for stored in
            ["", "secret", "*", "!", "*0", "$2y$05$x", "{SHA}", "{SHA}abc", "$apr1$", "$apr1$x$", "x"]
        {
            assert_eq!(matches(b"secret", stored), Ok(false), "{stored}");
            assert_eq!(matches(b"", stored), Ok(false), "{stored}");
        }
        assert_eq!(matches(b"secret\0", table[0]), Ok(false));
        assert_eq!(matches(&[b'x'; 2000], table[0]), Ok(false));
    }
}

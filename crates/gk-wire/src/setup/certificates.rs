//! Certificates, keys and revocation lists as the supervisor has read and checked them, for the front: bytes in DER form. They
//! travel in memory files, in [`crate::setup::FrontSetup`] or alone with [`crate::control::ToFront::Certificates`].

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// The certificates of a site.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Certificates {
    /// Counts up each time that something of this has changed.
    pub number: u64,
    /// By the number of the site's host; one that speaks no TLS has an empty entry. Without any host that does, the list is empty.
    pub hosts: Vec<HostCertificates>,
    /// Keys of session tickets: new tickets are made with the first; the others still open those that were made before.
    pub ticket_keys: Vec<TicketKey>,
    /// What is told of the certificates, each once.
    pub facts: Vec<CertificateFacts>,
}

/// The files of one host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostCertificates {
    /// In the order of the configuration.
    pub keyed: Vec<KeyedCertificate>,
    /// Authorities of client certificates.
    pub authorities: Vec<Octets>,
    /// Revocation lists.
    pub revocation: Vec<Octets>,
    /// The OCSP response to staple, for the first certificate.
    pub stapling: Option<Octets>,
    /// A ticket key of this host alone (`SSLSessionTicketKeyFile`), in place of [`Certificates::ticket_keys`].
    pub ticket_key: Option<TicketKey>,
}

/// A certificate with its chain and its key, which fits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyedCertificate {
    /// The server's own certificate, then those between it and the root.
    pub chain: Vec<Octets>,
    /// Form of the key.
    pub form: KeyForm,
    /// The private key.
    pub key: Octets,
}

/// Form of a private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyForm {
    /// `BEGIN RSA PRIVATE KEY`.
    Pkcs1,
    /// `BEGIN PRIVATE KEY`.
    Pkcs8,
    /// `BEGIN EC PRIVATE KEY`.
    Sec1,
}

/// A key of session tickets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketKey {
    /// 16 bytes that begin each ticket of this key.
    pub name: Octets,
    /// 32 bytes.
    pub key: Octets,
}

/// What is told of one certificate of the server: no secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CertificateFacts {
    /// Its file.
    pub file: String,
    /// The host's name in the configuration (`ServerName`), else its address.
    pub host: String,
    /// The names it is made out to: of its extension, else its common name.
    pub names: Vec<String>,
    /// Begin and end of its validity in seconds since 1970.
    pub not_before: i64,
    /// See `not_before`.
    pub not_after: i64,
}

/// Bytes, written as hexadecimal digits. A debug text has their number only: they may be a secret.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Octets(pub Vec<u8>);

impl fmt::Debug for Octets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl From<Vec<u8>> for Octets {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl AsRef<[u8]> for Octets {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Serialize for Octets {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = String::with_capacity(self.0.len() * 2);
        for byte in &self.0 {
            text.push(DIGITS[usize::from(byte >> 4)].into());
            text.push(DIGITS[usize::from(byte & 15)].into());
        }
        to.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Octets {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        });
        let bytes: Option<Vec<u8>> = pairs.collect();
        bytes.map(Self).ok_or_else(|| serde::de::Error::custom("these are no hexadecimal digits of bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_are_digits_and_never_seen_in_a_debug_text() {
        let octets = Octets(vec![0, 15, 255]);
        assert_eq!(serde_json::to_string(&octets).unwrap(), r#""000fff""#);
        assert_eq!(serde_json::from_str::<Octets>(r#""000fFF""#).unwrap(), octets);
        assert_eq!(format!("{octets:?}"), "3 bytes");
        for wrong in [r#""0""#, r#""0x""#, r#""é""#, "3"] {
            assert!(serde_json::from_str::<Octets>(wrong).is_err(), "{wrong}");
        }
    }
}

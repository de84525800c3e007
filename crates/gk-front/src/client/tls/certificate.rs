//! A certificate in the words of mod_ssl: dates, numbers, algorithms and names as its variables have them.

use data_encoding::BASE64;
use std::fmt::Write as _;
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::asn1_rs::{Any, FromDer as _};
use x509_parser::extensions::GeneralName;

use crate::client::tls::names;

/// OpenSSL's long names of the algorithms of keys and signatures.
const ALGORITHMS: &[(&str, &str)] = &[
    ("1.2.840.113549.1.1.1", "rsaEncryption"),
    ("1.2.840.113549.1.1.5", "sha1WithRSAEncryption"),
    ("1.2.840.113549.1.1.10", "rsassaPss"),
    ("1.2.840.113549.1.1.11", "sha256WithRSAEncryption"),
    ("1.2.840.113549.1.1.12", "sha384WithRSAEncryption"),
    ("1.2.840.113549.1.1.13", "sha512WithRSAEncryption"),
    ("1.2.840.113549.1.1.14", "sha224WithRSAEncryption"),
    ("1.2.840.10045.2.1", "id-ecPublicKey"),
    ("1.2.840.10045.4.1", "ecdsa-with-SHA1"),
    ("1.2.840.10045.4.3.2", "ecdsa-with-SHA256"),
    ("1.2.840.10045.4.3.3", "ecdsa-with-SHA384"),
    ("1.2.840.10045.4.3.4", "ecdsa-with-SHA512"),
    ("1.3.101.112", "ED25519"),
    ("1.3.101.113", "ED448"),
];

/// Other names that have a variable: object identifier, tag.
const OTHER_NAMES: &[(&str, &str)] =
    &[("1.3.6.1.4.1.311.20.2.3", "OTHER_msUPN"), ("1.3.6.1.5.5.7.8.7", "OTHER_dnsSRV")];

/// A certificate.
pub struct Certificate<'a> {
    parsed: X509Certificate<'a>,
}

impl<'a> Certificate<'a> {
    /// From its DER form.
    pub fn parse(der: &'a [u8]) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(der).ok()?;
        Some(Self { parsed })
    }

    /// The subject in DER form.
    pub fn subject_der(&self) -> &[u8] {
        self.parsed.subject().as_raw()
    }

    /// Whether it is its own issuer.
    pub fn is_self_issued(&self) -> bool {
        self.parsed.subject().as_raw() == self.parsed.issuer().as_raw()
    }

    /// Begin of its validity in seconds since the epoch.
    pub fn not_before(&self) -> i64 {
        self.parsed.validity().not_before.timestamp()
    }

    /// End of its validity in seconds since the epoch.
    pub fn not_after(&self) -> i64 {
        self.parsed.validity().not_after.timestamp()
    }

    /// A part by the end of its variable's name: `M_SERIAL`, `S_DN_CN` … `legacy`: names are in the old form. `now` in seconds
    /// since the epoch.
    pub fn part(&self, name: &str, legacy: bool, now: i64) -> Option<String> {
        let parsed = &self.parsed;
        Some(match name {
            "M_VERSION" => (parsed.version().0 + 1).to_string(),
            "M_SERIAL" => self.serial(),
            "V_START" => date(self.not_before()),
            "V_END" => date(self.not_after()),
            "V_REMAIN" => ((self.not_after() - now).max(0) / 86_400).to_string(),
            "A_KEY" => algorithm(&parsed.public_key().algorithm.algorithm.to_id_string()),
            "A_SIG" => algorithm(&parsed.signature_algorithm.algorithm.to_id_string()),
            "CERT_RFC4523_CEA" => {
                let issuer = names::line(parsed.issuer());
                format!("{{ serialNumber {}, issuer rdnSequence:\"{issuer}\" }}", parsed.serial)
            }
            _ => {
                let (name, of) = match (name.strip_prefix("S_DN"), name.strip_prefix("I_DN")) {
                    (Some(rest), _) => (parsed.subject(), rest),
                    (_, Some(rest)) => (parsed.issuer(), rest),
                    _ => return self.alternative(name.strip_prefix("SAN_")?),
                };
                return match of.strip_prefix('_') {
                    None if of.is_empty() && legacy => Some(names::old_line(name)),
                    None => of.is_empty().then(|| names::line(name)),
                    // The first one may be named with its number, and the province by another tag.
                    Some(tag) => {
                        let tag = tag.strip_suffix("_0").unwrap_or(tag);
                        let tag = if tag == "SP" { "ST" } else { tag };
                        names::attributes(name).into_iter().find(|(known, _)| known == tag).map(|(_, v)| v)
                    }
                };
            }
        })
    }

    /// The single attributes of subject and issuer, and the alternative names, as the ends of the variables' names.
    pub fn lists(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        for (prefix, name) in [("S_DN_", self.parsed.subject()), ("I_DN_", self.parsed.issuer())] {
            let attributes = names::attributes(name).into_iter();
            all.extend(attributes.map(|(tag, value)| (format!("{prefix}{tag}"), value)));
        }
        all.extend(self.alternatives().into_iter().map(|(tag, value)| (format!("SAN_{tag}"), value)));
        all
    }

    fn alternative(&self, tag: &str) -> Option<String> {
        self.alternatives().into_iter().find(|(known, _)| known == tag).map(|(_, value)| value)
    }

    /// The alternative names of the subject: `DNS_0`, `Email_0` …
    fn alternatives(&self) -> Vec<(String, String)> {
        let Ok(Some(extension)) = self.parsed.subject_alternative_name() else { return Vec::new() };
        let mut found: Vec<(&str, String)> = Vec::new();
        for name in &extension.value.general_names {
            match name {
                GeneralName::DNSName(text) => found.push(("DNS", (*text).to_owned())),
                GeneralName::RFC822Name(text) => found.push(("Email", (*text).to_owned())),
                GeneralName::OtherName(id, bytes) => {
                    let id = id.to_id_string();
                    let tag = OTHER_NAMES.iter().find(|(known, _)| *known == id).map(|(_, tag)| *tag);
                    found.extend(tag.zip(other_name(bytes)));
                }
                _ => {}
            }
        }
        let numbered = |(place, (tag, value)): (usize, &(&str, String))| {
            let number = found[..place].iter().filter(|(known, _)| known == tag).count();
            (format!("{tag}_{number}"), value.clone())
        };
        found.iter().enumerate().map(numbered).collect()
    }

    /// The serial number in hexadecimal digits.
    fn serial(&self) -> String {
        let mut bytes = self.parsed.raw_serial();
        while let [0, rest @ ..] = bytes
            && !rest.is_empty()
        {
            bytes = rest;
        }
        bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02X}");
            text
        })
    }
}

/// The text in the value of an other name: a string, within one or two tags of its own.
fn other_name(bytes: &[u8]) -> Option<String> {
    let mut any = Any::from_der(bytes).ok()?.1;
    while any.header.is_constructed() {
        any = Any::from_der(any.data).ok()?.1;
    }
    Some(names::plain(any.tag(), any.data))
}

fn algorithm(id: &str) -> String {
    ALGORITHMS.iter().find(|(known, _)| *known == id).map_or(id, |(_, name)| name).to_owned()
}

/// A date as OpenSSL writes it: `Jun  7 12:51:00 2027 GMT`.
fn date(seconds: i64) -> String {
    let t = gk_wire::log::Civil::from_micros(u64::try_from(seconds).unwrap_or(0) * 1_000_000, 0);
    format!("{} {:2} {:02}:{:02}:{:02} {} GMT", t.month_name(), t.day, t.hour, t.minute, t.second, t.year)
}

/// A certificate in PEM form.
pub fn pem(der: &[u8]) -> String {
    let digits = BASE64.encode(der);
    let mut text = String::with_capacity(digits.len() + digits.len() / 64 + 60);
    text.push_str("-----BEGIN CERTIFICATE-----\n");
    let mut rest = digits.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = more;
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

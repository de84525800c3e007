//! What a certificate says of itself: names and dates.

use super::files::BadFile;
use gk_config::site::{CertificateFiles, Host};
use gk_wire::certificates::{CertificateFacts, KeyedCertificate};
use gk_wire::log::Civil;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
use x509_parser::revocation_list::CertificateRevocationList;

/// Seconds.
const DAY: i64 = 86_400;
/// Days before its end from which a certificate is warned of; of a short-lived one, a third of its life.
const WARNING: i64 = 14;
/// Names that are told.
const NAMES: usize = 8;

/// The facts of a certificate.
pub fn of(
    files: &CertificateFiles,
    host: &Host,
    keyed: &KeyedCertificate,
) -> Result<CertificateFacts, BadFile> {
    let path = &files.certificate;
    let der = keyed.chain.first().map_or(&[][..], AsRef::as_ref);
    let (_, certificate) = X509Certificate::from_der(der).map_err(|why| {
        BadFile::new(path, format!("the certificate {} is not understood: {why}", path.display()))
    })?;
    let validity = certificate.validity();
    let mut names = names(&certificate);
    names.truncate(NAMES);
    Ok(CertificateFacts {
        file: path.display().to_string(),
        host: host_name(host),
        names,
        not_before: validity.not_before.timestamp(),
        not_after: validity.not_after.timestamp(),
    })
}

/// `ServerName`, else the first address.
fn host_name(host: &Host) -> String {
    host.server_name.clone().unwrap_or_else(|| {
        host.addresses.first().map_or_else(String::new, |address| {
            let port = address.port.map_or("*".to_owned(), |port| port.to_string());
            format!("{}:{port}", address.host.as_deref().unwrap_or("*"))
        })
    })
}

/// The names of the extension, in lower case; without any, the common name.
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let extension = certificate.subject_alternative_name().ok().flatten();
    let general = extension.iter().flat_map(|extension| &extension.value.general_names);
    let named: Vec<String> = general
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            GeneralName::IPAddress(bytes) => match bytes.len() {
                4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| Ipv4Addr::from(bytes).to_string()),
                _ => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| Ipv6Addr::from(bytes).to_string()),
            },
            _ => None,
        })
        .collect();
    if !named.is_empty() {
        return named;
    }
    let common = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
    common.map(str::to_ascii_lowercase).collect()
}

/// A remark where the host's own name is none of the certificate's.
pub fn foreign_name(files: &CertificateFiles, host: &Host, keyed: &KeyedCertificate) -> Option<String> {
    let name = host.server_name.as_deref().filter(|_| !host.addresses.is_empty())?;
    let (_, certificate) = X509Certificate::from_der(keyed.chain.first()?.as_ref()).ok()?;
    let names = names(&certificate);
    let fits = |made_out: &String| match made_out.strip_prefix("*.") {
        // A wildcard stands for one label.
        Some(rest) => name.split_once('.').is_some_and(|(_, parent)| parent == rest),
        None => made_out == name,
    };
    (!names.iter().any(fits)).then(|| {
        let made_out = if names.is_empty() { "nobody".to_owned() } else { names.join(", ") };
        format!(
            "the certificate {} is made out to {made_out}, and not to {name}",
            files.certificate.display()
        )
    })
}

/// One sentence for each certificate whose dates are not as they should be.
pub fn remarks(facts: &[CertificateFacts], now: i64) -> Vec<String> {
    facts.iter().filter_map(|one| remark(one, now)).collect()
}

/// The sentence about one.
pub fn remark(one: &CertificateFacts, now: i64) -> Option<String> {
    let (file, last) = (&one.file, date(one.not_after));
    if now < one.not_before {
        let first = date(one.not_before);
        return Some(format!(
            "the certificate {file} is not valid before {first}: clients refuse it until then (is the clock right?)"
        ));
    }
    if now >= one.not_after {
        return Some(format!("the certificate {file} has expired on {last}: clients refuse it"));
    }
    let life = (one.not_after - one.not_before) / DAY;
    let left = days_left(one, now);
    (left < WARNING.min(life / 3)).then(|| match left {
        0 => format!("the certificate {file} expires within a day, on {last}"),
        1 => format!("the certificate {file} expires in 1 day, on {last}"),
        more => format!("the certificate {file} expires in {more} days, on {last}"),
    })
}

/// Whole days until it expires; negative once it has.
pub fn days_left(one: &CertificateFacts, now: i64) -> i64 {
    (one.not_after - now).div_euclid(DAY)
}

fn is_valid(one: &CertificateFacts, now: i64) -> bool {
    (one.not_before..one.not_after).contains(&now)
}

/// Why new certificates are not taken in place of those before, by their dates: one that clients refuse never replaces one that they
/// accept.
pub fn worse(before: &[CertificateFacts], new: &[CertificateFacts], now: i64) -> Option<String> {
    let was_valid =
        |one: &CertificateFacts| before.iter().any(|old| old.host == one.host && is_valid(old, now));
    let found = new.iter().find(|one| !is_valid(one, now) && was_valid(one))?;
    remark(found, now)
}

/// `2026-11-29`.
pub fn date(seconds: i64) -> String {
    let micros = u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000_000);
    let day = Civil::from_micros(micros, 0);
    format!("{:04}-{:02}-{:02}", day.year, day.month, day.day)
}

/// A remark where a revocation list should have been replaced by now.
pub fn outdated(path: &Path, list: &[u8], now: i64) -> Option<String> {
    let (_, list) = CertificateRevocationList::from_der(list).ok()?;
    let next = list.next_update()?.timestamp();
    (next <= now).then(|| {
        let (path, day) = (path.display(), date(next));
        format!(
            "the revocation list {path} is out of date since {day}: certificates of its authority are refused"
        )
    })
}

/// Whether a revocation list has no version, which means the first.
pub fn is_of_version_1(list: &[u8]) -> bool {
    CertificateRevocationList::from_der(list).is_ok_and(|(_, list)| list.version().is_none())
}

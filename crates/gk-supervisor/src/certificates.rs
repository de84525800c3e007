//! The certificates of a site: read by this process, which may be root, checked, and handed to the front as bytes. What is wrong with
//! a file is one sentence. [`kept`] holds those in force and watches their files.

pub mod facts;
pub mod files;
pub mod kept;
mod stamps;
mod tickets;

use crate::StartError;
use files::BadFile;
use gk_config::site::{CertificateFiles, Host, HostTls, RevocationCheck, Site, VerifyClient};
use gk_wire::certificates::{CertificateFacts, HostCertificates, KeyedCertificate, Octets};
use stamps::Stamps;
use std::collections::HashMap;
use std::path::PathBuf;
use webpki::OwnedCertRevocationList;

/// The certificates of a site as they were read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reading {
    /// By host; empty where no host speaks TLS.
    pub hosts: Vec<HostCertificates>,
    /// What is told of the certificates, each file once.
    pub facts: Vec<CertificateFacts>,
    /// What is not as it should be and stops nobody, one sentence each.
    pub remarks: Vec<String>,
    /// The files as they were before they were read.
    stamps: Stamps,
}

/// Most certificates that are told of.
const TOLD: usize = 200;

/// Reads the files of a site. `now`: seconds since 1970. The error has one sentence for each file that cannot be used.
pub fn read(site: &Site, now: i64) -> Result<Reading, Vec<BadFile>> {
    if !site.has_tls() {
        return Ok(Reading::default());
    }
    let mut reading = Reading { stamps: Stamps::of(site), ..Reading::default() };
    let mut known: HashMap<CertificateFiles, KeyedCertificate> = HashMap::new();
    let mut bad: Vec<BadFile> = Vec::new();
    for host in &site.hosts {
        let read = match &host.tls {
            Some(tls) => one(host, tls, now, &mut known, &mut reading),
            None => Ok(HostCertificates::default()),
        };
        match read {
            Ok(host) => reading.hosts.push(host),
            Err(why) if bad.contains(&why) => {}
            Err(why) => bad.push(why),
        }
    }
    if !bad.is_empty() {
        return Err(bad);
    }
    let dates = facts::remarks(&reading.facts, now);
    reading.remarks.extend(dates);
    reading.remarks.sort();
    reading.remarks.dedup();
    reading.facts.truncate(TOLD);
    Ok(reading)
}

/// All of it as the sentence of an error.
pub fn refusal(bad: &[BadFile]) -> StartError {
    let first = bad.first().map_or("", |bad| &bad.text);
    StartError(match bad.len() {
        0 | 1 => first.to_owned(),
        more => format!("{first} (and {} more such file{})", more - 1, if more == 2 { "" } else { "s" }),
    })
}

fn one(
    host: &Host,
    tls: &HostTls,
    now: i64,
    known: &mut HashMap<CertificateFiles, KeyedCertificate>,
    reading: &mut Reading,
) -> Result<HostCertificates, BadFile> {
    let mut found = HostCertificates::default();
    for of in &tls.certificates {
        let keyed = match known.get(of) {
            Some(keyed) => keyed.clone(),
            None => {
                let (keyed, remark) = files::keyed(of)?;
                reading.facts.push(facts::of(of, host, &keyed)?);
                reading.remarks.extend(remark);
                known.insert(of.clone(), keyed.clone());
                keyed
            }
        };
        reading.remarks.extend(facts::foreign_name(of, host, &keyed));
        found.keyed.push(keyed);
    }
    if tls.clients.verify != VerifyClient::None {
        found.authorities = octets(files::authorities(&tls.clients.authorities)?);
        if tls.clients.revocation_check != RevocationCheck::None {
            let lists = files::revocation_lists(&tls.clients.revocation)?;
            reading.remarks.extend(lists.iter().filter_map(|(path, list)| facts::outdated(path, list, now)));
            check_lists(&lists)?;
            found.revocation = octets(lists.into_iter().map(|(_, list)| list).collect());
        }
    }
    found.stapling = tls.stapling.as_deref().map(files::stapling).transpose()?.map(Octets);
    found.ticket_key = tls.ticket_key.as_deref().map(files::ticket_key).transpose()?;
    Ok(found)
}

/// Whether the front can use the lists: webpki, which it asks, reads them more strictly than others do.
fn check_lists(lists: &[(PathBuf, Vec<u8>)]) -> Result<(), BadFile> {
    for (path, list) in lists {
        OwnedCertRevocationList::from_der(list).map_err(|why| {
            let shown = path.display();
            let text = match facts::is_of_version_1(list) {
                true => format!(
                    "the revocation list {shown} is of version 1, and only version 2 can be used: let the authority number its lists \
                     (crlnumber in the configuration of `openssl ca`)"
                ),
                false => format!("the revocation list {shown} cannot be used: {why}"),
            };
            BadFile::new(path, text)
        })?;
    }
    Ok(())
}

fn octets(all: Vec<Vec<u8>>) -> Vec<Octets> {
    all.into_iter().map(Octets).collect()
}

#[cfg(test)]
mod tests;

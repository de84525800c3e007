//! TLS of each host: what it says itself, and what the main server says for it. Then the checks that need all hosts: one address
//! speaks either TLS or plain HTTP, a host that speaks TLS has a certificate, and what keeps clients out can be asked.

use crate::diagnostic::{Complaint, Journal};
use crate::raw::{CertificateUse, PlaceVerify, Raw, RawHost, RawTls};
use crate::resolve::listeners;
use crate::site::{
    CertificateFiles, ClientCertificates, HostAddress, HostTls, RevocationCheck, TlsVersions, VerifyClient,
};
use crate::token::Word;
use std::net::IpAddr;
use std::path::PathBuf;

/// TLS of a host; `None`: plain HTTP.
pub fn host(own: &RawTls, main: &RawTls) -> Option<HostTls> {
    if !own.is_on(main) {
        return None;
    }
    let suites = [
        (own.suites13.as_ref().or(main.suites13.as_ref()), "TLS13_"),
        (own.suites12.as_ref().or(main.suites12.as_ref()), "TLS_"),
    ];
    let chosen = suites.iter().any(|(list, _)| list.is_some()).then(|| {
        let each = suites.iter().flat_map(|(list, prefix)| match list {
            Some(list) => list.to_vec(),
            None => HostTls::SUITES.into_iter().filter(|name| name.starts_with(prefix)).collect(),
        });
        each.map(str::to_owned).collect()
    });
    let (check, unlisted_ok) = own
        .revocation_check
        .as_ref()
        .or(main.revocation_check.as_ref())
        .map_or((RevocationCheck::None, false), |(check, unlisted_ok, _)| (*check, *unlisted_ok));
    let path = |place: &Option<(PathBuf, Word)>| place.as_ref().map(|(path, _)| path.clone());
    let authority_file = own.authority_file.clone().or_else(|| main.authority_file.clone());
    let authority_path = own.authority_path.clone().or_else(|| main.authority_path.clone());
    let revocation_file = path(&own.revocation_file).or_else(|| path(&main.revocation_file));
    let revocation_path = path(&own.revocation_path).or_else(|| path(&main.revocation_path));
    Some(HostTls {
        certificates: certificates(own, main),
        versions: own.versions.or(main.versions).unwrap_or(TlsVersions::ALL),
        suites: chosen,
        server_order: own.server_order.or(main.server_order).unwrap_or(false),
        clients: ClientCertificates {
            verify: verify(own, main),
            authorities: authority_file.into_iter().chain(authority_path).collect(),
            revocation: revocation_file.into_iter().chain(revocation_path).collect(),
            revocation_check: check,
            unlisted_ok,
            depth: own.depth.or(main.depth).unwrap_or(1),
        },
        stapling: own.stapling.clone().or_else(|| main.stapling.clone()),
        tickets: own.tickets.or(main.tickets).unwrap_or(true),
        ticket_key: own.ticket_key.clone().or_else(|| main.ticket_key.clone()),
        // The first host of an address speaks for it; what the main server says, it says for all.
        strict_sni: own.strict_sni.or(main.strict_sni).unwrap_or(false),
    })
}

fn verify(own: &RawTls, main: &RawTls) -> VerifyClient {
    own.verify.as_ref().or(main.verify.as_ref()).map_or(VerifyClient::None, |(verify, _)| *verify)
}

/// Certificates and keys belong together by their place. Those of the host take the places of the main server's.
fn certificates(own: &RawTls, main: &RawTls) -> Vec<CertificateFiles> {
    let certificates = own.certificates.iter().chain(main.certificates.iter().skip(own.certificates.len()));
    let keys: Vec<&PathBuf> =
        own.keys.iter().chain(main.keys.iter().skip(own.keys.len())).map(|(path, _)| path).collect();
    let chain = own.chain.as_ref().or(main.chain.as_ref());
    let one = |(index, certificate): (usize, &PathBuf)| CertificateFiles {
        certificate: certificate.clone(),
        key: keys.get(index).map(|key| (*key).clone()),
        chain: chain.cloned(),
    };
    certificates.enumerate().map(one).collect()
}

/// Checks what needs all hosts.
pub fn check(raw: &Raw, journal: &mut Journal) {
    let main = &raw.hosts[0].tls;
    for host in raw.hosts.iter().filter(|host| host.tls.is_on(main)) {
        check_host(host, main, journal);
    }
    check_mixes(raw, journal);
    check_listeners(raw, journal);
    check_places(raw, journal);
}

fn check_host(host: &RawHost, main: &RawTls, journal: &mut Journal) {
    let own = &host.tls;
    let word = own.engine.as_ref().or(main.engine.as_ref()).map_or(&host.word, |(_, word)| word);
    let (certificates, keys) = (own.certificates.len().max(main.certificates.len()), own.keys.len());
    if certificates == 0 {
        let complaint = Complaint::error("this host speaks TLS and has no certificate").at(word);
        journal.say(
            complaint.hint("SSLCertificateFile FILE and SSLCertificateKeyFile FILE name it and its key"),
        );
    }
    if let Some((_, word)) = own.keys.get(certificates).filter(|_| certificates > 0 && keys > certificates) {
        let complaint =
            Complaint::error("this key belongs to no certificate: there are more keys than certificates");
        journal.say(complaint.at(word).hint("keys and certificates belong together in their order"));
    }
    let verify_word = own.verify.as_ref().or(main.verify.as_ref()).map_or(word, |(_, word)| word);
    let asks = matches!(verify(own, main), VerifyClient::Optional | VerifyClient::Require);
    let authorities = [&own.authority_file, &own.authority_path, &main.authority_file, &main.authority_path];
    if asks && authorities.iter().all(|place| place.is_none()) {
        let message = "client certificates are asked for, and no authority is named by which they are judged";
        journal.say(Complaint::error(message).at(verify_word).hint("SSLCACertificateFile FILE names them"));
    }
    let lists = [&own.revocation_file, &own.revocation_path, &main.revocation_file, &main.revocation_path];
    let list = lists.into_iter().flatten().next();
    match (own.revocation_check.as_ref().or(main.revocation_check.as_ref()), list) {
        (Some((RevocationCheck::Leaf | RevocationCheck::Chain, _, word)), None) => {
            let message = "revocation is asked for, and no list is named";
            journal.say(Complaint::error(message).at(word).hint("SSLCARevocationFile FILE names it"));
        }
        (None | Some((RevocationCheck::None, ..)), Some((_, word))) => {
            let message =
                "revocation lists are named and not looked at, so revoked certificates are accepted";
            journal
                .say(Complaint::warning(message).at(word).hint("SSLCARevocationCheck chain looks at them"));
        }
        _ => {}
    }
}

/// Hosts of one address of which some speak TLS and others do not. Apache lets the first decide, and the requests of the others
/// come to hosts that nobody meant.
fn check_mixes(raw: &Raw, journal: &mut Journal) {
    let main = &raw.hosts[0].tls;
    let hosts = &raw.hosts[1..];
    for (index, host) in hosts.iter().enumerate() {
        let differs = |other: &&RawHost| other.tls.is_on(main) != host.tls.is_on(main);
        let shared =
            hosts[..index].iter().filter(differs).find_map(|other| shared(&other.addresses, &host.addresses));
        let Some(address) = shared else { continue };
        let (here, there) = match host.tls.is_on(main) {
            true => ("speaks TLS", "speak plain HTTP"),
            false => ("speaks plain HTTP", "speak TLS"),
        };
        let word = host.tls.engine.as_ref().map_or(&host.word, |(_, word)| word);
        let message = format!("this host {here} on {address}, and others on the same address {there}");
        let hint = "an address speaks one of them: give the host a port of its own, or SSLEngine as the others have it";
        journal.say(Complaint::error(message).at(word).hint(hint));
    }
}

/// An address that both name in the same way.
fn shared(some: &[HostAddress], others: &[HostAddress]) -> Option<String> {
    let number = |text: &Option<String>| {
        text.as_deref().map(|text| text.parse::<IpAddr>().map(|ip| ip.to_canonical()))
    };
    let same = |a: &HostAddress, b: &HostAddress| a.port == b.port && number(&a.host).eq(&number(&b.host));
    let found = some.iter().find(|one| others.iter().any(|other| same(one, other)))?;
    let port = found.port.map_or("*".to_owned(), |port| port.to_string());
    Some(format!("{}:{port}", found.host.as_deref().unwrap_or("*")))
}

/// A listener with the word `https` on which no host speaks TLS would speak plain HTTP.
fn check_listeners(raw: &Raw, journal: &mut Journal) {
    let main = &raw.hosts[0].tls;
    for (listen, word) in &raw.https {
        let mut own = raw.hosts[1..]
            .iter()
            .filter(|host| listeners::is_reached(&host.addresses, std::slice::from_ref(listen)))
            .peekable();
        let speaks = match own.peek() {
            Some(_) => own.any(|host| host.tls.is_on(main)),
            None => main.is_on(main),
        };
        if !speaks {
            let message = "no host speaks TLS here, so this listener would speak plain HTTP";
            let hint = "SSLEngine On and SSLCertificateFile in the virtual host of this port, or without virtual hosts outside of them";
            journal.say(Complaint::error(message).at(word).hint(hint));
        }
    }
}

/// A connection has shown its certificate, or none, before it names a URL: a place cannot ask for one later.
fn check_places(raw: &Raw, journal: &mut Journal) {
    let main = &raw.hosts[0].tls;
    for PlaceVerify { host, verify: wanted, word } in
        raw.verified.iter().filter(|place| place.verify != VerifyClient::None)
    {
        // A section of the main server holds in all hosts.
        let mut concerned = raw.hosts.iter().enumerate().filter(|(index, _)| *host == 0 || host == index);
        let silent =
            |(_, of): (usize, &RawHost)| of.tls.is_on(main) && verify(&of.tls, main) == VerifyClient::None;
        if !concerned.any(silent) {
            continue;
        }
        let message =
            "its host asks for no client certificate, and a connection cannot be asked for one later";
        let hint =
            "write `SSLVerifyClient optional` outside of sections in the virtual host, and keep this line";
        let complaint = match wanted {
            VerifyClient::Require => Complaint::error(message),
            _ => Complaint::warning(message).ignored(),
        };
        journal.say(complaint.at(word).hint(hint));
    }
}

/// Closes what only clients with a certificate of an NSS database may enter, where a host speaks TLS. A host that speaks none has its
/// rules from the main server as well, and a proxy that ends TLS may send its requests to either.
pub fn close(raw: &mut Raw, journal: &mut Journal) {
    let tls = raw.hosts.iter().any(|host| host.tls.is_on(&raw.hosts[0].tls)) || !raw.https.is_empty();
    if !tls {
        return;
    }
    for CertificateUse { host, section, word } in &raw.certificates {
        let host = &mut raw.hosts[*host];
        match section {
            Some(section) => host.sections[*section].section.set.closed = true,
            None => host.base.closed = true,
        }
        let message = "no certificate of an NSS database can be asked for here, so every request in this scope is answered 403";
        let hint = "export the authorities in PEM form, name them with SSLCACertificateFile, and write SSLVerifyClient";
        journal.say(Complaint::warning(message).refuses().at(word).hint(hint));
    }
}

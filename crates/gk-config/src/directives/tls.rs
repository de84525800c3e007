//! TLS, as mod_ssl has it. What a host's directives come to is put together in `resolve::tls`; the files are read by the supervisor.

pub mod suites;

use super::rules;
use super::tolerated::modules::unless_off;
use crate::diagnostic::Complaint;
use crate::directive::{Applied, Arity, Contexts, Directive, Scope, Status, nothing};
use crate::raw::{CertificateUse, Need, PlaceVerify, RawTls};
use crate::site::{RevocationCheck, SslPatch, TlsVersions, VerifyClient};
use crate::token::Word;
use crate::values;
use std::path::PathBuf;

const SERVER: Contexts = Contexts::SERVER;
const ANY: Contexts = Contexts::ANY;
const ONE: Arity = Arity::exactly(1);
const CERTIFICATES: &str = "let it ask for the client's certificate, as without TLS this keeps nobody out; listen where only the proxy can connect";
const SUITES: &str = "name the suites outside of sections: a connection has its suite before it names a URL";
const RESPONDER: &str = "no responder is asked whether a client's certificate is revoked: name lists with SSLCARevocationFile, SSLCARevocationCheck, and delete the line";

/// Rows of this area.
#[rustfmt::skip]
pub const ROWS: &[Directive] = &[
    Directive::honoured("SSLEngine", "On|Off", SERVER, ONE, engine)
        .default("Off")
        .doc("Uses TLS on the addresses of this host. All hosts that share an address must use TLS, or none. A host with TLS needs a \
              certificate."),
    Directive::honoured("SSLCertificateFile", "path", SERVER, ONE, certificate)
        .doc("The certificate in PEM format, followed by intermediate certificates, and by the key unless SSLCertificateKeyFile \
              names one. May be repeated: one for RSA and one for ECDSA. The supervisor reads the file (as root, if root started \
              it), again at each reload, and when it changes."),
    Directive::honoured("SSLCertificateKeyFile", "path", SERVER, ONE, key)
        .doc("The private key of the SSLCertificateFile in the same position, in PEM format: PKCS #8, PKCS #1 or SEC 1, without a \
              pass phrase."),
    Directive::honoured("SSLCertificateChainFile", "path", SERVER, ONE, chain)
        .doc("Further intermediate certificates, after those in SSLCertificateFile."),
    Directive::honoured("SSLProtocol", "[+|-]protocol …", SERVER, Arity::at_least(1), protocol)
        .default("all")
        .doc("The versions of TLS: `TLSv1.2`, `TLSv1.3` or `all`. A word without a sign replaces those before it. Older versions are \
              not supported: removing them changes nothing, and naming only such versions is an error."),
    Directive::honoured("SSLCipherSuite", "[TLSv1.3|SSL] suites", ANY, Arity::between(1, 2), cipher_suite)
        .default("all that rustls has")
        .doc("The suites of TLS 1.2 in OpenSSL's language, or with `TLSv1.3` the names of that version's suites. A name that OpenSSL \
              knows and rustls lacks is left out with a warning. An unknown name is an error, and so is a list that leaves nothing. \
              In a section, the directive denies access (403) if it asks for less than all suites."),
    Directive::honoured("SSLHonorCipherOrder", "On|Off", SERVER, ONE, server_order)
        .default("Off").doc("Uses the server's order of preference for suites instead of the client's."),
    Directive::honoured("SSLCACertificateFile", "path", SERVER, ONE, authority_file)
        .doc("The authorities of client certificates, in PEM form."),
    Directive::honoured("SSLCACertificatePath", "directory", SERVER, ONE, authority_path)
        .doc("Like SSLCACertificateFile, but the files of a directory, named by the hash of their subject, as `openssl rehash` \
            names them."),
    Directive::honoured("SSLCARevocationFile", "path", SERVER, ONE, revocation_file)
        .doc("Revocation lists of these authorities, in PEM form; see SSLCARevocationCheck. Read again when the file changes."),
    Directive::honoured("SSLCARevocationPath", "directory", SERVER, ONE, revocation_path)
        .doc("Like SSLCARevocationFile, but the files of a directory, named by the hash of their issuer (`HASH.r0`)."),
    Directive::honoured("SSLCARevocationCheck", "none|leaf|chain [no_crl_for_cert_ok]", SERVER, Arity::between(1, 2), revocation_check)
        .default("none")
        .doc("Checks revocation lists for the client's own certificate (`leaf`) or its whole chain (`chain`). A certificate whose \
              authority has no list, or an outdated one, is refused; `no_crl_for_cert_ok` tolerates a missing list."),
    Directive::honoured("SSLVerifyClient", "none|optional|optional_no_ca|require", ANY, ONE, verify_client)
        .default("none")
        .doc("Asks clients for a certificate. In a section, `require` answers 403 to clients that have not presented a valid one. \
              The host itself must ask for certificates (`optional` or more), because an open connection cannot be asked later. On a \
              host without TLS it restricts nobody, as with Apache."),
    Directive::honoured("SSLVerifyDepth", "number", ANY, ONE, verify_depth)
        .default("1")
        .doc("The most certificates above a client's own: 0 is for self-signed ones, 1 for those of an authority named here."),
    Directive::honoured("SSLOptions", "[+|-]option …", ANY, Arity::at_least(1), options)
        .doc("`StdEnvVars`: the application gets the variables `SSL_*`. `ExportCertData`: also `SSL_SERVER_CERT`, `SSL_CLIENT_CERT` \
              and `SSL_CLIENT_CERT_CHAIN_n`. `LegacyDNStringFormat`: names are written with slashes. A word without a sign takes the \
              place of all others, also of those before it on its line, as with Apache. `StrictRequire` is so always, `OptRenegotiate` \
              changes nothing, and with `FakeBasicAuth` a password is still asked for."),
    Directive::honoured("SSLRequireSSL", "", ANY, Arity::exactly(0), require_tls)
        .default("not required").doc("Answers 403 to requests without TLS, even with `Satisfy any`, and behind a proxy that speaks TLS."),
    Directive::honoured("SSLUserName", "variable", ANY, ONE, user_name)
        .doc("The variable `SSL_*` whose value becomes `REMOTE_USER`, such as `SSL_CLIENT_S_DN_CN`."),
    Directive::honoured("SSLSessionTickets", "On|Off", SERVER, ONE, tickets)
        .default("On")
        .doc("Lets clients resume sessions with tickets. The supervisor makes the keys and changes them regularly, so tickets \
              survive reloads and a new front."),
    Directive::honoured("SSLSessionTicketKeyFile", "path", SERVER, ONE, ticket_key)
        .doc("A file of 48 random bytes from which the key of tickets is made, for servers that share it; it replaces the \
              supervisor's own keys. Read again when the file changes."),
    Directive::honoured("SSLStrictSNIVHostCheck", "On|Off", SERVER, ONE, strict_sni)
        .default("Off")
        .doc("Refuses (403) clients that send no server name: in the first host of an address for all hosts there, else for its own."),
    Directive::honoured("SSLUseStapling", "On|Off", SERVER, ONE, use_stapling)
        .default("Off").doc("Needs GilkeeperStaplingFile: the server itself asks no responder."),
    Directive::honoured("GilkeeperStaplingFile", "path", SERVER, ONE, stapling).ours()
        .doc("An OCSP response in DER format for the first certificate, sent to clients that ask for it. `openssl ocsp … -respout \
              FILE` gets one. Read again when the file changes."),
    Directive::honoured("NSSVerifyClient", "none|optional|require", ANY, ONE, nss_verify_client)
        .in_proxy(CERTIFICATES)
        .doc("As SSLVerifyClient, for certificates of an NSS database. With `require`, where a host of the configuration speaks TLS, \
              the scope is closed (403)."),
    Directive::honoured("NSSRequireSSL", "", ANY, Arity::exactly(0), require_tls)
        .default("not required").doc("As SSLRequireSSL."),
    Directive::honoured("SSLFIPS", "On|Off", SERVER, ONE, fips)
        .default("Off").doc("`On` is an error: the cryptography here is no FIPS module."),
    Directive { name: "SSLOCSPEnable", ..Directive::closing("", SERVER, RESPONDER).judged(unless_off) },
];

fn tls<'a>(scope: &'a mut Scope) -> &'a mut RawTls {
    &mut scope.host().tls
}

fn engine(scope: &mut Scope, words: &[Word]) -> Applied {
    // `optional` upgrades a connection when the client asks for it.
    let on = match words[0].text.eq_ignore_ascii_case("optional") {
        true => {
            scope.status = Status::WithoutEffect("no connection is upgraded to TLS; plain HTTP is spoken");
            false
        }
        false => values::switch(scope.name, &words[0], &words[0].text)?,
    };
    tls(scope).engine = Some((on, words[0].clone()));
    Ok(())
}

/// A file or directory that is needed.
fn file(scope: &mut Scope, word: &Word) -> Result<PathBuf, Complaint> {
    if word.text.starts_with("pkcs11:") {
        let complaint = Complaint::error("certificates and keys of a PKCS #11 token cannot be used").at(word);
        return Err(complaint.hint("name files in PEM form"));
    }
    let path = scope.path(&word.text);
    scope.need(Need::Certificate(path.clone()), word);
    Ok(path)
}

fn certificate(scope: &mut Scope, words: &[Word]) -> Applied {
    let path = file(scope, &words[0])?;
    tls(scope).certificates.push(path);
    Ok(())
}

fn key(scope: &mut Scope, words: &[Word]) -> Applied {
    let path = file(scope, &words[0])?;
    tls(scope).keys.push((path, words[0].clone()));
    Ok(())
}

fn chain(scope: &mut Scope, words: &[Word]) -> Applied {
    tls(scope).chain = Some(file(scope, &words[0])?);
    Ok(())
}

fn protocol(scope: &mut Scope, words: &[Word]) -> Applied {
    let mut spoken = TlsVersions { tls12: false, tls13: false };
    let mut said = false;
    for word in words {
        let (sign, name) = match word.text.as_bytes().first() {
            Some(sign @ (b'+' | b'-')) => (*sign, &word.text[1..]),
            _ => (b' ', word.text.as_str()),
        };
        let name = values::one_of(
            scope.name,
            word,
            name,
            &["all", "sslv2", "sslv3", "tlsv1", "tlsv1.1", "tlsv1.2", "tlsv1.3"],
        )?;
        let meant = TlsVersions {
            tls12: matches!(name.as_str(), "all" | "tlsv1.2"),
            tls13: matches!(name.as_str(), "all" | "tlsv1.3"),
        };
        if sign != b'-' && !meant.tls12 && !meant.tls13 {
            let message = format!("{name} is not spoken here, because it is broken");
            scope.say(Complaint::warning(message).at(word).partly().hint("TLSv1.2 and TLSv1.3 are"));
        }
        match sign {
            b'+' => {
                spoken = TlsVersions { tls12: spoken.tls12 | meant.tls12, tls13: spoken.tls13 | meant.tls13 }
            }
            b'-' => {
                spoken =
                    TlsVersions { tls12: spoken.tls12 & !meant.tls12, tls13: spoken.tls13 & !meant.tls13 }
            }
            _ => {
                if said {
                    let message = format!("`{}` takes the place of the words before it", word.text);
                    scope.say(Complaint::warning(message).at(word).hint(format!("+{} adds it", word.text)));
                }
                spoken = meant;
            }
        }
        said |= sign != b'-';
    }
    if !spoken.tls12 && !spoken.tls13 {
        let complaint = Complaint::error("this leaves no version of TLS that is spoken here").at(&words[0]);
        return Err(
            complaint.hint("TLSv1.2 and TLSv1.3 are spoken: `SSLProtocol all -TLSv1.2` leaves the latter")
        );
    }
    tls(scope).versions = Some(spoken);
    Ok(())
}

fn cipher_suite(scope: &mut Scope, words: &[Word]) -> Applied {
    let (list, modern) = match words {
        [list] => (list, false),
        [version, list] => {
            let version =
                values::one_of("the version of SSLCipherSuite", version, &version.text, &["ssl", "tlsv1.3"])?;
            (list, version == "tlsv1.3")
        }
        _ => return Ok(()),
    };
    let read = if modern { suites::tls13(&list.text) } else { suites::tls12(&list.text) };
    let chosen = read.map_err(|mistake| rules::at(words)(mistake).at(list))?;
    if !chosen.lacking.is_empty() {
        let message = format!("not spoken here, and left out: {}", chosen.lacking.join(", "));
        scope.say(
            Complaint::warning(message)
                .at(list)
                .partly()
                .hint("rustls has no such suites; those that remain are used"),
        );
    }
    if scope.section.is_some() {
        let all = if modern { 3 } else { 6 };
        scope.status = match chosen.suites.len() == all {
            true => Status::WithoutEffect("every suite that is spoken is in the list"),
            false => Status::Closes(SUITES),
        };
        return Ok(());
    }
    let host = tls(scope);
    match modern {
        true => host.suites13 = Some(chosen.suites),
        false => host.suites12 = Some(chosen.suites),
    }
    Ok(())
}

fn server_order(scope: &mut Scope, words: &[Word]) -> Applied {
    tls(scope).server_order = Some(values::switch(scope.name, &words[0], &words[0].text)?);
    Ok(())
}

fn authority_file(scope: &mut Scope, words: &[Word]) -> Applied {
    tls(scope).authority_file = Some(file(scope, &words[0])?);
    Ok(())
}

fn authority_path(scope: &mut Scope, words: &[Word]) -> Applied {
    tls(scope).authority_path = Some(file(scope, &words[0])?);
    Ok(())
}

fn revocation_file(scope: &mut Scope, words: &[Word]) -> Applied {
    tls(scope).revocation_file = Some((file(scope, &words[0])?, words[0].clone()));
    Ok(())
}

fn revocation_path(scope: &mut Scope, words: &[Word]) -> Applied {
    tls(scope).revocation_path = Some((file(scope, &words[0])?, words[0].clone()));
    Ok(())
}

fn revocation_check(scope: &mut Scope, words: &[Word]) -> Applied {
    let check =
        match values::one_of(scope.name, &words[0], &words[0].text, &["none", "leaf", "chain"])?.as_str() {
            "none" => RevocationCheck::None,
            "leaf" => RevocationCheck::Leaf,
            _ => RevocationCheck::Chain,
        };
    let flag = words.get(1);
    flag.map(|flag| {
        values::one_of("the flag of SSLCARevocationCheck", flag, &flag.text, &["no_crl_for_cert_ok"])
    })
    .transpose()?;
    tls(scope).revocation_check = Some((check, flag.is_some(), words[0].clone()));
    Ok(())
}

fn verify_client(scope: &mut Scope, words: &[Word]) -> Applied {
    let levels = ["none", "optional", "optional_no_ca", "require"];
    let verify = match values::one_of(scope.name, &words[0], &words[0].text, &levels)?.as_str() {
        "none" => VerifyClient::None,
        "optional" => VerifyClient::Optional,
        "optional_no_ca" => VerifyClient::OptionalNoCa,
        _ => VerifyClient::Require,
    };
    if scope.section.is_none() {
        tls(scope).verify = Some((verify, words[0].clone()));
        return Ok(());
    }
    scope.settings().ssl.verify = Some(verify);
    let place = PlaceVerify { host: scope.host, verify, word: words[0].clone() };
    scope.raw.verified.push(place);
    Ok(())
}

fn verify_depth(scope: &mut Scope, words: &[Word]) -> Applied {
    let depth = values::whole(scope.name, &words[0], &words[0].text, 0..=100, "certificates")?;
    let depth = u32::try_from(depth).unwrap_or(u32::MAX);
    match scope.section {
        Some(_) => scope.settings().ssl.depth = Some(depth),
        None => tls(scope).depth = Some(depth),
    }
    Ok(())
}

fn options(scope: &mut Scope, words: &[Word]) -> Applied {
    let names = [
        "stdenvvars",
        "exportcertdata",
        "legacydnstringformat",
        "strictrequire",
        "optrenegotiate",
        "fakebasicauth",
        "compatenvvars",
    ];
    for word in words {
        let (sign, name) = match word.text.as_bytes().first() {
            Some(sign @ (b'+' | b'-')) => (*sign, &word.text[1..]),
            _ => (b' ', word.text.as_str()),
        };
        let name = values::one_of(scope.name, word, name, &names)?;
        let set = &mut scope.settings().ssl;
        if sign == b' ' {
            let SslPatch { require_tls, user_name, verify, depth, .. } = std::mem::take(set);
            *set = SslPatch { absolute: true, require_tls, user_name, verify, depth, ..SslPatch::default() };
        }
        let on = Some(sign != b'-');
        match name.as_str() {
            "stdenvvars" => set.std_env_vars = on,
            "exportcertdata" => set.export_cert_data = on,
            "legacydnstringformat" => set.legacy_names = on,
            "fakebasicauth" if sign != b'-' => {
                let message =
                    "FakeBasicAuth is not honoured: a scope that asks for a user still asks for a password";
                let complaint = Complaint::warning(message).at(word).partly();
                scope.say(
                    complaint.hint(
                        "SSLVerifyClient require admits by certificate, and SSLUserName names the user",
                    ),
                );
            }
            _ => {}
        }
    }
    Ok(())
}

fn require_tls(scope: &mut Scope, _: &[Word]) -> Applied {
    scope.settings().ssl.require_tls = true;
    Ok(())
}

fn user_name(scope: &mut Scope, words: &[Word]) -> Applied {
    scope.settings().ssl.user_name = Some(words[0].text.clone());
    Ok(())
}

fn tickets(scope: &mut Scope, words: &[Word]) -> Applied {
    tls(scope).tickets = Some(values::switch(scope.name, &words[0], &words[0].text)?);
    Ok(())
}

fn ticket_key(scope: &mut Scope, words: &[Word]) -> Applied {
    tls(scope).ticket_key = Some(file(scope, &words[0])?);
    Ok(())
}

fn strict_sni(scope: &mut Scope, words: &[Word]) -> Applied {
    tls(scope).strict_sni = Some(values::switch(scope.name, &words[0], &words[0].text)?);
    Ok(())
}

fn use_stapling(scope: &mut Scope, words: &[Word]) -> Applied {
    if values::switch(scope.name, &words[0], &words[0].text)? {
        scope.status = Status::WithoutEffect(
            "no responder is asked; the response in GilkeeperStaplingFile is stapled, where there is one",
        );
    }
    Ok(())
}

fn stapling(scope: &mut Scope, words: &[Word]) -> Applied {
    tls(scope).stapling = Some(file(scope, &words[0])?);
    Ok(())
}

fn fips(scope: &mut Scope, words: &[Word]) -> Applied {
    match values::switch(scope.name, &words[0], &words[0].text)? {
        true => Err(Complaint::error("the cryptography here is no FIPS module").at(&words[0])),
        false => nothing(scope, words),
    }
}

fn nss_verify_client(scope: &mut Scope, words: &[Word]) -> Applied {
    if ["none", "optional", "optional_no_ca"].iter().any(|level| words[0].text.eq_ignore_ascii_case(level)) {
        scope.status = Status::WithoutEffect(
            "no certificate of an NSS database is asked for, so the application sees none",
        );
        return Ok(());
    }
    let asked = CertificateUse { host: scope.host, section: scope.section, word: scope.word.clone() };
    scope.raw.certificates.push(asked);
    Ok(())
}

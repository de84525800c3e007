//! One file at a time: certificates, keys, authorities, revocation lists, a stapled response, a ticket key. Each that cannot be used
//! gets a sentence that says what it is and what to do.

use gk_config::site::CertificateFiles;
use gk_wire::certificates::{KeyForm, KeyedCertificate, Octets, TicketKey};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::{PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{InconsistentKeys, RootCertStore};
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Longest file that is read, in bytes: revocation lists of large authorities have some MB.
const LONGEST: u64 = 64 << 20;
/// Bytes of a ticket key's file: name and key, as Apache has them.
const TICKET_KEY: usize = 48;

/// A file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadFile {
    /// The file.
    pub path: PathBuf,
    /// One sentence.
    pub text: String,
    /// It is not there.
    pub missing: bool,
    /// This user may not read it.
    pub denied: bool,
}

impl BadFile {
    /// With a sentence.
    pub fn new(path: &Path, text: String) -> Self {
        Self { path: path.to_owned(), text, missing: false, denied: false }
    }
}

/// The sections of a PEM file.
type Sections = Vec<(SectionKind, Vec<u8>)>;

/// The certificate, its chain and its key; and a remark, if there is one.
pub fn keyed(files: &CertificateFiles) -> Result<(KeyedCertificate, Option<String>), BadFile> {
    let path = &files.certificate;
    let mut chain = certificates(path, "the certificate")?;
    if let Some(more) = &files.chain {
        chain.extend(certificates(more, "the certificate chain")?);
    }
    let key_path = files.key.as_ref().unwrap_or(path);
    let (form, der) = key(key_path, files.key.is_none())?;
    let unusable = |_| {
        BadFile::new(
            key_path,
            format!(
                "the private key {} is of a kind that cannot be used: RSA from 2048 bits on, ECDSA with P-256 or P-384, and Ed25519 can",
                key_path.display()
            ),
        )
    };
    let signing = any_supported_type(&private(form, der.clone())).map_err(unusable)?;
    fits(path, &chain, key_path, &signing)?;
    let chain = chain.into_iter().map(Octets).collect();
    let remark = readable_by_all(key_path).then(|| {
        format!("everybody on this machine can read the private key {}: chmod 600 it", key_path.display())
    });
    Ok((KeyedCertificate { chain, form, key: Octets(der) }, remark))
}

fn private(form: KeyForm, der: Vec<u8>) -> PrivateKeyDer<'static> {
    match form {
        KeyForm::Pkcs1 => PrivateKeyDer::Pkcs1(der.into()),
        KeyForm::Pkcs8 => PrivateKeyDer::Pkcs8(der.into()),
        KeyForm::Sec1 => PrivateKeyDer::Sec1(der.into()),
    }
}

/// Whether a key belongs to the first certificate.
fn fits(path: &Path, chain: &[Vec<u8>], key_path: &Path, key: &Arc<dyn SigningKey>) -> Result<(), BadFile> {
    let all: Vec<CertificateDer<'static>> = chain.iter().cloned().map(CertificateDer::from).collect();
    let why = match CertifiedKey::new(all.clone(), Arc::clone(key)).keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => return Ok(()),
        Err(rustls::Error::InconsistentKeys(_)) => {
            let public = key.public_key();
            let own = |one: &CertificateDer<'_>| {
                ParsedCertificate::try_from(one)
                    .is_ok_and(|one| Some(one.subject_public_key_info()) == public)
            };
            let (key, path) = (key_path.display(), path.display());
            match all.iter().position(own) {
                Some(place) => format!(
                    "the private key {key} belongs to certificate {} of {path}, and not to the first: the server's own certificate comes first, \
                     then those above it",
                    place + 1
                ),
                None => format!("the private key {key} does not belong to the certificate {path}"),
            }
        }
        Err(why) => format!("the certificate {} cannot be used: {why}", path.display()),
    };
    Err(BadFile::new(path, why))
}

fn readable_by_all(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| meta.permissions().mode() & 0o004 != 0)
}

/// The certificates of a file, one at least.
fn certificates(path: &Path, what: &str) -> Result<Vec<Vec<u8>>, BadFile> {
    let (text, sections) = sections(path, what)?;
    let found = of_kind(&sections, SectionKind::Certificate);
    if !found.is_empty() {
        return Ok(found);
    }
    let shown = path.display();
    let is_key = |kind: &SectionKind| {
        matches!(kind, SectionKind::RsaPrivateKey | SectionKind::PrivateKey | SectionKind::EcPrivateKey)
    };
    Err(BadFile::new(
        path,
        if sections.iter().any(|(kind, _)| is_key(kind)) || text.contains("PRIVATE KEY-----") {
            format!("{shown} holds a private key and no certificate: are the two files exchanged?")
        } else if sections.iter().any(|(kind, _)| *kind == SectionKind::Csr) {
            format!(
                "{shown} holds a request for a certificate and no certificate: name the file that the authority gave for it"
            )
        } else if text.contains("BEGIN TRUSTED CERTIFICATE") {
            format!(
                "{shown} holds a certificate in OpenSSL's own form; `openssl x509 -in {shown} -out FILE` writes the usual one"
            )
        } else {
            no_pem(path, what, &text, "CERTIFICATE")
        },
    ))
}

/// The private key of a file. `beside`: the file is that of the certificate.
fn key(path: &Path, beside: bool) -> Result<(KeyForm, Vec<u8>), BadFile> {
    let what = "the private key";
    let bytes = whole(path, what)?;
    let text = String::from_utf8_lossy(&bytes);
    let shown = path.display();
    if text.contains("ENCRYPTED PRIVATE KEY-----") || text.contains("Proc-Type: 4,ENCRYPTED") {
        let why = format!(
            "the private key {shown} is encrypted, and nobody can be asked for its pass phrase; `openssl pkey -in {shown} -out FILE` writes it \
             without one"
        );
        return Err(BadFile::new(path, why));
    }
    // After the question for a pass phrase: the older form of an encrypted key cannot be decoded.
    let sections = decoded(path, what, &bytes)?;
    let found = sections.iter().find_map(|(kind, der)| {
        let form = match kind {
            SectionKind::RsaPrivateKey => KeyForm::Pkcs1,
            SectionKind::PrivateKey => KeyForm::Pkcs8,
            SectionKind::EcPrivateKey => KeyForm::Sec1,
            _ => return None,
        };
        Some((form, der.clone()))
    });
    found.ok_or_else(|| {
        let other = text.lines().find_map(|line| line.strip_prefix("-----BEGIN ")?.strip_suffix(" PRIVATE KEY-----"));
        BadFile::new(
            path,
            match other {
                _ if beside => format!("{shown} holds no private key, and SSLCertificateKeyFile names no other file"),
                Some(kind) => format!("the private key {shown} is in the form {kind}, which cannot be used; make one with `openssl genpkey`"),
                None if sections.iter().any(|(kind, _)| *kind == SectionKind::Certificate) => {
                    format!("{shown} holds a certificate and no private key: are the two files exchanged?")
                }
                None => no_pem(path, what, &text, "PRIVATE KEY"),
            },
        )
    })
}

/// The authorities in files and directories. Each is asked what the front will ask of it: rustls has to take it, and its names and dates
/// have to be readable.
pub fn authorities(places: &[PathBuf]) -> Result<Vec<Vec<u8>>, BadFile> {
    let mut all = Vec::new();
    let mut roots = RootCertStore::empty();
    for path in each(places, "")? {
        for authority in certificates(&path, "the file of authorities")? {
            let taken = roots.add(CertificateDer::from(authority.clone())).map_err(|why| why.to_string());
            let read =
                taken.and_then(|()| X509Certificate::from_der(&authority).map_err(|why| why.to_string()));
            read.map_err(|why| {
                BadFile::new(
                    &path,
                    format!("{} contains a certificate that cannot be an authority: {why}", path.display()),
                )
            })?;
            all.push(authority);
        }
    }
    Ok(all)
}

/// The revocation lists in files and directories.
pub fn revocation_lists(places: &[PathBuf]) -> Result<Vec<(PathBuf, Vec<u8>)>, BadFile> {
    let mut all = Vec::new();
    for path in each(places, "r")? {
        let (text, sections) = sections(&path, "the revocation list")?;
        let found = of_kind(&sections, SectionKind::Crl);
        if found.is_empty() {
            return Err(BadFile::new(&path, no_pem(&path, "the revocation list", &text, "X509 CRL")));
        }
        all.extend(found.into_iter().map(|list| (path.clone(), list)));
    }
    Ok(all)
}

/// An OCSP response in DER form.
pub fn stapling(path: &Path) -> Result<Vec<u8>, BadFile> {
    let bytes = whole(path, "the OCSP response")?;
    let shown = path.display();
    // OCSPResponse ::= SEQUENCE { responseStatus ENUMERATED … }, in which 0 is the one that is a success.
    let status = match bytes.as_slice() {
        [0x30, short, rest @ ..] if *short < 0x80 => Some(rest),
        [0x30, 0x81, _, rest @ ..] | [0x30, 0x82, _, _, rest @ ..] => Some(rest),
        _ => None,
    };
    match status {
        Some([10, 1, 0, ..]) => Ok(bytes),
        Some([10, 1, code, ..]) => {
            let text = format!("{shown} is an OCSP response with the error {code}: ask the responder again");
            Err(BadFile::new(path, text))
        }
        _ => Err(BadFile::new(
            path,
            format!("{shown} is no OCSP response in DER form, as `openssl ocsp … -respout FILE` writes it"),
        )),
    }
}

/// The key of session tickets.
pub fn ticket_key(path: &Path) -> Result<TicketKey, BadFile> {
    let bytes = whole(path, "the ticket key")?;
    if bytes.len() != TICKET_KEY {
        let (shown, length) = (path.display(), bytes.len());
        let text = format!(
            "the ticket key {shown} has {length} bytes and needs {TICKET_KEY}: `openssl rand -out {shown} {TICKET_KEY}`"
        );
        return Err(BadFile::new(path, text));
    }
    let (name, key) = bytes.split_at(16);
    Ok(TicketKey { name: Octets(name.to_vec()), key: Octets(key.to_vec()) })
}

/// The files of places: a file is itself, a directory stands for those that are named by a hash, as `openssl rehash` does.
/// `mark`: between the dot and the number of such a name.
pub fn each(places: &[PathBuf], mark: &str) -> Result<Vec<PathBuf>, BadFile> {
    let mut all = Vec::new();
    for place in places {
        if !place.is_dir() {
            all.push(place.clone());
            continue;
        }
        let hashed = hashed(place, mark).map_err(|why| unreadable(place, "the directory", &why))?;
        if hashed.is_empty() {
            let shown = place.display();
            let text = format!(
                "{shown} has no file that is named by a hash (HASH.{mark}0); `openssl rehash {shown}` names them"
            );
            return Err(BadFile::new(place, text));
        }
        all.extend(hashed);
    }
    Ok(all)
}

/// The files of a directory that are named by a hash, in the order of their names.
pub fn hashed(folder: &Path, mark: &str) -> io::Result<Vec<PathBuf>> {
    let is_hashed = |name: &str| {
        let Some((hash, number)) = name.split_once('.') else { return false };
        let number = number.strip_prefix(mark).unwrap_or("");
        hash.len() == 8
            && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
            && !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(is_hashed) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

fn of_kind(sections: &Sections, wanted: SectionKind) -> Vec<Vec<u8>> {
    sections.iter().filter(|(kind, _)| *kind == wanted).map(|(_, der)| der.clone()).collect()
}

/// The text of a file and its sections; those that cannot be decoded are an error.
fn sections(path: &Path, what: &str) -> Result<(String, Sections), BadFile> {
    let bytes = whole(path, what)?;
    let found = decoded(path, what, &bytes)?;
    Ok((String::from_utf8_lossy(&bytes).into_owned(), found))
}

fn decoded(path: &Path, what: &str, bytes: &[u8]) -> Result<Sections, BadFile> {
    let found: Result<Sections, _> = <(SectionKind, Vec<u8>)>::pem_slice_iter(bytes).collect();
    found.map_err(|_| {
        BadFile::new(
            path,
            format!(
                "{what} {} is damaged: its PEM form ends early or holds other characters",
                path.display()
            ),
        )
    })
}

fn no_pem(path: &Path, what: &str, text: &str, label: &str) -> String {
    let shown = path.display();
    if text.trim().is_empty() {
        return format!("{what} {shown} is empty");
    }
    if text.starts_with('0') && !text.contains("-----BEGIN") {
        return format!(
            "{what} {shown} is in DER or PKCS #12 form; `openssl x509`, `pkey` or `pkcs12` write the PEM form of it"
        );
    }
    format!("{what} {shown} is not in PEM form: it has no line -----BEGIN {label}-----")
}

/// The bytes of a regular file.
fn whole(path: &Path, what: &str) -> Result<Vec<u8>, BadFile> {
    let refused = |why: io::Error| unreadable(path, what, &why);
    let meta: Metadata = path.metadata().map_err(refused)?;
    // A pipe would make the server wait.
    if !meta.is_file() || meta.len() > LONGEST {
        let why = if meta.is_file() { "it is longer than 64 MiB" } else { "it is no regular file" };
        return Err(BadFile::new(path, format!("{what} {} cannot be read: {why}", path.display())));
    }
    let bytes = std::fs::read(path).map_err(refused)?;
    if bytes.is_empty() {
        return Err(BadFile::new(path, format!("{what} {} is empty", path.display())));
    }
    Ok(bytes)
}

fn unreadable(path: &Path, what: &str, why: &io::Error) -> BadFile {
    let shown = path.display();
    let (missing, denied) =
        (why.kind() == io::ErrorKind::NotFound, why.kind() == io::ErrorKind::PermissionDenied);
    let text = match why.kind() {
        io::ErrorKind::NotFound => format!("{what} {shown} is not there"),
        io::ErrorKind::PermissionDenied => {
            format!(
                "{what} {shown} cannot be read by this user: start the server as root with User, or let the user read the file"
            )
        }
        _ => format!("{what} {shown} cannot be read: {why}"),
    };
    BadFile { path: path.to_owned(), text, missing, denied }
}

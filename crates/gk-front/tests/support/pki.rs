//! Authorities, certificates and revocation lists, made by OpenSSL's command.

use gk_wire::certificates::{HostCertificates, KeyForm, KeyedCertificate, Octets, TicketKey};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder of certificates.
pub struct Pki {
    folder: tempfile::TempDir,
}

/// When a certificate is valid.
#[derive(Clone, Copy, PartialEq)]
pub enum Valid {
    Now,
    Past,
    Future,
}

/// The folder of `openssl ca`, which can set dates.
const SETTINGS: &str = "[ca]\ndefault_ca=d\n[d]\ndatabase=index\nserial=serial\ncrlnumber=crlnumber\nnew_certs_dir=.\n\
    default_md=sha256\ndefault_crl_days=30\npolicy=any\nunique_subject=no\ncopy_extensions=copy\nemail_in_dn=yes\n[any]\n\
    organizationName=optional\ncommonName=optional\nemailAddress=optional\n[authority]\nbasicConstraints=critical,CA:TRUE\n\
    keyUsage=keyCertSign,cRLSign\n[req]\ndistinguished_name=name\n[name]\n";

impl Pki {
    /// With an authority `ca`.
    pub fn new() -> Self {
        let pki = Self { folder: tempfile::tempdir().unwrap() };
        for (name, text) in
            [("index", ""), ("serial", "1001\n"), ("crlnumber", "01\n"), ("settings", SETTINGS)]
        {
            std::fs::write(pki.path(name), text).unwrap();
        }
        pki.authority("ca");
        pki
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn openssl(&self, arguments: &str) {
        let run = Command::new("openssl").args(arguments.split(' ')).current_dir(self.folder.path()).output();
        let run = run.expect("the openssl command");
        assert!(run.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&run.stderr));
    }

    /// An authority that vouches for itself.
    pub fn authority(&self, name: &str) {
        self.openssl(&format!(
            "req -x509 -config settings -extensions authority -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
             -keyout {name}.key -out {name}.pem -days 30 -subj /O=Test/CN={name}"
        ));
    }

    /// A certificate for itself, which is no authority.
    pub fn own(&self, name: &str) {
        self.openssl(&format!(
            "req -x509 -config settings -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key \
             -out {name}.pem -days 30 -subj /CN={name} -addext basicConstraints=CA:FALSE"
        ));
    }

    /// A certificate that an authority has issued, with a name for servers.
    pub fn issue(&self, by: &str, name: &str, valid: Valid) {
        self.sign(by, name, valid, "ec -pkeyopt ec_paramgen_curve:P-256", "");
    }

    /// The same with an RSA key.
    pub fn issue_rsa(&self, by: &str, name: &str) {
        self.sign(by, name, Valid::Now, "rsa:2048", "");
    }

    /// An authority that another one has issued.
    pub fn between(&self, by: &str, name: &str) {
        self.sign(by, name, Valid::Now, "ec -pkeyopt ec_paramgen_curve:P-256", " -extensions authority");
    }

    fn sign(&self, by: &str, name: &str, valid: Valid, key: &str, extensions: &str) {
        self.openssl(&format!(
            "req -config settings -newkey {key} -nodes -keyout {name}.key -out {name}.csr -subj \
             /O=Test/CN={name}/emailAddress={name}@example.org -addext subjectAltName=DNS:{name}"
        ));
        let dates = match valid {
            Valid::Now => "-startdate 20200101000000Z -enddate 20980101000000Z",
            Valid::Past => "-startdate 20200101000000Z -enddate 20210101000000Z",
            Valid::Future => "-startdate 20970101000000Z -enddate 20980101000000Z",
        };
        self.openssl(&format!(
            "ca -config settings -batch -notext -cert {by}.pem -keyfile {by}.key -in {name}.csr -out {name}.pem {dates}{extensions}"
        ));
    }

    /// The revocation list of an authority, with these on it.
    pub fn revocation(&self, by: &str, revoked: &[&str]) -> Octets {
        for name in revoked {
            self.openssl(&format!("ca -config settings -cert {by}.pem -keyfile {by}.key -revoke {name}.pem"));
        }
        self.openssl(&format!("ca -config settings -cert {by}.pem -keyfile {by}.key -gencrl -out {by}.crl"));
        self.openssl(&format!("crl -in {by}.crl -outform der -out {by}.crl.der"));
        self.bytes(&format!("{by}.crl.der"))
    }

    fn bytes(&self, name: &str) -> Octets {
        Octets(std::fs::read(self.path(name)).unwrap())
    }

    /// A certificate in DER form.
    pub fn certificate(&self, name: &str) -> Octets {
        self.openssl(&format!("x509 -in {name}.pem -outform der -out {name}.der"));
        self.bytes(&format!("{name}.der"))
    }

    /// A key in DER form.
    pub fn key(&self, name: &str) -> Octets {
        self.openssl(&format!("pkcs8 -topk8 -nocrypt -in {name}.key -outform der -out {name}.key.der"));
        self.bytes(&format!("{name}.key.der"))
    }

    /// A server's certificate with its key.
    pub fn keyed(&self, name: &str) -> KeyedCertificate {
        KeyedCertificate { chain: vec![self.certificate(name)], form: KeyForm::Pkcs8, key: self.key(name) }
    }

    /// The files of a host.
    pub fn host(&self, name: &str) -> HostCertificates {
        HostCertificates { keyed: vec![self.keyed(name)], ..HostCertificates::default() }
    }
}

/// A key of tickets.
pub fn ticket_key(number: u8) -> TicketKey {
    TicketKey { name: Octets(vec![number; 16]), key: Octets(vec![number; 32]) }
}

//! TLS of a host, and what a place asks of the connection. Files are named here, and read by the supervisor.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// TLS of a host with `SSLEngine On`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostTls {
    /// Certificates with their keys; one for each kind of key. There is one at least.
    pub certificates: Vec<CertificateFiles>,
    /// `SSLProtocol`.
    pub versions: TlsVersions,
    /// `SSLCipherSuite`: the suites of both versions by rustls's names, best first; `None`: rustls's own choice.
    pub suites: Option<Vec<String>>,
    /// `SSLHonorCipherOrder`: the order of `suites` counts, and not the client's.
    pub server_order: bool,
    /// Client certificates.
    pub clients: ClientCertificates,
    /// `GilkeeperStaplingFile`: the OCSP response to staple, in DER form.
    pub stapling: Option<PathBuf>,
    /// `SSLSessionTickets`: sessions are resumed by tickets.
    pub tickets: bool,
    /// `SSLSessionTicketKeyFile`: the key of tickets, shared with other servers; else the supervisor makes keys.
    pub ticket_key: Option<PathBuf>,
    /// `SSLStrictSNIVHostCheck`: a client that sends no server name is answered 403; in the first host of an address this holds
    /// for all hosts of the address.
    pub strict_sni: bool,
}

impl HostTls {
    /// The names that `suites` may hold, best first: of TLS 1.3, then of TLS 1.2.
    pub const SUITES: [&'static str; 9] = [
        "TLS13_AES_256_GCM_SHA384",
        "TLS13_AES_128_GCM_SHA256",
        "TLS13_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    ];
}

/// Files of one certificate, in PEM form.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CertificateFiles {
    /// `SSLCertificateFile`: the certificate, its chain behind it.
    pub certificate: PathBuf,
    /// `SSLCertificateKeyFile`; `None`: in the certificate's file.
    pub key: Option<PathBuf>,
    /// `SSLCertificateChainFile`: more of the chain, behind what the certificate's file holds.
    pub chain: Option<PathBuf>,
}

/// Versions of TLS that a host speaks; one at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsVersions {
    /// TLS 1.2.
    pub tls12: bool,
    /// TLS 1.3.
    pub tls13: bool,
}

impl TlsVersions {
    /// Both.
    pub const ALL: Self = Self { tls12: true, tls13: true };

    /// `TLSv1.2 TLSv1.3`.
    pub fn words(self) -> &'static str {
        match (self.tls12, self.tls13) {
            (true, true) => "TLSv1.2 TLSv1.3",
            (true, false) => "TLSv1.2",
            (false, _) => "TLSv1.3",
        }
    }
}

/// Client certificates of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientCertificates {
    /// `SSLVerifyClient` of the host.
    pub verify: VerifyClient,
    /// `SSLCACertificateFile`, `SSLCACertificatePath`: files of authorities in PEM form, and directories that hold such files under
    /// the hash of their subject (`HASH.0`).
    pub authorities: Vec<PathBuf>,
    /// `SSLCARevocationFile`, `SSLCARevocationPath`: files of revocation lists, and directories (`HASH.r0`).
    pub revocation: Vec<PathBuf>,
    /// `SSLCARevocationCheck`.
    pub revocation_check: RevocationCheck,
    /// `SSLCARevocationCheck … no_crl_for_cert_ok`: a certificate whose authority has no list is taken for good.
    pub unlisted_ok: bool,
    /// `SSLVerifyDepth`: most authorities between a client's certificate and none; 0: self-signed ones only.
    pub depth: u32,
}

/// `SSLVerifyClient`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerifyClient {
    /// No certificate is asked for.
    #[default]
    None,
    /// A certificate is asked for; one that is shown must be valid.
    Optional,
    /// A certificate is asked for, and any will do: the application looks at it (`SSL_CLIENT_VERIFY`).
    OptionalNoCa,
    /// Only clients with a valid certificate are served.
    Require,
}

impl VerifyClient {
    /// The word of the directive.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Optional => "optional",
            Self::OptionalNoCa => "optional_no_ca",
            Self::Require => "require",
        }
    }
}

/// `SSLCARevocationCheck`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevocationCheck {
    /// Revocation lists are not looked at.
    #[default]
    None,
    /// The client's own certificate must not be revoked, and a list must say so.
    Leaf,
    /// The same of every certificate of its chain.
    Chain,
}

/// What a place asks of the connection, and tells the application of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SslSettings {
    /// `SSLRequireSSL`: 403 without TLS.
    pub require_tls: bool,
    /// `SSLOptions StdEnvVars`: `SSL_*` variables.
    pub std_env_vars: bool,
    /// `SSLOptions ExportCertData`: `SSL_SERVER_CERT`, `SSL_CLIENT_CERT`, `SSL_CLIENT_CERT_CHAIN_n`.
    pub export_cert_data: bool,
    /// `SSLOptions LegacyDNStringFormat`: names of certificates are written `/C=…/O=…`.
    pub legacy_names: bool,
    /// `SSLUserName`: the variable that becomes `REMOTE_USER`.
    pub user_name: Option<String>,
    /// `SSLVerifyClient` of the place; `None`: the host's. Not asked where the connection speaks no TLS.
    pub verify: Option<VerifyClient>,
    /// `SSLVerifyDepth` of the place.
    pub depth: Option<u32>,
}

impl SslSettings {
    /// Whether nothing is asked and nothing told.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The directives that say this, for people; empty where nothing is said.
    pub fn words(&self) -> String {
        let options = [
            (self.std_env_vars, "+StdEnvVars"),
            (self.export_cert_data, "+ExportCertData"),
            (self.legacy_names, "+LegacyDNStringFormat"),
        ];
        let options: Vec<&str> = options.iter().filter(|(on, _)| *on).map(|(_, word)| *word).collect();
        let mut all = Vec::new();
        if self.require_tls {
            all.push("SSLRequireSSL".to_owned());
        }
        if !options.is_empty() {
            all.push(format!("SSLOptions {}", options.join(" ")));
        }
        all.extend(self.user_name.as_ref().map(|name| format!("SSLUserName {name}")));
        all.extend(self.verify.map(|verify| format!("SSLVerifyClient {}", verify.word())));
        all.extend(self.depth.map(|depth| format!("SSLVerifyDepth {depth}")));
        all.join(", ")
    }

    /// Lays what a scope sets over these.
    pub fn lay(&mut self, patch: &SslPatch) {
        self.require_tls |= patch.require_tls;
        let unless = |old: bool| old && !patch.absolute;
        self.std_env_vars = patch.std_env_vars.unwrap_or(unless(self.std_env_vars));
        self.export_cert_data = patch.export_cert_data.unwrap_or(unless(self.export_cert_data));
        self.legacy_names = patch.legacy_names.unwrap_or(unless(self.legacy_names));
        if patch.user_name.is_some() {
            self.user_name.clone_from(&patch.user_name);
        }
        self.verify = patch.verify.or(self.verify);
        self.depth = patch.depth.or(self.depth);
    }
}

/// The same, as a scope sets it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(
    missing_docs,
    reason = "each field is the optional form of the field of `SslSettings` with the same name"
)]
pub struct SslPatch {
    pub require_tls: bool,
    /// `SSLOptions` without `+` or `-`: options that are not named are off.
    pub absolute: bool,
    pub std_env_vars: Option<bool>,
    pub export_cert_data: Option<bool>,
    pub legacy_names: Option<bool>,
    pub user_name: Option<String>,
    pub verify: Option<VerifyClient>,
    pub depth: Option<u32>,
}

impl SslPatch {
    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

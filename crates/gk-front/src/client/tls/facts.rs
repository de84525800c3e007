//! The facts of a connection's TLS: what was negotiated, who the client is, and the variables that mod_ssl makes of it.

use gk_config::site::{HostTls, SslSettings};
use gk_wire::response::Headers;
use rustls::pki_types::CertificateDer;
use rustls::{CipherSuite, ProtocolVersion};
use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt::{self, Write as _};
use std::rc::Rc;

use crate::client::tls::certificate::{self, Certificate};
use crate::client::tls::clients::Verified;

/// Variables of `SSLOptions StdEnvVars`, besides the single parts of names.
const STANDARD: &[&str] = &[
    "SSL_VERSION_INTERFACE",
    "SSL_VERSION_LIBRARY",
    "SSL_PROTOCOL",
    "SSL_SECURE_RENEG",
    "SSL_COMPRESS_METHOD",
    "SSL_CIPHER",
    "SSL_CIPHER_EXPORT",
    "SSL_CIPHER_USEKEYSIZE",
    "SSL_CIPHER_ALGKEYSIZE",
    "SSL_CLIENT_VERIFY",
    "SSL_CLIENT_M_VERSION",
    "SSL_CLIENT_M_SERIAL",
    "SSL_CLIENT_V_START",
    "SSL_CLIENT_V_END",
    "SSL_CLIENT_V_REMAIN",
    "SSL_CLIENT_S_DN",
    "SSL_CLIENT_I_DN",
    "SSL_CLIENT_A_KEY",
    "SSL_CLIENT_A_SIG",
    "SSL_CLIENT_CERT_RFC4523_CEA",
    "SSL_SERVER_M_VERSION",
    "SSL_SERVER_M_SERIAL",
    "SSL_SERVER_V_START",
    "SSL_SERVER_V_END",
    "SSL_SERVER_S_DN",
    "SSL_SERVER_I_DN",
    "SSL_SERVER_A_KEY",
    "SSL_SERVER_A_SIG",
    "SSL_SESSION_ID",
    "SSL_SESSION_RESUMED",
];

/// Suites: OpenSSL's name, and the bits of its key.
const SUITES: &[(CipherSuite, &str, u16)] = &[
    (CipherSuite::TLS13_AES_256_GCM_SHA384, "TLS_AES_256_GCM_SHA384", 256),
    (CipherSuite::TLS13_AES_128_GCM_SHA256, "TLS_AES_128_GCM_SHA256", 128),
    (CipherSuite::TLS13_CHACHA20_POLY1305_SHA256, "TLS_CHACHA20_POLY1305_SHA256", 256),
    (CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, "ECDHE-ECDSA-AES256-GCM-SHA384", 256),
    (CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "ECDHE-ECDSA-AES128-GCM-SHA256", 128),
    (CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-ECDSA-CHACHA20-POLY1305", 256),
    (CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, "ECDHE-RSA-AES256-GCM-SHA384", 256),
    (CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, "ECDHE-RSA-AES128-GCM-SHA256", 128),
    (CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-RSA-CHACHA20-POLY1305", 256),
];

/// Bytes of a session's number.
pub const SESSION: usize = 32;

/// One connection's TLS.
pub struct TlsFacts {
    /// Index of the host for which hands were shaken, in the site of [`TlsFacts::number`].
    pub host: usize,
    /// Number of the [`crate::client::tls::Tls`] that did it.
    pub number: u64,
    /// What the configuration asked of the connection.
    pub setup: Rc<HostTls>,
    /// The version.
    pub version: ProtocolVersion,
    /// The suite.
    pub suite: CipherSuite,
    /// The server's name as the client sent it.
    pub name: Option<String>,
    /// An earlier session was taken up again.
    pub resumed: bool,
    /// Number of the session.
    pub session: [u8; SESSION],
    /// HTTP/2 was agreed on.
    pub h2: bool,
    /// The finding about the client's certificate.
    pub verified: Verified,
    /// The client's certificate and its chain.
    pub client: Vec<CertificateDer<'static>>,
    /// The server's certificate and its chain.
    pub server: Rc<Vec<CertificateDer<'static>>>,
    /// Seconds since the epoch at which hands were shaken.
    pub at: i64,
    /// Variables that were asked for, each kind made once.
    made: Made,
}

#[derive(Default)]
struct Made {
    name: OnceCell<Headers>,
    standard: OnceCell<Headers>,
    legacy: OnceCell<Headers>,
    certificates: OnceCell<Headers>,
}

/// The entries of environ that a place wants of the connection.
#[derive(Default)]
pub struct TlsEntries<'a> {
    /// Kinds of variables.
    pub kinds: [Option<&'a Headers>; 3],
    /// `REMOTE_USER`, by `SSLUserName`.
    pub user: Option<Cow<'a, str>>,
}

/// What was negotiated; the start of [`TlsFacts`].
pub struct Negotiated {
    /// See [`TlsFacts::host`] …
    pub host: usize,
    /// See [`TlsFacts::number`].
    pub number: u64,
    /// See [`TlsFacts::setup`].
    pub setup: Rc<HostTls>,
    /// See [`TlsFacts::name`].
    pub name: Option<String>,
    /// See [`TlsFacts::server`].
    pub server: Rc<Vec<CertificateDer<'static>>>,
    /// See [`TlsFacts::session`].
    pub session: [u8; SESSION],
    /// See [`TlsFacts::at`].
    pub at: i64,
}

impl fmt::Debug for TlsFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsFacts").field("host", &self.host).field("name", &self.name).finish_non_exhaustive()
    }
}

impl TlsFacts {
    /// Of a connection whose handshake is done.
    pub fn new(negotiated: Negotiated, tls: &rustls::ServerConnection, verified: Verified) -> Self {
        let Negotiated { host, number, setup, name, server, session, at } = negotiated;
        let resumed = tls.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
        let before = tls.received_resumption_data().filter(|_| resumed);
        let client = tls.peer_certificates().unwrap_or_default();
        Self {
            host,
            number,
            setup,
            version: tls.protocol_version().unwrap_or(ProtocolVersion::TLSv1_3),
            suite: tls.negotiated_cipher_suite().map_or(CipherSuite::TLS_NULL_WITH_NULL_NULL, |s| s.suite()),
            name,
            resumed,
            session: before.and_then(|before| before.try_into().ok()).unwrap_or(session),
            h2: tls.alpn_protocol() == Some(b"h2"),
            verified,
            client: client.to_vec(),
            server,
            at,
            made: Made::default(),
        }
    }

    /// `TLSv1.3`.
    pub fn version_text(&self) -> &'static str {
        if self.version == ProtocolVersion::TLSv1_2 { "TLSv1.2" } else { "TLSv1.3" }
    }

    fn suite_row(&self) -> (&'static str, u16) {
        let row = SUITES.iter().find(|(suite, ..)| *suite == self.suite);
        row.map_or(("", 0), |(_, name, bits)| (name, *bits))
    }

    /// The value of a variable of mod_ssl, in the old form of names where the place wants it.
    pub fn variable(&self, name: &str, legacy: bool) -> Option<Cow<'_, str>> {
        let (suite, bits) = self.suite_row();
        let bits = || Some(bits.to_string().into());
        match name {
            "HTTPS" => Some("on".into()),
            "SSL_TLS_SNI" => self.name.as_deref().map(Cow::from),
            "SSL_VERSION_INTERFACE" => Some(crate::SOFTWARE.into()),
            "SSL_VERSION_LIBRARY" => Some("rustls/0.23".into()),
            "SSL_PROTOCOL" => Some(self.version_text().into()),
            "SSL_SECURE_RENEG" => Some("true".into()),
            "SSL_COMPRESS_METHOD" => Some("NULL".into()),
            "SSL_CIPHER" => Some(suite.into()),
            "SSL_CIPHER_EXPORT" => Some("false".into()),
            "SSL_CIPHER_USEKEYSIZE" | "SSL_CIPHER_ALGKEYSIZE" => bits(),
            "SSL_CLIENT_VERIFY" => Some(match &self.verified {
                Verified::Nothing => "NONE".into(),
                Verified::Valid(_) => "SUCCESS".into(),
                Verified::Wrong(wrong) => format!("FAILED:{}", wrong.words()).into(),
            }),
            "SSL_SESSION_ID" => Some(hex(&self.session).into()),
            "SSL_SESSION_RESUMED" => Some(if self.resumed { "Resumed" } else { "Initial" }.into()),
            "SSL_SERVER_CERT" => self.server.first().map(|der| certificate::pem(der).into()),
            "SSL_CLIENT_CERT" => self.client.first().map(|der| certificate::pem(der).into()),
            _ => {
                if let Some(number) = name.strip_prefix("SSL_CLIENT_CERT_CHAIN_") {
                    let der = self.client.get(number.parse::<usize>().ok()?.checked_add(1)?)?;
                    return Some(certificate::pem(der).into());
                }
                let (der, part) = match name.strip_prefix("SSL_CLIENT_") {
                    Some(part) => (self.client.first()?, part),
                    None => (self.server.first()?, name.strip_prefix("SSL_SERVER_")?),
                };
                Some(Certificate::parse(der)?.part(part, legacy, self.at)?.into())
            }
        }
    }

    /// The entries of environ for a place with these settings.
    pub fn entries(&self, settings: &SslSettings) -> TlsEntries<'_> {
        let made = &self.made;
        let standard = settings.std_env_vars.then(|| match settings.legacy_names {
            true => made.legacy.get_or_init(|| self.standard(true)),
            false => made.standard.get_or_init(|| self.standard(false)),
        });
        let certificates =
            settings.export_cert_data.then(|| made.certificates.get_or_init(|| self.certificates()));
        let name = self.name.as_ref().map(|name| {
            made.name.get_or_init(|| {
                let mut entry = Headers::default();
                entry.push(b"SSL_TLS_SNI", name.as_bytes());
                entry
            })
        });
        TlsEntries { kinds: [name, standard, certificates], user: self.user(settings) }
    }

    /// The user of a place with `SSLUserName`.
    pub fn user(&self, settings: &SslSettings) -> Option<Cow<'_, str>> {
        let name = settings.user_name.as_deref()?;
        self.variable(name, settings.legacy_names).filter(|value| !value.is_empty())
    }

    fn standard(&self, legacy: bool) -> Headers {
        let mut entries = Headers::default();
        for name in STANDARD {
            if let Some(value) = self.variable(name, legacy).filter(|value| !value.is_empty()) {
                entries.push(name.as_bytes(), value.as_bytes());
            }
        }
        let sides = [("SSL_SERVER_", self.server.first()), ("SSL_CLIENT_", self.client.first())];
        for (prefix, der) in sides {
            for (end, value) in
                der.and_then(|der| Certificate::parse(der)).map(|c| c.lists()).unwrap_or_default()
            {
                // A kind of name that is about people, and one about services.
                let other = if prefix == "SSL_SERVER_" { "SAN_OTHER_msUPN" } else { "SAN_OTHER_dnsSRV" };
                if !end.starts_with(other) {
                    entries.push(format!("{prefix}{end}").as_bytes(), value.as_bytes());
                }
            }
        }
        entries
    }

    fn certificates(&self) -> Headers {
        let mut entries = Headers::default();
        let mut push = |name: &str, der: Option<&CertificateDer<'_>>| {
            let pem = der.map(|der| certificate::pem(der)).unwrap_or_default();
            entries.push(name.as_bytes(), pem.as_bytes());
        };
        push("SSL_SERVER_CERT", self.server.first());
        push("SSL_CLIENT_CERT", self.client.first());
        for (number, der) in self.client.iter().skip(1).enumerate() {
            push(&format!("SSL_CLIENT_CERT_CHAIN_{number}"), Some(der));
        }
        entries
    }
}

/// `%{SSL_PROTOCOL}x` and `%{version}c` of a log format.
pub fn log_text(facts: Option<&Rc<TlsFacts>>, letter: char, name: &str) -> Option<String> {
    let Some(facts) = facts else { return (letter == 'x' && name == "HTTPS").then(|| "off".to_owned()) };
    let name = match (letter, name) {
        ('x', name) => name,
        (_, "version") => "SSL_PROTOCOL",
        (_, "cipher") => "SSL_CIPHER",
        (_, "subjectdn") => "SSL_CLIENT_S_DN",
        (_, "issuerdn") => "SSL_CLIENT_I_DN",
        (_, "errstr") => {
            let Verified::Wrong(wrong) = facts.verified else { return None };
            return Some(wrong.words().to_owned());
        }
        _ => return None,
    };
    facts.variable(name, false).map(Cow::into_owned)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

//! TLS of a site: for each host the answers to clients' hellos, made of its settings and certificates. Which host it is, is
//! chosen by the name that the client sends, as for requests.

pub mod certificate;
pub mod clients;
pub mod facts;
pub mod handshake;
mod names;
pub mod stream;
mod tickets;
pub mod turns;

use gk_config::site::{ClientCertificates, Host, HostTls, Site, VerifyClient};
use gk_wire::certificates::{Certificates, HostCertificates, KeyForm, KeyedCertificate};
use ring::digest;
use rustls::crypto::{CryptoProvider, ring as provider};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
};
use rustls::server::{ClientHello, NoServerSessionStorage, ServerSessionMemoryCache, StoresServerSessions};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CipherSuite, ServerConfig, SignatureAlgorithm, SupportedProtocolVersion, version};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::client::tls::clients::ClientVerifier;
use crate::client::tls::tickets::Tickets;

/// Sessions of clients without tickets that each host keeps.
const SESSIONS: usize = 256;

static LAST: AtomicU64 = AtomicU64::new(0);

/// TLS of a site, with its certificates.
pub struct Tls {
    /// Unique in this front's life.
    pub number: u64,
    /// By the site's hosts.
    hosts: Vec<Option<TlsHost>>,
}

/// TLS of one host.
pub struct TlsHost {
    /// Its settings; the same one for hosts that have the same.
    pub setup: Rc<HostTls>,
    /// One for each of its certificates.
    keyed: Vec<Keyed>,
    /// Judges certificates of clients, if it asks for them.
    pub clients: Option<Arc<ClientVerifier>>,
}

/// A certificate, and what clients get that it is for.
pub struct Keyed {
    /// For rustls.
    pub config: Arc<ServerConfig>,
    /// The certificate and its chain.
    pub chain: Rc<Vec<CertificateDer<'static>>>,
    key: Arc<CertifiedKey>,
}

impl Tls {
    /// For a site; `None`: none of its hosts speaks TLS.
    pub fn new(site: &Site, certificates: &Certificates) -> Result<Option<Self>, String> {
        if !site.has_tls() {
            return Ok(None);
        }
        let provider = Arc::new(provider::default_provider());
        let mut setups: Vec<Rc<HostTls>> = Vec::new();
        let mut hosts = Vec::with_capacity(site.hosts.len());
        for (number, host) in site.hosts.iter().enumerate() {
            let Some(tls) = &host.tls else {
                hosts.push(None);
                continue;
            };
            let setup = match setups.iter().find(|known| ***known == *tls) {
                Some(known) => Rc::clone(known),
                None => {
                    setups.push(Rc::new(tls.clone()));
                    Rc::clone(&setups[setups.len() - 1])
                }
            };
            let name = || host.server_name.clone().unwrap_or_else(|| format!("number {number}"));
            let files = certificates.hosts.get(number);
            let files = files.filter(|files| !files.keyed.is_empty());
            let files = files.ok_or_else(|| format!("there is no certificate for host {}", name()))?;
            let made = TlsHost::new(host, setup, files, certificates, &provider);
            hosts.push(Some(made.map_err(|why| format!("TLS of host {}: {why}", name()))?));
        }
        let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(Some(Self { number, hosts }))
    }

    /// TLS of a host by its index, if it speaks any.
    pub fn host(&self, index: usize) -> Option<&TlsHost> {
        self.hosts.get(index)?.as_ref()
    }
}

impl TlsHost {
    fn new(
        host: &Host,
        setup: Rc<HostTls>,
        files: &HostCertificates,
        all: &Certificates,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, String> {
        let asks = setup.clients.verify != VerifyClient::None;
        let clients = match asks {
            true => Some(Arc::new(ClientVerifier::new(&setup.clients, files, provider)?)),
            false => None,
        };
        let provider = Arc::new(chosen(provider, &setup)?);
        let sessions: Arc<dyn StoresServerSessions> = match setup.tickets {
            true => ServerSessionMemoryCache::new(SESSIONS),
            false => Arc::new(NoServerSessionStorage {}),
        };
        let own_key = files.ticket_key.as_ref().map(std::slice::from_ref);
        let keys = own_key.unwrap_or(&all.ticket_keys);
        let tickets = setup.tickets.then(|| Tickets::new(keys, &purpose(&setup.clients, files))).flatten();
        let tickets = tickets.map(Arc::new);
        let mut alpn = vec![b"http/1.1".to_vec()];
        if host.protocols.h2 {
            alpn.insert(0, b"h2".to_vec());
        }
        let mut keyed = Vec::new();
        for (number, certificate) in files.keyed.iter().enumerate() {
            let mut key = certified(certificate, &provider)?;
            key.ocsp = files.stapling.as_ref().filter(|_| number == 0).map(|bytes| bytes.0.clone());
            let (chain, key) = (Rc::new(key.cert.clone()), Arc::new(key));
            let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
                .with_protocol_versions(&versions(&setup))
                .map_err(|error| error.to_string())?;
            let builder = match &clients {
                Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier) as _),
                None => builder.with_no_client_auth(),
            };
            let resolver = SingleCertAndKey::from(CertifiedKey::clone(&key));
            let mut config = builder.with_cert_resolver(Arc::new(resolver));
            config.alpn_protocols.clone_from(&alpn);
            config.ignore_client_order = setup.server_order;
            config.session_storage = Arc::clone(&sessions);
            match &tickets {
                Some(tickets) => config.ticketer = Arc::clone(tickets) as _,
                None if !setup.tickets => config.send_tls13_tickets = 0,
                None => {}
            }
            keyed.push(Keyed { config: Arc::new(config), chain, key });
        }
        // Small keys first, where a client takes them.
        keyed.sort_by_key(|keyed| keyed.key.key.algorithm() == SignatureAlgorithm::RSA);
        Ok(Self { setup, keyed, clients })
    }

    /// The certificate for a client: the first of which it can check the signature, else the last.
    pub fn choose(&self, hello: &ClientHello<'_>) -> Option<&Keyed> {
        let usable = |keyed: &&Keyed| {
            let key = &keyed.key.key;
            key.choose_scheme(hello.signature_schemes()).is_some()
                && hello.cipher_suites().iter().any(|suite| serves(*suite, key.algorithm()))
        };
        self.keyed.iter().find(usable).or(self.keyed.last())
    }
}

/// Whether a suite works with a key of this kind.
fn serves(suite: CipherSuite, algorithm: SignatureAlgorithm) -> bool {
    let rsa = algorithm == SignatureAlgorithm::RSA;
    match suite {
        CipherSuite::TLS13_AES_256_GCM_SHA384
        | CipherSuite::TLS13_AES_128_GCM_SHA256
        | CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => true,
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
        | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => rsa,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => !rsa,
        _ => false,
    }
}

/// The provider with the suites of a host only, in their order.
fn chosen(provider: &CryptoProvider, setup: &HostTls) -> Result<CryptoProvider, String> {
    let mut provider = provider.clone();
    if let Some(names) = &setup.suites {
        let all = std::mem::take(&mut provider.cipher_suites);
        let named = |name: &String| all.iter().find(|suite| format!("{:?}", suite.suite()) == *name).copied();
        provider.cipher_suites = names.iter().filter_map(named).collect();
        if provider.cipher_suites.is_empty() {
            return Err("none of its suites is known".into());
        }
    }
    Ok(provider)
}

fn versions(setup: &HostTls) -> Vec<&'static SupportedProtocolVersion> {
    let both = [(setup.versions.tls13, &version::TLS13), (setup.versions.tls12, &version::TLS12)];
    both.into_iter().filter(|(on, _)| *on).map(|(_, version)| version).collect()
}

/// A certificate with its key, for rustls.
fn certified(certificate: &KeyedCertificate, provider: &CryptoProvider) -> Result<CertifiedKey, String> {
    let chain = certificate.chain.iter().map(|der| CertificateDer::from(der.0.clone())).collect();
    let key = certificate.key.0.clone();
    let key: PrivateKeyDer<'static> = match certificate.form {
        KeyForm::Pkcs1 => PrivatePkcs1KeyDer::from(key).into(),
        KeyForm::Pkcs8 => PrivatePkcs8KeyDer::from(key).into(),
        KeyForm::Sec1 => PrivateSec1KeyDer::from(key).into(),
    };
    CertifiedKey::from_der(chain, key, provider).map_err(|error| error.to_string())
}

/// The purpose of a host's tickets: to be taken up by hosts that judge clients' certificates in the same way. A new revocation list makes
/// another one, so that nobody goes on with an old session.
fn purpose(clients: &ClientCertificates, files: &HostCertificates) -> Vec<u8> {
    let mut all = digest::Context::new(&digest::SHA256);
    all.update(format!("{:?} {} {:?}", clients.verify, clients.depth, clients.revocation_check).as_bytes());
    for list in [&files.authorities, &files.revocation] {
        all.update(&(list.len() as u64).to_be_bytes());
        for bytes in list {
            all.update(&(bytes.0.len() as u64).to_be_bytes());
            all.update(&bytes.0);
        }
    }
    all.finish().as_ref().to_vec()
}

/// Whether two hosts may answer each other's requests on one connection, as mod_ssl compares them.
pub fn is_compatible(one: &HostTls, other: &HostTls) -> bool {
    one.certificates == other.certificates
        && one.versions == other.versions
        && one.suites == other.suites
        && one.clients == other.clients
}

//! TLS of one host as its directives leave it.

use crate::site::{RevocationCheck, TlsVersions, VerifyClient};
use crate::token::Word;
use std::path::PathBuf;

/// What a host says of TLS. What it leaves open, the main server says.
#[derive(Debug, Default)]
pub struct RawTls {
    /// `SSLEngine`, with its word.
    pub engine: Option<(bool, Word)>,
    /// `SSLCertificateFile`, in order.
    pub certificates: Vec<PathBuf>,
    /// `SSLCertificateKeyFile`, in order, each with its word.
    pub keys: Vec<(PathBuf, Word)>,
    /// `SSLCertificateChainFile`.
    pub chain: Option<PathBuf>,
    /// `SSLProtocol`.
    pub versions: Option<TlsVersions>,
    /// `SSLCipherSuite`: rustls's names of suites of TLS 1.2, best first.
    pub suites12: Option<Vec<&'static str>>,
    /// The same of TLS 1.3.
    pub suites13: Option<Vec<&'static str>>,
    /// `SSLHonorCipherOrder`.
    pub server_order: Option<bool>,
    /// `SSLCACertificateFile`.
    pub authority_file: Option<PathBuf>,
    /// `SSLCACertificatePath`.
    pub authority_path: Option<PathBuf>,
    /// `SSLCARevocationFile`, with its word.
    pub revocation_file: Option<(PathBuf, Word)>,
    /// `SSLCARevocationPath`, with its word.
    pub revocation_path: Option<(PathBuf, Word)>,
    /// `SSLCARevocationCheck`; whether a missing list is overlooked; its word.
    pub revocation_check: Option<(RevocationCheck, bool, Word)>,
    /// `SSLVerifyClient` outside of sections, with its word.
    pub verify: Option<(VerifyClient, Word)>,
    /// `SSLVerifyDepth` outside of sections.
    pub depth: Option<u32>,
    /// `GilkeeperStaplingFile`.
    pub stapling: Option<PathBuf>,
    /// `SSLSessionTickets`.
    pub tickets: Option<bool>,
    /// `SSLSessionTicketKeyFile`.
    pub ticket_key: Option<PathBuf>,
    /// `SSLStrictSNIVHostCheck`.
    pub strict_sni: Option<bool>,
}

impl RawTls {
    /// Whether the host speaks TLS, with the main server around it.
    pub fn is_on(&self, main: &Self) -> bool {
        self.engine.as_ref().or(main.engine.as_ref()).is_some_and(|(on, _)| *on)
    }
}

/// `SSLVerifyClient` in a section.
#[derive(Debug)]
pub struct PlaceVerify {
    /// The host it stands in.
    pub host: usize,
    /// What is asked for.
    pub verify: VerifyClient,
    /// The directive's word.
    pub word: Word,
}

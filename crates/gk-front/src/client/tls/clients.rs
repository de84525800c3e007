//! Certificates of clients: whether one is valid, and the reason where it is not, in OpenSSL's words, which applications
//! find in `SSL_CLIENT_VERIFY`. What OpenSSL takes and this does not: signatures with SHA-1, RSA keys below 2048 bits.

use gk_config::site::{ClientCertificates, RevocationCheck, VerifyClient};
use gk_wire::certificates::HostCertificates;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use std::fmt;
use std::sync::Arc;
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, OwnedCertRevocationList, RevocationCheckDepth,
    RevocationOptionsBuilder, UnknownStatusPolicy, anchor_from_trusted_cert,
};

use crate::client::tls::certificate::Certificate;

/// The finding about a client's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verified {
    /// The client has shown none.
    Nothing,
    /// It is valid, and so many authorities are between it and none.
    Valid(u32),
    /// It is not valid, with the reason.
    Wrong(Wrong),
}

/// Why a certificate is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// It is nobody's but its own.
    SelfSigned,
    /// The end of its chain is an authority that is not known here.
    SelfSignedInChain,
    /// Its issuer is not known.
    NoIssuer,
    /// The issuer of one of its chain is not known.
    NoLocalIssuer,
    /// It is too old.
    Expired,
    /// It is not valid yet.
    TooEarly,
    /// It is revoked.
    Revoked,
    /// No revocation list says anything of it.
    NoRevocationList,
    /// The revocation list is too old.
    OldRevocationList,
    /// There are more authorities than `SSLVerifyDepth` allows.
    TooLong,
    /// It is for something else.
    Purpose,
    /// Its signature is wrong, or of a kind that is not known here.
    Signature,
    /// It is malformed, or breaks another rule.
    Malformed,
}

impl Wrong {
    /// OpenSSL's words.
    pub fn words(self) -> &'static str {
        match self {
            Self::SelfSigned => "self-signed certificate",
            Self::SelfSignedInChain => "self-signed certificate in certificate chain",
            Self::NoIssuer => "unable to verify the first certificate",
            Self::NoLocalIssuer => "unable to get local issuer certificate",
            Self::Expired => "certificate has expired",
            Self::TooEarly => "certificate is not yet valid",
            Self::Revoked => "certificate revoked",
            Self::NoRevocationList => "unable to get certificate CRL",
            Self::OldRevocationList => "CRL has expired",
            Self::TooLong => "certificate chain too long",
            Self::Purpose => "unsuitable certificate purpose",
            Self::Signature => "certificate signature failure",
            Self::Malformed => "certificate rejected",
        }
    }

    /// Whether `optional_no_ca` lets it pass: all that is wrong is that nobody is known who vouches for it.
    fn is_unvouched(self) -> bool {
        matches!(self, Self::SelfSigned | Self::SelfSignedInChain | Self::NoIssuer | Self::NoLocalIssuer)
    }

    fn error(self) -> Error {
        let error = match self {
            Self::SelfSigned | Self::SelfSignedInChain | Self::NoIssuer | Self::NoLocalIssuer => {
                CertificateError::UnknownIssuer
            }
            Self::Expired => CertificateError::Expired,
            Self::TooEarly => CertificateError::NotValidYet,
            Self::Revoked => CertificateError::Revoked,
            Self::NoRevocationList => CertificateError::UnknownRevocationStatus,
            Self::OldRevocationList => CertificateError::ExpiredRevocationList,
            Self::Purpose => CertificateError::InvalidPurpose,
            Self::Signature => CertificateError::BadSignature,
            Self::Malformed => CertificateError::BadEncoding,
            Self::TooLong => CertificateError::ApplicationVerificationFailure,
        };
        Error::InvalidCertificate(error)
    }
}

/// Asks clients for certificates and judges them.
pub struct ClientVerifier {
    verify: VerifyClient,
    depth: u32,
    check: RevocationCheck,
    /// Authorities that vouch for themselves: where a chain has to end, as with OpenSSL.
    anchors: Vec<TrustAnchor<'static>>,
    /// The other authorities. They help a client that does not send the whole chain.
    between: Vec<CertificateDer<'static>>,
    /// All authorities: a client's certificate that is one of these is valid by itself.
    known: Vec<CertificateDer<'static>>,
    lists: Vec<CertRevocationList<'static>>,
    subjects: Vec<DistinguishedName>,
    provider: Arc<CryptoProvider>,
}

impl fmt::Debug for ClientVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientVerifier").field("verify", &self.verify).finish_non_exhaustive()
    }
}

impl ClientVerifier {
    /// For a host that asks for certificates.
    pub fn new(
        clients: &ClientCertificates,
        files: &HostCertificates,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, String> {
        let mut verifier = Self {
            verify: clients.verify,
            depth: clients.depth,
            check: clients.revocation_check,
            anchors: Vec::new(),
            between: Vec::new(),
            known: Vec::new(),
            lists: Vec::new(),
            subjects: Vec::new(),
            provider: Arc::clone(provider),
        };
        for bytes in &files.authorities {
            let der = CertificateDer::from(bytes.0.clone());
            let certificate =
                Certificate::parse(&der).ok_or("an authority of client certificates is malformed")?;
            verifier.subjects.push(DistinguishedName::from(certificate.subject_der().to_vec()));
            if certificate.is_self_issued() {
                let anchor = anchor_from_trusted_cert(&der)
                    .map_err(|error| format!("an authority of client certificates is unusable: {error}"))?;
                verifier.anchors.push(anchor.to_owned());
            } else {
                verifier.between.push(der.clone());
            }
            verifier.known.push(der);
        }
        for bytes in &files.revocation {
            let list = OwnedCertRevocationList::from_der(&bytes.0)
                .map_err(|error| format!("a revocation list is unusable: {error}"))?;
            verifier.lists.push(list.into());
        }
        Ok(verifier)
    }

    /// Judges the certificates that a client has shown.
    pub fn judge(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Verified {
        let Some((own, others)) = chain.split_first() else { return Verified::Nothing };
        match self.path(own, others, now) {
            Ok(authorities) => Verified::Valid(authorities),
            Err(wrong) => Verified::Wrong(wrong),
        }
    }

    /// Whether such a finding lets a client in.
    pub fn admits(&self, verified: &Verified) -> bool {
        match (self.verify, verified) {
            (VerifyClient::Require, Verified::Nothing) => false,
            (_, Verified::Valid(_) | Verified::Nothing) => true,
            (VerifyClient::OptionalNoCa, Verified::Wrong(wrong)) => wrong.is_unvouched(),
            (_, Verified::Wrong(_)) => false,
        }
    }

    /// The number of authorities above a valid certificate.
    fn path(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<u32, Wrong> {
        let is_known = || self.known.iter().any(|known| known.as_ref() == own.as_ref());
        if let Some(certificate) = Certificate::parse(own).filter(|c| c.is_self_issued() && is_known()) {
            return self.pinned(&certificate, now);
        }
        let certificate = EndEntityCert::try_from(own).map_err(wrong)?;
        let between: Vec<CertificateDer<'_>> =
            others.iter().chain(&self.between).map(|der| CertificateDer::from(der.as_ref())).collect();
        let lists: Vec<&CertRevocationList<'_>> = self.lists.iter().collect();
        let revocation = match self.check {
            RevocationCheck::None => None,
            check => {
                // Without a list nothing is known of anybody.
                let options = RevocationOptionsBuilder::new(&lists).map_err(|_| Wrong::NoRevocationList)?;
                let depth = match check {
                    RevocationCheck::Leaf => RevocationCheckDepth::EndEntity,
                    _ => RevocationCheckDepth::Chain,
                };
                let options = options.with_depth(depth).with_status_policy(UnknownStatusPolicy::Deny);
                Some(options.with_expiration_policy(ExpirationPolicy::Enforce).build())
            }
        };
        let path = certificate.verify_for_usage(
            self.provider.signature_verification_algorithms.all,
            &self.anchors,
            &between,
            now,
            webpki::KeyUsage::client_auth(),
            revocation,
            None,
        );
        let path = path.map_err(|error| match wrong(error) {
            Wrong::NoIssuer => unvouched(own, others),
            // One that may sign others, too, as `openssl req -x509` makes them: that nobody knows it comes first.
            Wrong::Purpose if is_self_issued(own) => Wrong::SelfSigned,
            wrong => wrong,
        })?;
        let authorities = path.intermediate_certificates().count() as u32 + 1;
        if authorities > self.depth { Err(Wrong::TooLong) } else { Ok(authorities) }
    }

    /// A self-signed certificate that is itself among the authorities.
    fn pinned(&self, certificate: &Certificate<'_>, now: UnixTime) -> Result<u32, Wrong> {
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        match () {
            () if now < certificate.not_before() => Err(Wrong::TooEarly),
            () if now > certificate.not_after() => Err(Wrong::Expired),
            () if self.check != RevocationCheck::None => Err(Wrong::NoRevocationList),
            () => Ok(0),
        }
    }
}

fn is_self_issued(der: &CertificateDer<'_>) -> bool {
    Certificate::parse(der).is_some_and(|certificate| certificate.is_self_issued())
}

/// The reason for a certificate for which nobody vouches.
fn unvouched(own: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> Wrong {
    match () {
        () if is_self_issued(own) => Wrong::SelfSigned,
        () if others.iter().any(is_self_issued) => Wrong::SelfSignedInChain,
        () if others.is_empty() => Wrong::NoIssuer,
        () => Wrong::NoLocalIssuer,
    }
}

fn wrong(error: webpki::Error) -> Wrong {
    use webpki::Error as E;
    match error {
        E::UnknownIssuer => Wrong::NoIssuer,
        E::CertExpired { .. } | E::InvalidCertValidity => Wrong::Expired,
        E::CertNotValidYet { .. } => Wrong::TooEarly,
        E::CertRevoked => Wrong::Revoked,
        E::UnknownRevocationStatus | E::IssuerNotCrlSigner => Wrong::NoRevocationList,
        E::CrlExpired { .. } => Wrong::OldRevocationList,
        E::MaximumPathDepthExceeded | E::PathLenConstraintViolated => Wrong::TooLong,
        E::RequiredEkuNotFoundContext(_) | E::EmptyEkuExtension | E::CaUsedAsEndEntity => Wrong::Purpose,
        E::InvalidSignatureForPublicKey
        | E::InvalidCrlSignatureForPublicKey
        | E::UnsupportedSignatureAlgorithmContext(_)
        | E::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => Wrong::Signature,
        _ => Wrong::Malformed,
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.verify == VerifyClient::Require
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.subjects
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match self.path(own, others, now) {
            Ok(_) => Ok(ClientCertVerified::assertion()),
            Err(wrong) if self.admits(&Verified::Wrong(wrong)) => Ok(ClientCertVerified::assertion()),
            Err(wrong) => Err(wrong.error()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, own, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, own, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

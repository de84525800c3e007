//! TLS of the admin pages, from certificate files. If certificate authorities for clients are configured, a client with a
//! certificate of theirs needs no token.

use gk_config::measurements::AdminTls;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::path::Path;
use std::sync::Arc;

/// The configuration from these files, or one sentence that says which file is wrong and what to do.
pub fn configuration(files: &AdminTls) -> Result<Arc<ServerConfig>, String> {
    let chain = certificates(&files.certificate, "the certificate")?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|why| unusable("the private key", &files.key, &why))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let wrong = |why: rustls::Error| {
        format!(
            "GilkeeperAdminTLS: {} and {} do not match: {why}",
            files.certificate.display(),
            files.key.display()
        )
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(wrong)?;
    let builder = match &files.client_authorities {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path, "client-ca")? {
                roots.add(certificate).map_err(|why| {
                    format!(
                        "GilkeeperAdminTLS: client-ca {} contains no usable certificate authority: {why}",
                        path.display()
                    )
                })?;
            }
            // A client without a certificate needs the token.
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .allow_unauthenticated()
                .build()
                .map_err(|why| {
                    format!("GilkeeperAdminTLS: client-ca {} cannot be used: {why}", path.display())
                })?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut configuration = builder.with_single_cert(chain, key).map_err(wrong)?;
    configuration.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(configuration))
}

fn certificates(path: &Path, what: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(found) if found.is_empty() => Err(format!(
            "GilkeeperAdminTLS: {} contains no certificate in PEM form (`-----BEGIN CERTIFICATE-----`)",
            path.display()
        )),
        Ok(found) => Ok(found),
        Err(why) => Err(unusable(what, path, &why)),
    }
}

fn unusable(what: &str, path: &Path, why: &rustls::pki_types::pem::Error) -> String {
    use rustls::pki_types::pem::Error;
    let why = match why {
        Error::Io(error) => error.to_string(),
        Error::NoItemsFound => "it is not in PEM form, or contains something else".to_owned(),
        other => other.to_string(),
    };
    format!("GilkeeperAdminTLS: {what} {} cannot be read: {why}", path.display())
}

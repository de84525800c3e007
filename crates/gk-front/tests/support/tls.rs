//! Clients with TLS, by rustls, and hosts for them.

use super::{Answer, Client, PATIENCE, Pki, Running};
use gk_config::site::*;
use gk_wire::certificates::{Certificates, HostCertificates};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

pub type TlsClient = Client<StreamOwned<ClientConnection, TcpStream>>;

/// TLS of a host as the configuration has it without further directives.
pub fn host_tls(files: &str) -> HostTls {
    HostTls {
        certificates: vec![CertificateFiles { certificate: files.into(), key: None, chain: None }],
        versions: TlsVersions::ALL,
        suites: None,
        server_order: false,
        clients: ClientCertificates { depth: 1, ..ClientCertificates::default() },
        stapling: None,
        tickets: true,
        ticket_key: None,
        strict_sni: false,
    }
}

pub fn certificates(hosts: Vec<HostCertificates>) -> Certificates {
    Certificates { number: 1, hosts, ticket_keys: vec![super::ticket_key(1)], facts: Vec::new() }
}

/// A front of one host with TLS, whose settings may be changed.
pub fn front(files: HostCertificates, change: impl FnOnce(&mut HostTls, &mut Settings)) -> Running {
    Running::start_tls(&certificates(vec![files]), |site| {
        let mut tls = host_tls("a");
        change(&mut tls, &mut site.hosts[0].base);
        site.hosts[0].tls = Some(tls);
    })
}

/// Takes every certificate: which one the server has is looked at afterwards.
#[derive(Debug)]
pub struct Anybody(pub rustls::crypto::CryptoProvider);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            own,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            own,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A client's settings: its versions, and its certificate as files of `pki`, the first with its key.
pub fn client_config(tls12: bool, own: Option<(&Pki, &[&str])>) -> Arc<ClientConfig> {
    let provider = rustls::crypto::ring::default_provider();
    let versions: &[_] = if tls12 { &[&rustls::version::TLS12] } else { &[&rustls::version::TLS13] };
    let builder = ClientConfig::builder_with_provider(Arc::new(provider.clone()))
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)));
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some((pki, names)) => {
            let read = |name: &&str| {
                CertificateDer::from_pem_file(pki.path(&format!("{name}.pem"))).unwrap().into_owned()
            };
            let key = PrivateKeyDer::from_pem_file(pki.path(&format!("{}.key", names[0]))).unwrap();
            builder.with_client_auth_cert(names.iter().map(read).collect(), key).unwrap()
        }
    };
    config.enable_sni = true;
    Arc::new(config)
}

/// A client that has sent its hello to nobody yet. Without a name it sends none.
pub fn open(front: &Running, config: &Arc<ClientConfig>, name: Option<&str>) -> TlsClient {
    let mut config = ClientConfig::clone(config);
    config.enable_sni = name.is_some();
    let name = ServerName::try_from(name.unwrap_or("nobody").to_owned()).unwrap();
    let socket = TcpStream::connect(front.address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    Client::on(StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), socket))
}

pub fn get(client: &mut TlsClient, host: &str) -> Answer {
    client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).answer()
}

/// What comes of a request: the status, or the alert.
pub fn attempt(front: &Running, config: &Arc<ClientConfig>, name: &str) -> String {
    let mut client = open(front, config, Some(name));
    let asked = client.stream.write_all(format!("GET / HTTP/1.1\r\nHost: {name}\r\n\r\n").as_bytes());
    let mut start = [0; 12];
    match asked.and_then(|()| client.stream.read_exact(&mut start)) {
        Ok(()) => String::from_utf8_lossy(&start[9..]).into_owned(),
        Err(error) => match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::AlertReceived(alert)) => format!("{alert:?}"),
            other => format!("{error} {other:?}"),
        },
    }
}

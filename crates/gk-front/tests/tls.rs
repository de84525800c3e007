//! TLS: who shakes hands with whom and how. The clients are rustls's; OpenSSL's and curl have their turn in the whole server's tests.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod support;

use gk_config::site::*;
use gk_wire::certificates::Certificates;
use gk_wire::control::ToFront;
use rustls::{ClientConfig, HandshakeKind};
use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::sync::Arc;
use support::tls::{Anybody, TlsClient, attempt, certificates, client_config, front, get, host_tls, open};
use support::{PATIENCE, Pki, Running, Valid, ticket_key};

#[test]
fn the_name_of_the_hello_chooses_the_host_and_a_request_for_another_is_misdirected() {
    let pki = Pki::new();
    for name in ["main", "a", "b"] {
        pki.issue("ca", name, Valid::Now);
    }
    let hosts = vec![pki.host("main"), pki.host("a"), pki.host("b"), pki.host("b")];
    let mut front = Running::start_tls(&certificates(hosts), |site| {
        let main = site.hosts[0].clone();
        let host = |name: &str, alias: Option<&str>, files: &str| Host {
            server_name: Some(name.into()),
            aliases: alias.into_iter().map(str::to_owned).collect(),
            addresses: vec![HostAddress { host: None, port: None }],
            tls: Some(host_tls(files)),
            ..main.clone()
        };
        site.hosts[0].tls = Some(host_tls("main"));
        site.hosts.extend([host("a", Some("*.wild.org"), "a"), host("b", None, "b"), host("c", None, "b")]);
    });
    let _worker = front.hello_worker();
    let table: &[(Option<&str>, &str, &str, u16)] = &[
        (Some("a"), "a", "a", 200),
        (Some("b"), "b", "b", 200),
        (Some("x.wild.org"), "x.wild.org", "a", 200),
        (Some("unknown.org"), "unknown.org", "a", 200),
        (None, "a", "a", 200),
        (None, "b", "a", 421),
        (Some("a"), "b", "a", 421),
        // Both have the same certificate and settings.
        (Some("b"), "c", "b", 200),
        (Some("b"), "unknown.org", "b", 421),
    ];
    let of = |name: &str| pki.certificate(name).0;
    for (name, host, certificate, status) in table {
        let mut client = open(&front, &client_config(false, None), *name);
        let answer = get(&mut client, host);
        let shown = client.stream.conn.peer_certificates().unwrap()[0].as_ref();
        assert_eq!(answer.status, *status, "{name:?} and Host {host}");
        assert!(shown == of(certificate), "{name:?} gets another certificate than {certificate}");
        assert_eq!(client.stream.conn.alpn_protocol(), None);
        // The connection stays, for the right host.
        if *name == Some("a") && *status == 421 {
            assert_eq!(get(&mut client, "a").status, 200);
        }
    }
}

#[test]
fn plain_http_on_a_port_for_https_gets_the_sentence_of_apache() {
    let pki = Pki::new();
    pki.issue("ca", "a", Valid::Now);
    let log = std::cell::RefCell::new(std::path::PathBuf::new());
    let mut front = Running::start_tls(&certificates(vec![pki.host("a")]), |site| {
        site.hosts[0].tls = Some(host_tls("a"));
        let path = site.server_root.join("access.log");
        log.replace(path.clone());
        site.hosts[0].access_logs = vec![AccessLog {
            path: Some(path),
            format: "%>s \"%r\" %{SSL_PROTOCOL}x %{version}c".into(),
            form: LogForm::Text,
            when: None,
        }];
    });
    for start in ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "DELETE /x HTTP/1.0\r\n\r\n"] {
        let answer = front.client().send(start).answer();
        assert_eq!(answer.status, 400, "{start}");
        assert!(answer.text().contains("You're speaking plain HTTP to an SSL-enabled server port."));
        assert_eq!(answer.header("connection"), Some("close"));
    }
    // Reported: a request line that came in pieces got an alert. Met with a client that sends a letter as it is typed.
    for pieces in [&["G", "ET /p HTTP/1.1\r\nHost: a\r\n\r\n"][..], &["P", "U", "T /p HTTP/1.1\r\n\r\n"]] {
        let mut client = front.client();
        for piece in pieces {
            client.send(piece);
            front.until(|status| status.connections == 1);
            // What was there before the question is read before the second answer.
            (0..2).for_each(|_| front.until(|_| true));
        }
        assert_eq!(client.answer().status, 400, "{pieces:?}");
    }
    // What is neither gets an alert, or nothing.
    for start in [&[0x80, 0x2e, 1, 0, 2, 0, 0, 0][..], b"G\x16\x03\x01", b"get / HTTP/1.1\r\n\r\n"] {
        let (said, _) = front.client().send(start).rest();
        assert!(!said.starts_with(b"HTTP"), "{said:?}");
    }
    let _worker = front.hello_worker();
    assert_eq!(get(&mut open(&front, &client_config(false, None), Some("a")), "a").status, 200);
    front.stop(5.0).unwrap();
    let lines = std::fs::read_to_string(&*log.borrow()).unwrap();
    assert!(lines.contains("400 \"GET / HTTP/1.1\" - -\n400 \"DELETE /x HTTP/1.0\" - -\n"), "{lines}");
    assert!(lines.ends_with("200 \"GET / HTTP/1.1\" TLSv1.3 TLSv1.3\n"), "{lines}");
}

#[test]
fn a_session_is_taken_up_again_by_another_front_with_the_same_keys_and_rules_only() {
    let pki = Pki::new();
    pki.issue("ca", "a", Valid::Now);
    pki.issue("ca", "good", Valid::Now);
    let mut files = pki.host("a");
    files.authorities = vec![pki.certificate("ca")];
    let lists = pki.revocation("ca", &["good"]);
    let start = |key: u8, revocation: bool| {
        let mut files = files.clone();
        if revocation {
            files.revocation = vec![lists.clone()];
        }
        let certificates =
            Certificates { ticket_keys: vec![ticket_key(key), ticket_key(9)], ..certificates(vec![files]) };
        let mut front = Running::start_tls(&certificates, |site| {
            let mut tls = host_tls("a");
            tls.clients.verify = VerifyClient::Optional;
            if revocation {
                tls.clients.revocation_check = RevocationCheck::Leaf;
            }
            site.hosts[0].tls = Some(tls);
            site.hosts[0].base.ssl.std_env_vars = true;
        });
        let worker = front.hello_worker();
        (front, worker)
    };
    for tls12 in [false, true] {
        let config = client_config(tls12, Some((&pki, &["good"])));
        let kind = |front: &Running| {
            let mut client = open(front, &config, Some("a"));
            assert_eq!(get(&mut client, "a").status, 200);
            client.stream.conn.handshake_kind().unwrap()
        };
        let (front, _worker) = start(1, false);
        assert_eq!(kind(&front), HandshakeKind::Full);
        assert_eq!(kind(&front), HandshakeKind::Resumed);
        drop(front);
        let (front, _worker) = start(1, false);
        assert_eq!(kind(&front), HandshakeKind::Resumed, "by the next front, TLS 1.2: {tls12}");
        drop(front);
        let (front, _worker) = start(2, false);
        assert_eq!(kind(&front), HandshakeKind::Full, "with another key");
        drop(front);
        // The certificate was revoked meanwhile.
        let (front, _worker) = start(1, false);
        kind(&front);
        drop(front);
        let (front, _worker) = start(1, true);
        assert_eq!(attempt(&front, &config, "a"), "CertificateRevoked");
    }
}

#[test]
fn other_certificates_are_for_new_connections_and_wrong_ones_are_refused() {
    let pki = Pki::new();
    pki.issue("ca", "a", Valid::Now);
    pki.issue("ca", "new", Valid::Now);
    let mut front = front(pki.host("a"), |_, _| {});
    let _worker = front.hello_worker();
    let config = client_config(false, None);
    let mut before = open(&front, &config, Some("a"));
    assert_eq!(get(&mut before, "a").header("connection"), None);
    let mut wrong = pki.host("a");
    wrong.keyed[0].key = pki.key("new");
    let refused = front.certify(&Certificates { number: 2, ..certificates(vec![wrong]) });
    assert!(refused.is_some_and(|why| why.starts_with("TLS of host example.org: ")));
    assert_eq!(get(&mut before, "a").header("connection"), None);
    assert_eq!(front.certify(&Certificates { number: 3, ..certificates(vec![pki.host("new")]) }), None);
    let shown = |client: &TlsClient| client.stream.conn.peer_certificates().unwrap()[0].to_vec();
    // A client that has a session would not ask for the certificate.
    let mut after = open(&front, &client_config(false, None), Some("a"));
    assert_eq!(get(&mut after, "a").status, 200);
    assert!(shown(&after) == pki.certificate("new").0 && shown(&before) == pki.certificate("a").0);
    // It ends with its next response, in order.
    let answer = get(&mut before, "a");
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert_eq!(before.rest(), (Vec::new(), true));
}

#[test]
fn a_site_that_cannot_be_used_is_refused_and_changes_nothing() {
    let pki = Pki::new();
    pki.issue("ca", "a", Valid::Now);
    let mut front = front(pki.host("a"), |_, _| {});
    let _worker = front.hello_worker();
    let mut site = support::site(front.root.path());
    site.hosts[0].mounts.clear();
    let mut tls = host_tls("a");
    tls.clients.verify = VerifyClient::Optional;
    site.hosts[0].tls = Some(tls);
    let mut wrong = pki.host("a");
    wrong.authorities = vec![b"nothing".to_vec().into()];
    let refused = front.reload_tls(&site, &certificates(vec![wrong]));
    assert_eq!(
        refused.as_deref(),
        Some("TLS of host example.org: an authority of client certificates is malformed")
    );
    let status = || get(&mut open(&front, &client_config(false, None), Some("a")), "a").status;
    assert_eq!(status(), 200);
    assert_eq!(front.reload_tls(&site, &certificates(vec![pki.host("a")])), None);
    assert_eq!(status(), 404);
}

/// Reported: a plain connection that was open before a reload turned TLS on for its address was served on as if it had come over TLS. Met
/// with clients that keep their connections.
#[test]
fn a_plain_connection_that_is_older_than_tls_is_closed() {
    let pki = Pki::new();
    pki.issue("ca", "a", Valid::Now);
    let mut front = Running::start(|_| {});
    let _worker = front.hello_worker();
    let mut before = front.client();
    assert_eq!(before.get("/").answer().status, 200);
    let mut site = support::site(front.root.path());
    site.hosts[0].tls = Some(host_tls("a"));
    assert_eq!(front.reload_tls(&site, &certificates(vec![pki.host("a")])), None);
    let answer = before.get("/").answer();
    assert_eq!((answer.status, answer.header("connection")), (403, Some("close")));
    assert_eq!(before.rest(), (Vec::new(), true));
    assert_eq!(get(&mut open(&front, &client_config(false, None), Some("a")), "a").status, 200);
    // And back: who has shaken hands is sent away.
    let mut before = open(&front, &client_config(false, None), Some("a"));
    assert_eq!(get(&mut before, "a").status, 200);
    front.reload(&support::site(front.root.path()));
    assert_eq!(get(&mut before, "a").status, 421);
    assert_eq!(front.client().get("/").answer().status, 200);
}

#[test]
fn the_kind_of_key_is_one_that_the_client_knows() {
    let pki = Pki::new();
    pki.issue("ca", "a", Valid::Now);
    pki.issue_rsa("ca", "rsa");
    let mut files = pki.host("rsa");
    files.keyed.push(pki.keyed("a"));
    let mut front = front(files, |_, _| {});
    let _worker = front.hello_worker();
    let shown = |config: &Arc<ClientConfig>| {
        let mut client = open(&front, config, Some("a"));
        assert_eq!(get(&mut client, "a").status, 200);
        client.stream.conn.peer_certificates().unwrap()[0].to_vec()
    };
    assert!(shown(&client_config(false, None)) == pki.certificate("a").0, "small keys come first");
    let mut provider = rustls::crypto::ring::default_provider();
    provider.cipher_suites.retain(|suite| format!("{suite:?}").contains("_RSA_"));
    let config = ClientConfig::builder_with_provider(Arc::new(provider.clone()))
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    assert!(shown(&Arc::new(config)) == pki.certificate("rsa").0);
}

#[test]
fn versions_and_suites_are_those_of_the_host() {
    let pki = Pki::new();
    pki.issue("ca", "a", Valid::Now);
    let table: &[(TlsVersions, Option<&str>, &str, &str)] = &[
        (TlsVersions::ALL, None, "200", "200"),
        (TlsVersions { tls12: true, tls13: false }, None, "200", "ProtocolVersion"),
        (TlsVersions { tls12: false, tls13: true }, None, "ProtocolVersion", "200"),
        (TlsVersions::ALL, Some("TLS13_AES_128_GCM_SHA256"), "HandshakeFailure", "200"),
    ];
    for (versions, suite, tls12, tls13) in table {
        let mut front = front(pki.host("a"), |tls, _| {
            tls.versions = *versions;
            tls.suites = suite.map(|suite| vec![suite.to_owned()]);
            if suite.is_some() {
                tls.versions.tls12 = false;
            }
        });
        let _worker = front.hello_worker();
        let wanted = if suite.is_some() { "ProtocolVersion" } else { *tls12 };
        assert_eq!(attempt(&front, &client_config(true, None), "a"), wanted, "{versions:?} {suite:?}");
        assert_eq!(attempt(&front, &client_config(false, None), "a"), *tls13, "{versions:?} {suite:?}");
    }
}

#[test]
fn who_does_not_shake_hands_or_does_not_ask_is_ended_in_time() {
    let pki = Pki::new();
    pki.issue("ca", "a", Valid::Now);
    let mut front = Running::start_tls(&certificates(vec![pki.host("a")]), |site| {
        site.hosts[0].tls = Some(host_tls("a"));
        site.hosts[0].read_timeouts.handshake = ReadTimeout::fixed(0.3);
        site.hosts[0].read_timeouts.header = ReadTimeout::fixed(0.6);
    });
    for start in [&b""[..], b"\x16\x03\x01\x02\x00\x01\x00"] {
        let (said, _) = front.client().send(start).rest();
        assert!(said.is_empty(), "{said:?}");
    }
    let mut client = open(&front, &client_config(false, None), Some("a"));
    client.send("GET / HTTP/1.1\r\n");
    let answer = client.answer();
    assert_eq!((answer.status, answer.header("connection")), (408, Some("close")));
    assert_eq!(client.rest(), (Vec::new(), true));
    // One that waits between requests sleeps meanwhile, and is served all the same.
    let _worker = front.hello_worker();
    let mut client = open(&front, &client_config(false, None), Some("a"));
    assert_eq!(get(&mut client, "a").status, 200);
    client.stream.sock.set_read_timeout(Some(std::time::Duration::from_millis(400))).unwrap();
    let silence = client.stream.read(&mut [0]).unwrap_err();
    assert!(matches!(silence.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{silence}");
    client.stream.sock.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(get(&mut client, "a").status, 200);
    assert_eq!(get(&mut client, "a").status, 200);
}

/// Reported of reloads in embedded mode, and met in upgrades: a client that was shaking hands at the time found its connection closed.
#[test]
fn a_handshake_goes_on_after_a_handover() {
    let pki = Pki::new();
    pki.issue("ca", "a", Valid::Now);
    let mut front = front(pki.host("a"), |_, _| {});
    let _worker = front.hello_worker();
    let mut client = open(&front, &client_config(false, None), Some("a"));
    front.until(|status| status.connections == 1);
    front.say(&ToFront::HandedOver);
    front.say(&ToFront::Stop { timeout: 20.0 });
    support::eventually(|| TcpStream::connect(front.address).is_err());
    let answer = get(&mut client, "a");
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    front.join().unwrap();
}

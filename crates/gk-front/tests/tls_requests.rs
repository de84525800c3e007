//! Requests over TLS: what applications are told, who is refused, and that nothing broken off looks complete.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod support;

use gk_config::site::*;
use gk_wire::frame::{CHUNK, ToFrontFrame};
use std::io::Write;
use support::tls::{attempt, client_config, front, open};
use support::{Frame, Pki, Running, Valid};

#[test]
fn an_application_learns_what_mod_ssl_says_of_the_connection() {
    let pki = Pki::new();
    pki.issue("ca", "a", Valid::Now);
    pki.issue("ca", "client", Valid::Now);
    let mut files = pki.host("a");
    files.authorities = vec![pki.certificate("ca")];
    let mut front = front(files, |tls, settings| {
        tls.clients.verify = VerifyClient::Optional;
        settings.ssl.std_env_vars = true;
        settings.ssl.export_cert_data = true;
        settings.ssl.user_name = Some("SSL_CLIENT_S_DN_CN".into());
    });
    let mut worker = front.worker(1);
    worker.welcome();
    let ask = |own: Option<(&Pki, &[&str])>, tls12: bool, worker: &mut support::FakeWorker| {
        let mut client = open(&front, &client_config(tls12, own), Some("a"));
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        // The handshake needs the client's turn, too.
        client.stream.flush().unwrap();
        let request = worker.request();
        worker.hello(request.id());
        assert_eq!(client.answer().status, 200);
        request
    };
    let request = ask(Some((&pki, &["client"])), false, &mut worker);
    let table = [
        ("https", "true"),
        ("SERVER_PORT", "443"),
        ("SSL_TLS_SNI", "a"),
        ("SSL_PROTOCOL", "TLSv1.3"),
        ("SSL_CIPHER", "TLS_AES_256_GCM_SHA384"),
        ("SSL_CIPHER_USEKEYSIZE", "256"),
        ("SSL_CIPHER_EXPORT", "false"),
        ("SSL_COMPRESS_METHOD", "NULL"),
        ("SSL_SECURE_RENEG", "true"),
        ("SSL_SESSION_RESUMED", "Initial"),
        ("SSL_CLIENT_VERIFY", "SUCCESS"),
        ("SSL_CLIENT_M_VERSION", "3"),
        ("SSL_CLIENT_V_START", "Jan  1 00:00:00 2020 GMT"),
        ("SSL_CLIENT_S_DN", "emailAddress=client@example.org,CN=client,O=Test"),
        ("SSL_CLIENT_S_DN_CN", "client"),
        ("SSL_CLIENT_S_DN_O", "Test"),
        ("SSL_CLIENT_S_DN_Email", "client@example.org"),
        ("SSL_CLIENT_I_DN", "CN=ca,O=Test"),
        ("SSL_CLIENT_A_KEY", "id-ecPublicKey"),
        ("SSL_CLIENT_A_SIG", "ecdsa-with-SHA256"),
        ("SSL_CLIENT_SAN_DNS_0", "client"),
        ("SSL_SERVER_S_DN_CN", "a"),
        ("SSL_SERVER_SAN_DNS_0", "a"),
        ("REMOTE_USER", "client"),
    ];
    for (name, wanted) in table {
        assert_eq!(request.get(name), Some(wanted), "{name}");
    }
    let serial = request.get("SSL_CLIENT_M_SERIAL").unwrap();
    assert!(serial.starts_with("10") && serial.len() == 4, "{serial}");
    let number = i64::from_str_radix(serial, 16).unwrap();
    let wanted = format!("{{ serialNumber {number}, issuer rdnSequence:\"CN=ca,O=Test\" }}");
    assert_eq!(request.get("SSL_CLIENT_CERT_RFC4523_CEA"), Some(&*wanted));
    let pem = std::fs::read_to_string(pki.path("client.pem")).unwrap();
    assert_eq!(request.get("SSL_CLIENT_CERT"), Some(&*pem));
    assert_eq!(request.get("SSL_SESSION_ID").map(str::len), Some(64));

    let request = ask(None, true, &mut worker);
    assert_eq!(request.get("SSL_PROTOCOL"), Some("TLSv1.2"));
    assert_eq!(request.get("SSL_CIPHER"), Some("ECDHE-ECDSA-AES256-GCM-SHA384"));
    assert_eq!(request.get("SSL_CLIENT_VERIFY"), Some("NONE"));
    assert_eq!(request.get("SSL_CLIENT_S_DN"), None);
    assert_eq!(request.get("REMOTE_USER"), None);
}

#[test]
fn without_options_an_application_sees_the_name_and_the_scheme() {
    let pki = Pki::new();
    pki.issue("ca", "a", Valid::Now);
    let mut front = front(pki.host("a"), |_, _| {});
    let mut worker = front.worker(1);
    worker.welcome();
    let mut client = open(&front, &client_config(false, None), Some("a"));
    client.send("GET / HTTP/1.1\r\nHost: a:8443\r\n\r\n");
    let request = worker.request();
    worker.hello(request.id());
    assert_eq!(client.answer().status, 200);
    let Frame::Request { environ, .. } = &request else { panic!("no request") };
    let told: Vec<&str> = environ.iter().map(|(name, _)| &**name).filter(|n| n.starts_with("SSL_")).collect();
    assert_eq!(told, ["SSL_TLS_SNI"]);
    assert_eq!((request.get("https"), request.get("SERVER_PORT")), (Some("true"), Some("8443")));
}

#[test]
fn a_request_without_a_host_on_a_connection_with_one_is_malformed() {
    let pki = Pki::new();
    pki.issue("ca", "a", Valid::Now);
    let mut front = front(pki.host("a"), |_, _| {});
    let _worker = front.hello_worker();
    for (name, status) in [(Some("a"), 400), (None, 200)] {
        let mut client = open(&front, &client_config(false, None), name);
        assert_eq!(client.send("GET / HTTP/1.0\r\n\r\n").answer().status, status, "{name:?}");
    }
}

#[test]
fn clients_without_a_good_certificate_are_refused_as_the_host_says() {
    use VerifyClient::{Optional, OptionalNoCa, Require};
    let pki = Pki::new();
    pki.authority("other");
    pki.between("ca", "between");
    pki.own("self");
    pki.own("pinned");
    for (by, name) in
        [("ca", "a"), ("ca", "good"), ("other", "stranger"), ("between", "deep"), ("ca", "revoked")]
    {
        pki.issue(by, name, Valid::Now);
    }
    pki.issue("ca", "old", Valid::Past);
    pki.issue("ca", "early", Valid::Future);
    let lists = vec![pki.revocation("ca", &["revoked"])];
    let table: &[(VerifyClient, RevocationCheck, u32, &[&str], &str)] = &[
        (Require, RevocationCheck::None, 1, &[], "CertificateRequired"),
        (Require, RevocationCheck::None, 1, &["good"], "200 SUCCESS"),
        (Require, RevocationCheck::None, 1, &["stranger"], "UnknownCA"),
        (Require, RevocationCheck::None, 1, &["self"], "UnknownCA"),
        (Require, RevocationCheck::None, 0, &["pinned"], "200 SUCCESS"),
        (Require, RevocationCheck::None, 1, &["old"], "CertificateExpired"),
        (Require, RevocationCheck::None, 1, &["early"], "CertificateExpired"),
        (Require, RevocationCheck::None, 1, &["deep", "between"], "AccessDenied"),
        (Require, RevocationCheck::None, 2, &["deep", "between"], "200 SUCCESS"),
        (Require, RevocationCheck::None, 2, &["deep"], "UnknownCA"),
        (Require, RevocationCheck::None, 0, &["good"], "AccessDenied"),
        (Require, RevocationCheck::None, 1, &["revoked"], "200 SUCCESS"),
        (Require, RevocationCheck::Leaf, 1, &["revoked"], "CertificateRevoked"),
        (Require, RevocationCheck::Leaf, 1, &["good"], "200 SUCCESS"),
        (Require, RevocationCheck::Chain, 2, &["deep", "between"], "UnknownCA"),
        (Optional, RevocationCheck::None, 1, &[], "200 NONE"),
        (Optional, RevocationCheck::None, 1, &["good"], "200 SUCCESS"),
        (Optional, RevocationCheck::None, 1, &["stranger"], "UnknownCA"),
        (OptionalNoCa, RevocationCheck::None, 1, &[], "200 NONE"),
        (OptionalNoCa, RevocationCheck::None, 1, &["good"], "200 SUCCESS"),
        (
            OptionalNoCa,
            RevocationCheck::None,
            1,
            &["stranger"],
            "200 FAILED:unable to verify the first certificate",
        ),
        (OptionalNoCa, RevocationCheck::None, 1, &["self"], "200 FAILED:self-signed certificate"),
        (
            OptionalNoCa,
            RevocationCheck::None,
            1,
            &["stranger", "other"],
            "200 FAILED:self-signed certificate in certificate chain",
        ),
        (OptionalNoCa, RevocationCheck::None, 1, &["old"], "CertificateExpired"),
        (OptionalNoCa, RevocationCheck::Leaf, 1, &["revoked"], "CertificateRevoked"),
    ];
    for (verify, check, depth, shown, wanted) in table {
        let mut files = pki.host("a");
        files.authorities = vec![pki.certificate("ca"), pki.certificate("pinned")];
        files.revocation.clone_from(&lists);
        let mut front = front(files, |tls, settings| {
            tls.clients = ClientCertificates {
                verify: *verify,
                depth: *depth,
                revocation_check: *check,
                ..tls.clients.clone()
            };
            settings.ssl.std_env_vars = true;
        });
        let (told, heard) = std::sync::mpsc::channel();
        let mut worker = front.worker(2);
        std::thread::spawn(move || {
            worker.welcome();
            while let Some(frame) = worker.next() {
                if let Frame::Request { id, .. } = &frame {
                    worker.start();
                    let _ = told.send(frame.get("SSL_CLIENT_VERIFY").unwrap_or_default().to_owned());
                    worker.hello(*id);
                }
            }
        });
        let own = (!shown.is_empty()).then_some((&pki, *shown));
        for tls12 in [false, true] {
            let found = match attempt(&front, &client_config(tls12, own), "a").as_str() {
                "200" => format!("200 {}", heard.recv().unwrap()),
                // TLS 1.2 has no other word for it.
                "HandshakeFailure" if tls12 && shown.is_empty() => "CertificateRequired".into(),
                other => other.to_owned(),
            };
            assert_eq!(found, *wanted, "{verify:?} {check:?} depth {depth} {shown:?} TLS 1.2: {tls12}");
        }
    }
}

#[test]
fn a_place_may_ask_for_tls_and_for_a_certificate_that_the_host_only_takes() {
    let pki = Pki::new();
    pki.issue("ca", "a", Valid::Now);
    pki.issue("ca", "good", Valid::Now);
    let mut files = pki.host("a");
    files.authorities = vec![pki.certificate("ca")];
    let mut front = front(files, |tls, settings| {
        tls.clients.verify = VerifyClient::Optional;
        settings.ssl =
            SslSettings { verify: Some(VerifyClient::Require), require_tls: true, ..SslSettings::default() };
    });
    let _worker = front.hello_worker();
    assert_eq!(attempt(&front, &client_config(false, None), "a"), "403");
    assert_eq!(attempt(&front, &client_config(false, Some((&pki, &["good"]))), "a"), "200");
    let mut front = Running::start(|site| site.hosts[0].base.ssl.require_tls = true);
    let _worker = front.hello_worker();
    assert_eq!(front.client().get("/").answer().status, 403);
}

#[test]
fn a_response_that_was_broken_off_has_no_end() {
    let pki = Pki::new();
    pki.issue("ca", "a", Valid::Now);
    let mut front = front(pki.host("a"), |_, _| {});
    let mut worker = front.worker(2);
    worker.welcome();
    // HTTP/1.0: the end of the connection is the end of the body.
    for (tls12, whole) in [(false, true), (false, false), (true, true), (true, false)] {
        let mut client = open(&front, &client_config(tls12, None), Some("a"));
        client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
        let id = worker.request().id();
        worker.respond(id, 200, &[("Content-Type", "text/plain")], b"some text", whole);
        assert_eq!(client.head().status, 200);
        if whole {
            assert_eq!(client.rest(), (b"some text".to_vec(), true));
            continue;
        }
        worker.send(&ToFrontFrame::Abort { id, reason: "the end" });
        let (_, proper) = client.rest();
        assert!(!proper, "the client saw an end, TLS 1.2: {tls12}");
    }
}

/// Sends a response within the credit.
fn answer(worker: &mut support::FakeWorker, id: u32, body: &[u8]) {
    worker.respond(id, 200, &[("Content-Length", &body.len().to_string())], b"", false);
    let (mut rest, mut credit) = (body, worker.window(id));
    while !rest.is_empty() {
        let (piece, more) = rest.split_at(CHUNK.min(credit).min(rest.len()));
        if piece.is_empty() {
            if let Some(Frame::Credit { bytes, .. }) = worker.next() {
                credit += bytes as usize;
            }
            continue;
        }
        (rest, credit) = (more, credit - piece.len());
        worker.send(&ToFrontFrame::Data { id, end: rest.is_empty(), data: piece });
    }
}

#[test]
fn large_bodies_go_both_ways_and_slow_readers_are_waited_for() {
    let pki = Pki::new();
    pki.issue("ca", "a", Valid::Now);
    let mut front = front(pki.host("a"), |_, _| {});
    let mut worker = front.worker(2);
    let body: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    let sent = body.clone();
    let serving = std::thread::spawn(move || {
        worker.welcome();
        let mut came = Vec::new();
        loop {
            match worker.next() {
                Some(Frame::Request { id, .. }) => {
                    worker.start();
                    worker.send(&ToFrontFrame::Credit { id, bytes: 1 << 30 });
                }
                Some(Frame::Body { id, end, data }) => {
                    came.extend(data);
                    if end {
                        assert!(came == sent);
                        answer(&mut worker, id, &came);
                        came.clear();
                    }
                }
                Some(_) => {}
                None => return,
            }
        }
    });
    for tls12 in [false, true] {
        let mut client = open(&front, &client_config(tls12, None), Some("a"));
        client
            .send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len()))
            .send(&body);
        let answer = client.answer();
        assert_eq!(answer.status, 200);
        assert!(answer.body == body);
    }
    front.stop(5.0).unwrap();
    serving.join().unwrap();
}

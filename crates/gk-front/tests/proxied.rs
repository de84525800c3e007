//! Clients behind proxies: the PROXY protocol before TLS and HTTP, and the header field of `RemoteIPHeader`.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod support;

use gk_config::site::{AccessLog, HostAddress, LogForm, ProxyProtocol, ReadTimeout, Site};
use gk_rules::access::{Access, Branch, Methods, Network, Rule, Tree};
use gk_rules::remote::{Peers, Proxy, RemoteIp};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use support::{FakeWorker, Running};

const EVERYWHERE: HostAddress = HostAddress { host: None, port: None };
const LINE: &str = "PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\r\n";
const SECOND: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\x00\x71\x09\xc0\x00\x02\x01\x12\x67\x01\xbb";
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\0\0";

fn expecting(site: &mut Site) {
    site.proxy_protocol = Some(ProxyProtocol { on: vec![EVERYWHERE], ..ProxyProtocol::default() });
}

fn logged(site: &mut Site, format: &str) {
    let path = Some(site.server_root.join("access.log"));
    site.hosts[0].access_logs =
        vec![AccessLog { path, format: format.into(), form: LogForm::Text, when: None }];
}

fn log(front: &mut Running) -> String {
    front.stop(5.0).unwrap();
    std::fs::read_to_string(front.root.path().join("access.log")).unwrap()
}

/// Sends a request behind these bytes, and returns the addresses of client and proxies that the worker is told.
fn told(front: &Running, worker: &mut FakeWorker, before: &[u8], fields: &str) -> (String, Option<String>) {
    let mut client = front.client();
    client.send(before);
    client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
    let request = worker.request();
    worker.hello(request.id());
    assert_eq!(client.answer().status, 200);
    (request.get("REMOTE_ADDR").unwrap().to_owned(), request.get("HTTP_X_FORWARDED_FOR").map(str::to_owned))
}

#[test]
fn the_client_is_the_one_that_the_header_names() {
    let mut front = Running::start(|site| {
        expecting(site);
        logged(site, "%a %h %{remote}p %{c}a");
        // What the protocol has said is not asked again.
        site.hosts[0].remote = RemoteIp { header: Some("x-forwarded-for".into()), ..RemoteIp::default() };
    });
    let mut worker = front.worker(1);
    worker.welcome();
    let field = "X-Forwarded-For: 198.51.100.7\r\n";
    let kept = Some("198.51.100.7".to_owned());
    assert_eq!(told(&front, &mut worker, LINE.as_bytes(), field), ("203.0.113.9".into(), kept.clone()));
    assert_eq!(told(&front, &mut worker, SECOND, field), ("203.0.113.9".into(), kept.clone()));
    assert_eq!(told(&front, &mut worker, LOCAL, field), ("127.0.0.1".into(), kept));
    assert_eq!(told(&front, &mut worker, b"PROXY UNKNOWN\r\n", "").0, "127.0.0.1");
    assert_eq!(told(&front, &mut worker, b"PROXY TCP6 ::ffff:203.0.113.9 ::1 1 2\r\n", "").0, "203.0.113.9");
    let text = log(&mut front);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..2], ["203.0.113.9 203.0.113.9 4711 127.0.0.1"; 2]);
    assert!(lines[2].starts_with("127.0.0.1 127.0.0.1 ") && lines[2].ends_with(" 127.0.0.1"), "{text}");
}

#[test]
fn a_header_in_pieces_and_a_request_in_the_same_piece() {
    let mut front = Running::start(expecting);
    let mut worker = front.worker(1);
    worker.welcome();
    for header in [LINE.as_bytes(), SECOND] {
        let whole =
            [header, b"GET /x HTTP/1.1\r\nHost: a\r\n\r\nGET /y HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
        for cut in [1, 11, 12, 13, 15, 16, 20, header.len() - 1, header.len(), header.len() + 1, whole.len()]
        {
            let mut client = front.client();
            client.send(&whole[..cut]);
            // It is there before the rest comes.
            front.until(|status| status.connections > 0);
            client.send(&whole[cut..]);
            for _ in 0..2 {
                let request = worker.request();
                assert_eq!(request.get("REMOTE_ADDR"), Some("203.0.113.9"), "cut at {cut}");
                worker.hello(request.id());
                assert_eq!(client.answer().status, 200);
            }
        }
    }
}

/// A client that could come without the header could come as anybody.
#[test]
fn what_does_not_begin_with_the_header_is_closed() {
    let mut front = Running::start(|site| {
        expecting(site);
        logged(site, "%a");
        site.hosts[0].read_timeouts.header = ReadTimeout::fixed(0.3);
    });
    let _worker = front.hello_worker();
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"PROXY TCP4 1.2.3 192.0.2.1 4711 443\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x11\x11\0\x0cGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        // Too late.
        b"PROXY TCP4 ",
        b"",
    ] {
        let mut client = front.client();
        client.send(bytes);
        assert!(client.rest().0.is_empty(), "{}", String::from_utf8_lossy(bytes));
    }
    assert_eq!(log(&mut front), "", "there was no request");
}

#[test]
fn exceptions_and_unix_sockets() {
    let mut front = Running::start(|site| {
        expecting(site);
        let exception = Peers::Network(Network::parse("127.0.0.0/8").unwrap());
        site.proxy_protocol.as_mut().unwrap().exceptions.push(exception);
    });
    let mut worker = front.worker(1);
    worker.welcome();
    assert_eq!(told(&front, &mut worker, b"", "").0, "127.0.0.1");
    let mut front = Running::start_unix();
    let mut site = support::site(front.root.path());
    expecting(&mut site);
    front.reload(&site);
    front.until(|_| true);
    let mut worker = front.worker(1);
    worker.welcome();
    let mut client = UnixStream::connect(front.root.path().join("front.sock")).unwrap();
    client.write_all(SECOND).unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let request = worker.request();
    assert_eq!(request.get("REMOTE_ADDR"), Some("203.0.113.9"));
    worker.hello(request.id());
    let mut said = String::new();
    client.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("HTTP/1.1 200 OK"), "{said}");
}

/// All connections come from one address, and what counts is who is behind them.
#[test]
fn the_bound_on_connections_counts_the_clients_of_a_proxy() {
    let mut front = Running::start(|site| {
        expecting(site);
        site.http.max_connections_per_address = 1;
    });
    let _worker = front.hello_worker();
    let open = |address: &str| {
        let mut client = front.client();
        client.send(format!("PROXY TCP4 {address} 192.0.2.1 4711 443\r\n"));
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        client
    };
    let (mut one, mut two) = (open("203.0.113.1"), open("203.0.113.2"));
    assert_eq!((one.answer().status, two.answer().status), (200, 200));
    assert!(open("203.0.113.1").rest().0.is_empty());
    assert_eq!(one.get("/").answer().status, 200);
    drop(one);
    front.until(|status| status.connections == 1);
    assert_eq!(open("203.0.113.1").answer().status, 200);
}

#[test]
fn remote_ip_header_names_the_client_and_is_rewritten() {
    let mut front = Running::start(|site| {
        let proxies = ["127.0.0.0/8", "10.0.0.0/8"]
            .map(|text| Proxy { peers: Peers::Network(Network::parse(text).unwrap()), internal: true });
        site.hosts[0].remote = RemoteIp {
            header: Some("x-forwarded-for".into()),
            proxies: Some(proxies.to_vec()),
            ..RemoteIp::default()
        };
        // For those of WSGITrustedProxies the client is the peer, as for mod_wsgi.
        site.hosts[0].base.trusted_proxies = vec!["203.0.113.9".into()];
        site.hosts[0].base.trusted_proxy_headers = vec!["HTTP_X_FORWARDED_PROTO".into()];
        logged(site, "%a %h %{c}a %{X-Forwarded-For}i");
    });
    let mut worker = front.worker(1);
    worker.welcome();
    let field = |value: &str| format!("X-Forwarded-For: {value}\r\n");
    let table = [
        ("203.0.113.9, 10.0.0.1", "203.0.113.9", None),
        ("198.51.100.1, 203.0.113.9", "203.0.113.9", Some("198.51.100.1")),
        ("bogus", "127.0.0.1", Some("bogus")),
    ];
    for (value, client, left) in table {
        let seen = told(&front, &mut worker, b"", &field(value));
        assert_eq!(seen, (client.to_owned(), left.map(str::to_owned)), "{value}");
    }
    assert_eq!(
        log(&mut front),
        "203.0.113.9 203.0.113.9 127.0.0.1 -\n203.0.113.9 203.0.113.9 127.0.0.1 198.51.100.1\n127.0.0.1 127.0.0.1 127.0.0.1 bogus\n"
    );
}

#[test]
fn access_rules_ask_for_the_client_that_was_named() {
    for protocol in [false, true] {
        let mut front = Running::start(|site| {
            let mut tree = Tree::default();
            let rule = Rule::Ip(vec![Network::parse("203.0.113.0/24").unwrap()]);
            tree.add(Branch::Rule { negate: false, methods: Methods::All, rule }).unwrap();
            site.hosts[0].base.access = Access { require: Some(tree), ..Access::default() };
            site.hosts[0].remote = RemoteIp { header: Some("x-client".into()), ..RemoteIp::default() };
            if protocol {
                expecting(site);
            }
        });
        let _worker = front.hello_worker();
        let status = |address: &str| {
            let mut client = front.client();
            let (before, field) = match protocol {
                true => (format!("PROXY TCP4 {address} 192.0.2.1 4711 443\r\n"), String::new()),
                false => (String::new(), format!("X-Client: {address}\r\n")),
            };
            client.send(format!("{before}GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n"));
            client.answer().status
        };
        assert_eq!((status("203.0.113.9"), status("198.51.100.1"), status("127.0.0.1")), (200, 403, 403));
    }
}

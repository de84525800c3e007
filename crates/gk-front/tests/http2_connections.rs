//! Connections of HTTP/2: how they begin and end, and what a client may ask of one.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod support;

use gk_config::site::{Protocols, ReadTimeout, Site};
use gk_wire::frame::ToFrontFrame;
use std::thread::JoinHandle;
use support::http2::*;
use support::tls::{certificates, client_config, get, host_tls, open};
use support::{Frame, Pki, Running, Valid};

#[test]
fn http_2_is_spoken_where_the_configuration_says_so() {
    type Change = fn(&mut Site);
    let cases: [(&str, Change); 3] = [
        ("by default", |site| site.hosts[0].protocols = Protocols::STANDARD),
        ("over TLS only", |site| site.hosts[0].protocols = Protocols { h2: true, ..Protocols::STANDARD }),
        ("not directly", |site| site.hosts[0].http2.direct = Some(false)),
    ];
    for (what, change) in cases {
        let front = front(change);
        let mut client = front.client();
        client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        assert_eq!(client.answer().status, 505, "{what}");
    }
    // The preface in pieces, and with an upgrade that is passed over.
    let (front, worker) = served(|_| {});
    let worker = answering(worker);
    for cut in [1, 5, 16, 20] {
        let mut client = RawHttp2::connect(front.address);
        let mut pieces = RawHttp2::to(front.address);
        for piece in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".chunks(cut) {
            pieces.send(piece);
        }
        pieces.frame(SETTINGS, 0, 0, &[]);
        for client in [&mut client, &mut pieces] {
            client.frame(HEADERS, END_STREAM | END_HEADERS, 1, &get_block("/"));
            assert_eq!(client.until(HEADERS).unwrap().payload[0], 0x88, "{cut}");
        }
    }
    let mut client = front.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n");
    assert_eq!(client.answer().text(), "hello");
    drop(front);
    worker.join().unwrap();
}

#[test]
fn a_head_that_does_not_come_to_its_end_ends_the_connection() {
    let front = front(|site| site.hosts[0].read_timeouts.header = ReadTimeout::fixed(0.3));
    let whole = frame(HEADERS, END_STREAM | END_HEADERS, 1, &get_block("/"));
    let table = [
        ("no preface", Vec::new()),
        ("nothing after the preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("half of a frame", whole[..20].to_vec()),
        ("half of a frame's head", whole[..4].to_vec()),
        ("no end of the block", frame(HEADERS, END_STREAM, 1, &get_block("/"))),
    ];
    for (what, bytes) in table {
        let mut client = match what {
            "no preface" | "nothing after the preface" => RawHttp2::to(front.address),
            _ => RawHttp2::connect(front.address),
        };
        client.send(&bytes);
        assert!(matches!(client.goaway(), None | Some(0)), "{what}");
    }
}

#[test]
fn an_idle_connection_ends_with_a_goaway_however_often_it_pings() {
    let (front, worker) = served(|site| site.http.keep_alive_timeout = 0.5);
    let worker = answering(worker);
    let mut client = RawHttp2::connect(front.address);
    client.frame(HEADERS, END_STREAM | END_HEADERS, 1, &get_block("/"));
    assert_eq!(client.until(HEADERS).unwrap().payload[0], 0x88);
    let pinging = client.stream.try_clone().unwrap();
    let pings = std::thread::spawn(move || {
        let mut pinging = pinging;
        while std::io::Write::write_all(&mut pinging, &frame(PING, 0, 0, b"12345678")).is_ok() {
            std::thread::park_timeout(std::time::Duration::from_millis(50));
        }
    });
    assert_eq!(client.goaway(), Some(0));
    drop(client);
    pings.join().unwrap();
    drop(front);
    worker.join().unwrap();
}

#[test]
fn a_connection_that_is_to_end_says_so_and_completes_its_requests() {
    type Cause = fn(&mut Running) -> Option<JoinHandle<()>>;
    let reload: Cause = |front| {
        let mut site = support::site(front.root.path());
        site.hosts[0].protocols.h2c = true;
        front.reload(&site);
        None
    };
    let stop: Cause = |front| {
        front.say(&gk_wire::control::ToFront::Stop { timeout: 20.0 });
        None
    };
    let drain: Cause = |front| {
        front.say(&gk_wire::control::ToFront::Drain { on: true });
        None
    };
    let nothing: Cause = |_| None;
    let causes =
        [("reload", 0, reload), ("stop", 0, stop), ("drain", 0, drain), ("the most requests", 1, nothing)];
    for (what, most, cause) in causes {
        let (mut front, mut worker) = served(|site| site.http.http2_requests = most);
        let mut client = RawHttp2::connect(front.address);
        client.frame(HEADERS, END_STREAM | END_HEADERS, 1, &get_block("/"));
        let id = worker_id(&mut worker);
        cause(&mut front);
        // The first says that there will be an end, the second where, after the answer to the PING between.
        let first = client.until(GOAWAY).unwrap();
        assert_eq!(first.payload, [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0], "{what}");
        let ping = client.until(PING).unwrap();
        client.frame(PING, 1, 0, &ping.payload);
        assert_eq!(client.until(GOAWAY).unwrap().payload, [0, 0, 0, 1, 0, 0, 0, 0], "{what}");
        worker.hello(id);
        assert_eq!(client.until(HEADERS).unwrap().stream, 1, "{what}");
        let data = client.until(DATA).unwrap();
        assert_eq!((&*data.payload, data.flags), (&b"hello"[..], END_STREAM), "{what}");
        assert_eq!(client.next(), None, "{what}");
    }
}

/// A drain: new connections are served as with HTTP/1, with one response each, and none is turned away unheard.
#[test]
fn a_connection_to_a_front_that_drains_has_one_request() {
    let (front, worker) = served(|_| {});
    let worker = answering(worker);
    let drain = |on: bool| {
        front.say(&gk_wire::control::ToFront::Drain { on });
        // It has heard what was said before.
        front.until(|_| true);
    };
    drain(true);
    let mut client = RawHttp2::connect(front.address);
    client.frame(HEADERS, END_STREAM | END_HEADERS, 1, &get_block("/"));
    let (mut lasts, mut body) = (Vec::new(), Vec::new());
    while let Some(frame) = client.next() {
        match frame.kind {
            GOAWAY => lasts.push(u32::from_be_bytes(*frame.payload.first_chunk().unwrap())),
            PING if frame.flags & ACK == 0 => drop(client.frame(PING, ACK, 0, &frame.payload)),
            DATA => body.extend(frame.payload),
            _ => {}
        }
    }
    assert_eq!((lasts, &*body), (vec![u32::MAX >> 1, 1], &b"hello"[..]));
    let mut other = front.client();
    let answer = other.get("/").answer();
    assert_eq!((&*answer.text(), answer.header("connection")), ("hello", Some("close")));
    drain(false);
    let mut client = RawHttp2::connect(front.address);
    for id in [1, 3] {
        client.frame(HEADERS, END_STREAM | END_HEADERS, id, &get_block("/"));
        while let frame = client.next().unwrap()
            && frame.kind != DATA
        {
            assert_ne!(frame.kind, GOAWAY, "it drains no more");
        }
    }
    drop((client, front));
    worker.join().unwrap();
}

#[test]
fn a_client_that_answers_no_ping_does_not_hold_up_the_end() {
    let (mut front, worker) = served(|_| {});
    let worker = answering(worker);
    let mut client = RawHttp2::connect(front.address);
    client.frame(HEADERS, END_STREAM | END_HEADERS, 1, &get_block("/"));
    client.until(DATA).unwrap();
    let began = std::time::Instant::now();
    front.stop(15.0).unwrap();
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
    worker.join().unwrap();
}

/// Sends the frames that `make` gives again and again, until the server ends the connection; returns its code, if one came.
fn flood(front: &Running, make: impl Fn(u32) -> Vec<u8>) -> Option<u32> {
    let mut client = RawHttp2::connect(front.address);
    let mut reading = RawHttp2::of(client.stream.try_clone().unwrap());
    let reader = std::thread::spawn(move || reading.goaway());
    for n in 0..1_000_000 {
        if !client.send(&make(n)) {
            break;
        }
        assert!(n < 999_999, "the connection goes on");
    }
    reader.join().unwrap()
}

#[test]
fn floods_end_their_connection_and_others_are_served() {
    let (front, worker) = served(|_| {});
    let worker = answering(worker);
    let request = |id: u32, flags: u8| frame(HEADERS, flags | END_HEADERS, id, &get_block("/"));
    type Make<'a> = Box<dyn Fn(u32) -> Vec<u8> + 'a>;
    let begun = |n: u32, bytes: Vec<u8>| if n == 0 { [request(1, 0), bytes].concat() } else { bytes };
    let table: Vec<(&str, Make<'_>)> = vec![
        ("PING", Box::new(|_| frame(PING, 0, 0, &[0; 8]))),
        ("SETTINGS", Box::new(|_| frame(SETTINGS, 0, 0, &[]))),
        ("PRIORITY", Box::new(|n| frame(PRIORITY, 0, 2 * n + 1, &[0, 0, 0, 0, 1]))),
        ("WINDOW_UPDATE", Box::new(|_| frame(WINDOW_UPDATE, 0, 0, &1u32.to_be_bytes()))),
        ("an unknown type", Box::new(|_| frame(0x77, 0, 0, &[]))),
        ("empty DATA", Box::new(|n| begun(n, frame(DATA, 0, 1, &[])))),
        (
            "CONTINUATION",
            Box::new(|n| match n {
                0 => frame(HEADERS, 0, 1, &get_block("/")),
                _ => frame(CONTINUATION, 0, 1, &block(&[("x", "y")])),
            }),
        ),
        (
            "requests taken back",
            Box::new(|n| {
                let id = 2 * n + 1;
                [request(id, END_STREAM), frame(RST_STREAM, 0, id, &8u32.to_be_bytes())].concat()
            }),
        ),
        ("RST_STREAM", Box::new(|n| begun(n, frame(RST_STREAM, 0, 1, &8u32.to_be_bytes())))),
        ("malformed requests", Box::new(|n| frame(HEADERS, 5, 2 * n + 1, &block(&[(":method", "GET")])))),
        ("requests without an end", Box::new(|n| request(2 * n + 1, 0))),
    ];
    for (what, make) in table {
        let code = flood(&front, make);
        // Who floods may meet a reset before it reads why.
        assert!(matches!(code, None | Some(11)), "{what}: {code:?}");
        let mut client = Http2Client::connect(front.address);
        let response = client.get("/");
        assert_eq!(client.answer(response).text(), "hello", "{what}");
    }
    drop(front);
    worker.join().unwrap();
}

/// Requests that are taken back a moment after they were begun cost workers something, so they are bounded as well: to a hundred at
/// first, and to fewer for a client that comes back.
#[test]
fn requests_that_were_begun_and_are_taken_back_end_the_connection() {
    let (front, mut worker) = served(|_| {});
    let worker = std::thread::spawn(move || {
        while let Some(frame) = worker.next() {
            if let Frame::Cancel { id } = frame {
                worker.send(&ToFrontFrame::Abort { id, reason: "cancelled" });
            }
        }
    });
    let taken_back = || {
        let mut client = RawHttp2::connect(front.address);
        client.until(SETTINGS);
        let ended = (0..5_000u32).find(|n| {
            let id = 2 * n + 1;
            client.frame(HEADERS, END_STREAM | END_HEADERS, id, &get_block("/"));
            // An answer to the PING says that the request was seen.
            client.frame(PING, 0, 0, &[0; 8]);
            client.frame(RST_STREAM, 0, id, &8u32.to_be_bytes());
            client.until(PING).is_none()
        });
        ended.expect("five thousand requests taken back")
    };
    // A second brings a dozen more.
    let (first, second, third) = (taken_back(), taken_back(), taken_back());
    assert!((100..200).contains(&first), "{first}");
    assert!(second < first && third < second, "{first} {second} {third}");
    drop(front);
    worker.join().unwrap();
}

/// Rapid reset (CVE-2023-44487): a request and its end in one write.
#[test]
fn a_request_that_is_taken_back_at_once_never_reaches_a_worker() {
    let (front, mut worker) = served(|_| {});
    let mut client = RawHttp2::connect(front.address);
    client.until(SETTINGS);
    for n in 0..15 {
        let id = 2 * n + 1;
        let request = frame(HEADERS, END_STREAM | END_HEADERS, id, &get_block("/gone"));
        client.send(&[request, frame(RST_STREAM, 0, id, &8u32.to_be_bytes())].concat());
    }
    client.frame(HEADERS, END_STREAM | END_HEADERS, 31, &get_block("/wanted"));
    let Frame::Request { id, uri, .. } = worker.request() else { panic!("no request") };
    assert_eq!(uri, "/wanted");
    worker.hello(id);
    assert_eq!(client.until(DATA).unwrap().stream, 31);
}

#[test]
fn a_request_that_is_taken_back_leaves_the_queue() {
    let mut front = front(|_| {});
    let mut worker = front.worker(1);
    worker.welcome();
    let mut client = RawHttp2::connect(front.address);
    client.frame(HEADERS, END_STREAM | END_HEADERS, 1, &get_block("/first"));
    let first = worker_id(&mut worker);
    let waiting = [3, 5, 7, 9];
    for id in waiting {
        client.frame(HEADERS, END_STREAM | END_HEADERS, id, &get_block("/gone"));
    }
    front.until(|status| status.queued["g"] == 4);
    for id in waiting {
        client.frame(RST_STREAM, 0, id, &8u32.to_be_bytes());
    }
    front.until(|status| status.queued["g"] == 0);
    client.frame(HEADERS, END_STREAM | END_HEADERS, 11, &get_block("/last"));
    worker.hello(first);
    let Frame::Request { id, uri, .. } = worker.request() else { panic!("no request") };
    assert_eq!(uri, "/last");
    worker.hello(id);
    assert_eq!(client.until(DATA).unwrap().stream, 1);
    assert_eq!(client.until(DATA).unwrap().stream, 11);
}

/// Reported: requests that h2 refuses by itself were in no access log.
#[test]
fn what_is_refused_before_it_is_a_request_is_logged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let (front, mut worker) = served(|site| {
        site.hosts[0].access_logs = vec![logged("%>s %r", &path)];
        site.hosts[0].http2.max_session_streams = 1;
    });
    let mut client = RawHttp2::connect(front.address);
    client.until(SETTINGS);
    client.frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(&[(":method", "GET")]));
    assert_eq!(client.until(RST_STREAM).unwrap().payload, 1u32.to_be_bytes());
    let mut fields = get_block("/");
    for _ in 0..600 {
        fields.extend(block(&[("x", &"y".repeat(120))]));
    }
    let pieces: Vec<&[u8]> = fields.chunks(16_000).collect();
    client.frame(HEADERS, END_STREAM, 3, pieces[0]);
    for (at, piece) in pieces.iter().enumerate().skip(1) {
        client.frame(CONTINUATION, if at + 1 == pieces.len() { END_HEADERS } else { 0 }, 3, piece);
    }
    assert_eq!(client.until(HEADERS).unwrap().stream, 3);
    client.frame(HEADERS, END_STREAM | END_HEADERS, 5, &get_block("/"));
    client.frame(HEADERS, END_STREAM | END_HEADERS, 7, &get_block("/"));
    assert_eq!(client.until(RST_STREAM).unwrap().stream, 7);
    hello(&mut worker);
    assert_eq!(client.until(DATA).unwrap().stream, 5);
    let wanted = "400 PRI * HTTP/2.0\n431 PRI * HTTP/2.0\n503 PRI * HTTP/2.0\n200 GET / HTTP/2.0\n";
    support::eventually(|| std::fs::read_to_string(&path).unwrap().len() >= wanted.len());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), wanted);
}

#[test]
fn more_requests_at_once_than_allowed_are_refused_and_may_be_tried_again() {
    let (front, mut worker) = served(|site| site.hosts[0].http2.max_session_streams = 2);
    let mut client = RawHttp2::connect(front.address);
    let settings = client.until(SETTINGS).unwrap();
    assert!(settings.payload.chunks(6).any(|setting| setting == [0, 3, 0, 0, 0, 2]), "{settings:?}");
    for id in [1, 3, 5] {
        client.frame(HEADERS, END_STREAM | END_HEADERS, id, &get_block("/"));
    }
    let refused = client.until(RST_STREAM).unwrap();
    assert_eq!((refused.stream, &*refused.payload), (5, &7u32.to_be_bytes()[..]));
    for _ in 0..2 {
        hello(&mut worker);
    }
    for _ in 0..2 {
        assert_eq!(client.until(DATA).unwrap().payload, b"hello");
    }
    client.frame(HEADERS, END_STREAM | END_HEADERS, 7, &get_block("/"));
    hello(&mut worker);
    assert_eq!(client.until(DATA).unwrap().stream, 7);
}

#[test]
fn over_tls_it_is_agreed_on_in_the_handshake() {
    let pki = Pki::new();
    pki.issue("ca", "a", Valid::Now);
    let offers: [&[&[u8]]; 3] = [&[b"h2", b"http/1.1"], &[b"http/1.1"], &[]];
    for h2 in [true, false] {
        let mut front = Running::start_tls(&certificates(vec![pki.host("a")]), |site| {
            site.hosts[0].tls = Some(host_tls("a"));
            site.hosts[0].protocols.h2 = h2;
        });
        let _worker = front.hello_worker();
        for offer in offers {
            let mut config = rustls::ClientConfig::clone(&client_config(false, None));
            config.alpn_protocols = offer.iter().map(|name| name.to_vec()).collect();
            let mut client = open(&front, &std::sync::Arc::new(config), Some("a"));
            let agreed = h2 && offer.contains(&&b"h2"[..]);
            if !agreed {
                assert_eq!(get(&mut client, "a").text(), "hello", "{offer:?}");
                continue;
            }
            let mut client = RawHttp2::over(client.stream).begun();
            let fields = [(":method", "GET"), (":scheme", "https"), (":authority", "a"), (":path", "/")];
            client.frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(&fields));
            assert_eq!(client.until(HEADERS).unwrap().payload[0], 0x88);
            assert_eq!(client.until(DATA).unwrap().payload, b"hello");
        }
    }
}

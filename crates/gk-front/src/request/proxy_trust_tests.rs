//! Tables of trusted and untrusted peers and headers.

use super::*;

fn settings(headers: &[&str], proxies: &[&str]) -> Settings {
    Settings {
        trusted_proxy_headers: headers.iter().map(|h| (*h).to_owned()).collect(),
        trusted_proxies: proxies.iter().map(|p| (*p).to_owned()).collect(),
        ..Settings::default()
    }
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(*name, value.parse().unwrap());
    }
    map
}

const FOR: &str = "HTTP_X_FORWARDED_FOR";

#[test]
fn the_client_in_a_chain_of_proxies() {
    let table: &[(&str, &str, &str)] = &[
        // (header, address, what is left of the header)
        ("1.1.1.1", "1.1.1.1", "1.1.1.1"),
        ("1.1.1.1, 10.0.0.2", "1.1.1.1", "1.1.1.1, 10.0.0.2"),
        ("9.9.9.9, 1.1.1.1, 10.0.0.2, 10.0.0.3", "1.1.1.1", "1.1.1.1, 10.0.0.2, 10.0.0.3"),
        ("10.0.0.1, 10.0.0.2", "10.0.0.1", "10.0.0.1, 10.0.0.2"),
        ("10.0.0.9, 1.1.1.1", "1.1.1.1", "1.1.1.1"),
    ];
    let empty_entries: &[(&str, &str, &str)] = &[
        ("1.1.1.1,", "1.1.1.1", "1.1.1.1"),
        (", 1.1.1.1", "1.1.1.1", "1.1.1.1"),
        ("1.1.1.1,, 10.0.0.1", "1.1.1.1", "1.1.1.1, 10.0.0.1"),
        ("1.1.1.1, 10.0.0.1, ,", "1.1.1.1", "1.1.1.1, 10.0.0.1"),
        // What is no plain address is no trusted proxy, and is taken as it is.
        ("1.1.1.1:1234", "1.1.1.1:1234", "1.1.1.1:1234"),
        ("1.1.1.1, 10.0.0.1:99", "10.0.0.1:99", "10.0.0.1:99"),
        ("[2001:db8::1]:80, 10.0.0.1", "[2001:db8::1]:80", "[2001:db8::1]:80, 10.0.0.1"),
        ("1.1.1.1, unknown, 10.0.0.1", "unknown", "unknown, 10.0.0.1"),
    ];
    for (value, address, left) in table.iter().chain(empty_entries) {
        let overlay =
            apply(&settings(&[FOR], &["10.0.0.0/8"]), "10.1.1.1", &headers(&[("x-forwarded-for", value)]))
                .unwrap();
        assert_eq!(overlay.remote_addr.as_deref(), Some(*address), "{value}");
        assert_eq!(overlay.value(FOR.as_bytes()), Some(left.as_bytes()), "{value}");
    }
    // Without a list of proxies every peer is believed, and the first element counts.
    let overlay =
        apply(&settings(&[FOR], &[]), "8.8.8.8", &headers(&[("x-forwarded-for", ", 1.1.1.1, 2.2.2.2")]));
    assert_eq!(overlay.unwrap().remote_addr.as_deref(), Some("1.1.1.1"));
    for value in ["", " , ,", ","] {
        for proxies in [&[][..], &["10.0.0.0/8"]] {
            let given = headers(&[("x-forwarded-for", value)]);
            let overlay = apply(&settings(&[FOR], proxies), "10.1.1.1", &given).unwrap();
            assert_eq!(
                (overlay.remote_addr.as_deref(), overlay.value(FOR.as_bytes())),
                (None, None),
                "{value:?}"
            );
        }
    }
}

#[test]
fn a_peer_on_a_unix_socket_is_trusted_only_when_it_is_listed() {
    let given = headers(&[("x-forwarded-for", "1.1.1.1")]);
    let table: &[(&[&str], Option<&str>)] = &[
        (&[], Some("1.1.1.1")),
        (&["10.0.0.1"], None),
        (&["unix:"], Some("1.1.1.1")),
        (&["10.0.0.1", "unix:"], Some("1.1.1.1")),
    ];
    for (proxies, address) in table {
        let overlay = apply(&settings(&[FOR], proxies), "", &given).unwrap();
        assert_eq!(overlay.remote_addr.as_deref(), *address, "{proxies:?}");
    }
    let overlay = apply(&settings(&[FOR], &["unix:"]), "8.8.8.8", &given).unwrap();
    assert_eq!(overlay.remote_addr, None, "the word trusts no address");
}

#[test]
fn addresses_with_ports() {
    let table = [
        ("1.1.1.1", Some("1.1.1.1")),
        ("1.1.1.1:80", Some("1.1.1.1")),
        ("2001:db8::1", Some("2001:db8::1")),
        ("[2001:db8::1]", Some("2001:db8::1")),
        ("[2001:db8::1]:80", Some("2001:db8::1")),
        ("unknown", None),
        ("", None),
    ];
    for (text, want) in table {
        assert_eq!(address(text), want.map(|ip| ip.parse().unwrap()), "{text}");
    }
}

#[test]
fn an_untrusted_peer_has_every_synonym_removed() {
    let given =
        headers(&[("x-forwarded-for", "1.1.1.1"), ("x-real-ip", "2.2.2.2"), ("x-forwarded-proto", "https")]);
    let overlay = apply(&settings(&[FOR], &["10.0.0.1"]), "8.8.8.8", &given).unwrap();
    assert_eq!(overlay.remote_addr, None);
    assert!(overlay.drops(b"HTTP_X_FORWARDED_FOR") && overlay.drops(b"HTTP_X_REAL_IP"));
    assert!(!overlay.drops(b"HTTP_X_FORWARDED_PROTO"), "its category is not listed");
    assert_eq!(apply(&settings(&[], &["10.0.0.1"]), "8.8.8.8", &given), None);
}

#[test]
fn the_last_listed_header_that_is_there_wins() {
    let given = headers(&[("x-forwarded-proto", "http"), ("x-forwarded-https", "On")]);
    let listed = ["HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HTTPS", "HTTP_X_SCHEME"];
    let overlay = apply(&settings(&listed, &[]), "8.8.8.8", &given).unwrap();
    assert_eq!(overlay.https, Some(true));
    assert!(overlay.drops(b"HTTP_X_FORWARDED_PROTO") && !overlay.drops(b"HTTP_X_FORWARDED_HTTPS"));
}

#[test]
fn every_category() {
    let given = headers(&[
        ("x-real-ip", "1.1.1.1"),
        ("x-scheme", "https"),
        ("x-host", "h:1"),
        ("x-forwarded-port", "8443"),
        ("x-forwarded-server", "s"),
        ("x-script-name", "/m"),
    ]);
    let listed = [
        "HTTP_X_REAL_IP",
        "HTTP_X_SCHEME",
        "HTTP_X_HOST",
        "HTTP_X_FORWARDED_PORT",
        "HTTP_X_FORWARDED_SERVER",
        "HTTP_X_SCRIPT_NAME",
    ];
    let overlay = apply(&settings(&listed, &["::1", "127.0.0.0/8"]), "127.0.0.1", &given).unwrap();
    assert_eq!(overlay.remote_addr.as_deref(), Some("1.1.1.1"));
    assert_eq!(overlay.https, Some(true));
    assert_eq!(overlay.server_port, Some(8443));
    assert_eq!(overlay.server_name.as_deref(), Some(&b"s"[..]));
    assert_eq!(overlay.script_name.as_deref(), Some(&b"/m"[..]));
    let added: Vec<_> = overlay.added().collect();
    assert_eq!(added, [(&b"HTTP_HOST"[..], &b"h:1"[..]), (&b"mod_wsgi.mount_point"[..], &b"/m"[..])]);
}

#[test]
fn networks() {
    let table = [
        ("10.0.0.0/8", "10.255.0.1", true),
        ("10.0.0.0/8", "11.0.0.1", false),
        ("0.0.0.0/0", "9.9.9.9", true),
        ("0.0.0.0/0", "::1", false),
        ("2001:db8::/32", "2001:db8:1::1", true),
        ("2001:db8::/32", "2001:db9::1", false),
        ("::1", "::1", true),
        ("127.0.0.1", "::ffff:127.0.0.1", true),
        ("::/0", "fe80::1", true),
    ];
    for (network, ip, want) in table {
        assert_eq!(Network::parse(network).unwrap().contains(ip.parse().unwrap()), want, "{network} {ip}");
    }
    assert_eq!(Network::parse("10.0.0.0/33"), None);
    assert_eq!(Network::parse("ten"), None);
}

#[test]
fn forwarded_gives_client_scheme_and_host() {
    let listed = ["HTTP_FORWARDED"];
    let given = headers(&[
        ("forwarded", "for=9.9.9.9;host=evil, for=\"[2001:db8::9]:4711\";proto=https;host=www.example"),
        ("forwarded", "for=10.0.0.2;proto=http"),
        ("x-forwarded-for", "8.8.8.8"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "evil"),
    ]);
    let overlay = apply(&settings(&listed, &["10.0.0.0/8"]), "10.1.1.1", &given).unwrap();
    assert_eq!((overlay.remote_addr.as_deref(), overlay.https), (Some("2001:db8::9"), Some(true)));
    assert_eq!(overlay.host.as_deref(), Some(&b"www.example"[..]));
    let kept = "for=\"[2001:db8::9]:4711\";proto=https;host=www.example, for=10.0.0.2;proto=http";
    assert_eq!(overlay.value(b"HTTP_FORWARDED"), Some(kept.as_bytes()));
    let synonyms = [&b"HTTP_X_FORWARDED_FOR"[..], b"HTTP_X_FORWARDED_PROTO", b"HTTP_X_FORWARDED_HOST"];
    assert!(synonyms.iter().all(|key| overlay.drops(key)) && !overlay.drops(b"HTTP_FORWARDED"));
    // Nobody is believed, and nothing of it reaches the application.
    let overlay = apply(&settings(&listed, &["10.0.0.0/8"]), "8.8.8.8", &given).unwrap();
    assert_eq!((overlay.remote_addr.as_deref(), overlay.https, overlay.host.as_deref()), (None, None, None));
    assert!(synonyms.iter().chain([&&b"HTTP_FORWARDED"[..]]).all(|key| overlay.drops(key)));
    // Without a list of proxies every peer is believed, and the first element counts.
    let overlay = apply(&settings(&listed, &[]), "8.8.8.8", &given).unwrap();
    assert_eq!((overlay.remote_addr.as_deref(), overlay.named_proxy), (Some("9.9.9.9"), false));
    // The field of a site that does not list it is the application's business.
    let overlay = apply(&settings(&[FOR], &["10.0.0.0/8"]), "8.8.8.8", &given).unwrap();
    assert!(!overlay.drops(b"HTTP_FORWARDED") && overlay.value(b"HTTP_FORWARDED").is_none());
}

#[test]
fn forwarded_beside_others_counts_by_its_place_in_the_list() {
    let given = headers(&[("forwarded", "for=1.1.1.1;proto=https"), ("x-forwarded-for", "2.2.2.2")]);
    let client = |listed: &[&str]| {
        let overlay = apply(&settings(listed, &["10.0.0.0/8"]), "10.1.1.1", &given).unwrap();
        (overlay.remote_addr, overlay.https)
    };
    assert_eq!(client(&[FOR, "HTTP_FORWARDED"]), (Some("1.1.1.1".into()), Some(true)));
    assert_eq!(client(&["HTTP_FORWARDED", FOR]), (Some("2.2.2.2".into()), Some(true)));
}

/// An access rule must not take a client that nobody knows for the proxy.
#[test]
fn an_unknown_client_of_forwarded_is_no_address() {
    for value in ["for=unknown", "for=_hidden", "for=\"x, for=1.1.1.1"] {
        let given = headers(&[("forwarded", value)]);
        let overlay = apply(&settings(&["HTTP_FORWARDED"], &["10.0.0.0/8"]), "10.1.1.1", &given).unwrap();
        let named = overlay.remote_addr.expect("somebody is named");
        assert_eq!(address(&named), None, "{value}");
    }
}

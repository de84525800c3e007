//! Headers of the PROXY protocol: good, cut anywhere, and malformed.

use super::*;
use proptest::prelude::*;

fn second(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [&SIGNATURE[..], &[command, family], &length, rest].concat()
}

/// Client, server and both ports as version 2 writes them.
fn pair(client: &str, server: &str) -> Vec<u8> {
    let octets = |text: &str| match text.parse::<IpAddr>().unwrap() {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    [octets(client), octets(server), 4711u16.to_be_bytes().to_vec(), 443u16.to_be_bytes().to_vec()].concat()
}

fn client(text: &str) -> Told {
    Told::Client(SocketAddr::new(text.parse().unwrap(), 4711))
}

fn good() -> Vec<(Vec<u8>, Told)> {
    let line = |text: &str| format!("PROXY {text}\r\n").into_bytes();
    let four = pair("203.0.113.9", "192.0.2.1");
    let six = pair("2001:db8::9", "2001:db8::1");
    let more = [&four[..], b"\x04\0\x02ab\x20\0\x05\x01\0\0\0\0"].concat();
    vec![
        (line("TCP4 203.0.113.9 192.0.2.1 4711 443"), client("203.0.113.9")),
        (line("TCP6 2001:db8::9 2001:db8::1 4711 443"), client("2001:db8::9")),
        (
            line("TCP4 255.255.255.255 255.255.255.255 65535 65535"),
            Told::Client("255.255.255.255:65535".parse().unwrap()),
        ),
        (line("TCP4 203.0.113.9 192.0.2.1 0 0"), Told::Client("203.0.113.9:0".parse().unwrap())),
        (line("UNKNOWN"), Told::Nobody),
        (line("UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535"), Told::Nobody),
        (line(&format!("UNKNOWN {}", "x".repeat(LONGEST_LINE - 16))), Told::Nobody),
        (second(0x21, 0x11, &four), client("203.0.113.9")),
        (second(0x21, 0x12, &four), client("203.0.113.9")),
        (second(0x21, 0x21, &six), client("2001:db8::9")),
        (second(0x21, 0x22, &six), client("2001:db8::9")),
        (second(0x21, 0x11, &more), client("203.0.113.9")),
        (second(0x21, 0x11, &[&four[..], &[0; LONGEST - FIXED - 12]].concat()), client("203.0.113.9")),
        (second(0x20, 0x00, b""), Told::Nobody),
        (second(0x20, 0x11, &four), Told::Nobody),
        (second(0x20, 0xff, b"anything"), Told::Nobody),
        (second(0x21, 0x00, b""), Told::Nobody),
        (second(0x21, 0x31, &[b'a'; 216]), Told::Nobody),
    ]
}

#[test]
fn whole_headers_with_and_without_bytes_behind_them() {
    for (header, told) in good() {
        for behind in [&b""[..], b"GET / HTTP/1.1\r\n", b"\r\n\r\n\0\r\nQUIT\n", b"\x16\x03\x01"] {
            let bytes = [&header[..], behind].concat();
            assert_eq!(
                parse(&bytes),
                Ok(Some((told, header.len()))),
                "{:?}",
                String::from_utf8_lossy(&header)
            );
        }
        for cut in 0..header.len() {
            assert_eq!(
                parse(&header[..cut]),
                Ok(None),
                "{:?} cut at {cut}",
                String::from_utf8_lossy(&header)
            );
        }
    }
}

#[test]
fn what_is_malformed_says_why() {
    let four = pair("203.0.113.9", "192.0.2.1");
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(LONGEST_LINE - 15));
    let lines: &[(&str, &str)] = &[
        ("GET / HTTP/1.1\r\n", OTHER),
        ("proxy TCP4 203.0.113.9 192.0.2.1 4711 443\r\n", OTHER),
        ("\x16\x03\x01", OTHER),
        ("\r\n\r\nGET", OTHER),
        ("PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\n", LINE),
        ("PROXY TCP4  203.0.113.9 192.0.2.1 4711 443\r\n", LINE),
        ("PROXY TCP4 203.0.113.9 192.0.2.1 4711 443 \r\n", LINE),
        ("PROXY TCP4 203.0.113.9 192.0.2.1 4711 443 x\r\n", LINE),
        ("PROXY TCP4 203.0.113.9 192.0.2.1 4711\r\n", LINE),
        ("PROXY TCP4 203.0.113.9 192.0.2.1 4711 65536\r\n", LINE),
        ("PROXY TCP4 203.0.113.9 192.0.2.1 04711 443\r\n", LINE),
        ("PROXY TCP4 203.0.113.9 192.0.2.1 +4711 443\r\n", LINE),
        ("PROXY TCP4 203.0.113.9 192.0.2.1  443\r\n", LINE),
        ("PROXY TCP4 2001:db8::9 2001:db8::1 4711 443\r\n", LINE),
        ("PROXY TCP6 203.0.113.9 192.0.2.1 4711 443\r\n", LINE),
        ("PROXY TCP4 localhost localhost 4711 443\r\n", LINE),
        ("PROXY TCP4 1.2.3 192.0.2.1 4711 443\r\n", LINE),
        ("PROXY UDP4 203.0.113.9 192.0.2.1 4711 443\r\n", LINE),
        ("PROXY UNKNOWNS\r\n", LINE),
        ("PROXY \r\n", LINE),
        (&long, LONG_LINE),
        (&long[..LONGEST_LINE], LONG_LINE),
    ];
    for (line, why) in lines {
        assert_eq!(parse(line.as_bytes()), Err(*why), "{line:?}");
    }
    let mut endless = second(0x21, 0x11, b"");
    endless[14..16].copy_from_slice(&0xffffu16.to_be_bytes());
    let headers: &[(Vec<u8>, &str)] = &[
        (second(0x11, 0x11, &four), VERSION),
        (second(0x31, 0x11, &four), VERSION),
        (second(0x22, 0x11, &four), COMMAND),
        (second(0x21, 0x41, &four), FAMILY),
        (second(0x21, 0x10, &four), FAMILY),
        (second(0x21, 0x13, &four), FAMILY),
        (second(0x21, 0x11, &four[..11]), SHORT),
        (second(0x21, 0x21, &[0; 35]), SHORT),
        (second(0x21, 0x31, &[0; 215]), SHORT),
        (endless, LONG),
    ];
    for (header, why) in headers {
        assert_eq!(parse(header), Err(*why), "{header:?}");
    }
}

type Parsed = Result<Option<(Told, usize)>, &'static str>;

/// Takes a header off bytes as [`receive`] does, with as many there as `pieces` say; returns what was taken.
fn taken(bytes: &[u8], pieces: &[usize]) -> (Parsed, usize) {
    let (mut header, mut there) = (Vec::new(), 0);
    for piece in pieces.iter().copied().chain([bytes.len()]) {
        there = bytes.len().min(there + piece);
        while header.len() < there {
            let fresh = &bytes[header.len()..there];
            let most = share(&header, fresh);
            assert!(most >= 1 && most <= fresh.len());
            header.extend_from_slice(&fresh[..most]);
            match parse(&header) {
                Ok(None) => {}
                found => return (found, header.len()),
            }
        }
    }
    (Ok(None), header.len())
}

proptest! {
    /// However the bytes come, the header is taken and not a byte more.
    #[test]
    fn not_a_byte_more_is_taken(
        which in 0usize..18,
        behind in prop::collection::vec(any::<u8>(), 0..40),
        pieces in prop::collection::vec(1usize..9, 0..20),
    ) {
        let (header, told) = good().swap_remove(which);
        let bytes = [&header[..], &behind].concat();
        prop_assert_eq!(taken(&bytes, &pieces), (Ok(Some((told, header.len()))), header.len()));
    }

    /// Any bytes: no panic, the outcome does not depend on how they come, and a whole header stays what it is.
    #[test]
    fn any_bytes(
        start in prop::sample::select(vec![&b""[..], b"PROXY ", b"PROXY TCP4 ", SIGNATURE, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0"]),
        rest in prop::collection::vec(any::<u8>(), 0..140),
        pieces in prop::collection::vec(1usize..50, 0..6),
    ) {
        let bytes = [start, &rest].concat();
        let whole = parse(&bytes);
        if let Ok(Some((told, length))) = whole {
            prop_assert!(length <= bytes.len());
            prop_assert_eq!(parse(&bytes[..length]), Ok(Some((told, length))));
        }
        prop_assert_eq!(taken(&bytes, &pieces).0, taken(&bytes, &[]).0);
        prop_assert_eq!(taken(&bytes, &[]).0.is_err(), whole.is_err());
    }
}

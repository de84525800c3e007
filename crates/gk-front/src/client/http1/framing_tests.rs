//! Tests of the scan of requests.

use super::*;

const BOTH: &[u8] =
    b"\r\n\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-encoding: chunked\r\n\r\n";

/// Feeds pieces as the connection does: what a part of a request line held is given again with the next piece.
fn feed(scan: &mut RequestScan, pieces: &[&[u8]]) -> Vec<Found> {
    let mut held = Vec::new();
    let mut all = Vec::new();
    for piece in pieces {
        held.extend_from_slice(piece);
        let found = scan.feed(&held);
        match found {
            Found::PartLine(start) => held.drain(..start),
            _ => held.drain(..),
        };
        if found != Found::Nothing && !matches!(found, Found::PartLine(_)) {
            all.push(found);
        }
    }
    all
}

#[test]
fn both_headers_are_seen_however_the_bytes_are_cut() {
    for cut in 0..BOTH.len() {
        for second in cut..BOTH.len() {
            let mut scan = RequestScan::default();
            let found = feed(&mut scan, &[&BOTH[..cut], &BOTH[cut..second], &BOTH[second..]]);
            assert!(scan.is_ambiguous(), "cut at {cut} and {second}");
            assert_eq!(found, []);
        }
    }
}

#[test]
fn the_body_is_not_read_as_headers() {
    let mut scan = RequestScan::default();
    assert_eq!(
        scan.feed(b"POST / HTTP/1.1\r\nContent-Length: 28\r\n\r\nTransfer-Encoding: chunked\r\n"),
        Found::Nothing
    );
    assert!(!scan.is_ambiguous());
    assert_eq!(scan.feed(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), Found::Nothing);
    assert!(!scan.is_ambiguous());
    assert_eq!(scan.feed(b"0\r\n\nGET"), Found::Malformed(3));
}

#[test]
fn the_end_of_each_request_is_found_however_the_bytes_are_cut() {
    let requests: [&[u8]; 4] = [
        b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\r\nPOST / HTTP/1.1\nHost: a\ncontent-length:   4 \n\nbody",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nA: b\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    ];
    for request in requests {
        let two = [request, b"GET /b HTTP/1.1\r\n"].concat();
        for cut in 0..=request.len() {
            let mut scan = RequestScan::default();
            let mut pieces: Vec<&[u8]> = vec![&two[..cut], &two[cut..]];
            pieces.retain(|piece| !piece.is_empty());
            let found = feed(&mut scan, &pieces);
            // A request that ends with its piece is complete; the next piece is the next request's.
            match cut {
                cut if cut == request.len() => assert_eq!(found, []),
                _ => assert!(matches!(found[..], [Found::End(_)]), "cut at {cut}: {found:?}"),
            }
        }
        let mut scan = RequestScan::default();
        assert_eq!(scan.feed(&two), Found::End(request.len()));
        assert_eq!(scan.feed(&two[request.len()..]), Found::Nothing);
        assert_eq!(scan.shown(), b"GET /b HTTP/1.1");
    }
}

#[test]
fn an_odd_line_is_named_and_what_is_no_request_line_is_not_waited_for() {
    let mut scan = RequestScan::default();
    let request = b"\nGET /<> HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(scan.feed(request), Found::OddLine(1, 18));
    scan.pass_line(&request[1..18]);
    assert_eq!(scan.feed(&request[19..]), Found::Nothing);
    assert_eq!(scan.shown(), b"GET /<> HTTP/1.1");
    let end = b"\r\n\r\nGET / HTTP/1.1\r\n\r\n";
    for (bytes, found) in [(&b"\x16\x03\x01\x02"[..], Found::Nothing), (&[b'a'; LONGEST_LINE], Found::End(4))]
    {
        let mut scan = RequestScan::default();
        assert_eq!(scan.feed(bytes), Found::Nothing);
        assert_eq!(scan.shown(), &bytes[..bytes.len().min(SHOWN)]);
        assert_eq!(scan.feed(end), found);
    }
}

#[test]
fn lengths_that_are_refused_are_not_followed() {
    let padded = format!("{}1", " ".repeat(PREFIX));
    for length in ["x", "+1", "1, 1", "", "99999999999999999999", &padded] {
        let request = format!("POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\nGET / HTTP/1.1\r\n\r\n");
        for cut in 0..request.len() {
            let mut scan = RequestScan::default();
            let found = feed(&mut scan, &[&request.as_bytes()[..cut], &request.as_bytes()[cut..]]);
            assert_eq!((found, scan.is_ambiguous()), (vec![], true), "{length}");
        }
    }
}

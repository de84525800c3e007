//! Any bytes as the start of a connection: the header of the PROXY protocol is found, refused, or not whole yet, and never longer than
//! the bytes; and as the field `Forwarded`.
#![no_main]

use gk_front::client::proxied::parse;
use gk_front::request::proxy_trust::forwarded;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let whole = parse(bytes);
    if let Ok(Some((told, length))) = whole {
        assert!(length <= bytes.len());
        assert_eq!(parse(&bytes[..length]), Ok(Some((told, length))));
        assert_eq!(parse(&bytes[..length - 1]), Ok(None));
    }
    let _ = forwarded::elements(bytes);
    let added = [bytes, b", for=203.0.113.9"].concat();
    let believed = forwarded::believe([&added[..]].into_iter(), |_| false).expect("an element is there");
    let client = believed.client.expect("it names somebody");
    assert!(client == "203.0.113.9" || client == "unknown");
});

//! The route of a request: its path with identifiers replaced by `:id`, at most three segments. `/user/1234/orders/9` and
//! `/user/77/orders/1` are one route.

/// Longest route in bytes.
pub const LONGEST: usize = 72;
/// Segments kept.
const SEGMENTS: usize = 3;

/// The route of a path, written into `out`; returns its length. The path has no query string.
pub fn of(path: &[u8], out: &mut [u8; LONGEST]) -> usize {
    let mut length = 0;
    let mut put = |bytes: &[u8]| {
        if length + bytes.len() > LONGEST {
            return false;
        }
        out[length..length + bytes.len()].copy_from_slice(bytes);
        length += bytes.len();
        true
    };
    let path = path.strip_prefix(b"/").unwrap_or(path);
    for (index, segment) in path.split(|byte| *byte == b'/').enumerate() {
        if index == SEGMENTS {
            put(b"/*");
            break;
        }
        let shown = if looks_like_identifier(segment) { &b":id"[..] } else { segment };
        if !put(b"/") || !put(shown) {
            break;
        }
    }
    length
}

fn looks_like_identifier(segment: &[u8]) -> bool {
    let digits = segment.iter().filter(|byte| byte.is_ascii_digit()).count();
    let hexadecimal = segment.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-');
    let odd = segment.iter().any(|byte| !byte.is_ascii_graphic() || matches!(byte, b'@' | b'=' | b'%'));
    (digits > 0 && digits == segment.len())
        || (hexadecimal && segment.len() >= 8 && digits > 0)
        || segment.len() > 32
        || odd
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn route(path: &str) -> String {
        let mut out = [0; LONGEST];
        let length = of(path.as_bytes(), &mut out);
        String::from_utf8(out[..length].to_vec()).unwrap()
    }

    #[test]
    fn identifiers_are_replaced() {
        assert_eq!(route("/"), "/");
        assert_eq!(route(""), "/");
        assert_eq!(route("/report"), "/report");
        assert_eq!(route("/user/1234/orders/9/lines"), "/user/:id/orders/*");
        assert_eq!(route("/o/3f2504e0-4f89-11d3-9a0c-0305e82c3301"), "/o/:id");
        assert_eq!(route("/mail/a@b.example"), "/mail/:id");
        assert_eq!(route("/deadbeef"), "/deadbeef");
        assert_eq!(route(&format!("/x/{}", "y".repeat(400))), "/x/:id");
        assert_eq!(route("/<script>"), "/<script>");
    }

    proptest! {
        #[test]
        fn it_is_bounded_ascii(path in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut out = [0; LONGEST];
            let length = of(&path, &mut out);
            prop_assert!(out[..length].iter().all(u8::is_ascii));
        }
    }
}

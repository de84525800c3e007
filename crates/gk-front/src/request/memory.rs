//! Estimate of the memory that a request holds while it waits in a queue.

use http::request::Parts;

use crate::request::spool::SpooledBody;

/// Bytes of a waiting request without its head and body: its connection, hyper's state and buffers, its place in the queue.
const REQUEST: usize = 16 * 1024;
/// Bytes of a header field's entry beside name and value.
const FIELD: usize = 104;

/// Bytes that a request holds. A body in a file counts nothing.
pub fn held(parts: &Parts, body: &SpooledBody) -> u64 {
    let fields: usize =
        parts.headers.iter().map(|(name, value)| FIELD + name.as_str().len() + value.len()).sum();
    let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    let body = match body {
        SpooledBody::Empty | SpooledBody::File(..) => 0,
        SpooledBody::Memory(bytes) => bytes.len(),
        SpooledBody::Pieces(_, length) => *length,
    };
    (REQUEST + target + fields + body) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn head_and_body_in_memory_count() {
        let request = |path: &str, field: &str| {
            http::Request::builder().uri(path).header("x-a", field).body(()).unwrap().into_parts().0
        };
        let bare = held(&request("/", ""), &SpooledBody::Empty);
        assert!(bare > REQUEST as u64);
        assert_eq!(held(&request("/abcd", ""), &SpooledBody::Empty), bare + 4);
        assert_eq!(held(&request("/", &"v".repeat(500)), &SpooledBody::Empty), bare + 500);
        let body = SpooledBody::Memory(Bytes::from(vec![0; 7_000]));
        assert_eq!(held(&request("/", ""), &body), bare + 7_000);
        let file = std::sync::Arc::new(tempfile::tempfile().unwrap());
        assert_eq!(held(&request("/", ""), &SpooledBody::File(file, 1 << 40)), bare);
    }
}

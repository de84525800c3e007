//! Header fields as rules change them.

use gk_rules::headers::Fields;
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

/// A header map as a table of `gk_rules`.
pub struct MapFields<'a>(pub &'a mut HeaderMap);

impl Fields for MapFields<'_> {
    fn values(&self, name: &str) -> Vec<Vec<u8>> {
        self.0.get_all(name).iter().map(|value| value.as_bytes().to_vec()).collect()
    }

    fn replace(&mut self, name: &str, values: Vec<Vec<u8>>) {
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { return };
        self.0.remove(&name);
        for value in values {
            // A value that HTTP does not allow would break the message.
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                self.0.append(&name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_breaks_the_line_is_left_out() {
        let mut map = HeaderMap::new();
        let mut fields = MapFields(&mut map);
        fields.replace("x-a", vec![b"1".to_vec(), b"2\r\nx-b: 3".to_vec(), b"4".to_vec()]);
        assert_eq!(fields.values("x-a"), [b"1".to_vec(), b"4".to_vec()]);
        fields.replace("x-a", Vec::new());
        assert!(map.is_empty());
    }
}

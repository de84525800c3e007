//! The `Date` of responses over HTTP/2, made once a second. hyper has one for HTTP/1.

use http::header::HeaderValue;
use httpdate::HttpDate;
use std::cell::RefCell;
use std::time::{Duration, UNIX_EPOCH};

/// The date as it was made last.
#[derive(Debug, Default)]
pub struct DateValue(RefCell<Option<(u64, HeaderValue)>>);

impl DateValue {
    /// For a moment in seconds since the epoch.
    pub fn at(&self, epoch: u64) -> Option<HeaderValue> {
        let mut last = self.0.borrow_mut();
        match &*last {
            Some((made, value)) if *made == epoch => Some(value.clone()),
            _ => {
                let text = HttpDate::from(UNIX_EPOCH + Duration::from_secs(epoch)).to_string();
                let value = HeaderValue::from_str(&text).ok()?;
                *last = Some((epoch, value.clone()));
                Some(value)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_has_its_date() {
        let date = DateValue::default();
        for (epoch, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (1_700_000_000, "Tue, 14 Nov 2023 22:13:20 GMT"),
            (1_700_000_000, "Tue, 14 Nov 2023 22:13:20 GMT"),
            (1_700_000_001, "Tue, 14 Nov 2023 22:13:21 GMT"),
        ] {
            assert_eq!(date.at(epoch).unwrap(), text);
        }
    }
}

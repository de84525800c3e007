//! The conditions of a request on the version of a file: `If-Match` and its relatives, and `If-Range`.

use gk_rules::content::compression::untagged;
use gk_rules::content::files::names_tag;
use http::header::{
    HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE,
};
use std::time::{Duration, SystemTime};

/// The version of a file that is there.
pub struct Version {
    /// Its entity tag.
    pub tag: Option<String>,
    /// Its time of change.
    pub modified: Option<SystemTime>,
}

/// The outcome of a request's conditions.
#[derive(Debug, PartialEq, Eq)]
pub enum Condition {
    /// The file is sent.
    Send,
    /// 304.
    NotModified,
    /// 412.
    Failed,
}

impl Version {
    /// The conditions of a request, in the order of RFC 9110: a tag counts before a date.
    pub fn condition(&self, headers: &HeaderMap, now: SystemTime) -> Condition {
        let seconds = |t: SystemTime| t.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let newer = |than: SystemTime| self.modified.is_some_and(|m| seconds(m) > seconds(than));
        let tag = self.tag.as_deref().unwrap_or("");
        match list(headers, IF_MATCH) {
            Some(list) if !is_listed(&list, tag) => return Condition::Failed,
            None if date(headers, IF_UNMODIFIED_SINCE).is_some_and(newer) => return Condition::Failed,
            _ => {}
        }
        let same = match list(headers, IF_NONE_MATCH) {
            // A compressed response has a tag of its own, and is the same file.
            Some(list) => names_tag(&untagged(&list).unwrap_or(list), tag),
            // A date to come says nothing about the version that the client has.
            None => {
                self.modified.is_some()
                    && date(headers, IF_MODIFIED_SINCE).is_some_and(|since| since <= now && !newer(since))
            }
        };
        if same { Condition::NotModified } else { Condition::Send }
    }

    /// Whether a range may be served: the client names no version (`If-Range`), or the present one. A date names one version only
    /// after its second is over, a weak tag none.
    pub fn is_current(&self, version: Option<&HeaderValue>, now: SystemTime) -> bool {
        let Some(version) = version else { return true };
        if version.as_bytes().starts_with(b"\"") {
            return self.tag.as_deref().is_some_and(|tag| tag.as_bytes() == version.as_bytes());
        }
        let Some(modified) = self.modified else { return false };
        version.as_bytes() == httpdate::fmt_http_date(modified).as_bytes()
            && now.duration_since(modified).is_ok_and(|age| age >= Duration::from_secs(1))
    }
}

/// Whether a list of `If-Match` names a tag: as it is, and not as a weak one.
fn is_listed(list: &str, tag: &str) -> bool {
    let same = |one: &str| one.trim() == tag && !tag.starts_with("W/");
    list.trim() == "*" || list.split(',').any(same)
}

/// All tags of a field, which may stand several times.
fn list(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let mut values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let mut list = values.next()?.to_owned();
    for value in values {
        list.push_str(", ");
        list.push_str(value);
    }
    Some(list)
}

/// The date of a field. Old clients put the length behind it.
fn date(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    let text = headers.get(name)?.to_str().ok()?;
    httpdate::parse_http_date(text.split(';').next().unwrap_or(text).trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_served_only_of_the_version_that_the_client_has() {
        let modified = SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_500);
        let later = modified + Duration::from_secs(1);
        let date = "Thu, 01 Jan 1970 00:16:40 GMT";
        let table = [
            (None, Some(modified), modified, true),
            (None, None, later, true),
            (Some(date), Some(modified), later, true),
            (Some(date), Some(modified), modified, false),
            (Some(date), None, later, false),
            (Some("Thu, 01 Jan 1970 00:16:41 GMT"), Some(modified), later, false),
            (Some("\"tag\""), Some(modified), later, false),
            (Some("\"b-5\""), Some(modified), modified, true),
        ];
        for (version, modified, now, want) in table {
            let version = version.map(HeaderValue::from_static);
            let there = Version { tag: Some("\"b-5\"".into()), modified };
            assert_eq!(there.is_current(version.as_ref(), now), want, "{version:?}");
        }
    }

    #[test]
    fn conditions() {
        let modified = SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_500);
        let now = modified + Duration::from_secs(10);
        let (same, later) = ("Thu, 01 Jan 1970 00:16:40 GMT", "Thu, 01 Jan 1970 00:16:39 GMT");
        let table: &[(&[(HeaderName, &str)], Condition)] = &[
            (&[], Condition::Send),
            (&[(IF_NONE_MATCH, "\"a-5\"")], Condition::NotModified),
            (&[(IF_NONE_MATCH, "W/\"a-5\"")], Condition::NotModified),
            (&[(IF_NONE_MATCH, "\"a-5-gzip\"")], Condition::NotModified),
            (&[(IF_NONE_MATCH, "*")], Condition::NotModified),
            (&[(IF_NONE_MATCH, "\"x\""), (IF_NONE_MATCH, "\"a-5\"")], Condition::NotModified),
            (&[(IF_NONE_MATCH, "\"x\""), (IF_MODIFIED_SINCE, same)], Condition::Send),
            (&[(IF_MODIFIED_SINCE, same)], Condition::NotModified),
            (&[(IF_MODIFIED_SINCE, "Thu, 01 Jan 1970 00:16:40 GMT; length=10")], Condition::NotModified),
            (&[(IF_MODIFIED_SINCE, "Thu, 01 Jan 1970 00:17:40 GMT")], Condition::Send),
            (&[(IF_MODIFIED_SINCE, later)], Condition::Send),
            (&[(IF_MATCH, "\"x\"")], Condition::Failed),
            (&[(IF_MATCH, "W/\"a-5\"")], Condition::Failed),
            (&[(IF_MATCH, "*")], Condition::Send),
            (&[(IF_MATCH, "\"x\", \"a-5\"")], Condition::Send),
            (&[(IF_UNMODIFIED_SINCE, same)], Condition::Send),
            (&[(IF_UNMODIFIED_SINCE, later)], Condition::Failed),
        ];
        for (fields, want) in table {
            let mut headers = HeaderMap::new();
            for (name, value) in *fields {
                headers.append(name, HeaderValue::from_static(value));
            }
            let version = Version { tag: Some("\"a-5\"".into()), modified: Some(modified) };
            assert_eq!(version.condition(&headers, now), *want, "{fields:?}");
        }
    }
}

//! Static files of `Alias` and `DocumentRoot`: GET and HEAD, `Content-Type` by extension, `Last-Modified` and `ETag` with their
//! conditions, one range.
//! Directories give their `index.html` or 403; a path without its slash is redirected. Symbolic links are followed, as
//! Apache does by default (`FollowSymLinks`): whoever may write the tree decides what is served, but for what is [`withheld`].

use gk_rules::content::Content;
use gk_rules::content::compression::untagged;
use gk_rules::content::files::names_tag;
use gk_wire::log::Level;
use http::header::{
    ACCEPT_RANGES, ALLOW, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    ETAG, HeaderMap, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE,
    LAST_MODIFIED, RANGE,
};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::answer::body::Body;
use crate::answer::media_types;
use crate::answer::withheld::{self, Withheld};
use crate::engine::FileSlice;
use crate::process::descriptor_limit;
use crate::request::path;
use crate::request::refusal::Refusal;

enum Opened {
    File { file: File, len: u64, modified: Option<SystemTime>, inode: u64, path: PathBuf },
    NeedsSlash,
    Withheld,
}

/// The place of a file in the configuration.
pub struct Place<'a> {
    /// The file asked for.
    pub path: &'a Path,
    /// The served tree that it lies in.
    pub tree: &'a Path,
    /// Decoded, normalised path of the URL, for the redirect of a directory.
    pub url: &'a [u8],
    /// It is the index of the directory that the URL path names.
    pub index: bool,
    /// Files that are not served.
    pub withheld: &'a Arc<Withheld>,
    /// What the rules of the place say of files.
    pub rules: &'a Content,
}

/// Answers with a file. `client` is for log lines.
pub async fn serve<X>(client: &str, parts: &Parts, place: Place<'_>) -> Result<Response<Body<X>>, Refusal> {
    const ALLOWED: &str = "GET, HEAD, OPTIONS";
    if parts.method == Method::OPTIONS {
        let mut response = Response::new(Body::empty());
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(ALLOWED));
        return Ok(response);
    }
    if parts.method != Method::GET && parts.method != Method::HEAD {
        return Err(Refusal::Method(ALLOWED));
    }
    let Place { path: named, tree, url, index, withheld, rules } = place;
    // By its name without a look at the file system: the answer says nothing about what is there.
    if withheld::is_hidden(withheld::below(named, tree)) {
        return Err(refused(named, client));
    }
    let slash = url.ends_with(b"/") && !index;
    let (file, tree, withheld) = (named.to_owned(), tree.to_owned(), Arc::clone(withheld));
    let opened = tokio::task::spawn_blocking(move || open(&file, slash, &tree, &withheld));
    let opened = opened.await.map_err(|_| Refusal::Internal)?;
    let (file, len, modified, inode, path) = match opened.map_err(|error| refusal(&error, named, client))? {
        Opened::Withheld => return Err(refused(named, client)),
        Opened::NeedsSlash => {
            let query = parts.uri.query().map(|q| format!("?{q}")).unwrap_or_default();
            // Made from the normalised path: the raw one, `//host/..`, would lead to another host.
            return Err(Refusal::Slash(format!("{}/{query}", path::encode(url))));
        }
        Opened::File { file, len, modified, inode, path } => (file, len, modified, inode, path),
    };
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Some(value) = modified.and_then(|m| HeaderValue::from_str(&httpdate::fmt_http_date(m)).ok()) {
        headers.insert(LAST_MODIFIED, value);
    }
    let version = Version { tag: tag(rules, inode, len, modified), modified };
    if let Some(tag) = version.tag.as_deref().and_then(|tag| HeaderValue::from_str(tag).ok()) {
        headers.insert(ETAG, tag);
    }
    match version.condition(&parts.headers) {
        Condition::Send => {}
        Condition::NotModified => return Ok(assemble(StatusCode::NOT_MODIFIED, headers, Body::empty())),
        Condition::Failed => return Err(Refusal::Status(StatusCode::PRECONDITION_FAILED)),
    }
    let told = media_types::describe(&path, rules);
    for (name, value) in [
        (CONTENT_TYPE, told.media_type),
        (CONTENT_ENCODING, told.encoding),
        (CONTENT_LANGUAGE, told.language),
    ] {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            headers.insert(name, value);
        }
    }
    let asked = parts.headers.get(RANGE).filter(|_| parts.method == Method::GET);
    let asked = asked.filter(|_| version.is_current(parts.headers.get(IF_RANGE), SystemTime::now()));
    let (status, offset, part) = match asked.and_then(|r| range(r.as_bytes(), len)) {
        Some(Err(())) => return Err(Refusal::Range(len)),
        Some(Ok((first, last))) => {
            if let Ok(value) = HeaderValue::from_str(&format!("bytes {first}-{last}/{len}")) {
                headers.insert(CONTENT_RANGE, value);
            }
            (StatusCode::PARTIAL_CONTENT, first, last - first + 1)
        }
        None => (StatusCode::OK, 0, len),
    };
    headers.insert(CONTENT_LENGTH, HeaderValue::from(part));
    let body = if parts.method == Method::HEAD || part == 0 {
        Body::empty()
    } else {
        Body::file(FileSlice { file: OwnedFd::from(file), offset, len: part })
    };
    Ok(assemble(status, headers, body))
}

fn assemble<X>(status: StatusCode, headers: HeaderMap, body: Body<X>) -> Response<Body<X>> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// A line for the error log, as Apache has it, and 403.
fn refused(file: &Path, client: &str) -> Refusal {
    let text = format!("client denied by server configuration: {} is never served", file.display());
    crate::note_code(Level::Error, "AH01630", Some(client), &text);
    Refusal::Forbidden
}

fn open(path: &Path, slash: bool, tree: &Path, withheld: &Withheld) -> io::Result<Opened> {
    let meta = std::fs::metadata(path)?;
    if meta.is_dir() {
        return if slash {
            open(&path.join("index.html"), false, tree, withheld).map_err(directory)
        } else {
            Ok(Opened::NeedsSlash)
        };
    }
    if !meta.is_file() || slash {
        return Err(io::ErrorKind::NotFound.into());
    }
    let file = File::open(path)?;
    let meta = file.metadata()?;
    if withheld.holds(&file, &meta, path, tree)? {
        return Ok(Opened::Withheld);
    }
    let (len, modified, inode) = (meta.len(), meta.modified().ok(), meta.ino());
    Ok(Opened::File { file, len, modified, inode, path: path.to_owned() })
}

/// A directory without an index is not listed.
fn directory(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::NotFound { io::ErrorKind::PermissionDenied.into() } else { error }
}

fn refusal(error: &io::Error, file: &Path, client: &str) -> Refusal {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Refusal::NotFound,
        io::ErrorKind::PermissionDenied => Refusal::Forbidden,
        _ => {
            let text = format!("the file {} could not be opened: {error}", file.display());
            crate::note(Level::Error, Some(client), &text);
            if descriptor_limit::are_exhausted(error) { Refusal::NoSpace } else { Refusal::Internal }
        }
    }
}

/// The entity tag of a file.
fn tag(rules: &Content, inode: u64, len: u64, modified: Option<SystemTime>) -> Option<String> {
    let parts = rules.files.tag.unwrap_or_default();
    let modified = modified?;
    let micros = modified.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_micros() as u64;
    // Within a second a file may change again and have the same time.
    let fresh = SystemTime::now().duration_since(modified).is_ok_and(|age| age < Duration::from_secs(1));
    parts.tag(inode, len, micros, fresh)
}

/// The version of a file that is there.
struct Version {
    tag: Option<String>,
    modified: Option<SystemTime>,
}

/// The outcome of a request's conditions.
#[derive(Debug, PartialEq, Eq)]
enum Condition {
    Send,
    NotModified,
    Failed,
}

impl Version {
    /// The conditions of a request, in the order of RFC 9110: a tag counts before a date.
    fn condition(&self, headers: &HeaderMap) -> Condition {
        let date = |name| headers.get(name).and_then(|v| httpdate::parse_http_date(v.to_str().ok()?).ok());
        let seconds = |t: SystemTime| t.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let newer = |than: SystemTime| self.modified.is_some_and(|m| seconds(m) > seconds(than));
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let tag = self.tag.as_deref().unwrap_or("");
        match text(IF_MATCH) {
            Some(list) if !names_tag(list, tag) || (list.trim() != "*" && tag.starts_with("W/")) => {
                return Condition::Failed;
            }
            None if date(IF_UNMODIFIED_SINCE).is_some_and(newer) => return Condition::Failed,
            _ => {}
        }
        let same = match text(IF_NONE_MATCH) {
            // A compressed response has a tag of its own, and is the same file.
            Some(list) => names_tag(&untagged(list).unwrap_or_else(|| list.to_owned()), tag),
            None => self.modified.is_some() && date(IF_MODIFIED_SINCE).is_some_and(|since| !newer(since)),
        };
        if same { Condition::NotModified } else { Condition::Send }
    }

    /// Whether a range may be served: the client names no version (`If-Range`), or the present one. A date names one version only
    /// after its second is over, a weak tag none.
    fn is_current(&self, version: Option<&HeaderValue>, now: SystemTime) -> bool {
        let Some(version) = version else { return true };
        if version.as_bytes().starts_with(b"\"") {
            return self.tag.as_deref().is_some_and(|tag| tag.as_bytes() == version.as_bytes());
        }
        let Some(modified) = self.modified else { return false };
        version.as_bytes() == httpdate::fmt_http_date(modified).as_bytes()
            && now.duration_since(modified).is_ok_and(|age| age >= Duration::from_secs(1))
    }
}

/// First and last byte; an error means outside of the file.
type Range = Result<(u64, u64), ()>;

/// Parses a `Range` header with one range. `None`: ignore the header (several ranges, another unit, malformed).
fn range(value: &[u8], len: u64) -> Option<Range> {
    let (first, last) = std::str::from_utf8(value).ok()?.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| {
        (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse::<u64>().ok())
    };
    match (number(first.trim()), number(last.trim())) {
        (Some(first), _) if last.is_empty() => {
            let first = first?;
            Some(if first < len { Ok((first, len - 1)) } else { Err(()) })
        }
        (Some(first), Some(last)) => {
            let (first, last) = (first?, last?);
            if last < first {
                return None;
            }
            Some(if first < len { Ok((first, last.min(len - 1))) } else { Err(()) })
        }
        (None, Some(suffix)) if first.is_empty() => {
            let suffix = suffix?;
            Some(if suffix == 0 || len == 0 { Err(()) } else { Ok((len.saturating_sub(suffix), len - 1)) })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

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
        let modified = Some(SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_500));
        let (same, later) = ("Thu, 01 Jan 1970 00:16:40 GMT", "Thu, 01 Jan 1970 00:16:39 GMT");
        let table: &[(&[(HeaderName, &str)], Condition)] = &[
            (&[], Condition::Send),
            (&[(IF_NONE_MATCH, "\"a-5\"")], Condition::NotModified),
            (&[(IF_NONE_MATCH, "W/\"a-5\"")], Condition::NotModified),
            (&[(IF_NONE_MATCH, "\"a-5-gzip\"")], Condition::NotModified),
            (&[(IF_NONE_MATCH, "*")], Condition::NotModified),
            (&[(IF_NONE_MATCH, "\"x\""), (IF_MODIFIED_SINCE, same)], Condition::Send),
            (&[(IF_MODIFIED_SINCE, same)], Condition::NotModified),
            (&[(IF_MODIFIED_SINCE, later)], Condition::Send),
            (&[(IF_MATCH, "\"x\"")], Condition::Failed),
            (&[(IF_MATCH, "\"x\", \"a-5\"")], Condition::Send),
            (&[(IF_UNMODIFIED_SINCE, same)], Condition::Send),
            (&[(IF_UNMODIFIED_SINCE, later)], Condition::Failed),
        ];
        for (fields, want) in table {
            let fields = fields.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
            let version = Version { tag: Some("\"a-5\"".into()), modified };
            assert_eq!(
                version.condition(&fields.clone().collect()),
                *want,
                "{:?}",
                fields.collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn ranges() {
        let table: &[(&str, Option<Range>)] = &[
            ("bytes=0-0", Some(Ok((0, 0)))),
            ("bytes=2-", Some(Ok((2, 9)))),
            ("bytes=2-100", Some(Ok((2, 9)))),
            ("bytes=-3", Some(Ok((7, 9)))),
            ("bytes=-100", Some(Ok((0, 9)))),
            ("bytes=10-", Some(Err(()))),
            ("bytes=-0", Some(Err(()))),
            ("bytes=5-2", None),
            ("bytes=0-1,3-4", None),
            ("lines=0-1", None),
            ("bytes=a-b", None),
            ("bytes=-", None),
            ("bytes=99999999999999999999-", None),
        ];
        for (value, want) in table {
            assert_eq!(range(value.as_bytes(), 10), *want, "{value}");
        }
    }
}

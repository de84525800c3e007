//! Static files of `Alias` and `DocumentRoot`: GET and HEAD, `Content-Type` by extension, `Last-Modified`, one range.
//! Directories give their `index.html` or 403; a path without its slash is redirected. Symbolic links are followed, as
//! Apache does by default (`FollowSymLinks`): whoever may write the tree decides what is served, but for what is [`withheld`].

use gk_wire::log::Level;
use http::header::{
    ACCEPT_RANGES, ALLOW, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderValue,
    IF_MODIFIED_SINCE, IF_RANGE, LAST_MODIFIED, RANGE,
};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::answer::body::Body;
use crate::answer::withheld::{self, Withheld};
use crate::engine::FileSlice;
use crate::process::descriptor_limit;
use crate::request::path;
use crate::request::refusal::Refusal;

enum Opened {
    File { file: File, len: u64, modified: Option<SystemTime>, path: PathBuf },
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
    let Place { path: named, tree, url, index, withheld } = place;
    // By its name without a look at the file system: the answer says nothing about what is there.
    if withheld::is_hidden(withheld::below(named, tree)) {
        return Err(refused(named, client));
    }
    let slash = url.ends_with(b"/") && !index;
    let (file, tree, withheld) = (named.to_owned(), tree.to_owned(), Arc::clone(withheld));
    let opened = tokio::task::spawn_blocking(move || open(&file, slash, &tree, &withheld));
    let opened = opened.await.map_err(|_| Refusal::Internal)?;
    let (file, len, modified, path) = match opened.map_err(|error| refusal(&error, named, client))? {
        Opened::Withheld => return Err(refused(named, client)),
        Opened::NeedsSlash => {
            let query = parts.uri.query().map(|q| format!("?{q}")).unwrap_or_default();
            // Made from the normalised path: the raw one, `//host/..`, would lead to another host.
            return Err(Refusal::Slash(format!("{}/{query}", path::encode(url))));
        }
        Opened::File { file, len, modified, path } => (file, len, modified, path),
    };
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Some(value) = modified.and_then(|m| HeaderValue::from_str(&httpdate::fmt_http_date(m)).ok()) {
        headers.insert(LAST_MODIFIED, value);
    }
    if not_modified(&parts.headers, modified) {
        return Ok(assemble(StatusCode::NOT_MODIFIED, headers, Body::empty()));
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type(&path)));
    let asked = parts.headers.get(RANGE).filter(|_| parts.method == Method::GET);
    let asked = asked.filter(|_| is_current(parts.headers.get(IF_RANGE), modified, SystemTime::now()));
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
    Ok(Opened::File { file, len: meta.len(), modified: meta.modified().ok(), path: path.to_owned() })
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

fn not_modified(headers: &HeaderMap, modified: Option<SystemTime>) -> bool {
    let since = headers.get(IF_MODIFIED_SINCE).and_then(|v| httpdate::parse_http_date(v.to_str().ok()?).ok());
    let (Some(since), Some(modified)) = (since, modified) else { return false };
    let seconds = |t: SystemTime| t.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs());
    seconds(modified) <= seconds(since)
}

/// Whether a range may be served: the client names no version (`If-Range`), or the present one. A date names one version only
/// after its second is over.
fn is_current(version: Option<&HeaderValue>, modified: Option<SystemTime>, now: SystemTime) -> bool {
    let Some(version) = version else { return true };
    let Some(modified) = modified else { return false };
    version.as_bytes() == httpdate::fmt_http_date(modified).as_bytes()
        && now.duration_since(modified).is_ok_and(|age| age >= Duration::from_secs(1))
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

/// `Content-Type` by extension; bytes for an unknown one.
fn content_type(path: &Path) -> &'static str {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase();
    match &*extension {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "txt" | "log" => "text/plain; charset=utf-8",
        "md" => "text/markdown; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "json" | "map" => "application/json",
        "xml" => "application/xml",
        "webmanifest" => "application/manifest+json",
        "wasm" => "application/wasm",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "gz" => "application/gzip",
        "tar" => "application/x-tar",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "svg" => "image/svg+xml",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "ico" => "image/x-icon",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        "otf" => "font/otf",
        "mp3" => "audio/mpeg",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        _ => "application/octet-stream",
    }
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
        ];
        for (version, modified, now, want) in table {
            let version = version.map(HeaderValue::from_static);
            assert_eq!(is_current(version.as_ref(), modified, now), want, "{version:?}");
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

//! Static files of `Alias` and `DocumentRoot`: GET and HEAD, `Content-Type` by extension, `Last-Modified` and `ETag` with their
//! conditions, ranges, compressed neighbours. Folders give their `index.html`, their list (`Options Indexes`) or 403; a path
//! without its slash is redirected. Symbolic links are followed as `Options` say; whoever may write the tree decides what is served,
//! but for what is [`withheld`]. Pipes, sockets and devices are refused.

mod conditions;
pub mod disk;
mod file_place;
mod found;
pub mod links;
mod listing;
mod parts;
pub mod recent;
mod search;

use gk_config::place::Compiled;
use gk_config::site::Settings;
use gk_rules::content::served::ranges::Wanted;
use gk_wire::log::Level;
use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, ALLOW, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_RANGE, LAST_MODIFIED, RANGE, VARY,
};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use crate::answer::body::Body;
use crate::answer::files::conditions::Condition;
use crate::answer::files::file_place::FilePlace;
use crate::answer::files::found::FoundFile;
use crate::answer::files::listing::Folder;
use crate::answer::files::recent::{AskedFile, RecentFiles};
use crate::answer::files::search::{INDEX, Opened, Search};
use crate::answer::media_types;
use crate::answer::withheld::{self, Withheld};
use crate::process::descriptor_limit;
use crate::request::path;
use crate::request::refusal::Refusal;
use crate::request::resource::FileRole;

pub use crate::answer::files::file_place::FileRules;

/// The place of a file in the configuration.
pub struct Place<'a> {
    /// The file asked for.
    pub path: &'a Path,
    /// The served tree that it lies in.
    pub tree: &'a Path,
    /// What it stands for.
    pub role: FileRole,
    /// Decoded, normalised path of the URL, for the redirect of a directory.
    pub url: &'a [u8],
    /// The site.
    pub compiled: &'a Arc<Compiled>,
    /// Index of the host.
    pub host: usize,
    /// The settings of the place.
    pub settings: &'a Arc<Settings>,
    /// The settings of the folder, where it may be listed.
    pub listed: Option<Arc<Settings>>,
    /// Files that are not served.
    pub withheld: &'a Arc<Withheld>,
    /// Files that were served a moment ago.
    pub recent: &'a RecentFiles,
    /// The rules of a site that has some, for files beside the one asked for.
    pub rules: &'a dyn Fn() -> Option<Box<dyn FileRules>>,
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
    // By its name without a look at the file system: the answer says nothing about what is there.
    if withheld::is_hidden(withheld::below(place.path, place.tree)) {
        return Err(refused(place.path, client));
    }
    let failed = |error: io::Error| refusal(&error, place.path, client);
    match place.open(parts, false).await.map_err(failed)? {
        Opened::Withheld => Err(refused(place.path, client)),
        Opened::NeedsSlash => {
            let query = parts.uri.query().map(|q| format!("?{q}")).unwrap_or_default();
            // Made from the normalised path: the raw one, `//host/..`, would lead to another host.
            Err(Refusal::Slash(format!("{}/{query}", path::encode(place.url))))
        }
        Opened::Link(link) => {
            let text = format!("Symbolic link not allowed or link target not accessible: {}", link.display());
            crate::note_code(Level::Error, "AH00037", Some(client), &text);
            Err(Refusal::Forbidden)
        }
        Opened::Special(path) => {
            let text = format!("{} is neither a file nor a folder", path.display());
            crate::note_code(Level::Error, "AH00038", Some(client), &text);
            Err(Refusal::Forbidden)
        }
        Opened::Folder => {
            let page = place.list(parts, client).await?;
            Ok(list_page(page, &place, parts.method == Method::HEAD))
        }
        Opened::File(found) => match place.verdict(&found) {
            FileVerdict::Served => place.send(*found, parts),
            FileVerdict::Refused => Err(refused(&found.path, client)),
            FileVerdict::Plain => match place.open(parts, true).await.map_err(failed)? {
                Opened::File(found) => place.send(*found, parts),
                // It is another one by now.
                _ => Err(Refusal::Forbidden),
            },
        },
    }
}

/// What becomes of a file that was found.
enum FileVerdict {
    Served,
    /// It is the index of the folder, and the rules refuse it.
    Refused,
    /// The rules refuse its compressed neighbour.
    Plain,
}

impl Place<'_> {
    /// The place, for another thread.
    fn owned(&self, settings: &Arc<Settings>) -> FilePlace {
        FilePlace {
            compiled: Arc::clone(self.compiled),
            host: self.host,
            settings: Arc::clone(settings),
            withheld: Arc::clone(self.withheld),
            url: self.url.to_vec(),
            path: self.path.to_owned(),
            tree: self.tree.to_owned(),
        }
    }

    /// Asks the rules of the site about what was found in place of the path: an index, a neighbour.
    fn verdict(&self, found: &FoundFile) -> FileVerdict {
        let is_index = found.path != self.path;
        if !is_index && found.neighbour.is_none() {
            return FileVerdict::Served;
        }
        let Some(mut rules) = (self.rules)() else { return FileVerdict::Served };
        let url = if is_index { [self.url, INDEX.as_bytes()].concat() } else { self.url.to_vec() };
        if is_index && rules.refuse(&url, &found.path) {
            return FileVerdict::Refused;
        }
        match found.coding() {
            Some(coding) => {
                let neighbour = [&*url, b".", coding.extension().as_bytes()].concat();
                let path = FoundFile::neighbour_of(&found.path, coding);
                if rules.refuse(&neighbour, &path) { FileVerdict::Plain } else { FileVerdict::Served }
            }
            None => FileVerdict::Served,
        }
    }

    /// Looks for the file: at once where that is possible, else on another thread. `plain`: without compressed neighbours.
    async fn open(&self, parts: &Parts, plain: bool) -> io::Result<Opened> {
        let slash = self.url.ends_with(b"/") && self.role != FileRole::Index;
        let read = parts.method == Method::GET;
        // Without neighbours the client's codings make no difference.
        let has_neighbours = self.settings.served.precompressed.as_ref().is_some_and(|c| !c.is_empty());
        let accept = parts.headers.get(ACCEPT_ENCODING).filter(|_| has_neighbours && !plain);
        let accept = accept.and_then(|value| value.to_str().ok()).unwrap_or_default();
        // What is found in place of the path, an index or a neighbour, has rules of its own, and another host may find another.
        let at_once = !self.compiled.refuses_links(self.host) && !slash && !has_neighbours;
        let asked = AskedFile { path: self.path, tree: self.tree, slash, has_neighbours, accept };
        if at_once && let Some(found) = self.recent.open(&asked, read) {
            return Ok(Opened::File(Box::new(found)));
        }
        let search = Search {
            place: self.owned(self.settings),
            slash,
            without_index: self.role == FileRole::Folder,
            accept: accept.to_owned(),
            read,
        };
        let opened = off_loop(move || search.run()).await?;
        if at_once && let Opened::File(found) = &opened {
            self.recent.remember(&asked, found);
        }
        Ok(opened)
    }

    /// The list of the folder.
    async fn list(&self, parts: &Parts, client: &str) -> Result<String, Refusal> {
        let Some(settings) = &self.listed else {
            let path = self.path.display();
            let text = format!("the directory {path} has no index file, and Options Indexes is off here");
            crate::note_code(Level::Error, "AH01276", Some(client), &text);
            return Err(Refusal::Forbidden);
        };
        if self.compiled.may_close_by_condition(self.host) {
            let path = self.path.display();
            let text =
                format!("the directory {path} is not listed: conditional sections decide about access here");
            crate::note_code(Level::Error, "AH01276", Some(client), &text);
            return Err(Refusal::Forbidden);
        }
        let failed = |error: io::Error| refusal(&error, self.path, client);
        let query = parts.uri.query().unwrap_or_default().to_owned();
        let folder = Arc::new(Folder { place: self.owned(settings), query });
        let reading = Arc::clone(&folder);
        let mut contents = off_loop(move || reading.read()).await.map_err(failed)?;
        if let Some(mut rules) = (self.rules)() {
            folder.ask(&mut contents, &mut *rules).await;
        }
        off_loop(move || Ok(folder.page(contents))).await.map_err(failed)
    }

    /// The response with a file.
    fn send<X>(&self, found: FoundFile, parts: &Parts) -> Result<Response<Body<X>>, Refusal> {
        let rules = &self.settings.rules.content;
        let (now, len) = (SystemTime::now(), found.size());
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        let version = found.version(rules, now);
        if let Some(date) = version.modified.map(httpdate::fmt_http_date) {
            put(&mut headers, LAST_MODIFIED, Some(date));
        }
        put(&mut headers, ETAG, version.tag.clone());
        if found.varies {
            headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        }
        match version.condition(&parts.headers, now) {
            Condition::Send => {}
            Condition::NotModified => {
                return Ok(assemble(StatusCode::NOT_MODIFIED, headers, Body::empty()));
            }
            Condition::Failed => return Err(Refusal::Status(StatusCode::PRECONDITION_FAILED)),
        }
        let told = media_types::describe(&found.path, rules);
        put(&mut headers, CONTENT_TYPE, told.media_type);
        let encoding = found.coding().map(|coding| coding.name().to_owned());
        put(&mut headers, CONTENT_ENCODING, encoding.or(told.encoding));
        put(&mut headers, CONTENT_LANGUAGE, told.language);
        let head = parts.method == Method::HEAD;
        let wanted = match asked_range(parts) {
            Some(range) if version.is_current(parts.headers.get(IF_RANGE), now) => {
                self.settings.served.ranges.read(range.as_bytes(), len)
            }
            _ => Wanted::Whole,
        };
        let (status, body, length) = match wanted {
            Wanted::Nothing => return Err(Refusal::Range(len)),
            Wanted::Whole if head || len == 0 => (StatusCode::OK, Body::empty(), len),
            Wanted::Whole => (StatusCode::OK, parts::one(found, (0, len - 1)), len),
            Wanted::Parts(wanted) => match wanted[..] {
                [part @ (first, last)] => {
                    put(&mut headers, CONTENT_RANGE, Some(format!("bytes {first}-{last}/{len}")));
                    (StatusCode::PARTIAL_CONTENT, parts::one(found, part), last - first + 1)
                }
                _ => {
                    let (body, media_type, length) =
                        parts::several(found, &wanted, headers.get(CONTENT_TYPE));
                    put(&mut headers, CONTENT_TYPE, Some(media_type));
                    (StatusCode::PARTIAL_CONTENT, body, length)
                }
            },
        };
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        Ok(assemble(status, headers, body))
    }
}

/// The range of a request. It is defined for GET, and one that stands twice is none.
fn asked_range(parts: &Parts) -> Option<&HeaderValue> {
    let mut ranges = parts.headers.get_all(RANGE).iter().filter(|_| parts.method == Method::GET);
    ranges.next().filter(|_| ranges.next().is_none())
}

/// The response with the list of a folder.
fn list_page<X>(page: String, place: &Place<'_>, head: bool) -> Response<Body<X>> {
    let listing = place.listed.as_ref().and_then(|settings| settings.served.listing.as_ref());
    let charset = listing.and_then(|listing| listing.charset.as_deref()).unwrap_or("UTF-8");
    let mut headers = HeaderMap::with_capacity(4);
    put(&mut headers, CONTENT_TYPE, Some(format!("text/html;charset={charset}")));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(page.len()));
    let body = if head { Body::empty() } else { Body::whole(page.into(), true) };
    assemble(StatusCode::OK, headers, body)
}

fn put(headers: &mut HeaderMap, name: http::HeaderName, value: Option<String>) {
    if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
        headers.insert(name, value);
    }
}

fn assemble<X>(status: StatusCode, headers: HeaderMap, body: Body<X>) -> Response<Body<X>> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Does what may wait for a disk.
async fn off_loop<T: Send + 'static>(job: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(job).await.map_err(io::Error::other)?
}

/// A line for the error log, as Apache has it, and 403.
fn refused(file: &Path, client: &str) -> Refusal {
    let text = format!("client denied by server configuration: {} is never served", file.display());
    crate::note_code(Level::Error, "AH01630", Some(client), &text);
    Refusal::Forbidden
}

fn refusal(error: &io::Error, file: &Path, client: &str) -> Refusal {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Refusal::NotFound,
        io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidFilename => Refusal::Forbidden,
        _ => {
            let text = format!("the file {} could not be opened: {error}", file.display());
            crate::note(Level::Error, Some(client), &text);
            if descriptor_limit::are_exhausted(error) { Refusal::NoSpace } else { Refusal::Internal }
        }
    }
}

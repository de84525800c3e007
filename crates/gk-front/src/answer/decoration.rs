//! What the rules of a place make of a response: its expiry and charset, compression, header fields. A page of the front's own for
//! an error or a redirection has the `always` fields only, as with Apache.

use gk_rules::Facts;
use gk_rules::content::Content;
use gk_rules::content::compression::{Coding, Compression, accepted, tagged};
use gk_rules::headers::{Headers, Moment};
use gk_wire::log::Level;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, EXPIRES,
    HeaderMap, HeaderValue, LAST_MODIFIED, RETRY_AFTER, SET_COOKIE, VARY, WWW_AUTHENTICATE,
};
use http::{HeaderName, Method, Response};
use std::time::{Duration, SystemTime};

use crate::answer::body::Body;
use crate::answer::response::is_own_page;
use crate::engine::Exchange;
use crate::request::fields::MapFields;
use crate::request::rules::Asked;

/// Fields of an error page that belong to the error, not to the page.
pub const OF_ERROR: [HeaderName; 3] = [WWW_AUTHENTICATE, ALLOW, RETRY_AFTER];

const AUTHENTICATION_INFO: HeaderName = HeaderName::from_static("authentication-info");

/// Applies the rules for responses. `took_micros`: microseconds since the request began.
pub fn decorate<X: Exchange>(asked: &Asked, response: &mut Response<Body<X>>, took_micros: u64) {
    let own = is_own_page(response);
    let rules = &asked.settings.rules;
    // A redirection of the front's own expires as well.
    if !rules.content.is_empty() && (!own || response.status().is_redirection()) {
        expiry(&rules.content, asked, response);
    }
    if !own && !rules.content.is_empty() {
        charset(&rules.content, response.headers_mut());
        compress(&rules.content.compression, asked, response);
    }
    if let Some(info) = asked.caller.as_ref().and_then(|caller| caller.info.as_ref()) {
        response.headers_mut().insert(AUTHENTICATION_INFO, info.clone());
    }
    headers(&rules.headers, asked, response.headers_mut(), own, took_micros);
    for cookie in &asked.rewriting.cookies {
        response.headers_mut().append(SET_COOKIE, cookie.clone());
    }
    if !own {
        vary(&asked.rewriting.vary.borrow(), response.headers_mut());
    }
}

/// Tells caches of the headers that conditions have asked for.
fn vary(names: &[String], fields: &mut HeaderMap) {
    for name in names {
        let told = |value: &HeaderValue| {
            let value = value.to_str().unwrap_or_default();
            value.split(',').any(|known| known.trim().eq_ignore_ascii_case(name))
        };
        if !fields.get_all(VARY).iter().any(told)
            && let Ok(name) = HeaderValue::from_str(name)
        {
            fields.append(VARY, name);
        }
    }
}

/// `Expires` and `Cache-Control`, unless the response has its expiry or is an error.
fn expiry<B>(rules: &Content, asked: &Asked, response: &mut Response<B>) {
    let fields = response.headers();
    if response.status().as_u16() >= 400 || fields.contains_key(EXPIRES) {
        return;
    }
    let text = |name| fields.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let Some(expiry) = rules.expires.of(text(CONTENT_TYPE).unwrap_or("")) else { return };
    let epoch =
        |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).ok().map(|d| d.as_secs() as i64);
    let changed = text(LAST_MODIFIED).and_then(|date| epoch(httpdate::parse_http_date(date).ok()?));
    let now = asked.now() as i64;
    let Some(end) = expiry.end(now, changed) else { return };
    let moment = SystemTime::UNIX_EPOCH + Duration::from_secs(end.clamp(0, LAST_DATE) as u64);
    let age = format!("max-age={}", end - now);
    let fields = response.headers_mut();
    if let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(moment)) {
        fields.insert(EXPIRES, date);
    }
    add_to_list(fields, CACHE_CONTROL, &age);
}

/// The last second that an HTTP date can say.
const LAST_DATE: i64 = 253_402_300_799;

/// Puts an element behind the list that a field holds.
fn add_to_list(fields: &mut HeaderMap, name: HeaderName, element: &str) {
    let before = fields.get(&name).and_then(|value| value.to_str().ok()).map(|value| format!("{value}, "));
    if let Ok(value) = HeaderValue::try_from(before.unwrap_or_default() + element) {
        fields.insert(name, value);
    }
}

/// `AddDefaultCharset`.
fn charset(rules: &Content, fields: &mut HeaderMap) {
    let media_type = fields.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if let Some(named) = media_type.and_then(|media_type| rules.with_charset(media_type))
        && let Ok(value) = HeaderValue::try_from(named)
    {
        fields.insert(CONTENT_TYPE, value);
    }
}

/// Compresses the body, if the place and the client want that.
fn compress<X: Exchange>(rules: &Compression, asked: &Asked, response: &mut Response<Body<X>>) {
    let fields = response.headers();
    let text = |name| fields.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or("");
    let media_type = text(CONTENT_TYPE);
    let codings = rules.of(media_type);
    // A part of a file is a part of what the file's own tag names.
    let part = response.status().as_u16() == 206 || fields.contains_key(CONTENT_RANGE);
    let set = |name: &str| asked.environ(name).is_some();
    let html_only = set("gzip-only-text/html") && !media_type.starts_with("text/html");
    if codings.is_empty()
        || matches!(response.status().as_u16(), 204 | 304)
        || html_only
        || set("no-gzip")
        || fields.contains_key(CONTENT_ENCODING)
        || text(CACHE_CONTROL).contains("no-transform")
        || text(CONTENT_LENGTH) == "0"
    {
        return;
    }
    let accept = asked.header("accept-encoding").unwrap_or_default();
    let coding = accepted(codings, &String::from_utf8_lossy(&accept));
    let coding = coding.filter(|coding| *coding != Coding::Brotli || !set("no-brotli"));
    let listed = fields.get_all(VARY).iter().any(|value| {
        value.to_str().is_ok_and(|list| list.to_ascii_lowercase().contains("accept-encoding") || list == "*")
    });
    let tag = fields.get(ETAG).and_then(|tag| tag.to_str().ok());
    let tag = tag.zip(coding).and_then(|(tag, coding)| tagged(tag, coding));
    if !listed {
        add_to_list(response.headers_mut(), VARY, "Accept-Encoding");
    }
    let Some(coding) = coding.filter(|_| !part) else { return };
    // The answer to HEAD has no body, and the fields of the answer to GET.
    if asked.parts.method != Method::HEAD {
        let body = std::mem::replace(response.body_mut(), Body::empty());
        match body.compressed(coding) {
            Ok(body) => *response.body_mut() = body,
            Err((body, error)) => {
                crate::note(Level::Error, None, &format!("a response could not be compressed: {error}"));
                *response.body_mut() = body;
                return;
            }
        }
    }
    let fields = response.headers_mut();
    fields.remove(CONTENT_LENGTH);
    fields.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    if let Some(tag) = tag.and_then(|tag| HeaderValue::try_from(tag).ok()) {
        fields.insert(ETAG, tag);
    }
}

/// `Header`: the two tables of Apache. What the application sent is in the one of success.
fn headers(rules: &Headers, asked: &Asked, fields: &mut HeaderMap, own: bool, took_micros: u64) {
    if rules.response.is_empty() {
        return;
    }
    let variable = |name: &str| asked.environ(name);
    let began_micros = (asked.now() * 1e6) as u64;
    let moment = Moment { facts: asked, variable: &variable, began_micros, took_micros };
    let mut always = HeaderMap::new();
    if own {
        for name in OF_ERROR {
            if let Some(value) = fields.remove(&name) {
                always.insert(name, value);
            }
        }
    }
    for rule in rules.response.iter().filter(|rule| rule.always) {
        // There is one media type, whichever table a rule is about.
        let table = if rule.name() == CONTENT_TYPE { &mut *fields } else { &mut always };
        rule.apply(&mut MapFields(table), &moment);
    }
    if !own {
        for rule in rules.response.iter().filter(|rule| !rule.always) {
            rule.apply(&mut MapFields(fields), &moment);
        }
    }
    for (name, value) in std::mem::take(fields).iter() {
        always.append(name, value.clone());
    }
    *fields = always;
}

//! What the rules of a place make of a response: its header fields. A page of the front's own for an error or a redirection has
//! the `always` fields only, as with Apache.

use gk_rules::Facts;
use gk_rules::headers::{Headers, Moment};
use http::header::{
    ALLOW, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, SET_COOKIE, VARY, WWW_AUTHENTICATE,
};
use http::{HeaderName, Response};

use crate::answer::response::is_own_page;
use crate::request::fields::MapFields;
use crate::request::rules::Asked;
use crate::request::rules::rewriting::Rewriting;

/// Fields of an error page that belong to the error, not to the page.
pub const OF_ERROR: [HeaderName; 3] = [WWW_AUTHENTICATE, ALLOW, RETRY_AFTER];

/// Applies the rules for responses. `took_micros`: microseconds since the request began.
pub fn decorate<B>(asked: &Asked, response: &mut Response<B>, took_micros: u64) {
    let own = is_own_page(response);
    let rules = &asked.settings.rules;
    headers(&rules.headers, asked, response.headers_mut(), own, took_micros);
    rewriting(&asked.rewriting, response.headers_mut(), own);
}

/// The cookies of RewriteRule, and the headers that its conditions and those of sections have asked for.
fn rewriting(rewriting: &Rewriting, fields: &mut HeaderMap, own: bool) {
    for cookie in &rewriting.cookies {
        fields.append(SET_COOKIE, cookie.clone());
    }
    for name in rewriting.vary.iter().filter(|_| !own) {
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

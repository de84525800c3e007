//! Limits of requests, treatment of responses, and the variables that an application sees.

pub mod remote;

use crate::diagnostic::Complaint;
use crate::directive::{Applied, Arity, Contexts, Directive, Scope};
use crate::token::Word;
use crate::values;
use gk_options::Kind;
use std::net::IpAddr;

const ANY: Contexts = Contexts::ANY.or(Contexts::HTACCESS);
const ONE: Arity = Arity::exactly(1);

/// Rows of this area.
pub const ROWS: &[Directive] = &[
    Directive::honoured("WSGIPassAuthorization", "On|Off", ANY, ONE, pass_authorization)
        .default("Off").doc("Passes the Authorization header to the application as `HTTP_AUTHORIZATION`."),
    Directive::honoured("WSGIScriptReloading", "On|Off", ANY, ONE, script_reloading)
        .default("On").doc("Restarts the group gracefully when its script file changes."),
    Directive::honoured("WSGIChunkedRequest", "On|Off", ANY, ONE, chunked_request)
        .default("On").doc("Accepts chunked request bodies; with Off they get 411. The application sees their length in `CONTENT_LENGTH`."),
    Directive::honoured("WSGIErrorOverride", "On|Off", ANY, ONE, error_override)
        .default("Off").doc("Replaces the bodies of the application's 4xx and 5xx responses with the server's own."),
    Directive::honoured("WSGIMapHEADToGET", "Off|On|Auto", ANY, ONE, map_head_to_get)
        .default("Auto").doc("Passes HEAD requests to the application as GET. `Auto` does so only if the body is needed to \
            compute headers, which is never the case here, so it means Off."),
    Directive::honoured("WSGIIgnoreActivity", "On|Off", ANY, ONE, ignore_activity)
        .default("Off").doc("Requests in this scope do not postpone `inactivity-timeout=`; use it for health checks."),
    Directive::honoured("WSGIEnableSendfile", "On|Off", ANY, ONE, enable_sendfile)
        .default("Off").without_effect("a regular file in `wsgi.file_wrapper` always goes to the front as a file, and no Python runs while it is sent"),
    Directive::honoured("WSGITrustedProxyHeaders", "name …", ANY, Arity::at_least(1), trusted_proxy_headers)
        .doc("Headers of a trusted proxy that set the client's address, scheme, host, port or mount point. Only listed headers \
            count; if several for the same fact are present, the one listed last wins. `Forwarded` (RFC 7239) is followed back \
            through the trusted proxies, like X-Forwarded-For, and gives client, scheme and host."),
    Directive::honoured("WSGITrustedProxies", "address|network|unix: …", ANY, Arity::at_least(1), trusted_proxies)
        .default("every peer").doc("Peers whose WSGITrustedProxyHeaders count, as IPv4 or IPv6 addresses or networks."),
    Directive::honoured("LimitRequestBody", "bytes", ANY, ONE, limit_request_body)
        .default("1073741824").doc("Longest request body; requests with a longer one get 413. 0 means no limit."),
    Directive::honoured("SetEnv", "name [value]", ANY, Arity::between(1, 2), set_env)
        .doc("Sets a variable of the WSGI environment."),
    Directive::honoured("PassEnv", "name …", ANY, Arity::at_least(1), pass_env)
        .doc("Copies variables of the server's own environment to the WSGI environment."),
    Directive::honoured("UnsetEnv", "name …", ANY, Arity::at_least(1), unset_env)
        .doc("Removes variables from the WSGI environment."),
    Directive::inert("WSGIPassApacheRequest", "On|Off", Contexts::ANY, "there is no Apache request to pass"),
];

fn on_off(scope: &Scope, words: &[Word]) -> Result<Option<bool>, Complaint> {
    values::switch(scope.name, &words[0], &words[0].text).map(Some)
}

fn pass_authorization(scope: &mut Scope, words: &[Word]) -> Applied {
    scope.settings().pass_authorization = on_off(scope, words)?;
    Ok(())
}

fn script_reloading(scope: &mut Scope, words: &[Word]) -> Applied {
    scope.settings().script_reloading = on_off(scope, words)?;
    Ok(())
}

fn chunked_request(scope: &mut Scope, words: &[Word]) -> Applied {
    scope.settings().chunked_request = on_off(scope, words)?;
    Ok(())
}

fn error_override(scope: &mut Scope, words: &[Word]) -> Applied {
    scope.settings().error_override = on_off(scope, words)?;
    Ok(())
}

fn ignore_activity(scope: &mut Scope, words: &[Word]) -> Applied {
    scope.settings().ignore_activity = on_off(scope, words)?;
    Ok(())
}

fn enable_sendfile(scope: &mut Scope, words: &[Word]) -> Applied {
    on_off(scope, words).map(|_| ())
}

fn map_head_to_get(scope: &mut Scope, words: &[Word]) -> Applied {
    let mode = values::one_of(scope.name, &words[0], &words[0].text, &["off", "on", "auto"])?;
    scope.settings().map_head_to_get = Some(mode);
    Ok(())
}

/// The proxy headers that mean something, as CGI names.
const PROXY_HEADERS: &[&str] = &[
    "HTTP_FORWARDED",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_CLIENT_IP",
    "HTTP_X_REAL_IP",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_FORWARDED_SCHEME",
    "HTTP_X_SCHEME",
    "HTTP_X_FORWARDED_HTTPS",
    "HTTP_X_FORWARDED_SSL",
    "HTTP_X_HTTPS",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_HOST",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_X_FORWARDED_SERVER",
    "HTTP_X_SCRIPT_NAME",
    "HTTP_X_FORWARDED_SCRIPT_NAME",
];

fn trusted_proxy_headers(scope: &mut Scope, words: &[Word]) -> Applied {
    for word in words {
        let cgi = format!("HTTP_{}", word.text.to_ascii_uppercase().replace('-', "_"));
        if !PROXY_HEADERS.contains(&cgi.as_str()) {
            let names =
                PROXY_HEADERS.iter().map(|h| h["HTTP_".len()..].replace('_', "-")).collect::<Vec<_>>();
            let near = crate::nearest::nearest(&word.text, names.iter().map(String::as_str));
            let complaint =
                Complaint::warning(format!("the header {} has no meaning here", word.text)).partly().at(word);
            let complaint = match near {
                Some(near) => complaint.hint(format!("did you mean `{near}`?")),
                None => complaint,
            };
            scope.say(complaint);
        }
        scope.settings().trusted_proxy_headers.get_or_insert_default().push(cgi);
    }
    scope.raw.trusts_headers = true;
    Ok(())
}

fn trusted_proxies(scope: &mut Scope, words: &[Word]) -> Applied {
    for word in words {
        if !is_network(&word.text) && word.text != "unix:" {
            let message = format!(
                "WSGITrustedProxies takes addresses such as 10.0.0.1 or 10.0.0.0/8, and unix:, not `{}`",
                word.text
            );
            return Err(Complaint::error(message).at(word));
        }
        scope.settings().trusted_proxies.get_or_insert_default().push(word.text.clone());
    }
    scope.raw.trusted_proxies.get_or_insert_with(|| words[0].clone());
    Ok(())
}

/// An address, or an address with a prefix length that fits it.
fn is_network(text: &str) -> bool {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let most = if address.is_ipv4() { 32 } else { 128 };
    length.is_none_or(|l| l.parse::<u8>().is_ok_and(|n| n <= most))
}

fn limit_request_body(scope: &mut Scope, words: &[Word]) -> Applied {
    let bytes = values::whole(scope.name, &words[0], &words[0].text, 0..=Kind::MOST, "bytes")?;
    scope.settings().limit_request_body = Some(bytes);
    Ok(())
}

fn put_env(scope: &mut Scope, name: &str, value: String) {
    let settings = scope.settings();
    if let Some(unset) = &mut settings.unset_env {
        unset.retain(|n| n != name);
    }
    settings.env.get_or_insert_default().insert(name.to_owned(), value);
}

fn set_env(scope: &mut Scope, words: &[Word]) -> Applied {
    let name = &words[0];
    if name.text.is_empty() || name.text.contains(['=', '\0']) {
        return Err(Complaint::error(format!("`{}` is no name of a variable", name.text)).at(name));
    }
    let value = words.get(1).map(|w| w.text.clone()).unwrap_or_default();
    put_env(scope, &name.text, value);
    Ok(())
}

fn pass_env(scope: &mut Scope, words: &[Word]) -> Applied {
    for word in words {
        match scope.surroundings.environment.get(&word.text) {
            Some(value) => put_env(scope, &word.text, value.clone()),
            None => {
                let message = format!("{} is not set in the environment of the server", word.text);
                scope.say(Complaint::warning(message).at(word));
            }
        }
    }
    Ok(())
}

fn unset_env(scope: &mut Scope, words: &[Word]) -> Applied {
    for word in words {
        let settings = scope.settings();
        if let Some(env) = &mut settings.env {
            env.remove(&word.text);
        }
        settings.unset_env.get_or_insert_default().push(word.text.clone());
    }
    Ok(())
}

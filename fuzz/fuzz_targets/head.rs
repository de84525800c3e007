//! Any bytes as a request head, in the way of a request: the scan of the raw bytes, limits, path, trusted proxies, route. Accepted or
//! refused without a panic; the scan sees both framings exactly where the parser does, however the bytes are cut.
#![no_main]

use gk_config::place::{Compiled, Files, Kind};
use gk_config::site::EncodedSlashes;
use gk_config::source::Memory;
use gk_config::{Surroundings, load_text};
use gk_front::client::http1::framing::{Found, RequestScan};
use gk_front::request::resource::Decided;
use gk_front::request::route::{RouteQuery, target};
use gk_front::request::{limits, path, proxy_trust};
use http::request::Parts;
use http::{Request, Version};
use libfuzzer_sys::fuzz_target;
use std::path::Path;
use std::sync::{Arc, LazyLock};

const SITE: &str = r#"
ServerName example.org
DocumentRoot /srv/files
WSGITrustedProxies 10.0.0.0/8
WSGITrustedProxyHeaders X-Forwarded-For X-Forwarded-Proto X-Forwarded-Host X-Script-Name
WSGIDaemonProcess g
LimitRequestBody 1000
Alias /static /srv/static
WSGIScriptAlias /app /srv/app.wsgi
WSGIScriptAlias /scripts /srv/scripts
WSGIScriptAliasMatch ^/m/([^/]+) /srv/m/$1.wsgi
<Location /app/closed>
    Require all denied
</Location>
<VirtualHost *:*>
    ServerName other.example
    ServerAlias *.other.example
</VirtualHost>
"#;

static COMPILED: LazyLock<Compiled> = LazyLock::new(|| {
    let around = Surroundings { directory: "/".into(), ..Surroundings::default() };
    let site = load_text("fuzz", SITE, &Memory::new(), &around).site.expect("the site is right");
    Compiled::new(Arc::new(site), &Some3).expect("its patterns compile")
});

/// Some files exist, by the length of their names.
struct Some3;

impl Files for Some3 {
    fn kind(&self, path: &Path) -> Kind {
        match path.as_os_str().len() % 3 {
            0 => Kind::File,
            1 => Kind::Directory,
            _ => Kind::Missing,
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&cut, bytes)) = bytes.split_first() else { return };
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Request::new(&mut fields);
    let Ok(httparse::Status::Complete(end)) = head.parse(bytes) else {
        let _ = scanned(&[bytes]);
        return;
    };
    let alone = scanned(&[&bytes[..end]]);
    let (one, two) = bytes[..end].split_at(usize::from(cut).min(end));
    assert_eq!(alone, scanned(&[one, two]));
    let has = |name: &str| head.headers.iter().any(|field| field.name.eq_ignore_ascii_case(name));
    let both = has("content-length") && has("transfer-encoding");
    // A length that cannot be followed is refused in the same way.
    assert!(alone || !both);
    let Some(parts) = parts(&head) else { return };
    serve(&parts, alone);
});

/// Whether a head is ambiguous; its pieces come as a connection gives them.
fn scanned(pieces: &[&[u8]]) -> bool {
    let mut scan = RequestScan::default();
    let mut held = Vec::new();
    for piece in pieces {
        held.extend_from_slice(piece);
        let mut from = 0;
        loop {
            match scan.feed(&held[from..]) {
                Found::OddLine(start, end) => {
                    scan.pass_line(&held[from + start..from + end]);
                    from += end + 1;
                }
                Found::PartLine(start) => {
                    held.drain(..from + start);
                    break;
                }
                Found::Nothing | Found::End(_) | Found::Malformed(_) => {
                    held.clear();
                    break;
                }
            }
        }
    }
    scan.is_ambiguous()
}

/// The head as hyper hands it over; `None` where hyper refuses it.
fn parts(head: &httparse::Request<'_, '_>) -> Option<Parts> {
    let version = if head.version? == 0 { Version::HTTP_10 } else { Version::HTTP_11 };
    let mut request = Request::builder().method(head.method?).uri(head.path?).version(version);
    for field in head.headers.iter() {
        request = request.header(field.name, field.value);
    }
    Some(request.body(()).ok()?.into_parts().0)
}

fn serve(parts: &Parts, ambiguous: bool) {
    let site = COMPILED.site();
    let Ok(checked) = limits::check(parts, &site.http, ambiguous) else { return };
    assert!(!ambiguous, "two framings are refused");
    if limits::host(checked.host).is_err() {
        return;
    }
    for slashes in [EncodedSlashes::Decoded, EncodedSlashes::Kept, EncodedSlashes::Refused] {
        let Ok(path) = limits::path(parts, slashes) else { continue };
        assert!(path.starts_with(b"/") && !path.contains(&0));
        assert!(!path.split(|byte| *byte == b'/').any(|part| part == b".." || part == b"."));
        assert_eq!(
            path::normalise(path::encode(&path).as_bytes(), slashes).as_deref(),
            Ok(&*path),
            "written and read again"
        );
    }
    let Ok(path) = limits::path(parts, EncodedSlashes::Refused) else { return };
    let query = RouteQuery {
        local: Some(([127, 0, 0, 1], 8000).into()),
        host: checked.host,
        path: &path,
        https: false,
        listener: "0.0.0.0:8000",
        pid: 1,
        variables: None,
        decided: Decided::default(),
        chosen: None,
    };
    let found = target(&COMPILED, &query, &Some3);
    let _ = limits::body(parts, &found.settings);
    let _ = proxy_trust::apply(&found.settings, "10.1.2.3", &parts.headers);
    let _ = proxy_trust::apply(&found.settings, "192.0.2.1", &parts.headers);
}

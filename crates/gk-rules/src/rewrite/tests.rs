//! Rules as mod_rewrite applies them, and how scopes are laid over each other.

use super::*;
use crate::Kind;
use crate::asked::Asked;
use proptest::prelude::*;

/// The rules of a text, a directive to a line. Words are split at blanks; `␣` stands for a blank within one.
fn rules(text: &str) -> Rewrite {
    let mut rewrite = Rewrite { engine: Some(true), own: true, ..Rewrite::default() };
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<String> = line.split_whitespace().map(|word| word.replace('␣', " ")).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let done = match words[0] {
            "Rule" => rewrite.add_rule(&words[1..]),
            "Cond" => rewrite.add_condition(&words[1..]),
            "Map" => rewrite.add_map(&words[1..]),
            "Options" => rewrite.add_options(&words[1..]),
            other => panic!("{other}"),
        };
        done.unwrap_or_else(|mistake| panic!("{line}: {}", mistake.message));
    }
    // As the front gets them.
    serde_json::from_str(&serde_json::to_string(&rewrite).unwrap()).unwrap()
}

fn asked(target: &str) -> Asked {
    let mut asked = Asked::get(target);
    asked.headers.push(("Host".into(), "example.org:8000".into()));
    asked.files.insert("/srv".into(), Kind::Directory);
    asked.files.insert("/srv/www".into(), Kind::Directory);
    asked.files.insert("/srv/www/there".into(), Kind::File);
    asked
}

/// The action and the query, as text.
fn told(outcome: &Outcome) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let query = text(&outcome.query);
    match &outcome.action {
        Action::Go => "go".into(),
        Action::Answer(status) => status.to_string(),
        Action::Redirect { status, location } => format!("{status} {}", text(location)),
        Action::Path(path) => format!("path {} {query}", text(path)),
        Action::BelowRoot(path) => format!("root {} {query}", text(path)),
        Action::File(path) => format!("file {} {query}", text(path)),
        Action::Again(path) => format!("again {} {query}", text(path)),
    }
}

#[test]
fn rules_outside_of_sections() {
    let table: &[(&str, &str, &str)] = &[
        ("Rule ^/a$ -", "/a", "go"),
        ("Rule ^/b$ /c", "/a", "go"),
        ("Rule ^/a$ /c", "/a", "root /c "),
        ("Rule ^/a$ /c", "/a?x=1", "root /c x=1"),
        ("Rule ^/a$ /c [PT]", "/a?x=1", "path /c x=1"),
        ("Rule ^/a/(.*)$ /c/$1?y=2 [PT]", "/a/b?x=1", "path /c/b y=2"),
        ("Rule ^/a/(.*)$ /c?y=$1 [PT,QSA]", "/a/b?x=1", "path /c y=b&x=1"),
        ("Rule ^/a$ /c [PT,QSD]", "/a?x=1", "path /c "),
        ("Rule ^/a$ /c? [PT]", "/a?x=1", "path /c "),
        ("Rule ^/a$ /c?d?e [PT,QSL]", "/a", "path /c?d e"),
        ("Rule ^/a$ /srv/www/there", "/a", "file /srv/www/there "),
        ("Rule ^(/.*)$ $1x", "/srv/www", "root /srv/wwwx "),
        ("Rule ^(/.*)$ $1x [UnsafePrefixStat]", "/srv/www", "file /srv/wwwx "),
        ("Rule ^/a http://example.org:8000/there", "/a", "302 http://example.org:8000/there"),
        ("Rule ^/a /c/../../d", "/a", "400"),
        ("Rule ^/a d", "/a", "400"),
        ("Rule ^/a - [F]", "/a", "403"),
        ("Rule ^/a - [G]", "/a", "410"),
        ("Rule ^/a /b [R=404]", "/a", "404"),
        ("Rule ^/a$ /c [R]", "/a?x=1", "302 http://example.org:8000/c?x=1"),
        ("Rule ^/a$ /c [R=301,L]", "/a", "301 http://example.org:8000/c"),
        ("Rule ^/a$ /c?z=%3d [R,NE]", "/a", "302 http://example.org:8000/c?z=d"),
        ("Rule ^/a$ /c?z=\\%3d [R]", "/a", "302 http://example.org:8000/c?z=%253d"),
        ("Rule ^/a$ /c?z=\\%3d [R,NE]", "/a", "302 http://example.org:8000/c?z=%3d"),
        ("Rule ^/a$ /c␣d#e [R]", "/a", "302 http://example.org:8000/c%20d%23e"),
        ("Rule ^/a$ https://other.org/c␣d", "/a", "302 https://other.org/c%20d"),
        ("Rule ^/a$ HTTPS://other.org [R=permanent]", "/a", "301 HTTPS://other.org"),
        ("Rule ^/a$ mailto:x@y [R=seeother]", "/a", "303 mailto:x@y"),
        ("Rule ^/a(.*)$ /c?q=$1 [R]", "/a b", "302 http://example.org:8000/c?q=%20b"),
        ("Rule ^/a(.*)$ /c?q=$1 [PT]", "/a b", "403"),
        ("Rule ^/a(.*)$ /c?q=$1 [PT,B]", "/a b&c", "path /c q=+b%26c"),
        ("Rule ^/a(.*)$ /c?q=$1 [PT,B,BNP]", "/a b", "path /c q=%20b"),
        ("Rule ^/a(.*)$ /c?q=$1 [PT,B=&]", "/ab&c", "path /c q=b%26c"),
        ("Rule ^/a(.*)$ /c?q=$1 [PT,BCTLS]", "/a b&c", "path /c q=+b&c"),
        ("Rule ^/a(.*)$ /c?q=$1 [PT,B,BNE=/&]", "/a/b&c=d", "path /c q=/b&c%3dd"),
        ("Rule ^/a(.*) /c$1 [R]", "/a\r\nX: y", "302 http://example.org:8000/c%0d%0aX:%20y"),
        ("Rule ^/a(.*) /c$1 [R,NE]", "/a\r\nX: y", "403"),
        ("Rule ^/A$ /c [PT,NC]", "/a", "path /c "),
        ("Rule !^/a$ /c [PT]", "/b", "path /c "),
        ("Rule !^/a$ /c [PT]", "/a", "go"),
        ("Rule ^/a$ /b\nRule ^/b$ /c [PT]", "/a", "path /c "),
        ("Rule ^/a$ /b [L]\nRule ^/b$ /c [PT]", "/a", "root /b "),
        ("Rule ^/a$ /b [C]\nRule ^/b$ /c [PT]", "/b", "go"),
        ("Rule ^/a$ /b [C]\nRule ^/b$ /c [PT]", "/a", "path /c "),
        ("Rule ^/x$ - [C]\nRule ^ - [C]\nRule ^ - [F]\nRule ^ - [G]", "/a", "410"),
        ("Rule ^/a$ - [S=1]\nRule ^ - [F]\nRule ^ /c [PT]", "/a", "path /c "),
        ("Rule ^/b$ - [S=1]\nRule ^ - [F]\nRule ^ /c [PT]", "/a", "403"),
        ("Rule ^(.*)x(.*)$ $1y$2 [N]", "/axxx", "root /ayyy "),
        ("Rule ^(.*)$ $1 [N]", "/a", "500"),
        ("Rule ^(.*)$ $1$1 [N]", "/a", "500"),
        ("Rule ^/(?:(a+)\\1*)+$ -", "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", "500"),
        ("Map low int:tolower\nRule ^/(.*)$ /${low:$1} [PT]", "/ABC", "path /abc "),
        ("Map low int:tolower\nRule ^/(.*)$ /${none:$1|x$1} [PT]", "/A", "path /xA "),
        (
            "Map esc int:escape\nMap un int:unescape\nRule ^/(.*)$ /${esc:$1}-${un:a\\%7Bb} [PT]",
            "/a b",
            "path /a%20b-a{b ",
        ),
        ("Rule ^/a$ /\\$1${x}$%% [PT]", "/a", "path /$1${x}$%% "),
    ];
    for (text, target, wanted) in table {
        let found = server(&rules(text), &asked(target));
        assert_eq!(told(&found), *wanted, "{text} {target}");
    }
}

#[test]
fn a_question_mark_that_was_escaped_begins_no_query() {
    let mut asked = asked("/a/b");
    asked.target = b"/a/b%3Fc=d".to_vec();
    asked.path = b"/a/b?c=d".to_vec();
    assert_eq!(told(&server(&rules("Rule ^/a/(.*)$ /c/$1 [PT]"), &asked)), "403");
    assert_eq!(told(&server(&rules("Rule ^/a/(.*)$ /c/$1 [PT,UnsafeAllow3F]"), &asked)), "path /c/b c=d");
}

#[test]
fn conditions_guard_the_next_rule_only() {
    let table: &[(&str, &str, &str)] = &[
        (
            "Cond %{HTTPS} off\nRule ^ https://%{HTTP_HOST}%{REQUEST_URI} [R=301]",
            "/a?b",
            "301 https://example.org:8000/a?b",
        ),
        ("Cond %{HTTPS} !=on\nRule ^(.*)$ https://x.org$1 [R]", "/a", "302 https://x.org/a"),
        ("Cond %{HTTPS} =on\nRule ^ - [F]", "/a", "go"),
        ("Cond %{HTTPS} =on\nRule ^ - [F]\nRule ^ - [G]", "/a", "410"),
        ("Cond %{HTTPS} =on [OR]\nCond %{REQUEST_URI} ^/a\nRule ^ - [F]", "/a", "403"),
        (
            "Cond %{HTTPS} =off [OR]\nCond %{REQUEST_URI} ^/x [OR]\nCond %{REQUEST_URI} ^/y\nCond %{REQUEST_URI} ^/z\nRule ^ - [F]",
            "/a",
            "go",
        ),
        ("Cond %{HTTPS} =on [OR]\nRule ^ - [F]", "/a", "403"),
        ("Cond %{HTTP_HOST} ^([a-z]+)\\.ORG [NC]\nRule ^/(.*) /%1/$1 [PT]", "/a", "path /example/a "),
        ("Cond %{HTTP_HOST} !^(x)\nRule ^/(.*) /%1/$1 [PT]", "/a", "path /a "),
        ("Cond %{QUERY_STRING} (?:^|&)id=(\\d+)\nRule ^/a$ /item/%1? [PT]", "/a?x=1&id=42", "path /item/42 "),
        ("Cond %{HTTP:X-Missing} =\"\"\nRule ^ - [F]", "/a", "403"),
        ("Cond %{HTTP:host} ^example\nRule ^ - [F]", "/a", "403"),
        ("Cond %{HTTP_HOST} -lt5\nRule ^ - [F]", "/a", "403"),
        (
            "Cond %{SERVER_PORT} -ge8000\nCond %{SERVER_PORT} -le8000\nCond %{SERVER_PORT} -eq8000\nCond %{SERVER_PORT} !-gt8000\nRule ^ - [F]",
            "/a",
            "403",
        ),
        ("Cond %{SERVER_PORT} -ne80\nRule ^ - [F]", "/a", "403"),
        ("Cond %{SERVER_PORT} !-ne8000\nRule ^ - [F]", "/a", "403"),
        ("Cond b >a\nCond b <bb\nCond b <=b\nCond b >=b\nCond B =b [NC]\nRule ^ - [F]", "/a", "403"),
        ("Cond %{DOCUMENT_ROOT}%{REQUEST_URI} -f\nRule ^ - [F]", "/there", "403"),
        ("Cond %{DOCUMENT_ROOT}%{REQUEST_URI} !-f\nCond %{DOCUMENT_ROOT} -d\nRule ^ - [F]", "/gone", "403"),
        ("Cond %{DOCUMENT_ROOT}%{REQUEST_URI} -s\nRule ^ - [F]", "/there", "403"),
        ("Cond %{DOCUMENT_ROOT}%{REQUEST_URI} -l\nRule ^ - [F]", "/there", "go"),
        ("Cond expr %{REQUEST_URI}␣=~␣m#^/(a)#\nRule ^ /b/%1 [PT]", "/a", "path /b/a "),
        ("Cond expr !true\nRule ^ - [F]", "/a", "go"),
        ("Cond %{NO_SUCH_THING} ^$\nCond %{SSL:SSL_CLIENT_VERIFY} !=SUCCESS\nRule ^ - [F]", "/a", "403"),
        ("Rule ^/a /b\nCond %{REQUEST_FILENAME} ^/b\nCond %{REQUEST_URI} ^/a\nRule ^ - [F]", "/a", "403"),
        ("Rule ^ - [E=x:1]\nCond %{ENV:x} =1\nRule ^ - [F]", "/a", "403"),
    ];
    for (text, target, wanted) in table {
        let found = server(&rules(text), &asked(target));
        assert_eq!(told(&found), *wanted, "{text} {target}");
    }
}

#[test]
fn rules_set_variables_cookies_and_the_handler() {
    let mut request = asked("/a");
    request.headers.push(("Authorization".into(), "Basic eDp5".into()));
    request.env.set("old", "1");
    let text = "Rule .* - [E=HTTP_AUTHORIZATION:%{HTTP:Authorization},E=flag,E=!old,H=WSGI-Handler,T=Text/X,CO=c:1:.example.org]";
    let found = server(&rules(text), &request);
    let env: Vec<_> =
        found.env.iter().map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(value))).collect();
    assert_eq!(
        env,
        ["HTTP_AUTHORIZATION=Basic eDp5", "SCRIPT_URI=http://example.org:8000/a", "SCRIPT_URL=/a", "flag="]
    );
    assert_eq!(
        (found.handler.as_deref(), found.media_type.as_deref()),
        (Some("wsgi-handler"), Some("text/x"))
    );
    assert_eq!(
        (found.action, found.cookies),
        (Action::Go, vec!["c=1; path=/; domain=.example.org".to_owned()])
    );
    let again = found.env.redirected(&request);
    assert_eq!(again.get("REDIRECT_flag"), Some(&b""[..]));
    assert_eq!((again.get("flag"), again.get("REDIRECT_URL")), (None, Some(&b"/a"[..])));
    assert!(server(&rules("Rule ^ /b [END]"), &request).ended);
    let vary = |text| server(&rules(text), &request).vary.join(",");
    assert_eq!(vary("Cond %{HTTP:Authorization} .\nCond %{HTTP_HOST} .\nRule ^ -"), "Authorization");
    assert_eq!(
        vary(
            "Cond %{HTTP:Authorization} . [NV]\nCond %{HTTP:X-None} . [OR]\nCond %{HTTP_COOKIE} ^$\nRule ^ -"
        ),
        "Cookie"
    );
    assert_eq!(vary("Cond %{HTTP:Authorization} .\nRule ^/none -"), "");
}

#[test]
fn rules_of_a_section_see_what_is_below_it() {
    let table: &[(&str, &str, &str, Option<&str>, &str)] = &[
        ("Rule ^a$ b", "/srv/www/a", "", None, "again /b "),
        ("Rule ^a$ /b", "/srv/www/a", "", None, "again /b "),
        ("Rule ^a/c$ b?x=1", "/srv/www/a", "/c", None, "again /b x=1"),
        (
            "Cond %{REQUEST_FILENAME} !-f\nRule ^(.*)$ /wsgi.py/$1 [QSA,L]",
            "/srv/www/a",
            "/c",
            None,
            "again /wsgi.py/a/c ",
        ),
        ("Cond %{REQUEST_FILENAME} !-f\nRule ^(.*)$ /wsgi.py/$1 [L]", "/srv/www/there", "/c", None, "go"),
        ("Rule ^(.*)$ $1", "/srv/www/a", "", None, "go"),
        ("Rule ^a$ b [R]", "/srv/www/a", "", None, "302 http://example.org:8000/srv/www/b"),
        ("Rule ^a$ b [R]", "/srv/www/a", "", Some("/base/"), "302 http://example.org:8000/base/b"),
        ("Rule ^a$ b", "/srv/www/a", "", Some("/base"), "again /base/b "),
        ("Rule ^a$ /b", "/srv/www/a", "", Some("/base"), "again /b "),
        ("Rule ^ - [F]", "/srv/www", "", None, "go"),
        ("Options AllowNoSlash\nRule ^ - [F]", "/srv/www", "", None, "403"),
        ("Rule ^/other/x$ - [F]", "/other/x", "", None, "403"),
        ("Rule ^a - [F]\nCond %{PATH_INFO} ^/c\nRule ^b - [G]", "/srv/www/b", "/c", None, "410"),
        ("Rule ^a/c$ /b [DPI]", "/srv/www/a", "/c", None, "again /b "),
        ("Rule ^a$ https://x.org/srv/www/c", "/srv/www/a", "", Some("/base"), "302 https://x.org/base/c"),
    ];
    for (text, filename, path_info, base, wanted) in table {
        let mut rewrite = rules(text);
        rewrite.directory = Some("/srv/www/".into());
        rewrite.base = base.map(str::to_owned);
        let at = Place { filename: filename.as_bytes(), path_info: path_info.as_bytes(), alias: None };
        assert_eq!(told(&place(&rewrite, &asked("/x"), &at)), *wanted, "{text} {filename} {base:?}");
    }
    let mut rewrite = rules("Rule ^a$ b");
    rewrite.directory = Some("/opt/files/".into());
    let at = Place { filename: b"/opt/files/a", path_info: b"", alias: Some(("/f", b"/opt/files")) };
    assert_eq!(told(&place(&rewrite, &asked("/f/a"), &at)), "again /f/b ");
}

#[test]
fn what_is_no_rule_says_why() {
    let table: &[(&str, &[&str], &str, Option<usize>)] = &[
        ("rule", &["^a"], "a pattern and a substitution", None),
        ("rule", &["(", "/b"], "regular expression `(`", Some(0)),
        ("rule", &["^a", "/b", "[P]"], "the flag P hands requests to another server", Some(2)),
        ("rule", &["^a", "/b", "[XYZ]"], "no flag `XYZ`", Some(2)),
        ("rule", &["^a", "/b", "[R=299]"], "`299` is no status", Some(2)),
        ("rule", &["^a", "/b", "[R=often]"], "`often` is no status", Some(2)),
        ("rule", &["^a", "/b", "L"], "not in brackets", Some(2)),
        ("rule", &["^a", "/b", "[NC,", "L]"], "behind the flags", Some(2)),
        ("rule", &["^a", "%{LA-U:REMOTE_USER}"], "look-ahead", Some(1)),
        ("condition", &["a"], "a text and a pattern", None),
        ("condition", &["a", "b", "[QSA]"], "no flag `QSA`", Some(2)),
        ("condition", &["a", "-U"], "`-U`", Some(1)),
        ("condition", &["a", "["], "regular expression", Some(1)),
        ("condition", &["expr", "nonsense"], "nonsense", Some(1)),
        ("options", &["Inherit", "Foo"], "no option `Foo`", Some(1)),
        ("map", &["m", "txt:/a"], "the map `txt:/a` is not built", Some(1)),
    ];
    for (kind, words, wanted, at) in table {
        let mut rewrite = Rewrite::default();
        let found = match *kind {
            "rule" => rewrite.add_rule(words),
            "condition" => rewrite.add_condition(words),
            "options" => rewrite.add_options(words),
            _ => rewrite.add_map(words),
        };
        let mistake = found.unwrap_err();
        assert!(mistake.message.contains(wanted) && mistake.word == *at, "{words:?}: {mistake:?}");
    }
    let mut rewrite = Rewrite::default();
    rewrite.add_map(&["low", "int:tolower"]).unwrap();
    let words = ["^", "/${low:${up:$1}}"];
    assert_eq!(Rewrite::default().missing_map(&rewrite, &words), Some("up"));
}

/// As Apache does for the entries of a list.
#[test]
fn rules_with_ns_and_redirects_are_not_for_requests_within_the_server() {
    let table = [
        ("Rule ^a$ - [F]", "403", "403"),
        ("Rule ^a$ - [G]", "410", "410"),
        ("Rule ^a$ - [F,NS]", "403", "go"),
        ("Rule ^a$ /b [R]", "302 http://example.org:8000/b", "go"),
        ("Rule ^a$ - [R=404]", "404", "404"),
        ("Cond %{IS_SUBREQ} true\nRule ^a$ - [F]", "go", "403"),
    ];
    for (text, alone, within) in table {
        let mut rewrite = rules(text);
        rewrite.directory = Some("/srv/www/".into());
        for (wanted, is_within) in [(alone, false), (within, true)] {
            let asked = Asked { within: is_within, ..asked("/a") };
            let at = Place { filename: b"/srv/www/a", path_info: b"", alias: None };
            assert_eq!(told(&place(&rewrite, &asked, &at)), wanted, "{text}, within: {is_within}");
        }
    }
}

#[test]
fn scopes_replace_each_other_unless_they_inherit() {
    let scope = |directory: Option<&str>, text: &str| Rewrite {
        directory: directory.map(str::to_owned),
        engine: None,
        ..rules(text)
    };
    let patterns = |rewrite: &Rewrite| {
        let patterns: Vec<_> = rewrite.rules.iter().map(|rule| rule.pattern.text().to_owned()).collect();
        patterns.join(" ")
    };
    let laid = |outer: &str, inner: &str| {
        let mut rewrite = Rewrite { engine: Some(true), ..scope(None, "Rule server -") };
        rewrite.lay(&scope(Some("/a/"), outer));
        rewrite.lay(&Rewrite::default());
        rewrite.lay(&scope(Some("/a/b/"), inner));
        assert_eq!((rewrite.engine, rewrite.directory.as_deref()), (Some(true), Some("/a/b/")));
        patterns(&rewrite)
    };
    assert_eq!(laid("Rule outer -", "Rule inner -"), "inner");
    assert_eq!(laid("Rule outer -", "Options Inherit\nRule inner -"), "inner outer");
    assert_eq!(laid("Rule outer -", "Options InheritBefore\nRule inner -"), "outer inner");
    assert_eq!(laid("Options InheritDown\nRule outer -", "Rule inner -"), "inner outer");
    assert_eq!(laid("Options InheritDownBefore\nRule outer -", "Rule inner -"), "outer inner");
    assert_eq!(laid("Options InheritDown\nRule outer -", "Options IgnoreInherit\nRule inner -"), "inner");

    let main = Rewrite { engine: Some(true), ..scope(None, "Rule main -") };
    let host = |text: &str| Rewrite::of_host(&main, &scope(None, text));
    assert_eq!(patterns(&Rewrite::of_host(&main, &Rewrite::default())), "");
    let none = Rewrite::of_host(&main, &Rewrite::default());
    assert!(none.engine == Some(true) && !none.runs_on_server(None));
    assert_eq!(patterns(&host("Rule host -")), "host");
    assert_eq!(patterns(&host("Options Inherit\nRule host -")), "host main");
    assert!(!host("Rule host -").runs_on_server(Some(false)) && host("Rule host -").runs_on_server(None));
}

/// A word of a rule: pieces of patterns, substitutions and flags, put together without sense.
fn word() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "^",
            "/",
            "(.*)",
            "(a+)+",
            "$",
            "$1",
            "%1",
            "%{REQUEST_URI}",
            "%{HTTP:Host}",
            "${low:",
            "}",
            "\\",
            "..",
            ".",
            "?",
            "?x=",
            "http://",
            "//",
            "-",
            "!",
            "[",
            "]",
            "a",
            "%0d%0a",
            " ",
            "(?!",
            ")",
            "\\1",
            "-f",
            "=",
            "*If",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,3}",
    ];
    prop::collection::vec(piece, 1..6).prop_map(|pieces| pieces.concat())
}

fn flags() -> impl Strategy<Value = String> {
    let flag = prop::sample::select(vec![
        "L",
        "R",
        "R=301",
        "NE",
        "PT",
        "N",
        "C",
        "S=1",
        "QSA",
        "QSD",
        "B",
        "NC",
        "F",
        "E=a:$1",
        "CO=a:$1:c",
        "DPI",
        "END",
        "H=$1",
        "UnsafeAllow3F",
        "UnsafePrefixStat",
    ]);
    prop::collection::vec(flag, 0..3).prop_map(|flags| format!("[{}]", flags.join(",")))
}

proptest! {
    #[test]
    fn no_rule_breaks_out(
        rules in prop::collection::vec((word(), word(), flags(), prop::option::of((word(), word()))), 1..4),
        target in "/([a-c/.?%\r\n é]|\\.\\.){0,12}",
        section in any::<bool>(),
    ) {
        let mut rewrite = Rewrite { engine: Some(true), own: true, ..Rewrite::default() };
        rewrite.maps.insert("low".into(), Map::Lower);
        for (pattern, substitution, flags, condition) in &rules {
            if let Some((text, pattern)) = condition {
                let _ = rewrite.add_condition(&[text, pattern]);
            }
            let _ = rewrite.add_rule(&[pattern, substitution, flags]);
        }
        let found = if section {
            rewrite.directory = Some("/srv/www/".into());
            place(&rewrite, &asked(&target), &Place { filename: b"/srv/www/a", path_info: b"/b", alias: None })
        } else {
            server(&rewrite, &asked(&target))
        };
        match found.action {
            Action::Redirect { location, .. } => prop_assert!(!location.iter().any(u8::is_ascii_control)),
            Action::Path(path) | Action::BelowRoot(path) | Action::File(path) | Action::Again(path) => {
                prop_assert!(path.starts_with(b"/") && !path.contains(&0));
                prop_assert!(!path.split(|byte| *byte == b'/').any(|part| part == b".." || part == b"."));
            }
            Action::Go | Action::Answer(_) => {}
        }
        prop_assert!(!found.cookies.iter().any(|cookie| cookie.contains(['\r', '\n'])));
    }
}

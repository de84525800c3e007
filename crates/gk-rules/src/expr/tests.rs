//! Expressions as Apache answers them.

use super::*;
use crate::Kind;
use crate::asked::Asked;
use proptest::prelude::*;

fn asked() -> Asked {
    let mut asked = Asked::get("/shop/item?id=7");
    asked.headers.push(("Host".into(), "www.example.org".into()));
    asked.headers.push(("X-Count".into(), "12".into()));
    asked.env.set("stage", "Beta");
    asked.files.insert("/srv/www/up".into(), Kind::File);
    asked.files.insert("/srv/www".into(), Kind::Directory);
    asked.user = Some("mara".into());
    asked
}

#[test]
fn conditions_are_answered_as_apache_does() {
    let table: &[(&str, bool)] = &[
        ("true", true),
        ("!true", false),
        ("not false and true", true),
        ("false || true && false", false),
        ("(false || true) && true", true),
        ("%{HTTP_HOST} == 'www.example.org'", true),
        ("%{http_host} = \"www.example.org\"", true),
        ("%{REQUEST_URI} != '/shop/item'", false),
        ("'b' > 'a' && 'a' < 'b' && 'a' <= 'a' && 'a' >= 'a'", true),
        ("'10' < '9'", true),
        ("%{req:X-Count} -gt 9", true),
        ("%{req:X-Count} gt 9 && 5 -eq '05' && 4 -ne 5 && -1 -lt 0 && 1 -le 1 && 1 -ge 1", true),
        ("%{REQUEST_URI} =~ m#^/shop/(.*)$# && $1 == 'item'", true),
        ("%{REQUEST_URI} =~ m#^/(shop)# && %{QUERY_STRING} =~ /id/ && \"<$1>\" == '<shop>'", true),
        ("%{REQUEST_URI} =~ m#^/(shop)# && %{QUERY_STRING} !~ /(x)/ && '$1' == ''", true),
        ("%{REQUEST_URI} =~ /SHOP/i", true),
        ("%{REQUEST_URI} =~ /SHOP/", false),
        ("%{REQUEST_URI} !~ /SHOP/", true),
        ("!%{REQUEST_URI} =~ /shop/", false),
        ("%{REQUEST_METHOD} in { 'GET', 'HEAD' }", true),
        ("%{REQUEST_METHOD} -in {'POST'}", false),
        ("-n %{REMOTE_USER} && -z %{req:Nothing}", true),
        ("-T 'on' && !(-T 'Off') && !(-T '0') && !(-T '')", true),
        ("-f '/srv/www/up' && -d '/srv/www' && -e '/srv/www' && -s '/srv/www/up' && ! -f '/srv/www'", true),
        ("-R '192.0.2.0/24'", true),
        ("%{REMOTE_ADDR} -ipmatch '10.0.0.0/8'", false),
        ("'nonsense' -ipmatch '10.0.0.0/8'", false),
        ("%{HTTP_HOST} -strmatch '*.example.org'", true),
        ("%{HTTP_HOST} -strcmatch '*.EXAMPLE.org'", true),
        ("%{REQUEST_URI} -fnmatch '/*'", false),
        ("%{REQUEST_URI} -fnmatch '/*/*'", true),
        ("tolower(%{reqenv:stage}) == 'beta' && toupper('a' . 'b') == 'AB'", true),
        ("%{tolower:%{env:stage}x} == 'betax'", true),
        ("escape('a b') == 'a%20b' && unescape('a%20b') == 'a b' && unescape('%') == ''", true),
        ("'a' . 'b' . 3 == 'ab3'", true),
        ("'%{REQUEST_METHOD}\\t\\x' == 'GET\\tx'", true),
        ("'it\\'s' == \"it's\"", true),
        ("filesize('/srv/www/up') -gt 0", true),
        ("%{HTTPS} eq 0", true),
        ("http('host') == 'www.example.org'", true),
    ];
    let asked = asked();
    for (text, wanted) in table {
        let expression = Expression::new(text).unwrap_or_else(|why| panic!("{text}: {}", why.message));
        assert_eq!(expression.holds(&asked), Ok(*wanted), "{text}");
    }
}

#[test]
fn what_is_no_expression_says_why() {
    let table: &[(&str, &str)] = &[
        ("", "it ends where a word"),
        ("'a'", "an operator"),
        ("'a' ==", "it ends"),
        ("abc == 'a'", "`abc` is neither quoted nor a variable"),
        ("%{NOPE} == 'a'", "no variable `NOPE`"),
        ("%{SSLPROTOCOL} == 'a'", "no variable `SSLPROTOCOL`"),
        ("%{nope:x} == 'a'", "no function `nope`"),
        ("md5('a') == 'b'", "the function `md5` is not built"),
        ("-U '/x'", "the operator `-U` is not built"),
        ("-q '/x'", "no operator `-q`"),
        ("'a' -foo 'b'", "no operator `-foo`"),
        ("('a') == 'a'", "an operator"),
        ("'a' == 'b' 'c'", "the end is expected at `'c'`"),
        ("'a' == 'b", "not closed"),
        ("%{HTTP_HOST == 'a'", "the name of a variable"),
        ("(true", "`)`"),
        ("'a' =~ 'b'", "a pattern such as"),
        ("'a' =~ /b", "the pattern is not closed"),
        ("'a' =~ /^\\/b/", "regular expression"),
        ("'a' =~ /b/x", "flag `x`"),
        ("'a' =~ m#(#", "regular expression"),
        ("'a' in {", "it ends"),
        ("'a' in PeerExtList('x')", "`PeerExtList` is not built"),
        ("-R %{REMOTE_ADDR}", "`-R` takes an address"),
        ("'1' -ipmatch 'x'", "`-ipmatch` takes an address"),
    ];
    for (text, wanted) in table {
        let message = Expression::new(text).expect_err(text).message;
        assert!(message.contains(wanted) && message.contains(text), "{text}: {message}");
    }
    let deep = format!("{}true{}", "(".repeat(5000), ")".repeat(5000));
    assert!(Expression::new(&deep).unwrap_err().message.contains("nested deeper"));
    assert!(Expression::new(&format!("{}true", "!".repeat(5000))).is_err());
    assert!(Expression::new(&"%{tolower:".repeat(5000)).is_err());
}

#[test]
fn texts_have_variables() {
    let asked = asked();
    let table: &[(&str, &str)] = &[
        ("", ""),
        ("plain", "plain"),
        ("https://%{HTTP_HOST}%{REQUEST_URI}", "https://www.example.org/shop/item"),
        ("it's \"100%\" $x", "it's \"100%\" $x"),
        ("%{toupper:a%{reqenv:stage}}$1", "ABETA"),
    ];
    for (text, wanted) in table {
        let found = Text::new(text).unwrap().value(&asked);
        assert_eq!(String::from_utf8_lossy(&found), *wanted, "{text}");
    }
    assert!(Text::new("%{").is_err() && Text::new("%{NOPE}").is_err());
}

#[test]
fn an_expression_travels_as_text() {
    let expression = Expression::new("%{HTTPS} == 'on'").unwrap();
    let json = serde_json::to_string(&expression).unwrap();
    assert_eq!(json, r#""%{HTTPS} == 'on'""#);
    assert_eq!(serde_json::from_str::<Expression>(&json).unwrap(), expression);
    assert!(serde_json::from_str::<Expression>(r#""nothing""#).is_err());
}

/// Texts that look like expressions, and some that do not.
fn words() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "%{HTTP_HOST}",
            "%{req:Host}",
            "%{",
            "}",
            "'",
            "\"",
            "(",
            ")",
            "{",
            "}",
            ",",
            "!",
            "&&",
            "||",
            "and",
            "not",
            "==",
            "=~",
            "!~",
            "-f",
            "-R",
            "-in",
            "-ipmatch",
            "-lt",
            "/(a+)+$/",
            "m#x#i",
            "$1",
            "$",
            "\\",
            "'a'",
            "'10.0.0.0/8'",
            "5",
            "-5",
            ".",
            "true",
            "false",
            "tolower(",
            "é",
            "-",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,4}",
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.join(" "))
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in words(), glued in any::<bool>()) {
        let text = if glued { text.replace(' ', "") } else { text };
        let asked = asked();
        if let Ok(expression) = Expression::new(&text) {
            let _ = expression.holds(&asked);
        }
        if let Ok(value) = Text::new(&text) {
            // What comes out is no longer than its words.
            prop_assert!(value.value(&asked).len() <= 64 * (text.len() + 1));
        }
    }
}

#[test]
fn headers_that_a_condition_asked_for_are_noted() {
    let told = |ask: &dyn Fn(&Asked)| {
        let asked = asked();
        ask(&asked);
        asked.vary.into_inner().join(",")
    };
    let holds = |text: &str| {
        let expression = Expression::new(text).unwrap();
        told(&|asked| assert_eq!(expression.holds(asked), Ok(true), "{text}"))
    };
    for (text, names) in [
        ("%{HTTP:X-Count} == '12' && %{HTTP_COOKIE} == ''", "X-Count,Cookie"),
        ("req('X-Count') == '12' || %{HTTP_REFERER} == ''", "X-Count"),
        ("%{HTTP_HOST} != '' && req_novary('X-Count') == '12' && %{req_novary:X-Count} == '12'", ""),
    ] {
        assert_eq!(holds(text), names, "{text}");
    }
    let expression = Expression::new("%{HTTP:X-Count} == '12'").unwrap();
    assert_eq!(told(&|asked| assert_eq!(expression.holds_aside(asked), Ok(true))), "");
    assert_eq!(told(&|asked| assert_eq!(expression.holds_at(asked, b"/f", b""), Ok(true))), "X-Count");
    let text = Text::new("%{HTTP:X-Count}").unwrap();
    assert_eq!(told(&|asked| assert_eq!(text.value(asked), b"12")), "");
}

//! What is said of a line: the place, the reason, and a remedy that a reader can follow.

use gk_config::diagnostic::{Diagnostic, Severity};
use gk_config::source::Memory;
use gk_config::{Surroundings, load_text};

fn said(text: &str) -> Vec<Diagnostic> {
    let around = Surroundings { directory: "/etc/site".into(), ..Surroundings::default() };
    load_text("site.conf", text, &Memory::new(), &around).diagnostics
}

/// Reported: these had no remedy, or called a rule of Apache and a misspelt one the same. Met at the first `check` of a file.
#[test]
fn every_warning_names_its_remedy() {
    let host = |line: &str| format!("<VirtualHost *>\n{line}\n</VirtualHost>");
    let place = |line: &str| format!("<Location />\n{line}\n</Location>");
    for (text, message, hint) in [
        ("SSLEngine On".to_owned(), "this host speaks TLS and has no certificate", "SSLCertificateFile"),
        ("SSLProtocol TLSv1".to_owned(), "this leaves no version of TLS", "TLSv1.2 and TLSv1.3"),
        (
            "SSLProtocol TLSv1.2 TLSv1.3".to_owned(),
            "`TLSv1.3` takes the place of the words before it",
            "+TLSv1.3 adds it",
        ),
        ("SSLProtocol +TLSv1.1 +TLSv1.3".to_owned(), "tlsv1.1 is not spoken here", "TLSv1.2 and TLSv1.3"),
        (
            "SSLCipherSuite RC4-SHA".to_owned(),
            "this list leaves no suite that is spoken here",
            "`HIGH` means all",
        ),
        ("SSLCipherSuite HIHG".to_owned(), "`HIHG` is no suite", "did you mean `HIGH`?"),
        (
            "SSLCipherSuite HIGH:DHE-RSA-AES128-SHA".to_owned(),
            "left out: DHE-RSA-AES128-SHA",
            "those that remain",
        ),
        ("NSSEngine On".to_owned(), "NSSEngine is written otherwise here", "SSLEngine On"),
        ("SSLCertificateKeyFile pkcs11:x".to_owned(), "PKCS #11", "PEM form"),
        (
            "ErrorLogFormat \"%t %M\"".to_owned(),
            "format strings of the error log are not used",
            "ErrorLogFormat json",
        ),
        (host("LogLevel info"), "LogLevel holds for the whole server", "move it out"),
        ("Listen unix:/s mode=9".to_owned(), "mode= takes an octal number", "0660"),
        ("WSGIDaemonProcess a umask=9".to_owned(), "umask= takes an octal number", "the group"),
        (place("Require frob"), "`Require frob` is no rule that is known here", "known: all, ip"),
        (place("Require valid-usr"), "no rule that is known here", "did you mean `valid-user`?"),
        (place("Require host example.com"), "a rule of Apache that Gilkeeper does not have", "`Require ip`"),
        (place("Require ldap-group x"), "a rule of Apache that Gilkeeper does not have", "a proxy in front"),
        (
            host("ServerName x").replace('*', "*:443") + "\nListen 8000",
            "(listened on: port 8000)",
            "Listen 443",
        ),
    ] {
        let said = said(&text);
        let found = said.iter().find(|d| d.message.contains(message));
        let found = found.unwrap_or_else(|| panic!("{message}: {said:#?}"));
        assert!(found.severity < Severity::Note && found.line > 0, "{found:?}");
        assert!(found.hint.as_deref().is_some_and(|said| said.contains(hint)), "{found:?}");
    }
}

/// Reported: the sentence about certificates came five times in one file.
#[test]
fn a_remedy_is_said_once_a_file() {
    let text = "<Location /a>\nNSSVerifyClient require\n</Location>\n<Location /b>\nNSSVerifyClient require\n</Location>\n";
    let said = said(text);
    let hints: Vec<&str> = said
        .iter()
        .filter(|d| d.message.ends_with("belongs to a proxy in front"))
        .filter_map(|d| d.hint.as_deref())
        .collect();
    assert_eq!(hints.len(), 2);
    assert!(hints[0].starts_with("let it ask for the client's certificate"), "{hints:?}");
    assert_eq!(hints[1], "as for NSSVerifyClient on line 2");
}

/// Reported: a script alias in an `<IfModule mod_ssl.c>` gave "mounts nothing" and "0 directives", and not why.
#[test]
fn a_section_that_is_passed_over_is_said_where_it_is_missed() {
    for (text, message) in [
        (
            "<IfModule mod_php.c>\n<VirtualHost *:443>\nWSGIScriptAlias / /x\n</VirtualHost>\n</IfModule>",
            "<IfModule mod_php.c> does not hold, so it is passed over, with VirtualHost on line 2",
        ),
        (
            "\n<IfDefine live>\nLogLevel info\nwsgiscriptalias / /x\n</IfDefine>",
            "<IfDefine live> does not hold, so it is passed over, with wsgiscriptalias on line 4",
        ),
    ] {
        let said = said(text);
        let notes: Vec<&str> =
            said.iter().filter(|d| d.severity == Severity::Note).map(|d| d.message.as_str()).collect();
        assert_eq!(notes, [message]);
    }
    let quiet = "<IfVersion < 2.4>\nOrder allow,deny\n</IfVersion>\n<IfModule !mod_wsgi.c>\nLoadModule x y\n</IfModule>\n";
    assert!(said(quiet).is_empty(), "{:?}", said(quiet));
}

/// Reported: `check --strict` accepted script aliases that no request reaches, and listed them as served.
#[test]
fn an_alias_that_another_hides_is_told() {
    let cases = [
        ("Alias / /srv\nWSGIScriptAlias /v1 /x", vec![(2, "of /v1: `Alias /` takes")]),
        ("WSGIScriptAlias /v1 /x\nAlias /v1/ /srv/\nAlias / /srv/", vec![(1, "of /v1: `Alias /` takes")]),
        ("WSGIScriptAlias / /x\nWSGIScriptAlias /later /y", vec![(2, "of /later: `WSGIScriptAlias /`")]),
        ("WSGIScriptAlias /a /x\nWSGIScriptAlias /a/ /y", vec![(2, "of /a/: `WSGIScriptAlias /a`")]),
        ("WSGIScriptAlias /a /x\nWSGIScriptAlias /a /y", vec![(2, "of /a: `WSGIScriptAlias /a`")]),
        ("Alias /s /srv\nAlias /s/t /srv2", vec![(2, "of /s/t: `Alias /s`")]),
        // Others take only a part, or stand in another host.
        ("Alias /s/t /srv\nAlias /s /srv2\nWSGIScriptAlias /st /x\nWSGIScriptAlias / /y", vec![]),
        ("WSGIScriptAliasMatch ^/ /x\nAliasMatch ^/ /y\nWSGIScriptAlias /a /x", vec![]),
        ("Alias / /srv\n<VirtualHost *:8000>\nWSGIScriptAlias /a /x\n</VirtualHost>", vec![]),
    ];
    for (text, expected) in cases {
        let said = said(text);
        let found: Vec<&Diagnostic> =
            said.iter().filter(|d| d.message.starts_with("no request reaches this")).collect();
        assert_eq!(found.len(), expected.len(), "{text}: {said:#?}");
        for (one, (line, part)) in found.iter().zip(expected) {
            assert!(one.line == line && one.message.contains(part) && one.hint.is_some(), "{text}: {one:#?}");
        }
    }
}

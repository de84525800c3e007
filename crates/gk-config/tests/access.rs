//! Access rules: which scopes they leave open to everybody, and which lines are refused.

use gk_config::place::{Compiled, NoFiles};
use gk_config::source::Memory;
use gk_config::{Loaded, Surroundings, load_text};
use std::sync::Arc;

fn surroundings() -> Surroundings {
    Surroundings { directory: "/etc/site".into(), ..Surroundings::default() }
}

fn read(text: &str) -> Loaded {
    load_text("site.conf", text, &Memory::new(), &surroundings())
}

#[test]
fn what_is_protected_is_never_served_open() {
    let table = [
        ("Require all granted", true),
        ("Require all denied", false),
        ("Require valid-user", false),
        ("<IfModule mod_authz_host.c>\nRequire ip 10.0.0.1\n</IfModule>", false),
        ("<IfModule access_compat_module>\nDeny from all\n</IfModule>", false),
        ("<IfModule !auth_basic_module>\nRequire all denied\n</IfModule>", true),
        ("Require valid-user\nRequire all granted", true),
        ("<RequireAll>\nRequire all granted\n</RequireAll>", true),
        ("<RequireAll>\nRequire all granted\nRequire not ip 10.0.0.1\n</RequireAll>", false),
        ("<RequireAll>\nRequire ip 10.0.0.1\nRequire all granted\n</RequireAll>", false),
        (
            "<RequireAll>\nRequire all granted\n<RequireNone>\nRequire ip 10.0.0.1\n</RequireNone>\n</RequireAll>",
            false,
        ),
        ("<RequireAny>\nRequire ip 10.0.0.1\nRequire all granted\n</RequireAny>", true),
        ("Require host example.com", false),
        ("Require ldap-group x", false),
        ("Require expr true", false),
        ("Require expr \"%{REQUEST_METHOD} in {'GET', 'HEAD'}\"", false),
        ("<Limit GET>\nRequire all denied\n</Limit>", false),
        ("<LimitExcept GET>\nDeny from all\n</LimitExcept>", false),
        ("AuthBasicProvider ldap\nRequire all granted", false),
        ("AuthType Basic\nAuthName x\nAuthUserFile users", true),
        ("WSGIAccessScript access.py", false),
        ("WSGIAccessScript access.py\nRequire all granted", false),
        ("Require all granted\nWSGIAccessScript access.py", false),
        ("WSGIAccessScript access.py\nOrder deny,allow\nAllow from all", false),
        ("WSGIAuthUserScript auth.py\nRequire valid-user", false),
        ("WSGIAuthGroupScript auth.py\nRequire all granted", true),
        // Order, Allow and Deny of Apache 2.2.
        ("Allow from all", true),
        ("Order deny,allow", true),
        ("Order deny,allow\nAllow from all", true),
        ("Order allow,deny\nAllow from all", true),
        ("Allow from all\nOrder Allow,Deny", true),
        ("Order deny,allow\nDeny from all\nAllow from all", true),
        ("Order deny,allow\nDeny from 10.0.0.1\nAllow from all", false),
        ("Satisfy any\nDeny from all\nRequire valid-user", false),
        ("Deny from all", false),
        ("Order allow,deny", false),
        ("Order mutual-failure", false),
        ("Order deny,allow\nDeny from all", false),
        ("Order deny,allow\nDeny from all\nAllow from 10.0.0.1", false),
        ("Order deny,allow\nDeny from 10.0.0.1", false),
        ("Order allow,deny\nDeny from all\nAllow from all", false),
        ("Order allow,deny\nAllow from all\nDeny from 10.0.0.1", false),
        ("Order allow,deny\nAllow from 10.0.0.1", false),
        ("Allow from 10.0.0.1", false),
        ("Deny from all\nRequire all granted", false),
        ("Order allow,deny\nRequire all granted", false),
        ("Require all denied\nAllow from all", false),
    ];
    for (rules, open) in table {
        assert_eq!(granted(&format!("<Location /x>\n{rules}\n</Location>\n"), false), open, "{rules}");
    }
    // An inner scope: Require and the rules about clients replace their like.
    for (outer, inner, open) in [
        ("Require all denied", "Require all granted", true),
        ("Require valid-user", "Require all granted", true),
        ("Require all granted", "Require all denied", false),
        ("Require all denied", "Allow from all", false),
        ("Deny from all", "Require all granted", false),
        ("Deny from all", "Allow from all", true),
        ("Deny from all", "Order allow,deny\nAllow from all", true),
        ("Order allow,deny\nAllow from all", "Order allow,deny", false),
        ("WSGIAccessScript access.py", "Require all granted", false),
        ("WSGIAccessScript access.py", "Order deny,allow\nAllow from all\nRequire all granted", false),
        ("Require all granted", "WSGIAccessScript access.py", false),
    ] {
        let text = format!("<Location />\n{outer}\n</Location>\n<Location /x>\n{inner}\n</Location>\n");
        assert_eq!(granted(&text, false), open, "{outer} / {inner}");
    }
    assert!(read("<Location /x>\nOrder allow, deny\n</Location>\n").site.is_none());
}

/// Whether `/x` is served to everybody.
fn granted(text: &str, ignore_unknown: bool) -> bool {
    let around = Surroundings { ignore_unknown, ..surroundings() };
    let loaded = load_text("site.conf", text, &Memory::new(), &around);
    let site = loaded.into_result().unwrap_or_else(|said| panic!("{text}: {said:#?}")).0;
    let compiled = Compiled::new(Arc::new(site), &NoFiles).expect("its patterns compile");
    compiled.settings(0, b"/x", None).granted() == Some(true)
}

#[test]
fn what_an_unknown_section_protects_is_not_opened_by_ignoring_it() {
    let inside = |text: &str| granted(&format!("<Location /x>\n{text}\n</Location>\n"), true);
    assert!(!inside("<Sometimes>\nRequire valid-user\n</Sometimes>"));
    assert!(!inside("<Strange \"true\">\n<Other>\nrequire all denied\n</Other>\n</Strange>"));
    assert!(!inside("<Strange \"true\">\n<RequireAny>\nRequire ip 10.0.0.1\n</RequireAny>\n</Strange>"));
    assert!(!inside("<LimitExcept GET>\nOrder allow,deny\n</LimitExcept>\nRequire all granted"));
    assert!(inside("<Sometimes>\nNothing\nAuthName x\n</Sometimes>"));
    let around = Surroundings { ignore_unknown: true, ..surroundings() };
    let loaded =
        load_text("s", "<Strange \"true\">\nRequire all denied\n</Strange>\n", &Memory::new(), &around);
    assert!(loaded.site.is_none(), "no section around it can be closed");
}

#[test]
fn access_rules_that_apache_refuses() {
    let table = [
        ("Require not ip 10.0.0.1", "no effect"),
        ("<RequireNone>\nRequire all granted\n</RequireNone>", "no effect"),
        ("<RequireAll>\n</RequireAll>", "holds no rule"),
        ("<RequireAll>\nRequire not ip 10.0.0.1\n</RequireAll>", "only rules that turn clients away"),
        ("Require ip 300.1", "no IP address"),
        ("Require all maybe", "granted or denied"),
        ("<Limit GET>\n<LimitExcept GET>\n</LimitExcept>\n</Limit>", "not allowed inside"),
        ("<Limit TRACE>\n</Limit>", "TRACE"),
        ("Allow from 10.0.0.1/99", "network mask"),
        ("WSGIAccessScript a.py x=y", "application-group="),
    ];
    for (rules, message) in table {
        let loaded = read(&format!("<Location /x>\n{rules}\n</Location>\n"));
        assert!(loaded.site.is_none(), "{rules}");
        assert!(
            loaded.diagnostics.iter().any(|d| d.message.contains(message)),
            "{rules}: {:?}",
            loaded.diagnostics
        );
    }
    assert!(read("Require all denied\n").site.is_none());
}

/// What the report says of access below a mount.
fn reported(lines: &str) -> Vec<String> {
    let text = format!("WSGIScriptAlias /a /srv/a.wsgi\n<Location /a>\n{lines}\n</Location>");
    let report = gk_config::report::text(&read(&text));
    let below = report.lines().skip_while(|line| !line.contains("mount /a")).skip(2);
    below.map_while(|line| line.trim_start().strip_prefix("access: ").map(str::to_owned)).collect()
}

/// Reported: the report of `check` did not say who is admitted where, so a rule could be lost without notice.
#[test]
fn the_report_says_who_is_served() {
    let table: &[(&str, &[&str])] = &[
        ("", &["everybody is served"]),
        ("Require all granted", &["everybody is served"]),
        ("Require all denied", &["nobody is served"]),
        ("SSLRequire true", &["nobody is served, because a directive of this place cannot be honoured"]),
        ("Require ip 10.1 ::1", &["served: clients at 10.1.0.0/16, ::1"]),
        (
            "<RequireAll>\nRequire local\n<RequireNone>\nRequire ip 127.0.0.9\n</RequireNone>\n</RequireAll>",
            &["served: clients on this machine, and nobody of: clients at 127.0.0.9"],
        ),
        (
            "AuthType Basic\nAuthName \"The realm\"\nAuthBasicProvider wsgi file\nWSGIAuthUserScript /srv/users.py\n\
             AuthUserFile /srv/users\nAuthGroupFile /srv/groups\nRequire user ann bob\nRequire group staff",
            &[
                "served: the user ann or bob, or users of the group staff",
                "users: AuthType Basic in the realm `The realm`, passwords from the script /srv/users.py, then /srv/users; \
                 groups from /srv/groups",
            ],
        ),
        (
            "Require valid-user",
            &[
                "served: every user with the right password",
                "users: no AuthType asks for them, so nobody is one",
            ],
        ),
        (
            "Order allow,deny\nAllow from 10.0.0.0/8 env=inside\nDeny from 10.0.0.1",
            &["admitted: 10.0.0.0/8, requests with the variable inside set; not admitted even so: 10.0.0.1"],
        ),
        (
            "WSGIAccessScript /srv/guard.py application-group=guards",
            &["the access script /srv/guard.py (application group guards) admits or refuses"],
        ),
        (
            "<LimitExcept GET>\nRequire method POST\n</LimitExcept>",
            &["served: requests with the method POST [all methods but GET]"],
        ),
    ];
    for (lines, words) in table {
        assert_eq!(reported(lines), *words, "{lines}");
    }
}

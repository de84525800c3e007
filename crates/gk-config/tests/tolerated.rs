//! Directives of Apache that are not honoured: passed over with a note, closing their scope, or an error that says what to put in
//! front; and what `check` makes of them.

use gk_config::diagnostic::Severity;
use gk_config::place::{Compiled, NoFiles};
use gk_config::source::Memory;
use gk_config::{Loaded, Surroundings, load_text, report};
use std::sync::Arc;

fn read_with(text: &str, ignore_unknown: bool) -> Loaded {
    let around = Surroundings { directory: "/etc/site".into(), ignore_unknown, ..Surroundings::default() };
    load_text("site.conf", text, &Memory::new(), &around)
}

fn read(text: &str) -> Loaded {
    read_with(text, false)
}

fn summary(loaded: &Loaded) -> String {
    let text = report::text(loaded);
    text.lines()
        .find(|line| line.contains(" directive") && line.contains(" honoured"))
        .unwrap_or_default()
        .to_owned()
}

/// Whether `/x` is served.
fn open(text: &str, ignore_unknown: bool) -> bool {
    let loaded = read_with(text, ignore_unknown);
    let site = loaded.into_result().unwrap_or_else(|said| panic!("{text}: {said:#?}")).0;
    Compiled::new(Arc::new(site), &NoFiles).expect("its patterns compile").settings(0, b"/x", None).granted()
        == Some(true)
}

#[test]
fn harmless_directives_are_notes() {
    for line in [
        "AddIcon /icons/text.gif .txt",
        "MultiviewsMatch Handlers",
        "SSLInsecureRenegotiation on",
        "SSLRenegBufferSize 1048576",
        "DefaultRuntimeDir /run/apache2",
        "MaxMemFree 2048",
        "AcceptFilter http none",
        "CoreDumpDirectory /tmp",
        "ExtendedStatus On",
        "LoadFile /usr/lib/libexpat.so",
        "ProxyRequests Off",
        "ProxyPass /static !",
        "ProxyPreserveHost On",
        "SSLUseStapling on",
        "SSLSessionCache shmcb:/x(512000)",
        "SSLPassPhraseDialog exec:/x",
        "SSLCompression off",
        "SSLOCSPEnable off",
        "AddOutputFilter DEFLATE html",
        "NSSVerifyClient optional",
        "SecRuleEngine Off",
        "SecRuleEngine DetectionOnly\nSecRule ARGS x \"id:1,deny\"",
        "Session Off",
        "Dav Off",
        "H2Push on",
        "php_value memory_limit 8M",
        "RLimitMEM 1000000",
        "CacheRoot /var/cache",
        "LDAPTrustedGlobalCert CA_DER /etc/ca.der",
        "OIDCProviderMetadataURL https://id.example.org/",
        "<MDomainSet example.org>\nMDMember www.example.org\n</MDomainSet>",
    ] {
        let loaded = read(&format!("WSGIScriptAlias / /srv/a.wsgi\n{line}\n"));
        assert!(!loaded.has(Severity::Warning), "{line}: {:#?}", loaded.diagnostics);
        assert!(loaded.has(Severity::Note), "{line} without a word");
        assert!(open(&format!("{line}\n"), false), "{line}");
    }
}

#[test]
fn removed_directives_of_old_files_warn() {
    for name in
        ["WSGILazyInitialization", "WSGIReloadMechanism", "WSGIOutputBuffering", "WSGIPythonExecutable"]
    {
        let loaded = read(&format!("{name} On\n"));
        assert!(loaded.site.is_some() && loaded.has(Severity::Warning), "{name}: {:#?}", loaded.diagnostics);
        assert_eq!(summary(&loaded), "1 directive: 0 honoured, 1 without effect");
    }
}

#[test]
fn what_protects_closes_its_scope() {
    for line in [
        "SSLRequire %{SSL_CIPHER_USEKEYSIZE} >= 128",
        "AuthLDAPURL ldap://ldap.example.org/o=Example",
        "AuthLDAPBindDN cn=x",
        "GssapiUseSessions On",
        "KrbMethodNegotiate On",
        "ShibRequestSetting requireSession 1",
        "MellonEnable auth",
        "OIDCUnAuthAction auth",
        "SecRuleEngine On",
        "SecRule ARGS x \"id:1,deny\"",
        "AuthKindOfTomorrow x",
        "AllowMethods GET",
        "PerlAccessHandler My::Access",
        "<LuaHookAccessChecker early>\n</LuaHookAccessChecker>",
        "<IfModule mod_nss.c>\n<IfDefine X>\nNSSRequire x\n</IfDefine>\n</IfModule>",
        "SSLRequire x\nRequire all granted",
        "SSLCipherSuite AES256",
    ] {
        for ignore_unknown in [false, true] {
            let text = format!("<Location /x>\n{line}\n</Location>\n");
            assert!(!open(&text, ignore_unknown), "{line}");
            assert!(read(&text).has(Severity::Warning), "{line} without a warning");
        }
    }
    // A virtual host and the whole server are scopes, too.
    assert!(!open("SecRuleEngine On\n", false));
    assert!(!open("<IfModule mod_nss.c>\n<Location /x>\nNSSRequire x\n</Location>\n</IfModule>\n", false));
    assert!(open("<IfModule mod_nss.c>\n<Location /y>\nNSSRequire x\n</Location>\n</IfModule>\n", false));
    assert!(open(
        "<IfModule !mod_foo.c>\nTimeout 5\n</IfModule>\n<IfDefine X>\nSSLRequire x\n</IfDefine>\n",
        false
    ));
    let text = "<IfModule mod_nss.c>\n<VirtualHost *:443>\nNSSRequire x\n</VirtualHost>\n</IfModule>\n";
    assert!(open(text, false), "a host that is not there closes nothing");
}

/// Without TLS no certificate is asked for; where the configuration speaks TLS, the rule is meant.
#[test]
fn a_required_client_certificate_of_nss_closes_its_scope_where_tls_is_spoken() {
    let text = "<Location /x>\nNSSVerifyClient require\n</Location>\n";
    assert!(open(text, false) && read(text).has(Severity::Warning));
    let tls = "Listen 80\n<VirtualHost *:80>\nSSLEngine On\nSSLCertificateFile /c\n</VirtualHost>\n";
    assert!(!open(&format!("{text}{tls}"), false) && !open(&format!("{tls}{text}"), false));
    assert!(!open(&format!("NSSVerifyClient require\n{tls}"), false));
    assert!(open(&format!("NSSVerifyClient optional\n{tls}"), false));
}

#[test]
fn a_misspelt_directive_that_protects_is_not_passed_over() {
    for (line, served) in [("SSLRequierSSL", false), ("Requires valid-user", false), ("Nonsense x", true)] {
        let text = format!("<Location /x>\n{line}\n</Location>\n");
        assert!(read(&text).site.is_none(), "{line}");
        assert_eq!(open(&text, true), served, "{line}");
    }
    assert!(!open("<Location /x>\n<Strange>\nSSLRequireSSL\n</Strange>\n</Location>\n", true));
}

#[test]
fn what_belongs_into_a_proxy_is_an_error_that_says_so() {
    for line in [
        "ProxyPass /app http://127.0.0.1:9000/",
        "ProxyPassMatch ^/a$ http://127.0.0.1:9000/",
        "ProxyPassReverse /app http://127.0.0.1:9000/",
        "ProxyRequests On",
        "Dav On",
        "DavLockDB /var/lock/dav",
        "Session On",
        "SessionCookieName s",
        "JkMount /app ajp13",
        "<Proxy balancer://x>\nBalancerMember http://127.0.0.1:9000\n</Proxy>",
        "LuaMapHandler /x /srv/x.lua",
        "<LuaHookFixups>\nx = 1\n</LuaHookFixups>",
        "ScriptAliasMatch ^/cgi/ /srv/cgi/",
        "AddOutputFilter INCLUDES .shtml",
    ] {
        for ignore_unknown in [false, true] {
            let loaded = read_with(&format!("{line}\n"), ignore_unknown);
            assert!(loaded.site.is_none(), "{line}");
            let error = loaded.diagnostics.iter().find(|d| d.severity == Severity::Error).expect("an error");
            assert!(error.message.ends_with("belongs to a web server in front"), "{line}: {}", error.message);
            assert!(error.hint.is_some() && summary(&loaded).ends_with("1 to move to a proxy"), "{line}");
        }
    }
    for (line, remedy) in [
        ("RPAFenable On", "RemoteIPHeader"),
        ("ChrootDir /srv", "chroot="),
        ("AssignUserID www www", "user="),
        ("VirtualDocumentRoot /srv/%0", "ServerName"),
    ] {
        let loaded = read(&format!("{line}\n"));
        let hint = loaded.diagnostics[0].hint.as_deref().unwrap_or_default();
        assert!(loaded.site.is_none() && hint.contains(remedy), "{line}: {hint}");
    }
}

#[test]
fn a_section_about_proxied_requests_passes_with_its_access_lines() {
    for name in ["Proxy *", "ProxyMatch ^http"] {
        let close = name.split(' ').next().unwrap_or_default();
        let text = format!(
            "<{name}>\nAddDefaultCharset off\nOrder deny,allow\nDeny from all\nSSLRequireSSL\nRequire all denied\n</{close}>\n"
        );
        let loaded = read(&text);
        assert!(loaded.site.is_some() && !loaded.has(Severity::Warning), "{:#?}", loaded.diagnostics);
        assert_eq!(summary(&loaded), "6 directives: 0 honoured, 6 without effect");
        assert!(open(&text, false));
    }
    assert!(read("<Proxy *>\nNonsense x\n</Proxy>\n").site.is_none());
}

#[test]
fn no_line_is_both_honoured_and_ignored() {
    let text = "Listen 80\n<VirtualHost *:80>\nTimeout 9\nLogLevel warn ssl:info\n</VirtualHost>\n\
                LogLevel info ssl:warn\nLoadModule wsgi_module m.so\nLocation x\n";
    let loaded = read_with(text, true);
    let json: serde_json::Value = serde_json::from_str(&report::json(&loaded)).expect("JSON");
    let found: Vec<(u64, &str)> = json["directives"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|d| (d["line"].as_u64().unwrap_or(0), d["status"].as_str().unwrap_or_default()))
        .collect();
    let inert = "accepted_without_effect";
    assert_eq!(
        found,
        [
            (1, "honoured"),
            (2, "honoured"),
            (3, inert),
            (4, inert),
            (6, "honoured"),
            (7, inert),
            (8, "unknown")
        ]
    );
    assert_eq!(summary(&loaded), "7 directives: 3 honoured, 3 without effect, 1 unknown");
    assert_eq!(json["summary"], summary(&loaded));
    let text = report::text(&loaded);
    assert!(
        text.contains("site.conf:6 LogLevel: honoured, but LogLevel of the module ssl has no effect"),
        "{text}"
    );
}

#[test]
fn messages_come_first_then_the_summary_then_the_site() {
    let loaded = read(
        "ServerName shop.example\nLoadModule a b\nLogLevel debug\nTimeout 5\nWSGIScriptAlias /a /srv/a.wsgi\n\
         WSGIScriptAlias /c /srv/c.wsgi\nWSGIScriptAlias / /srv/b.wsgi application-group=%{GLOBAL}\n\
         <Location /a>\nWSGIApplicationGroup one\nSSLRequire x\n</Location>\n",
    );
    let text = report::text(&loaded);
    let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("no {part:?} in\n{text}"));
    assert!(at("warning: SSLRequire") < at("note: LoadModule"));
    assert!(at("note: LoadModule") < at("10 directives: 8 honoured, 1 without effect, 1 denying access"));
    assert!(at("10 directives") < at("\nServer\n") && at("\nServer\n") < at("Main server shop.example"));
    at("mount /a -> /srv/a.wsgi\n    served by process group default, the sub-interpreter `one`");
    at("mount / -> /srv/b.wsgi\n    served by process group default, the main interpreter (%{GLOBAL})");
    at(
        "served by process group default, a sub-interpreter for each host, port and mount point (%{RESOURCE})",
    );
    let mounts = report::mounts(&loaded);
    let lines: Vec<u32> = mounts.iter().filter_map(|mount| Some(mount.used?.line)).collect();
    assert_eq!(lines, [5, 6, 7]);
    assert_eq!(mounts[2].application_group, "");
}

/// Reported: `check` warned of these lines and listed them as honoured all the same. Met by those who read the list alone.
#[test]
fn a_line_that_is_warned_of_is_not_plainly_honoured() {
    for (line, listed) in [
        ("AuthType GSSAPI", "AuthType: denies access: `AuthType GSSAPI` is not known here"),
        ("AuthBasicProvider ldap", "AuthBasicProvider: denies access: "),
        ("Require host example.com", "Require: denies access: `Require host` is a rule of Apache"),
        ("AddHandler php5-script .php", "AddHandler: denies access: the handler `php5-script` is not built"),
        ("WSGIProcessGroup none", "WSGIProcessGroup: honoured, but no process group is named `none`"),
    ] {
        let loaded = read(&format!("<Location />\n{line}\n</Location>\n"));
        let text = report::text(&loaded);
        assert!(text.contains(&format!("site.conf:2 {listed}")), "{text}");
        let denied = usize::from(listed.contains("denies"));
        let counted = text.contains("2 directives: 1 honoured, 1 denying access\n");
        assert_eq!(counted, denied == 1, "{text}");
    }
}

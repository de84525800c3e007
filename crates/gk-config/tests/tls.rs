//! TLS of hosts: what their directives come to, and what is an error.

use gk_config::diagnostic::Severity;
use gk_config::place::{Compiled, NoFiles};
use gk_config::site::{HostTls, RevocationCheck, Site, VerifyClient};
use gk_config::source::Memory;
use gk_config::{Loaded, Surroundings, load_text, report};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const FILES: &str = "SSLCertificateFile c.pem\nSSLCertificateKeyFile k.pem\n";

fn read(text: &str) -> Loaded {
    let around = Surroundings { directory: "/etc/site".into(), ..Surroundings::default() };
    load_text("site.conf", text, &Memory::new(), &around)
}

fn site(text: &str) -> Site {
    read(text).into_result().unwrap_or_else(|said| panic!("{text}: {said:#?}")).0
}

fn host(address: &str, lines: &str) -> String {
    format!("<VirtualHost {address}>\n{lines}\n</VirtualHost>\n")
}

/// TLS of the last host.
fn tls(text: &str) -> HostTls {
    site(text).hosts.pop().expect("a site has hosts").tls.unwrap_or_else(|| panic!("{text} speaks no TLS"))
}

fn on(lines: &str) -> HostTls {
    tls(&host("*:443", &format!("SSLEngine on\n{FILES}{lines}")))
}

/// Messages of this severity with their lines.
fn said(text: &str, severity: Severity) -> Vec<(u32, String)> {
    let all = read(text).diagnostics.into_iter().filter(|d| d.severity == severity);
    all.map(|d| (d.line, d.message)).collect()
}

#[test]
fn certificates_and_keys_belong_together_by_their_place() {
    let shown = |text: &str| -> Vec<String> {
        let shown = |path: Option<PathBuf>| path.map_or("-".to_owned(), |path| path.display().to_string());
        let each = tls(text).certificates.into_iter();
        each.map(|one| format!("{} {} {}", one.certificate.display(), shown(one.key), shown(one.chain)))
            .collect()
    };
    let two = "SSLEngine on\nSSLCertificateFile r.pem\nSSLCertificateFile e.pem\nSSLCertificateKeyFile r.key\n\
               SSLCertificateKeyFile /e.key\nSSLCertificateChainFile ch.pem";
    assert_eq!(
        shown(&host("*:443", two)),
        ["/etc/site/r.pem /etc/site/r.key /etc/site/ch.pem", "/etc/site/e.pem /e.key /etc/site/ch.pem"]
    );
    // The key may be in the certificate's file.
    assert_eq!(shown("Listen 443 https\nSSLEngine on\nSSLCertificateFile /all.pem\n"), ["/all.pem - -"]);
    // A host's own take the places of the main server's.
    let main = "SSLCertificateFile /m.pem\nSSLCertificateKeyFile /m.key\n";
    let own = host("*:443", "SSLEngine on\nSSLCertificateFile /h.pem\nSSLCertificateKeyFile /h.key");
    assert_eq!(shown(&format!("{main}{own}")), ["/h.pem /h.key -"]);
    assert_eq!(shown(&format!("{main}{}", host("*:443", "SSLEngine on"))), ["/m.pem /m.key -"]);
}

#[test]
fn versions_are_those_of_apache_that_are_spoken() {
    for (words, want) in [
        ("all", "TLSv1.2 TLSv1.3"),
        ("ALL -SSLv2 -SSLv3", "TLSv1.2 TLSv1.3"),
        ("all -SSLv3 -TLSv1 -TLSv1.1", "TLSv1.2 TLSv1.3"),
        ("all -TLSv1.2", "TLSv1.3"),
        ("-all +TLSv1.2", "TLSv1.2"),
        ("+TLSv1.1 +TLSv1.2", "TLSv1.2"),
        ("TLSv1.2 TLSv1.3", "TLSv1.3"),
        ("TLSv1.2", "TLSv1.2"),
    ] {
        assert_eq!(on(&format!("SSLProtocol {words}")).versions.words(), want, "{words}");
    }
}

#[test]
fn suites_of_the_version_that_is_not_named_stay() {
    assert_eq!(on("").suites, None);
    let names = |lines: &str| on(lines).suites.unwrap().join(" ");
    assert_eq!(
        names("SSLCipherSuite ECDHE-RSA-AES128-GCM-SHA256"),
        "TLS13_AES_256_GCM_SHA384 TLS13_AES_128_GCM_SHA256 TLS13_CHACHA20_POLY1305_SHA256 \
         TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
    );
    assert_eq!(
        names(
            "SSLCipherSuite SSL AES128:!aRSA\nSSLCipherSuite TLSv1.3 TLS_AES_128_GCM_SHA256\nSSLHonorCipherOrder on"
        ),
        "TLS13_AES_128_GCM_SHA256 TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
    );
    assert!(on("SSLHonorCipherOrder on").server_order && !on("").server_order);
}

#[test]
fn client_certificates() {
    let clients = on(
        "SSLVerifyClient optional\nSSLVerifyDepth 3\nSSLCACertificateFile ca.pem\nSSLCACertificatePath /ca\n\
                      SSLCARevocationFile r.pem\nSSLCARevocationCheck leaf no_crl_for_cert_ok",
    )
    .clients;
    assert_eq!((clients.verify, clients.depth), (VerifyClient::Optional, 3));
    assert_eq!(clients.authorities, [Path::new("/etc/site/ca.pem"), Path::new("/ca")]);
    assert_eq!(clients.revocation, [Path::new("/etc/site/r.pem")]);
    assert_eq!((clients.revocation_check, clients.unlisted_ok), (RevocationCheck::Leaf, true));
    let none = on("").clients;
    assert_eq!(
        (none.verify, none.depth, none.revocation_check),
        (VerifyClient::None, 1, RevocationCheck::None)
    );
    // As the main server says it, unless the host says otherwise.
    let main = "SSLVerifyClient require\nSSLCACertificateFile /ca.pem\n";
    let verify = |lines: &str| {
        tls(&format!("{main}{}", host("*:443", &format!("SSLEngine on\n{FILES}{lines}")))).clients.verify
    };
    assert_eq!([verify(""), verify("SSLVerifyClient none")], [VerifyClient::Require, VerifyClient::None]);
}

#[test]
fn what_cannot_be_served_is_an_error() {
    let on = format!("SSLEngine on\n{FILES}");
    let with = |more: &str| host("*:443", &format!("{on}{more}"));
    for (text, line, message) in [
        (host("*:443", "SSLEngine on"), 2, "this host speaks TLS and has no certificate"),
        ("SSLEngine on\n".to_owned(), 1, "this host speaks TLS and has no certificate"),
        (with("SSLCertificateKeyFile /more"), 5, "there are more keys than certificates"),
        (with("SSLVerifyClient require"), 5, "no authority is named"),
        (with("SSLVerifyClient optional"), 5, "no authority is named"),
        (with("SSLCARevocationCheck chain"), 5, "no list is named"),
        (
            with("<Location /x>\nSSLVerifyClient require\n</Location>"),
            6,
            "its host asks for no client certificate",
        ),
        (with("SSLFIPS on"), 5, "no FIPS module"),
        ("Listen 8443 https\n".to_owned(), 1, "this listener would speak plain HTTP"),
        (
            "Listen 8443 https\n".to_owned() + &host("*:8443", FILES),
            1,
            "this listener would speak plain HTTP",
        ),
        (with("ServerName a") + &host("*:443", "ServerName b"), 7, "this host speaks plain HTTP on *:443"),
        (host("*:443", "ServerName b") + &with("ServerName a"), 5, "this host speaks TLS on *:443"),
        (host("10.0.0.1:443 *:80", &on) + &host("*:80", ""), 7, "this host speaks plain HTTP on *:80"),
        (
            on.clone() + &host("*:80", "") + &host("*:80", "SSLEngine off"),
            8,
            "this host speaks plain HTTP on *:80",
        ),
        (
            with("") + "<Location /x>\nSSLVerifyClient require\n</Location>\n",
            8,
            "its host asks for no client certificate",
        ),
    ] {
        let found = said(&text, Severity::Error);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert_eq!(found[0].0, line, "{text}: {found:?}");
        assert!(found[0].1.contains(message), "{text}: {found:?}");
    }
}

#[test]
fn what_is_weaker_than_it_looks_is_a_warning() {
    let with = |more: &str| host("*:443", &format!("SSLEngine on\n{FILES}{more}"));
    for (lines, message) in [
        (
            "SSLVerifyClient require\nSSLCACertificateFile /c\nSSLCARevocationFile /r",
            "revoked certificates are accepted",
        ),
        ("<Location /x>\nSSLVerifyClient optional\n</Location>", "its host asks for no client certificate"),
        ("SSLOptions +FakeBasicAuth", "still asks for a password"),
    ] {
        let found = said(&with(lines), Severity::Warning);
        assert_eq!(found.len(), 1, "{lines}: {found:?}");
        assert!(found[0].1.contains(message), "{lines}: {found:?}");
    }
    let place = "<Location /x>\nSSLVerifyClient require\n</Location>";
    for fine in [
        with(&format!("SSLVerifyClient optional\nSSLCACertificateFile /c\n{place}")),
        // Without TLS it keeps nobody out, as with Apache.
        host("*:80", place),
        // Addresses differ, so each connection has one host.
        with("") + &host("10.0.0.1:443", "") + &host("*:80", ""),
    ] {
        assert_eq!(read(&fine).diagnostics, [], "{fine}");
    }
}

#[test]
fn connections_speak_tls_by_their_address() {
    let text =
        host("*:443", &format!("SSLEngine on\n{FILES}")) + &host("*:80", "") + &host("10.0.0.1:443", "");
    let speaks = |site: &Site, address: &str| site.speaks_tls(Some(address.parse().unwrap()));
    let mixed = site(&text);
    assert!(speaks(&mixed, "127.0.0.1:443") && speaks(&mixed, "[::]:443") && speaks(&mixed, "[::1]:443"));
    for plain in ["127.0.0.1:80", "10.0.0.1:443", "127.0.0.1:8000", "0.0.0.0:80"] {
        assert!(!speaks(&mixed, plain), "{plain}");
    }
    assert!(!mixed.speaks_tls(None));
    // The main server speaks where no virtual host does.
    let main = site(&format!("Listen 8443\nListen unix:/s\nSSLEngine on\n{FILES}"));
    assert!(speaks(&main, "127.0.0.1:8443") && speaks(&main, "[::]:8443") && main.speaks_tls(None));
    assert!(!site("Listen 80\n").has_tls() && main.has_tls());
}

#[test]
fn a_place_asks_for_tls_and_tells_of_it() {
    let words = |text: &str| {
        let site = site(text);
        let compiled = Compiled::new(Arc::new(site), &NoFiles).unwrap();
        compiled.settings(0, b"/x", None).ssl.words()
    };
    let place = |lines: &str| format!("<Location /x>\n{lines}\n</Location>\n");
    let all = "SSLOptions +StdEnvVars +ExportCertData\n";
    for (text, want) in [
        (String::new(), ""),
        ("SSLRequireSSL\n".to_owned(), "SSLRequireSSL"),
        (place("NSSRequireSSL"), "SSLRequireSSL"),
        (all.to_owned(), "SSLOptions +StdEnvVars +ExportCertData"),
        (all.to_owned() + &place("SSLOptions -ExportCertData"), "SSLOptions +StdEnvVars"),
        // Words without a sign take the place of all others: asked of mod_ssl 2.4.
        (all.to_owned() + &place("SSLOptions LegacyDNStringFormat"), "SSLOptions +LegacyDNStringFormat"),
        ("SSLOptions StdEnvVars ExportCertData\n".to_owned(), "SSLOptions +ExportCertData"),
        ("SSLOptions +StrictRequire +OptRenegotiate\n".to_owned(), ""),
        (
            "SSLUserName SSL_CLIENT_S_DN_CN\n".to_owned()
                + &place("SSLVerifyClient require\nSSLVerifyDepth 2"),
            "SSLUserName SSL_CLIENT_S_DN_CN, SSLVerifyClient require, SSLVerifyDepth 2",
        ),
    ] {
        assert_eq!(words(&text), want, "{text}");
    }
}

#[test]
fn the_report_says_what_each_host_speaks() {
    let text = host(
        "*:443",
        &format!(
            "SSLEngine on\n{FILES}SSLProtocol TLSv1.3\nSSLCipherSuite AES256:!ECDSA\nSSLVerifyClient require\n\
             SSLCACertificateFile /ca.pem\nSSLCARevocationFile /r.pem\nSSLCARevocationCheck chain\nSSLSessionTickets off\n\
             GilkeeperStaplingFile /o.der\n<Location /x>\nSSLRequireSSL\n</Location>"
        ),
    ) + &host("*:80", "");
    let shown = report::text(&read(&text));
    for line in [
        "  speaks: TLSv1.3",
        "  speaks: plain HTTP",
        "  certificate: /etc/site/c.pem, key /etc/site/k.pem",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 (the client's order)",
        "  client-certificates: require, by /ca.pem, depth 1, revocation by /r.pem",
        "  stapling: /o.der",
        "  session-tickets: Off",
        "    tls: SSLRequireSSL",
    ] {
        assert!(shown.lines().any(|one| one.ends_with(line)), "{line}: {shown}");
    }
    assert!(!report::text(&read(&host("*:80", ""))).contains("speaks"));
}

/// certbot writes its host into `<IfModule mod_ssl.c>`, with suites and options in a file of its own.
#[test]
fn the_files_of_certbot_are_taken() {
    let options = "SSLEngine on\nSSLProtocol all -SSLv2 -SSLv3 -TLSv1 -TLSv1.1\n\
        SSLCipherSuite ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-CHACHA20-POLY1305:DHE-RSA-AES256-GCM-SHA384\n\
        SSLHonorCipherOrder off\nSSLSessionTickets off\nSSLOptions +StrictRequire\n";
    let text = format!(
        "<IfModule mod_ssl.c>\n<VirtualHost *:443>\nServerName a.example\n{options}{FILES}</VirtualHost>\n</IfModule>\n"
    );
    let tls = tls(&text);
    assert!(!tls.tickets && tls.suites.unwrap().len() == 5);
    let warned = said(&text, Severity::Warning);
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(warned[0].1.contains("DHE-RSA-AES256-GCM-SHA384"), "{warned:?}");
}

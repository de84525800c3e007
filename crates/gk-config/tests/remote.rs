//! The directives of mod_remoteip: how they are read, what a virtual host inherits, and what is wrong with them.

use gk_config::diagnostic::Severity;
use gk_config::source::Memory;
use gk_config::{Loaded, Surroundings, load_text};

fn read(text: &str) -> Loaded {
    let files = Memory::new()
        .with("/etc/apache2/proxies", "# inside\n10.0.0.0/8 unix: # more\n\n192.168.0.0/16\n")
        .with("/etc/apache2/names", "10.0.0.1\nproxy.example\n");
    let around = Surroundings { directory: "/etc/apache2".into(), ..Surroundings::default() };
    load_text("apache2.conf", &format!("ServerRoot /etc/apache2\n{text}"), &files, &around)
}

/// Reported: a configuration with RemoteIPHeader was refused, and what was proposed in its place has another rule for lists.
/// Met on sites behind a load balancer.
#[test]
fn a_virtual_host_has_its_own_lists_or_those_of_the_main_server() {
    let loaded = read(
        "RemoteIPHeader X-Forwarded-For\nRemoteIPInternalProxy 10.0.0.0/8\nRemoteIPTrustedProxy 203.0.113.1\n\
         <VirtualHost *:8000>\nServerName a\nRemoteIPProxiesHeader X-By\n</VirtualHost>\n\
         <VirtualHost *:8000>\nServerName b\nRemoteIPHeader X-Real-IP\nRemoteIPTrustedProxyList proxies\n</VirtualHost>\n",
    );
    assert!(!loaded.has(Severity::Warning), "{:#?}", loaded.diagnostics);
    let site = loaded.site.unwrap();
    let [main, a, b] = site.hosts.as_slice() else { panic!("three hosts") };
    assert_eq!(main.remote.header.as_deref(), Some("x-forwarded-for"));
    assert_eq!(a.remote.header, main.remote.header);
    assert_eq!(a.remote.proxies, main.remote.proxies);
    assert_eq!(
        (a.remote.proxies_header.as_deref(), main.remote.proxies_header.as_deref()),
        (Some("x-by"), None)
    );
    assert_eq!(b.remote.header.as_deref(), Some("x-real-ip"));
    let listed = |peer: &str| b.remote.lists(peer.parse().unwrap());
    assert!(listed("10.1.1.1") && listed("192.168.7.7") && !listed("203.0.113.1"));
    assert_eq!(b.remote.proxies.as_ref().map(Vec::len), Some(3));
    assert!(site.proxy_protocol.is_none());
}

#[test]
fn the_proxy_protocol_is_about_addresses() {
    let loaded = read(
        "<VirtualHost *:8000>\nServerName a\nRemoteIPProxyProtocol On\n</VirtualHost>\n\
         <VirtualHost *:8001>\nServerName b\n</VirtualHost>\nRemoteIPProxyProtocolExceptions 10.0.0.0/8\n",
    );
    let protocol = loaded.site.unwrap().proxy_protocol.unwrap();
    let expected = |local: &str, peer: &str| protocol.is_expected(local.parse().ok(), peer.parse().ok());
    assert!(expected("127.0.0.1:8000", "127.0.0.1") && !expected("127.0.0.1:8000", "10.0.0.1"));
    assert!(!expected("127.0.0.1:8001", "127.0.0.1") && !expected("", ""));
    let twice = read(
        "<VirtualHost *:8000>\nServerName a\nRemoteIPProxyProtocol On\n</VirtualHost>\n\
         <VirtualHost *:8000>\nServerName b\nRemoteIPProxyProtocol Off\n</VirtualHost>\n",
    );
    assert!(twice.diagnostics[0].message.contains("the last line counts"), "{:#?}", twice.diagnostics);
    assert!(twice.site.unwrap().proxy_protocol.is_none());
    assert!(read("RemoteIPProxyProtocol Off\n").site.unwrap().proxy_protocol.is_none());
    let everywhere = read("RemoteIPProxyProtocol On\n").site.unwrap().proxy_protocol.unwrap();
    assert!(
        everywhere.is_expected("127.0.0.1:8000".parse().ok(), None) && everywhere.is_expected(None, None)
    );
}

#[test]
fn what_is_no_proxy_says_why() {
    for (line, wanted) in [
        ("RemoteIPInternalProxy proxy.example", "names are not looked up here"),
        ("RemoteIPTrustedProxy 10.0.0.0/33", "such as 192.0.2.1"),
        ("RemoteIPHeader X Forwarded", "RemoteIPHeader takes 1 argument"),
        ("RemoteIPHeader \"X Forwarded\"", "name of a header field"),
        ("RemoteIPTrustedProxyList missing", "/etc/apache2/missing cannot be used: no such file"),
        ("RemoteIPTrustedProxyList names", "line 2: `proxy.example`"),
        ("RemoteIPProxyProtocol Maybe", "takes On or Off"),
        ("<Location />\nRemoteIPHeader X-Real-IP\n</Location>", "RemoteIPHeader"),
    ] {
        let loaded = read(&format!("{line}\n"));
        assert!(loaded.site.is_none(), "{line}");
        let said =
            loaded.diagnostics.iter().map(|d| format!("{} {:?}\n", d.message, d.hint)).collect::<String>();
        assert!(said.contains(wanted), "{line}: {said}");
    }
    let loaded = read("RemoteIPHeader Forwarded\n");
    assert!(loaded.site.is_some() && loaded.diagnostics[0].message.contains("Forwarded"));
}

/// mod_remoteip comes first, so that the second list would be asked about clients.
#[test]
fn a_proxy_in_both_lists_is_said() {
    let warnings = |text: &str| {
        let loaded = read(text);
        assert!(loaded.site.is_some(), "{text}");
        loaded.diagnostics.iter().filter(|d| d.message.contains("stands in WSGITrustedProxies, too")).count()
    };
    let remote = "RemoteIPHeader X-Forwarded-For\nRemoteIPInternalProxy 10.0.0.0/8\n";
    let trusted = "WSGITrustedProxyHeaders X-Forwarded-Proto\nWSGITrustedProxies 10.1.0.0/16\n";
    let host = |text: &str| format!("<VirtualHost *:8000>\nServerName a\n{text}</VirtualHost>\n");
    assert_eq!(warnings(&format!("{remote}{trusted}")), 1);
    assert_eq!(warnings(&host(&format!("{remote}{trusted}"))), 1);
    assert_eq!(warnings(&format!("{remote}{}", host(trusted))), 1);
    assert_eq!(warnings(&format!("{remote}{trusted}{}", host(""))), 1, "once, where it stands");
    assert_eq!(warnings(&format!("{remote}WSGITrustedProxies 203.0.113.1\n")), 0);
    assert_eq!(warnings(&format!("{remote}WSGITrustedProxyHeaders X-Forwarded-Proto\n")), 0);
    assert_eq!(warnings(trusted), 0);
}

/// Reported: `--forwarded-allow-ips 127.0.0.1` led to `--trust-proxy 127.0.0.1`, which `check` called honoured, and the client stayed the
/// proxy.
#[test]
fn proxies_that_are_asked_for_no_header_are_noted() {
    let notes = |text: &str| {
        let loaded = load_text("site.conf", text, &Memory::new(), &Surroundings::default());
        let found =
            loaded.diagnostics.iter().filter(|d| d.message.starts_with("without WSGITrustedProxyHeaders"));
        found.map(|d| (d.line, d.severity)).collect::<Vec<_>>()
    };
    let proxies = "WSGITrustedProxies 10.0.0.1\n";
    assert_eq!(notes(&format!("{proxies}{proxies}")), [(1, Severity::Note)]);
    assert_eq!(
        notes(&format!("{proxies}<Location />\nWSGITrustedProxyHeaders X-Forwarded-For\n</Location>\n")),
        []
    );
}

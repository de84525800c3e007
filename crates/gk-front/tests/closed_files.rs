//! Files that are closed or withheld, by every way that leads to them: names, links, rules, indexes, neighbours, lists.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod support;

use gk_config::site::Site;
use gk_config::{Surroundings, load_text};
use gk_wire::certificates::{Certificates, HostCertificates};
use std::path::Path;
use support::tls::certificates;
use support::{Pki, Running, Valid};

/// A site of these lines.
fn site_of(text: &str) -> Site {
    let around = Surroundings { directory: "/".into(), ..Surroundings::default() };
    let text = format!("WSGIDaemonProcess g\n{text}");
    let loaded = load_text("site.conf", &text, &gk_config::source::Memory::new(), &around);
    loaded.site.unwrap_or_else(|| panic!("{text}\n{:?}", loaded.diagnostics))
}

fn start(text: &str, certificates: &Certificates) -> Running {
    Running::start_tls(certificates, |site| {
        let root = site.server_root.clone();
        *site = Site { server_root: root, ..site_of(text) };
    })
}

fn put(tree: &Path, name: &str) {
    let path = tree.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, name).unwrap();
}

/// Status and body of a request for a path of a host.
fn ask(front: &Running, host: &str, path: &str, more: &str) -> (u16, String) {
    let mut client = front.client();
    let answer = client.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n")).answer();
    (answer.status, answer.text())
}

/// Reported: private keys and ticket keys of hosts were served where they lay in a served tree. Met with keys beside the site that they
/// are for.
#[test]
fn private_keys_and_ticket_keys_are_withheld() {
    let (pki, tree) = (Pki::new(), tempfile::tempdir().unwrap());
    pki.issue("ca", "a", Valid::Now);
    for name in ["site.key", "site.pem", "both.pem", "tickets", "other.key"] {
        put(tree.path(), name);
    }
    std::os::unix::fs::symlink("site.key", tree.path().join("link.txt")).unwrap();
    std::fs::hard_link(tree.path().join("tickets"), tree.path().join("hard.txt")).unwrap();
    let text = format!(
        "DocumentRoot {0}\n\
         <VirtualHost *:443>\nServerName one\nSSLEngine On\nSSLCertificateFile {0}/site.pem\nSSLCertificateKeyFile {0}/site.key\n\
         SSLSessionTicketKeyFile {0}/tickets\n</VirtualHost>\n\
         <VirtualHost *:443>\nServerName two\nSSLEngine On\nSSLCertificateFile {0}/both.pem\n</VirtualHost>\n",
        tree.path().display()
    );
    let front = start(&text, &certificates(vec![HostCertificates::default(), pki.host("a"), pki.host("a")]));
    for (path, status) in [
        ("/site.key", 403),
        ("/both.pem", 403),
        ("/tickets", 403),
        ("/link.txt", 403),
        ("/hard.txt", 403),
        ("/site.pem", 200),
        ("/other.key", 200),
    ] {
        assert_eq!(ask(&front, "a", path, "").0, status, "{path}");
    }
}

/// Reported: an index, or a compressed neighbour, that was found for one host was served by another one for a second. Met where hosts share a
/// tree and close different parts of it.
#[test]
fn what_was_found_for_one_host_is_not_served_by_another() {
    let tree = tempfile::tempdir().unwrap();
    for name in ["folder/index.html", "a.css", "a.css.br"] {
        put(tree.path(), name);
    }
    let text = format!(
        "<VirtualHost *:*>\nServerName open\nDocumentRoot {0}\nGilkeeperPrecompressed br\n</VirtualHost>\n\
         <VirtualHost *:*>\nServerName shut\nDocumentRoot {0}\nGilkeeperPrecompressed br\nDirectoryIndex none.html\n\
         <Files *.br>\nRequire all denied\n</Files>\n</VirtualHost>\n",
        tree.path().display()
    );
    let front = start(&text, &Certificates::default());
    let accept = "Accept-Encoding: br\r\n";
    for _ in 0..2 {
        assert_eq!(ask(&front, "open", "/folder/", ""), (200, "folder/index.html".into()));
        assert_eq!(ask(&front, "shut", "/folder/", "").0, 403);
        assert_eq!(ask(&front, "open", "/a.css", accept), (200, "a.css.br".into()));
        assert_eq!(ask(&front, "shut", "/a.css", accept), (200, "a.css".into()));
    }
}

/// Reported: a rule that names a file in `.git` or `.env` served it. Met with rules that put a part of the URL into a file name.
#[test]
fn a_rule_leads_to_nothing_that_is_hidden() {
    let tree = tempfile::tempdir().unwrap();
    for name in
        ["www/.git/config", "www/.git/refs/heads/main", "www/.env", "www/page.html", "www/sub/.htpasswd"]
    {
        put(tree.path(), name);
    }
    let text = format!(
        "DocumentRoot {0}/none\nRewriteEngine On\nRewriteRule ^/history$ {0}/www/.git/config [L]\nRewriteRule ^/any/(.*)$ {0}/www/$1 [L]\n",
        tree.path().display()
    );
    let front = start(&text, &Certificates::default());
    for (path, status) in [
        ("/history", 403),
        ("/any/.git/config", 403),
        ("/any/.git/refs/heads/main", 403),
        ("/any/.env", 403),
        ("/any/sub/.htpasswd", 403),
        ("/any/page.html", 200),
        ("/any/none.html", 404),
    ] {
        assert_eq!(ask(&front, "a", path, "").0, status, "{path}");
    }
}

/// Reported: the list of a folder had names that `Require expr` closes, as the rules were asked for the folder only. Met with rules about
/// the URL.
#[test]
fn a_list_has_only_what_its_folders_rules_say_of_every_entry() {
    let tree = tempfile::tempdir().unwrap();
    for name in ["list/open.txt", "list/secret.txt"] {
        put(tree.path(), name);
    }
    for (rules, listed) in [
        ("Require all granted", true),
        ("Require ip 127.0.0.0/8", true),
        ("Require local", true),
        ("Require method GET HEAD", true),
        ("<RequireAll>\nRequire all granted\nRequire not ip 192.0.2.0/24\n</RequireAll>", true),
        // They admit whoever asks for the folder, and say nothing of the entries.
        ("Require expr %{REQUEST_URI} !~ /secret/", false),
        ("SetEnvIf Request_URI /list/$ in\nRequire env in", false),
        (
            "<RequireAny>\nRequire expr %{REQUEST_URI} == '/list/'\nRequire ip 192.0.2.0/24\n</RequireAny>",
            false,
        ),
        ("SetEnvIf Request_URI secret out\nOrder Allow,Deny\nAllow from all\nDeny from env=out", false),
    ] {
        let folder = tree.path().display();
        let text = format!(
            "DocumentRoot {folder}\n<Directory {folder}/list>\nOptions Indexes\n{rules}\n</Directory>\n"
        );
        let front = start(&text, &Certificates::default());
        let (status, page) = ask(&front, "a", "/list/", "");
        assert_eq!(status, 200, "{rules}");
        assert_eq!(page.contains("secret.txt"), listed, "{rules}\n{page}");
    }
}

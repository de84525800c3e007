//! Tests of [`super`]: what a unit says of a site. systemd's own judgement is asked in gk-cli's tests.

use super::*;

fn site(text: &str) -> Site {
    let around =
        gk_config::Surroundings { directory: "/srv/site".into(), ..gk_config::Surroundings::default() };
    gk_config::load_text("/etc/site.conf", text, &gk_config::source::Memory::new(), &around).site.unwrap()
}

fn request(arguments: &[&str]) -> Request {
    Request {
        name: "site".into(),
        command: vec!["/srv/site/venv/bin/gilkeeper".into()],
        arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
        directory: "/srv/site".into(),
        server_root_chosen: false,
        user: None,
        sockets: false,
        notify_reload: false,
        credentials: Vec::new(),
    }
}

fn service_of(request: &Request, text: &str) -> String {
    units(request, &site(text)).unwrap().service
}

fn has(unit: &str, line: &str) -> bool {
    unit.lines().any(|own| own == line)
}

#[test]
fn a_unit_opens_what_the_site_needs() {
    let plain = request(&["-c", "/etc/site.conf"]);
    let table = [
        ("", "DynamicUser=yes"),
        ("User www\nGroup web", "User=www"),
        ("User www\nGroup web", "Group=web"),
        ("User www\nWSGIDaemonProcess a user=other", "# Root: process groups have users of their own."),
        ("User www\nWSGIDaemonProcess a user=www", "User=www"),
        ("", "CapabilityBoundingSet="),
        ("Listen 80", "AmbientCapabilities=CAP_NET_BIND_SERVICE"),
        ("Listen 8080", "CapabilityBoundingSet="),
        ("", "Environment=GILKEEPER_ROOT=%S/site"),
        ("", "StateDirectory=site"),
        ("Listen unix:/run/web/s", "RuntimeDirectory=site web"),
        ("ErrorLog /var/log/site/error.log", "LogsDirectory=site"),
        ("ErrorLog /srv/logs/error.log", "ReadWritePaths=-/srv/logs"),
        ("", "ProtectHome=yes"),
        ("", "WatchdogSec=30"),
        ("GilkeeperFrontTimeout 40", "WatchdogSec=80"),
        ("WSGIDaemonProcess a graceful-timeout=20 shutdown-timeout=7", "TimeoutStopSec=32"),
        ("WSGIDaemonProcess a startup-timeout=60", "TimeoutStartSec=90"),
        ("", "ExecStart=/srv/site/venv/bin/gilkeeper serve -c /etc/site.conf"),
        ("", "ExecReload=/srv/site/venv/bin/gilkeeper reload --server-root %S/site"),
    ];
    for (text, line) in table {
        let unit = service_of(&plain, text);
        assert!(has(&unit, line), "{text:?} without {line}:\n{unit}");
    }
    let chosen = Request { server_root_chosen: true, ..plain.clone() };
    let unit = service_of(&chosen, "ServerRoot /run/site/root");
    assert!(has(&unit, "RuntimeDirectory=site site/root") && !unit.contains("GILKEEPER_ROOT"), "{unit}");
    let home = Request { directory: "/home/me/site".into(), ..plain.clone() };
    assert!(has(&service_of(&home, ""), "ProtectHome=read-only"));
    let reloading = Request { notify_reload: true, ..plain };
    let unit = service_of(&reloading, "");
    assert!(has(&unit, "Type=notify-reload") && !unit.contains("ExecReload"), "{unit}");
}

#[test]
fn keys_become_credentials() {
    let with_key =
        request(&["wsgi.py", "--ssl-certificate-key-file", "/etc/ssl/private/site.key", "--threads", "3"]);
    let unit = service_of(&with_key, "");
    assert!(has(&unit, "LoadCredential=site.key:/etc/ssl/private/site.key"), "{unit}");
    assert!(unit.contains("serve wsgi.py --ssl-certificate-key-file %d/site.key --threads 3\n"), "{unit}");
    let admin = "GilkeeperAdminTLS certificate=/etc/ssl/a.pem key=/etc/ssl/private/a.key";
    let unit = service_of(&request(&["-c", "/etc/site.conf"]), admin);
    assert!(
        unit.contains(
            "LoadCredential=a.key:/etc/ssl/private/a.key and name the key ${CREDENTIALS_DIRECTORY}/a.key"
        ),
        "{unit}"
    );
}

/// Reported: the unit said nothing of keys that virtual hosts name, which its user then could not read. Met with certbot's files, which have
/// one name for all hosts.
#[test]
fn keys_of_hosts_are_said_by_names_of_their_own() {
    let host = |lines: &str| format!("<VirtualHost *:443>\nSSLEngine On\n{lines}\n</VirtualHost>\n");
    let certbot = |name: &str| {
        let folder = format!("/etc/letsencrypt/live/{name}");
        host(&format!(
            "ServerName {name}\nSSLCertificateFile {folder}/fullchain.pem\nSSLCertificateKeyFile {folder}/privkey.pem"
        ))
    };
    let text = certbot("a.org")
        + &certbot("b.org")
        + &host(
            "ServerName c.org\nSSLCertificateFile /etc/ssl/c.pem\nSSLSessionTicketKeyFile /etc/ssl/tickets",
        )
        + &host(
            "ServerName d.org\nSSLCertificateFile /etc/ssl/d.pem\nSSLCertificateKeyFile /run/credentials/site.service/d.key",
        );
    let plain = request(&["-c", "/etc/site.conf"]);
    let unit = service_of(&plain, &text);
    let said: Vec<&str> =
        unit.lines().filter_map(|line| Some(line.split_once("add LoadCredential=")?.1)).collect();
    let wanted = [
        ("a.org-privkey.pem", "/etc/letsencrypt/live/a.org/privkey.pem"),
        ("b.org-privkey.pem", "/etc/letsencrypt/live/b.org/privkey.pem"),
        ("c.pem", "/etc/ssl/c.pem"),
        ("tickets", "/etc/ssl/tickets"),
    ];
    let wanted = wanted
        .map(|(name, file)| format!("{name}:{file} and name the key ${{CREDENTIALS_DIRECTORY}}/{name}"));
    assert_eq!(said, wanted);
    let given = Request { credentials: vec![("c".into(), "/etc/ssl/c.pem".into())], ..plain.clone() };
    assert!(!service_of(&given, &text).contains("name the key ${CREDENTIALS_DIRECTORY}/c.pem"));
    let as_root = service_of(&plain, &format!("{text}WSGIDaemonProcess a user=other\n"));
    assert!(!as_root.contains("LoadCredential"), "{as_root}");
}

#[test]
fn words_of_the_command_line_stay_words() {
    let table = [
        ("plain", "plain"),
        ("two words", "\"two words\""),
        ("50%", "50%%"),
        ("$HOME", "$$HOME"),
        ("say \"x\"", "\"say \\\"x\\\"\""),
        ("a\\b", "\"a\\\\b\""),
        ("", "\"\""),
        ("a;b", "\"a;b\""),
        ("/séjour", "/séjour"),
    ];
    for (word, want) in table {
        assert_eq!(quote(word), want, "{word}");
    }
}

#[test]
fn the_socket_unit_has_the_addresses_of_the_site() {
    let with_sockets = Request { sockets: true, ..request(&["-c", "/etc/site.conf"]) };
    let socket = |text: &str| units(&with_sockets, &site(text)).map(|units| units.socket.unwrap());
    let unit = socket("Listen 80\nListen 127.0.0.1:81\nListen [2001:db8::1]:82\nListen unix:/run/s mode=660 group=web\nListenBacklog 99").unwrap();
    for line in [
        "ListenStream=80",
        "ListenStream=127.0.0.1:81",
        "ListenStream=[2001:db8::1]:82",
        "ListenStream=/run/s",
        "ListenStream=127.0.0.1:8001",
        "BindIPv6Only=both",
        "SocketMode=0660",
        "SocketGroup=web",
        "Backlog=99",
    ] {
        assert!(has(&unit, line), "no {line}:\n{unit}");
    }
    assert!(has(
        &socket("Listen 0.0.0.0:80\nListen [::]:80\nGilkeeperAdmin off").unwrap(),
        "BindIPv6Only=ipv6-only"
    ));
    for (text, why) in [
        ("Listen 0", "needs a port"),
        ("Listen systemd:web", "says no address"),
        ("Listen unix:/a mode=600\nListen unix:/b", "two .socket units"),
        ("Listen 80\nListen [::]:81 ipv6only=on", "two .socket units"),
    ] {
        assert!(socket(text).unwrap_err().contains(why), "{text}");
    }
    let unit = service_of(&with_sockets, "Listen 80");
    assert!(has(&unit, "Requires=site.socket") && has(&unit, "Also=site.socket"), "{unit}");
    assert!(has(&unit, "CapabilityBoundingSet="), "systemd opens the ports:\n{unit}");
    assert!(units(&Request { name: "a b".into(), ..with_sockets }, &site("")).is_err());
}

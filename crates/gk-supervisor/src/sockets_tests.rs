//! Tests of [`super`]: real sockets on the loopback and in a temporary directory.

use super::*;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_port_in_use_is_one_sentence() {
    let taken = bind_tcp(Some("127.0.0.1"), 0, 5).unwrap();
    let address: SocketAddr = address_of(&taken).unwrap().parse().unwrap();
    let refused = bind_tcp(Some("127.0.0.1"), address.port(), 5).unwrap_err();
    let port = address.port();
    let text = format!(
        "cannot listen on 127.0.0.1:{port}: another program uses that port; stop it or choose another port"
    );
    assert_eq!(refused.0, text);
}

#[test]
fn no_host_takes_ipv4_clients_too() {
    let socket = bind_tcp(None, 0, 5).unwrap();
    let address: SocketAddr = address_of(&socket).unwrap().parse().unwrap();
    std::net::TcpStream::connect(("127.0.0.1", address.port())).unwrap();
    let setup = ListenerSetup { address: address.to_string(), tls: false };
    assert_eq!(url(&setup), format!("http://127.0.0.1:{}/", address.port()));
}

#[test]
fn a_socket_that_is_given_for_a_tls_host_is_refused() {
    let given = || bind_tcp(Some("127.0.0.1"), 0, 5).unwrap();
    let bind = |socket: OwnedFd, engine: &str| {
        let address: SocketAddr = address_of(&socket).unwrap().parse().unwrap();
        let text = format!(
            "GilkeeperAdmin off\n<VirtualHost *:{}>\nSSLEngine {engine}\n</VirtualHost>\n",
            address.port()
        );
        let around = gk_config::Surroundings { directory: "/".into(), ..gk_config::Surroundings::default() };
        let loaded = gk_config::load_text("site.conf", &text, &gk_config::source::Memory::new(), &around);
        Listeners::bind(&loaded.site.unwrap(), vec![socket])
    };
    assert!(bind(given(), "On").err().unwrap().0.contains("TLS for applications is not built yet"));
    assert!(bind(given(), "Off").unwrap().urls()[0].starts_with("http://127.0.0.1:"));
}

#[test]
fn a_virtual_host_that_no_given_socket_reaches_is_an_error() {
    let bind = |address: &str| {
        let text = format!("GilkeeperAdmin off\n<VirtualHost {address}>\nServerName a\n</VirtualHost>\n");
        let around = gk_config::Surroundings { directory: "/".into(), ..gk_config::Surroundings::default() };
        let loaded = gk_config::load_text("site.conf", &text, &gk_config::source::Memory::new(), &around);
        let given = bind_tcp(Some("127.0.0.1"), 0, 5).unwrap();
        Listeners::bind(&loaded.site.unwrap(), vec![given]).map(drop).map_err(|refused| refused.0)
    };
    assert!(bind("*:1").unwrap_err().contains("no socket that was given is for port 1"));
    assert_eq!(bind("*"), Ok(()));
}

#[test]
fn a_name_that_is_no_address_is_refused() {
    assert!(
        bind_tcp(Some("no such host"), 0, 5).unwrap_err().0.contains("neither an address nor a known name")
    );
    assert!(bind_tcp_text("nonsense", 5).unwrap_err().0.contains("expected HOST:PORT"));
}

#[test]
fn a_stale_socket_file_is_replaced_and_a_living_one_respected() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.sock");
    let first = bind_unix(&path, 5, 0o600, SocketOwner::default()).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(
        bind_unix(&path, 5, 0o600, SocketOwner::default())
            .unwrap_err()
            .0
            .contains("another program answers there")
    );
    drop(first);
    bind_unix(&path, 5, 0o666, SocketOwner::default()).unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "x").unwrap();
    assert!(
        bind_unix(&file, 5, 0o600, SocketOwner::default()).unwrap_err().0.contains("no socket; remove it")
    );
    assert_eq!(std::fs::read(&file).unwrap(), b"x");
}

#[test]
fn a_socket_file_has_the_mode_and_owner_that_listen_says() {
    use std::os::unix::fs::MetadataExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.sock");
    let meta = std::fs::metadata(dir.path()).unwrap();
    let (uid, gid) = (format!("#{}", meta.uid()), format!("#{}", meta.gid()));
    let owner = SocketOwner::find(&path, Some(&uid), Some(&gid)).unwrap();
    let _socket = bind_unix(&path, 5, 0o660, owner).unwrap();
    let made = std::fs::metadata(&path).unwrap();
    assert_eq!((made.permissions().mode() & 0o777, made.uid(), made.gid()), (0o660, meta.uid(), meta.gid()));
    let unknown = SocketOwner::find(&path, Some("nobody-has-this-name"), None).unwrap_err().0;
    assert!(unknown.contains("there is no user 'nobody-has-this-name'"), "{unknown}");
    let unknown = SocketOwner::find(&path, None, Some("nobody-has-this-name")).unwrap_err().0;
    assert!(unknown.contains("there is no group 'nobody-has-this-name'"), "{unknown}");
    if meta.uid() == 0 {
        let other = dir.path().join("other.sock");
        let owner = SocketOwner::find(&other, Some("#65534"), Some("#65533")).unwrap();
        let _socket = bind_unix(&other, 5, 0o600, owner).unwrap();
        let made = std::fs::metadata(&other).unwrap();
        assert_eq!((made.uid(), made.gid()), (65534, 65533));
    }
}

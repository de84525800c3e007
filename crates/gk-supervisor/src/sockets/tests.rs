//! Tests of [`super`]: real sockets on the loopback and in a temporary directory.

use super::*;
use std::os::unix::fs::PermissionsExt;

fn tcp_address(socket: &OwnedFd) -> SocketAddr {
    match Address::of(socket).unwrap() {
        Address::Tcp(address) => address,
        other => panic!("{other}"),
    }
}

fn offered(socket: OwnedFd, name: &str) -> Offered {
    Offered { socket, origin: Origin::Manager { name: name.to_owned() }, file: None }
}

fn site(text: &str) -> Site {
    let around = gk_config::Surroundings { directory: "/".into(), ..gk_config::Surroundings::default() };
    gk_config::load_text("site.conf", text, &gk_config::source::Memory::new(), &around).site.unwrap()
}

#[test]
fn a_port_in_use_is_one_sentence() {
    let taken = tcp::bind(Some("127.0.0.1"), 0, false, 5).unwrap();
    let address = tcp_address(&taken);
    let refused = tcp::bind(Some("127.0.0.1"), address.port(), false, 5).unwrap_err();
    let port = address.port();
    let text = format!(
        "cannot listen on 127.0.0.1:{port}: another program uses that port; stop it or choose another port"
    );
    assert_eq!(refused.0, text);
}

#[test]
fn no_host_takes_ipv4_clients_too() {
    let socket = tcp::bind(None, 0, false, 5).unwrap();
    let address = tcp_address(&socket);
    std::net::TcpStream::connect(("127.0.0.1", address.port())).unwrap();
    let setup = ListenerSetup { address: address.to_string(), tls: false };
    assert_eq!(url(&setup, false), format!("http://127.0.0.1:{}/", address.port()));
}

#[test]
fn a_socket_is_https_where_its_host_speaks_tls() {
    for (engine, scheme) in [("On\nSSLCertificateFile /c", "https"), ("Off", "http")] {
        let socket = tcp::bind(Some("127.0.0.1"), 0, false, 5).unwrap();
        let port = tcp_address(&socket).port();
        let text =
            format!("GilkeeperAdmin off\n<VirtualHost *:{port}>\nSSLEngine {engine}\n</VirtualHost>\n");
        let site = site(&text);
        let urls = Listeners::bind(&site, vec![offered(socket, "")]).unwrap().urls(&site);
        assert_eq!(urls, [format!("{scheme}://127.0.0.1:{port}/")]);
    }
}

#[test]
fn a_virtual_host_that_no_given_socket_reaches_is_an_error() {
    let bind = |address: &str| {
        let text = format!("GilkeeperAdmin off\n<VirtualHost {address}>\nServerName a\n</VirtualHost>\n");
        let given = tcp::bind(Some("127.0.0.1"), 0, false, 5).unwrap();
        Listeners::bind(&site(&text), vec![offered(given, "")]).map(drop).map_err(|refused| refused.0)
    };
    assert!(bind("*:1").unwrap_err().contains("no socket that was given is for port 1"));
    assert_eq!(bind("*"), Ok(()));
}

#[test]
fn a_name_that_is_no_address_is_refused() {
    assert!(
        tcp::bind(Some("no such host"), 0, false, 5)
            .unwrap_err()
            .0
            .contains("neither an address nor a known name")
    );
    assert!(tcp::bind_text("nonsense", 5).unwrap_err().0.contains("expected HOST:PORT"));
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

#[test]
fn given_sockets_stand_for_their_listen_lines_and_the_rest_is_bound() {
    let dir = tempfile::tempdir().unwrap();
    let own = dir.path().join("own.sock");
    let given = || tcp::bind(Some("127.0.0.1"), 0, false, 5).unwrap();
    let (web, other, admin) = (given(), given(), given());
    let (first, second) = (tcp_address(&web), tcp_address(&other));
    let text = format!("Listen {second}\nListen unix:{}\nListen systemd:web\n", own.display());
    let offers = vec![offered(web, "web"), offered(other, ""), offered(admin, "admin")];
    let site = site(&text);
    let listeners = Listeners::bind(&site, offers).unwrap();
    let urls = listeners.urls(&site);
    assert_eq!(
        urls,
        [format!("http://{second}/"), format!("unix:{}", own.display()), format!("http://{first}/")]
    );
    assert!(listeners.admin().is_some() && listeners.setups().len() == 4);
    listeners.remove_files();
    assert!(!own.exists());
}

#[test]
fn a_socket_that_is_given_and_does_not_listen_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let datagrams = std::os::unix::net::UnixDatagram::bind(dir.path().join("d")).unwrap();
    let refused = Listeners::bind(&site("GilkeeperAdmin off\n"), vec![offered(datagrams.into(), "")]);
    assert!(refused.unwrap_err().0.contains("needs ListenStream= and Accept=no"));
    let (connected, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    let refused = Listeners::bind(&site("GilkeeperAdmin off\n"), vec![offered(connected.into(), "")]);
    assert!(refused.unwrap_err().0.contains("not a listening stream socket"));
}

/// Reported: `Listen 0.0.0.0:PORT` beside `Listen [::]:PORT`, which Apache takes, was refused as a port in use. Met with
/// configurations that name both families.
#[test]
fn both_families_may_be_listened_on_at_one_port() {
    let port = tcp_address(&tcp::bind(None, 0, false, 5).unwrap()).port();
    let text = format!("GilkeeperAdmin off\nListen 0.0.0.0:{port}\nListen [::]:{port}\n");
    let listeners = Listeners::bind(&site(&text), Vec::new()).unwrap();
    assert_eq!(listeners.setups().len(), 2);
    for client in ["127.0.0.1", "::1"] {
        std::net::TcpStream::connect((client, port)).unwrap();
    }
}

#[test]
fn sockets_of_the_former_server_are_taken_over_with_their_files() {
    let dir = tempfile::tempdir().unwrap();
    let (kept, left) = (dir.path().join("kept.sock"), dir.path().join("left.sock"));
    let lines = |files: &[&PathBuf]| {
        let files: String = files.iter().map(|path| format!("Listen unix:{}\n", path.display())).collect();
        site(&format!("GilkeeperAdmin 127.0.0.1:0\nListen 127.0.0.1:0\n{files}"))
    };
    let mut old = Listeners::bind(&lines(&[&kept, &left]), Vec::new()).unwrap();
    let estate = old.estate().map(|(socket, purpose, file)| Offered {
        socket: socket.try_clone_to_owned().unwrap(),
        origin: Origin::Predecessor(purpose.clone()),
        file: file.cloned(),
    });
    let mut new = Listeners::bind(&lines(&[&kept]), estate.collect()).unwrap();
    // It may still fail.
    new.remove_files();
    assert!(kept.exists() && left.exists());
    new.take_files();
    old.leave_files();
    old.remove_files();
    let plain = lines(&[]);
    assert_eq!((new.urls(&plain)[0].clone(), new.admin()), (old.urls(&plain)[0].clone(), old.admin()));
    assert!(kept.exists() && !left.exists());
    new.remove_files();
    assert!(!kept.exists());
}

/// Reported: a second `gilkeeper serve` on a machine did not start, as the first had the port of its admin pages.
#[test]
fn the_default_address_of_the_admin_pages_gives_way_and_a_named_one_does_not() {
    let taken = tcp::bind(Some("127.0.0.1"), 0, false, 5).unwrap();
    let address = tcp_address(&taken);
    let mut site = site(&format!("Listen 127.0.0.1:0\nGilkeeperAdmin {address}\n"));
    assert!(!site.admin_implied);
    let refused = Listeners::bind(&site, Vec::new()).unwrap_err().0;
    assert!(refused.starts_with(&format!("cannot listen on {address}: another program uses")), "{refused}");
    assert!(refused.ends_with("(the admin pages; --admin HOST:PORT moves them, --admin off does without)"));
    site.admin_implied = true;
    let listeners = Listeners::bind(&site, Vec::new()).unwrap();
    let (url, remark) = (listeners.admin().unwrap(), listeners.remark().unwrap());
    assert!(url.starts_with("http://127.0.0.1:") && url != format!("http://{address}/"), "{url}");
    assert!(remark.contains(&url) && remark.contains(&address.to_string()), "{remark}");
    drop(taken);
    let listeners = Listeners::bind(&site, Vec::new()).unwrap();
    assert_eq!((listeners.admin(), listeners.remark()), (Some(format!("http://{address}/")), None));
}

#[test]
fn an_address_of_the_admin_pages_that_the_configuration_does_not_name_is_implied() {
    let cases = [("", true), ("GilkeeperAdmin off\n", false), ("GilkeeperAdmin 127.0.0.1:8001\n", false)];
    for (text, implied) in cases {
        assert_eq!(site(text).admin_implied, implied, "{text}");
    }
}

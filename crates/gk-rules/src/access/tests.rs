//! Tables: configurations of access control, and who is served. What Apache answers to the same is in `compat/scenarios/access`.

use super::*;
use crate::{Env, Kind};
use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// A request for `/x`.
struct Request {
    method: &'static str,
    client: Option<IpAddr>,
    env: Env,
}

impl Request {
    fn of(method: &'static str, client: &str) -> Self {
        let mut env = Env::default();
        env.set("SET", "1");
        Self { method, client: client.parse().ok(), env }
    }
}

impl Facts for Request {
    fn method(&self) -> &str {
        self.method
    }
    fn target(&self) -> &[u8] {
        b"/x"
    }
    fn path(&self) -> &[u8] {
        b"/x"
    }
    fn query(&self) -> &[u8] {
        b""
    }
    fn protocol(&self) -> &str {
        "HTTP/1.1"
    }
    fn header(&self, _: &str) -> Option<Cow<'_, [u8]>> {
        None
    }
    fn header_names(&self) -> Vec<&str> {
        Vec::new()
    }
    fn client(&self) -> Option<IpAddr> {
        self.client
    }
    fn client_port(&self) -> Option<u16> {
        None
    }
    fn local(&self) -> Option<SocketAddr> {
        "192.0.2.7:80".parse().ok()
    }
    fn server_name(&self) -> &str {
        "localhost"
    }
    fn server_port(&self) -> u16 {
        80
    }
    fn server_admin(&self) -> &str {
        ""
    }
    fn document_root(&self) -> &Path {
        Path::new("/")
    }
    fn https(&self) -> bool {
        false
    }
    fn user(&self) -> Option<&str> {
        None
    }
    fn file(&self) -> Option<&Path> {
        None
    }
    fn handler(&self) -> Option<&str> {
        None
    }
    fn env(&self) -> &Env {
        &self.env
    }
    fn kind(&self, _: &Path) -> Kind {
        Kind::Missing
    }
    fn size(&self, _: &Path) -> u64 {
        0
    }
    fn now(&self) -> f64 {
        0.0
    }
}

/// Reads directives, separated by `;`.
fn read(text: &str) -> Result<Access, Mistake> {
    let mut access = Access::default();
    let (mut open, mut methods) = (Vec::new(), Methods::All);
    for line in text.split(';').map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let rest = &words[1..];
        let branch = match words[0] {
            "<All>" => {
                open.push(Tree::new(Together::All));
                continue;
            }
            "<Any>" => {
                open.push(Tree::new(Together::Any));
                continue;
            }
            "<None>" => {
                open.push(Tree::new(Together::None));
                continue;
            }
            "</>" => open.pop().expect("one is open").close()?,
            "Require" => {
                let (negate, rule) = Rule::parse(rest)?;
                Branch::Rule { negate, methods: methods.clone(), rule }
            }
            "Limit" | "LimitExcept" => {
                methods = Methods::parse(rest, words[0] == "LimitExcept")?;
                continue;
            }
            "EndLimit" => {
                methods = Methods::All;
                continue;
            }
            "Merging" => {
                access.merging = Some(Merging::parse(rest[0])?);
                continue;
            }
            name => {
                let clients = access.clients.get_or_insert_default();
                match name {
                    "Order" => clients.order(methods.clone(), rest[0])?,
                    "Allow" => clients.allow(&methods, rest)?,
                    "Deny" => clients.deny(&methods, rest)?,
                    "Satisfy" => clients.satisfy(methods.clone(), rest[0])?,
                    name => panic!("{name}"),
                }
                continue;
            }
        };
        match open.last_mut() {
            Some(tree) => tree.add(branch)?,
            None => access.require.get_or_insert_default().add(branch)?,
        }
    }
    Ok(access)
}

/// `yes`; `no`: 403; `who`: the client is asked for a name.
fn answer(access: &Access, request: &Request) -> &'static str {
    let answer = match access.before(request, access.admits(request)) {
        Admission::Granted => "yes",
        Admission::Forbidden => "no",
        Admission::Authenticate => "who",
    };
    if let Some(fixed) = access.fixed() {
        assert_eq!(answer, if fixed { "yes" } else { "no" }, "{access:?}");
    }
    answer
}

#[test]
fn before_a_name_is_asked_for() {
    let table = [
        ("", "yes"),
        ("Require all granted", "yes"),
        ("Require all denied", "no"),
        ("Require ip 10.1; Require ip 192.0.2.1", "no"),
        ("Require ip 10.1; Require ip 10.9", "yes"),
        ("Require local", "no"),
        ("Require env UNSET SET", "yes"),
        ("Require env UNSET", "no"),
        ("Require method GET POST", "yes"),
        ("Require method POST", "no"),
        ("Require ssl", "no"),
        ("Require valid-user", "who"),
        ("Require valid-user; Require ip 10.9", "yes"),
        ("Require ldap-group x", "no"),
        ("Require all granted; Require ldap-group x", "yes"),
        ("Require ldap-group x; Require valid-user", "who"),
        ("<All>; Require all granted; Require not ip 10.9; </>", "no"),
        ("<All>; Require all granted; Require not ip 10.8; </>", "yes"),
        ("<All>; Require all granted; Require not ldap-group x; </>", "no"),
        ("<All>; Require all granted; Require not host example.com; </>", "no"),
        ("<All>; Require all granted; Require not valid-user; </>", "yes"),
        ("<All>; Require all granted; <None>; Require ip 10.9; </>; </>", "no"),
        ("<All>; Require all granted; <None>; Require ip 10.8; Require env UNSET; </>; </>", "yes"),
        ("<All>; Require all granted; <None>; Require ldap-group x; </>; </>", "no"),
        (
            "<All>; Require all granted; <None>; <Any>; Require ldap-group x; Require valid-user; </>; </>; </>",
            "no",
        ),
        ("<All>; Require valid-user; Require ip 192.0.2; </>", "no"),
        ("<All>; Require valid-user; Require ip 10; </>", "who"),
        ("<Any>; <All>; Require valid-user; Require ip 192.0.2; </>; Require all granted; </>", "yes"),
        ("Limit POST; Require valid-user; EndLimit", "yes"),
        ("Limit GET; Require valid-user; EndLimit", "who"),
        ("LimitExcept GET; Require valid-user; EndLimit", "yes"),
        ("LimitExcept POST; Require all denied; EndLimit", "no"),
        ("Limit POST; Require all denied; EndLimit; Require all granted", "yes"),
        ("Limit POST; Require all granted; EndLimit; Require all denied", "no"),
        ("Order deny,allow", "yes"),
        ("Order allow,deny", "no"),
        ("Order allow,deny; Allow from 10.", "yes"),
        ("Order allow,deny; Allow from 10.0.0.0/255.0.0.0; Deny from 10.9.0.0/16", "no"),
        ("Order deny,allow; Deny from all; Allow from 10.9.9.9", "yes"),
        ("Order deny,allow; Deny from all; Allow from 10.8", "no"),
        ("Order deny,allow; Deny from all; Allow from env=SET", "yes"),
        ("Order deny,allow; Deny from all; Allow from env=!SET", "no"),
        ("Order deny,allow; Deny from all; Allow from example.com", "no"),
        ("Deny from example.com", "no"),
        ("Limit POST; Deny from all; EndLimit", "yes"),
        ("Order mutual-failure; Allow from all", "yes"),
        ("Deny from all; Require all granted", "no"),
        ("Satisfy any; Require all denied", "yes"),
        ("Satisfy any; Deny from all; Require valid-user", "who"),
        ("Satisfy any; Deny from all; Require all denied", "no"),
        ("Satisfy any; Deny from all; Allow from 10; Require valid-user", "yes"),
        ("Satisfy any; Satisfy all; Require valid-user", "who"),
        ("Limit POST; Satisfy any; EndLimit; Require valid-user", "who"),
    ];
    let request = Request::of("GET", "10.9.9.9");
    for (text, expected) in table {
        let access = read(text).unwrap_or_else(|mistake| panic!("{text}: {mistake:?}"));
        assert_eq!(answer(&access, &request), expected, "{text}");
        let json = serde_json::to_string(&access).expect("plain data");
        assert_eq!(serde_json::from_str::<Access>(&json).expect("its own form"), access);
    }
}

#[test]
fn a_peer_without_an_address_is_nowhere() {
    let request = Request::of("GET", "-");
    for text in
        ["Require local", "Require ip 0.0.0.0/1", "<All>; Require all granted; Require not ip 10; </>"]
    {
        assert_eq!(answer(&read(text).expect("valid"), &request), "no", "{text}");
    }
    let local = read("Require local").expect("valid");
    for (client, expected) in
        [("127.3.4.5", "yes"), ("::1", "yes"), ("192.0.2.7", "yes"), ("192.0.2.8", "no")]
    {
        assert_eq!(answer(&local, &Request::of("HEAD", client)), expected, "{client}");
    }
}

/// Reported: `Allow from localhost`, as configurations of the time of Apache 2.2 have it, admitted nobody.
/// Met with the pages for the site's own administrator.
#[test]
fn localhost_needs_no_look_up() {
    let table = [
        ("Require host localhost", "yes", "no"),
        ("Require forward-dns LocalHost", "yes", "no"),
        ("Require host localhost example.com", "no", "no"),
        ("<All>; Require all granted; Require not host localhost; </>", "no", "yes"),
        ("<All>; Require all granted; Require not host localhost example.com; </>", "no", "no"),
        ("Order deny,allow; Deny from all; Allow from localhost", "yes", "no"),
        ("Order deny,allow; Deny from all; Allow from example.com localhost", "yes", "no"),
        ("Order allow,deny; Allow from all; Deny from localhost", "no", "yes"),
    ];
    for (text, local, other) in table {
        let access = read(text).expect("valid");
        for (client, expected) in
            [("127.0.0.1", local), ("::1", local), ("127.0.0.2", other), ("10.9.9.9", other)]
        {
            assert_eq!(answer(&access, &Request::of("GET", client)), expected, "{text}: {client}");
        }
    }
}

#[test]
fn expressions() {
    // This pattern takes more steps than a pattern may.
    let endless = format!(r"'{}!' =~ m#^(?:(a+)\1*)+$#", "a".repeat(200));
    let table = [
        ("Require expr %{REQUEST_URI} == '/x' && -R '10.0.0.0/8'".to_owned(), "yes"),
        ("Require expr %{REQUEST_URI} == '/y'".to_owned(), "no"),
        ("Require expr -n reqenv('SET')".to_owned(), "yes"),
        ("<All>; Require all granted; Require not expr %{REQUEST_METHOD} == 'GET'; </>".to_owned(), "no"),
        ("<All>; Require all granted; Require not expr %{REQUEST_METHOD} == 'PUT'; </>".to_owned(), "yes"),
        ("Require expr %{REMOTE_USER} == 'bob'".to_owned(), "who"),
        ("Require expr -z %{REMOTE_USER}".to_owned(), "yes"),
        (format!("Require expr {endless}"), "no"),
        (format!("Require expr !({endless})"), "no"),
        (format!("<All>; Require all granted; Require not expr {endless}; </>"), "no"),
        (format!("<All>; Require all granted; Require not expr !({endless}); </>"), "no"),
    ];
    let request = Request::of("GET", "10.9.9.9");
    for (text, expected) in table {
        let access = read(&text).unwrap_or_else(|mistake| panic!("{text}: {mistake:?}"));
        assert_eq!((access.fixed(), answer(&access, &request)), (None, expected), "{text}");
        let json = serde_json::to_string(&access).expect("plain data");
        assert_eq!(serde_json::from_str::<Access>(&json).expect("its own form"), access);
    }
    for text in ["Require expr", "Require expr %{NOTHING} == 1", "Require expr a b"] {
        assert!(read(text).is_err(), "{text}");
    }
}

#[test]
fn with_a_name() {
    let person = Person { name: "bob".into(), groups: vec!["ops".into()], script_groups: vec!["x".into()] };
    let request = Request::of("GET", "10.9.9.9");
    let table = [
        ("Require valid-user", true),
        ("Require user alice bob", true),
        ("Require user alice", false),
        ("Require group ops", true),
        ("Require group x", false),
        ("Require wsgi-group x", true),
        ("Require wsgi-group ops", false),
        ("<All>; Require valid-user; Require not user bob; </>", false),
        ("<All>; Require valid-user; Require not group staff; </>", true),
        ("Require expr %{REMOTE_USER} == 'bob'", true),
        ("Require expr %{REMOTE_USER} == 'al'", false),
        ("<All>; Require valid-user; Require not expr %{REMOTE_USER} == 'bob'; </>", false),
        ("<All>; Require valid-user; Require not ldap-group staff; </>", false),
        ("<All>; Require valid-user; <None>; Require user bob; Require ip 1; </>; </>", false),
    ];
    for (text, served) in table {
        let access = read(text).expect("valid");
        assert_eq!(access.after(&request, &person), served, "{text}");
        let (of_file, of_script) = access.groups_wanted();
        assert_eq!(
            (of_file, !of_script.is_empty()),
            (text.contains(" group"), text.contains("wsgi-group")),
            "{text}"
        );
    }
}

#[test]
fn scopes_within_scopes() {
    let table = [
        ("Require all denied", "Require all granted", "yes"),
        ("Require all granted", "Require all denied", "no"),
        ("Require all denied", "", "no"),
        ("Require all denied", "Merging Off", "yes"),
        ("Require all denied", "Merging Or; Require ip 10", "yes"),
        ("Require all denied", "Merging And; Require ip 10", "no"),
        ("Require valid-user", "Merging And; Require ip 10", "who"),
        ("Require valid-user", "Merging Or; Require ip 10", "yes"),
        ("Require valid-user", "Merging And", "who"),
        ("", "Merging And; Require all denied", "no"),
        ("Deny from all", "Require all granted", "no"),
        ("Deny from all", "Order deny,allow", "yes"),
        ("Satisfy any; Deny from all; Require valid-user", "Order deny,allow", "who"),
    ];
    let request = Request::of("GET", "10.9.9.9");
    for (outer, inner, expected) in table {
        let mut access = read(outer).expect("valid");
        access.lay(&read(inner).expect("valid"));
        assert_eq!(answer(&access, &request), expected, "{outer} / {inner}");
    }
}

#[test]
fn what_apache_refuses_too() {
    for text in [
        "Require not ip 10",
        "<Any>; Require not ip 10; </>",
        "<None>; Require not ip 10; </>",
        "<None>; Require ip 10; </>",
        "<All>; </>",
        "<All>; Require not ip 10; </>",
        "<All>; <None>; Require ip 10; </>; </>",
        "Require all perhaps",
        "Require ip",
        "Require ip 300.1",
        "Require method get",
        "Order allow",
        "Allow 10.0.0.1",
        "Allow from 10.0.0.1/99",
        "Satisfy some",
        "Merging perhaps",
        "Limit TRACE",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
    assert!(Provider::parse(&["file", "wsgi"]).is_ok() && Provider::parse(&["ldap"]).is_err());
}

//! Access control of the front: passwords of files, scripts that a worker is asked for, and what happens when it dies.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod support;

use gk_config::site::Site;
use gk_rules::access::{Access, AuthType, Branch, Methods, Provider, Rule, Script, Tree};
use support::{FakeWorker, Frame, Running};

const BOB: &str = "Basic Ym9iOnNlY3JldA==";

/// A rule that must hold.
fn rule(rule: Rule) -> Access {
    let mut tree = Tree::default();
    tree.add(Branch::Rule { negate: false, methods: Methods::All, rule }).unwrap();
    Access { require: Some(tree), ..Access::default() }
}

/// `AuthType Basic` with these providers.
fn basic(providers: &[Provider]) -> Access {
    let mut access = rule(Rule::ValidUser);
    access.users.auth_type = Some(AuthType::Basic);
    access.users.realm = Some("r".into());
    access.users.basic = Some(providers.to_vec());
    access.users.script = Some(script("/srv/auth.py"));
    access
}

fn script(path: &str) -> Script {
    Script { path: path.into(), application_group: Some("%{SERVER}".into()) }
}

fn protected(access: Access) -> Running {
    Running::start(|site: &mut Site| site.hosts[0].base.access = access)
}

fn request(authorization: &str) -> String {
    format!("GET /x HTTP/1.1\r\nHost: a\r\nAuthorization: {authorization}\r\n\r\n")
}

/// The next request of a worker, with the profile that came before it, if one came.
fn asked(worker: &mut FakeWorker) -> (Option<serde_json::Value>, Frame) {
    let mut profile = None;
    loop {
        match worker.next().expect("the link ended") {
            Frame::Profile(_, json) => profile = Some(json),
            frame @ Frame::Request { .. } => {
                worker.start();
                return (profile, frame);
            }
            _ => {}
        }
    }
}

fn answer(worker: &FakeWorker, request: &Frame, json: &str) {
    worker.respond(request.id(), 200, &[("Gilkeeper-Hook", json), ("Content-Length", "0")], b"", true);
}

#[test]
fn a_user_of_a_file_reaches_the_application() {
    let mut access = basic(&[Provider::File]);
    let folder = tempfile::tempdir().unwrap();
    let users = folder.path().join("users");
    std::fs::write(&users, "bob:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n").unwrap();
    access.users.file = Some(users.clone());
    let mut front = protected(access);
    let mut worker = front.worker(1);
    worker.welcome();
    let mut client = front.client();
    let refused = client.get("/").answer();
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Basic realm=\"r\"")));
    client.send(request("Basic Ym9iOndyb25n"));
    assert_eq!(client.answer().status, 401);
    client.send(request(BOB));
    let (_, frame) = asked(&mut worker);
    assert_eq!((frame.get("REMOTE_USER"), frame.get("AUTH_TYPE")), (Some("bob"), Some("Basic")));
    assert_eq!(frame.get("HTTP_AUTHORIZATION"), None);
    worker.hello(frame.id());
    assert_eq!(client.answer().status, 200);
    std::fs::remove_file(users).unwrap();
    client.send(request(BOB));
    assert_eq!(client.answer().status, 500);
}

#[test]
fn a_worker_is_asked_for_a_script_s_answer() {
    let mut front = protected(basic(&[Provider::Wsgi]));
    let mut worker = front.worker(1);
    worker.welcome();
    let mut client = front.client();
    client.send(request(BOB));
    let (profile, hook) = asked(&mut worker);
    let profile = profile.unwrap();
    assert_eq!((&profile["hook"], &profile["callable"]), (&true.into(), &"check_password".into()));
    assert_eq!(
        (&profile["script"], &profile["application_group"]),
        (&"/srv/auth.py".into(), &format!("example.org:{}", front.address.port()).into())
    );
    assert_eq!(
        (hook.get("gilkeeper.hook.user"), hook.get("gilkeeper.hook.password")),
        (Some("bob"), Some("secret"))
    );
    assert_eq!(hook.get("HTTP_AUTHORIZATION"), None);
    answer(&worker, &hook, "\"somebody\"");
    let (_, frame) = asked(&mut worker);
    assert_eq!((frame.get("REMOTE_USER"), frame.get("gilkeeper.hook.password")), (Some("somebody"), None));
    worker.hello(frame.id());
    assert_eq!(client.answer().status, 200);
    for (json, status) in [("false", 401), ("null", 401), ("\"\"", 500), ("1", 500), ("{", 500)] {
        client.send(request(BOB));
        let (_, hook) = asked(&mut worker);
        answer(&worker, &hook, json);
        assert_eq!(client.answer().status, status, "{json}");
    }
    client.send(request(BOB));
    let (_, hook) = asked(&mut worker);
    worker.respond(hook.id(), 200, &[], b"no answer", true);
    assert_eq!(client.answer().status, 500);
}

#[test]
fn a_worker_that_dies_of_a_script_is_a_500() {
    let mut access = Access { script: Some(script("/srv/access.py")), ..Access::default() };
    access.users.realm = None;
    let mut front = protected(access);
    let mut worker = front.worker(1);
    worker.welcome();
    let mut client = front.client();
    client.get("/x");
    let (profile, _) = asked(&mut worker);
    assert_eq!(profile.unwrap()["callable"], "allow_access");
    drop(worker);
    assert_eq!(client.answer().status, 500);
    let mut worker = front.worker(1);
    worker.welcome();
    for (json, status) in [("false", 403), ("\"yes\"", 403), ("{}", 403)] {
        client.get("/x");
        let (_, hook) = asked(&mut worker);
        answer(&worker, &hook, json);
        assert_eq!(client.answer().status, status, "{json}");
    }
    client.get("/x");
    let (_, hook) = asked(&mut worker);
    answer(&worker, &hook, "null");
    let (_, frame) = asked(&mut worker);
    worker.hello(frame.id());
    assert_eq!(client.answer().status, 200);
}

#[test]
fn addresses_decide_and_a_body_is_not_waited_for() {
    let yes = rule(Rule::parse(&["ip", "127.0.0.0/8"]).unwrap().1);
    let no = rule(Rule::parse(&["ip", "192.0.2.1"]).unwrap().1);
    let mut front = protected(yes);
    let _worker = front.hello_worker();
    assert_eq!(front.client().get("/").answer().status, 200);
    let front = protected(no);
    let mut client = front.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 400000\r\n\r\n");
    assert_eq!(client.answer().status, 403);
}

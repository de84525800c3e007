//! Files of `Alias` and `DocumentRoot`, and those that are never served.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod support;

use gk_config::site::{Mount, MountTarget, Scope, Section, SettingsPatch, StaticAlias};
use gk_rules::access::{Access, Script};
use support::{Client, Running};

#[test]
fn static_files() {
    let tree = tempfile::tempdir().unwrap();
    std::fs::write(tree.path().join("a.txt"), "0123456789").unwrap();
    std::fs::create_dir(tree.path().join("dir")).unwrap();
    std::fs::create_dir(tree.path().join("with")).unwrap();
    std::fs::create_dir(tree.path().join("sp \u{e9}\\")).unwrap();
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
    std::fs::File::open(tree.path().join("a.txt")).unwrap().set_modified(old).unwrap();
    std::fs::write(tree.path().join("with/index.html"), "<p>").unwrap();
    let front = Running::start(|site| {
        site.hosts[0].mounts[0].order = 1;
        let alias =
            StaticAlias { url: "/static".into(), path: tree.path().to_owned(), ..StaticAlias::default() };
        site.hosts[0].statics = vec![alias];
    });
    let mut client = front.client();
    let answer = client.get("/static/a.txt").answer();
    assert_eq!((answer.status, answer.text()), (200, "0123456789".into()));
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    let modified = answer.header("last-modified").unwrap().to_owned();
    let get = |client: &mut Client, path: &str, header: &str| {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n{header}\r\n"));
        client.answer()
    };
    assert_eq!(get(&mut client, "/static/a.txt", &format!("If-Modified-Since: {modified}\r\n")).status, 304);
    let part = get(&mut client, "/static/a.txt", "Range: bytes=2-4\r\n");
    assert_eq!(
        (part.status, part.text(), part.header("content-range")),
        (206, "234".into(), Some("bytes 2-4/10"))
    );
    for (condition, status) in [
        (modified.as_str(), 206),
        ("Sat, 21 Nov 2009 00:00:00 GMT", 200),
        ("Sat, 21 Nov 2099 00:00:00 GMT", 200),
        ("\"tag\"", 200),
    ] {
        let header = format!("Range: bytes=2-4\r\nIf-Range: {condition}\r\n");
        let answer = get(&mut client, "/static/a.txt", &header);
        assert_eq!(answer.status, status, "{condition}");
        assert_eq!(answer.text(), if status == 206 { "234" } else { "0123456789" }, "{condition}");
    }
    let beyond = get(&mut client, "/static/a.txt", "Range: bytes=20-\r\n");
    assert_eq!((beyond.status, beyond.header("content-range")), (416, Some("bytes */10")));
    assert_eq!(get(&mut client, "/static/none", "").status, 404);
    assert_eq!(get(&mut client, "/static/dir/", "").status, 403);
    let moved = get(&mut client, "/static/dir?q", "");
    assert_eq!((moved.status, moved.header("location")), (301, Some("/static/dir/?q")));
    for (path, to) in [
        ("//static/dir", "/static/dir/"),
        ("//evil.example/../static/dir?a=//b", "/static/dir/?a=//b"),
        ("/static//dir", "/static/dir/"),
        ("/static/sp%20%c3%a9%5c", "/static/sp%20%C3%A9%5C/"),
    ] {
        let moved = get(&mut client, path, "");
        assert_eq!((moved.status, moved.header("location")), (301, Some(to)), "{path}");
    }
    assert_eq!(get(&mut client, "/static/with/", "").text(), "<p>");
    assert_eq!(get(&mut client, "/static/a.txt/", "").status, 404);
    client.send("HEAD /static/a.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=2-4\r\n\r\n");
    let head = client.head();
    assert_eq!((head.status, head.header("content-length")), (200, Some("10")));
    client.send("POST /static/a.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.answer().status, 405);
}

/// Reported: a document root that is a checkout handed out `.git`, `.env`, `.htpasswd`, the WSGI script's source and the token of
/// the admin pages. Met by everybody who serves files from the folder of the application.
#[test]
fn secrets_and_scripts_are_never_served_as_files() {
    let tree = tempfile::tempdir().unwrap();
    let put = |name: &str| {
        let path = tree.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "text").unwrap();
    };
    let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, tree.path().join(name)).unwrap();
    for name in [
        ".htaccess",
        ".git/config",
        ".env",
        ".svn/entries",
        "app/.hg/hgrc",
        "app/app.py",
        "other.wsgi",
        "scripts/one.py",
        "scripts/one.css",
        "deep.py",
        "patterns/one.py",
        "named/one.xyz",
        "named/one.css",
        "matched/one.py",
        "matched/one.css",
        "users",
        "groups",
        "allow.script",
        "site.conf",
        "own/admin.token",
        ".well-known/security.txt",
        ".gitignore",
        "page.html",
        "module.py",
    ] {
        put(name);
    }
    link(".git", "history");
    link("app/app.py", "download.txt");
    link(".env", "settings.txt");
    link("page.html", "link.html");
    std::fs::hard_link(tree.path().join("app/app.py"), tree.path().join("hard.txt")).unwrap();
    let front = Running::start(|site| {
        site.server_root = tree.path().join("own");
        site.files = vec![tree.path().join("site.conf")];
        let host = &mut site.hosts[0];
        host.mounts = vec![
            Mount::new("/app", MountTarget::File(tree.path().join("app/app.py"))),
            Mount::new("/run", MountTarget::Directory(tree.path().join("scripts"))),
            Mount::new("/deep", MountTarget::File(tree.path().join("deep.py/prefix"))),
            Mount {
                regex: true,
                ..Mount::new(
                    "^/p/(.*)",
                    MountTarget::Pattern(format!("{}/patterns/$1.py", tree.path().display())),
                )
            },
            Mount {
                regex: true,
                ..Mount::new(
                    "^/n/([a-z]+)(.*)",
                    MountTarget::Pattern(format!("{}/named/$1.xyz/$2", tree.path().display())),
                )
            },
        ];
        let mut access = Access {
            script: Some(Script { path: tree.path().join("allow.script"), application_group: None }),
            ..Access::default()
        };
        access.users.file = Some(tree.path().join("users"));
        access.users.groups = Some(tree.path().join("groups"));
        host.sections.push(Section {
            scope: Scope::Location("/members".into()),
            within: None,
            around: Vec::new(),
            set: SettingsPatch { access, ..SettingsPatch::default() },
        });
        host.sections.push(Section {
            scope: Scope::Location("/m".into()),
            within: None,
            around: Vec::new(),
            set: SettingsPatch { handler: Some("wsgi-script".into()), ..SettingsPatch::default() },
        });
        host.document_root = Some(tree.path().to_owned());
        // What an alias names itself is meant, but for scripts.
        let alias = |(url, path): (&str, &str)| StaticAlias {
            url: url.into(),
            path: tree.path().join(path),
            ..StaticAlias::default()
        };
        host.statics = [("/source.txt", "app/app.py"), ("/hooks", ".git"), ("/files", "")].map(alias).into();
        host.statics.push(StaticAlias { regex: true, ..alias(("^/m/(.*)$", "matched/$1")) });
    });
    let table: &[(u16, &[&str])] = &[
        (
            403,
            &[
                "/.htaccess",
                "/.HTACCESS",
                "/%2ehtaccess",
                "/.ht%61ccess",
                "/.htnothing",
                "/.git/config",
                "/.git",
                "/.git/",
                "/.GIT/config",
                "/x/../.git/config",
                "//.git//config",
                "/.env",
                "/.env/",
                "/.env.local",
                "/.svn/entries",
                "/.hg",
                "/history/config",
                "/settings.txt",
                "/download.txt",
                "/hard.txt",
                "/other.wsgi",
                "/scripts/one.py",
                "/site.conf",
                "/own/admin.token",
                "/files/app/app.py",
                "/files/.git/config",
                "/source.txt",
                "/deep.py",
                "/patterns/one.py",
                "/named/one.xyz",
                "/matched/one.py",
                "/matched/one.css",
                "/users",
                "/groups",
                "/allow.script",
            ],
        ),
        (
            200,
            &[
                "/.well-known/security.txt",
                "/.gitignore",
                "/page.html",
                "/link.html",
                "/module.py",
                "/scripts/one.css",
                "/named/one.css",
                "/hooks/config",
                "/files/page.html",
            ],
        ),
        (404, &["/none.wsgi", "/none.py", "/history/none"]),
    ];
    for (status, paths) in table {
        for path in *paths {
            let mut client = front.client();
            client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
            assert_eq!(client.answer().status, *status, "{path}");
        }
    }
}

/// Reported: `<Directory /srv/www/private>` closed the files of a directory but not its index at `/private/`, and told that it is
/// there. Met wherever a folder of a `DocumentRoot` is closed.
#[test]
fn a_closed_directory_is_closed_itself() {
    let tree = tempfile::tempdir().unwrap();
    std::fs::create_dir(tree.path().join("private")).unwrap();
    std::fs::write(tree.path().join("private/index.html"), "text").unwrap();
    let front = Running::start(|site| {
        let host = &mut site.hosts[0];
        host.mounts.clear();
        host.document_root = Some(tree.path().to_owned());
        let set = SettingsPatch { access: Access::denied(), ..Default::default() };
        let scope = Scope::Directory(tree.path().join("private").display().to_string());
        host.sections = vec![Section { scope, within: None, around: Vec::new(), set }];
    });
    for (path, status) in
        [("/private", 403), ("/private/", 403), ("/private/index.html", 403), ("/other/", 404)]
    {
        let mut client = front.client();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(client.answer().status, status, "{path}");
    }
}

#[test]
fn the_first_index_file_stands_for_a_directory() {
    let tree = tempfile::tempdir().unwrap();
    std::fs::create_dir(tree.path().join("sub")).unwrap();
    std::fs::write(tree.path().join("home.txt"), "home").unwrap();
    std::fs::write(tree.path().join("sub/index.html"), "sub").unwrap();
    let front = Running::start(|site| {
        let host = &mut site.hosts[0];
        host.mounts.clear();
        host.document_root = Some(tree.path().to_owned());
        host.base.directory_index = vec!["home.txt".into(), "index.html".into()];
    });
    for (path, status, body) in
        [("/", 200, "home"), ("/sub/", 200, "sub"), ("/sub", 301, ""), ("/home.txt/", 404, "")]
    {
        let mut client = front.client();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let answer = client.answer();
        assert_eq!(answer.status, status, "{path}");
        assert!(body.is_empty() || answer.body == body.as_bytes(), "{path}");
    }
}

/// Bytes, ranges and lengths of a body of several parts.
#[test]
fn several_parts_of_a_file() {
    let tree = tempfile::tempdir().unwrap();
    let long: Vec<u8> = (0..400_000u32).map(|n| (n % 251) as u8).collect();
    std::fs::write(tree.path().join("long.bin"), &long).unwrap();
    std::fs::write(tree.path().join("ten.txt"), "0123456789").unwrap();
    let front = Running::start(|site| {
        site.hosts[0].mounts.clear();
        site.hosts[0].document_root = Some(tree.path().to_owned());
    });
    let mut client = front.client();
    for (path, ranges, parts) in [
        ("/ten.txt", "0-1,4-5,8-", vec![(0, 1), (4, 5), (8, 9)]),
        ("/long.bin", "0-299999,399990-", vec![(0, 299_999), (399_990, 399_999)]),
    ] {
        let whole = if path == "/ten.txt" { b"0123456789".to_vec() } else { long.clone() };
        // The second answer comes from a file that was served a moment ago.
        for _ in 0..2 {
            client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\nRange: bytes={ranges}\r\n\r\n"));
            let answer = client.answer();
            assert_eq!(answer.status, 206);
            let media_type = answer.header("content-type").unwrap().to_owned();
            let boundary = media_type.strip_prefix("multipart/byteranges; boundary=").unwrap();
            let mut want = Vec::new();
            for (first, last) in &parts {
                let kind =
                    if path == "/ten.txt" { "text/plain; charset=utf-8" } else { "application/octet-stream" };
                let head = format!(
                    "\r\n--{boundary}\r\nContent-Type: {kind}\r\nContent-Range: bytes {first}-{last}/{}\r\n\r\n",
                    whole.len()
                );
                want.extend_from_slice(head.as_bytes());
                want.extend_from_slice(&whole[*first..=*last]);
            }
            want.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
            assert_eq!(answer.header("content-length"), Some(&*want.len().to_string()));
            assert!(answer.body == want, "{path}");
        }
    }
    client.send("GET /long.bin HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(client.answer().body == long);
}

/// A file that is served again and again is looked at again and again.
#[test]
fn a_file_that_changes_is_served_as_it_is() {
    let tree = tempfile::tempdir().unwrap();
    let path = tree.path().join("a.txt");
    let front = Running::start(|site| {
        site.hosts[0].mounts.clear();
        site.hosts[0].document_root = Some(tree.path().to_owned());
    });
    let mut client = front.client();
    let mut get = |status: u16, want: &str| {
        client.send("GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = client.answer();
        assert_eq!(answer.status, status);
        assert!(status != 200 || answer.text() == want, "{want}");
    };
    get(404, "");
    for n in 0..20 {
        let text = format!("text {n}");
        // In place, and another file under the name.
        if n % 2 == 0 {
            std::fs::write(&path, &text).unwrap();
        } else {
            std::fs::write(tree.path().join("new"), &text).unwrap();
            std::fs::rename(tree.path().join("new"), &path).unwrap();
        }
        get(200, &text);
        get(200, &text);
    }
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("none", &path).unwrap();
    get(403, "");
    std::fs::remove_file(&path).unwrap();
    get(404, "");
}

/// Reported: `style.css.gz` beside `style.css` was not used. Met by everybody who compresses files when the site is built.
#[test]
fn compressed_neighbours() {
    let tree = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str, age: u64| {
        let path = tree.path().join(name);
        std::fs::write(&path, text).unwrap();
        let then = std::time::SystemTime::now() - std::time::Duration::from_secs(age);
        std::fs::File::open(&path).unwrap().set_modified(then).unwrap();
    };
    for (name, age) in
        [("a.css", 60), ("a.css.br", 60), ("a.css.gz", 50), ("old.css", 60), ("old.css.gz", 90)]
    {
        put(name, name, age);
    }
    put("none.css", "none.css", 60);
    put("shut.css", "shut.css", 60);
    put("shut.css.gz", "shut.css.gz", 60);
    let front = Running::start(|site| {
        let host = &mut site.hosts[0];
        host.mounts.clear();
        host.document_root = Some(tree.path().to_owned());
        host.base.served.add_precompressed(&["br", "gzip"]).unwrap();
        let set = SettingsPatch { access: Access::denied(), ..SettingsPatch::default() };
        let scope = Scope::Files("shut.css.gz".into());
        host.sections = vec![Section { scope, within: None, around: Vec::new(), set }];
    });
    let mut client = front.client();
    for (path, accept, body, encoding, varies) in [
        ("/a.css", "", "a.css", None, true),
        ("/a.css", "gzip, deflate, br", "a.css.br", Some("br"), true),
        ("/a.css", "gzip", "a.css.gz", Some("gzip"), true),
        ("/a.css", "br;q=0.1, gzip", "a.css.gz", Some("gzip"), true),
        ("/a.css", "br;q=0, identity", "a.css", None, true),
        ("/old.css", "gzip", "old.css", None, false),
        ("/none.css", "gzip", "none.css", None, false),
        ("/shut.css", "gzip", "shut.css", None, false),
    ] {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {accept}\r\n\r\n"));
        let answer = client.answer();
        let seen = (answer.status, answer.text(), answer.header("content-encoding"));
        assert_eq!(seen, (200, body.to_owned(), encoding), "{path} {accept}");
        assert_eq!(answer.header("content-type"), Some("text/css; charset=utf-8"));
        assert_eq!(answer.header("vary").is_some(), varies, "{path} {accept}");
        let tag = answer.header("etag").unwrap().to_owned();
        let suffix = format!("-{}\"", encoding.unwrap_or("none"));
        assert_eq!(tag.ends_with(&suffix), encoding.is_some(), "{tag}");
        client.send(format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {accept}\r\nIf-None-Match: {tag}\r\n\r\n"
        ));
        let again = client.answer();
        assert_eq!((again.status, again.header("vary").is_some()), (304, varies), "{path} {accept}");
        client.send(format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {accept}\r\nRange: bytes=0-0\r\nIf-Range: {tag}\r\n\r\n"
        ));
        let part = client.answer();
        assert_eq!((part.status, part.text()), (206, body[..1].to_owned()), "{path} {accept}");
        assert_eq!(part.header("content-encoding"), encoding);
    }
}

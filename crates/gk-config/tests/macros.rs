//! `<Macro>` and `Use`, and the other sections that are decided while reading.

use gk_config::diagnostic::Diagnostic;
use gk_config::site::Site;
use gk_config::source::Memory;
use gk_config::{Surroundings, load};

fn read(text: &str) -> Result<(Site, Vec<Diagnostic>), Vec<Diagnostic>> {
    let surroundings = Surroundings { directory: "/srv".into(), ..Surroundings::default() };
    load("a.conf".as_ref(), &Memory::new().with("/srv/a.conf", text), &surroundings).into_result()
}

/// The variables of all hosts.
fn variables(text: &str) -> Vec<String> {
    let (site, _) = read(text).unwrap_or_else(|said| panic!("{text}: {said:?}"));
    let all = site.hosts.iter().flat_map(|host| host.base.env.iter());
    all.map(|(name, value)| format!("{name}={value}")).collect()
}

/// The first error: line, column and message.
fn mistake(text: &str) -> String {
    let said = read(text).expect_err(text);
    let error = said.iter().find(|said| said.severity == gk_config::diagnostic::Severity::Error).expect(text);
    assert_eq!(error.file, "/srv/a.conf");
    format!("{}:{} {}", error.line, error.column, error.message)
}

#[test]
fn macros_are_put_where_they_are_used() {
    let table: &[(&str, &[&str])] = &[
        ("<Macro Env $a $ab>\nSetEnv $a $ab-$a\n</Macro>\nUse env X \"1\"\nUSE ENV Y 2", &["X=1-X", "Y=2-Y"]),
        ("<Macro M>\n<Macro N %v>\nSetEnv a %v\n</Macro>\n</Macro>\nUse M\nUse N 1", &["a=1"]),
        ("<Macro One $x>\nSetEnv $x 1\n</Macro>\n<Macro Two $x>\nUse One $x\n</Macro>\nUse Two B", &["B=1"]),
        ("<Macro M $s>\n<$s DEFINED>\nSetEnv a 1\n</$s>\n</Macro>\nDefine DEFINED\nUse M IfDefine", &["a=1"]),
        (
            "<Macro M $v>\nSetEnv a \"$v\"\n</Macro>\n<VirtualHost *:80>\nUse M \"x y\"\n</VirtualHost>\nListen 80",
            &["a=x y"],
        ),
        ("Define D d\n<Macro M $v>\nSetEnv a ${D}$v\n</Macro>\nUse M 1", &["a=d1"]),
        ("<Macro M>\nSetEnv a 1\n</Macro>\n<Macro m>\nSetEnv a 2\n</Macro>\nUse M", &["a=2"]),
        ("<Macro M $v>\nSetEnv a \\\n  $v\n</Macro>\nUse M 1", &["a=1"]),
        ("<Macro M>\n</Macro>\nUse M", &[]),
    ];
    for (text, wanted) in table {
        assert_eq!(variables(text), *wanted, "{text}");
    }
}

#[test]
fn errors_name_the_macro_and_its_use() {
    let table: &[(&str, &str)] = &[
        (
            "<Macro M $a>\n  Foo $a\n</Macro>\n\nUse M x",
            "2:3 `Foo` is not a directive that is known here (in the macro `M`, used at /srv/a.conf:5)",
        ),
        (
            "<Macro M>\nKeepAlive Maybe\n</Macro>\n<Macro N>\nUse M\n</Macro>\nUse N",
            "2:11 KeepAlive takes On or Off, not `Maybe` (in the macro `M`, used at /srv/a.conf:5)",
        ),
        ("<Macro M $a>\n</Macro>\nUse M", "3:5 the macro `M` takes 1 values, not 0"),
        ("Use N", "1:5 no macro `N` is defined above this line"),
        ("<Macro M>\n</Macro>\nUndefMacro M\nUse M", "4:5 no macro `M` is defined above this line"),
        ("UndefMacro Q", "1:12 no macro `Q` is defined above this line"),
        (
            "<Macro M>\nUse M\n</Macro>\nUse M",
            "2:5 the macro `M` uses itself (in the macro `M`, used at /srv/a.conf:4)",
        ),
        ("<Macro>\n</Macro>", "1:2 <Macro> takes a name, and the names of parameters"),
        ("<Macro M $a $a>\n</Macro>", "1:13 the parameter `$a` of the macro `M` stands twice or is empty"),
        ("<Macro M>\nListen 1", "1:2 the section <Macro> is never closed in this file"),
        (
            "<Macro M>\n<Location /x>\n</Macro>\nUse M",
            "2:2 the section <Location> is never closed in this file (in the macro `M`, used at /srv/a.conf:4)",
        ),
    ];
    for (text, wanted) in table {
        assert_eq!(mistake(text), *wanted, "{text}");
    }
}

#[test]
fn macros_do_not_grow_beyond_measure() {
    let mut text = "<Macro M0>\nSetEnv a 1\n</Macro>\n".to_owned();
    for level in 1..12 {
        let uses = format!("Use M{}\n", level - 1).repeat(10);
        text.push_str(&format!("<Macro M{level}>\n{uses}</Macro>\n"));
    }
    text.push_str("Use M11");
    assert!(mistake(&text).contains("more than 50000 lines"));
    let long = format!("<Macro M $a>\nSetEnv a {}\n</Macro>\nUse M {}", "$a".repeat(1000), "x".repeat(1000));
    assert!(mistake(&long).contains("grows beyond"));
}

#[test]
fn sections_ask_for_directives_and_sections() {
    let asks = |section: &str, argument: &str| {
        variables(&format!("<{section} {argument}>\nSetEnv a 1\n</{section}>")) == ["a=1"]
    };
    assert!(asks("IfDirective", "wsgiscriptalias") && !asks("IfDirective", "!WSGIScriptAlias"));
    assert!(asks("IfDirective", "!NoSuchThing") && !asks("IfDirective", "NoSuchThing"));
    assert!(
        asks("IfSection", "VirtualHost")
            && asks("IfSection", "!Nothing")
            && !asks("IfSection", "<VirtualHost>")
    );
    assert!(asks("IfModule", "mod_rewrite.c") && asks("IfModule", "macro_module"));
    assert!(asks("IfFile", "a.conf") && !asks("IfFile", "b.conf"));
}

#[test]
fn conditional_sections_are_read() {
    let text = "<Location /x>\n<If \"%{HTTPS} == 'on'\">\nSetEnv a 1\n</If>\n<Else>\nSetEnv a 2\n</Else>\n</Location>\n<If \"true\">\nSetEnv b 1\n</If>";
    let (site, _) = read(text).unwrap();
    let shown: Vec<_> = site.hosts[0]
        .sections
        .iter()
        .map(|section| (section.around.len(), section.set.env.is_some()))
        .collect();
    assert_eq!(shown, [(0, false), (0, true), (1, true), (1, true)]);
    let table: &[(&str, &str)] = &[
        (
            "<If \"%{HTTPS} = \">\n</If>",
            "1:5 the expression `%{HTTPS} = ` is not understood: it ends where a word is expected",
        ),
        ("<Else>\n</Else>", "1:2 <Else> has no <If> above it in the same scope"),
        (
            "<If \"true\">\n</If>\n<Else>\n</Else>\n<ElseIf \"true\">\n</ElseIf>",
            "5:2 <ElseIf> has no <If> above it in the same scope",
        ),
        (
            "<If \"true\">\n<Location /x>\n</Location>\n</If>",
            "2:2 <Location> is not allowed inside a directory, files or location section",
        ),
        ("RewriteEngine On\nRewriteRule ^/a /b [R,XYZ]", "2:20 RewriteRule has no flag `XYZ`"),
        ("RewriteRule ^/(.*) /${low:$1}", "1:20 no RewriteMap `low` is defined above this line"),
        ("RewriteBase /x", "1:1 RewriteBase is not allowed outside of a section"),
    ];
    for (text, wanted) in table {
        assert_eq!(mistake(text), *wanted, "{text}");
    }
}

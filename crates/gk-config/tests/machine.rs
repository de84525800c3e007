//! What a configuration expects of the machine: warnings where it is not there, and nothing where the machine is not known.

use gk_config::diagnostic::Severity;
use gk_config::source::Memory;
use gk_config::{Loaded, Machine, Surroundings, load_text};

fn read(text: &str, machine: bool) -> Loaded {
    let machine =
        machine.then_some(Machine { cpus: 6, user: |name| name == "www", group: |name| name == "web" });
    let around = Surroundings { directory: "/srv".into(), machine, ..Surroundings::default() };
    let files = Memory::new().with("/srv/x.wsgi", "").with("/var/log/x", "").with("/venv/bin/python3", "");
    load_text("site.conf", text, &files, &around)
}

/// Reported: `check` called these honoured, and `serve` refused them or answered only with 404. Met with a file that comes from
/// another machine.
#[test]
fn what_is_not_there_is_a_warning_with_place_and_remedy() {
    for (text, column, message, hint) in [
        ("WSGIScriptAlias / /gone/x.wsgi", 19, "there is no script /gone/x.wsgi", "answered 404"),
        ("WSGIScriptAlias /d /gone/", 20, "there is no script /gone/", "answered 404"),
        (
            "WSGIDaemonProcess a\nWSGIImportScript y.wsgi process-group=a application-group=b",
            18,
            "there is no script /srv/y.wsgi",
            "`serve` ends without it",
        ),
        (
            "WSGIDaemonProcess a\nWSGIScriptAlias / y.wsgi process-group=a application-group=b",
            19,
            "there is no script /srv/y.wsgi",
            "`serve` ends without it",
        ),
        ("WSGIHandlerScript x y.wsgi", 21, "there is no script /srv/y.wsgi", "answered 404"),
        ("WSGIDispatchScript y.wsgi", 20, "there is no script /srv/y.wsgi", "requests it decides about fail"),
        ("CustomLog /var/nolog/a.log combined", 11, "there is no folder /var/nolog", "mkdir -p /var/nolog"),
        ("TransferLog logs/a.log", 13, "there is no folder /srv/logs", "mkdir"),
        ("ErrorLog /var/nolog/e.log", 10, "there is no folder /var/nolog", "mkdir"),
        ("WSGIPythonHome /gone", 16, "/gone holds no bin/python", "python3 -m venv /gone"),
        ("WSGIDaemonProcess a python-home=/gone", 21, "/gone holds no bin/python", "python3 -m venv"),
        ("WSGIDaemonProcess a home=/gone", 21, "there is no folder /gone", "mkdir -p /gone, or name another"),
        ("WSGIDaemonProcess a home=/srv/x.wsgi", 21, "there is no folder /srv/x.wsgi", "no worker starts"),
        ("WSGIDaemonProcess a user=nosuch", 21, "there is no user `nosuch`", "useradd"),
        ("WSGIDaemonProcess a group=nosuch", 21, "there is no group `nosuch`", "groupadd"),
        ("WSGIDaemonProcess a supplementary-groups=web,nosuch", 21, "there is no group `nosuch`", "groupadd"),
        ("User nosuch", 6, "there is no user `nosuch`", "useradd"),
        ("Group nosuch", 7, "there is no group `nosuch`", "groupadd"),
    ] {
        let loaded = read(text, true);
        assert!(loaded.site.is_some(), "{text}");
        let said = &loaded.diagnostics;
        let found = said.iter().find(|d| d.message.contains(message));
        let found = found.unwrap_or_else(|| panic!("{text}: {said:#?}"));
        assert_eq!((found.severity, found.column), (Severity::Warning, column), "{text}");
        assert!(found.hint.as_deref().is_some_and(|said| said.contains(hint)), "{found:?}");
        assert!(!read(text, false).diagnostics.iter().any(|d| d.message == found.message), "{text}");
    }
}

#[test]
fn what_is_there_or_needs_no_name_is_not_mentioned() {
    let text = "User www\nGroup web\nErrorLog /var/log/e\nCustomLog - common\nWSGIPythonHome /venv\n\
                WSGIDaemonProcess a user=#33 group=#33 supplementary-groups=web python-home=/venv\n\
                WSGIDaemonProcess b home=/srv\nWSGIDaemonProcess c home=/var/log\nWSGIDaemonProcess d home=/gone chroot=/venv\n\
                WSGIScriptAlias / x.wsgi/rest\nWSGIScriptAlias /d /srv/\nWSGIScriptAliasMatch ^/m/(.*) /gone/$1\n\
                WSGIScriptAlias /m module:a.b\n<VirtualHost *>\nErrorLog /var/log/h\n</VirtualHost>\n";
    let said = read(text, true).diagnostics;
    let missing: Vec<_> = said.iter().filter(|d| d.message.contains("machine")).map(|d| &d.message).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn auto_is_a_process_for_each_cpu() {
    for (options, known, processes) in [
        ("processes=auto", true, 6),
        ("processes=AUTO threads=3", true, 6),
        ("processes=auto interpreters=4", true, 2),
        ("processes=auto interpreters=8", true, 1),
        ("processes=auto", false, 1),
        ("processes=2", true, 2),
        ("threads=5", true, 1),
    ] {
        let loaded = read(&format!("WSGIDaemonProcess a {options}"), known);
        let group = &loaded.site.unwrap().groups[0];
        assert_eq!(group.processes, processes, "{options}, known: {known}");
        assert_eq!(group.multiprocess, options.contains("processes"), "{options}");
    }
}

//! Embedded mode and several fronts: which group speaks HTTP itself, and the options it has.

#![allow(clippy::unwrap_used, reason = "a test may panic with the place")]

use gk_config::diagnostic::Severity;
use gk_config::site::Site;
use gk_config::source::Memory;
use gk_config::{Loaded, Surroundings, load_text};

fn read(text: &str) -> Loaded {
    let surroundings = Surroundings { directory: "/etc/site".into(), ..Surroundings::default() };
    load_text("site.conf", text, &Memory::new(), &surroundings)
}

fn site(text: &str) -> Site {
    read(text).into_result().unwrap_or_else(|said| panic!("{said:#?}")).0
}

#[test]
fn the_embedded_process_is_the_first_group() {
    let site = site("WSGIDaemonProcess a\nWSGIProcessGroup %{GLOBAL}\nWSGIRestrictProcess %{GLOBAL} b\n");
    let base = &site.hosts[0].base;
    assert_eq!(base.process_group.as_deref(), Some("a"));
    assert_eq!(base.restrict_process.as_deref(), Some(&["a".to_owned(), "b".to_owned()][..]));
    for selector in ["process-group=%{GLOBAL}", "process-group="] {
        let loaded = read(&format!(
            "WSGIDaemonProcess a\nWSGIDaemonProcess b\n<WSGIInterpreterOptions {selector}>\nWSGISwitchInterval 0.04\n\
             </WSGIInterpreterOptions>\n"
        ));
        assert_eq!(loaded.diagnostics.iter().filter_map(|d| d.code).collect::<Vec<_>>(), ["GK0001"]);
        let site = loaded.site.unwrap();
        assert_eq!(["a", "b"].map(|group| site.switch_interval(group)), [Some(0.04), None]);
    }
}

/// Found by hand: three threads became fifteen, and nobody was told.
#[test]
fn options_of_an_earlier_embedded_line_are_told_as_lost() {
    let second = "GilkeeperEmbedded On threads=3\nGilkeeperEmbedded";
    for (text, told) in [
        (format!("{second} On processes=2\n"), true),
        (format!("{second} On\n"), true),
        (format!("{second} Off\n"), false),
        (format!("GilkeeperEmbedded On\n{}\n", second.lines().next().unwrap()), false),
    ] {
        let said = read(&text).diagnostics;
        let lines: Vec<_> = said.iter().map(|d| (d.severity, d.line)).collect();
        assert_eq!(lines == [(Severity::Warning, 2)], told, "{text}{said:#?}");
    }
}

#[test]
fn embedded_mode_is_asked_for() {
    let words = "StartServers 3\nThreadsPerChild 7\nMaxRequestsPerChild 1000\n";
    let counts = |text: &str| {
        let site = site(text);
        let group = &site.groups[0];
        (site.embedded, group.processes, group.threads, group.maximum_requests)
    };
    let cases = [
        ("", (false, 1, 15, 0)),
        ("GilkeeperEmbedded On", (true, 3, 7, 1000)),
        ("GilkeeperEmbedded On\nWSGIProcessGroup %{GLOBAL}", (true, 3, 7, 1000)),
        ("GilkeeperEmbedded Off", (false, 1, 15, 0)),
        ("GilkeeperEmbedded On\nWSGIDaemonProcess a threads=2", (true, 1, 2, 0)),
        ("WSGIRestrictEmbedded On\nGilkeeperEmbedded Off", (false, 1, 15, 0)),
        ("GilkeeperEmbedded On processes=1 threads=15", (true, 1, 15, 1000)),
        ("GilkeeperEmbedded On maximum-requests=5", (true, 3, 7, 5)),
    ];
    for (text, wanted) in cases {
        // Apache's words stand before and after.
        assert_eq!(counts(&format!("{text}\n{words}")), wanted, "{text}");
        assert_eq!(counts(&format!("{words}{text}\n")), wanted, "{text}");
        let loaded = read(&format!("{words}{text}\n"));
        assert!(loaded.diagnostics.iter().all(|d| d.code.is_none()), "{:?}", loaded.diagnostics);
    }
    let refused = [
        ("WSGIRestrictEmbedded On", "WSGIRestrictEmbedded forbids embedded mode"),
        ("WSGIDaemonProcess a\nWSGIDaemonProcess b", "makes the one process group embedded"),
        ("WSGIDaemonProcess a user=#1000", "user= is for daemon mode"),
        ("WSGIDaemonProcess a chroot=/srv", "chroot= is for daemon mode"),
        ("StartServers many", "StartServers"),
        ("GilkeeperFronts 2", "each process of embedded mode is a front"),
        ("GilkeeperEmbedded On thread=2", "GilkeeperEmbedded has no option `thread`"),
        ("GilkeeperEmbedded On threads", "an option of GilkeeperEmbedded is written key=value"),
        ("GilkeeperEmbedded On threads=0", "GilkeeperEmbedded takes no threads=0"),
        ("GilkeeperEmbedded On maximum-requests-jitter=2", "needs maximum-requests="),
        ("GilkeeperEmbedded On chroot=/srv", "chroot= is for daemon mode"),
        ("GilkeeperEmbedded Off threads=2", "GilkeeperEmbedded Off takes no options"),
        (
            "GilkeeperEmbedded On threads=2\nWSGIDaemonProcess a",
            "the embedded group `a` is declared by WSGIDaemonProcess",
        ),
        ("GilkeeperLazyImports never", "GilkeeperLazyImports takes one of eager, application, not `never`"),
    ];
    for (text, wanted) in refused {
        let loaded = read(&format!("GilkeeperEmbedded On\n{text}\n"));
        assert!(loaded.site.is_none(), "{text}");
        assert!(
            loaded.diagnostics.iter().any(|d| d.message.contains(wanted)),
            "{text}: {:?}",
            loaded.diagnostics
        );
    }
}

#[test]
fn the_embedded_group_stands_beside_declared_ones() {
    let text = "GilkeeperEmbedded Beside\nStartServers 3\nThreadsPerChild 7\nWSGIDaemonProcess a\nWSGIDaemonProcess b\n\
                WSGIScriptAlias /a /srv/a.wsgi process-group=a\nWSGIScriptAlias / /srv/b.wsgi process-group=%{GLOBAL}\n";
    let site = site(text);
    let groups: Vec<_> = site.groups.iter().map(|g| (&*g.name, g.embedded, g.processes, g.threads)).collect();
    assert_eq!(groups, [("global", true, 3, 7), ("a", false, 1, 15), ("b", false, 1, 15)]);
    let mounts: Vec<_> = site.hosts[0].mounts.iter().map(|mount| mount.process_group.as_deref()).collect();
    assert_eq!(mounts, [Some("a"), Some("global")]);
    // Alone it is as with `On`.
    let alone = self::site("GilkeeperEmbedded Beside\nStartServers 2\n");
    let groups: Vec<_> = alone.groups.iter().map(|g| (&*g.name, g.embedded, g.processes)).collect();
    assert_eq!(groups, [("default", true, 2)]);
    let taken = read("GilkeeperEmbedded Beside\nWSGIDaemonProcess global\n");
    assert!(
        taken.diagnostics.iter().any(|d| d.message.contains("`global` is the name of the process group"))
    );
}

/// Reported: in embedded mode without WSGIDaemonProcess, and beside daemon groups, most options could not be given.
#[test]
fn the_embedded_group_has_the_options_of_a_declared_one() {
    let options = "request-timeout=9 utf8-mode=off display-name=%{GROUP} header-buffer-size=0";
    for (text, name) in [
        (format!("GilkeeperEmbedded On {options}\n"), "default"),
        (format!("GilkeeperEmbedded Beside {options}\nWSGIDaemonProcess a\n"), "global"),
    ] {
        let site = site(&text);
        let group = &site.groups[0];
        assert_eq!((&*group.name, group.embedded, group.request_timeout), (name, true, 9.0));
        assert_eq!(group.utf8_mode.as_deref(), Some("off"));
        assert_eq!(group.display_name, Some(format!("(wsgi:{name})")));
        assert_eq!(group.header_buffer_size, 32_768);
        assert!(site.groups[1..].iter().all(|group| group.request_timeout == 0.0));
    }
}

#[test]
fn lazy_imports_are_set_for_all_groups_or_for_one() {
    let laziness = |text: &str| {
        let site = site(text);
        let each = site.groups.iter().map(|group| format!("{} {}", group.name, group.lazy_imports));
        each.collect::<Vec<_>>().join(", ")
    };
    for (text, wanted) in [
        ("", "default eager"),
        ("GilkeeperLazyImports Application", "default application"),
        ("GilkeeperEmbedded On\nGilkeeperLazyImports application", "default application"),
        ("GilkeeperLazyImports application\nGilkeeperEmbedded On lazy-imports=eager", "default eager"),
        (
            "GilkeeperLazyImports application\nWSGIDaemonProcess a\nWSGIDaemonProcess b lazy-imports=eager",
            "a application, b eager",
        ),
        (
            "GilkeeperEmbedded Beside lazy-imports=application\nWSGIDaemonProcess a\nWSGIDaemonProcess b",
            "global application, a eager, b eager",
        ),
        // The last one counts, as everywhere.
        ("GilkeeperLazyImports application\nGilkeeperLazyImports eager", "default eager"),
    ] {
        assert_eq!(laziness(&format!("{text}\n")), wanted, "{text}");
    }
}

#[test]
fn fronts_are_a_group_of_their_own() {
    let fronts = |text: &str| {
        let site = site(text);
        let groups = site.groups.iter().map(|g| (g.name.clone(), g.embedded, g.processes));
        (site.embedded, groups.collect::<Vec<_>>())
    };
    let one = (false, vec![("default".to_owned(), false, 1)]);
    assert_eq!(fronts("GilkeeperFronts 1"), one);
    // The machine is not known here.
    assert_eq!(fronts("GilkeeperFronts auto"), one);
    let several = fronts("GilkeeperFronts 3\nWSGIDaemonProcess a processes=2");
    assert_eq!(several, (true, vec![("a".to_owned(), false, 2), ("fronts".to_owned(), true, 3)]));
    for (text, wanted) in [
        ("GilkeeperFronts none", "GilkeeperFronts"),
        ("GilkeeperFronts 0", "GilkeeperFronts"),
        ("GilkeeperFronts 2\nWSGIDaemonProcess fronts", "`fronts` is the name of the process group"),
        ("GilkeeperEmbedded On\nWSGIDaemonProcess fronts", "`fronts` is the name of the process group"),
        (
            "GilkeeperFronts 3\nGilkeeperMaxConnectionsPerAddress 50",
            "GilkeeperMaxConnectionsPerAddress 50 allows one address up to 150 connections",
        ),
        ("GilkeeperFronts 4\nGilkeeperMaxConnections 2", "GilkeeperMaxConnections 2 allows 4"),
    ] {
        let loaded = read(text);
        assert!(
            loaded.diagnostics.iter().any(|d| d.message.contains(wanted)),
            "{text}: {:?}",
            loaded.diagnostics
        );
    }
}

/// Reported: an application could be put into the fronts, where it took the connections of all groups with it when it crashed.
#[test]
fn fronts_run_no_application() {
    let group = "`fronts` is the process group that GilkeeperFronts adds: its processes speak HTTP and run no application";
    for (text, at) in [
        ("WSGIProcessGroup fronts", (3, 18)),
        ("WSGIScriptAlias / /srv/a.wsgi process-group=fronts application-group=b", (3, 31)),
        ("WSGIImportScript /srv/a.wsgi process-group=fronts application-group=b", (3, 30)),
    ] {
        let loaded = read(&format!("GilkeeperFronts 2\nWSGIDaemonProcess a\n{text}\n"));
        assert!(loaded.site.is_none(), "{text}");
        let errors = loaded.diagnostics.iter().filter(|d| d.severity == Severity::Error);
        let said: Vec<_> = errors.map(|d| (&*d.message, (d.line, d.column))).collect();
        assert_eq!(said, [(group, at)], "{text}");
        // With one front it is a name like any other.
        let one = read(&format!("WSGIDaemonProcess fronts\n{text}\n"));
        assert!(one.site.is_some(), "{:?}", one.diagnostics);
    }
}

#[test]
fn a_wrong_option_of_the_embedded_group_is_where_it_stands() {
    for (text, column) in [
        ("GilkeeperEmbedded On processes=2 user=nobody", 34),
        ("GilkeeperEmbedded On chroot=/srv threads=3", 22),
        ("GilkeeperEmbedded On processes=2 threads=0", 34),
        ("GilkeeperEmbedded Maybe threads=0", 19),
    ] {
        let errors = read(&format!("{text}\n")).diagnostics;
        let columns: Vec<_> =
            errors.iter().filter(|d| d.severity == Severity::Error).map(|d| d.column).collect();
        assert_eq!(columns, [column], "{errors:?}");
    }
    let said = &read("GilkeeperEmbedded Maybe\n").diagnostics[0];
    assert_eq!(said.message, "GilkeeperEmbedded takes one of On, Off, Beside, not `Maybe`");
}

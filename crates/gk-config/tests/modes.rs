//! Every message about GIL modes and switch intervals, with the configuration and the Python that provoke it. What only a
//! running worker can notice (GK0011) is tested in `tests/whole`.

#![allow(clippy::unwrap_used, reason = "a test may panic with the place")]

use gk_config::source::Memory;
use gk_config::{Loaded, PythonBuild, Pythons, Surroundings, codes, load_text};

/// Reads a configuration whose groups run `3.11`, `3.14` or `3.14t`: as their `python=` says, else the given one.
fn read(python: &str, text: &str) -> Loaded {
    read_with(python, text, &[])
}

/// The same in an environment.
fn read_with(python: &str, text: &str, environment: &[(&str, &str)]) -> Loaded {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let default = python.to_owned();
    let pythons = Pythons::new(move |group| {
        let named =
            group.python.as_deref().and_then(|p| p.file_name()).map(|n| n.to_string_lossy().into_owned());
        let name = named.as_deref().unwrap_or(&default);
        let minor = name.trim_start_matches("3.").trim_end_matches('t').parse().ok()?;
        Some(PythonBuild { minor, free_threaded: name.ends_with('t') })
    });
    let environment = environment.collect();
    let surroundings =
        Surroundings { directory: "/srv".into(), pythons, environment, ..Surroundings::default() };
    load_text("site.conf", text, &Memory::new(), &surroundings)
}

/// `CODE line`, in the order of the file.
fn said(python: &str, text: &str) -> Vec<String> {
    let loaded = read(python, text);
    let coded = loaded.diagnostics.iter().filter_map(|d| Some(format!("{} {}", d.code?, d.line)));
    coded.collect()
}

const GROUP: &str = "WSGIDaemonProcess a\n";
const MAIN: &str = "WSGIScriptAlias / /srv/x.py process-group=a application-group=%{GLOBAL}\n";

#[test]
fn each_code_has_its_configuration() {
    let block = |selectors: &str, inside: &str| {
        format!("{GROUP}<WSGIInterpreterOptions {selectors}>\n{inside}\n</WSGIInterpreterOptions>\n")
    };
    let top = |line: &str| format!("{GROUP}{line}\n");
    let cases: Vec<(&str, String, &[&str])> = vec![
        // Own GILs before 3.12; an explicit Off asks for nothing.
        ("3.11", top("WSGIPerInterpreterGIL On"), &["WSGI0198 2"]),
        ("3.11", block("application-group=x", "WSGIPerInterpreterGIL On"), &["WSGI0198 3"]),
        ("3.11", top("WSGIPerInterpreterGIL Off"), &[]),
        ("3.12", top("WSGIPerInterpreterGIL On"), &[]),
        // A switch interval of one application group.
        ("3.14", block("application-group=x", "WSGISwitchInterval 0.001"), &["WSGI0199 3"]),
        ("3.14", block("application-group=x", "WSGIPerInterpreterGIL On\nWSGISwitchInterval 0.001"), &[]),
        ("3.14", block("application-group=%{GLOBAL}", "WSGISwitchInterval 0.001"), &[]),
        ("3.14", block("process-group=a", "WSGISwitchInterval 0.001"), &[]),
        (
            "3.11",
            block("application-group=x", "WSGIPerInterpreterGIL On\nWSGISwitchInterval 0.001"),
            &["WSGI0198 3", "WSGI0199 4"],
        ),
        // No GIL on a build that needs one.
        ("3.14", top("WSGIFreeThreading On"), &["WSGI0200 2"]),
        ("3.14", block("process-group=a", "WSGIFreeThreading On"), &["WSGI0200 3"]),
        ("3.14", "WSGIDaemonProcess a free-threading=on\n".into(), &["WSGI0200 1"]),
        ("3.14", "WSGIDaemonProcess a free-threading=off\nWSGIFreeThreading On\n".into(), &[]),
        ("3.14t", top("WSGIFreeThreading On"), &[]),
        ("3.14", "WSGIDaemonProcess a python=/p/3.14t free-threading=required\n".into(), &[]),
        // It concerns processes.
        ("3.14t", block("application-group=x", "WSGIFreeThreading On"), &["WSGI0201 3"]),
        // What has no meaning without a GIL.
        ("3.14t", top("WSGIFreeThreading On\nWSGIPerInterpreterGIL On"), &["WSGI0202 3"]),
        ("3.14t", top("WSGIFreeThreading On\nWSGISwitchInterval 0.001"), &["WSGI0203 3"]),
        ("3.14t", "WSGIDaemonProcess a free-threading=on switch-interval=0.001\n".into(), &["WSGI0204 1"]),
        (
            "3.14t",
            block("process-group=a", "WSGIFreeThreading On\nWSGISwitchInterval 0.001"),
            &["WSGI0205 4"],
        ),
        // Without free-threading asked for, a free-threaded build has its GIL, and all of that is fine.
        ("3.14t", top("WSGIPerInterpreterGIL On\nWSGISwitchInterval 0.001"), &[]),
        // Several interpreters.
        ("3.14", "WSGIDaemonProcess a interpreters=2\n".into(), &[]),
        ("3.14", format!("WSGIDaemonProcess a interpreters=2\n{MAIN}"), &["GK0010 1"]),
        ("3.11", "WSGIDaemonProcess a interpreters=2\n".into(), &["GK0010 1"]),
        ("3.14t", "WSGIDaemonProcess a interpreters=2 free-threading=on\n".into(), &["GK0010 1"]),
        ("3.11", "WSGIDaemonProcess a interpreters=1\n".into(), &[]),
    ];
    let mut seen: Vec<&str> = Vec::new();
    for (python, text, expected) in &cases {
        assert_eq!(said(python, text), *expected, "{python}:\n{text}");
        seen.extend(expected.iter().map(|e| e.split(' ').next().unwrap()));
    }
    for code in (198..=205).map(|n| format!("WSGI0{n}")).chain(["GK0010".to_owned()]) {
        assert!(seen.contains(&&*code), "{code} has no case");
        assert!(codes::explain(&code).unwrap().contains("What to do:"), "{code}");
    }
    assert!(codes::explain("GK0011").unwrap().contains("free-threading=required"));
}

#[test]
fn each_group_is_judged_by_its_own_python_and_named_once() {
    let text = "WSGIDaemonProcess old python=/p/3.11\nWSGIDaemonProcess new python=/p/3.14\n\
                WSGIDaemonProcess free python=/p/3.14t free-threading=on\nWSGIPerInterpreterGIL On\n";
    let loaded = read("3.14", text);
    let messages: Vec<&str> = loaded.diagnostics.iter().map(|d| d.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "WSGIPerInterpreterGIL needs Python 3.12 or later and has no effect in process group `old` (Python 3.11)",
            "an own GIL means nothing without a GIL and is skipped in process group `free` (Python 3.14t)",
        ]
    );
}

#[test]
fn a_required_mode_that_cannot_be_had_is_an_error() {
    let loaded = read("3.14", "WSGIDaemonProcess a free-threading=required\n");
    assert!(loaded.site.is_none());
    let error = loaded.diagnostics[0].line();
    assert!(error.contains("process group `a` (Python 3.14) has none"), "{error}");
}

#[test]
fn switch_intervals_are_checked() {
    for wrong in ["0", "-1", "fast", "5ms", "nan", "inf"] {
        let text = format!("{GROUP}WSGISwitchInterval {wrong}\n");
        assert!(read("3.14", &text).site.is_none(), "{wrong}");
        let text = format!("WSGIDaemonProcess a switch-interval={wrong}\n");
        assert!(read("3.14", &text).site.is_none(), "{wrong}");
    }
}

#[test]
fn check_tells_the_effective_mode_of_each_application_group() {
    let text = "WSGISwitchInterval 0.01\nWSGIDaemonProcess a switch-interval=0.02\n\
                WSGIDaemonProcess b interpreters=3 switch-interval=0.03\n\
                WSGIDaemonProcess c python=/p/3.14t free-threading=on\n\
                <WSGIInterpreterOptions process-group=a application-group=x>\nWSGIPerInterpreterGIL On\n\
                WSGISwitchInterval 0.001\n</WSGIInterpreterOptions>\n\
                WSGIImportScript /x.py process-group=a application-group=x\n\
                WSGIImportScript /x.py process-group=b application-group=y\n";
    let report: serde_json::Value =
        serde_json::from_str(&gk_config::report::json(&read("3.14", text))).unwrap();
    let mut told = Vec::new();
    for group in report["effective"].as_array().unwrap() {
        for mode in group["application_groups"].as_array().unwrap() {
            let text = |value: &serde_json::Value| value.to_string().replace('"', "");
            let of = [&group["process_group"], &mode["application_group"]].map(text).join("/");
            told.push(format!(
                "{of} {} {} {}",
                text(&mode["gil_mode"]),
                mode["interpreters"],
                mode["switch_interval"]
            ));
        }
    }
    assert_eq!(
        told,
        [
            "a/ shared 1 0.02",
            "a/x own 1 0.001",
            "b/ shared 1 0.03",
            "b/y own 3 0.03",
            "c/ free-threading 1 null"
        ]
    );
}

/// The messages that contain one of these texts.
fn told_of<'a>(loaded: &'a Loaded, texts: &[&str]) -> Vec<&'a str> {
    let about = |message: &&str| texts.iter().any(|text| message.contains(text));
    loaded.diagnostics.iter().map(|d| &*d.message).filter(about).collect()
}

#[test]
fn what_cpython_3_15_makes_of_the_locale() {
    let locale = "does not reach `open()`";
    // Python, options, a variable of the environment and its value, whether there is a message.
    let cases = [
        ("3.15", "lang=de_DE.ISO-8859-1", ("X", ""), true),
        ("3.15", "locale=de_DE.ISO-8859-15@euro", ("X", ""), true),
        ("3.14", "lang=de_DE.ISO-8859-1", ("X", ""), false),
        ("3.15", "lang=de_DE.utf8", ("X", ""), false),
        ("3.15", "lang=de_DE.UTF-8 locale=C", ("X", ""), false),
        ("3.15", "lang=de_DE.ISO-8859-1 utf8-mode=off", ("X", ""), false),
        ("3.15", "lang=de_DE.ISO-8859-1", ("PYTHONUTF8", "0"), false),
        ("3.15", "lang=de_DE.ISO-8859-1", ("PYTHONUTF8", ""), true),
        // Reported: nothing was said of these, which glibc takes for ISO-8859-1 and ISO-8859-15.
        ("3.15", "lang=de_DE", ("X", ""), true),
        ("3.15", "locale=de_DE@euro", ("X", ""), true),
        ("3.15", "lang=de_DE utf8-mode=on", ("X", ""), false),
        ("3.14", "lang=de_DE", ("X", ""), false),
        ("3.15", "lang=de_DE.UTF-8@euro", ("X", ""), false),
        ("3.15", "lang=C.UTF-8", ("X", ""), false),
        ("3.15", "lang=POSIX", ("X", ""), false),
        ("3.15", "lang=de_DE locale=C", ("X", ""), false),
    ];
    for (python, options, variable, is_said) in cases {
        let loaded = read_with(python, &format!("WSGIDaemonProcess a {options}\n"), &[variable]);
        assert_eq!(
            told_of(&loaded, &[locale]).len(),
            usize::from(is_said),
            "{python} {options} {variable:?}"
        );
    }
}

#[test]
fn lazy_imports_left_to_a_cpython_that_has_none_are_noted() {
    let (own, common) =
        ("lazy-imports=application has no effect in", "GilkeeperLazyImports application has no effect in");
    let cases = [
        (
            "3.14",
            "WSGIDaemonProcess a lazy-imports=application\n",
            vec![format!("{own} process group `a` (Python 3.14)")],
        ),
        ("3.14", "WSGIDaemonProcess a lazy-imports=eager\nGilkeeperLazyImports application\n", vec![]),
        ("3.15", "WSGIDaemonProcess a lazy-imports=application\n", vec![]),
        (
            "3.14",
            "GilkeeperEmbedded On lazy-imports=application\n",
            vec![format!("{own} process group `default` (Python 3.14)")],
        ),
        (
            "3.14",
            "WSGIDaemonProcess a\nWSGIDaemonProcess b python=/p/3.15\nWSGIDaemonProcess c\nGilkeeperLazyImports application\n",
            vec![format!("{common} process groups `a` (Python 3.14), `c` (Python 3.14)")],
        ),
        ("3.14", "GilkeeperLazyImports eager\n", vec![]),
    ];
    for (python, text, wanted) in cases {
        let loaded = read(python, text);
        assert!(loaded.site.is_some(), "{text}");
        let wanted: Vec<String> =
            wanted.iter().map(|start| format!("{start}: CPython has lazy imports from 3.15 on")).collect();
        assert_eq!(told_of(&loaded, &["has no effect in"]), wanted, "{python} {text}");
    }
}

/// Reported: a value in a file of variables that CPython refuses left only CPython's words, and a server that gave up.
#[test]
fn variables_with_which_cpython_does_not_start_are_refused() {
    let all = ["3.11", "3.12", "3.13", "3.14", "3.14t", "3.15", "3.15t"];
    let from = |least: &str| all.into_iter().filter(|one| *one >= least).collect::<Vec<_>>();
    let free = ["3.14t", "3.15t"].to_vec();
    // Variable, value, the Pythons that do not start with it. Tried with each of them.
    let cases = [
        ("PYTHONUTF8", "junk", from("3.11")),
        ("PYTHONUTF8", "01", from("3.11")),
        ("PYTHONUTF8", "1", vec![]),
        ("PYTHONUTF8", "", vec![]),
        ("PYTHONHASHSEED", "Random", from("3.11")),
        ("PYTHONHASHSEED", "4294967296", from("3.11")),
        ("PYTHONHASHSEED", "-1", from("3.11")),
        ("PYTHONHASHSEED", "5 ", from("3.11")),
        ("PYTHONHASHSEED", " +5", vec![]),
        ("PYTHONHASHSEED", "random", vec![]),
        ("PYTHONMALLOC", "junk", from("3.11")),
        ("PYTHONMALLOC", "pymalloc_debug", free.clone()),
        ("PYTHONMALLOC", "malloc", free.clone()),
        ("PYTHONMALLOC", "mimalloc", vec!["3.11", "3.12"]),
        ("PYTHONMALLOC", "debug", vec![]),
        ("PYTHONINTMAXSTRDIGITS", "639", from("3.11")),
        ("PYTHONINTMAXSTRDIGITS", "2147483648", from("3.11")),
        ("PYTHONINTMAXSTRDIGITS", "0", vec![]),
        ("PYTHONTRACEMALLOC", "-1", from("3.11")),
        ("PYTHONTRACEMALLOC", "65536", from("3.11")),
        ("PYTHONTRACEMALLOC", "0", vec![]),
        ("PYTHON_CPU_COUNT", "0", from("3.13")),
        ("PYTHON_CPU_COUNT", "default", vec![]),
        ("PYTHON_FROZEN_MODULES", "ON", from("3.13")),
        ("PYTHON_CONTEXT_AWARE_WARNINGS", "2", from("3.14")),
        ("PYTHON_THREAD_INHERIT_CONTEXT", "yes", from("3.14")),
        ("PYTHON_THREAD_INHERIT_CONTEXT", "01", vec![]),
        ("PYTHON_TLBC", "2", free.clone()),
        ("PYTHON_LAZY_IMPORTS", "none", from("3.15")),
        ("PYTHON_LAZY_IMPORTS", "all", vec![]),
        ("PYTHON_PATHCONFIG_WARNINGS", "2", from("3.15")),
        ("PYTHONHOME", "/nonexistent", from("3.11")),
        ("PYTHONHOME", "relative", vec![]),
        // A build that has a GIL for good does not hear of it.
        ("PYTHON_GIL", "2", free.clone()),
        ("PYTHON_GIL", "01", free),
        ("PYTHON_GIL", "0", vec![]),
        ("PYTHON_GIL", "", vec![]),
        ("PYTHONPROFILEIMPORTTIME", "3", from("3.14")),
        ("PYTHONPROFILEIMPORTTIME", " -1", from("3.14")),
        ("PYTHONPROFILEIMPORTTIME", "2", vec![]),
        ("PYTHONPROFILEIMPORTTIME", "yes", vec![]),
        ("PYTHONPROFILEIMPORTTIME", "99999999999", vec![]),
    ];
    for (name, value, refusing) in cases {
        for python in all {
            let loaded = read_with(python, "WSGIDaemonProcess a\nWSGIDaemonProcess b\n", &[(name, value)]);
            let told = told_of(&loaded, &["with which no Python"]);
            let refuses = refusing.contains(&python);
            assert_eq!(told.len(), usize::from(refuses), "{python} {name}={value}: {told:?}");
            assert_eq!(loaded.site.is_none(), refuses, "{python} {name}={value}");
            let both = format!(
                "{name} in the environment is `{value}`, with which no Python of process groups `a` (Python {python}), `b` (Python {python}) \
                 starts: "
            );
            assert!(told.iter().all(|text| text.starts_with(&both)), "{told:?}");
        }
    }
}

#[test]
fn a_variable_counts_where_it_reaches_a_worker() {
    let (utf8, seed, home) = (("PYTHONUTF8", "junk"), ("PYTHONHASHSEED", "x"), ("PYTHONHOME", "/nowhere"));
    for (text, variable, is_said) in [
        ("WSGIDaemonProcess a utf8-mode=on\n", utf8, false),
        ("WSGIDaemonProcess a utf8-mode=on\nWSGIDaemonProcess b\n", utf8, true),
        ("WSGIPythonHashSeed 3\n", seed, false),
        ("GilkeeperEmbedded On\n", seed, true),
        ("WSGIDaemonProcess a\n", home, true),
        ("WSGIDaemonProcess a python=/p/3.14\n", home, false),
        ("WSGIPythonHome /p\n", home, false),
        ("WSGIDaemonProcess a chroot=/c\n", home, false),
    ] {
        let loaded = read_with("3.14", text, &[variable]);
        assert_eq!(
            told_of(&loaded, &["with which no Python"]).len(),
            usize::from(is_said),
            "{text} {variable:?}"
        );
    }
    // Reported: with a GIL the worker is given it, and ended with CPython's words only.
    for (text, is_said) in [
        ("WSGIDaemonProcess a\n", true),
        ("WSGIDaemonProcess a\nWSGIFreeThreading On\n", false),
        ("WSGIDaemonProcess a free-threading=required\n", false),
        ("WSGIDaemonProcess a free-threading=off\nWSGIFreeThreading On\n", true),
    ] {
        let loaded = read_with("3.14t", text, &[("PYTHON_GIL", "x")]);
        assert_eq!(told_of(&loaded, &["with which no Python"]).len(), usize::from(is_said), "{text}");
    }
    let elsewhere = read_with("3.14", "WSGIDaemonProcess a\n", &[home, ("PYTHONPLATLIBDIR", "libraries")]);
    assert_eq!(told_of(&elsewhere, &["with which no Python"]).len(), 0);
}

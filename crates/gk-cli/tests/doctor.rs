//! `gilkeeper doctor` as a program on a real CPython (`PYO3_PYTHON`), with small extension modules compiled on the spot
//! (`extensions/kinds.c`): what loads, refuses, gets lost, crashes, hangs and turns the GIL on.
#![allow(clippy::unwrap_used, reason = "a test: the harness functions run in tests only")]

#[path = "support/site.rs"]
mod site;

use serde_json::Value;
use site::{Build, Site, python, text};
use std::fs;
use std::path::Path;
use std::process::Command;

const REFUSAL: &str = "does not support loading in subinterpreters";

fn module<'r>(report: &'r Value, name: &str) -> &'r Value {
    let modules = report["modules"].as_array().unwrap();
    modules.iter().find(|m| m["name"] == name).unwrap_or_else(|| panic!("no {name} in {modules:?}"))
}

/// The outcome of a module, with the words of its exception if it has one.
fn outcome(report: &Value, name: &str, place: &str) -> String {
    let found = &module(report, name)["outcomes"][place];
    let error = found["error"].as_str().map_or_else(String::new, |error| format!(": {error}"));
    format!("{}{error}", found["outcome"].as_str().unwrap_or("-"))
}

fn verdict<'r>(report: &'r Value, mode: &str) -> &'r str {
    let modes = report["modes"].as_array().unwrap();
    modes.iter().find(|m| m["mode"] == mode).unwrap()["verdict"].as_str().unwrap()
}

fn findings(report: &Value) -> Vec<(String, String)> {
    let all = report["findings"].as_array().unwrap().iter();
    all.map(|f| (f["mode"].as_str().unwrap_or("-").to_owned(), f["what"].as_str().unwrap().to_owned()))
        .collect()
}

#[test]
fn each_kind_of_module_in_each_kind_of_interpreter() {
    let script = "print('the application prints')\nimport good, alone, plain, single, once, pack\ndef application(*_): ...\n";
    let site = Site::new(script);
    site.extension("good", &["OWN"]);
    site.extension("alone", &["NONE"]);
    site.extension("plain", &[]);
    site.extension("single", &["SINGLE"]);
    site.extension("once", &["ONCE"]);
    site.package_with_fallback();
    let (report, status) = site.report(&[]);
    assert_eq!(status, Some(1));
    let Build { minor, free_threaded, .. } = site.build;

    let declares = |name: &str| {
        let d = &module(&report, name)["declares"];
        ["phases", "interpreters", "gil"].map(|key| d[key].as_str().unwrap().to_owned())
    };
    let told = |interpreters: &'static str, gil: &'static str| {
        let interpreters = if minor >= 12 { interpreters } else { "undeclared" };
        ["multi", interpreters, if minor >= 13 { gil } else { "undeclared" }].map(str::to_owned)
    };
    assert_eq!(declares("good"), told("own-gil", "not-used"));
    assert_eq!(declares("alone"), told("none", "undeclared"));
    assert_eq!(declares("plain"), told("undeclared", "undeclared"));
    assert_eq!(declares("single"), ["single", "single-phase", "undeclared"]);
    assert_eq!(module(&report, "pack._speed")["distribution"], "pack");
    assert_eq!(module(&report, "pack._speed")["version"], "2.5");

    let refuses = |name: &str| format!("refuses: ImportError: module {name} {REFUSAL}");
    for (place, tried) in
        [("own-gil", minor >= 12), ("sub-interpreter", true), ("second-sub-interpreter", true)]
    {
        let own = place == "own-gil";
        let outcome = |name: &str| outcome(&report, name, place);
        if !tried {
            assert_eq!((outcome("good"), verdict(&report, place)), ("-".to_owned(), "untried"));
            continue;
        }
        assert_eq!(outcome("good"), "loads", "{place}");
        // A free-threaded build checks its shared-GIL sub-interpreters, too.
        let checked = own || free_threaded;
        assert_eq!(outcome("alone"), if checked { refuses("alone") } else { "loads".into() }, "{place}");
        assert_eq!(outcome("single"), if checked { refuses("single") } else { "loads".into() }, "{place}");
        assert_eq!(outcome("plain"), if own { refuses("plain") } else { "loads".into() }, "{place}");
        let once = match place {
            "own-gil" => refuses("once"),
            "sub-interpreter" => "loads".to_owned(),
            _ => "refuses: ImportError: cannot load module more than once per process".to_owned(),
        };
        assert_eq!(outcome("once"), once, "{place}");
        let lost = format!("lost: ImportError: module pack._speed {REFUSAL}");
        assert_eq!(outcome("pack._speed"), if own { lost } else { "loads".into() }, "{place}");
        assert_eq!(verdict(&report, if own { "own-gil" } else { "sub-interpreter" }), "unsafe");
    }

    let free = |name: &str| module(&report, name)["outcomes"]["free-threading"].clone();
    if free_threaded {
        // All of them, not only the first one, which alone is named by CPython's warning.
        for name in ["alone", "plain", "single", "once", "pack._speed"] {
            assert_eq!(free(name), serde_json::json!({"outcome": "gil-back", "seen": true}), "{name}");
        }
        assert_eq!(free("good")["outcome"], "loads");
        assert_eq!(verdict(&report, "free-threading"), "unsafe");
    } else {
        assert_eq!((free("good"), verdict(&report, "free-threading")), (Value::Null, "untried"));
    }
}

#[test]
fn a_crash_or_a_hang_is_a_finding_and_not_the_end() {
    let site = Site::new("import crashing, hanging, good, pack\n");
    site.extension("crashing", &["CRASH", "OWN"]);
    site.extension("hanging", &["HANG", "OWN"]);
    site.extension("good", &["OWN"]);
    site.package_with_fallback();
    let (report, status) = site.report(&["--time-limit", "8", "--for", "sub-interpreter"]);
    let outcome = |name: &str| outcome(&report, name, "sub-interpreter");
    assert_eq!(status, Some(1));
    for (name, wanted) in
        [("crashing", "crashes: ended by SIGSEGV"), ("hanging", "hangs: not done after 8 s")]
    {
        let found = outcome(name);
        assert!(found.starts_with(wanted), "{found}");
        // Up to 3.11 Python tells the stack of the main interpreter only.
        assert!(site.build.minor < 12 || found.contains(", at File "), "{found}");
    }
    assert_eq!((outcome("good"), outcome("pack._speed")), ("loads".into(), "loads".into()));
    assert_eq!(verdict(&report, "own-gil"), "untried");
}

#[test]
fn a_safe_application_exits_with_0() {
    let site = Site::new("import good\ndef application(environ, start_response): ...\n");
    site.extension("good", &["OWN"]);
    let (report, status) = site.report(&["--callable-object", "application"]);
    assert_eq!(
        (status, report["safe"].as_bool(), findings(&report)),
        (Some(0), Some(true), vec![]),
        "{report}"
    );
    let (_, own) = site.report(&["--for", "own-gil"]);
    assert_eq!(own, Some(if site.build.minor >= 12 { 0 } else { 1 }));
    let (_, free) = site.report(&["--for", "free-threading"]);
    assert_eq!(free, Some(if site.build.free_threaded { 0 } else { 1 }));
}

#[test]
fn threads_atexit_and_signals_are_seen() {
    let script = "import atexit, signal, threading\n\
        stop = threading.Event()\n\
        thread = threading.Thread(target=stop.wait, name='poller')\n\
        thread.start()\n\
        atexit.register(stop.set)\n\
        signal.signal(signal.SIGTERM, lambda *_: None)\n\
        def application(environ, start_response): ...\n";
    let site = Site::new(script);
    let (report, status) = site.report(&["--for", "sub-interpreter"]);
    assert_eq!(status, Some(1), "{report}");
    assert_eq!(report["threads"][0]["name"], "poller");
    assert_eq!(
        (&report["threads"][0]["daemon"], &report["threads"][0]["line"]),
        (&Value::Bool(false), &4.into())
    );
    assert_eq!(report["atexit"][0]["function"], "threading.Event.set");
    assert_eq!(report["signals"][0]["number"], 15);
    let waits = ("sub-interpreter".to_owned(), "end-hangs".to_owned());
    assert!(findings(&report).contains(&waits), "{:?}", findings(&report));

    // Ended by the server's own callback it is fine.
    let better = script.replace(
        "atexit.register(stop.set)",
        "import mod_wsgi; mod_wsgi.subscribe_shutdown(lambda *_, **__: stop.set())",
    );
    let site = Site::new(&better);
    let (report, status) = site.report(&["--for", "sub-interpreter"]);
    assert_eq!((status, report["shutdown_callbacks"][0]["line"].as_u64()), (Some(0), Some(5)), "{report}");

    let site = Site::new(&better.replace("'poller'", "'poller', daemon=True"));
    if site.build.minor >= 12 {
        let (report, status) = site.report(&["--for", "own-gil"]);
        assert_eq!(status, Some(1));
        assert!(findings(&report).contains(&("own-gil".into(), "daemon-thread".into())), "{report}");
    }
}

/// Reported: argon2-cffi was called unsafe in sub-interpreters and works there, coverage's tracer was called safe and is empty in
/// the second one, and cffi and websockets, which load their C part later, were not looked at.
#[test]
fn modules_that_are_kept_elsewhere_or_empty_or_loaded_later() {
    let site = Site::new("import needing, filled, later\ndef application(environ, start_response): ...\n");
    site.extension("needed", &["SINGLE"]);
    site.extension("needing", &["SINGLE", "NEEDS=needed"]);
    site.extension("filled", &["FILLED"]);
    site.package("later", &[], "");
    let (report, status) = site.report(&[]);
    let Build { minor, free_threaded, .. } = site.build;
    let outcome = |name: &str, place: &str| outcome(&report, name, place);
    if !free_threaded {
        for (name, place) in [
            ("needing", "sub-interpreter"),
            ("needed", "sub-interpreter"),
            ("needing", "second-sub-interpreter"),
            // Before 3.13 the second interpreter gets a copy of `needing`, which has it, and `needed` is not in `sys.modules`.
            ("needed", "second-sub-interpreter"),
        ] {
            assert_eq!(outcome(name, place), "loads", "{name} {place}");
        }
        assert_eq!(outcome("filled", "sub-interpreter"), "loads");
        assert_eq!(outcome("filled", "second-sub-interpreter"), "empty");
        assert_eq!(status, Some(1));
    }
    let later = module(&report, "later._speed");
    assert_eq!((&later["loaded"], &later["distribution"]), (&Value::Bool(false), &"later".into()));
    if minor >= 12 {
        let refuses = format!("refuses: ImportError: module later._speed {REFUSAL}");
        assert_eq!(outcome("later._speed", "own-gil"), refuses);
        let found =
            report["findings"].as_array().unwrap().iter().find(|f| f["subject"] == "later 2.5").unwrap();
        // It has no other C part: a request that uses the package needs this one.
        assert_eq!((&found["level"], &found["what"]), (&"unsafe".into(), &"refuses".into()), "{found}");
    }
}

/// Reported: an application that imports a package inside a function was called safe in a mode in which the package does not load.
#[test]
fn imports_inside_functions_are_tried_too() {
    let script = "import part\n\n\ndef application(environ, start_response):\n    from own.report import write\n    return write()\n";
    let site = Site::new(script);
    site.package("strict", &[], "from . import _speed\n");
    site.package("relaxed", &["OWN"], "from . import _speed\n");
    site.package("only_named", &[], "from . import _speed\n");
    let write = |name: &str, text: &str| {
        let path = site.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    // One that the application loads, and one that only a function of it would.
    write("part.py", "class A:\n    def f(self):\n        import relaxed, not_installed\n");
    write("own/__init__.py", "");
    write("own/report.py", "from . import table\n\n\ndef write(): ...\n");
    write(
        "own/table.py",
        "import strict\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import only_named\n",
    );
    let (report, status) = site.report(&[]);
    let names: Vec<&str> = report["function_imports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["relaxed", "strict"], "{report}");
    assert!(report["function_imports"][1]["file"].as_str().unwrap().ends_with("own/table.py"));
    assert!(findings(&report).contains(&("-".into(), "function-import".into())));
    let Build { minor, free_threaded, .. } = site.build;
    if minor >= 12 {
        let refuses = format!("refuses: ImportError: module strict._speed {REFUSAL}");
        assert_eq!(outcome(&report, "strict._speed", "own-gil"), refuses);
        assert_eq!(outcome(&report, "relaxed._speed", "own-gil"), "loads");
        assert_eq!((verdict(&report, "own-gil"), status), ("unsafe", Some(1)));
    }
    if !free_threaded {
        assert_eq!(verdict(&report, "sub-interpreter"), "safe");
    }
    assert!(report["modules"].as_array().unwrap().iter().all(|m| m["name"] != "only_named._speed"));
}

/// Reported: a script that imports lxml lazily (CPython 3.15) was called safe in each mode, as nothing was loaded.
#[test]
fn what_is_imported_lazily_is_judged_as_what_is_imported() {
    let imports = "import plain, once\nfrom strict import _speed\n";
    let lazily = imports.replace("import plain", "lazy import plain").replace("from", "lazy from");
    let rest = "\n\ndef application(environ, start_response): ...\n";
    let judged = |imports: &str| {
        let site = Site::new(&format!("{imports}{rest}"));
        site.extension("plain", &[]);
        site.extension("once", &["ONCE"]);
        site.package("strict", &[], "");
        let (report, status) = site.report(&[]);
        let outcomes =
            ["plain", "once", "strict._speed"].map(|name| module(&report, name)["outcomes"].clone());
        let verdicts: Vec<Value> =
            report["modes"].as_array().unwrap().iter().map(|mode| mode["verdict"].clone()).collect();
        assert_eq!(status, Some(1), "{report}");
        (outcomes, verdicts)
    };
    if site::build().minor >= 15 {
        assert_eq!(judged(&lazily), judged(imports));
    }
}

/// Reported: "Nothing to change" was said of a script that has no application, and each mode was called safe.
#[test]
fn a_script_without_an_application_is_a_finding() {
    for (script, remedy) in
        [("x = 1\n", "--callable-object"), ("def wsgi(e, s): ...\n", "--callable-object wsgi")]
    {
        let site = Site::new(script);
        let (report, status) = site.report(&["--for", "sub-interpreter"]);
        assert_eq!((status, findings(&report)), (Some(1), vec![("-".into(), "no-application".into())]));
        assert!(report["findings"][0]["remedy"].as_str().unwrap().contains(remedy), "{report}");
        let output = site.ask(&["--for", "sub-interpreter"]);
        assert!(!text(&output.stdout).contains("Nothing to change"));
        // Reported: `unsafe, 0 findings`.
        assert!(
            text(&output.stdout).contains("sub-interpreter  unsafe, 1 finding\n"),
            "{}",
            text(&output.stdout)
        );
    }
}

/// Reported: the name of a Django project alone led nowhere.
#[test]
fn a_package_without_an_application_leads_to_its_module_wsgi() {
    let site = Site::new("");
    let package = site.dir.path().join("wsgi");
    fs::remove_file(site.dir.path().join("wsgi.py")).unwrap();
    fs::create_dir(&package).unwrap();
    for name in ["__init__.py", "wsgi.py"] {
        fs::write(package.join(name), "").unwrap();
    }
    fs::write(site.dir.path().join("gilkeeper.toml"), "script = 'wsgi'\n").unwrap();
    let output = site.without_script(&["--for", "sub-interpreter"]);
    let said = text(&output.stdout);
    assert!(said.contains("Its module SCRIPT.wsgi is probably meant."), "{said}{}", text(&output.stderr));
}

/// Reported: `doctor` did not know the SCRIPT of gilkeeper.toml. Met where `gilkeeper serve` alone serves a site.
#[test]
fn the_application_of_the_project_is_examined_where_none_is_typed() {
    let site = Site::new(
        "import of_lib\nfrom os import environ\ndef create_app(): return environ['OF_FILE'] and len\n",
    );
    let write = |name: &str, text: &str| fs::write(site.dir.path().join(name), text).unwrap();
    fs::create_dir(site.dir.path().join("lib")).unwrap();
    write("lib/of_lib.py", "");
    write("e", "OF_FILE=1\n");
    let said = text(&site.without_script(&[]).stderr);
    assert_eq!(
        said,
        "gilkeeper: name the application: a file, or package.module[:callable]; did you mean `wsgi.py`?\n"
    );
    write("gilkeeper.toml", "script = 'wsgi.py'\nfactory = true\npython-path = ['lib']\nenv-file = 'e'\n");
    let output = site.without_script(&["--for", "sub-interpreter"]);
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
}

/// As `serve` takes them: a lone `app`, a name, a factory.
#[test]
fn an_application_is_found_as_serve_finds_it() {
    let factory = "def create_app(name='x'):\n    return lambda e, s: name\n";
    for (script, more) in [
        ("def app(e, s): ...\n", &[][..]),
        (factory, &["--callable-object", "create_app('y')"]),
        (factory, &["--factory"]),
    ] {
        let more = [more, &["--for", "sub-interpreter"]].concat();
        let (report, status) = Site::new(script).report(&more);
        assert_eq!((status, findings(&report)), (Some(0), vec![]), "{more:?}: {report}");
    }
    let output = Site::new(factory).ask(&["--callable-object", "create_app(1, 2)"]);
    let said = text(&output.stderr);
    assert!(output.status.code() == Some(2) && said.contains("positional argument"), "{said}");
}

/// Reported: nothing said that psycopg2 and bcrypt refuse the sub-interpreter that mod_wsgi's defaults choose.
#[test]
fn check_looks_at_the_installed_packages() {
    let site = Site::new("");
    site.package("never", &["REFUSE"], "from . import _speed\n");
    site.package("crasher", &["CRASH"], "from . import _speed\n");
    site.package("once", &["ONCE"], "from . import _speed\n");
    site.package("fine", &[], "from . import _speed\n");
    site.package("broken", &[], "import there_is_no_such_module\n");
    let warnings = |conf: &str| {
        fs::write(site.dir.path().join("site.conf"), conf).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_gilkeeper"));
        command.args(["check", "-c", "site.conf", "--format", "json", "--strict", "--python"]).arg(python());
        command
            .current_dir(site.dir.path())
            .env("GILKEEPER_DEV_PYTHON", python())
            .env("PYTHONPATH", site.installed());
        command.env(
            "GILKEEPER_DEV_PACKAGE",
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../python/gilkeeper"),
        );
        let output = command.output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|e| panic!("{e}: {}", text(&output.stderr)));
        let said = report["diagnostics"].as_array().unwrap().clone();
        let said: Vec<(u64, String)> = said
            .iter()
            .filter(|d| d["severity"] == "warning")
            .map(|d| (d["line"].as_u64().unwrap(), d["message"].as_str().unwrap().to_owned()))
            .collect();
        assert_eq!(output.status.code(), Some(i32::from(!said.is_empty())));
        said
    };
    let main = "WSGIScriptAlias / wsgi.py application-group=%{GLOBAL}\n";
    assert_eq!(warnings(main), []);
    let one = warnings(&format!("ServerName x\nWSGIScriptAlias /a wsgi.py\n{main}"));
    let [(2, message)] = one.as_slice() else { panic!("{one:?}") };
    // This Python may have more packages of that kind.
    let named = |message: &str| {
        ["crasher", "never", "once", "fine", "broken"].map(|name| message.contains(&format!("{name} 2.5")))
    };
    assert!(message.contains("no sub-interpreter imports these installed packages"), "{message}");
    assert_eq!(named(message), [true, true, false, false, false], "{message}");
    let two = warnings("WSGIScriptAlias /a wsgi.py\nWSGIScriptAlias /b wsgi.py\n");
    let [_, (_, second)] = two.as_slice() else { panic!("{two:?}") };
    assert_eq!(named(second), [false, false, true, false, false], "{second}");
}

#[test]
fn bad_input_is_one_sentence() {
    let site = Site::new("import there_is_no_such_module\n");
    for (more, wanted) in [
        (&[][..], "does not import in the main interpreter of"),
        (&["--python", "./no-python"], "--python ./no-python is no file"),
        (&["--time-limit", "0"], "--time-limit takes whole seconds"),
        (&["--working-directory", "nowhere"], "is no directory"),
    ] {
        let output = site.doctor(more);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(wanted) && said.trim().lines().count() == 1, "{said}");
        assert!(output.stdout.is_empty());
    }
    fs::remove_file(site.dir.path().join("wsgi.py")).unwrap();
    assert!(text(&site.doctor(&[]).stderr).contains("there is no file"));
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../python/gilkeeper");
    let explain = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gilkeeper"));
        command.args(["doctor"]).args(more).env("GILKEEPER_DEV_PYTHON", python());
        command.env("GILKEEPER_DEV_PACKAGE", &package).output().unwrap()
    };
    let output = explain(&["--explain", "lxml"]);
    assert!(output.status.success() && text(&output.stdout).starts_with("lxml in each kind"), "{output:?}");
    let json = explain(&["--explain", "lxml", "--format", "json"]).stdout;
    assert_eq!(serde_json::from_slice::<Value>(&json).unwrap()["package"], "lxml");
    for (more, wanted) in [
        (&["--explain", "no-such"][..], "is none of the"),
        (&["--time-limit", "x", "--explain", "lxml"], "leave out --time-limit"),
        (&[], "name the application: "),
    ] {
        let output = explain(more);
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(wanted), "{said}");
    }
}

//! Python as a whole: its place, its search path, its start.

use super::raw::Need;
use crate::diagnostic::Complaint;
use crate::directive::{Applied, Arity, Contexts, Directive, Scope};
use crate::token::Word;
use crate::values;

const GLOBAL: Contexts = Contexts::GLOBAL;

/// Rows of this area.
pub const ROWS: &[Directive] = &[
    Directive::honoured("WSGIPythonHome", "directory", GLOBAL, Arity::exactly(1), home)
        .default("the Python that runs the server")
        .doc("Prefix or virtual environment of groups without `python-home=`."),
    Directive::honoured("WSGIPythonPath", "directory[:directory…]", GLOBAL.or(Contexts::INTERPRETER), Arity::exactly(1), path)
        .doc("Directories put in front of `sys.path` with `site.addsitedir()`. At the top level: for groups without \
            `python-path=`. In a block: added to what the interpreter already has."),
    Directive::honoured("WSGIPythonOptimize", "0|1|2", GLOBAL, Arity::exactly(1), optimize)
        .default("0").doc("Python's `-O` level."),
    Directive::honoured("WSGIPythonWarnings", "filter", GLOBAL, Arity::exactly(1), warnings)
        .doc("Python's `-W` filter; may be repeated."),
    Directive::honoured("WSGIPythonHashSeed", "random|0..4294967295", GLOBAL, Arity::exactly(1), hash_seed)
        .default("random").doc("Seed of `hash()` for strings."),
    Directive::honoured("WSGIDontWriteBytecode", "On|Off", GLOBAL, Arity::exactly(1), dont_write_bytecode)
        .default("Off").doc("Writes no `.pyc` files."),
    Directive::honoured("GilkeeperLazyImports", "eager|application", GLOBAL, Arity::exactly(1), lazy_imports)
        .default("eager").ours()
        .doc("Imports that an application declares lazy (CPython 3.15), in all groups without `lazy-imports=`, those of embedded \
            mode included. `eager` runs them like ordinary imports, so a module that cannot be imported is noticed before the first \
            request. `application` leaves them to CPython: the first use imports, usually during a request."),
    Directive::honoured("WSGIDestroyInterpreter", "On|Off", GLOBAL, Arity::exactly(1), destroy_interpreter)
        .default("On").doc("Off: processes exit without taking their interpreters down, so `atexit` functions do not run."),
    Directive::inert("WSGIPythonEggs", "directory", GLOBAL, "Python packages are no longer installed as eggs"),
    Directive::inert("WSGIVerboseDebugging", "On|Off", GLOBAL, "mod_wsgi 6 ignores it too; use LogLevel debug"),
    Directive::removed("WSGIReloadMechanism", "delete the line: workers are always replaced, as in mod_wsgi since 3.0"),
    Directive::removed("WSGIOutputBuffering", "delete the line: the front buffers what a client has not read yet"),
    Directive::removed("WSGIPythonExecutable", "name the Python of a process group with python= or python-home="),
    Directive::removed("WSGIPy3kWarningFlag", "delete the line: it concerned Python 2"),
    Directive::removed("WSGILazyInitialization", "delete the line: Python is started only in the workers"),
    Directive::removed("WSGINewRelicConfigFile", "set NEW_RELIC_CONFIG_FILE in the environment and wrap the application"),
    Directive::removed("WSGINewRelicEnvironment", "set NEW_RELIC_ENVIRONMENT in the environment and wrap the application"),
];

fn home(scope: &mut Scope, words: &[Word]) -> Applied {
    let home = scope.path(&words[0].text);
    scope.need(Need::PythonHome(home.clone()), &words[0]);
    scope.raw.python.home = Some(home);
    Ok(())
}

fn path(scope: &mut Scope, words: &[Word]) -> Applied {
    let parts = words[0].text.split(':').filter(|part| !part.is_empty());
    let paths: Vec<_> = parts.map(|part| scope.path(part)).collect();
    let list = match scope.block {
        0 => &mut scope.raw.python.path,
        block => &mut scope.raw.interpreters[block].python_path,
    };
    list.extend(paths);
    Ok(())
}

fn optimize(scope: &mut Scope, words: &[Word]) -> Applied {
    let level = values::one_of(scope.name, &words[0], &words[0].text, &["0", "1", "2"])?;
    scope.raw.python.optimize = level.bytes().next().map_or(0, |digit| digit - b'0');
    Ok(())
}

fn warnings(scope: &mut Scope, words: &[Word]) -> Applied {
    scope.raw.python.warnings.push(words[0].text.clone());
    Ok(())
}

fn hash_seed(scope: &mut Scope, words: &[Word]) -> Applied {
    let text = words[0].text.to_ascii_lowercase();
    if text != "random" && text.parse::<u32>().map_or(true, |n| n.to_string() != text) {
        let message =
            format!("WSGIPythonHashSeed takes `random` or a number from 0 to 4294967295, not `{text}`");
        return Err(Complaint::error(message).at(&words[0]));
    }
    scope.raw.python.hash_seed = Some(text);
    Ok(())
}

fn dont_write_bytecode(scope: &mut Scope, words: &[Word]) -> Applied {
    scope.raw.python.dont_write_bytecode = values::switch(scope.name, &words[0], &words[0].text)?;
    Ok(())
}

fn lazy_imports(scope: &mut Scope, words: &[Word]) -> Applied {
    let word = values::one_of(scope.name, &words[0], &words[0].text, &["eager", "application"])?;
    scope.raw.lazy_imports = Some((word, words[0].clone()));
    Ok(())
}

fn destroy_interpreter(scope: &mut Scope, words: &[Word]) -> Applied {
    scope.raw.python.destroy_interpreter = values::switch(scope.name, &words[0], &words[0].text)?;
    Ok(())
}

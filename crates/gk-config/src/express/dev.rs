//! `gilkeeper dev`: the options of `serve` as development wants them, with the application behind `gilkeeper.dev`, which shows errors and
//! serves the static files of Django.

use super::script::{IsFile, absolute, called, instead, script};
use super::{ServeOptions, options};
use crate::source::Source;
use std::path::{Path, PathBuf};

/// Format of the access log: method and URL, status, bytes, time.
const ACCESS_LOG: &str = "%m %U%q %>s %B bytes %{ms}T ms";

/// What holds for development when the command line does not say otherwise. The environment and the files of a project speak of its
/// deployment, so they do not count for these. No value: the option is as if nobody had named it.
pub const STANDARD: [(&str, Option<&str>); 10] = [
    ("host", Some("127.0.0.1")),
    ("socket", None),
    ("socket-mode", None),
    ("processes", None),
    ("user", None),
    ("group", None),
    ("access-log-format", Some(ACCESS_LOG)),
    ("log-directory", None),
    ("log-level", Some("notice")),
    ("disable-reloading", None),
];

/// The options for development. The error: one sentence about SCRIPT.
pub fn develop(given: &ServeOptions, source: &dyn Source, directory: &Path) -> Result<ServeOptions, String> {
    let is_there: IsFile<'_> = &|path| source.is_file(path);
    let whole = absolute(&given.script, is_there, directory);
    let (target, named) = script(&whole, is_there, directory)?;
    if !target.starts_with("module:") && !source.is_file(Path::new(&target)) {
        let missing = Path::new(&target);
        return Err(format!("there is no file {target}; {}", instead(missing, source)));
    }
    let callable = given.one("callable-object").or(named);
    let callable = match given.flag("factory") {
        true => Some(called(callable)),
        false => callable.map(str::to_owned),
    };
    let mut options = given.clone();
    for name in ["callable-object", "factory"] {
        options.forget(name);
    }
    let own = |name: &str| given.values.contains_key(name) && !given.origins.contains_key(name);
    for (name, value) in STANDARD {
        if own(name) {
            continue;
        }
        options.forget(name);
        if let Some(value) = value {
            let name = options::find(name).map(|option| option.name);
            name.into_iter().for_each(|name| options.add(name, [value]));
        }
    }
    // A socket that was typed is the only one, unless an address was typed, too.
    if own("socket") && !own("host") && !own("port") {
        ["host", "port"].into_iter().for_each(|name| options.forget(name));
    }
    options.add("watch", watched(given, &target, directory));
    let arguments = [Some(target.trim_start_matches("module:").to_owned()), callable];
    let arguments: Vec<String> = arguments.iter().flatten().map(|text| literal(text)).collect();
    options.script = format!("gilkeeper.dev:develop({})", arguments.join(", "));
    Ok(options)
}

/// The directories that are watched beside those of `--watch`: the project, and where else it is imported from.
fn watched(given: &ServeOptions, target: &str, directory: &Path) -> Vec<String> {
    let home = directory.join(given.one("working-directory").unwrap_or_default());
    let mut found: Vec<PathBuf> = vec![home];
    let of_script = Path::new(target).parent().filter(|_| !target.starts_with("module:"));
    let others = given.many("python-path").iter().map(|path| directory.join(path));
    for folder in others.chain(of_script.map(Path::to_owned)) {
        if !found.iter().any(|known| folder.starts_with(known)) {
            found.push(folder);
        }
    }
    // `join` with nothing leaves a slash at the end.
    found
        .iter()
        .map(|folder| folder.components().collect::<PathBuf>().to_string_lossy().into_owned())
        .collect()
}

/// A text as a literal of Python.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

impl ServeOptions {
    fn forget(&mut self, name: &str) {
        self.values.remove(name);
        self.origins.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Surroundings;
    use crate::express::layers::{Sources, gather};
    use crate::source::Memory;

    fn developed(given: ServeOptions, source: &Memory) -> Result<ServeOptions, String> {
        let mut surroundings = Surroundings { directory: "/srv".into(), ..Surroundings::default() };
        let mut given = given;
        gather(&mut given, source, &mut surroundings, Sources::All)?;
        develop(&given, source, &surroundings.directory)
    }

    #[test]
    fn the_application_is_behind_the_module_for_development() {
        let source = Memory::new().with("/srv/app.py", "").with("/srv/it's.wsgi", "");
        for (given, expected) in [
            (ServeOptions::new("mysite.wsgi"), "develop('mysite.wsgi')"),
            (ServeOptions::new("app:create_app('x')"), r"develop('app', 'create_app(\'x\')')"),
            (ServeOptions::new("app").with("factory", [""; 0]), "develop('app', 'create_app()')"),
            (ServeOptions::new("app").with("callable-object", ["web"]), "develop('app', 'web')"),
            (ServeOptions::new("app.py:web"), "develop('/srv/app.py', 'web')"),
            (ServeOptions::new("it's.wsgi"), r"develop('/srv/it\'s.wsgi')"),
        ] {
            let options = developed(given.clone(), &source).unwrap();
            assert_eq!(options.script, format!("gilkeeper.dev:{expected}"));
            assert_eq!(options.many("watch"), ["/srv"]);
            let (site, _) = crate::express::load(
                &options,
                &Surroundings { directory: "/srv".into(), ..Surroundings::default() },
            )
            .unwrap();
            assert_eq!(site.imports[0].callable_object.as_deref(), Some(expected), "{given:?}");
            assert_eq!(site.groups[0].watch, [Path::new("/srv")]);
        }
        let missing = developed(ServeOptions::new("ap.py"), &source).unwrap_err();
        assert_eq!(missing, "there is no file /srv/ap.py; did you mean /srv/app.py?");
    }

    /// What a project says of its deployment is not for development; what is typed is.
    #[test]
    fn files_of_the_project_open_no_door_and_the_command_line_does() {
        let toml = "processes = 8\nhost = '0.0.0.0'\nport = 81\nuser = 'www'\nlog-directory = 'log'\nthreads = 3\npython-path = ['lib', '/else']\n";
        let source = Memory::new().with("/srv/gilkeeper.toml", toml);
        let options = developed(ServeOptions::new("app"), &source).unwrap();
        let one = |name| options.one(name);
        assert_eq!((one("host"), one("port"), one("threads")), (Some("127.0.0.1"), Some("81"), Some("3")));
        assert_eq!((one("processes"), one("user"), one("log-directory")), (None, None, None));
        assert_eq!(options.many("watch"), ["/srv", "/else"]);
        let typed =
            ServeOptions::new("app").with("host", ["::"]).with("processes", ["2"]).with("watch", ["docs"]);
        let options = developed(typed, &source).unwrap();
        assert_eq!((options.one("host"), options.one("processes")), (Some("::"), Some("2")));
        assert_eq!(options.many("watch"), ["docs", "/srv", "/else"]);
        let by_socket = developed(ServeOptions::new("app").with("socket", ["x.sock"]), &source).unwrap();
        assert_eq!((by_socket.one("host"), by_socket.one("port")), (None, None));
        let typed = ServeOptions::new("app").with("socket", ["x.sock"]).with("port", ["82"]);
        let both = developed(typed, &source).unwrap();
        assert_eq!((both.one("host"), both.one("port")), (Some("127.0.0.1"), Some("82")));
    }
}

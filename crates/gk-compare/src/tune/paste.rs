//! A configuration of the search as directives ready to paste. Pure. Paths are absolute, so that the directives work from a
//! configuration file in any folder.

use super::space::{Config, USUAL};
use crate::plan::variant::Gil;
use gk_config::express;
use gk_config::token::quote;
use std::path::{Path, PathBuf};

/// The application, as the trials served it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Application {
    /// A file or `package.module`, either with `:callable`.
    pub script: String,
    /// The callable is a factory.
    pub factory: bool,
    /// Folder in which the command was run; relative paths start here.
    pub folder: PathBuf,
    /// Working directory, if it is another folder.
    pub working_directory: Option<String>,
    /// Directories put on `sys.path`.
    pub python_path: Vec<String>,
}

impl Application {
    fn absolute(&self, path: &str) -> String {
        self.folder.join(path).display().to_string()
    }

    /// The process group. `python`: the free-threaded one.
    pub fn group(&self, config: &Config, python: Option<&str>) -> String {
        let mut line =
            format!("WSGIDaemonProcess my-app processes={} threads={}", config.processes, config.threads);
        let mut option = |key: &str, value: &str| line.push_str(&format!(" {key}={}", quote(value)));
        if config.interval != USUAL && config.gil != Gil::FreeThreading {
            option("switch-interval", &config.interval.to_string());
        }
        match config.gil {
            Gil::Shared => {}
            Gil::Own => option("interpreters", &config.interpreters.to_string()),
            Gil::FreeThreading => {
                option("free-threading", "required");
                python.into_iter().for_each(|path| option("python", path));
            }
        }
        // `serve` uses the folder in which it is started as working directory and for modules.
        let home = self.working_directory.as_ref();
        option("home", &home.map_or_else(|| self.folder.display().to_string(), |home| self.absolute(home)));
        let path: Vec<String> = self.python_path.iter().map(|entry| self.absolute(entry)).collect();
        if !path.is_empty() {
            option("python-path", &path.join(":"));
        }
        line
    }

    /// The WSGIScriptAlias line that mounts the application in the process group.
    pub fn mount(&self, config: &Config) -> String {
        let named = express::script(&self.script, &|path| path.is_file(), &self.folder);
        let (target, callable) = named.unwrap_or_else(|_| (self.script.clone(), None));
        let callable = match self.factory {
            true => Some(express::called(callable)),
            false => callable.map(str::to_owned),
        };
        let target = match target.starts_with("module:") || Path::new(&target).is_absolute() {
            true => target,
            false => self.absolute(&target),
        };
        let callable = callable.map_or_else(String::new, |name| format!(" callable-object={}", quote(&name)));
        let group = if config.gil == Gil::Own { "site" } else { "%{GLOBAL}" };
        format!(
            "WSGIScriptAlias / {}{callable} process-group=my-app application-group={group}",
            quote(&target)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gk_config::site::{MountTarget, Site};
    use gk_config::source::Memory;
    use gk_config::{Surroundings, load_text};

    const OWN: Config = Config { gil: Gil::Own, processes: 1, threads: 4, interpreters: 2, interval: 0.0001 };

    fn read(application: &Application, config: &Config, python: Option<&str>) -> Site {
        let text = format!(
            "Listen 127.0.0.1:8000\n{}\n{}\n",
            application.group(config, python),
            application.mount(config)
        );
        let there = Surroundings { directory: "/elsewhere".into(), ..Surroundings::default() };
        let read = load_text("pasted", &text, &Memory::new(), &there).into_result();
        let (site, said) = read.unwrap_or_else(|said| panic!("{said:?} of\n{text}"));
        let wrong: Vec<String> = said.iter().map(|one| one.line()).collect();
        assert!(wrong.is_empty(), "{wrong:?} of\n{text}");
        site
    }

    #[test]
    fn directives_of_a_measured_configuration() {
        let application = Application { script: "a.py".into(), folder: "/srv".into(), ..Default::default() };
        assert_eq!(
            application.group(&OWN, None),
            "WSGIDaemonProcess my-app processes=1 threads=4 switch-interval=0.0001 interpreters=2 home=/srv"
        );
        assert_eq!(
            application.mount(&OWN),
            "WSGIScriptAlias / /srv/a.py process-group=my-app application-group=site"
        );
        let free = Config { gil: Gil::FreeThreading, interpreters: 0, ..OWN };
        assert_eq!(
            application.group(&free, Some("/p")),
            "WSGIDaemonProcess my-app processes=1 threads=4 free-threading=required python=/p home=/srv"
        );
    }

    #[test]
    fn pasted_directives_are_read_as_meant() {
        let module = Application {
            script: "shop.web:make".into(),
            factory: false,
            folder: "/srv/my site".into(),
            working_directory: Some("work".into()),
            python_path: vec!["lib".into(), "/other lib".into()],
        };
        let site = read(&module, &OWN, None);
        let mount = &site.hosts[0].mounts[0];
        assert_eq!(mount.target, MountTarget::Module("shop.web".into()));
        assert_eq!(mount.callable_object.as_deref(), Some("make"));
        let group = site.groups.iter().find(|group| group.name == "my-app").unwrap();
        assert_eq!(group.home.as_deref(), Some(Path::new("/srv/my site/work")));
        assert_eq!(group.python_path, [PathBuf::from("/srv/my site/lib"), "/other lib".into()]);
        let file =
            Application { script: "wsgi.py".into(), folder: "/srv/my site".into(), ..Default::default() };
        let site = read(&file, &Config::usual(2, 5), None);
        assert_eq!(site.hosts[0].mounts[0].target, MountTarget::File("/srv/my site/wsgi.py".into()));
    }
}

//! `--service-script`: for each a process group without request threads, with the application's Python and paths.

use super::ServeOptions;
use crate::express::writer::Text;

/// Options of `serve` that the groups of services have from the application.
const SHARED: [&str; 5] = ["python", "lang", "locale", "umask", "shutdown-timeout"];

/// The groups and their scripts. `home` and `python_path` are those of the application.
pub fn daemons(text: &mut Text, given: &ServeOptions, home: &str, python_path: &str) {
    for (name, path) in given.pairs("service-script") {
        let mut options = vec![("threads", "0".to_owned()), ("home", home.to_owned())];
        options.extend(Some(("python-path", python_path.to_owned())).filter(|(_, path)| !path.is_empty()));
        options.extend(SHARED.into_iter().filter_map(|key| Some((key, given.one(key)?.to_owned()))));
        let name = format!("service:{name}");
        text.process_group(&name, &options);
        let (path, group) = (text.word(path), text.word(&name));
        text.out.push_str(&format!(
            "WSGIImportScript {path} process-group={group} application-group=%{{GLOBAL}}\n"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::MountTarget;
    use std::path::Path;

    #[test]
    fn a_service_has_a_group_of_its_own_with_the_applications_python() {
        let options = ServeOptions::new("/srv/site/wsgi.py")
            .with("python-path", ["/srv/lib"])
            .with("umask", ["0027"])
            .with("service-script", ["of tasks", "/srv/site/my tasks.py"]);
        let surroundings = crate::Surroundings { directory: "/srv/site".into(), ..Default::default() };
        let (site, said) = crate::express::load(&options, &surroundings).unwrap();
        let service = site.groups.iter().find(|group| group.service()).unwrap();
        assert_eq!((&*service.name, service.umask, said.len()), ("service:of tasks", Some(0o027), 0));
        let of_site = |group: &&crate::site::ProcessGroup| !group.service();
        let serving = site.groups.iter().find(of_site).unwrap();
        assert_eq!((&service.home, &service.python_path), (&serving.home, &serving.python_path));
        assert_eq!(service.python_path, [Path::new("/srv/lib")]);
        let import = site.imports.iter().find(|i| i.process_group == service.name).unwrap();
        assert_eq!(import.target, MountTarget::File("/srv/site/my tasks.py".into()));
        assert_eq!(import.application_group, "");
    }
}

//! `--service-script`: a process group without request threads for each, which has the application's Python and paths.

use super::ServeOptions;
use crate::express::writer::Text;

/// The groups and their scripts. `home` and `python_path` are those of the application.
pub fn daemons(text: &mut Text, o: &ServeOptions, home: &str, python_path: &str) {
    for (name, path) in &o.service_script {
        let group = text.word(&format!("service:{name}"));
        text.out.push_str(&format!("WSGIDaemonProcess {group} threads=0"));
        let options = [
            ("home", Some(home)),
            ("python", o.python.as_deref()),
            ("python-path", Some(python_path).filter(|p| !p.is_empty())),
            ("lang", o.lang.as_deref()),
            ("locale", o.locale.as_deref()),
            ("umask", o.umask.as_deref()),
            ("shutdown-timeout", o.shutdown_timeout.as_deref()),
        ];
        for (key, value) in options.into_iter().filter_map(|(key, value)| Some((key, value?))) {
            let value = text.word(value);
            text.out.push_str(&format!(" {key}={value}"));
        }
        let path = text.word(path);
        text.out.push_str(&format!(
            "\nWSGIImportScript {path} process-group={group} application-group=%{{GLOBAL}}\n"
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
        let options = ServeOptions {
            script: "/srv/site/wsgi.py".into(),
            python_path: vec!["/srv/lib".into()],
            umask: Some("0027".into()),
            service_script: vec![("of tasks".into(), "/srv/site/my tasks.py".into())],
            ..ServeOptions::default()
        };
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

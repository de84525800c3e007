//! `gilkeeper completion SHELL` and `gilkeeper man [COMMAND]`, made of the definition of the command line.

use crate::command_line;
use crate::{Failure, print};
use clap::{ArgMatches, Command};
use clap_complete::Shell;
use std::path::PathBuf;

/// Prints the completion script of a shell.
pub fn completion(given: &ArgMatches) -> Result<i32, Failure> {
    let shell = *given.get_one::<Shell>("shell").expect("clap requires it");
    print(&script(shell));
    Ok(0)
}

fn script(shell: Shell) -> String {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut command_line::command(), "gilkeeper", &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// Prints the manual page of `gilkeeper` or of one command, for `man -l -`; or writes all of them, for a package.
pub fn man(given: &ArgMatches) -> Result<i32, Failure> {
    if let Some(folder) = given.get_one::<PathBuf>("output") {
        let failed =
            |why| Failure::Failed(format!("the pages cannot be written to {}: {why}", folder.display()));
        std::fs::create_dir_all(folder).map_err(failed)?;
        clap_mangen::generate_to(command_line::command(), folder).map_err(failed)?;
        return Ok(0);
    }
    let words: Vec<&String> = given.get_many("command").into_iter().flatten().collect();
    let mut command = command_line::command();
    command.build();
    for word in words {
        let unknown =
            || Failure::Input(format!("there is no command `{word}`; `gilkeeper --help` lists them"));
        command = command.find_subcommand(word).cloned().ok_or_else(unknown)?;
    }
    print(&page(command)?);
    Ok(0)
}

fn page(command: Command) -> Result<String, Failure> {
    let mut out = Vec::new();
    let failed = |why: std::io::Error| Failure::Failed(format!("the page cannot be made: {why}"));
    clap_mangen::Man::new(command).render(&mut out).map_err(failed)?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gk_config::express::options;
    use std::collections::BTreeSet;
    use std::ffi::OsString;
    use std::path::Path;

    /// Letters only: the shells and troff escape and break lines each in their own way.
    fn letters(text: &str) -> String {
        text.chars().filter(|c| c.is_alphanumeric()).collect()
    }

    #[test]
    fn a_package_gets_a_page_for_each_command() {
        let folder = tempfile::tempdir().unwrap();
        let into = folder.path().join("man1");
        let words = ["gilkeeper".into(), "man".into(), "--output".into(), into.clone().into_os_string()];
        let given = command_line::command().try_get_matches_from(words).unwrap();
        let (_, given) = given.subcommand().unwrap();
        assert!(man(given).is_ok());
        for name in command_line::names().iter().map(String::as_str).chain(["telemetry-serve"]) {
            let page = std::fs::read_to_string(into.join(format!("gilkeeper-{name}.1"))).unwrap();
            assert!(page.contains(".TH") && page.contains("NAME"), "{name}: {page}");
        }
        assert!(into.join("gilkeeper.1").is_file());
    }

    #[test]
    fn the_pages_in_a_wheel_are_those_of_this_command_line() {
        let stands =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../python/gilkeeper.data/data/share/man/man1");
        let made = tempfile::tempdir().unwrap();
        clap_mangen::generate_to(command_line::command(), made.path()).unwrap();
        assert_eq!(pages(&stands), pages(made.path()), "write them: {WRITE}");
        for name in pages(&stands) {
            let page = |folder: &Path| std::fs::read_to_string(folder.join(&name)).unwrap();
            assert!(
                page(&stands) == page(made.path()),
                "{} is stale. Write the pages: {WRITE}",
                name.display()
            );
        }
    }

    const WRITE: &str = "scripts/with-python 3.14 cargo run -p gk-cli -- man --output python/gilkeeper.data/data/share/man/man1";

    fn pages(folder: &Path) -> BTreeSet<OsString> {
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn help_completion_and_manual_know_every_option_of_serve_with_its_default() {
        let mut command = command_line::command();
        command.build();
        let serve = command.find_subcommand_mut("serve").unwrap();
        let help = letters(&serve.render_help().to_string());
        let Ok(manual) = page(serve.clone()) else { panic!("no page") };
        let manual = letters(&manual.replace("\\*(Aq", "'"));
        let scripts = [Shell::Bash, Shell::Zsh, Shell::Fish].map(script);
        for option in options::all() {
            let about = letters(&format!("{}{}", option.placeholders().concat(), option.about()));
            assert!(help.contains(&about), "--help lacks --{}: {}", option.name, option.about());
            assert!(manual.contains(&letters(&option.about())), "the manual lacks --{}", option.name);
            for script in &scripts {
                assert!(script.contains(option.name), "a completion lacks --{}:\n{script}", option.name);
            }
        }
    }
}

//! `gilkeeper systemd-unit serve …`: prints the unit of a command line, or writes it with its socket into a folder.

use crate::surroundings::{here, server_root};
use crate::{Failure, command_line, load, options, print, say};
use clap::ArgMatches;
use gk_config::Surroundings;
use gk_supervisor::PythonRuntime;
use gk_supervisor::service_manager::unit::{Request, Units, units};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub fn run(given: &ArgMatches, python: &PythonRuntime) -> Result<i32, Failure> {
    let words: Vec<OsString> = given.get_many::<OsString>("words").into_iter().flatten().cloned().collect();
    let text = |word: &OsString| {
        let text = word.to_str().map(str::to_owned);
        text.ok_or_else(|| {
            Failure::Input(format!("{} is no UTF-8, which a unit must be", word.to_string_lossy()))
        })
    };
    let arguments = words.iter().map(text).collect::<Result<Vec<String>, Failure>>()?;
    let (first, arguments) =
        arguments.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    if first != "serve" {
        let text = format!("systemd-unit takes the command line of a server, from `serve` on, not `{first}`");
        return Err(Failure::Input(text));
    }
    let argv = options::spelled_out(std::iter::once("gilkeeper".into()).chain(words).collect());
    let parsed = match command_line::command().try_get_matches_from(&argv) {
        Ok(parsed) => parsed,
        Err(error) => return Ok(command_line::complain(&error, &argv)),
    };
    let Some(("serve", serve)) = parsed.subcommand() else {
        return Err(Failure::Input(
            "systemd-unit takes the command line of a server, from `serve` on".into(),
        ));
    };
    let name = given.get_one::<String>("name").cloned().unwrap_or_else(|| "gilkeeper".into());
    let here = here()?;
    let credentials = given.get_many::<String>("credential").into_iter().flatten();
    let credentials = credentials.map(|text| credential(text)).collect::<Result<Vec<_>, Failure>>()?;
    let loaded = load::read_once(serve, python, |surroundings| give_credentials(surroundings, &name))?;
    lost_variables(serve, python, &name, &loaded.warnings);
    let user = given.get_one::<String>("user").map(|text| match text.split_once(':') {
        Some((user, group)) => (user.to_owned(), Some(group.to_owned())),
        None => (text.clone(), None),
    });
    let request = Request {
        server_root_chosen: loaded.site.server_root
            != server_root::default(&loaded.directory, &here.environment),
        name,
        command: script_of(python),
        arguments: arguments.to_vec(),
        directory: loaded.directory,
        user,
        sockets: given.get_flag("socket"),
        notify_reload: given.get_flag("notify-reload"),
        credentials,
    };
    let made = units(&request, &loaded.site).map_err(Failure::Input)?;
    give(given.get_one::<PathBuf>("output"), &request.name, &made)?;
    Ok(0)
}

/// Variables of the environment that systemd gives to services with the same values.
const OF_SERVICES: [&str; 2] = ["PATH", "CREDENTIALS_DIRECTORY"];

/// Says how the service, which does not have this environment, reads the configuration otherwise. `known`: the warnings with this
/// environment.
fn lost_variables(serve: &ArgMatches, python: &PythonRuntime, name: &str, known: &[String]) {
    let read = load::read_once(serve, python, |surroundings| {
        give_credentials(surroundings, name);
        surroundings.environment.retain(|name, _| OF_SERVICES.contains(&name.as_str()));
    });
    let said = match read {
        Ok(loaded) => loaded.warnings.into_iter().filter(|said| !known.contains(said)).collect(),
        Err(Failure::Input(said) | Failure::Failed(said)) => vec![said],
    };
    for said in &said {
        say(&format!(
            "gilkeeper: the service does not have the environment of this command: {}",
            said.trim_end()
        ));
    }
    if !said.is_empty() {
        say(
            "gilkeeper: the unit is made with this environment; put `-D NAME=VALUE` behind `serve` for each variable, or `Environment=NAME=VALUE` into the unit",
        );
    }
}

fn give_credentials(surroundings: &mut Surroundings, name: &str) {
    let folder = format!("/run/credentials/{name}.service");
    surroundings.environment.insert("CREDENTIALS_DIRECTORY".into(), folder);
}

fn credential(text: &str) -> Result<(String, PathBuf), Failure> {
    match text.split_once(':') {
        Some((name, file)) if !name.is_empty() && file.starts_with('/') => Ok((name.to_owned(), file.into())),
        _ => Err(Failure::Input(format!("--credential takes NAME:FILE with a whole path, not `{text}`"))),
    }
}

/// The script `gilkeeper` beside the Python, where it is there: people know the command by that name.
fn script_of(python: &PythonRuntime) -> Vec<String> {
    let script = python.executable.parent().map(|folder| folder.join("gilkeeper"));
    match script.filter(|script| python.program.is_none() && script.is_absolute() && script.is_file()) {
        Some(script) => vec![script.to_string_lossy().into_owned()],
        None => python.command(),
    }
}

fn give(folder: Option<&PathBuf>, name: &str, made: &Units) -> Result<(), Failure> {
    let files =
        [(format!("{name}.service"), Some(&made.service)), (format!("{name}.socket"), made.socket.as_ref())];
    for (file, text) in files {
        let Some(text) = text else { continue };
        match folder {
            Some(folder) => write(&folder.join(file), text)?,
            None if made.socket.is_some() => print(&format!("# /etc/systemd/system/{file}\n{text}")),
            None => print(text.trim_end()),
        }
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text)
        .map_err(|why| Failure::Failed(format!("{} cannot be written: {why}", path.display())))?;
    print(&path.display().to_string());
    Ok(())
}

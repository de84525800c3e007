//! WSGIDaemonProcess: reads its options by their rows in gk_options, and checks what must hold between them. GilkeeperEmbedded has the same
//! options.

use super::directive::{Applied, Scope, Status};
use super::raw::Need;
use crate::diagnostic::Complaint;
use crate::nearest;
use crate::site::ProcessGroup;
use crate::token::{Word, key_value};
use crate::values;
use gk_options::{Kind, OPTIONS, Value};

/// Applies WSGIDaemonProcess.
pub fn declare(scope: &mut Scope, words: &[Word]) -> Applied {
    let word = &words[0];
    let name = word.text.as_str();
    if name.is_empty() || name.contains('=') || name.contains("%{") {
        let message = format!("WSGIDaemonProcess takes the name of the group first, not `{name}`");
        return Err(Complaint::error(message).at(word).hint("WSGIDaemonProcess NAME [option=value …]"));
    }
    if let Some((_, first)) = scope.raw.groups.iter().find(|(group, _)| group.name == name) {
        let hint = format!("its first declaration is on line {}", first.place.line);
        let message = format!("the process group `{name}` is declared twice");
        return Err(Complaint::error(message).at(word).hint(hint));
    }
    let mut group = ProcessGroup::named(name);
    group.host = (scope.host > 0).then_some(scope.host);
    let mut failed = None;
    for word in &words[1..] {
        if let Err(complaint) = option(scope, &mut group, word) {
            scope.say(complaint.clone());
            failed.get_or_insert(complaint);
        }
    }
    check(&group, word)?;
    complete(&mut group);
    // A group with a bad option is still declared, so that its uses are not reported as well.
    scope.raw.groups.push((group, word.clone()));
    failed.map_or(Ok(()), Err)
}

/// The options of a group that is made and named later: those of `GilkeeperEmbedded`.
pub fn options(scope: &mut Scope, words: &[Word]) -> Result<ProcessGroup, Complaint> {
    let mut group = ProcessGroup::named("");
    for word in words {
        option(scope, &mut group, word)?;
    }
    check(&group, &words[0])?;
    Ok(group)
}

fn option(scope: &mut Scope, group: &mut ProcessGroup, word: &Word) -> Applied {
    let directive = scope.name;
    let Some((key, text)) = key_value(word) else {
        let message = format!("an option of {directive} is written key=value, not `{}`", word.text);
        return Err(Complaint::error(message).at(word));
    };
    let Some(row) = OPTIONS.iter().find(|row| row.name == key) else {
        let complaint = Complaint::error(format!("{directive} has no option `{key}`")).at(word);
        let near = nearest::nearest(&key, OPTIONS.iter().map(|row| row.name));
        return Err(match near {
            _ if key == "root" => complaint.hint("did you mean `chroot=`?"),
            Some(near) => complaint.hint(format!("did you mean `{near}=`?")),
            None => complaint.hint("the options are listed in docs/reference/daemon-process-options.md"),
        });
    };
    match row.status {
        Status::WithoutEffect(why) => {
            scope.say(Complaint::note(format!("{key}= has no effect here: {why}")).partly().at(word));
        }
        Status::NotBuiltYet(area) => {
            scope.say(Complaint::warning(format!("{key}= is not built yet: {area}")).at(word));
        }
        _ => {}
    }
    if let Kind::Choice(words) = row.kind {
        // Its complaint also names the nearest word.
        values::one_of(&format!("{key}="), word, text, words)?;
    }
    let value = row.kind.read(&format!("{key}="), text, scope.base).map_err(values::at(word))?;
    let other = match row.name {
        "script-user" => group.script_group.is_some(),
        "script-group" => group.script_user.is_some(),
        _ => false,
    };
    if other {
        return Err(Complaint::error("script-user= and script-group= exclude each other").at(word));
    }
    needs(scope, row.name, &value, word);
    if row.name == "lazy-imports" {
        scope.raw.lazy_words.insert(group.name.clone(), word.clone());
    }
    (row.set)(group, value);
    group.multiprocess |= row.name == "processes";
    Ok(())
}

/// Notes what the machine has to have for an option.
fn needs(scope: &mut Scope, option: &str, value: &Value, word: &Word) {
    match (option, value) {
        ("user", Value::Text(name)) => scope.need_identity(Need::User, name, word),
        ("group", Value::Text(name)) => scope.need_identity(Need::Group, name, word),
        ("supplementary-groups", Value::Texts(names)) => {
            names.iter().for_each(|name| scope.need_identity(Need::Group, name, word));
        }
        ("home", Value::Path(home)) => scope.need(Need::Home(home.clone()), word),
        ("python-home", Value::Path(home)) => scope.need(Need::PythonHome(home.clone()), word),
        _ => {}
    }
}

/// Completes the options that depend on others or on the name.
pub fn complete(group: &mut ProcessGroup) {
    if let Some(title) = &group.display_name {
        group.display_name = Some(title.replace("%{GROUP}", &format!("(wsgi:{})", group.name)));
    }
    if group.header_buffer_size == 0 {
        group.header_buffer_size = ProcessGroup::default().header_buffer_size;
    }
    if group.response_buffer_size == 0 {
        group.response_buffer_size = ProcessGroup::default().response_buffer_size;
    }
}

/// Checks what must hold between options.
fn check(group: &ProcessGroup, word: &Word) -> Applied {
    if group.maximum_requests_jitter > 0 && group.maximum_requests == 0 {
        let message = "maximum-requests-jitter= needs maximum-requests=";
        return Err(Complaint::error(message).at(word));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Severity;
    use crate::source::Memory;
    use crate::{Surroundings, load_text};
    use std::path::PathBuf;

    fn group(options: &str) -> Result<ProcessGroup, String> {
        let surroundings = Surroundings { directory: "/srv".into(), ..Surroundings::default() };
        let text = format!("WSGIDaemonProcess app {options}\n");
        match load_text("t", &text, &Memory::new(), &surroundings).into_result() {
            Ok((site, _)) => Ok(site.groups[0].clone()),
            Err(said) => Err(said.iter().find(|d| d.severity == Severity::Error).unwrap().line()),
        }
    }

    /// The group as `check --format json` shows it.
    fn shown(options: &str) -> serde_json::Value {
        let group = group(options).unwrap_or_else(|e| panic!("{options}: {e}"));
        let mut shown = serde_json::to_value(group).unwrap();
        // `processes=` given at all says more than its value.
        shown.as_object_mut().unwrap().remove("multiprocess");
        shown
    }

    #[test]
    fn giving_the_default_of_an_option_changes_nothing() {
        let absent = shown("");
        for row in OPTIONS {
            let field = row.name.replace('-', "_");
            let Some(default) = row.default() else {
                let empty = absent[&field].is_null() || absent[&field] == serde_json::json!([]);
                assert!(empty, "{}: {}", row.name, absent[&field]);
                continue;
            };
            let text = match &absent[&field] {
                serde_json::Value::String(word) => word.clone(),
                serde_json::Value::Bool(on) => if *on { "On" } else { "Off" }.to_owned(),
                value => value.as_f64().expect("a number").to_string(),
            };
            assert_eq!(default.spelled(), text, "{}", row.name);
            assert!(row.default_words().starts_with(&text), "{}: {}", row.name, row.default_words());
            assert_eq!(shown(&format!("{}={text}", row.name)), absent, "{}", row.name);
        }
    }

    /// Reported: `graceful-timeout=9999999999999999999` was accepted and a process panicked on it.
    #[test]
    fn numbers_too_big_are_refused_and_never_become_another_number() {
        for row in
            OPTIONS.iter().filter(|row| row.default().is_some_and(|v| v.spelled().parse::<f64>().is_ok()))
        {
            let error = group(&format!("{}=9999999999999999999", row.name)).unwrap_err();
            assert!(error.contains("not `9999999999999999999`"), "{}: {error}", row.name);
        }
    }

    #[test]
    fn ranges_and_units() {
        assert!(group("threads=65534").unwrap_err().contains("from 0 to 65533"));
        assert!(group("processes=0").is_err());
        assert!(group("request-timeout=60s").unwrap_err().contains("write 60"));
        assert!(group("memory-limit=512M").unwrap_err().contains("unit suffixes"));
        assert!(group("home=relative").unwrap_err().contains("absolute path"));
        assert!(group("umask=9").unwrap_err().contains("octal"));
        assert!(group("thread=3").unwrap_err().contains("did you mean `threads=`?"));
        assert!(group("root=/x").unwrap_err().contains("did you mean `chroot=`?"));
        assert!(group("user=root").unwrap_err().contains("root"));
    }

    #[test]
    fn new_privileges_are_renounced_with_a_user_unless_the_option_says_otherwise() {
        for (options, renounces) in [
            ("", false),
            ("user=site", true),
            ("no-new-privileges=On", true),
            ("user=site no-new-privileges=Off", false),
        ] {
            assert_eq!(group(options).unwrap().renounces_privileges(), renounces, "{options}");
        }
    }

    #[test]
    fn processes_given_at_all_means_multiprocess() {
        assert!(group("processes=1").unwrap().multiprocess);
        assert!(!group("").unwrap().multiprocess);
        assert_eq!(group("display-name=%{GROUP}").unwrap().display_name.unwrap(), "(wsgi:app)");
        assert_eq!(group("python-path=/a:b").unwrap().python_path, [PathBuf::from("/a"), "/srv/b".into()]);
        assert_eq!(group("umask=0027").unwrap().umask, Some(0o27));
        assert_eq!(group("home=\"/a b\" lang='x y'").unwrap().lang.as_deref(), Some("x y"));
    }
}

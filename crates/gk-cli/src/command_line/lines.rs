//! The lines of `--help` of every command: each says what holds without the option, in its unit.

use clap::{Arg, ArgAction, Command};

/// The command and those below it, where each line of the help is complete: every option that takes a value says what holds without it.
pub fn completed(command: Command) -> Command {
    let named: Vec<String> = command.get_subcommands().map(|one| one.get_name().to_owned()).collect();
    let command = named.into_iter().fold(command, |command, name| command.mut_subcommand(name, completed));
    let help = Arg::new("help").short('h').long("help").action(ArgAction::Help).help("Print this help.");
    command.mut_args(with_default).disable_help_flag(true).arg(help)
}

fn with_default(arg: Arg) -> Arg {
    let about = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let valued = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append) && !arg.is_positional();
    if let Some((text, standard)) = about.strip_suffix("].").and_then(|about| about.split_once(" [default: "))
    {
        return arg.help(format!("{text}. [default: {standard}]"));
    }
    if !valued || about.contains("[default: ") {
        return arg;
    }
    let seconds = arg.get_value_names().is_some_and(|names| names[0] == "SECONDS");
    match arg.get_default_values() {
        [] => arg.help(format!("{about} [default: none]")),
        [standard] if seconds => {
            let told = format!("{about} [default: {} s]", standard.to_string_lossy());
            arg.help(told).hide_default_value(true)
        }
        _ => arg,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of a command's help that leave something out.
    fn wanting(command: &Command) -> Vec<String> {
        let below = command.get_subcommands().flat_map(wanting);
        let own = command.get_arguments().filter(|arg| !arg.is_hide_set()).filter_map(|arg| {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            let valued =
                matches!(arg.get_action(), ArgAction::Set | ArgAction::Append) && !arg.is_positional();
            let told = help.contains("[default: ")
                || !(arg.get_default_values().is_empty() || arg.is_hide_default_value_set());
            let seconds = arg.get_value_names().is_some_and(|names| names[0] == "SECONDS");
            let number = help.split_once("[default: ").map_or("", |(_, rest)| rest.trim_end_matches(']'));
            let bare = seconds && number.parse::<f64>().is_ok_and(|number| number > 0.0);
            let sentence = help.split(" [default: ").next().is_some_and(|text| text.ends_with('.'));
            let whole = sentence && (told || !valued) && !bare;
            (!whole).then(|| format!("{} {}: {help}", command.get_name(), arg.get_id()))
        });
        below.chain(own).collect()
    }

    #[test]
    fn each_line_of_the_help_is_a_sentence_with_default_and_unit() {
        let mut whole = crate::command_line::command();
        whole.build();
        let wanting: Vec<String> = whole.get_subcommands().flat_map(wanting).collect();
        assert!(wanting.is_empty(), "{}", wanting.join("\n"));
    }
}

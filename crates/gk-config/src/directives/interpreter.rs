//! Interpreters: GIL modes, switch interval, what application code may touch.

use super::raw::GroupUse;
use crate::diagnostic::Complaint;
use crate::directive::{Applied, Arity, Contexts, Directive, Scope};
use crate::directives::mapping::group_name;
use crate::site::InterpreterOptions;
use crate::token::{Word, key_value};
use crate::{nearest, values};

const BOTH: Contexts = Contexts::GLOBAL.or(Contexts::INTERPRETER);

/// Rows of this area.
pub const ROWS: &[Directive] = &[
    Directive::honoured("<WSGIInterpreterOptions>", "[process-group=name] [application-group=name]", Contexts::GLOBAL, Arity::options(0), block)
        .doc("Limits the directives inside to the interpreters its selectors name. The value of the block with more \
              selectors wins, of equals the later one; a block that leaves a directive unset hides nothing. Both names \
              are compared literally with the resolved group names; `%{GLOBAL}` is the main interpreter, and as a process group the \
              first one."),
    Directive::honoured("WSGIPerInterpreterGIL", "On|Off", BOTH, Arity::exactly(1), per_interpreter_gil)
        .default("Off")
        .doc("Gives sub-interpreters their own GIL (CPython 3.12 and later), so that requests in them run in parallel. Such an \
              interpreter is isolated: no `os.fork`, no `os.exec`, no daemon threads, and only extension modules that declare \
              support for it. The main interpreter (`%{GLOBAL}`) never has its own GIL."),
    Directive::honoured("WSGIFreeThreading", "On|Off", BOTH, Arity::exactly(1), free_threading)
        .default("Off")
        .doc("Runs whole processes without the GIL on a free-threaded build (CPython 3.14t and later). Without this directive the \
              GIL is kept on there. An extension module that does not declare support turns the GIL back on when it is imported; \
              this is logged (GK0011) and shown by `gilkeeper status`."),
    Directive::honoured("WSGISwitchInterval", "seconds", BOTH, Arity::exactly(1), switch_interval)
        .default("0.005, CPython's own")
        .doc("The time that a thread may keep the GIL while others ask for it. Where the GIL is shared it holds for the whole \
              process, and `switch-interval=` of the process group overrides the top level and every block. An interpreter with its \
              own GIL uses the value that the blocks and the top level have for it."),
    Directive::honoured("WSGIRestrictStdin", "On|Off", BOTH, Arity::exactly(1), restrict_stdin)
        .default("Off").doc("Makes every use of `sys.stdin` an error."),
    Directive::honoured("WSGIRestrictStdout", "On|Off", BOTH, Arity::exactly(1), restrict_stdout)
        .default("Off").doc("Makes every use of `sys.stdout` an error; otherwise it goes to the error log."),
    Directive::honoured("WSGIRestrictSignal", "On|Off", BOTH, Arity::exactly(1), restrict_signal)
        .default("On").doc("Makes `signal.signal()` write a line to the log and do nothing else."),
];

fn block(scope: &mut Scope, words: &[Word]) -> Applied {
    let mut options = InterpreterOptions::default();
    for word in words {
        let Some((key, value)) = key_value(word) else {
            let message = format!("a selector is written key=value, not `{}`", word.text);
            return Err(Complaint::error(message)
                .at(word)
                .hint("process-group=NAME or application-group=NAME"));
        };
        let slot = match key.as_str() {
            "process-group" => &mut options.process_group,
            "application-group" => &mut options.application_group,
            _ => {
                let complaint = Complaint::error(format!("`{key}` is no selector")).at(word);
                let near = nearest::nearest(&key, ["process-group", "application-group"]);
                return Err(match near {
                    Some(near) => complaint.hint(format!("did you mean `{near}=`?")),
                    None => complaint.hint("known: process-group, application-group"),
                });
            }
        };
        if slot.is_some() {
            return Err(Complaint::error(format!("the selector {key}= is given twice")).at(word));
        }
        if value.contains("%{ENV:") || value.contains("%{SERVER}") || value.contains("%{RESOURCE}") {
            scope.say(
                Complaint::warning(format!("`{value}` is compared literally, it is not expanded here"))
                    .at(word)
                    .hint("write the group's name as it is after expansion"),
            );
        }
        *slot = Some(group_name(value));
        if key == "process-group" && group_name(value).is_empty() {
            let host = scope.host;
            let used = GroupUse { host, word: word.clone(), name: String::new(), requests: false };
            scope.raw.group_uses.push(used);
        }
    }
    scope.raw.interpreters.push(options);
    let word = scope.word.clone();
    scope.raw.interpreter_words.push(word);
    Ok(())
}

fn per_interpreter_gil(scope: &mut Scope, words: &[Word]) -> Applied {
    let on = values::switch(scope.name, &words[0], &words[0].text)?;
    scope.interpreter().per_interpreter_gil = Some(on);
    let block = scope.block;
    scope.raw.gil_words.insert(block, words[0].clone());
    Ok(())
}

fn free_threading(scope: &mut Scope, words: &[Word]) -> Applied {
    let on = values::switch(scope.name, &words[0], &words[0].text)?;
    if scope.interpreter().application_group.is_some() {
        scope.say(
            Complaint::warning("WSGIFreeThreading concerns whole processes and is ignored in a block with application-group=")
                .code("WSGI0201")
                .ignored()
                .hint("select the process only: <WSGIInterpreterOptions process-group=NAME>"),
        );
        return Ok(());
    }
    scope.interpreter().free_threading = Some(on);
    let block = scope.block;
    scope.raw.free_words.insert(block, words[0].clone());
    Ok(())
}

fn switch_interval(scope: &mut Scope, words: &[Word]) -> Applied {
    let seconds = values::positive_seconds(scope.name, &words[0], &words[0].text)?;
    scope.interpreter().switch_interval = Some(seconds);
    let block = scope.block;
    scope.raw.switch_words.insert(block, words[0].clone());
    Ok(())
}

fn restrict_stdin(scope: &mut Scope, words: &[Word]) -> Applied {
    scope.interpreter().restrict_stdin = Some(values::switch(scope.name, &words[0], &words[0].text)?);
    Ok(())
}

fn restrict_stdout(scope: &mut Scope, words: &[Word]) -> Applied {
    scope.interpreter().restrict_stdout = Some(values::switch(scope.name, &words[0], &words[0].text)?);
    Ok(())
}

fn restrict_signal(scope: &mut Scope, words: &[Word]) -> Applied {
    scope.interpreter().restrict_signal = Some(values::switch(scope.name, &words[0], &words[0].text)?);
    Ok(())
}

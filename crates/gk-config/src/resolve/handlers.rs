//! Whether the handlers that a configuration names are built. Files of one that is not are answered 403.

use crate::diagnostic::{Complaint, Journal};
use crate::directives::raw::{HandlerUse, Raw};
use crate::place::Handler;

/// Says of every name that there is no such handler. One that is set for a whole scope is an error; one for an extension is a
/// warning, since there may be no such file.
pub fn check(raw: &Raw, ignore_unknown: bool, journal: &mut Journal) {
    let patches = raw
        .hosts
        .iter()
        .flat_map(|host| host.sections.iter().map(|section| &section.section.set).chain([&host.base]));
    let scripts: Vec<&String> = patches
        .filter_map(|patch| patch.handler_scripts.as_ref())
        .flat_map(|scripts| scripts.keys())
        .collect();
    for HandlerUse { word, name, all_files } in &raw.handler_uses {
        let Handler::Unbuilt(bare) = Handler::named(name) else { continue };
        if scripts.contains(&name) {
            continue;
        }
        let complaint = match all_files {
            true => {
                let message = format!("the handler `{}` is not built here", word.text);
                match ignore_unknown {
                    true => {
                        Complaint::warning(format!("{message}: everything in this scope is answered 403"))
                            .refuses()
                    }
                    false => Complaint::error(message),
                }
            }
            false => Complaint::warning(format!(
                "the handler `{}` is not built here: files with these extensions are answered 403",
                word.text
            ))
            .refuses(),
        };
        journal.say(complaint.at(word).hint(remedy(bare)));
    }
}

/// What to do in place of a handler.
fn remedy(name: &str) -> String {
    match name {
        "server-status" | "server-info" | "balancer-manager" => {
            "take it out: `gilkeeper status` and the admin pages (GilkeeperAdmin) tell how the server is".to_owned()
        }
        name if name.contains("cgi") || name.contains("php") || name.starts_with("proxy:") => {
            "keep a server that runs it, let a proxy in front choose by path, and take the line out here".to_owned()
        }
        _ => "wsgi-script and default-handler are built; take the line out, or let a proxy in front serve these URLs".to_owned(),
    }
}

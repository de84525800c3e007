//! Errors of `toml` in a plan or in a file of requests, as one sentence. Pure.

use gk_config::nearest::nearest;

/// An error of `toml` as one sentence with the line and the nearest name. `name`: the file.
pub(super) fn sentence(error: &toml::de::Error, text: &str, name: &str) -> String {
    let at = error.span().map_or(0, |span| span.start);
    let line = text[..at.min(text.len())].matches('\n').count() + 1;
    let message = error.message();
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let table = text.lines().take(line).filter(|line| line.trim_start().starts_with('[')).last();
    let place = table.map_or(String::new(), |table| format!(" in {}", table.trim()));
    let said = match (message.starts_with("unknown field"), quoted.split_first()) {
        (true, Some((unknown, known))) => {
            let meant = nearest(unknown, known.iter().copied());
            let meant = meant
                .map_or(format!("known are {}", known.join(", ")), |near| format!("did you mean `{near}`?"));
            format!("`{unknown}` is unknown{place}; {meant}")
        }
        _ => format!("{}{place}", message.split('\n').collect::<Vec<_>>().join(" ")),
    };
    format!("{name}:{line}: {said}")
}

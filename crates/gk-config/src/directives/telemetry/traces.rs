//! `GilkeeperTraces` and `GilkeeperRequestId`.

use super::{header, is_address, option, push_interval, unknown};
use crate::diagnostic::Complaint;
use crate::directive::{Applied, Scope};
use crate::measurements::{Believed, Traces};
use crate::token::Word;
use crate::values;

const OPTIONS: [&str; 6] = ["ratio", "believe", "slow", "service", "interval", "header"];
/// Method of the collector's service.
const METHOD: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

pub(super) fn request_id(scope: &mut Scope, words: &[Word]) -> Applied {
    scope.raw.measurements.request_ids = values::switch(scope.name, &words[0], &words[0].text)?;
    Ok(())
}

pub(super) fn traces(scope: &mut Scope, words: &[Word]) -> Applied {
    let mut traces = receiver(&words[0])?;
    for word in &words[1..] {
        match option(word)? {
            ("ratio", text) => match text.parse::<f64>() {
                Ok(ratio) if (0.0..=1.0).contains(&ratio) => traces.ratio = ratio,
                _ => {
                    let message = format!("ratio= is a share from 0 to 1, not `{text}`");
                    return Err(Complaint::error(message).at(word));
                }
            },
            ("believe", text) => {
                let known = ["proxies", "everybody", "nobody"];
                traces.believe = match values::one_of("believe=", word, text, &known)?.as_str() {
                    "everybody" => Believed::Everybody,
                    "nobody" => Believed::Nobody,
                    _ => Believed::Proxies,
                };
            }
            ("slow", text) => traces.slow = values::seconds("slow=", word, text)?,
            ("service", text) => traces.service = super::service_name(word, text)?,
            ("interval", text) => traces.interval = push_interval(word, text)?,
            ("header", text) => traces.headers.push(header(word, text)?),
            (name, _) => return Err(unknown("GilkeeperTraces", word, name, &OPTIONS)),
        }
    }
    scope.raw.measurements.export.traces = Some(traces);
    Ok(())
}

/// The receiver that a URL names.
fn receiver(word: &Word) -> Result<Traces, Complaint> {
    let url = &word.text;
    let wrong = |why: &str| {
        let what = "GilkeeperTraces takes http://host:port[/path] or grpc://host:port";
        Complaint::error(format!("{what}, not `{url}`{why}")).at(word)
    };
    let (grpc, rest) = match (url.strip_prefix("http://"), url.strip_prefix("grpc://")) {
        (Some(rest), _) => (false, rest),
        (_, Some(rest)) => (true, rest),
        _ if url.starts_with("https:") => {
            return Err(wrong("; TLS is a collector's on this machine or this network to add"));
        }
        _ => return Err(wrong("")),
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    // The colons of an IPv6 address stand in brackets.
    let behind = authority.rsplit_once(']').map_or(authority, |(_, behind)| behind);
    let usual = if grpc { 4317 } else { 4318 };
    let authority = if behind.contains(':') { authority.to_owned() } else { format!("{authority}:{usual}") };
    if !is_address(&authority)
        || !path.bytes().all(|byte| byte.is_ascii_graphic())
        || (grpc && !path.is_empty())
    {
        return Err(wrong(""));
    }
    let path = match (grpc, path) {
        (true, _) => METHOD.to_owned(),
        (false, "") => "/v1/traces".to_owned(),
        (false, path) => format!("/{path}"),
    };
    Ok(Traces { grpc, authority, path, ..Traces::default() })
}

#[cfg(test)]
mod tests {
    use crate::measurements::{Believed, Traces};
    use crate::{Surroundings, load_text, source::Memory};

    fn of(words: &str) -> Result<Traces, String> {
        let line = format!("GilkeeperTraces {words}");
        let loaded = load_text("test", &line, &Memory::new(), &Surroundings::default());
        match loaded.site {
            Some(site) => Ok(site.measurements.export.traces.unwrap_or_default()),
            None => Err(loaded.diagnostics.iter().map(|one| one.message.clone()).collect()),
        }
    }

    #[test]
    fn receivers_and_options() {
        let plain = of("http://collector").unwrap();
        assert_eq!(
            (plain.authority.as_str(), plain.path.as_str(), plain.grpc),
            ("collector:4318", "/v1/traces", false)
        );
        assert_eq!((plain.ratio, plain.believe, plain.slow), (0.01, Believed::Proxies, 1.0));
        let grpc =
            of("grpc://[::1] ratio=1 believe=everybody slow=0.5 service=shop interval=1 header=\"X-Key: a\"")
                .unwrap();
        assert_eq!((grpc.authority.as_str(), grpc.grpc), ("[::1]:4317", true));
        assert!(grpc.path.ends_with("TraceService/Export"));
        assert_eq!(
            (grpc.ratio, grpc.believe, grpc.slow, grpc.interval),
            (1.0, Believed::Everybody, 0.5, 1.0)
        );
        assert_eq!((grpc.service.as_str(), grpc.headers.len()), ("shop", 1));
        for (words, says) in [
            ("collector:4318", "takes http://"),
            ("https://x", "TLS is a collector's"),
            ("grpc://x/path", "takes http://"),
            ("http://x ratio=2", "from 0 to 1"),
            ("http://x ratio=-0.1", "from 0 to 1"),
            ("http://x ratio=NaN", "from 0 to 1"),
            ("http://x believe=me", "takes one of"),
            ("http://x slow=never", "slow="),
            ("http://x service=", "takes a name"),
            ("http://x sampler=1", "no option `sampler`"),
        ] {
            let said = of(words).unwrap_err();
            assert!(said.contains(says), "{words}: {said}");
        }
    }
}

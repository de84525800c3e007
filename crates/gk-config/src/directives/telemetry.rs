//! Metrics and telemetry: what is measured, and where it is sent.

mod traces;

use crate::diagnostic::Complaint;
use crate::directive::{Applied, Arity, Contexts, Directive, Scope};
use crate::measurements::{Datagrams, Holders, Otlp, Statsd};
use crate::token::Word;
use crate::values;

const GLOBAL: Contexts = Contexts::GLOBAL;
/// What the kernel has room for.
const LONGEST_SOCKET: usize = 107;

/// Rows of this area.
pub const ROWS: &[Directive] = &[
    Directive::honoured("WSGITelemetryService", "unix:/path [interval=seconds]", GLOBAL, Arity::between(1, 2), service)
        .doc("Sends mod_wsgi's telemetry datagrams to the socket of `mod_wsgi-telemetry` or of `gilkeeper telemetry serve`, every \
              `interval` seconds (default 1, at least 0.5). If the receiver is missing or slow, datagrams are lost and counted; \
              nothing else happens."),
    Directive::honoured("WSGITelemetryOptions", "[+|-]option … | None | All", GLOBAL, Arity::at_least(1), options)
        .default("None").unbuilt("facts about clients are not on the scoreboard").doc("Optional captures: `CaptureUserAgent`."),
    Directive::honoured("WSGISlowRequests", "seconds", GLOBAL, Arity::exactly(1), slow)
        .default("0").doc("Requests whose application takes longer than this are recorded, with how their time was used. While such a request \
            is running, its Python stack is written to the error log once. 0 turns it off."),
    Directive::honoured("GilkeeperMeasurements", "On|Off", GLOBAL, Arity::exactly(1), measurements)
        .default("On").doc("Lets the workers measure their requests and their waits for the GIL. `Off` leaves the pages and `/metrics` without \
            figures of requests; use it to see what measuring costs."),
    Directive::honoured("GilkeeperHolders", "On|Off|seconds", GLOBAL, Arity::exactly(1), holders)
        .default("On").doc("Which waits for the GIL are attributed to the application's line that held it: with `On` those that last a switch \
            interval or longer, with a number those of so many `seconds` or longer (`0`: every wait). `Off`: none, and there \
            is no table of hot holders."),
    Directive::honoured("WSGIServerMetrics", "On|Off", GLOBAL, Arity::exactly(1), metrics)
        .default("Off").unbuilt("`mod_wsgi.server_metrics()` returns None; the figures of all processes are on `/metrics`")
            .doc("Lets `mod_wsgi.server_metrics()` return data."),
    Directive::honoured("GilkeeperOTLP", "http://host:port[/path] [service=name] [interval=seconds] [header=\"Name: value\"] …", GLOBAL, Arity::options(1), otlp)
        .ours().doc("Pushes the metrics of `/metrics` to an OpenTelemetry collector, as OTLP over HTTP in protobuf form, every `interval` \
            seconds (default 10, at least 1). Without a path it is `/v1/metrics`; `header` may be repeated. `service` is `service.name` \
            (default `gilkeeper`)."),
    Directive::honoured("GilkeeperRequestId", "On|Off", GLOBAL, Arity::exactly(1), traces::request_id)
        .default("Off, On with GilkeeperTraces").doc("Gives each request an id: the `X-Request-ID` of a trusted proxy, else 32 hexadecimal digits. It is in both logs, \
            in the environ as `HTTP_X_REQUEST_ID` and `gilkeeper.request_id`, in the response as `X-Request-ID`, on the pages, \
            and available to the application's own logging."),
    Directive::honoured("GilkeeperTraces", "http://host:port[/path]|grpc://host:port [ratio=share] [believe=proxies|everybody|nobody] [slow=seconds] [service=name] [interval=seconds] [header=\"Name: value\"] …", GLOBAL, Arity::options(1), traces::traces)
        .ours().doc("Sends spans of requests to an OpenTelemetry receiver by OTLP, over HTTP or gRPC, every `interval` seconds (default 5). \
              A request's `traceparent` is continued. `ratio` (default 0.01) is the share of new traces that are sampled. A trusted \
              proxy's `traceparent` decides for its own requests; with `believe=everybody` everybody's does, and with \
              `believe=nobody` each request begins a new trace. Requests that took `slow` seconds (default 1) or failed are always \
              sent. `service` is `service.name`."),
    Directive::honoured("GilkeeperStatsd", "host:port [interval=seconds] [prefix=name]", GLOBAL, Arity::options(1), statsd)
        .ours().doc("Sends counters and gauges to a statsd by UDP, every `interval` seconds (default 10, at least 1). Names \
            begin with `prefix` (default `gilkeeper`)."),
];

fn service(scope: &mut Scope, words: &[Word]) -> Applied {
    let Some(path) = words[0].text.strip_prefix("unix:").filter(|path| !path.is_empty()) else {
        let message = format!("WSGITelemetryService takes unix:/path, not `{}`", words[0].text);
        return Err(Complaint::error(message).at(&words[0]));
    };
    let socket = scope.path(path);
    if socket.as_os_str().len() > LONGEST_SOCKET {
        let message = format!("the path of a socket has at most {LONGEST_SOCKET} bytes");
        return Err(Complaint::error(message).at(&words[0]));
    }
    let mut interval = 1.0;
    if let Some(word) = words.get(1) {
        let Some(text) = word.text.strip_prefix("interval=") else {
            let message = format!("WSGITelemetryService takes interval=seconds here, not `{}`", word.text);
            return Err(Complaint::error(message).at(word));
        };
        interval = values::seconds("interval=", word, text)?;
        if interval < 0.5 {
            return Err(
                Complaint::error("the interval of WSGITelemetryService is 0.5 seconds or more").at(word)
            );
        }
    }
    scope.raw.measurements.export.datagrams = Some(Datagrams { socket, interval });
    Ok(())
}

/// `key=value` of a word.
fn option(word: &Word) -> Result<(&str, &str), Complaint> {
    let complaint =
        || Complaint::error(format!("an option is written name=value, not `{}`", word.text)).at(word);
    word.text.split_once('=').ok_or_else(complaint)
}

fn unknown(what: &str, word: &Word, name: &str, known: &[&str]) -> Complaint {
    let complaint =
        Complaint::error(format!("{what} has no option `{name}`, only {}", known.join(", "))).at(word);
    match crate::nearest::nearest(name, known.iter().copied()) {
        Some(near) => complaint.hint(format!("did you mean `{near}`?")),
        None => complaint,
    }
}

/// The interval of a push, in seconds.
fn push_interval(word: &Word, text: &str) -> Result<f64, Complaint> {
    match values::seconds("interval=", word, text)? {
        seconds if seconds >= 1.0 => Ok(seconds),
        _ => Err(Complaint::error("interval= is 1 second or more").at(word)),
    }
}

/// `service.name`.
fn service_name(word: &Word, text: &str) -> Result<String, Complaint> {
    match text.is_empty() || text.contains(char::is_control) {
        true => Err(Complaint::error("service= takes a name").at(word)),
        false => Ok(text.to_owned()),
    }
}

/// Name and value of a header field to send along.
fn header(word: &Word, text: &str) -> Result<(String, String), Complaint> {
    let token = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    let header = text.split_once(':').map(|(name, value)| (name.trim(), value.trim()));
    match header.filter(|(name, value)| token(name) && value.bytes().all(|b| (0x20..0x7f).contains(&b))) {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err(Complaint::error(format!("header= takes \"Name: value\", not `{text}`")).at(word)),
    }
}

/// Whether it is `HOST:PORT`, the host a name, an IPv4 address or an IPv6 one in brackets.
fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let sound = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    let host = bare.map_or_else(
        || !host.is_empty() && host.chars().all(sound),
        |bare| bare.parse::<std::net::Ipv6Addr>().is_ok(),
    );
    host && port.parse::<u16>().is_ok_and(|port| port != 0)
}

fn otlp(scope: &mut Scope, words: &[Word]) -> Applied {
    let url = &words[0].text;
    let wrong = |why: &str| {
        Complaint::error(format!("GilkeeperOTLP takes http://host:port[/path], not `{url}`{why}"))
    };
    let Some(rest) = url.strip_prefix("http://") else {
        let why = match url.starts_with("https:") {
            true => "; TLS is a collector's on this machine or this network to add",
            false => "",
        };
        return Err(wrong(why).at(&words[0]));
    };
    let (authority, path) = rest.split_once('/').map_or((rest, ""), |(authority, path)| (authority, path));
    // The colons of an IPv6 address stand in brackets.
    let behind = authority.rsplit_once(']').map_or(authority, |(_, behind)| behind);
    let authority = if behind.contains(':') { authority.to_owned() } else { format!("{authority}:4318") };
    if !is_address(&authority) || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(wrong("").at(&words[0]));
    }
    let path = if path.is_empty() { "/v1/metrics".to_owned() } else { format!("/{path}") };
    let mut otlp = Otlp { authority, path, ..Otlp::default() };
    for word in &words[1..] {
        match option(word)? {
            ("interval", text) => otlp.interval = push_interval(word, text)?,
            ("service", text) => otlp.service = service_name(word, text)?,
            ("header", text) => otlp.headers.push(header(word, text)?),
            (name, _) => {
                return Err(unknown("GilkeeperOTLP", word, name, &["service", "interval", "header"]));
            }
        }
    }
    scope.raw.measurements.export.otlp = Some(otlp);
    Ok(())
}

fn statsd(scope: &mut Scope, words: &[Word]) -> Applied {
    let address = &words[0].text;
    if !is_address(address) {
        let message = format!("GilkeeperStatsd takes host:port, not `{address}`");
        return Err(Complaint::error(message).at(&words[0]).hint("statsd listens on port 8125"));
    }
    let mut statsd = Statsd { address: address.clone(), interval: 10.0, prefix: "gilkeeper".into() };
    for word in &words[1..] {
        match option(word)? {
            ("interval", text) => statsd.interval = push_interval(word, text)?,
            ("prefix", text) if !text.is_empty() && !text.contains([':', '|', '@', '\n', ' ', '#']) => {
                statsd.prefix = text.trim_end_matches('.').to_owned();
            }
            ("prefix", text) => {
                let message = format!("prefix= takes a name without : | @ # and spaces, not `{text}`");
                return Err(Complaint::error(message).at(word));
            }
            (name, _) => return Err(unknown("GilkeeperStatsd", word, name, &["interval", "prefix"])),
        }
    }
    scope.raw.measurements.export.statsd = Some(statsd);
    Ok(())
}

fn options(_: &mut Scope, words: &[Word]) -> Applied {
    let signed = |w: &Word| w.text.starts_with(['+', '-']);
    if words.iter().any(signed) && !words.iter().all(signed) {
        let message =
            "WSGITelemetryOptions takes either plain options or options with + and -, not both in one line";
        return Err(Complaint::error(message).at(&words[1]));
    }
    for word in words {
        let flag = word.text.strip_prefix(['+', '-']);
        let name = flag.unwrap_or(&word.text);
        let known = values::one_of("WSGITelemetryOptions", word, name, &["captureuseragent", "none", "all"])?;
        if flag.is_some() && known != "captureuseragent" {
            return Err(Complaint::error(format!("`{name}` of WSGITelemetryOptions takes no sign")).at(word));
        }
    }
    Ok(())
}

fn slow(scope: &mut Scope, words: &[Word]) -> Applied {
    scope.raw.measurements.slow_requests = values::seconds(scope.name, &words[0], &words[0].text)?;
    Ok(())
}

fn measurements(scope: &mut Scope, words: &[Word]) -> Applied {
    scope.raw.measurements.on = values::switch(scope.name, &words[0], &words[0].text)?;
    Ok(())
}

fn holders(scope: &mut Scope, words: &[Word]) -> Applied {
    let word = &words[0];
    scope.raw.measurements.holders =
        if word.text.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
            Holders::From(values::seconds(scope.name, word, &word.text)?)
        } else if values::switch(scope.name, word, &word.text)? {
            Holders::SwitchInterval
        } else {
            Holders::Off
        };
    Ok(())
}

fn metrics(scope: &mut Scope, words: &[Word]) -> Applied {
    values::switch(scope.name, &words[0], &words[0].text).map(|_| ())
}

#[cfg(test)]
mod tests {
    use crate::measurements::{Export, Holders};
    use crate::{Surroundings, load_text, source::Memory};

    /// The exports of a line, or its complaint.
    fn of(line: &str) -> Result<Export, String> {
        let surroundings = Surroundings { directory: "/srv".into(), ..Surroundings::default() };
        let loaded = load_text("test", line, &Memory::new(), &surroundings);
        match loaded.site {
            Some(site) => Ok(site.measurements.export),
            None => Err(loaded.diagnostics.iter().map(|one| one.message.clone()).collect()),
        }
    }

    #[test]
    fn waits_are_booked_to_lines_from_some_length_on() {
        let of = |line: &str| {
            let loaded = load_text("test", line, &Memory::new(), &Surroundings::default());
            loaded.site.map(|site| site.measurements.holders)
        };
        assert_eq!(of(""), Some(Holders::SwitchInterval));
        assert_eq!(of("GilkeeperHolders on"), Some(Holders::SwitchInterval));
        assert_eq!(of("GilkeeperHolders Off"), Some(Holders::Off));
        assert_eq!(of("GilkeeperHolders 0.01"), Some(Holders::From(0.01)));
        assert_eq!(of("GilkeeperHolders 0").and_then(Holders::seconds), Some(0.0));
        assert_eq!(of("GilkeeperHolders -1"), None);
        assert_eq!(of("GilkeeperHolders sometimes"), None);
    }

    #[test]
    fn receivers_are_named() {
        let one = of("WSGITelemetryService unix:/run/t.sock interval=2.5").unwrap().datagrams.unwrap();
        assert_eq!((one.socket.to_str(), one.interval), (Some("/run/t.sock"), 2.5));
        let otlp =
            of("GilkeeperOTLP http://collector interval=5 header=\"X-Key: a b\"").unwrap().otlp.unwrap();
        assert_eq!((otlp.authority.as_str(), otlp.path.as_str()), ("collector:4318", "/v1/metrics"));
        let named = of("GilkeeperOTLP http://collector service=shop").unwrap().otlp.unwrap();
        assert_eq!((otlp.service.as_str(), named.service.as_str()), ("gilkeeper", "shop"));
        assert_eq!(otlp.headers, [("X-Key".to_owned(), "a b".to_owned())]);
        assert_eq!(of("GilkeeperOTLP http://[::1]:9/x/y").unwrap().otlp.unwrap().path, "/x/y");
        for (url, authority) in
            [("[::1]", "[::1]:4318"), ("[::1]/x", "[::1]:4318"), ("[::1]:9", "[::1]:9"), ("c:9", "c:9")]
        {
            let otlp = of(&format!("GilkeeperOTLP http://{url}")).unwrap().otlp.unwrap();
            assert_eq!(otlp.authority, authority);
        }
        for line in ["None", "All", "CaptureUserAgent", "+captureuseragent -CaptureUserAgent"] {
            assert!(of(&format!("WSGITelemetryOptions {line}")).is_ok(), "{line}");
        }
        let statsd = of("GilkeeperStatsd 127.0.0.1:8125 prefix=shop.").unwrap().statsd.unwrap();
        assert_eq!((statsd.prefix.as_str(), statsd.interval), ("shop", 10.0));
        assert!(!of("").unwrap().any());
    }

    #[test]
    fn refusals_say_what_is_expected() {
        for (line, says) in [
            ("WSGITelemetryService tcp:1", "takes unix:/path"),
            ("WSGITelemetryService unix:/x 2", "takes interval=seconds here"),
            ("WSGITelemetryService unix:/x interval=0.1", "0.5 seconds or more"),
            ("WSGITelemetryOptions +None", "takes no sign"),
            ("WSGITelemetryOptions -all", "takes no sign"),
            ("WSGITelemetryOptions ++CaptureUserAgent", "takes one of"),
            ("WSGITelemetryOptions -+All", "takes one of"),
            ("WSGITelemetryOptions CaptureUserAgent -CaptureUserAgent", "not both in one line"),
            ("GilkeeperOTLP http://[::1", "takes http://"),
            ("GilkeeperOTLP http://::1", "takes http://"),
            ("GilkeeperOTLP https://x", "TLS is a collector's"),
            ("GilkeeperOTLP http://x intervall=3", "no option `intervall`"),
            ("GilkeeperOTLP http://x header=bad", "header= takes"),
            ("GilkeeperOTLP http://x service=", "service= takes a name"),
            ("GilkeeperStatsd 8125", "takes host:port"),
            ("GilkeeperStatsd a:1 interval=0", "1 second or more"),
        ] {
            let said = of(line).unwrap_err();
            assert!(said.contains(says), "{line}: {said}");
        }
        let long = format!("WSGITelemetryService unix:/{}", "x".repeat(120));
        assert!(of(&long).unwrap_err().contains("at most 107 bytes"));
    }
}

//! Metrics and telemetry.

use crate::diagnostic::Complaint;
use crate::directive::{Applied, Arity, Contexts, Directive, Scope};
use crate::token::Word;
use crate::values;

const GLOBAL: Contexts = Contexts::GLOBAL;
const AREA: &str = "telemetry";

/// Rows of this area.
pub const ROWS: &[Directive] = &[
    Directive::honoured("WSGITelemetryService", "unix:/path [interval]", GLOBAL, Arity::between(1, 2), service)
        .unbuilt(AREA).doc("Sends mod_wsgi's telemetry datagrams to a socket, every `interval` seconds (default 1, at least 0.5)."),
    Directive::honoured("WSGITelemetryOptions", "[+|-]option … | None | All", GLOBAL, Arity::at_least(1), options)
        .default("None").unbuilt(AREA).doc("Optional captures: `CaptureUserAgent`."),
    Directive::honoured("WSGISlowRequests", "seconds", GLOBAL, Arity::exactly(1), slow)
        .default("0").doc("Requests whose application takes longer than this are kept, with what their time went to; while such a \
            request still runs, its Python stack is written to the error log once. 0 is off."),
    Directive::honoured("GilkeeperMeasurements", "On|Off", GLOBAL, Arity::exactly(1), measurements)
        .default("On").doc("Whether the workers measure their requests and their waits for the GIL. `Off` leaves the pages and \
            `/metrics` without figures of requests; it is there to see what measuring costs."),
    Directive::honoured("WSGIServerMetrics", "On|Off", GLOBAL, Arity::exactly(1), metrics)
        .default("Off").unbuilt(AREA).doc("Makes `mod_wsgi.server_metrics()` give data."),
];

fn service(scope: &mut Scope, words: &[Word]) -> Applied {
    if words[0].text.strip_prefix("unix:").is_none_or(str::is_empty) {
        let message = format!("WSGITelemetryService takes unix:/path, not `{}`", words[0].text);
        return Err(Complaint::error(message).at(&words[0]));
    }
    if let Some(word) = words.get(1)
        && values::seconds(scope.name, word, &word.text)? < 0.5
    {
        return Err(Complaint::error("the interval of WSGITelemetryService is 0.5 seconds or more").at(word));
    }
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
        let name = word.text.trim_start_matches(['+', '-']);
        values::one_of("WSGITelemetryOptions", word, name, &["captureuseragent", "none", "all"])?;
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

fn metrics(scope: &mut Scope, words: &[Word]) -> Applied {
    values::switch(scope.name, &words[0], &words[0].text).map(|_| ())
}

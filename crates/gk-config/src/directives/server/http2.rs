//! HTTP/2: who speaks it, and the bounds of its connections.

use crate::diagnostic::Complaint;
use crate::directive::{Applied, Arity, Contexts, Directive, Scope, Status};
use crate::site::Protocols;
use crate::token::Word;
use crate::values;

const SERVER: Contexts = Contexts::SERVER;
const ONE: Arity = Arity::exactly(1);
const THREADS: &str = "streams of HTTP/2 need no threads in the front";
const PUSH: &str = "nothing is pushed: browsers have given it up";
const EARLY: &str = "no 103 is sent before a response";
const OLD: &str = "it belongs to an older mod_http2";
const UPGRADE: &str = "`Upgrade: h2c` of HTTP/1.1 is passed over, as RFC 9113 has dropped it: the request is answered in HTTP/1.1";

/// Rows of this area.
#[rustfmt::skip]
pub const ROWS: &[Directive] = &[
    Directive::honoured("Protocols", "protocol …", SERVER, Arity::at_least(1), protocols)
        .default("http/1.1")
        .doc("The versions of HTTP: `http/1.1`, `h2` (HTTP/2 over TLS, offered by ALPN) and `h2c` (HTTP/2 without TLS, for clients \
              that start with it). Without TLS the first virtual host of the address decides, with TLS the host that the client \
              names. HTTP/1.1 is always supported. Several lines add up."),
    Directive::honoured("H2Direct", "On|Off", SERVER, ONE, direct)
        .default("On without TLS, Off with it")
        .doc("Allows a connection to start with HTTP/2 without having agreed on it."),
    Directive::honoured("H2MaxSessionStreams", "number", SERVER, ONE, max_session_streams)
        .default("100").doc("Most concurrent requests on one HTTP/2 connection."),
    Directive::honoured("H2WindowSize", "bytes", SERVER, ONE, window_size)
        .default("65535").doc("Bytes of a request body that may be in transit to the server (HTTP/2's window of a stream)."),
    Directive::honoured("H2MaxDataFrameLen", "bytes", SERVER, ONE, max_data_frame_len)
        .default("0").doc("Most bytes of a response in one DATA frame; 0 means as many as the client accepts."),
    Directive::honoured("H2MaxStreamErrors", "number", SERVER, ONE, max_stream_errors)
        .default("8").doc("Malformed requests that one HTTP/2 connection may send before it is closed. 0 means no limit."),
    Directive::honoured("H2StreamTimeout", "seconds", Contexts::ANY, ONE, stream_timeout)
        .default("that of Timeout")
        .doc("The time for which a request body or a response may make no progress on an HTTP/2 connection; 0 means for ever. A \
              value in a section is ignored."),
    Directive::inert("H2Upgrade", "On|Off", Contexts::ANY, UPGRADE),
    Directive::inert("H2ModernTLSOnly", "On|Off", SERVER, "TLS has no suites here that RFC 9113 forbids"),
    Directive::inert("H2TLSWarmUpSize", "bytes", SERVER, "TLS sends records as full as they get"),
    Directive::inert("H2TLSCoolDownSecs", "seconds", SERVER, "TLS sends records as full as they get"),
    Directive::inert("H2MinWorkers", "number", SERVER, THREADS),
    Directive::inert("H2MaxWorkers", "number", SERVER, THREADS),
    Directive::inert("H2MaxWorkerIdleSeconds", "seconds", SERVER, THREADS),
    Directive::inert("H2StreamMaxMemSize", "bytes", SERVER, "response-buffer-size= bounds the memory of a response"),
    Directive::inert("H2MaxHeaderBlockLen", "bytes", SERVER, "header-buffer-size= bounds the header fields of a response"),
    Directive::inert("H2Push", "On|Off", Contexts::ANY, PUSH),
    Directive::inert("H2PushPriority", "type …", SERVER, PUSH),
    Directive::inert("H2PushDiarySize", "number", SERVER, PUSH),
    Directive::inert("H2PushResource", "[add] path [critical]", Contexts::ANY, PUSH),
    Directive::inert("H2EarlyHints", "On|Off", Contexts::ANY, EARLY),
    Directive::inert("H2EarlyHint", "name value", Contexts::ANY, EARLY),
    Directive::inert("H2Padding", "number", SERVER, "frames are sent without padding"),
    Directive::inert("H2OutputBuffering", "On|Off", SERVER, "a response is sent as its bytes come"),
    Directive::inert("H2CopyFiles", "On|Off", Contexts::ANY, "files are read as they are sent"),
    Directive::inert("H2WebSockets", "On|Off", SERVER, "an application of WSGI has no WebSockets"),
    Directive::inert("H2SerializeHeaders", "On|Off", SERVER, OLD),
    Directive::inert("H2SessionExtraFiles", "number", SERVER, OLD),
    Directive::inert("H2AltSvc", "…", SERVER, OLD),
    Directive::inert("H2AltSvcMaxAge", "seconds", SERVER, OLD),
    Directive::inert("H2Timeout", "seconds", SERVER, OLD),
    Directive::inert("H2KeepAliveTimeout", "seconds", SERVER, OLD),
];

fn protocols(scope: &mut Scope, words: &[Word]) -> Applied {
    let nothing = Protocols { http1: false, h2: false, h2c: false };
    let mut protocols = scope.host().protocols.unwrap_or(nothing);
    for word in words {
        match word.text.to_ascii_lowercase().as_str() {
            "http/1.1" => protocols.http1 = true,
            "h2" => protocols.h2 = true,
            "h2c" => protocols.h2c = true,
            // Of mod_md, which gets certificates.
            "acme-tls/1" => {}
            _ => {
                let message = format!("`{}` is no protocol that is spoken here", word.text);
                let complaint = Complaint::warning(message).ignored().at(word);
                scope.say(complaint.hint("known are http/1.1, h2 and h2c"));
            }
        }
    }
    scope.host().protocols = Some(protocols);
    Ok(())
}

fn direct(scope: &mut Scope, words: &[Word]) -> Applied {
    scope.host().http2.direct = Some(values::switch(scope.name, &words[0], &words[0].text)?);
    Ok(())
}

fn number(
    scope: &Scope,
    words: &[Word],
    least: u64,
    most: u64,
    unit: &str,
) -> Result<Option<u32>, Complaint> {
    let number = values::whole(scope.name, &words[0], &words[0].text, least..=most, unit)?;
    Ok(u32::try_from(number).ok())
}

/// The largest window of HTTP/2 (RFC 9113, 6.9.1).
const WINDOW: u64 = (1 << 31) - 1;

fn max_session_streams(scope: &mut Scope, words: &[Word]) -> Applied {
    scope.host().http2.max_session_streams = number(scope, words, 1, WINDOW, "streams")?;
    Ok(())
}

fn window_size(scope: &mut Scope, words: &[Word]) -> Applied {
    scope.host().http2.window_size = number(scope, words, 1024, WINDOW, "bytes")?;
    Ok(())
}

fn max_data_frame_len(scope: &mut Scope, words: &[Word]) -> Applied {
    scope.host().http2.max_data_frame_len = number(scope, words, 0, WINDOW, "bytes")?;
    Ok(())
}

fn max_stream_errors(scope: &mut Scope, words: &[Word]) -> Applied {
    scope.host().http2.max_stream_errors = number(scope, words, 0, WINDOW, "errors")?;
    Ok(())
}

fn stream_timeout(scope: &mut Scope, words: &[Word]) -> Applied {
    let seconds = values::seconds(scope.name, &words[0], &words[0].text)?;
    if scope.section.is_some() {
        scope.status = Status::WithoutEffect("one for the whole host counts");
        return Ok(());
    }
    scope.host().http2.stream_timeout = Some(seconds);
    Ok(())
}

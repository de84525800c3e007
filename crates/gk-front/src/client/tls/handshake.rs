//! The handshake of a connection: the client's hello chooses the host, as a request's `Host` does, and the host's settings decide
//! about the rest. Afterwards the connection's facts are known.

use gk_telemetry::Reason;
use gk_wire::log::Level;
use rustls::pki_types::UnixTime;
use rustls::{CertificateError, Error};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::client::connection::{Conn, Phase};
use crate::client::http1::heads::hurries;
use crate::client::tls::clients::Verified;
use crate::client::tls::facts::{Negotiated, SESSION, TlsFacts};
use crate::client::tls::stream::{Failed, TlsStream};
use crate::client::tls::turns::HelloPlace;
use crate::front::Front;

/// The sentence of Apache to clients that speak plain HTTP here.
const PLAIN: &str = "Your browser sent a request that this server could not understand.<br />\n\
                     Reason: You're speaking plain HTTP to an SSL-enabled server port.<br />\n \
                     Instead use the HTTPS scheme to access this URL, please.<br />\n";

/// Why there is no connection.
enum Refused {
    /// It was ended: the time is over, or the server stops.
    Ended,
    /// The handshake failed.
    Failed(Failed),
    /// No host of this address speaks TLS any more.
    NoHost,
    /// The session that was taken up again is not good any more: the client's certificate.
    Verdict(Verified),
}

/// Shakes hands. `false`: the connection ends.
pub async fn shake(front: &Front, conn: &Rc<Conn>) -> bool {
    conn.enter(Phase::Handshake);
    match negotiate(front, conn).await {
        Ok(facts) => {
            conn.endpoints.set_tls(Rc::new(facts));
            conn.begin_first();
            true
        }
        Err(refused) => {
            note(front, conn, refused);
            false
        }
    }
}

async fn negotiate(front: &Front, conn: &Conn) -> Result<TlsFacts, Refused> {
    let accepted = step(front, conn, TlsStream::poll_hello).await?;
    let place = place(front, conn).await?;
    // A reload may come between two steps: from here on one configuration counts.
    let current = front.current();
    let tls = current.tls().ok_or(Refused::NoHost)?;
    let hello = accepted.client_hello();
    let name = hello.server_name().map(str::to_owned);
    let host = current.compiled.host(conn.endpoints.local_address(), name.as_deref().map(str::as_bytes));
    let own = tls.host(host).ok_or(Refused::NoHost)?;
    let keyed = own.choose(&hello).ok_or(Refused::NoHost)?;
    let mut session = [0; SESSION];
    // Without randomness TLS itself fails.
    let _ = getrandom::fill(&mut session);
    let begun = match conn.stream().as_tls() {
        Some(stream) => stream.begin(accepted, std::sync::Arc::clone(&keyed.config), &session),
        None => Err(Failed::Gone),
    };
    begun.map_err(Refused::Failed)?;
    place.leave().await;
    step(front, conn, TlsStream::poll_handshake).await?;
    let now = UnixTime::now();
    let negotiated = Negotiated {
        host,
        number: tls.number,
        setup: Rc::clone(&own.setup),
        name,
        server: Rc::clone(&keyed.chain),
        session,
        at: i64::try_from(now.as_secs()).unwrap_or(i64::MAX),
    };
    let mut stream = conn.stream();
    let connection = stream.as_tls().and_then(|stream| stream.connection());
    let Some(connection) = connection else { return Err(Refused::Failed(Failed::Gone)) };
    let verified = match &own.clients {
        // Once more: a session that is taken up again was judged long ago.
        Some(judge) => {
            let verified = judge.judge(connection.peer_certificates().unwrap_or_default(), now);
            if !judge.admits(&verified) {
                return Err(Refused::Verdict(verified));
            }
            verified
        }
        None => Verified::Nothing,
    };
    Ok(TlsFacts::new(negotiated, connection, verified))
}

/// Runs a step of the handshake, until the connection is ended.
async fn step<T>(
    front: &Front,
    conn: &Conn,
    poll: impl Fn(&mut TlsStream, &mut Context<'_>) -> Poll<Result<T, Failed>>,
) -> Result<T, Refused> {
    poll_fn(|cx| {
        if is_ended(front, conn, cx) {
            return Poll::Ready(Err(Refused::Ended));
        }
        match conn.stream().as_tls() {
            Some(stream) => poll(stream, cx).map_err(Refused::Failed),
            None => Poll::Ready(Err(Refused::Failed(Failed::Gone))),
        }
    })
    .await
}

/// Waits for a place among the answers to hellos, unless the connection is ended meanwhile.
async fn place<'f>(front: &'f Front, conn: &Conn) -> Result<HelloPlace<'f>, Refused> {
    let mut place = pin!(front.hello_turns.place());
    poll_fn(|cx| match is_ended(front, conn, cx) {
        true => Poll::Ready(Err(Refused::Ended)),
        false => place.as_mut().poll(cx).map(Ok),
    })
    .await
}

fn is_ended(front: &Front, conn: &Conn, cx: &Context<'_>) -> bool {
    conn.poll_killed(cx) || hurries(front)
}

/// Logs why there is no connection, at the level of Apache, but for certificates: their owners are known to somebody, and ask why.
/// Plain HTTP gets an answer, too.
fn note(front: &Front, conn: &Rc<Conn>, refused: Refused) {
    let client = Some(&*conn.endpoints.client);
    match refused {
        // Whoever ended it has said so.
        Refused::Ended => {}
        Refused::Failed(Failed::Gone) => {
            crate::note_code(
                Level::Info,
                "AH02008",
                client,
                "TLS handshake failed: the client closed the connection",
            );
        }
        Refused::Failed(Failed::PlainHttp(first)) => {
            let text = "TLS handshake failed: HTTP was spoken on a port for HTTPS; an error page was sent";
            crate::note_code(Level::Info, "AH01996", client, text);
            conn.write_plain(plain_page().as_bytes());
            conn.linger.set(true);
            refuse(front, conn, &first);
        }
        Refused::Failed(failed) => {
            // The client may still be sending; a reset would take the alert away from it.
            conn.linger.set(matches!(failed, Failed::Tls(_)));
            let level = match failed {
                Failed::Tls(Error::InvalidCertificate(_)) => Level::Warn,
                _ => Level::Info,
            };
            let (code, text) = match failed {
                Failed::Tls(error) => reason(&error),
                other => ("AH02008", format!("TLS handshake failed: {other}")),
            };
            crate::note_code(level, code, client, &text);
        }
        Refused::NoHost => {
            let text = "TLS handshake failed: no host of this address speaks TLS";
            crate::note_code(Level::Error, "AH02008", client, text);
        }
        Refused::Verdict(verified) => {
            let (level, why) = match verified {
                Verified::Wrong(wrong) => (Level::Warn, wrong.words()),
                Verified::Nothing | Verified::Valid(_) => (Level::Info, "no certificate"),
            };
            let text = format!("an earlier TLS session is not taken up again: {why}");
            crate::note_code(level, "AH02276", client, &text);
        }
    }
}

/// Counts and logs a request that was none of TLS.
fn refuse(front: &Front, conn: &Rc<Conn>, first: &[u8]) {
    front.refused_head(400, Reason::Malformed, 0);
    let current = front.current();
    let host = current.compiled.first_host(conn.endpoints.local_address());
    let line = first.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_end();
    current.logs.refused(&**conn, host, front.clock.epoch(front.clock.micros()), 400, line);
}

/// Code and sentence for an error of TLS.
fn reason(error: &Error) -> (&'static str, String) {
    let certificate = |why: &str| ("AH02276", format!("the client's certificate was refused: {why}"));
    match error {
        Error::NoCertificatesPresented => certificate("there was none"),
        Error::InvalidCertificate(error) => certificate(match error {
            CertificateError::UnknownIssuer => "nobody known has issued it",
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired",
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "it is not valid yet"
            }
            CertificateError::Revoked => "it is revoked",
            CertificateError::UnknownRevocationStatus => "no revocation list says anything of it",
            CertificateError::ExpiredRevocationList => "the revocation list has expired",
            CertificateError::ApplicationVerificationFailure => {
                "its chain is longer than SSLVerifyDepth allows"
            }
            CertificateError::InvalidPurpose => "it is not for clients",
            CertificateError::BadSignature => "its signature is wrong",
            _ => "it is malformed, or of a version before 3",
        }),
        error => ("AH02008", format!("TLS handshake failed: {error}")),
    }
}

/// The answer to plain HTTP, as Apache gives it.
fn plain_page() -> String {
    let page = format!(
        "<!DOCTYPE html>\n<html><head>\n<title>400 Bad Request</title>\n</head><body>\n<h1>Bad Request</h1>\n<p>{PLAIN}</p>\n</body></html>\n"
    );
    format!(
        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/html; charset=iso-8859-1\r\nContent-Length: {}\r\n\r\n{page}",
        page.len()
    )
}

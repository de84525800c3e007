//! What each host speaks, and what a place asks of TLS.

use super::lines::Lines;
use crate::site::{Host, RevocationCheck, SslSettings, VerifyClient};
use std::path::PathBuf;

/// TLS of a host.
pub fn of(out: &mut Lines, host: &Host) {
    let Some(tls) = &host.tls else {
        return out.pair(1, "speaks", "plain HTTP");
    };
    out.pair(1, "speaks", tls.versions.words());
    for files in &tls.certificates {
        let mut text = files.certificate.display().to_string();
        text.extend(files.key.as_ref().map(|key| format!(", key {}", key.display())));
        text.extend(files.chain.as_ref().map(|chain| format!(", chain {}", chain.display())));
        out.pair(1, "certificate", &text);
    }
    if let Some(suites) = &tls.suites {
        let order = if tls.server_order { "the server's order" } else { "the client's order" };
        out.pair(1, "cipher-suites", &format!("{} ({order})", suites.join(" ")));
    }
    let clients = &tls.clients;
    if clients.verify != VerifyClient::None {
        let paths = |paths: &[PathBuf]| {
            paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" and ")
        };
        let mut text = clients.verify.word().to_owned();
        if !clients.authorities.is_empty() {
            text.push_str(&format!(", by {}, depth {}", paths(&clients.authorities), clients.depth));
        }
        if clients.revocation_check != RevocationCheck::None {
            text.push_str(&format!(", revocation by {}", paths(&clients.revocation)));
        }
        out.pair(1, "client-certificates", &text);
    }
    if let Some(path) = &tls.stapling {
        out.pair(1, "stapling", &path.display().to_string());
    }
    if !tls.tickets {
        out.pair(1, "session-tickets", "Off");
    }
}

/// What a place asks.
pub fn of_place(out: &mut Lines, ssl: &SslSettings) {
    let words = ssl.words();
    if !words.is_empty() {
        out.pair(2, "tls", &words);
    }
}

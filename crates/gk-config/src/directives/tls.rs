//! TLS: known from the start, built later. What is refused until then is in `resolve::tls`.

use crate::directive::{Applied, Arity, Contexts, Directive, Scope, Status, nothing};
use crate::token::Word;
use crate::values;

const SERVER: Contexts = Contexts::SERVER;
const TLS: &str = "TLS for applications is not built yet, and a listener that asks for it is refused";
const SUITES: &str = "the proxy in front that speaks TLS chooses its suites";
const ONE: Arity = Arity::exactly(1);

/// Rows of this area.
pub const ROWS: &[Directive] = &[
    Directive::honoured("SSLEngine", "On|Off", SERVER, ONE, engine)
        .default("Off")
        .in_proxy(TLS)
        .doc("Speaks TLS on the addresses of this host."),
    Directive::honoured("SSLCertificateFile", "path", SERVER, ONE, nothing)
        .in_proxy(TLS)
        .doc("The certificate, with its chain, in PEM form."),
    Directive::honoured("SSLCertificateKeyFile", "path", SERVER, ONE, nothing)
        .in_proxy(TLS)
        .doc("The private key in PEM form."),
    Directive::honoured("SSLCertificateChainFile", "path", SERVER, ONE, nothing)
        .in_proxy(TLS)
        .doc("The certificates between the server's and the root."),
    Directive::honoured("SSLCACertificateFile", "path", SERVER, ONE, nothing)
        .in_proxy(TLS)
        .doc("The authorities whose client certificates are accepted."),
    Directive::honoured("SSLProtocol", "[+|-]protocol …", SERVER, Arity::at_least(1), nothing)
        .in_proxy(TLS)
        .doc("The versions of TLS that are spoken."),
    Directive::inert("SSLCipherSuite", "[protocol] suites", Contexts::ANY, SUITES),
    Directive::inert("SSLHonorCipherOrder", "On|Off", SERVER, SUITES),
    Directive::inert("SSLOptions", "option …", Contexts::ANY, "SSL_* variables are not exported"),
];

fn engine(scope: &mut Scope, words: &[Word]) -> Applied {
    // `optional` upgrades a connection when the client asks for it.
    let on = match words[0].text.eq_ignore_ascii_case("optional") {
        true => false,
        false => values::switch(scope.name, &words[0], &words[0].text)?,
    };
    if !on {
        scope.status = Status::WithoutEffect("plain HTTP is spoken here always");
    }
    scope.host().tls = Some((on, words[0].clone()));
    Ok(())
}

//! TLS: known from the start, built later. What is refused until then is in `resolve::tls`.

use crate::directive::{Applied, Arity, Contexts, Directive, Scope, nothing};
use crate::token::Word;
use crate::values;

const SERVER: Contexts = Contexts::SERVER;
const TLS: &str = "TLS; a listener that asks for it is refused until then";
const ONE: Arity = Arity::exactly(1);

/// Rows of this area.
pub const ROWS: &[Directive] = &[
    Directive::honoured("SSLEngine", "On|Off", SERVER, ONE, engine)
        .default("Off")
        .unbuilt(TLS)
        .doc("Speaks TLS on the addresses of this host."),
    Directive::honoured("SSLCertificateFile", "path", SERVER, ONE, nothing)
        .unbuilt(TLS)
        .doc("The certificate, with its chain, in PEM form."),
    Directive::honoured("SSLCertificateKeyFile", "path", SERVER, ONE, nothing)
        .unbuilt(TLS)
        .doc("The private key in PEM form."),
    Directive::honoured("SSLCertificateChainFile", "path", SERVER, ONE, nothing)
        .unbuilt(TLS)
        .doc("The certificates between the server's and the root."),
    Directive::honoured("SSLCACertificateFile", "path", SERVER, ONE, nothing)
        .unbuilt(TLS)
        .doc("The authorities whose client certificates are accepted."),
    Directive::honoured("SSLVerifyClient", "level", Contexts::ANY, ONE, nothing)
        .unbuilt(TLS)
        .doc("Whether clients must show a certificate."),
    Directive::honoured("SSLProtocol", "[+|-]protocol …", SERVER, Arity::at_least(1), nothing)
        .unbuilt(TLS)
        .doc("The versions of TLS that are spoken."),
    Directive::inert(
        "SSLCipherSuite",
        "suites",
        Contexts::ANY,
        "only the suites of TLS 1.3 and the sound ones of 1.2 are spoken",
    ),
    Directive::inert("SSLHonorCipherOrder", "On|Off", SERVER, "only sound suites are spoken, in any order"),
    Directive::inert("SSLOptions", "option …", Contexts::ANY, "SSL_* variables are not exported"),
];

fn engine(scope: &mut Scope, words: &[Word]) -> Applied {
    let on = values::switch(scope.name, &words[0], &words[0].text)?;
    scope.host().tls = Some((on, words[0].clone()));
    Ok(())
}

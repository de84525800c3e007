//! TLS: known from the start, built later. What is refused until then is in `resolve::tls`.

use crate::directive::{Applied, Arity, Contexts, Directive, Scope, Status, nothing};
use crate::raw::CertificateUse;
use crate::token::Word;
use crate::values;

const SERVER: Contexts = Contexts::SERVER;
const TLS: &str = "let it speak TLS, with the certificates, and delete the line";
const CERTIFICATES: &str = "let it ask for the client's certificate, as without TLS this keeps nobody out; listen where only the proxy can connect";
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
    Directive::honoured("SSLVerifyClient", "none|optional|optional_no_ca|require", Contexts::ANY, ONE, verify_client)
        .in_proxy(CERTIFICATES)
        .doc("Whether clients must show a certificate. With `require`, where the host or another of the configuration has \
              `SSLEngine On`, the scope is closed (403); without TLS it keeps nobody out, as with Apache."),
    Directive::honoured("NSSVerifyClient", "none|optional|require", Contexts::ANY, ONE, verify_client)
        .in_proxy(CERTIFICATES)
        .doc("As SSLVerifyClient."),
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

fn verify_client(scope: &mut Scope, words: &[Word]) -> Applied {
    if ["none", "optional", "optional_no_ca"].iter().any(|level| words[0].text.eq_ignore_ascii_case(level)) {
        scope.status =
            Status::WithoutEffect("no client certificate is asked for, so the application sees none");
        return Ok(());
    }
    let asked = CertificateUse { host: scope.host, section: scope.section, word: scope.word.clone() };
    scope.raw.certificates.push(asked);
    Ok(())
}

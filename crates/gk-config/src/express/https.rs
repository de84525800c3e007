//! The options of `serve` about TLS: a virtual host of its own on `--https-port`, which has everything of the main server.

use super::ServeOptions;
use super::writer::Text;

/// Options that say nothing without `--https-port`.
const NEED_PORT: [&str; 9] = [
    "ssl-certificate-file",
    "ssl-certificate-key-file",
    "ssl-certificate",
    "ssl-certificate-chain-file",
    "ssl-ca-certificate-file",
    "ssl-verify-client",
    "ssl-environment",
    "https-only",
    "hsts-policy",
];

/// Whether the options go together.
pub fn check(given: &ServeOptions) -> Result<(), String> {
    let has = |name: &str| !given.many(name).is_empty() || given.flag(name);
    let Some(port) = given.one("https-port") else {
        let lone = NEED_PORT.into_iter().find(|name| has(name));
        return lone
            .map_or(Ok(()), |name| Err(format!("--{name} needs --https-port: TLS is spoken on that port")));
    };
    if !has("ssl-certificate-file") && !has("ssl-certificate") {
        return Err("--https-port needs a certificate: --ssl-certificate-file and --ssl-certificate-key-file name it and its key".to_owned());
    }
    if has("ssl-certificate") && (has("ssl-certificate-file") || has("ssl-certificate-key-file")) {
        return Err("--ssl-certificate stands for --ssl-certificate-file and --ssl-certificate-key-file: give it or those".to_owned());
    }
    if has("ssl-verify-client") && !has("ssl-ca-certificate-file") {
        return Err(
            "--ssl-verify-client needs --ssl-ca-certificate-file, the authorities of client certificates"
                .to_owned(),
        );
    }
    if let Some(url) = given.many("ssl-verify-client").iter().find(|url| !url.starts_with('/')) {
        return Err(format!("--ssl-verify-client takes a URL path that begins with a slash, not `{url}`"));
    }
    if has("hsts-policy") && !has("https-only") {
        return Err(
            "--hsts-policy needs --https-only: it tells browsers that there is no plain HTTP".to_owned()
        );
    }
    if given.one("port").is_some_and(|plain| plain == port) {
        return Err(format!("--port and --https-port are both {port}: a port speaks TLS or plain HTTP"));
    }
    Ok(())
}

/// The host that speaks TLS, and what becomes of plain HTTP. The `Listen` of the port stands with the others.
pub fn host(text: &mut Text, given: &ServeOptions) {
    let Some(port) = given.one("https-port") else { return };
    let urls = given.many("ssl-verify-client");
    let everywhere = urls.is_empty();
    // A place holds in both hosts. Nobody can be asked for a certificate without TLS, so there it is closed.
    for url in urls {
        let url = text.word(url);
        text.out
            .push_str(&format!("<Location {url}>\nSSLVerifyClient require\nSSLRequireSSL\n</Location>\n"));
    }
    let authorities = given.one("ssl-ca-certificate-file");
    if authorities.is_some() && everywhere {
        text.out.push_str("<Location />\nSSLRequireSSL\n</Location>\n");
    }
    if given.flag("https-only") {
        let name = given.one("server-name").unwrap_or("%{SERVER_NAME}");
        let place = if port == "443" { String::new() } else { format!(":{port}") };
        text.line("RewriteEngine", &["On"]);
        text.line("RewriteCond", &["%{HTTPS}", "!=on"]);
        text.line("RewriteRule", &["^", &format!("https://{name}{place}%{{REQUEST_URI}}"), "[R,L]"]);
    }
    text.out.push_str(&format!("<VirtualHost *:{port}>\n"));
    text.line("SSLEngine", &["On"]);
    let stem = given.one("ssl-certificate");
    let certificate =
        stem.map(|stem| format!("{stem}.crt")).or(given.one("ssl-certificate-file").map(str::to_owned));
    let key =
        stem.map(|stem| format!("{stem}.key")).or(given.one("ssl-certificate-key-file").map(str::to_owned));
    text.given("SSLCertificateFile", certificate.as_deref());
    text.given("SSLCertificateKeyFile", key.as_deref());
    text.given("SSLCertificateChainFile", given.one("ssl-certificate-chain-file"));
    if let Some(authorities) = authorities {
        text.line("SSLCACertificateFile", &[authorities]);
        text.line("SSLVerifyClient", &[if everywhere { "require" } else { "optional" }]);
    }
    if given.flag("ssl-environment") {
        text.line("SSLOptions", &["+StdEnvVars"]);
    }
    if let Some(policy) = given.one("hsts-policy") {
        text.line("Header", &["always", "set", "Strict-Transport-Security", policy]);
    }
    text.out.push_str("</VirtualHost>\n");
}

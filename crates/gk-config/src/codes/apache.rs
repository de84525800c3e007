//! Apache's codes of the lines that the front writes as Apache does, for programs that read its error log.

use super::Level::{Error, Info, Warn};
use super::{Code, Series, code};

const PASSWORD: &str = "nothing, unless a user complains; many such lines of one client may be an attack";
const SCHEME: &str = "the client has to use the type that AuthType names";
const FILE: &str = "correct the path, or the rights of the file";

/// These codes.
pub const CODES: &[Code] = &[
    of(
        27,
        Error,
        "a place asks for a user, and its AuthType is missing or not known",
        "500",
        "set AuthType to Basic or Digest",
    ),
    of(
        37,
        Error,
        "a file lies behind a symbolic link that is not followed",
        "403",
        "`Options FollowSymLinks` follows it",
    ),
    of(38, Error, "what an alias leads to is neither a file nor a folder", "403", "correct the path"),
    of(
        124,
        Error,
        "rewriting goes round in a circle, or a pattern takes too many steps",
        "500",
        "correct the rule that the line names",
    ),
    of(
        1276,
        Error,
        "a folder has no index file and may not be listed",
        "403",
        "add an index file, or `Options Indexes`",
    ),
    of(
        1382,
        Info,
        "a request did not come within RequestReadTimeout",
        "408",
        "raise RequestReadTimeout if such clients are slow",
    ),
    of(1614, Error, "a client used another type of authentication than Basic", "401", SCHEME),
    of(1615, Error, "a place asks for a user and has no AuthName", "500", "set AuthName"),
    of(
        1617,
        Error,
        "the password is wrong or cannot be checked",
        "401, or 500 if it cannot be checked",
        PASSWORD,
    ),
    of(1618, Error, "the user is not known", "401", PASSWORD),
    of(1619, Error, "a place asks for a user and has no AuthUserFile", "500", "set AuthUserFile"),
    of(1620, Error, "the file of passwords cannot be read", "500", FILE),
    of(
        1630,
        Error,
        "the rules of a place, or the server's configuration, deny access",
        "403",
        "if this client should have access, change the rule: `gilkeeper check` describes who is served where",
    ),
    of(
        1631,
        Error,
        "a known user is not among those who have access",
        "401 or 403",
        "add the user to the rule or the group",
    ),
    of(
        1664,
        Error,
        "a rule asks for a group and has no AuthGroupFile",
        "nobody is in the group",
        "set AuthGroupFile",
    ),
    of(1665, Error, "the file of groups cannot be read", "nobody is in a group", FILE),
    of(1782, Error, "a client used another type of authentication than Digest", "401", SCHEME),
    of(1785, Error, "a Digest response is incomplete, or of another realm or algorithm", "401", PASSWORD),
    of(
        1786,
        Error,
        "a Digest response is about another URL",
        "401",
        "a proxy in front must not change the URL",
    ),
    of(1790, Error, "Digest: the user is not known in this realm", "401", PASSWORD),
    of(1794, Error, "Digest: the password is wrong", "401", PASSWORD),
    of(
        1797,
        Error,
        "Order, Allow and Deny do not admit the client",
        "403, or 401 with `Satisfy Any`",
        "if this client should have access, change the lines of Allow and Deny",
    ),
    of(1996, Info, "a client spoke plain HTTP to a port of TLS", "400", "use https:// in the client"),
    of(
        2008,
        Info,
        "a TLS handshake failed, for the reason in the line (at `error` if no host of the address speaks TLS)",
        "the connection is closed",
        "nothing, if it is a client without the right version or suite",
    ),
    of(2031, Error, "a request names no host, and its TLS connection was made for one", "400", ""),
    of(
        2032,
        Error,
        "a request is for another host than its TLS connection, and their settings differ",
        "421",
        "nothing: clients ask again over another connection",
    ),
    of(
        2033,
        Error,
        "the client named no host in its TLS handshake, and SSLStrictSNIVHostCheck asks for one",
        "403",
        "the client must send the name (SNI)",
    ),
    of(
        2219,
        Error,
        "a place asks for TLS, or for more than the connection has",
        "403",
        "use https:// in the client, or change SSLRequireSSL and its relatives",
    ),
    of(
        2276,
        Warn,
        "the client's certificate is refused, or missing (then at `info`)",
        "the connection is closed, or shakes hands anew",
        "renew the certificate, or name its issuer in SSLCACertificateFile",
    ),
];

const fn of(
    number: u16,
    level: super::Level,
    condition: &'static str,
    effect: &'static str,
    remedy: &'static str,
) -> Code {
    Code { series: Series::Apache, ..code(number, level, condition, effect, remedy) }
}
